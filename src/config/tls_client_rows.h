/* TLS towards servers, as a backend has it. */
#pragma once

#include "conf_table.h"

#include <sallyport/config/config.h>

extern const struct conf_table conf_tls_client_table; /* struct tls_client_conf */
extern const struct conf_word conf_tls_presets[2];    /* enum tls_preset */
