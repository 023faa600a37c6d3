#include "conf_kinds.h"
#include "conf_reader.h"
#include "config_rows.h"

/* clang-format off */
static const struct conf_row cert_rows[] = {
    {CONF_ROW_PATH(struct cert_conf, "chain", chain,
        "PEM file with the certificate and what it was issued by, the certificate itself first."),
        .required = true},
    {CONF_ROW_PATH(struct cert_conf, "key", key,
        "PEM file with the private key."),
        .def_note = "it stands in the file of `chain`"},
    {CONF_ROW_PATH(struct cert_conf, "passphrase_file", passphrase_file,
        "File whose first line decrypts the private key."),
        .def_note = "the key is not encrypted"},
    {CONF_ROW_PATH(struct cert_conf, "ocsp", ocsp,
        "File with the OCSP response to staple, in DER, for those who fetch it themselves."),
        .def_note = "the program fetches it"},
};

static const struct conf_table cert_table = {
    .noun = "certificate",
    CONF_ROWS(struct cert_conf, cert_rows),
};

static const struct conf_row bundle_rows[] = {
    {CONF_ROW_MANY(struct bundle_conf, "certs", CONF_LIST, certs, n_certs,
        "Certificates for the same names: ECDSA and RSA side by side."),
        .table = &cert_table, .min = 1, .max = 8, .required = true},
    {CONF_ROW_MANY(struct bundle_conf, "names", CONF_STRINGS, names, n_names,
        "Host names that are served with the bundle."),
        .kind = &conf_kind_host_pattern, .def_note = "the names in the certificates"},
    {CONF_ROW_BOOL(struct bundle_conf, "allow_expired", allow_expired, false,
        "A certificate that is not valid today takes the place of one that is served, with a "
        "warning; false: it is refused.")},
    {CONF_ROW_OBJECT(struct bundle_conf, "client_auth", client_auth, &conf_client_auth_table,
        "Certificates of clients, for the names of this bundle instead of what their port says.")},
};
/* clang-format on */

/* `certificates` stands before `bundles`, so it has been read. */
static void bundle_finish(struct conf_reader *r, const struct conf_path *at, void *object)
{
    const struct config *c = r->root;
    struct bundle_conf *bundle = object;

    (void)at;
    bundle->warn_before_days = c->certificates.warn_before_days;
}

const struct conf_table conf_bundle_table = {
    .noun = "bundle",
    CONF_ROWS(struct bundle_conf, bundle_rows),
    .finish = bundle_finish,
};
