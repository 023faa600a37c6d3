/* The certificates of all TLS ports of a configuration, read the way the server reads them. */
#pragma once

#include <sallyport/config/config.h>
#include <sallyport/tls/cert_store.h>

/* Reads every file and tells `reporter` of everything that is wrong, a bundle that several ports
 * share once a port. False: there was more than warnings. Blocks on files. */
bool certificates_check(const struct config *config, const struct cert_reporter *reporter);
