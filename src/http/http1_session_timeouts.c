/* What the client owes us, and for how long we wait: the connection's inactivity timeout for
 * everything that must go on moving, and one timer for the rest: the deadline of a head, the rate
 * of a body, the end of a lingering close. */
#include "http1_session_internal.h"

enum {
    RATE_WINDOW_MS = 10 * 1000, /* the first one is the grace */
    LINGER_MS = 2000,
};

static bool awaits_body(const struct http1_session *s)
{
    return !s->body.ended && !s->paused && !s->failed;
}

static enum http1_owed owed_now(const struct http1_session *s)
{
    bool fresh = s->stream.id == 0;

    switch ((enum http1_session_state)s->state) {
    case HTTP1_SESSION_TUNNEL: return HTTP1_OWES_TUNNEL;
    case HTTP1_SESSION_LINGER:
        return s->stream.vc->write_ended ? HTTP1_OWES_NOTHING : HTTP1_OWES_READING;
    case HTTP1_SESSION_IDLE:
        if (s->out.len == 0)
            return fresh ? HTTP1_OWES_NOTHING : HTTP1_OWES_REQUEST; /* fresh: the timer's */
        break;
    case HTTP1_SESSION_DRAIN:
    case HTTP1_SESSION_EXCHANGE:
        if (s->out.len == 0)
            return awaits_body(s) ? HTTP1_OWES_BODY : HTTP1_OWES_NOTHING;
        break;
    case HTTP1_SESSION_HEAD:
    case HTTP1_SESSION_CLOSED: break;
    }
    return s->out.len > 0 ? HTTP1_OWES_READING : HTTP1_OWES_NOTHING;
}

static uint32_t limit_ms(const struct http1_session *s, enum http1_owed owed)
{
    const struct http_limits_conf *limits = http1_session_limits(s);

    switch (owed) {
    case HTTP1_OWES_NOTHING: return 0;
    case HTTP1_OWES_REQUEST: return limits->keep_alive_timeout_ms;
    case HTTP1_OWES_BODY: return limits->body_timeout_ms;
    case HTTP1_OWES_READING: return limits->send_timeout_ms;
    case HTTP1_OWES_TUNNEL: return limits->tunnel_timeout_ms;
    }
    return 0;
}

void http1_session_overdue(struct http1_session *s)
{
    switch ((enum http1_owed)s->owed) {
    case HTTP1_OWES_NOTHING: break;
    case HTTP1_OWES_REQUEST: http1_session_close(s, VC_CLOSE_CLEAN); break;
    case HTTP1_OWES_BODY:
        if (s->state == HTTP1_SESSION_DRAIN)
            http1_session_linger(s);
        else
            s->trouble = HTTP_ERROR_CLIENT_BODY_TIMEOUT;
        break;
    case HTTP1_OWES_READING: s->trouble = HTTP_ERROR_CLIENT_SEND_TIMEOUT; break;
    case HTTP1_OWES_TUNNEL: s->trouble = HTTP_ERROR_TUNNEL_IDLE; break;
    }
}

/* ---- The timer ---- */

/* Does the minimum rate hold? Not while the client may be waiting for 100 (Continue). */
static bool is_rated(const struct http1_session *s)
{
    bool may_wait = s->head != NULL && s->head->expect_continue && !s->continued &&
                    s->stream.bytes_received == 0;

    return awaits_body(s) && !may_wait && http1_session_limits(s)->min_rate_bytes_per_s != 0;
}

/* How long the timer is to run in this state; 0: not at all. */
static int64_t timer_ms(const struct http1_session *s)
{
    switch ((enum http1_session_state)s->state) {
    case HTTP1_SESSION_HEAD: return http1_session_limits(s)->head_timeout_ms;
    case HTTP1_SESSION_IDLE:
        return s->stream.id == 0 ? http1_session_limits(s)->head_timeout_ms : 0;
    case HTTP1_SESSION_EXCHANGE: return is_rated(s) ? RATE_WINDOW_MS : 0;
    case HTTP1_SESSION_LINGER: return LINGER_MS;
    case HTTP1_SESSION_TUNNEL:
    case HTTP1_SESSION_DRAIN:
    case HTTP1_SESSION_CLOSED: break;
    }
    return 0;
}

/* A window is over. One is measured by itself, so that a fast start does not pay for a crawl. */
static void look_at_rate(struct http1_session *s)
{
    uint64_t least =
        (uint64_t)http1_session_limits(s)->min_rate_bytes_per_s * (RATE_WINDOW_MS / 1000);

    if (s->rate_grace_over && s->stream.bytes_received - s->counted_bytes < least)
        s->trouble = HTTP_ERROR_CLIENT_TOO_SLOW;
    s->rate_grace_over = true;
}

static void timer_due(struct timer *t)
{
    struct http1_session *s = container_of(t, struct http1_session, timer);

    switch ((enum http1_session_state)s->state) {
    case HTTP1_SESSION_IDLE: http1_session_close(s, VC_CLOSE_CLEAN); break;
    case HTTP1_SESSION_HEAD: s->trouble = HTTP_ERROR_CLIENT_HEAD_TIMEOUT; break;
    case HTTP1_SESSION_EXCHANGE: look_at_rate(s); break;
    case HTTP1_SESSION_LINGER:
        if (s->stream.vc->write_ended) /* else the client still owes us its reading */
            http1_session_close(s, VC_CLOSE_CLEAN);
        break;
    case HTTP1_SESSION_TUNNEL:
    case HTTP1_SESSION_DRAIN:
    case HTTP1_SESSION_CLOSED: break;
    }
    http1_session_run(s);
}

void http1_session_timers_init(struct http1_session *s)
{
    timer_init(&s->timer, timer_due);
    s->owed = UINT8_MAX; /* whatever the connection came with does not hold */
}

static void retime_timer(struct http1_session *s)
{
    struct ethread *t = s->stream.vc->thread;
    int64_t ms = timer_ms(s);

    if (ms == 0) {
        ethread_timer_cancel(t, &s->timer);
    } else if (!timer_is_armed(&s->timer)) {
        ethread_timer_arm_in(t, &s->timer, ms);
        if (s->state == HTTP1_SESSION_EXCHANGE)
            s->counted_bytes = s->stream.bytes_received;
    }
}

void http1_session_retime(struct http1_session *s)
{
    struct net_vconnection *vc = s->stream.vc;
    enum http1_owed owed;

    if (vc == NULL)
        return;
    owed = owed_now(s);
    if (s->owed != (uint8_t)owed) {
        s->owed = (uint8_t)owed;
        net_vc_set_inactivity_timeout(vc, limit_ms(s, owed));
    }
    retime_timer(s);
    if (s->state == HTTP1_SESSION_IDLE && s->out.len == 0 && vc->queue != VC_QUEUE_KEEP_ALIVE)
        net_vc_set_queue(vc, VC_QUEUE_KEEP_ALIVE);
}

void http1_session_cancel_timers(struct http1_session *s)
{
    struct ethread *t = s->stream.vc->thread;

    ethread_timer_cancel(t, &s->timer);
    ethread_timer_cancel(t, &s->wake);
}
