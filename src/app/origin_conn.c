/* One connection of the origin: reads a request, counts its body, lets its page answer, closes or
 * goes on with the next. Everything that happens to it ends in run(), which takes one step after
 * the other until one has to wait; only steps close the connection. */
#include "origin_internal.h"

#include <sallyport/base/log.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define IN_BYTES         ((size_t)64 * 1024) /* reading pauses at this */
#define OUT_LOW_BYTES    ((size_t)64 * 1024)
#define EXCHANGE_IDLE_MS 600000 /* nothing moved while a request was being served */
#define LINGER_MS        2000

static const struct http1_limits limits = {.max_head_bytes = 65536,
                                           .max_target_bytes = 32768,
                                           .max_fields = 1000,
                                           .max_trailer_bytes = 32768};

enum step {
    STEP_AGAIN, /* something was done: take the next */
    STEP_WAIT,  /* for bytes, for room, for the timer */
    STEP_GONE,  /* closed and freed */
};

static enum step gone(struct origin_conn *c, enum vc_close how)
{
    ethread_timer_cancel(c->vc->thread, &c->timer);
    net_vc_do_io_close(c->vc, how);
    iobuf_unpin(c->pin);
    iobuf_clear(&c->in);
    iobuf_clear(&c->out);
    arena_fini(&c->arena);
    free(c);
    return STEP_GONE;
}

/* Ready for the first or next request. */
static void exchange_reset(struct origin_conn *c)
{
    iobuf_unpin(c->pin);
    arena_fini(&c->arena);
    arena_init(&c->arena);
    c->pin = NULL;
    c->scan = (struct http1_head_scan){0};
    c->head = (struct http_head){.version = HTTP_VERSION_1_1};
    c->body = (struct origin_body){.ended = true};
    c->answer = (struct origin_answer){0};
    c->continued = false;
    c->answered = false;
    c->phase = ORIGIN_HEAD;
    net_vc_set_inactivity_timeout(c->vc, c->origin->options->idle_ms);
}

/* Not HTTP, or too much of it. Nothing behind it can be read any more. */
static enum step refuse(struct origin_conn *c, enum http_error error)
{
    char text[256];
    unsigned status = http_error_status(error) != 0 ? http_error_status(error) : 400;
    int n = snprintf(text, sizeof(text), "%s\n", http_error_text(error));

    LOG_LIMITED(APP, INFO, "origin vc=%" PRIu64 " err=%s", c->vc->id, http_error_label(error));
    c->head = (struct http_head){.version = HTTP_VERSION_1_1}; /* keep_alive: false */
    c->body.ended = true;
    c->answer = (struct origin_answer){.end = ORIGIN_CLOSE};
    origin_reply_text(c, status, NULL, (struct view){text, (size_t)n});
    c->phase = ORIGIN_ANSWER;
    return STEP_AGAIN;
}

/* The answer starts now; the body, if it is not read yet, later. */
static enum step answer(struct origin_conn *c)
{
    c->answered = true;
    c->phase = ORIGIN_ANSWER;
    c->page->answer(c);
    return STEP_AGAIN;
}

static enum step begin(struct origin_conn *c)
{
    c->n_requests++;
    c->target = origin_target_of(c->head.path);
    c->page = origin_page_find(&c->target, &c->number);
    origin_body_init(&c->body, &c->head,
                     !view_eq(origin_query(&c->target, VIEW("sum")), VIEW("0")));
    net_vc_set_inactivity_timeout(c->vc, EXCHANGE_IDLE_MS);
    if (origin_query_flag(&c->target, VIEW("early")))
        return answer(c);
    if (c->head.expect_continue) {
        origin_raw(c, VIEW("HTTP/1.1 100 Continue\r\n\r\n"));
        c->continued = true;
    }
    c->phase = ORIGIN_BODY;
    return STEP_AGAIN;
}

/* `bytes` are all of `in`; the head begins behind `skip` of them and is `len` long. */
static enum step parse(struct origin_conn *c, struct view bytes, size_t skip, size_t len)
{
    struct view head = view_head(view_from(bytes, skip), len);
    enum http_error error;

    c->pin = iobuf_pin(&c->in);
    error = http1_parse_request(head, &limits, &c->arena, &c->head);
    iobuf_consume(&c->in, skip + len);
    return error == HTTP_ERROR_NONE ? begin(c) : refuse(c, error);
}

/* The client sends nothing more; what it asked for before still goes out. */
static enum step no_more_requests(struct origin_conn *c)
{
    return c->out.len > 0 ? STEP_WAIT : gone(c, VC_CLOSE_CLEAN);
}

static enum step step_head(struct origin_conn *c)
{
    enum http_error error = HTTP_ERROR_NONE;
    struct view bytes;
    size_t skip, len;

    if (c->in.len == 0)
        return c->input_ended ? no_more_requests(c) : STEP_WAIT;
    if (iobuf_pullup(&c->in, c->in.len, &bytes) != SP_OK)
        return gone(c, VC_CLOSE_ABORT);
    skip = http1_skip_empty_lines(bytes);
    switch (http1_head_scan(&c->scan, view_from(bytes, skip), &limits, &len, &error)) {
    case HTTP1_SCAN_MORE: return c->input_ended ? no_more_requests(c) : STEP_WAIT;
    case HTTP1_SCAN_ERROR: return refuse(c, error);
    case HTTP1_SCAN_DONE: break;
    }
    return parse(c, bytes, skip, len);
}

/* The body was read to its end. */
static enum step body_ended(struct origin_conn *c)
{
    if (!c->answered)
        return answer(c);
    exchange_reset(c);
    return STEP_AGAIN;
}

static enum step step_body(struct origin_conn *c)
{
    enum http_error error = HTTP_ERROR_NONE;
    struct iobuf data;

    if (c->page->body != NULL && c->out.len >= ORIGIN_OUT_BYTES)
        return STEP_WAIT;
    iobuf_init(&data);
    enum origin_body_step step = origin_body_next(&c->body, &c->in, &data, &c->arena, &error);
    if (step == ORIGIN_BODY_DATA && c->page->body != NULL && !c->answered)
        c->page->body(c, &data);
    iobuf_clear(&data);
    switch (step) {
    case ORIGIN_BODY_DATA: return STEP_AGAIN;
    case ORIGIN_BODY_ENDED: return body_ended(c);
    case ORIGIN_BODY_MORE: return c->input_ended ? gone(c, VC_CLOSE_ABORT) : STEP_WAIT;
    case ORIGIN_BODY_ERROR: break;
    }
    return c->answered || c->answer.head_sent ? gone(c, VC_CLOSE_ABORT) : refuse(c, error);
}

/* Our stream ends; the client's is read on for a while, because closing with unread bytes would be
 * a reset that can destroy the answer on its way (RFC 9112 9.6). */
static enum step linger(struct origin_conn *c)
{
    net_vc_do_io_shutdown(c->vc, VC_SHUTDOWN_WRITE);
    ethread_timer_arm_in(c->vc->thread, &c->timer, LINGER_MS);
    c->phase = ORIGIN_LINGER;
    return STEP_AGAIN;
}

static enum step step_linger(struct origin_conn *c)
{
    iobuf_clear(&c->in);
    if (c->input_ended || !timer_is_armed(&c->timer))
        return gone(c, VC_CLOSE_CLEAN);
    return STEP_WAIT;
}

/* A client that waits for a "100 Continue" it never got will not send the body now. */
static bool body_will_come(const struct origin_conn *c)
{
    return !c->head.expect_continue || c->continued;
}

static enum step keep(struct origin_conn *c)
{
    if (c->body.ended) {
        exchange_reset(c);
        return STEP_AGAIN;
    }
    if (!body_will_come(c)) {
        c->answer.end = ORIGIN_CLOSE;
        return STEP_AGAIN;
    }
    c->phase = ORIGIN_BODY;
    return STEP_AGAIN;
}

/* The answer is complete in `out`. */
static enum step finish(struct origin_conn *c)
{
    switch (c->answer.end) {
    case ORIGIN_KEEP: return keep(c);
    case ORIGIN_TUNNEL: c->phase = ORIGIN_IN_TUNNEL; return STEP_AGAIN;
    case ORIGIN_HANG: return c->input_ended ? gone(c, VC_CLOSE_CLEAN) : STEP_WAIT;
    case ORIGIN_CLOSE: return c->out.len > 0 ? STEP_WAIT : linger(c);
    case ORIGIN_CUT: return c->out.len > 0 ? STEP_WAIT : gone(c, VC_CLOSE_CLEAN);
    case ORIGIN_RESET: return c->out.len > 0 ? STEP_WAIT : gone(c, VC_CLOSE_ABORT);
    }
    return gone(c, VC_CLOSE_ABORT);
}

static enum step step_answer(struct origin_conn *c)
{
    while (c->answer.more != NULL && c->out.len < ORIGIN_OUT_BYTES && !timer_is_armed(&c->timer) &&
           !c->failed)
        if (c->answer.more(c) == ORIGIN_DONE)
            c->answer.more = NULL;
    if (c->failed)
        return gone(c, VC_CLOSE_ABORT);
    if (timer_is_armed(&c->timer) || c->answer.more != NULL)
        return STEP_WAIT;
    return finish(c);
}

static enum step step_tunnel(struct origin_conn *c)
{
    bool open = c->answer.tunnel(c);

    if (c->failed)
        return gone(c, VC_CLOSE_ABORT);
    if (open && !(c->input_ended && c->in.len == 0))
        return STEP_WAIT;
    return c->out.len > 0 ? STEP_WAIT : linger(c);
}

static enum step (*const steps[])(struct origin_conn *c) = {
    [ORIGIN_HEAD] = step_head,        [ORIGIN_BODY] = step_body,     [ORIGIN_ANSWER] = step_answer,
    [ORIGIN_IN_TUNNEL] = step_tunnel, [ORIGIN_LINGER] = step_linger,
};

static void run(struct origin_conn *c)
{
    enum step step;

    do
        step = steps[c->phase](c);
    while (step == STEP_AGAIN);
    if (step == STEP_GONE)
        return;
    if (c->out.len > 0)
        vio_reenable(c->write);
    if (c->in.len < IN_BYTES)
        vio_reenable(c->read);
}

void origin_pause(struct origin_conn *c, int64_t ms)
{
    ethread_timer_arm_in(c->vc->thread, &c->timer, ms);
}

static void timer_fired(struct timer *t)
{
    run(container_of(t, struct origin_conn, timer));
}

static int handle(struct continuation *cont, int event, void *data)
{
    struct origin_conn *c = container_of(cont, struct origin_conn, cont);

    (void)data;
    switch (event) {
    case VC_EVENT_EOS:
        c->input_ended = true;
        run(c);
        break;
    case VC_EVENT_READ_READY:
    case VC_EVENT_WRITE_READY: run(c); break;
    case VC_EVENT_INACTIVITY_TIMEOUT:
        if (c->answer.end != ORIGIN_HANG)
            (void)gone(c, VC_CLOSE_CLEAN);
        break;
    default: (void)gone(c, VC_CLOSE_ABORT);
    }
    return EVENT_DONE;
}

static struct origin_conn *conn_new(struct origin *o, struct net_vconnection *vc)
{
    struct origin_conn *c = calloc(1, sizeof(*c));

    if (c == NULL)
        return NULL;
    continuation_init(&c->cont, "origin_conn", handle);
    timer_init(&c->timer, timer_fired);
    c->origin = o;
    c->vc = vc;
    c->id = atomic_fetch_add_explicit(&o->n_connections, 1, memory_order_relaxed) + 1;
    iobuf_init(&c->in);
    iobuf_init(&c->out);
    exchange_reset(c);
    return c;
}

int origin_accept(struct continuation *cont, int event, void *data)
{
    struct origin *o = container_of(cont, struct origin, accept_cont);
    struct net_vconnection *vc = data;

    if (event != NET_EVENT_ACCEPT)
        return EVENT_DONE; /* the listener failed; the net layer has logged it */
    struct origin_conn *c = conn_new(o, vc);
    if (c == NULL) {
        net_vc_do_io_close(vc, VC_CLOSE_ABORT);
        return EVENT_DONE;
    }
    c->read = net_vc_do_io_read(vc, &c->cont, INT64_MAX, &c->in, IN_BYTES);
    c->write = net_vc_do_io_write(vc, &c->cont, INT64_MAX, &c->out, OUT_LOW_BYTES);
    return EVENT_DONE;
}
