#include "config_rows.h"

#define C struct certificates_conf

/* clang-format off */
static const struct conf_row rows[] = {
    {CONF_ROW_OBJECT(C, "ocsp", ocsp, &conf_ocsp_table,
        "What authorities say of certificates right now, for clients that ask.")},
};
/* clang-format on */

const struct conf_table conf_certificates_table = {
    .noun = "set of rules for certificates",
    CONF_ROWS(C, rows),
};
