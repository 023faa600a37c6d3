/* The life of a client connection: states, steps, events, the end. */
#include "http1_session_internal.h"

#include <sallyport/base/log.h>
#include <sallyport/http/http1_session.h>
#include <sallyport/net/net_accept.h>

#include <inttypes.h>
#include <stdlib.h>

/* What is read of a client that we are done with, before it is cut off (RFC 9112 9.6). */
enum { LINGER_MAX_BYTES = 1024 * 1024 };

static const uint8_t successors[] = {
#define X(name, next) [HTTP1_SESSION_##name] = (uint8_t)(next),
    HTTP1_SESSION_STATES(X)
#undef X
};
static const char *const state_names[] = {
#define X(name, next) [HTTP1_SESSION_##name] = #name,
    HTTP1_SESSION_STATES(X)
#undef X
};

struct http1_limits http1_session_parser_limits(const struct http1_session *s)
{
    const struct http_limits_conf *limits = http1_session_limits(s);

    return (struct http1_limits){
        .max_head_bytes = limits->max_head_bytes,
        .max_target_bytes = limits->max_target_bytes,
        .max_fields = limits->max_fields,
        /* The empty line that ends a body without trailers is always allowed. */
        .max_trailer_bytes = limits->max_trailer_bytes < 2 ? 2 : limits->max_trailer_bytes,
    };
}

void http1_session_enter(struct http1_session *s, enum http1_session_state next)
{
    struct net_vconnection *vc = s->stream.vc;

    SP_ASSERT((successors[s->state] >> next & 1) != 0);
    LOG_TRACE(HTTP, "vc=%" PRIu64 " state=%s next=%s", vc->id, state_names[s->state],
              state_names[next]);
    ethread_timer_cancel(vc->thread, &s->timer);
    s->counted_bytes = 0;
    /* Only an idle connection may be evicted: it leaves that queue before anyone is called. */
    if (s->state == HTTP1_SESSION_IDLE)
        net_vc_set_queue(vc, VC_QUEUE_ACTIVE);
    s->state = (uint8_t)next;
}

void http1_session_close(struct http1_session *s, enum vc_close how)
{
    struct net_vconnection *vc = s->stream.vc;

    if (vc == NULL)
        return;
    http1_session_enter(s, HTTP1_SESSION_CLOSED);
    http1_session_cancel_timers(s);
    s->stream.vc = NULL; /* its memory is the reaper's from here */
    net_vc_do_io_close(vc, how);
    iobuf_clear(&s->in);
    iobuf_clear(&s->out);
}

void http1_session_linger(struct http1_session *s)
{
    http1_session_enter(s, HTTP1_SESSION_LINGER);
    net_vc_do_io_shutdown(s->stream.vc, VC_SHUTDOWN_WRITE);
}

/* What the stream held: nothing of it is left while the connection idles. */
static void drop_exchange(struct http1_session *s)
{
    iobuf_unpin(s->pin);
    s->pin = NULL;
    s->head = NULL;
    arena_fini(&s->stream.arena);
}

void http1_session_free_if_done(struct http1_session *s)
{
    if (s->stream.vc != NULL || s->stream.user != NULL || s->running)
        return;
    drop_exchange(s);
    iobuf_clear(&s->in);
    iobuf_clear(&s->out);
    free(s);
}

/* ---- Steps ---- */

/* The stream was released, its response is over. */
static bool end_exchange(struct http1_session *s)
{
    if (!s->stream.send_ended) {
        http1_session_close(s, VC_CLOSE_ABORT); /* nobody took the request */
        return true;
    }
    drop_exchange(s);
    if (s->state == HTTP1_SESSION_TUNNEL || s->close_after || s->failed)
        http1_session_linger(s);
    else
        http1_session_enter(s, s->body.ended ? HTTP1_SESSION_IDLE : HTTP1_SESSION_DRAIN);
    return true;
}

/* Tells the user; without an answer to be given the connection is cut, so that nothing of a
 * response passes for the whole. */
static void fail(struct http1_session *s)
{
    struct http_stream *stream = &s->stream;
    enum http_error why = s->trouble;

    s->trouble = HTTP_ERROR_NONE;
    if (stream->recv_ended && stream->send_ended && s->out.len == 0) {
        http1_session_close(s, VC_CLOSE_ABORT); /* nothing is owed to anyone */
        return;
    }
    LOG_DEBUG(HTTP, "vc=%" PRIu64 " request=%" PRIu64 " failed=%s", stream->vc->id, stream->id,
              http_error_label(why)); /* the user's line says more */
    s->failed = true;
    stream->answerable = !stream->head_sent && http_error_status(why) != 0;
    stream->user->ops->failed(stream->user, stream, why);
    if (!stream->answerable)
        http1_session_close(s, VC_CLOSE_ABORT);
}

static bool step_exchange(struct http1_session *s)
{
    struct http_stream *stream = &s->stream;

    if (stream->user == NULL)
        return end_exchange(s);
    if (s->trouble != HTTP_ERROR_NONE) {
        if (s->failed) /* while the user was answering the first one */
            http1_session_close(s, VC_CLOSE_ABORT);
        else
            fail(s);
        return true;
    }
    if (s->drained && !s->failed) {
        s->drained = false;
        stream->user->ops->writable(stream->user, stream);
        return true;
    }
    return http1_session_step_body(s);
}

static bool step_linger(struct http1_session *s)
{
    s->counted_bytes += s->in.len;
    iobuf_clear(&s->in);
    if (s->stream.vc->write_ended && (s->client_ended || s->counted_bytes > LINGER_MAX_BYTES))
        http1_session_close(s, VC_CLOSE_CLEAN);
    return false;
}

static bool step_closed(struct http1_session *s)
{
    (void)s;
    return false;
}

static bool step(struct http1_session *s)
{
    static bool (*const steps[])(struct http1_session *) = {
        [HTTP1_SESSION_IDLE] = http1_session_step_idle,
        [HTTP1_SESSION_HEAD] = http1_session_step_head,
        [HTTP1_SESSION_EXCHANGE] = step_exchange,
        [HTTP1_SESSION_TUNNEL] = step_exchange,
        [HTTP1_SESSION_DRAIN] = http1_session_step_drain,
        [HTTP1_SESSION_LINGER] = step_linger,
        [HTTP1_SESSION_CLOSED] = step_closed,
    };
    enum http_error trouble = s->trouble;

    if (trouble == HTTP_ERROR_NONE || http1_session_is_exchange(s))
        return steps[s->state](s);
    s->trouble = HTTP_ERROR_NONE;
    if (s->state == HTTP1_SESSION_HEAD && http_error_status(trouble) != 0)
        http1_session_refuse(s, trouble);
    else
        http1_session_close(s, VC_CLOSE_ABORT);
    return true;
}

/* How much `in` may hold. A head or a trailer section must fit; behind a request that is complete,
 * a client that pipelines fills its own socket's buffer instead of ours (and cannot feed us bytes
 * to look alive while it does not read). */
static size_t read_mark(const struct http1_session *s)
{
    const struct http_limits_conf *limits = http1_session_limits(s);
    size_t mark = limits->buffer_bytes;

    if (s->state == HTTP1_SESSION_EXCHANGE && s->body.ended && s->in.len > 0)
        return 1;
    if (s->state == HTTP1_SESSION_LINGER && s->counted_bytes > LINGER_MAX_BYTES)
        return 0;
    if (mark < limits->max_head_bytes)
        mark = limits->max_head_bytes;
    return mark < limits->max_trailer_bytes ? limits->max_trailer_bytes : mark;
}

/* All steps are done: until the next event. */
static void rest(struct http1_session *s)
{
    struct vio *vio = &s->stream.vc->read.vio;

    vio->mark = read_mark(s);
    http1_session_retime(s);
    vio_reenable(vio);
    /* With nothing queued the end is sent without an event. */
    if (s->state == HTTP1_SESSION_LINGER && s->client_ended && s->out.len == 0 &&
        !s->lingers_awake) {
        s->lingers_awake = true;
        http1_session_wake(s);
    }
}

void http1_session_run(struct http1_session *s)
{
    SP_ASSERT(!s->running);
    if (s->stream.vc != NULL)
        ethread_timer_cancel(s->stream.vc->thread, &s->wake); /* this is what it was for */
    s->running = true;
    while (s->stream.vc != NULL && step(s))
        ;
    s->running = false;
    if (s->stream.vc != NULL)
        rest(s);
    else
        http1_session_free_if_done(s);
}

/* ---- Events ---- */

static void wake_due(struct timer *t)
{
    http1_session_run(container_of(t, struct http1_session, wake));
}

void http1_session_wake(struct http1_session *s)
{
    struct net_vconnection *vc = s->stream.vc;

    if (!s->running && vc != NULL && !timer_is_armed(&s->wake))
        ethread_timer_arm_in(vc->thread, &s->wake, 0);
}

static int session_event(struct continuation *c, int event, void *data)
{
    struct http1_session *s = container_of(c, struct http1_session, cont);

    (void)data;
    switch (event) {
    case VC_EVENT_WRITE_READY: http1_session_took(s); break;
    case VC_EVENT_EOS: s->client_ended = true; break;
    case VC_EVENT_ERROR:
        s->trouble = s->stream.vc->err == SP_NOMEM ? HTTP_ERROR_NOMEM : HTTP_ERROR_CLIENT_CLOSED;
        break;
    case VC_EVENT_INACTIVITY_TIMEOUT: http1_session_overdue(s); break;
    case VC_EVENT_EVICT: http1_session_close(s, VC_CLOSE_CLEAN); break;
    default: break; /* READ_READY: the bytes are in the queue */
    }
    http1_session_run(s);
    return EVENT_DONE;
}

bool http1_session_drain(struct net_vconnection *vc)
{
    struct continuation *c = vc->read.vio.cont;
    struct http1_session *s;

    if (c == NULL || c->handler != session_event)
        return false;
    s = container_of(c, struct http1_session, cont);
    if (s->state == HTTP1_SESSION_IDLE && s->in.len == 0)
        http1_session_run(s);
    return true;
}

enum sp_err http1_session_start(struct net_vconnection *vc, struct iobuf *first)
{
    struct http1_session *s = calloc(1, sizeof(*s));

    if (s == NULL)
        return SP_NOMEM;
    s->port = vc->accept->options.user;
    s->stream.ops = &http1_session_stream_ops;
    s->stream.vc = vc;
    s->stream.queue_bound = http1_session_limits(s)->buffer_bytes;
    arena_init(&s->stream.arena);
    iobuf_init(&s->in);
    iobuf_init(&s->out);
    continuation_init(&s->cont, "http1_session", session_event);
    http1_session_timers_init(s);
    timer_init(&s->wake, wake_due);
    if (first != NULL) {
        iobuf_move_all(&s->in, first);
        http1_session_wake(s);
    }
    (void)net_vc_do_io_read(vc, &s->cont, INT64_MAX, &s->in, read_mark(s));
    (void)net_vc_do_io_write(vc, &s->cont, INT64_MAX, &s->out, s->stream.queue_bound / 2);
    rest(s);
    return SP_OK;
}
