/* The life of an HTTP/2 connection: run, events, GOAWAY, the end. */
#include "http2_stream.h"

#include <sallyport/base/log.h>

#include <inttypes.h>

enum {
    READ_MARK_BYTES = 128 * 1024, /* input is taken at once: this only bounds one read */
    END_MS = 2000,                /* what the peer has for our last words, while it takes none */
    END_MAX_BYTES = 1024 * 1024,  /* of input that is thrown away meanwhile */
    /* nghttp2's own share of a connection. A stream costs it some hundred bytes, a head that is
     * being sent twice its length, and the two HPACK tables 4 KiB each. */
    MEMORY_BASE_BYTES = 512 * 1024,
    MEMORY_STREAM_BYTES = 64 * 1024,
};

int64_t http2_conn_now_ms(const struct http2_conn *c)
{
    return ethread_now_ms(c->thread);
}

void http2_conn_broke(struct http2_conn *c, enum http_error why)
{
    if (c->trouble == HTTP_ERROR_NONE)
        c->trouble = why;
}

/* ---- GOAWAY and the end ---- */

static void cancel_timers(struct http2_conn *c)
{
    ethread_timer_cancel(c->thread, &c->wake);
    ethread_timer_cancel(c->thread, &c->end);
}

static void fail_streams(struct http2_conn *c, enum http_error why)
{
    struct list *n;

    list_for_each (n, &c->streams)
        http2_stream_fail(container_of(n, struct http2_stream, link), why);
}

/* Nothing comes through nghttp2 any more. */
static void detach_streams(struct http2_conn *c)
{
    struct list *n;

    list_for_each (n, &c->streams) {
        struct http2_stream *s = container_of(n, struct http2_stream, link);

        s->super.vc = NULL;
        s->is_open = false;
        http2_stream_ready(s);
    }
    c->n_open = 0;
}

void http2_conn_close(struct http2_conn *c, enum vc_close how, enum http_error why)
{
    struct net_vconnection *vc = c->vc;

    if (c->state == HTTP2_CONN_CLOSED)
        return;
    c->state = HTTP2_CONN_CLOSED;
    fail_streams(c, why);
    detach_streams(c);
    cancel_timers(c);
    nghttp2_session_del(c->session);
    c->session = NULL;
    c->vc = NULL; /* its memory is the reaper's from here */
    net_vc_do_io_close(vc, how);
    iobuf_clear(&c->in);
    iobuf_clear(&c->out);
    http2_conn_wake(c);
}

void http2_conn_shutdown_notice(struct http2_conn *c)
{
    if (c->state != HTTP2_CONN_OPEN || c->notice_sent || c->goaway_sent)
        return;
    c->notice_sent = true;
    if (nghttp2_submit_shutdown_notice(c->session) != 0)
        http2_conn_broke(c, HTTP_ERROR_NOMEM);
}

void http2_conn_goaway(struct http2_conn *c, uint32_t code, struct view reason)
{
    int32_t last;

    if (c->state != HTTP2_CONN_OPEN || c->goaway_sent)
        return;
    c->goaway_sent = true;
    last = nghttp2_session_get_last_proc_stream_id(c->session);
    if (nghttp2_submit_goaway(c->session, NGHTTP2_FLAG_NONE, last, code, (const uint8_t *)reason.p,
                              reason.len) != 0)
        http2_conn_broke(c, HTTP_ERROR_NOMEM);
}

void http2_conn_end(struct http2_conn *c, enum http_error why)
{
    if (c->state != HTTP2_CONN_OPEN)
        return;
    c->state = HTTP2_CONN_ENDING;
    c->end_ndone = c->vc->write.vio.ndone;
    fail_streams(c, why);
    ethread_timer_arm_in(c->thread, &c->end, END_MS);
    http2_conn_wake(c);
}

static void end_due(struct timer *t)
{
    struct http2_conn *c = container_of(t, struct http2_conn, end);
    int64_t ndone = c->vc->write.vio.ndone;

    if (ndone == c->end_ndone) {
        http2_conn_close(c, c->out.len == 0 ? VC_CLOSE_CLEAN : VC_CLOSE_ABORT, c->ops->gone);
    } else {
        c->end_ndone = ndone;
        ethread_timer_arm_in(c->thread, &c->end, END_MS);
    }
    http2_conn_run(c);
}

static void over_budget(struct http2_conn *c)
{
    if (c->state != HTTP2_CONN_OPEN)
        return;
    http2_budget_report(&c->budget, c->vc);
    http2_conn_goaway(c, HTTP2_BUDGET_ERROR_CODE,
                      view_of(http2_budget_name((enum http2_budget_id)c->budget.over)));
    http2_conn_end(c, c->ops->gone);
}

/* ---- Steps ---- */

static void deliver(struct http2_conn *c)
{
    struct list *n;

    while ((n = list_pop_front(&c->ready)) != NULL) {
        struct http2_stream *s = container_of(n, struct http2_stream, ready_link);

        http2_stream_deliver(s);
        http2_stream_free_if_done(s);
    }
}

/* Until our side is shut down there is something to say; behind that, the peer's end is awaited so
 * that what it still sends does not reset the connection before it has read our last words. */
static void go_on_ending(struct http2_conn *c, bool pumped)
{
    c->thrown_bytes += c->in.len;
    iobuf_clear(&c->in);
    if (pumped && !c->said_all) {
        c->said_all = true;
        net_vc_do_io_shutdown(c->vc, VC_SHUTDOWN_WRITE);
    }
    if (c->thrown_bytes > END_MAX_BYTES || (c->said_all && c->peer_ended && c->out.len == 0))
        http2_conn_close(c, VC_CLOSE_CLEAN, c->ops->gone);
}

static void look_at_end(struct http2_conn *c, bool pumped)
{
    if (c->state == HTTP2_CONN_OPEN && http2_budget_exceeded(&c->budget))
        over_budget(c);
    else if (c->state == HTTP2_CONN_OPEN && nghttp2_session_want_read(c->session) == 0)
        http2_conn_end(c, c->ops->gone); /* GOAWAY was said, and the last stream is over */
    else if (c->state == HTTP2_CONN_OPEN && c->peer_ended)
        http2_conn_close(c, VC_CLOSE_CLEAN, c->ops->gone);
    else if (c->state == HTTP2_CONN_ENDING)
        go_on_ending(c, pumped);
}

static void step(struct http2_conn *c)
{
    bool pumped;

    if (c->state == HTTP2_CONN_OPEN && c->trouble == HTTP_ERROR_NONE)
        http2_conn_feed(c);
    if (c->trouble != HTTP_ERROR_NONE)
        http2_conn_close(c, VC_CLOSE_ABORT, c->trouble);
    deliver(c);
    c->ops->rest(c);
    if (c->state == HTTP2_CONN_CLOSED)
        return;
    pumped = http2_conn_pump_now(c);
    if (c->trouble == HTTP_ERROR_NONE)
        look_at_end(c, pumped);
}

static bool has_work(const struct http2_conn *c)
{
    if (!list_is_empty(&c->ready))
        return true;
    if (c->state == HTTP2_CONN_CLOSED)
        return false;
    return c->trouble != HTTP_ERROR_NONE || c->in.len > 0 ||
           (c->state == HTTP2_CONN_OPEN && http2_budget_exceeded(&c->budget));
}

void http2_conn_run(struct http2_conn *c)
{
    uint8_t before;

    SP_ASSERT(!c->running);
    ethread_timer_cancel(c->thread, &c->wake); /* this is what it was for */
    c->running = true;
    do {
        before = c->state;
        step(c);
    } while (has_work(c) || c->state != before);
    c->running = false;
    if (c->vc != NULL)
        vio_reenable(&c->vc->read.vio);
    http2_conn_free_if_done(c);
}

void http2_conn_free_if_done(struct http2_conn *c)
{
    if (c->running || c->state != HTTP2_CONN_CLOSED || !list_is_empty(&c->streams))
        return;
    cancel_timers(c);
    c->ops->closed(c);
}

void http2_conn_pump(struct http2_conn *c)
{
    if (c->running || c->vc == NULL)
        return;
    (void)http2_conn_pump_now(c);
    if (has_work(c) || nghttp2_session_want_read(c->session) == 0)
        http2_conn_wake(c);
}

/* ---- Events ---- */

static void wake_due(struct timer *t)
{
    http2_conn_run(container_of(t, struct http2_conn, wake));
}

void http2_conn_wake(struct http2_conn *c)
{
    if (!c->running && !timer_is_armed(&c->wake))
        ethread_timer_arm_in(c->thread, &c->wake, 0);
}

static int conn_event(struct continuation *cont, int event, void *data)
{
    struct http2_conn *c = container_of(cont, struct http2_conn, cont);

    (void)data;
    switch (event) {
    case VC_EVENT_EOS: c->peer_ended = true; break;
    case VC_EVENT_ERROR:
        http2_conn_broke(c, c->vc->err == SP_NOMEM ? HTTP_ERROR_NOMEM : c->ops->gone);
        break;
    case VC_EVENT_EVICT: http2_conn_close(c, VC_CLOSE_CLEAN, c->ops->gone); break;
    default: break; /* bytes are in `in`, or `out` has room */
    }
    http2_conn_run(c);
    return EVENT_DONE;
}

bool http2_conn_is(const struct continuation *cont)
{
    return cont != NULL && cont->handler == conn_event;
}

/* ---- The beginning ---- */

static int submit_settings(struct http2_conn *c)
{
    const struct http2_conf *conf = c->options.conf;
    const nghttp2_settings_entry server[] = {
        {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, conf->max_streams},
        {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, conf->stream_window_bytes},
        {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, c->options.limits.max_head_bytes},
        {NGHTTP2_SETTINGS_ENABLE_CONNECT_PROTOCOL, 1}, /* RFC 8441 3 */
        {NGHTTP2_SETTINGS_NO_RFC7540_PRIORITIES, 1},   /* RFC 9218 2.1 */
    };
    const nghttp2_settings_entry client[] = {
        {NGHTTP2_SETTINGS_ENABLE_PUSH, 0},
        {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, conf->stream_window_bytes},
        {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, c->options.limits.max_head_bytes},
    };

    if (c->ops->is_server)
        return nghttp2_submit_settings(c->session, NGHTTP2_FLAG_NONE, server, SP_COUNT_OF(server));
    return nghttp2_submit_settings(c->session, NGHTTP2_FLAG_NONE, client, SP_COUNT_OF(client));
}

static enum sp_err make_session(struct http2_conn *c)
{
    enum sp_err err =
        http2_library_session(&c->session, c->ops->is_server, http2_conn_callbacks, &c->memory, c);
    int failed;

    if (err != SP_OK)
        return err;
    failed = submit_settings(c);
    if (failed == 0)
        failed = nghttp2_session_set_local_window_size(c->session, NGHTTP2_FLAG_NONE, 0,
                                                       (int32_t)c->options.conf->receive_bytes);
    if (failed == 0 && !c->memory.failed)
        return SP_OK;
    nghttp2_session_del(c->session);
    c->session = NULL;
    return SP_NOMEM;
}

enum sp_err http2_conn_init(struct http2_conn *c, const struct http2_conn_ops *ops,
                            struct net_vconnection *vc, const struct http2_conn_options *options)
{
    enum sp_err err;

    *c = (struct http2_conn){.ops = ops, .vc = vc, .thread = vc->thread, .options = *options};
    http2_memory_init(&c->memory,
                      MEMORY_BASE_BYTES + (size_t)options->conf->max_streams * MEMORY_STREAM_BYTES);
    err = make_session(c);
    if (err != SP_OK)
        return err;
    http2_budget_init(&c->budget, &options->conf->budgets, options->peer);
    iobuf_init(&c->in);
    iobuf_init(&c->out);
    list_init(&c->streams);
    list_init(&c->ready);
    timer_init(&c->wake, wake_due);
    timer_init(&c->end, end_due);
    continuation_init(&c->cont, "http2_conn", conn_event);
    net_vc_set_inactivity_timeout(vc, 0); /* the side has its own */
    (void)net_vc_do_io_read(vc, &c->cont, INT64_MAX, &c->in, READ_MARK_BYTES);
    (void)net_vc_do_io_write(vc, &c->cont, INT64_MAX, &c->out, http2_conn_out_mark(c) / 2);
    return SP_OK;
}
