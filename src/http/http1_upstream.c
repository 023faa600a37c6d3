/* The life of a connection to a backend: states, steps, events, timeouts, back to the owner. */
#include "http1_upstream_internal.h"

#include <sallyport/base/log.h>

#include <inttypes.h>
#include <stdlib.h>

/* Of a connection that nobody sends a request on yet: any byte ends it. */
enum { IDLE_MARK_BYTES = 4096 };

static const uint8_t successors[] = {
#define X(name, next) [HTTP1_UPSTREAM_##name] = (uint8_t)(next),
    HTTP1_UPSTREAM_STATES(X)
#undef X
};
static const char *const state_names[] = {
#define X(name, next) [HTTP1_UPSTREAM_##name] = #name,
    HTTP1_UPSTREAM_STATES(X)
#undef X
};

void http1_upstream_enter(struct http1_upstream *up, enum http1_upstream_state next)
{
    struct net_vconnection *vc = up->stream.vc;

    SP_ASSERT((successors[up->state] >> next & 1) != 0);
    LOG_TRACE(UPSTREAM, "vc=%" PRIu64 " state=%s next=%s", vc->id, state_names[up->state],
              state_names[next]);
    ethread_timer_cancel(vc->thread, &up->timer);
    up->state = (uint8_t)next;
}

void http1_upstream_cut(struct http1_upstream *up, enum vc_close how)
{
    struct net_vconnection *vc = up->stream.vc;

    if (vc == NULL)
        return;
    http1_upstream_enter(up, HTTP1_UPSTREAM_CLOSED);
    ethread_timer_cancel(vc->thread, &up->wake);
    up->super.vc = up->stream.vc = NULL; /* its memory is the reaper's from here */
    net_vc_do_io_close(vc, how);
    iobuf_clear(&up->in);
    iobuf_clear(&up->out);
}

/* ---- Timeouts ---- */

/* Must something move on the connection? Not while we wait for our own client, and a complete
 * request has the response's deadline instead. */
static bool must_move(const struct http1_upstream *up)
{
    switch ((enum http1_upstream_state)up->state) {
    case HTTP1_UPSTREAM_AWAIT: return up->out.len > 0;
    case HTTP1_UPSTREAM_BODY: return up->out.len > 0 || !up->paused;
    case HTTP1_UPSTREAM_TUNNEL:
    case HTTP1_UPSTREAM_FLUSH: return true;
    case HTTP1_UPSTREAM_IDLE:
    case HTTP1_UPSTREAM_DONE:
    case HTTP1_UPSTREAM_CLOSED: break;
    }
    return false;
}

void http1_upstream_retime(struct http1_upstream *up)
{
    struct net_vconnection *vc = up->stream.vc;
    bool timed;

    if (vc == NULL || up->state == HTTP1_UPSTREAM_IDLE)
        return;
    timed = must_move(up);
    if (up->timed != (uint8_t)timed) {
        up->timed = timed;
        net_vc_set_inactivity_timeout(vc, timed ? up->options.idle_timeout_ms : 0);
    }
    if (up->state == HTTP1_UPSTREAM_AWAIT && up->out.len == 0 && !timer_is_armed(&up->timer) &&
        (http1_upstream_has_request(up) || up->send_broken))
        ethread_timer_arm_in(vc->thread, &up->timer, up->options.response_timeout_ms);
}

/* ---- The end of an exchange ---- */

/* RFC 9112 9.3: may the next request follow on this connection? Whatever came behind the response
 * would be taken for the next one. */
static bool is_reusable(const struct http1_upstream *up)
{
    return up->state == HTTP1_UPSTREAM_DONE && up->keep_alive && http1_upstream_has_request(up) &&
           up->out.len == 0 && up->in.len == 0 && !up->peer_ended && !up->send_broken &&
           up->trouble == HTTP_ERROR_NONE;
}

static void drop_exchange(struct http1_upstream *up)
{
    iobuf_unpin(up->pin);
    up->pin = NULL;
    arena_fini(&up->stream.arena);
}

static void gone(struct http1_upstream *up)
{
    /* A request that is not whole must not look so. */
    http1_upstream_cut(up, http1_upstream_has_request(up) ? VC_CLOSE_CLEAN : VC_CLOSE_ABORT);
    up->super.owner->gone(up->super.owner, &up->super);
    free(up);
}

/* Both sides of the tunnel ended, but not everything was taken yet. */
static bool must_flush(const struct http1_upstream *up)
{
    return up->state == HTTP1_UPSTREAM_TUNNEL && up->stream.recv_ended && up->stream.send_ended &&
           up->out.len > 0;
}

void http1_upstream_end_exchange(struct http1_upstream *up)
{
    bool reusable = is_reusable(up);

    drop_exchange(up);
    up->super.n_exchanges = 0;
    if (must_flush(up)) {
        http1_upstream_enter(up, HTTP1_UPSTREAM_FLUSH);
        http1_upstream_retime(up);
        up->super.draining = true;
        up->super.owner->changed(up->super.owner, &up->super);
        return;
    }
    if (!reusable) {
        gone(up);
        return;
    }
    http1_upstream_enter(up, HTTP1_UPSTREAM_IDLE);
    ethread_timer_cancel(up->stream.vc->thread, &up->wake);
    net_vc_set_inactivity_timeout(up->stream.vc, 0); /* from here on it is the owner's */
    vio_reenable(&up->stream.vc->read.vio);          /* to see the backend close it */
    up->super.owner->changed(up->super.owner, &up->super);
}

/* ---- Steps ---- */

/* Whatever happens to an idle connection is its end: bytes that nobody asked for, too. */
static bool step_idle(struct http1_upstream *up)
{
    if (up->in.len > 0 || up->peer_ended || up->trouble != HTTP_ERROR_NONE)
        http1_upstream_cut(up, VC_CLOSE_CLEAN);
    return false;
}

static bool step_flush(struct http1_upstream *up)
{
    if (up->out.len == 0 || up->peer_reset || up->trouble != HTTP_ERROR_NONE)
        http1_upstream_cut(up, up->out.len == 0 ? VC_CLOSE_CLEAN : VC_CLOSE_ABORT);
    return false;
}

/* The user has heard everything: what happens to the connection is not its trouble any more. */
static bool step_done(struct http1_upstream *up)
{
    if (up->trouble != HTTP_ERROR_NONE)
        http1_upstream_cut(up, VC_CLOSE_CLEAN);
    return false;
}

static bool step_closed(struct http1_upstream *up)
{
    (void)up;
    return false;
}

static void fail(struct http1_upstream *up)
{
    struct http_stream *stream = &up->stream;
    enum http_error why = up->trouble;

    up->trouble = HTTP_ERROR_NONE;
    LOG_DEBUG(UPSTREAM, "vc=%" PRIu64 " request=%" PRIu64 " failed=%s", stream->vc->id, stream->id,
              http_error_label(why)); /* the user's line says more */
    stream->user->ops->failed(stream->user, stream, why);
    http1_upstream_cut(up, VC_CLOSE_ABORT);
}

/* No user is expected to have the stream. */
static bool is_ours(const struct http1_upstream *up)
{
    return up->state == HTTP1_UPSTREAM_IDLE || up->state == HTTP1_UPSTREAM_FLUSH;
}

static bool step(struct http1_upstream *up)
{
    static bool (*const steps[])(struct http1_upstream *) = {
        [HTTP1_UPSTREAM_IDLE] = step_idle,
        [HTTP1_UPSTREAM_AWAIT] = http1_upstream_step_await,
        [HTTP1_UPSTREAM_BODY] = http1_upstream_step_body,
        [HTTP1_UPSTREAM_TUNNEL] = http1_upstream_step_body,
        [HTTP1_UPSTREAM_DONE] = step_done,
        [HTTP1_UPSTREAM_FLUSH] = step_flush,
        [HTTP1_UPSTREAM_CLOSED] = step_closed,
    };
    struct http_stream *stream = &up->stream;

    if (is_ours(up) || up->state == HTTP1_UPSTREAM_DONE)
        return steps[up->state](up);
    if (stream->user == NULL)
        return false;
    if (up->trouble != HTTP_ERROR_NONE) {
        fail(up);
        return true;
    }
    if (up->drained) {
        up->drained = false;
        stream->user->ops->writable(stream->user, stream);
        return true;
    }
    return steps[up->state](up);
}

static size_t read_mark(const struct http1_upstream *up)
{
    if (up->paused)
        return 0; /* what nobody takes stays with the system */
    if (up->state == HTTP1_UPSTREAM_IDLE || up->state == HTTP1_UPSTREAM_DONE)
        return up->in.len > 0 ? 1 : IDLE_MARK_BYTES;
    return up->options.buffer_bytes > up->options.max_head_bytes ? up->options.buffer_bytes
                                                                 : up->options.max_head_bytes;
}

static void run(struct http1_upstream *up)
{
    struct vio *vio;

    SP_ASSERT(!up->running);
    if (up->stream.vc != NULL)
        ethread_timer_cancel(up->stream.vc->thread, &up->wake); /* this is what it was for */
    up->running = true;
    while (up->stream.vc != NULL && step(up))
        ;
    up->running = false;
    if (up->stream.user == NULL && !is_ours(up)) {
        http1_upstream_end_exchange(up);
        return;
    }
    if (up->stream.vc == NULL)
        return;
    vio = &up->stream.vc->read.vio;
    vio->mark = read_mark(up);
    http1_upstream_retime(up);
    vio_reenable(vio);
}

/* ---- Events ---- */

static void wake_due(struct timer *t)
{
    run(container_of(t, struct http1_upstream, wake));
}

void http1_upstream_wake(struct http1_upstream *up)
{
    struct net_vconnection *vc = up->stream.vc;

    if (!up->running && vc != NULL && !timer_is_armed(&up->wake))
        ethread_timer_arm_in(vc->thread, &up->wake, 0);
}

static void timer_due(struct timer *t)
{
    struct http1_upstream *up = container_of(t, struct http1_upstream, timer);

    up->trouble = HTTP_ERROR_UPSTREAM_TIMEOUT;
    run(up);
}

/* The transport took bytes. */
static void took(struct http1_upstream *up)
{
    if (!up->above || up->out.len > up->stream.queue_bound / 2)
        return;
    up->above = false;
    up->drained = true;
}

/* A backend may refuse a request and close before it has read all of it. Its answer is then still
 * to be read (RFC 9112 9.5), so a failed write alone is not the end. */
static void lost(struct http1_upstream *up, const struct vio *vio)
{
    struct net_vconnection *vc = up->stream.vc;

    if (vc->err == SP_NOMEM || vc->err == SP_SHUTTING_DOWN) {
        up->trouble = vc->err == SP_NOMEM ? HTTP_ERROR_NOMEM : HTTP_ERROR_DRAINING;
        return;
    }
    if (vio == &vc->write.vio && !vc->read_ended && up->state != HTTP1_UPSTREAM_TUNNEL) {
        up->send_broken = true;
        iobuf_clear(&up->out);
        return;
    }
    up->peer_ended = up->peer_reset = true;
}

static int upstream_event(struct continuation *c, int event, void *data)
{
    struct http1_upstream *up = container_of(c, struct http1_upstream, cont);

    switch (event) {
    case VC_EVENT_WRITE_READY: took(up); break;
    case VC_EVENT_EOS: up->peer_ended = true; break;
    case VC_EVENT_ERROR: lost(up, data); break;
    case VC_EVENT_INACTIVITY_TIMEOUT: up->trouble = HTTP_ERROR_UPSTREAM_TIMEOUT; break;
    default: break; /* READ_READY: the bytes are in the queue */
    }
    run(up);
    return EVENT_DONE;
}

/* ---- For the owner ---- */

static struct http_stream *request(struct upstream_conn *conn,
                                   const struct upstream_exchange_options *options,
                                   struct http_stream_user *user)
{
    struct http1_upstream *up = container_of(conn, struct http1_upstream, super);
    struct http_stream *stream = &up->stream;
    struct net_vconnection *vc = stream->vc;

    http1_upstream_enter(up, HTTP1_UPSTREAM_AWAIT);
    conn->n_exchanges = 1;
    up->options = *options;
    up->scan = (struct http1_head_scan){0};
    up->protocol = (struct view){0};
    up->sent_before = vc->write.vio.ndone;
    up->n_interim = 0;
    up->timed = UINT8_MAX;
    up->keep_alive = up->ended_early = up->paused = up->above = up->drained = false;
    stream->user = user;
    stream->id++;
    stream->queue_bound = options->buffer_bytes;
    stream->bytes_received = stream->bytes_sent = 0;
    stream->recv_ended = stream->send_ended = stream->head_sent = false;
    stream->reused = up->has_served;
    up->has_served = true;
    vc->read.vio.mark = read_mark(up);
    vc->write.vio.mark = stream->queue_bound / 2;
    http1_upstream_retime(up);
    return stream;
}

static void close_idle(struct upstream_conn *conn)
{
    struct http1_upstream *up = container_of(conn, struct http1_upstream, super);

    SP_ASSERT(up->state == HTTP1_UPSTREAM_IDLE && !up->running);
    http1_upstream_cut(up, VC_CLOSE_CLEAN);
    free(up);
}

static const struct upstream_conn_ops conn_ops = {
    .protocol = "HTTP/1.1", .request = request, .close = close_idle};

struct upstream_conn *http1_upstream_new(struct net_vconnection *vc,
                                         const struct upstream_conn_options *options,
                                         struct upstream_conn_owner *owner)
{
    struct http1_upstream *up = calloc(1, sizeof(*up));

    (void)options;
    if (up == NULL)
        return NULL;
    up->super = (struct upstream_conn){.ops = &conn_ops, .owner = owner, .vc = vc, .capacity = 1};
    up->stream.ops = &http1_upstream_stream_ops;
    up->stream.vc = vc;
    arena_init(&up->stream.arena);
    iobuf_init(&up->in);
    iobuf_init(&up->out);
    continuation_init(&up->cont, "http1_upstream", upstream_event);
    timer_init(&up->timer, timer_due);
    timer_init(&up->wake, wake_due);
    (void)net_vc_do_io_read(vc, &up->cont, INT64_MAX, &up->in, read_mark(up));
    (void)net_vc_do_io_write(vc, &up->cont, INT64_MAX, &up->out, 0);
    return &up->super;
}
