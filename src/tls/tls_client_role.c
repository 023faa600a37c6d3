/* The handshake of an outgoing connection: begins where a server's has the ClientHello behind it,
 * and ends when the server's certificate and the protocol that it chose are what was asked for. */
#include "tls_client_role.h"

#include "ssl_client_internal.h"
#include "tls_client_hello.h"
#include "tls_role.h"
#include "tls_thread.h"

#include <sallyport/base/log.h>

#include <openssl/err.h>
#include <openssl/x509_vfy.h>

#include <inttypes.h>
#include <string.h>

static void client_begin(struct tls_handshake *hs)
{
    (void)hs;
    METRIC_INC(tls_client_handshakes_started);
}

static SSL *new_ssl(const struct ssl_client *client)
{
    SSL *ssl = SSL_new(client->ctx);

    if (ssl == NULL)
        return NULL;
    SSL_set_connect_state(ssl);
    if (client->name[0] == '\0' || client->name_is_address ||
        SSL_set_tlsext_host_name(ssl, (char *)(uintptr_t)client->name) == 1)
        return ssl;
    SSL_free(ssl);
    return NULL;
}

/* A session that cannot be had is no misfortune: then the handshake is a full one. */
static void offer_session(struct ssl_client *client, const struct ssl_net_vconnection *vc, SSL *ssl)
{
    SSL_SESSION *session = tls_sessions_take(&client->sessions, vc->super.thread->id);

    if (session == NULL)
        return;
    if (SSL_set_session(ssl, session) != 1)
        ERR_clear_error();
    SSL_SESSION_free(session);
}

static SSL *client_ssl_new(struct tls_handshake *hs)
{
    struct ssl_client *client = hs->vc->client;
    SSL *ssl = new_ssl(client);

    if (ssl != NULL)
        offer_session(client, hs->vc, ssl);
    return ssl;
}

int tls_client_on_session(SSL *ssl, SSL_SESSION *session)
{
    struct ssl_net_vconnection *vc = ssl_net_vc_of_ssl(ssl);

    tls_sessions_put(&vc->client->sessions, vc->super.thread->id, session);
    return 1;
}

/* ---- Is it the right server? ---- */

static enum sp_err err_of_verify(int error)
{
    switch (error) {
    case X509_V_ERR_CERT_HAS_EXPIRED:
    case X509_V_ERR_CERT_NOT_YET_VALID: return SP_TLS_CERT_EXPIRED;
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
    case X509_V_ERR_CERT_UNTRUSTED: return SP_TLS_CERT_UNKNOWN_CA;
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH: return SP_TLS_CERT_NAME;
    case X509_V_ERR_OUT_OF_MEM: return SP_NOMEM;
    default: return SP_TLS_CERT_REFUSED;
    }
}

/* The first thing that is wrong ends it; whose certificate it was is kept for the log. */
int tls_client_on_verify(int ok, X509_STORE_CTX *store)
{
    SSL *ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
    struct tls_handshake *hs = ssl_net_vc_of_ssl(ssl)->hs;
    X509 *cert = X509_STORE_CTX_get_current_cert(store);
    int error = X509_STORE_CTX_get_error(store);

    if (ok == 1)
        return 1;
    hs->err = err_of_verify(error);
    hs->reason = X509_verify_cert_error_string(error);
    if (cert != NULL &&
        X509_NAME_oneline(X509_get_subject_name(cert), hs->text, (int)sizeof(hs->text)) != NULL)
        hs->text_len = (uint8_t)strnlen(hs->text, sizeof(hs->text));
    return 0;
}

/* RFC 7301 3.1: the server's answer names one of the protocols that were offered. Not every
 * version of the library checks it. */
static enum sp_err client_judge(struct tls_handshake *hs)
{
    const struct ssl_client *client = hs->vc->client;
    const unsigned char *p = NULL;
    unsigned len = 0;
    struct view chosen;

    SSL_get0_alpn_selected(hs->vc->ssl, &p, &len);
    chosen = (struct view){(const char *)p, len};
    if (len == 0) {
        hs->reason = "the server chose no protocol";
        return client->alpn_required ? SP_TLS_ALPN : SP_OK;
    }
    if ((client->alpn & ALPN_H2) != 0 && view_eq(chosen, VIEW("h2")))
        return SP_OK;
    if ((client->alpn & ALPN_HTTP11) != 0 && view_eq(chosen, VIEW("http/1.1")))
        return SP_OK;
    hs->reason = "the server chose a protocol that was not offered";
    return SP_TLS_ALPN;
}

/* ---- The end ---- */

static void client_finish(struct tls_handshake *hs)
{
    if (hs->vc->resumed)
        METRIC_INC(tls_client_handshakes_resumed);
    else
        METRIC_INC(tls_client_handshakes_full);
}

static void count_failure(enum sp_err err)
{
    METRIC_INC(tls_client_handshakes_failed);
    switch ((int)err) {
    case SP_TLS_CERT_EXPIRED:
    case SP_TLS_CERT_UNKNOWN_CA:
    case SP_TLS_CERT_NAME:
    case SP_TLS_CERT_REFUSED: METRIC_INC(tls_client_failed_certificate); break;
    case SP_TLS_ALPN: METRIC_INC(tls_client_failed_alpn); break;
    case SP_TLS_TIMEOUT: METRIC_INC(tls_client_failed_timeout); break;
    default: break;
    }
}

/* SP_OK: its user closed it, for reasons of its own. */
static void client_failed(const struct ssl_net_vconnection *vc, enum sp_err err)
{
    const struct tls_handshake *hs = vc->hs;
    struct view certificate = {NULL, 0};
    const char *reason = hs == NULL || hs->reason == NULL ? sp_err_text(err) : hs->reason;
    char server[ENDPOINT_TEXT_MAX], text[300];

    if (err == SP_OK || err == SP_SHUTTING_DOWN)
        return;
    count_failure(err);
    if (hs != NULL)
        certificate = (struct view){hs->text, hs->text_len};
    LOG_LIMITED(TLS, WARN,
                "vc=%" PRIu64 " server=%s name=\"%s\" certificate=\"%s\" err=%s alert_sent=%d "
                "alert_received=%d reason=\"%s\"",
                vc->super.id, ip_endpoint_format(&vc->super.remote, server, sizeof(server)),
                vc->client->name, log_escape(text, sizeof(text), certificate), sp_err_label(err),
                hs == NULL ? -1 : hs->alert_sent, hs == NULL ? -1 : hs->alert_received, reason);
}

/* The library takes a session for spoilt whose connection had no close_notify; so it was with
 * SSL 3.0, and is not since RFC 5246 7.2.1. After a fatal alert it is, and has been dropped then.
 */
static void client_release(struct ssl_net_vconnection *vc)
{
    if (vc->ssl != NULL)
        SSL_set_shutdown(vc->ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
    tls_client_unref(&vc->client->super);
}

static bool client_last_flight_waits(const struct ssl_net_vconnection *vc)
{
    (void)vc; /* the server is waiting for our Finished */
    return false;
}

static struct io_result client_refuse(struct tls_handshake *hs, struct tls_thread *t,
                                      enum sp_err err)
{
    (void)t;
    return tls_hs_fail(hs, err);
}

/* Nobody asks anything of us on it. */
static bool client_serves(const struct ssl_net_vconnection *vc, struct view host)
{
    (void)vc;
    (void)host;
    return false;
}

const struct tls_role tls_client_role = {
    .first = TLS_HS_NEGOTIATE,
    .begin = client_begin,
    .ssl_new = client_ssl_new,
    .refuse = client_refuse,
    .judge = client_judge,
    .last_flight_waits = client_last_flight_waits,
    .finish = client_finish,
    .failed = client_failed,
    .serves = client_serves,
    .release = client_release,
};
