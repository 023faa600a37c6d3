#include "config_rows.h"

#define C struct certificates_conf

/* clang-format off */
static const struct conf_row rows[] = {
    {CONF_ROW_INT(C, "warn_before_days", warn_before_days, 0, 3650, 14, "days",
        "A certificate that is read and expires sooner gets a warning; 0: only when it has expired.")},
    {CONF_ROW_BOOL(C, "watch", watch, true,
        "Files of certificates that change are read and taken over by themselves, each bundle when all "
        "of it is good.")},
    {CONF_ROW_OBJECT(C, "ocsp", ocsp, &conf_ocsp_table,
        "What authorities say of certificates right now, for clients that ask.")},
};
/* clang-format on */

const struct conf_table conf_certificates_table = {
    .noun = "set of rules for certificates",
    CONF_ROWS(C, rows),
};
