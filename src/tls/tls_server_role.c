/* The handshake of an accepted connection: who is there, is it their turn, and what OpenSSL cannot
 * know of the end. */
#include "tls_server_role.h"

#include "client_trust.h"
#include "handshake_log_internal.h"
#include "ssl_port_internal.h"
#include "tls_client_auth.h"
#include "tls_early.h"
#include "tls_first_bytes.h"
#include "tls_hello_kind.h"
#include "tls_role.h"
#include "tls_thread.h"

#include <sallyport/base/metrics.h>

#include <sys/socket.h>

/* How long the peer may take to read the answer to plain HTTP, or what is wrong with its
 * certificate, and leave. */
#define LINGER_MS 1000

/* The answer, the end of our stream, and then nothing but to wait for the end of theirs: closing
 * now would reset the connection for what they still send, and the answer with it. */
static struct io_result answer_plain_http(struct tls_handshake *hs, struct tls_thread *t)
{
    struct ssl_net_vconnection *vc = hs->vc;
    struct iovec iov = {vc->port->answer, vc->port->answer_len};

    tls_in_drop(t);
    if (iov.iov_len == 0 || net_vc_socket_sendv(&vc->super, &iov, 1).status != IO_OK)
        return tls_hs_fail(hs, SP_TLS_PLAIN_HTTP);
    (void)shutdown(vc->super.fd, SHUT_WR);
    tls_handshake_abandon(vc, SP_TLS_PLAIN_HTTP);
    net_vc_set_active_timeout(&vc->super, LINGER_MS);
    tls_hs_enter(hs, TLS_HS_LINGER);
    return (struct io_result){.status = IO_OK};
}

/* Not enough yet. A socket that was not read dry is asked again at once: where the peer has ended
 * its stream, no event will tell. */
static struct io_result more_of_hello(struct tls_handshake *hs, struct io_result r)
{
    if (r.status == IO_EOF)
        return tls_hs_fail(hs, SP_TLS_GONE);
    if (r.status == IO_OK && !r.drained)
        return (struct io_result){.status = IO_OK};
    return IO_RESULT_WANT(IO_WANT_READ);
}

/* Only a whole ClientHello waits for a turn: nobody gets one and then lets us wait. */
static struct io_result hello_arrived(struct tls_handshake *hs, struct io_result r,
                                      struct view bytes)
{
    struct net_vconnection *vc = &hs->vc->super;

    switch (tls_hello_kind(bytes)) {
    case TLS_HELLO_MORE: return more_of_hello(hs, r);
    case TLS_HELLO_FULL: vc->turn.kind = HANDSHAKE_FULL; break;
    case TLS_HELLO_RESUMES: vc->turn.kind = HANDSHAKE_RESUMED; break;
    }
    tls_hs_enter(hs, TLS_HS_TURN);
    return (struct io_result){.status = IO_OK};
}

struct io_result tls_server_turn(struct tls_handshake *hs, struct tls_thread *t)
{
    if (!hs->vc->super.turn_granted)
        return (struct io_result){.status = IO_WANT_TURN, .drained = t->in_dry};
    hs->hello = kept_hello_new((struct view){(const char *)t->in, t->in_left});
    tls_hs_enter(hs, TLS_HS_NEGOTIATE);
    return (struct io_result){.status = IO_OK};
}

struct io_result tls_server_wait_hello(struct tls_handshake *hs, struct tls_thread *t)
{
    struct view bytes;
    struct io_result r = tls_in_peek(t, &bytes);

    hs->got_bytes = bytes.len > 0;
    if (r.status == IO_ERROR)
        return tls_hs_fail(hs, r.err);
    switch (tls_first_bytes(bytes)) {
    case TLS_FIRST_HELLO: return hello_arrived(hs, r, bytes);
    case TLS_FIRST_HTTP: return answer_plain_http(hs, t);
    case TLS_FIRST_OTHER: tls_in_drop(t); return tls_hs_fail(hs, SP_TLS_NOT_TLS);
    case TLS_FIRST_MORE: return more_of_hello(hs, r);
    }
    return (struct io_result){.status = IO_OK};
}

static bool is_about_certificate(enum sp_err err)
{
    return err == SP_TLS_CLIENT_CERT_MISSING || err == SP_TLS_CLIENT_CERT_UNKNOWN_CA ||
           err == SP_TLS_CLIENT_CERT_EXPIRED || err == SP_TLS_CLIENT_CERT_REVOKED ||
           err == SP_TLS_CLIENT_CERT_REFUSED;
}

/* In TLS 1.3 a client has finished, and its first request is on the way, before anybody looks at
 * its certificate: closing on unread bytes would reset the connection, and the alert would be lost
 * that tells a person what to do. */
static struct io_result server_refuse(struct tls_handshake *hs, struct tls_thread *t,
                                      enum sp_err err)
{
    struct ssl_net_vconnection *vc = hs->vc;

    if (!is_about_certificate(err) || tls_out_flush(t) != SP_OK || tls_out_left(t) > 0)
        return tls_hs_fail(hs, err);
    tls_in_drop(t);
    (void)shutdown(vc->super.fd, SHUT_WR);
    tls_handshake_abandon(vc, err);
    hs->err = err;
    net_vc_set_active_timeout(&vc->super, LINGER_MS);
    tls_hs_enter(hs, TLS_HS_LINGER);
    return (struct io_result){.status = IO_OK};
}

/* Reads on until the socket is dry, which is what edge-triggered polling asks for. */
struct io_result tls_server_linger(struct tls_handshake *hs, struct tls_thread *t)
{
    struct view bytes;
    struct io_result r;

    do {
        r = tls_in_peek(t, &bytes);
        tls_in_drop(t);
    } while (r.status == IO_OK && !t->in_dry);
    if (r.status == IO_EOF || r.status == IO_ERROR)
        return tls_hs_fail(hs, hs->err != SP_OK ? hs->err : SP_TLS_PLAIN_HTTP);
    return IO_RESULT_WANT(IO_WANT_READ);
}

/* ---- The role ---- */

static void server_begin(struct tls_handshake *hs)
{
    (void)hs;
    METRIC_INC(tls_handshakes_started);
}

/* Since TLS 1.3 the handshake ends with the client's Finished, and what follows are tickets. Who
 * never asks for anything needs none. */
static bool server_last_flight_waits(const struct ssl_net_vconnection *vc)
{
    return SSL_version(vc->ssl) == TLS1_3_VERSION;
}

static SSL *server_ssl_new(struct tls_handshake *hs)
{
    struct ssl_net_vconnection *vc = hs->vc;
    SSL *ssl = SSL_new(vc->port->ctx);

    if (ssl == NULL)
        return NULL;
    METRIC_OBSERVE(tls_handshake_wait_ms, vc->wait_us / 1000);
    SSL_set_accept_state(ssl);
    hs->store = ssl_port_store(vc->port);
    hs->looks_for_early = vc->port->early != NULL;
    return ssl;
}

/* All else the callbacks have refused. */
static enum sp_err server_judge(struct tls_handshake *hs)
{
    return tls_client_auth_judge(hs);
}

/* Of the bundle only the name is kept: a reload frees its certificates although this connection
 * goes on for days. */
static void server_finish(struct tls_handshake *hs)
{
    if (hs->vc->bundle == NULL) /* else it was used early */
        hs->vc->bundle = tls_label_ref(hs->bundle->name);
    (void)SSL_set_tlsext_status_ocsp_resp(hs->vc->ssl, NULL, 0); /* the staple goes, too */
    hs->vc->policy = client_trust_policy(hs->trust);
    hs->vc->identity = client_identity_ref(hs->identity);
    tls_client_auth_end(hs);
    cert_bundle_count(hs->bundle, hs->vc->resumed ? CERT_HANDSHAKE_RESUMED : CERT_HANDSHAKE_FULL);
    tls_early_count(hs);
    tls_server_count(hs->vc);
}

static bool server_serves(const struct ssl_net_vconnection *vc, struct view host)
{
    return ssl_port_serves(vc->port, vc->policy, host);
}

/* The port is the listener's, and the base lets go of that. */
static void server_release(struct ssl_net_vconnection *vc)
{
    (void)vc;
}

const struct tls_role tls_server_role = {
    .first = TLS_HS_WAIT_HELLO,
    .begin = server_begin,
    .ssl_new = server_ssl_new,
    .refuse = server_refuse,
    .judge = server_judge,
    .last_flight_waits = server_last_flight_waits,
    .finish = server_finish,
    .failed = tls_server_failed,
    .serves = server_serves,
    .release = server_release,
};
