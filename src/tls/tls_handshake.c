#include "tls_handshake.h"

#include "ssl_port_internal.h"
#include "tls_error.h"
#include "tls_first_bytes.h"
#include "tls_hello_kind.h"
#include "tls_thread.h"

#include <sallyport/base/log.h>

#include <inttypes.h>
#include <stdlib.h>
#include <sys/socket.h>

/* How long the peer may take to read the answer to plain HTTP and leave. */
#define LINGER_MS 1000

static const unsigned next_states[] = {
#define X(name, next) [TLS_HS_##name] = (next),
    TLS_HS_STATES(X)
#undef X
};
static const char *const state_names[] = {
#define X(name, next) [TLS_HS_##name] = #name,
    TLS_HS_STATES(X)
#undef X
};

const char *tls_hs_state_name(enum tls_hs_state state)
{
    return state_names[state];
}

static void enter(struct tls_handshake *hs, enum tls_hs_state next)
{
    SP_ASSERT((next_states[hs->state] & 1U << next) != 0);
    LOG_TRACE(TLS, "vc=%" PRIu64 " handshake=%s", hs->vc->super.id, state_names[next]);
    hs->state = next;
}

static struct tls_handshake *handshake_new(struct ssl_net_vconnection *vc)
{
    struct tls_handshake *hs = calloc(1, sizeof(*hs));

    if (hs == NULL)
        return NULL;
    hs->vc = vc;
    hs->alert_sent = hs->alert_received = -1;
    METRIC_INC(tls_handshakes_started);
    return hs;
}

void tls_handshake_free(struct tls_handshake *hs)
{
    if (hs == NULL)
        return;
    cert_store_unref(hs->store);
    free(hs);
}

static void count_reason(enum sp_err err)
{
    METRIC_INC(tls_handshakes_failed);
    switch ((int)err) {
    case SP_TLS_TIMEOUT: METRIC_INC(tls_handshake_timeouts); break;
    case SP_TLS_PLAIN_HTTP: METRIC_INC(tls_plain_http); break;
    case SP_TLS_NOT_TLS: METRIC_INC(tls_failed_not_tls); break;
    case SP_TLS_VERSION: METRIC_INC(tls_failed_version); break;
    case SP_TLS_CIPHER: METRIC_INC(tls_failed_cipher); break;
    case SP_TLS_SNI: METRIC_INC(tls_failed_sni); break;
    case SP_TLS_ALPN: METRIC_INC(tls_failed_alpn); break;
    case SP_TLS_ALERT: METRIC_INC(tls_failed_alert); break;
    case SP_TLS_PROTOCOL: METRIC_INC(tls_failed_protocol); break;
    case SP_TLS_GONE:
    case SP_PEER_RESET: METRIC_INC(tls_failed_gone); break;
    default: METRIC_INC(tls_failed_other); break;
    }
}

static void log_failure(const struct ssl_net_vconnection *vc, enum sp_err err)
{
    const struct tls_handshake *hs = vc->hs;
    struct view sni = hs == NULL ? (struct view){NULL, 0} : (struct view){hs->sni, hs->sni_len};
    const char *reason = hs == NULL || hs->reason == NULL ? sp_err_text(err) : hs->reason;
    char peer[ENDPOINT_TEXT_MAX], name[128];

    LOG_LIMITED(TLS, INFO,
                "vc=%" PRIu64 " peer=%s sni=\"%s\" err=%s alert_sent=%d alert_received=%d "
                "reason=\"%s\"",
                vc->super.id, ip_endpoint_format(&vc->super.remote, peer, sizeof(peer)),
                log_escape(name, sizeof(name), sni), sp_err_label(err),
                hs == NULL ? -1 : hs->alert_sent, hs == NULL ? -1 : hs->alert_received, reason);
}

/* Who connects and leaves without a byte is a health check or a scanner: counted, not logged. */
void tls_handshake_abandon(struct ssl_net_vconnection *vc, enum sp_err err)
{
    bool silent = vc->hs == NULL || !vc->hs->got_bytes;

    if (vc->handshake_counted)
        return;
    vc->handshake_counted = true;
    if (err == SP_OK)
        err = SP_TLS_GONE;
    count_reason(err);
    if (silent && err == SP_TLS_GONE) {
        LOG_DEBUG(TLS, "vc=%" PRIu64 " err=tls_gone no byte was received", vc->super.id);
        return;
    }
    log_failure(vc, err);
}

static struct io_result fail(struct tls_handshake *hs, enum sp_err err)
{
    enter(hs, TLS_HS_FAILED);
    return IO_RESULT_ERROR(err);
}

/* The answer, the end of our stream, and then nothing but to wait for the end of theirs: closing
 * now would reset the connection for what they still send, and the answer with it. */
static struct io_result answer_plain_http(struct tls_handshake *hs, struct tls_thread *t)
{
    struct ssl_net_vconnection *vc = hs->vc;
    struct iovec iov = {vc->port->answer, vc->port->answer_len};

    tls_in_drop(t);
    if (iov.iov_len == 0 || net_vc_socket_sendv(&vc->super, &iov, 1).status != IO_OK)
        return fail(hs, SP_TLS_PLAIN_HTTP);
    (void)shutdown(vc->super.fd, SHUT_WR);
    tls_handshake_abandon(vc, SP_TLS_PLAIN_HTTP);
    net_vc_set_active_timeout(&vc->super, LINGER_MS);
    enter(hs, TLS_HS_LINGER);
    return (struct io_result){.status = IO_OK};
}

/* Not enough yet. A socket that was not read dry is asked again at once: where the peer has ended
 * its stream, no event will tell. */
static struct io_result more_of_hello(struct tls_handshake *hs, struct io_result r)
{
    if (r.status == IO_EOF)
        return fail(hs, SP_TLS_GONE);
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
    enter(hs, TLS_HS_TURN);
    return (struct io_result){.status = IO_OK};
}

static struct io_result turn(struct tls_handshake *hs, struct tls_thread *t)
{
    if (!hs->vc->super.turn_granted)
        return (struct io_result){.status = IO_WANT_TURN, .drained = t->in_dry};
    enter(hs, TLS_HS_NEGOTIATE);
    return (struct io_result){.status = IO_OK};
}

static struct io_result wait_hello(struct tls_handshake *hs, struct tls_thread *t)
{
    struct view bytes;
    struct io_result r = tls_in_peek(t, &bytes);

    hs->got_bytes = bytes.len > 0;
    if (r.status == IO_ERROR)
        return fail(hs, r.err);
    switch (tls_first_bytes(bytes)) {
    case TLS_FIRST_HELLO: return hello_arrived(hs, r, bytes);
    case TLS_FIRST_HTTP: return answer_plain_http(hs, t);
    case TLS_FIRST_OTHER: tls_in_drop(t); return fail(hs, SP_TLS_NOT_TLS);
    case TLS_FIRST_MORE: return more_of_hello(hs, r);
    }
    return (struct io_result){.status = IO_OK};
}

/* Reads on until the socket is dry, which is what edge-triggered polling asks for. */
static struct io_result linger(struct tls_handshake *hs, struct tls_thread *t)
{
    struct view bytes;
    struct io_result r;

    do {
        r = tls_in_peek(t, &bytes);
        tls_in_drop(t);
    } while (r.status == IO_OK && !t->in_dry);
    if (r.status == IO_EOF || r.status == IO_ERROR)
        return fail(hs, SP_TLS_PLAIN_HTTP);
    return IO_RESULT_WANT(IO_WANT_READ);
}

/* Here, and not before, a connection begins to cost memory and arithmetic. */
static bool ssl_start(struct tls_handshake *hs, struct tls_thread *t)
{
    struct ssl_net_vconnection *vc = hs->vc;

    vc->ssl = SSL_new(vc->port->ctx);
    if (vc->ssl == NULL)
        return false;
    vc->wait_us = (uint32_t)(clock_mono_ns() / 1000 - vc->super.turn.arrived_us);
    METRIC_OBSERVE(tls_handshake_wait_ms, vc->wait_us / 1000);
    SSL_set_accept_state(vc->ssl);
    tls_thread_join(vc, t);
    hs->store = ssl_port_store(vc->port);
    return true;
}

static struct io_result negotiate(struct tls_handshake *hs, struct tls_thread *t)
{
    struct ssl_net_vconnection *vc = hs->vc;
    struct io_result r;

    if (vc->ssl == NULL && !ssl_start(hs, t))
        return fail(hs, tls_error_take().err == SP_NOMEM ? SP_NOMEM : SP_TLS_INTERNAL);
    if (SSL_do_handshake(vc->ssl) == 1) {
        enter(hs, TLS_HS_FLUSH);
        return (struct io_result){.status = IO_OK};
    }
    r = tls_result(t, &hs->reason);
    if (r.status == IO_WANT_READ || r.status == IO_WANT_WRITE)
        return r;
    if (hs->err != SP_OK) {
        hs->reason = NULL; /* "callback failed" */
        return fail(hs, hs->err);
    }
    /* The stream's end, clean or not, means the same before there is a stream. */
    if (r.status == IO_EOF || r.err == SP_TLS_TRUNCATED)
        return fail(hs, SP_TLS_GONE);
    return fail(hs, r.err);
}

/* The last flight has to be gone before somebody else writes. */
static struct io_result flush(struct tls_handshake *hs, struct tls_thread *t)
{
    if (tls_out_flush(t) != SP_OK)
        return fail(hs, hs->vc->broken);
    if (tls_out_left(t) > 0)
        return IO_RESULT_WANT(IO_WANT_WRITE);
    enter(hs, TLS_HS_DONE);
    return (struct io_result){.status = IO_OK, .drained = t->in_dry};
}

typedef struct io_result (*step_fn)(struct tls_handshake *hs, struct tls_thread *t);
static const step_fn steps[] = {
    [TLS_HS_WAIT_HELLO] = wait_hello, [TLS_HS_TURN] = turn,     [TLS_HS_NEGOTIATE] = negotiate,
    [TLS_HS_FLUSH] = flush,           [TLS_HS_LINGER] = linger,
};

static struct io_result run(struct tls_handshake *hs, struct tls_thread *t)
{
    struct io_result r = {.status = IO_OK};

    /* A flight that the socket did not take goes first: until it is gone the peer has nothing to
     * answer. */
    if (tls_out_left(t) > 0 && tls_out_flush(t) != SP_OK)
        return fail(hs, hs->vc->broken);
    if (tls_out_left(t) > 0)
        return IO_RESULT_WANT(IO_WANT_WRITE);
    while (r.status == IO_OK && hs->state < TLS_HS_DONE)
        r = steps[hs->state](hs, t);
    return r;
}

/* Nothing of the handshake stays, and nothing of the store: a reload frees its certificates
 * although this connection goes on for days. */
static void finish(struct ssl_net_vconnection *vc)
{
    struct tls_handshake *hs = vc->hs;

    vc->resumed = SSL_session_reused(vc->ssl) == 1;
    vc->handshake_us = (uint32_t)(hs->spent_ns / 1000);
    vc->bundle = tls_label_ref(hs->bundle->name);
    vc->handshake_counted = true;
    if (vc->resumed) {
        METRIC_INC(tls_handshakes_resumed);
        METRIC_ADD(tls_handshake_resumed_us, vc->handshake_us);
    } else {
        METRIC_INC(tls_handshakes_full);
        METRIC_ADD(tls_handshake_full_us, vc->handshake_us);
    }
    SSL_certs_clear(vc->ssl);
    tls_handshake_free(hs);
    vc->hs = NULL;
}

struct io_result tls_handshake_advance(struct ssl_net_vconnection *vc)
{
    struct tls_thread *t;
    struct io_result r;
    int64_t began_ns = clock_thread_cpu_ns();

    if (vc->hs == NULL)
        vc->hs = handshake_new(vc);
    t = vc->hs == NULL ? NULL : tls_step_begin(vc, TLS_IN_MIN_BYTES);
    if (t == NULL)
        return IO_RESULT_ERROR(SP_NOMEM);
    r = run(vc->hs, t);
    r = tls_step_end(t, r);
    vc->hs->spent_ns += clock_thread_cpu_ns() - began_ns;
    if (r.status == IO_OK)
        finish(vc);
    else if (r.status == IO_ERROR)
        tls_handshake_abandon(vc, r.err);
    else if (r.status == IO_WANT_READ && tls_spill_left(&vc->out) > 0)
        r = IO_RESULT_WANT(IO_WANT_WRITE);
    return r;
}
