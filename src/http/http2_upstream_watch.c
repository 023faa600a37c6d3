/* What the server owes us, and for how long we wait. One timer a connection looks at its exchanges
 * once a second while there are any, and earlier when one can be overdue before.
 *
 * Of an exchange: the head of the response, once the request is whole; then something to move in
 * either direction, unless we are the ones who stop it. Of the connection: to take what is sent.
 *
 * Is the server still there? A connection over which nothing has come for a while is asked with a
 * PING when a request is put on it, and while an exchange on it is silent. Seldom, as servers take
 * many PINGs without anything else for abuse: gRPC's allow one in five minutes. */
#include "http2_upstream_internal.h"

#include <sallyport/base/log.h>
#include <sallyport/base/metrics.h>

#include <inttypes.h>

enum {
    LOOK_MS = 1000,
    PING_AFTER_MS = 10 * 1000,  /* of silence */
    PING_AGAIN_MS = 310 * 1000, /* for the same silence */
    PING_WAIT_MS = 15 * 1000,   /* for the answer: it queues behind what is on its way */
};

/* ---- Exchanges ---- */

static int64_t later(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

/* When the server is overdue with this one; INT64_MAX: it is not its turn. */
static int64_t deadline_of(const struct http2_stream *s)
{
    const struct http2_exchange *x = s->side;

    if (s->aborted || s->failed || s->trouble != HTTP_ERROR_NONE)
        return INT64_MAX;
    if (s->out.len > 0)
        return s->sent_ms + x->options.idle_timeout_ms;
    if (!s->head_read)
        return s->wire_sent || x->ends_with_head ? s->sent_ms + x->options.response_timeout_ms
                                                 : INT64_MAX;
    if (s->wire_ended || s->paused)
        return INT64_MAX;
    return later(s->received_ms, s->sent_ms) + x->options.idle_timeout_ms;
}

static void look_at_stream(struct http2_stream *s, int64_t now_ms)
{
    if (deadline_of(s) > now_ms)
        return;
    if (s->released) /* nobody is left to be told */
        http2_stream_reset(s, NGHTTP2_CANCEL);
    else
        http2_stream_fail(s, HTTP_ERROR_UPSTREAM_TIMEOUT);
}

/* ---- The connection ---- */

static void give_up(struct http2_upstream *up, const char *reason, enum http_error why)
{
    LOG_LIMITED(UPSTREAM, WARN, "vc=%" PRIu64 " exchanges=%u given_up=%s", up->conn.vc->id,
                up->super.n_exchanges, reason);
    http2_conn_close(&up->conn, VC_CLOSE_ABORT, why);
}

static void look_at_output(struct http2_upstream *up, int64_t now_ms)
{
    int64_t taken = up->conn.vc->write.vio.ndone;

    if (taken != up->taken_bytes || up->conn.out.len == 0)
        up->took_ms = now_ms;
    up->taken_bytes = taken;
    if (now_ms - up->took_ms >= up->stall_ms)
        give_up(up, "stalled", HTTP_ERROR_UPSTREAM_TIMEOUT);
}

static void ping(struct http2_upstream *up, int64_t now_ms)
{
    up->ping_open = true;
    up->pinged_ms = now_ms;
    if (nghttp2_submit_ping(up->conn.session, NGHTTP2_FLAG_NONE, NULL) != 0)
        http2_conn_broke(&up->conn, HTTP_ERROR_NOMEM);
}

static bool is_silent(const struct http2_upstream *up, int64_t now_ms)
{
    return now_ms - up->heard_ms >= PING_AFTER_MS;
}

static void look_at_silence(struct http2_upstream *up, int64_t now_ms)
{
    if (up->ping_open && now_ms - up->pinged_ms >= PING_WAIT_MS) {
        METRIC_INC(upstream_dead);
        give_up(up, "silent", HTTP_ERROR_UPSTREAM_CLOSED);
        return;
    }
    if (!up->ping_open && up->conn.n_open > 0 && is_silent(up, now_ms) &&
        (up->pinged_ms == 0 || now_ms - up->pinged_ms >= PING_AGAIN_MS))
        ping(up, now_ms);
}

void http2_upstream_watch_answer(struct http2_upstream *up)
{
    up->ping_open = false;
}

static void look_at_connection(struct http2_upstream *up, int64_t now_ms)
{
    if (up->conn.state == HTTP2_CONN_OPEN)
        look_at_output(up, now_ms);
    if (up->conn.state == HTTP2_CONN_OPEN)
        look_at_silence(up, now_ms);
}

/* ---- The timer ---- */

static void look(struct http2_upstream *up)
{
    int64_t now_ms = http2_conn_now_ms(&up->conn);
    struct list *n;

    list_for_each (n, &up->conn.streams)
        look_at_stream(container_of(n, struct http2_stream, link), now_ms);
    look_at_connection(up, now_ms);
    http2_conn_run(&up->conn);
}

static void watch_due(struct timer *t)
{
    look(container_of(t, struct http2_upstream, watch));
}

/* One that is armed for earlier does no harm; it is not moved with every request. */
static void look_in(struct http2_upstream *up, int64_t in_ms)
{
    int64_t now_ms = http2_conn_now_ms(&up->conn);

    if (in_ms < 1)
        in_ms = 1;
    if (!timer_is_armed(&up->watch) || up->watch.deadline_ms > now_ms + in_ms)
        ethread_timer_arm_in(up->conn.thread, &up->watch, in_ms);
}

static int64_t next_look_ms(struct http2_upstream *up, int64_t now_ms)
{
    int64_t in_ms = LOOK_MS;
    struct list *n;

    list_for_each (n, &up->conn.streams) {
        int64_t left = deadline_of(container_of(n, struct http2_stream, link)) - now_ms;

        in_ms = left < in_ms ? left : in_ms;
    }
    return in_ms;
}

void http2_upstream_watch_init(struct http2_upstream *up, int64_t stall_ms)
{
    up->stall_ms = stall_ms;
    up->heard_ms = up->took_ms = http2_conn_now_ms(&up->conn);
    timer_init(&up->watch, watch_due);
}

void http2_upstream_watch_cancel(struct http2_upstream *up)
{
    ethread_timer_cancel(up->conn.thread, &up->watch);
}

void http2_upstream_watch_rest(struct http2_upstream *up)
{
    struct http2_conn *c = &up->conn;
    int64_t now_ms = http2_conn_now_ms(c);

    if (c->vc->read.vio.ndone != up->heard_bytes)
        up->heard_ms = now_ms;
    up->heard_bytes = c->vc->read.vio.ndone;
    if (c->state != HTTP2_CONN_OPEN)
        http2_upstream_watch_cancel(up);
    else if (!timer_is_armed(&up->watch) &&
             (!list_is_empty(&c->streams) || c->out.len > 0 || up->ping_open))
        look_in(up, next_look_ms(up, now_ms));
}

void http2_upstream_watch_request(struct http2_upstream *up, int64_t timeout_ms)
{
    int64_t now_ms = http2_conn_now_ms(&up->conn);

    if (!up->ping_open && is_silent(up, now_ms))
        ping(up, now_ms);
    look_in(up, timeout_ms < LOOK_MS ? timeout_ms : LOOK_MS);
}
