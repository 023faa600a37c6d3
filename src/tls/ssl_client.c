/* Makes what connections to a server share: an SSL_CTX with everything in it that does not change.
 * The handshake itself is tls_client_role.c. */
#include "cert_key.h"
#include "cert_pair.h"
#include "ssl_client_internal.h"
#include "tls_client_role.h"
#include "tls_context.h"
#include "tls_error.h"

#include <openssl/err.h>
#include <openssl/x509v3.h>

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What is made, out of what, and who is told of problems. */
struct making {
    struct ssl_client *client;
    const struct ssl_client_options *options;
    const struct ssl_client_reporter *reporter;
    enum sp_err err; /* the first thing that went wrong */
};

static bool refuse(struct making *m, const char *key, const char *text)
{
    const struct ssl_client_problem problem = {.key = key, .text = view_of(text)};

    m->err = SP_INVALID;
    m->reporter->report(m->reporter->arg, &problem);
    return false;
}

/* The library's own reasons; out of memory is not worth a report. */
static bool library_refuses(struct making *m, const char *key)
{
    struct tls_failure failure = tls_error_take();

    if (failure.err == SP_NOMEM) {
        m->err = SP_NOMEM;
        return false;
    }
    (void)refuse(m, key, failure.reason == NULL ? sp_err_text(SP_TLS_INTERNAL) : failure.reason);
    m->err = SP_TLS_INTERNAL;
    return false;
}

/* A final dot says that the name is complete; neither SNI nor certificates have it. */
static bool set_name(struct making *m)
{
    struct ssl_client *client = m->client;
    struct view name = m->options->server_name;

    if (name.len > 0 && name.p[name.len - 1] == '.')
        name = view_head(name, name.len - 1);
    if (name.len >= sizeof(client->name) || (name.len > 0 && memchr(name.p, '\0', name.len)))
        return refuse(m, "server_name", "is not a name that a certificate could be for");
    if (name.len == 0 && m->options->trust != NULL)
        return refuse(m, "server_name",
                      "is needed: without it there is nothing to verify the certificate against");
    if (name.len > 0)
        memcpy(client->name, name.p, name.len);
    return true;
}

/* Names of a certificate are those of its subjectAltName alone (RFC 9525 2), and a wildcard is a
 * whole label (6.3). */
static bool set_expected_name(struct making *m)
{
    struct ssl_client *client = m->client;
    X509_VERIFY_PARAM *param = SSL_CTX_get0_param(client->ctx);

    X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NEVER_CHECK_SUBJECT |
                                               X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    client->name_is_address = X509_VERIFY_PARAM_set1_ip_asc(param, client->name) == 1;
    ERR_clear_error(); /* no address */
    return client->name_is_address || X509_VERIFY_PARAM_set1_host(param, client->name, 0) == 1 ||
           library_refuses(m, "server_name");
}

static bool set_trust(struct making *m)
{
    SSL_CTX *ctx = m->client->ctx;

    if (m->options->trust == NULL) {
        SSL_CTX_set_verify(ctx, SSL_VERIFY_NONE, NULL);
        return true;
    }
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, tls_client_on_verify);
    return SSL_CTX_set1_verify_cert_store(ctx, m->options->trust->store) == 1 ||
           library_refuses(m, "ca_file");
}

static bool set_alpn(struct making *m)
{
    static const unsigned char h2[] = {2, 'h', '2'};
    static const unsigned char http11[] = {8, 'h', 't', 't', 'p', '/', '1', '.', '1'};
    unsigned char list[sizeof(h2) + sizeof(http11)];
    unsigned len = 0;

    if ((m->options->alpn & ALPN_H2) != 0) {
        memcpy(list, h2, sizeof(h2));
        len += sizeof(h2);
    }
    if ((m->options->alpn & ALPN_HTTP11) != 0) {
        memcpy(list + len, http11, sizeof(http11));
        len += sizeof(http11);
    }
    m->client->alpn = m->options->alpn;
    m->client->alpn_required = m->options->alpn_required;
    return len == 0 || SSL_CTX_set_alpn_protos(m->client->ctx, list, len) == 0 ||
           library_refuses(m, "");
}

/* ---- Our own certificate ---- */

/* A problem of a pair, told as one of ours: which option is known by the file. */
static void report_own(void *arg, const struct cert_problem *p)
{
    const struct making *m = arg;
    bool is_key = view_eq(p->file, m->options->key);
    const struct ssl_client_problem problem = {.key = is_key ? "key" : "certificate",
                                               .file = p->file,
                                               .text = p->text,
                                               .warning = p->warning};

    m->reporter->report(m->reporter->arg, &problem);
}

static bool set_own_certificate(struct making *m)
{
    const struct cert_conf conf = {.chain = m->options->certificate, .key = m->options->key};
    const struct cert_reporter reporter = {.report = report_own, .arg = m};
    struct key_decoder keys = {0};
    struct cert_load load = {.reporter = &reporter, .scratch = m->client->ctx, .keys = &keys};
    struct cert_pair pair;
    bool ok;

    if (conf.chain.len == 0 && conf.key.len == 0)
        return true;
    ok = cert_pair_load(&pair, &conf, &load); /* it tries the pair on the context and leaves it */
    if (!ok)
        m->err = load.nomem ? SP_NOMEM : SP_INVALID;
    key_decoder_fini(&keys);
    cert_pair_fini(&pair);
    return ok;
}

/* ---- Life ---- */

static void ssl_client_destroy(struct tls_client *base);

struct ssl_client *ssl_client_of(struct tls_client *client)
{
    SP_ASSERT(client != NULL && client->destroy == ssl_client_destroy);
    return container_of(client, struct ssl_client, super);
}

static void ssl_client_destroy(struct tls_client *base)
{
    struct ssl_client *client = ssl_client_of(base);

    tls_sessions_fini(&client->sessions);
    SSL_CTX_free(client->ctx);
    free(client);
}

static bool fill(struct making *m)
{
    if (!set_name(m))
        return false;
    m->client->ctx = tls_client_context_new(m->options->preset);
    if (m->client->ctx == NULL)
        return library_refuses(m, "");
    return set_expected_name(m) && set_trust(m) && set_alpn(m) && set_own_certificate(m);
}

struct tls_client *ssl_client_new(const struct ssl_client_options *options,
                                  const struct ssl_client_reporter *reporter, enum sp_err *err)
{
    struct ssl_client *client = calloc(1, sizeof(*client));
    struct making m = {.client = client, .options = options, .reporter = reporter};

    *err = SP_NOMEM;
    if (client == NULL)
        return NULL;
    atomic_init(&client->super.refs, 1);
    client->super.destroy = ssl_client_destroy;
    tls_sessions_init(&client->sessions);
    if (!fill(&m)) {
        *err = m.err;
        tls_client_unref(&client->super);
        return NULL;
    }
    *err = SP_OK;
    return &client->super;
}
