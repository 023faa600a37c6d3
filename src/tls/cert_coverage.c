/* The names of a certificate, and those that its bundle is given. */
#include "cert_checks.h"
#include "cert_names.h"

#include <openssl/err.h>
#include <openssl/x509v3.h>

#include <stdio.h>
#include <string.h>

#define MAX_TOLD 3 /* a bundle may be given hundreds */

/* A whole label (RFC 9525 6.3); a wildcard that is asked for has to be there as one. Both are
 * normal. */
static bool is_covered_by(struct view asked, struct view name)
{
    const char *dot;

    if (view_eq(asked, name))
        return true;
    if (!view_starts_with(name, VIEW("*.")) || view_starts_with(asked, VIEW("*.")))
        return false;
    dot = memchr(asked.p, '.', asked.len);
    return dot != NULL && view_eq(view_from(name, 1), view_from(asked, (size_t)(dot - asked.p)));
}

static bool covers(const GENERAL_NAMES *names, struct view asked)
{
    int n = names == NULL ? 0 : sk_GENERAL_NAME_num(names);

    for (int i = 0; i < n; i++) {
        const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);
        char buf[CERT_NAME_MAX];
        struct view normal;

        if (name->type != GEN_DNS)
            continue;
        normal =
            cert_name_normal((struct view){(const char *)ASN1_STRING_get0_data(name->d.dNSName),
                                           (size_t)ASN1_STRING_length(name->d.dNSName)},
                             buf);
        if (normal.len > 0 && is_covered_by(asked, normal))
            return true;
    }
    return false;
}

static void warn_of_given_names(const GENERAL_NAMES *names, struct view file,
                                struct cert_load *load)
{
    uint32_t missing = 0;

    for (uint32_t i = 0; i < load->conf->n_names; i++) {
        char buf[CERT_NAME_MAX];
        struct view asked = cert_name_normal(load->conf->names[i], buf);

        if (asked.len == 0 || covers(names, asked) || ++missing > MAX_TOLD)
            continue;
        cert_load_warn(load, file,
                       "does not cover \"" VIEW_FMT "\" of the bundle's names: clients that ask "
                       "for it will refuse the certificate",
                       VIEW_ARG(asked));
    }
    if (missing > MAX_TOLD)
        cert_load_warn(load, file, "does not cover %u more of the bundle's names",
                       missing - MAX_TOLD);
}

bool cert_check_names(const struct cert_pair *pair, struct view file, struct cert_load *load)
{
    GENERAL_NAMES *names;

    if (load->conf == NULL)
        return true;
    names = X509_get_ext_d2i(pair->leaf, NID_subject_alt_name, NULL, NULL);
    if (names == NULL && load->conf->n_names == 0) {
        cert_load_error(load, file,
                        "the certificate has no names (subjectAltName), and the bundle is given "
                        "none: no client would accept it");
    } else if (names == NULL) {
        cert_load_warn(load, file,
                       "the certificate has no names (subjectAltName): no client will "
                       "accept it for the names that the bundle is given");
    } else {
        warn_of_given_names(names, file, load);
    }
    ERR_clear_error();
    if (names == NULL)
        return load->conf->n_names > 0;
    GENERAL_NAMES_free(names);
    return true;
}
