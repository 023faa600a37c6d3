/* What the client owes us, and for how long we wait. One timer a connection looks at its streams
 * once a second while there are any: a limit is kept to the second, and a request that is over
 * before that costs no timer at all.
 *
 * Of a stream: the pieces of a request's body, until its response has begun; from then on both
 * sides may be silent in turns (gRPC), as in a tunnel. Taking what is queued, always. Of the
 * connection: its first SETTINGS, the end of a field block that has begun, taking what is queued,
 * and to leave when it has been idle. */
#include "http2_session_internal.h"

#include <sallyport/base/log.h>

#include <inttypes.h>

enum {
    LOOK_MS = 1000,
    RATE_WINDOW_MS = 10 * 1000, /* the first one is the grace */
    NOTICE_MS = 2000, /* between the two GOAWAYs, when the client does not answer our PING */
};

/* ---- Streams ---- */

static bool awaits_body(const struct http2_stream *s)
{
    return s->head_told && !s->holds_tunnel && !s->wire_ended && !s->paused && !s->failed &&
           !s->aborted && !s->released && !s->super.head_sent;
}

/* May the client be waiting for 100 (Continue)? Then it owes no rate, but it owes the body. */
static bool may_wait(const struct http2_stream *s)
{
    return s->request->expect_continue && !s->continued && s->super.bytes_received == 0;
}

/* A window is measured by itself, so that a fast start does not pay for a crawl. */
static bool is_too_slow(struct http2_stream *s, uint32_t least_per_s, int64_t now_ms)
{
    uint64_t least = (uint64_t)least_per_s * (RATE_WINDOW_MS / 1000);
    uint64_t received = s->super.bytes_received + s->in.len;
    bool too_slow;

    if (s->counted_ms != 0 && now_ms - s->counted_ms < RATE_WINDOW_MS)
        return false;
    too_slow = s->rate_graced && s->counted_ms != 0 && received - s->counted_bytes < least;
    s->rate_graced = s->counted_ms != 0;
    s->counted_ms = now_ms;
    s->counted_bytes = received;
    return too_slow;
}

static int64_t later(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

/* NONE: nothing is overdue. */
static enum http_error overdue(const struct http2_session *session, struct http2_stream *s,
                               int64_t now_ms)
{
    const struct http_limits_conf *limits = http2_session_limits(session);

    if (s->out.len > 0 && now_ms - s->sent_ms >= limits->send_timeout_ms)
        return HTTP_ERROR_CLIENT_SEND_TIMEOUT;
    if (s->tunnel && now_ms - later(s->received_ms, s->sent_ms) >= limits->tunnel_timeout_ms)
        return HTTP_ERROR_TUNNEL_IDLE;
    if (awaits_body(s) && now_ms - s->received_ms >= limits->body_timeout_ms)
        return HTTP_ERROR_CLIENT_BODY_TIMEOUT;
    if (!awaits_body(s) || may_wait(s))
        s->counted_ms = 0; /* no rate is owed */
    else if (is_too_slow(s, limits->min_rate_bytes_per_s, now_ms))
        return HTTP_ERROR_CLIENT_TOO_SLOW;
    return HTTP_ERROR_NONE;
}

static void charge(struct http2_conn *c, enum http_error why, int64_t now_ms)
{
    if (why == HTTP_ERROR_CLIENT_SEND_TIMEOUT)
        (void)http2_budget_charge(&c->budget, HTTP2_BUDGET_STALLED_STREAMS, 1, now_ms);
    else if (why != HTTP_ERROR_TUNNEL_IDLE)
        (void)http2_budget_charge(&c->budget, HTTP2_BUDGET_ABANDONED_STREAMS, 1, now_ms);
}

/* Its user has let go, and has written its line, or was told before. */
static void end_unowned(struct http2_stream *s, enum http_error why)
{
    METRIC_INC(http_timeouts);
    LOG_LIMITED(HTTP, INFO, "vc=%" PRIu64 " http2 stream=%" PRIu64 " ended=%s", s->super.vc->id,
                s->super.id, http_error_label(why));
    http2_stream_reset(s, http2_error_code(why));
}

static void look_at_stream(struct http2_session *session, struct http2_stream *s, int64_t now_ms)
{
    enum http_error why;

    if (s->aborted || s->trouble != HTTP_ERROR_NONE)
        return;
    why = overdue(session, s, now_ms);
    if (why == HTTP_ERROR_NONE)
        return;
    charge(&session->conn, why, now_ms);
    if (s->released || s->failed)
        end_unowned(s, why);
    else
        http2_stream_fail(s, why);
}

/* ---- The connection ---- */

static bool is_past(int64_t since_ms, int64_t limit_ms, int64_t now_ms)
{
    return since_ms != 0 && now_ms - since_ms >= limit_ms;
}

/* Nothing was asked for long enough: nobody's fault. */
static void end_idle(struct http2_session *s)
{
    METRIC_INC(net_timeouts_inactivity);
    http2_conn_goaway(&s->conn, NGHTTP2_NO_ERROR, VIEW("idle"));
    http2_conn_end(&s->conn, HTTP_ERROR_CLIENT_CLOSED);
}

static void count_timeout(struct http2_session *s, const char *what)
{
    METRIC_INC(http_timeouts);
    LOG_LIMITED(HTTP, INFO, "vc=%" PRIu64 " http2 connection ended=%s", s->conn.vc->id, what);
}

/* A block of fields that does not end lets nothing else through. */
static void end_block_overdue(struct http2_session *s)
{
    count_timeout(s, http_error_label(HTTP_ERROR_CLIENT_HEAD_TIMEOUT));
    http2_conn_goaway(&s->conn, NGHTTP2_ENHANCE_YOUR_CALM, VIEW("head_timeout"));
    http2_conn_end(&s->conn, HTTP_ERROR_CLIENT_CLOSED);
}

static void cut(struct http2_session *s, enum vc_close how, enum http_error why)
{
    count_timeout(s, http_error_label(why));
    http2_conn_close(&s->conn, how, why);
}

static void look_at_output(struct http2_session *s, int64_t now_ms)
{
    int64_t taken = s->conn.vc->write.vio.ndone;

    if (taken != s->taken_bytes || s->conn.out.len == 0)
        s->took_ms = now_ms;
    s->taken_bytes = taken;
    if (now_ms - s->took_ms >= http2_session_limits(s)->send_timeout_ms)
        cut(s, VC_CLOSE_ABORT, HTTP_ERROR_CLIENT_SEND_TIMEOUT);
}

static void look_at_connection(struct http2_session *s, int64_t now_ms)
{
    const struct http_limits_conf *limits = http2_session_limits(s);
    struct http2_conn *c = &s->conn;

    if (!c->settings_seen && is_past(s->began_ms, limits->head_timeout_ms, now_ms))
        cut(s, VC_CLOSE_CLEAN, HTTP_ERROR_CLIENT_HEAD_TIMEOUT);
    else if (is_past(c->block_began_ms, limits->head_timeout_ms, now_ms))
        end_block_overdue(s);
    else if (is_past(s->idle_ms, limits->keep_alive_timeout_ms, now_ms))
        end_idle(s);
    else if (is_past(s->notice_ms, NOTICE_MS, now_ms))
        http2_session_drain_end(s);
    if (c->state == HTTP2_CONN_OPEN)
        look_at_output(s, now_ms);
}

/* ---- The timer ---- */

static bool needs_looks(const struct http2_session *s)
{
    const struct http2_conn *c = &s->conn;

    return !list_is_empty(&c->streams) || c->block_began_ms != 0 || c->out.len > 0 ||
           (s->notice_ms != 0 && !c->goaway_sent);
}

/* Until something can be overdue. */
static int64_t next_look_ms(const struct http2_session *s, int64_t now_ms)
{
    const struct http_limits_conf *limits = http2_session_limits(s);
    int64_t left = s->conn.settings_seen ? s->idle_ms + limits->keep_alive_timeout_ms - now_ms
                                         : s->began_ms + limits->head_timeout_ms - now_ms;

    if (needs_looks(s) && left > LOOK_MS)
        left = LOOK_MS;
    return left < 1 ? 1 : left;
}

static void watch_due(struct timer *t)
{
    struct http2_session *s = container_of(t, struct http2_session, watch);
    int64_t now_ms = http2_conn_now_ms(&s->conn);
    struct list *n;

    list_for_each (n, &s->conn.streams)
        look_at_stream(s, container_of(n, struct http2_stream, link), now_ms);
    look_at_connection(s, now_ms);
    http2_conn_run(&s->conn);
}

void http2_session_watch_init(struct http2_session *s)
{
    s->began_ms = s->idle_ms = s->took_ms = http2_conn_now_ms(&s->conn);
    timer_init(&s->watch, watch_due);
}

static void set_queue(struct http2_session *s)
{
    struct net_vconnection *vc = s->conn.vc;
    enum vc_queue queue =
        s->idle_ms != 0 && s->conn.settings_seen ? VC_QUEUE_KEEP_ALIVE : VC_QUEUE_ACTIVE;

    if (vc->queue != queue)
        net_vc_set_queue(vc, queue);
}

void http2_session_watch_rest(struct http2_session *s)
{
    struct http2_conn *c = &s->conn;
    int64_t now_ms = http2_conn_now_ms(c);
    int64_t in_ms;

    if (c->state != HTTP2_CONN_OPEN) {
        http2_session_watch_cancel(s);
        return;
    }
    if (!list_is_empty(&c->streams))
        s->idle_ms = 0;
    else if (s->idle_ms == 0)
        s->idle_ms = now_ms;
    set_queue(s);
    in_ms = next_look_ms(s, now_ms);
    /* One that is armed for earlier does no harm; it is not moved with every request. */
    if (!timer_is_armed(&s->watch) || s->watch.deadline_ms > now_ms + in_ms)
        ethread_timer_arm_in(c->thread, &s->watch, in_ms);
}

void http2_session_watch_cancel(struct http2_session *s)
{
    ethread_timer_cancel(s->conn.thread, &s->watch);
}
