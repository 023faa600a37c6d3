/* Authorities, read once and shared. Never OpenSSL's own lookup by folder: it opens files in the
 * middle of a handshake. */
#include "cert_pair.h"
#include "cert_roots.h"
#include "ssl_client_internal.h"
#include "tls_error.h"

#include <openssl/x509.h>

#include <stdlib.h>

static void report_trust(void *arg, const struct cert_problem *p)
{
    const struct ssl_client_reporter *reporter = arg;
    const struct ssl_client_problem problem = {
        .key = "ca_file", .file = p->file, .text = p->text, .warning = p->warning};

    reporter->report(reporter->arg, &problem);
}

static bool add_all(X509_STORE *store, const struct cert_pair *certs)
{
    int n = certs->chain == NULL ? 0 : sk_X509_num(certs->chain);

    if (X509_STORE_add_cert(store, certs->leaf) != 1)
        return false;
    for (int i = 0; i < n; i++)
        if (X509_STORE_add_cert(store, sk_X509_value(certs->chain, i)) != 1)
            return false;
    return true;
}

static enum sp_err trust_fill(struct ssl_trust *trust, struct view file, struct cert_load *load)
{
    struct cert_pair certs = {0};
    bool ok;

    trust->store = X509_STORE_new();
    if (trust->store == NULL)
        return SP_NOMEM;
    if (!cert_pair_load_certs(&certs, file, load))
        return load->nomem ? SP_NOMEM : SP_INVALID;
    ok = add_all(trust->store, &certs);
    cert_pair_fini(&certs);
    return ok ? SP_OK : SP_NOMEM;
}

struct ssl_trust *ssl_trust_new(struct view ca_file, const struct ssl_client_reporter *reporter,
                                enum sp_err *err)
{
    const struct cert_reporter adapter = {.report = report_trust,
                                          .arg = (void *)(uintptr_t)reporter};
    struct cert_load load = {.reporter = &adapter};
    struct ssl_trust *trust;

    if (ca_file.len == 0)
        ca_file = cert_roots_file();
    if (ca_file.len == 0) {
        cert_load_error(&load, ca_file,
                        "is needed: no list of authorities was found on the system");
        *err = SP_INVALID;
        return NULL;
    }
    *err = SP_NOMEM;
    trust = calloc(1, sizeof(*trust));
    if (trust == NULL)
        return NULL;
    atomic_init(&trust->refs, 1);
    *err = trust_fill(trust, ca_file, &load);
    (void)tls_error_take();
    if (*err == SP_OK)
        return trust;
    ssl_trust_unref(trust);
    return NULL;
}

struct ssl_trust *ssl_trust_ref(struct ssl_trust *trust)
{
    atomic_fetch_add_explicit(&trust->refs, 1, memory_order_relaxed);
    return trust;
}

void ssl_trust_unref(struct ssl_trust *trust)
{
    if (trust == NULL || atomic_fetch_sub_explicit(&trust->refs, 1, memory_order_acq_rel) != 1)
        return;
    X509_STORE_free(trust->store);
    free(trust);
}
