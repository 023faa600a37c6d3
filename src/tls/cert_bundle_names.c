/* The names that a bundle is served under: given ones, or those of its certificates. */
#include "cert_bundle.h"
#include "cert_names.h"

#include <sallyport/base/log.h>

#include <openssl/x509v3.h>

#include <stdlib.h>
#include <string.h>

/* Collected twice: first only counted, then kept. */
struct collecting {
    struct cert_load *load; /* NULL in the second run: everything was said */
    struct view *names;     /* NULL in the first one */
    char *text;             /* behind them */
    uint32_t n;
    size_t n_bytes;
};

static void collect(struct collecting *c, struct view name)
{
    char normal[CERT_NAME_MAX], shown[64];
    struct view copy = cert_name_normal(name, normal);

    if (copy.len == 0) {
        if (c->load != NULL) {
            cert_load_warn(c->load, (struct view){NULL, 0},
                           "\"%s\" is no host name and is left out",
                           log_escape(shown, sizeof(shown), name));
        }
        return;
    }
    if (c->names != NULL) {
        memcpy(c->text + c->n_bytes, copy.p, copy.len);
        c->names[c->n] = (struct view){c->text + c->n_bytes, copy.len};
    }
    c->n++;
    c->n_bytes += copy.len;
}

/* subjectAltName only: a common name is no host name any more (RFC 9525). */
static void collect_alt_names(struct collecting *c, const X509 *cert)
{
    GENERAL_NAMES *alt = X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);
    int n = alt == NULL ? 0 : sk_GENERAL_NAME_num(alt);

    for (int i = 0; i < n; i++) {
        const GENERAL_NAME *name = sk_GENERAL_NAME_value(alt, i);

        if (name->type == GEN_DNS)
            collect(c, (struct view){(const char *)ASN1_STRING_get0_data(name->d.dNSName),
                                     (size_t)ASN1_STRING_length(name->d.dNSName)});
    }
    GENERAL_NAMES_free(alt);
}

static void collect_all(struct collecting *c, const struct cert_bundle *bundle,
                        const struct bundle_conf *conf)
{
    for (uint32_t i = 0; i < conf->n_names; i++)
        collect(c, conf->names[i]);
    for (uint32_t i = 0; conf->n_names == 0 && i < bundle->n_pairs; i++)
        collect_alt_names(c, bundle->pairs[i].leaf);
}

static int by_name(const void *a, const void *b)
{
    const struct view *x = a, *y = b;

    return view_compare(*x, *y);
}

/* ECDSA and RSA side by side have the same names. */
static void leave_out_doubles(struct cert_bundle *bundle)
{
    uint32_t n = 0;

    if (bundle->n_names > 0)
        qsort(bundle->names, bundle->n_names, sizeof(*bundle->names), by_name);
    for (uint32_t i = 0; i < bundle->n_names; i++)
        if (n == 0 || !view_eq(bundle->names[n - 1], bundle->names[i]))
            bundle->names[n++] = bundle->names[i];
    bundle->n_names = n;
}

bool cert_bundle_take_names(struct cert_bundle *bundle, const struct bundle_conf *conf,
                            struct cert_load *load)
{
    struct collecting counting = {.load = load}, keeping = {0};

    collect_all(&counting, bundle, conf);
    keeping.names = malloc(counting.n * sizeof(struct view) + counting.n_bytes + 1);
    if (keeping.names == NULL)
        return false;
    keeping.text = (char *)(keeping.names + counting.n);
    collect_all(&keeping, bundle, conf);
    SP_ASSERT(keeping.n <= counting.n); /* fewer where OpenSSL ran out of memory */
    bundle->names = keeping.names;
    bundle->n_names = keeping.n;
    leave_out_doubles(bundle);
    if (bundle->n_names == 0 && bundle->n_pairs > 0)
        cert_load_warn(load, (struct view){NULL, 0},
                       "no certificate has a DNS name: it can only be a default bundle");
    return true;
}
