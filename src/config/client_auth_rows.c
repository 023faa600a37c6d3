#include "conf_reader.h"
#include "config_rows.h"

#define C struct client_auth_conf

static const struct conf_word modes[] = {
    {"off", CLIENT_AUTH_OFF, NULL},
    {"optional", CLIENT_AUTH_OPTIONAL, NULL},
    {"require", CLIENT_AUTH_REQUIRE, NULL},
};
static const struct conf_word told[] = {
    {"client-cert", CLIENT_AUTH_CERT, NULL},        {"client-cert-chain", CLIENT_AUTH_CHAIN, NULL},
    {"verified", CLIENT_AUTH_VERIFIED, NULL},       {"subject", CLIENT_AUTH_SUBJECT, NULL},
    {"fingerprint", CLIENT_AUTH_FINGERPRINT, NULL},
};

static struct conf_path path_of(const struct conf_path *at, const char *key)
{
    return (struct conf_path){.up = at, .key = key};
}

/* Kept in the file for later, perhaps; not to be taken for something that protects. */
static void warn_of_unused(struct conf_reader *r, const struct conf_path *at, const C *auth)
{
    struct conf_path key = path_of(at, auth->ca_file.len > 0 ? "ca_file" : "crl_file");

    if (auth->ca_file.len > 0 || auth->crl_file.len > 0)
        conf_warning(r, &key, "nobody is asked for a certificate: \"mode\" is \"off\"");
}

static void client_auth_finish(struct conf_reader *r, const struct conf_path *at, void *object)
{
    C *auth = object;
    struct conf_path ca = path_of(at, "ca_file"), forward = path_of(at, "forward");

    auth->given = true;
    if (auth->mode == CLIENT_AUTH_OFF) {
        warn_of_unused(r, at, auth);
    } else if (auth->ca_file.len == 0 && conf_json_at(r, &ca) == NULL) {
        conf_error(r, at,
                   "needs \"ca_file\": the authorities whose certificates are believed (those of "
                   "the system vouch for servers, not for your clients)");
    }
    if ((auth->forward & (CLIENT_AUTH_CERT | CLIENT_AUTH_CHAIN)) == CLIENT_AUTH_CHAIN)
        conf_error(r, &forward,
                   "\"client-cert-chain\" needs \"client-cert\" beside it (RFC 9440 2.3)");
}

/* clang-format off */
static const struct conf_row rows[] = {
    {CONF_ROW_ENUM(C, "mode", mode, modes, CLIENT_AUTH_OFF,
        "\"optional\": a client may show a certificate, and a bad one fails its handshake; "
        "\"require\": without a good one nobody gets in; \"off\": nobody is asked."),
        .required = true},
    {CONF_ROW_PATH(C, "ca_file", ca_file,
        "PEM file with the authorities that are trusted, each of them by itself. Clients are told "
        "their names."),
        .def_note = "none; needed with \"optional\" and \"require\""},
    {CONF_ROW_PATH(C, "crl_file", crl_file,
        "PEM file with their revocation lists, one of each authority of \"ca_file\"."),
        .def_note = "nothing is revoked"},
    {CONF_ROW_INT(C, "depth", depth, 0, 10, 3, "certificates",
        "How many authorities may stand between a client's certificate and one of \"ca_file\".")},
    {.name = "forward", .type = CONF_FLAGS, CONF_FIELD(C, forward), CONF_WORDS(told),
        .help = "What backends are told: Client-Cert and Client-Cert-Chain (RFC 9440), "
        "X-Client-Cert-Verified (SUCCESS or NONE), X-Client-Cert-Subject, X-Client-Cert-Fingerprint "
        "(SHA-256). With \"client-cert-chain\" sessions are not resumed.",
        .def = CLIENT_AUTH_CERT},
    {CONF_ROW_INT(C, "max_forward_bytes", max_forward_bytes, 1 * KIB, 64 * KIB, 16 * KIB, "bytes",
        "Of what backends are told of one client. A chain that does not fit is left out, a "
        "certificate that does not is refused.")},
};
/* clang-format on */

const struct conf_table conf_client_auth_table = {
    .noun = "client certificates",
    CONF_ROWS(C, rows),
    .finish = client_auth_finish,
};
