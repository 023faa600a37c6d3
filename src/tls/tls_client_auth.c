#include "tls_client_auth.h"

#include "cert_store_internal.h"
#include "client_identity.h"
#include "name_text.h"
#include "tls_thread.h"

#include <sallyport/base/log.h>
#include <sallyport/base/metrics.h>

#include <openssl/err.h>
#include <openssl/evp.h>

#include <stdlib.h>
#include <string.h>

/* ---- Sessions ---- */

/* FNV-1a: enough for a ticket to be good for the name and the bundle that it was made for. */
static uint64_t hash_of(struct view v)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);

    for (size_t i = 0; i < v.len; i++)
        hash = (hash ^ ((unsigned char)v.p[i] | 0x20)) * UINT64_C(0x100000001b3);
    return hash;
}

struct session_id {
    uint64_t sni, bundle;
};
_Static_assert(sizeof(struct session_id) + CLIENT_TRUST_DIGEST_BYTES / 2 <= SSL_MAX_SID_CTX_LENGTH,
               "a session id context has room for all");

/* "MUST NOT accept the request to resume the session if the server_name extension contains a
 * different name" (RFC 6066 3). OpenSSL compares session id contexts, so the name is made part of
 * it.
 *
 * So are the rules by which clients are verified, of which a resumed handshake asks nothing: half
 * of a SHA-256 over mode, authorities and revocation lists. Where a name could be made to collide,
 * the rules are still the same. A session without rules has a shorter context, which is none of
 * these. */
static bool bind_sessions(SSL *ssl, struct session_id id, const struct client_trust *trust)
{
    unsigned char context[SSL_MAX_SID_CTX_LENGTH];
    unsigned len = sizeof(id);

    memcpy(context, &id, sizeof(id));
    if (trust != NULL) {
        memcpy(context + len, trust->digest, sizeof(context) - len);
        len = sizeof(context);
    }
    return SSL_set_session_id_context(ssl, context, len) == 1;
}

/* A ticket carries the client's certificate and not what it was verified by: where backends are
 * told that too, there are no tickets. */
static bool give_no_tickets(SSL *ssl)
{
    (void)SSL_set_options(ssl, SSL_OP_NO_TICKET);
    return SSL_set_num_tickets(ssl, 0) == 1;
}

bool tls_client_auth_choose(struct tls_handshake *hs, struct view sni)
{
    const struct session_id id = {hash_of(sni), hash_of(tls_label_view(hs->bundle->name))};
    SSL *ssl = hs->vc->ssl;

    hs->trust = cert_store_trust(hs->store, hs->bundle);
    if (hs->trust != NULL && (hs->trust->forward & CLIENT_AUTH_CHAIN) != 0 && !give_no_tickets(ssl))
        return false;
    return bind_sessions(ssl, id, hs->trust);
}

static bool is_in_date(const X509 *cert)
{
    return X509_cmp_current_time(X509_get0_notAfter(cert)) > 0 &&
           X509_cmp_current_time(X509_get0_notBefore(cert)) < 0;
}

/* Everything else about it was verified under the same rules. */
bool tls_client_auth_resumes(const struct tls_handshake *hs, const SSL_SESSION *session)
{
    const X509 *cert = SSL_SESSION_get0_peer((SSL_SESSION *)(uintptr_t)session);

    if (hs->trust == NULL)
        return true;
    return clock_wall_ms() / 1000 < hs->trust->good_until_s && (cert == NULL || is_in_date(cert));
}

/* ---- A full handshake ---- */

bool tls_client_auth_ask(const struct tls_handshake *hs)
{
    const struct client_trust *trust = hs->trust;
    SSL *ssl = hs->vc->ssl;
    STACK_OF(X509_NAME) * names;
    int mode = SSL_VERIFY_PEER;

    if (trust == NULL)
        return true;
    names = SSL_dup_CA_list(trust->names);
    if (names == NULL || SSL_set1_verify_cert_store(ssl, trust->store) != 1) {
        sk_X509_NAME_pop_free(names, X509_NAME_free);
        return false;
    }
    if (trust->mode == CLIENT_AUTH_REQUIRE)
        mode |= SSL_VERIFY_FAIL_IF_NO_PEER_CERT;
    SSL_set0_CA_list(ssl, names);
    SSL_set_verify(ssl, mode, NULL);
    (void)SSL_set_max_cert_list(ssl, TLS_CLIENT_CERTS_MAX_BYTES);
    return true;
}

static enum sp_err err_of_verify(int error)
{
    switch (error) {
    case X509_V_ERR_CERT_HAS_EXPIRED:
    case X509_V_ERR_CERT_NOT_YET_VALID: return SP_TLS_CLIENT_CERT_EXPIRED;
    case X509_V_ERR_CERT_REVOKED: return SP_TLS_CLIENT_CERT_REVOKED;
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    case X509_V_ERR_CERT_SIGNATURE_FAILURE:
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
    case X509_V_ERR_CERT_UNTRUSTED: return SP_TLS_CLIENT_CERT_UNKNOWN_CA;
    case X509_V_ERR_OUT_OF_MEM: return SP_NOMEM;
    default: return SP_TLS_CLIENT_CERT_REFUSED;
    }
}

/* Whose it was, for the log. */
static void keep_subject(struct tls_handshake *hs, const X509 *cert)
{
    if (hs->certificate == NULL)
        hs->certificate = malloc(NAME_TEXT_MAX);
    if (hs->certificate != NULL)
        name_text(X509_get_subject_name(cert), hs->certificate, NAME_TEXT_MAX);
}

/* The certificate is fine; can it be told? */
static void identify(struct tls_handshake *hs, X509_STORE_CTX *ctx)
{
    enum sp_err err;

    hs->identity = client_identity_new(hs->trust, X509_STORE_CTX_get0_cert(ctx),
                                       X509_STORE_CTX_get0_chain(ctx), &err);
    if (hs->identity != NULL)
        return;
    X509_STORE_CTX_set_error(ctx,
                             err == SP_NOMEM ? X509_V_ERR_OUT_OF_MEM : X509_V_ERR_CERT_REJECTED);
    hs->err = err == SP_NOMEM ? SP_NOMEM : SP_TLS_CLIENT_CERT_REFUSED;
    if (err == SP_LIMIT)
        hs->reason = "the certificate has more bytes than backends may be told of";
}

/* The chain would stay with the SSL, and with it the authorities, as long as the connection. */
int tls_on_client_certificate(X509_STORE_CTX *ctx, void *arg)
{
    SSL *ssl = X509_STORE_CTX_get_ex_data(ctx, SSL_get_ex_data_X509_STORE_CTX_idx());
    struct tls_handshake *hs = ssl_net_vc_of_ssl(ssl)->hs;

    (void)arg;
    if (X509_verify_cert(ctx) == 1) {
        identify(hs, ctx);
    } else {
        hs->err = err_of_verify(X509_STORE_CTX_get_error(ctx));
        hs->reason = X509_verify_cert_error_string(X509_STORE_CTX_get_error(ctx));
    }
    if (hs->err != SP_OK)
        keep_subject(hs, X509_STORE_CTX_get0_cert(ctx));
    X509_STORE_CTX_set0_verified_chain(ctx, NULL);
    return hs->err == SP_OK ? 1 : 0;
}

/* ---- The end ---- */

/* A session is of these rules, or it would not have been resumed; a certificate that they require
 * is there all the same, or nobody gets in. */
enum sp_err tls_client_auth_judge(struct tls_handshake *hs)
{
    SSL *ssl = hs->vc->ssl;
    enum sp_err err = SP_OK;
    X509 *cert;

    if (hs->trust == NULL || hs->identity != NULL)
        return SP_OK;
    cert = SSL_get0_peer_certificate(ssl);
    if (cert == NULL && hs->trust->mode == CLIENT_AUTH_REQUIRE)
        return SP_TLS_CLIENT_CERT_MISSING;
    if (cert != NULL && SSL_get_verify_result(ssl) != X509_V_OK)
        return SP_TLS_CLIENT_CERT_REFUSED;
    hs->identity = client_identity_new(hs->trust, cert, NULL, &err);
    return err == SP_LIMIT ? SP_TLS_CLIENT_CERT_REFUSED : err;
}

void tls_client_auth_end(const struct tls_handshake *hs)
{
    SSL *ssl = hs->vc->ssl;

    if (hs->trust == NULL)
        return;
    if (hs->identity != NULL && hs->identity->fingerprint.len > 0)
        METRIC_INC(tls_certificates_verified);
    SSL_set0_CA_list(ssl, NULL);
    (void)SSL_set0_verify_cert_store(ssl, NULL);
}
