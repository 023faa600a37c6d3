#include "tls_handshake.h"

#include "cert_bundle.h"
#include "tls_early.h"
#include "tls_error.h"
#include "tls_role.h"
#include "tls_server_role.h"
#include "tls_thread.h"

#include <sallyport/base/log.h>

#include <inttypes.h>
#include <stdlib.h>

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

void tls_hs_enter(struct tls_handshake *hs, enum tls_hs_state next)
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
    hs->state = vc->role->first;
    hs->alert_sent = hs->alert_received = -1;
    vc->role->begin(hs);
    return hs;
}

void tls_handshake_free(struct tls_handshake *hs)
{
    if (hs == NULL)
        return;
    client_identity_unref(hs->identity); /* before the store, which has the trust */
    cert_store_unref(hs->store);
    free(hs->certificate);
    tls_spill_clear(&hs->early);
    free(hs->hello);
    free(hs);
}

struct io_result tls_hs_fail(struct tls_handshake *hs, enum sp_err err)
{
    tls_hs_enter(hs, TLS_HS_FAILED);
    return IO_RESULT_ERROR(err);
}

/* Here, and not before, a connection begins to cost memory and arithmetic. */
static bool ssl_start(struct tls_handshake *hs, struct tls_thread *t)
{
    struct ssl_net_vconnection *vc = hs->vc;

    vc->wait_us = (uint32_t)(clock_mono_ns() / 1000 - vc->super.turn.arrived_us);
    vc->ssl = vc->role->ssl_new(hs);
    if (vc->ssl == NULL)
        return false;
    tls_thread_join(vc, t);
    return true;
}

/* OpenSSL has no more to ask; the role may have. */
static struct io_result negotiated(struct tls_handshake *hs)
{
    enum sp_err err = hs->vc->role->judge(hs);

    if (err != SP_OK)
        return tls_hs_fail(hs, err);
    tls_hs_enter(hs, TLS_HS_FLUSH);
    return (struct io_result){.status = IO_OK};
}

enum progress { STOPPED, OVER, USABLE_EARLY, OUT_OF_MEMORY };

static enum progress work(struct tls_handshake *hs, struct tls_thread *t)
{
    if (hs->looks_for_early) {
        switch (tls_early_look(hs, t)) {
        case TLS_EARLY_OVER: break;
        case TLS_EARLY_USABLE: return USABLE_EARLY;
        case TLS_EARLY_STOPPED: return STOPPED;
        case TLS_EARLY_NOMEM: return OUT_OF_MEMORY;
        }
    }
    return SSL_do_handshake(hs->vc->ssl) == 1 ? OVER : STOPPED;
}

/* All that costs arithmetic. Asking for the thread's own time is a system call. */
static enum progress do_handshake(struct tls_handshake *hs, struct tls_thread *t)
{
    int64_t began_ns = clock_thread_cpu_ns();
    enum progress progress = work(hs, t);

    hs->spent_ns += clock_thread_cpu_ns() - began_ns;
    return progress;
}

static struct io_result negotiate(struct tls_handshake *hs, struct tls_thread *t)
{
    struct ssl_net_vconnection *vc = hs->vc;
    const char *reason = NULL;
    struct io_result r;

    if (vc->ssl == NULL && !ssl_start(hs, t))
        return tls_hs_fail(hs, tls_error_take().err == SP_NOMEM ? SP_NOMEM : SP_TLS_INTERNAL);
    switch (do_handshake(hs, t)) {
    case OVER: return negotiated(hs);
    case USABLE_EARLY: tls_hs_enter(hs, TLS_HS_FLUSH); return (struct io_result){.status = IO_OK};
    case OUT_OF_MEMORY: return tls_hs_fail(hs, SP_NOMEM);
    case STOPPED: break;
    }
    r = tls_result(t, &reason);
    if (r.status == IO_WANT_READ || r.status == IO_WANT_WRITE)
        return r;
    if (hs->err != SP_OK) /* a callback refused, and OpenSSL only knows that it did */
        return vc->role->refuse(hs, t, hs->err);
    hs->reason = reason;
    /* The stream's end, clean or not, means the same before there is a stream. */
    if (r.status == IO_EOF || r.err == SP_TLS_TRUNCATED)
        return tls_hs_fail(hs, SP_TLS_GONE);
    return vc->role->refuse(hs, t, r.err);
}

static struct io_result done(struct tls_handshake *hs, const struct tls_thread *t)
{
    tls_hs_enter(hs, TLS_HS_DONE);
    return (struct io_result){.status = IO_OK, .drained = t->in_dry};
}

/* The last flight has to be gone before somebody else writes, unless it can go together with that.
 */
static struct io_result flush(struct tls_handshake *hs, struct tls_thread *t)
{
    if (hs->vc->super.early == NULL && hs->vc->role->last_flight_waits(hs->vc)) {
        t->keep_out = hs->vc->out_may_wait = true;
        return done(hs, t);
    }
    if (tls_out_flush(t) != SP_OK)
        return tls_hs_fail(hs, hs->vc->broken);
    if (tls_out_left(t) > 0)
        return IO_RESULT_WANT(IO_WANT_WRITE);
    return done(hs, t);
}

typedef struct io_result (*step_fn)(struct tls_handshake *hs, struct tls_thread *t);
static const step_fn steps[] = {
    [TLS_HS_WAIT_HELLO] = tls_server_wait_hello,
    [TLS_HS_TURN] = tls_server_turn,
    [TLS_HS_NEGOTIATE] = negotiate,
    [TLS_HS_FLUSH] = flush,
    [TLS_HS_LINGER] = tls_server_linger,
};

static struct io_result run(struct tls_handshake *hs, struct tls_thread *t)
{
    struct io_result r = {.status = IO_OK};

    /* A flight that the socket did not take goes first: until it is gone the peer has nothing to
     * answer. */
    if (tls_out_left(t) > 0 && tls_out_flush(t) != SP_OK)
        return tls_hs_fail(hs, hs->vc->broken);
    if (tls_out_left(t) > 0)
        return IO_RESULT_WANT(IO_WANT_WRITE);
    while (r.status == IO_OK && hs->state < TLS_HS_DONE)
        r = steps[hs->state](hs, t);
    return r;
}

void tls_handshake_abandon(struct ssl_net_vconnection *vc, enum sp_err err)
{
    if (vc->handshake_counted)
        return;
    vc->handshake_counted = true;
    vc->role->failed(vc, err);
}

/* Nothing of the handshake stays: neither its own memory, nor the certificates that it needed. */
void tls_handshake_finish(struct ssl_net_vconnection *vc)
{
    struct tls_handshake *hs = vc->hs;

    vc->resumed = SSL_session_reused(vc->ssl) == 1;
    vc->handshake_us = (uint32_t)(hs->spent_ns / 1000);
    vc->handshake_counted = true;
    vc->role->finish(hs);
    SSL_certs_clear(vc->ssl);
    tls_handshake_free(hs);
    vc->hs = NULL;
}

struct io_result tls_handshake_advance(struct ssl_net_vconnection *vc)
{
    struct tls_thread *t;
    struct io_result r;

    if (vc->hs == NULL)
        vc->hs = handshake_new(vc);
    t = vc->hs == NULL ? NULL : tls_step_begin(vc, TLS_IN_MIN_BYTES);
    if (t == NULL)
        return IO_RESULT_ERROR(SP_NOMEM);
    r = run(vc->hs, t);
    r = tls_step_end(t, r);
    if (r.status == IO_OK && vc->super.early != NULL)
        tls_early_begin(vc); /* and the rest comes later */
    else if (r.status == IO_OK)
        tls_handshake_finish(vc);
    else if (r.status == IO_ERROR)
        tls_handshake_abandon(vc, r.err);
    else if (r.status == IO_WANT_READ && tls_spill_left(&vc->out) > 0)
        r = IO_RESULT_WANT(IO_WANT_WRITE);
    return r;
}
