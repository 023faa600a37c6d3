/* One exchange: what the user of a stream calls, and its life. What arrives and is told:
 * http2_stream_recv.c. */
#include "http2_stream.h"

#include <sallyport/base/log.h>

#include <inttypes.h>
#include <stdlib.h>

/* ---- Life ---- */

struct http2_stream *http2_stream_new(struct http2_conn *c, int32_t id)
{
    struct http2_stream *s = calloc(1, sizeof(*s));

    if (s == NULL)
        return NULL;
    s->super.ops = &http2_stream_ops;
    s->super.vc = c->vc;
    s->super.queue_bound = c->options.buffer_bytes;
    s->super.reused = c->n_begun > 0;
    s->conn = c;
    s->recv_left = s->send_left = UINT64_MAX;
    s->received_ms = s->sent_ms = http2_conn_now_ms(c);
    arena_init(&s->super.arena);
    iobuf_init(&s->in);
    iobuf_init(&s->out);
    list_init(&s->ready_link);
    list_push_back(&c->streams, &s->link);
    c->n_begun++;
    if (id != 0)
        http2_stream_opened(s, id);
    return s;
}

void http2_stream_opened(struct http2_stream *s, int32_t id)
{
    s->super.id = (uint64_t)id;
    s->is_open = true;
    s->conn->n_open++;
}

struct http2_stream *http2_stream_by_id(struct http2_conn *c, int32_t id)
{
    struct list *n;

    list_for_each (n, &c->streams) {
        struct http2_stream *s = container_of(n, struct http2_stream, link);

        if (s->super.id == (uint64_t)id)
            return s;
    }
    return NULL;
}

void http2_stream_free_if_done(struct http2_stream *s)
{
    struct http2_conn *c = s->conn;

    if (!s->released || s->is_open)
        return;
    if (c->running && list_is_linked(&s->ready_link))
        return; /* its turn in deliver() comes yet */
    c->ops->stream_gone(s);
    http2_stream_drop_received(s);
    http2_stream_drop_queued(s);
    arena_fini(&s->super.arena);
    list_remove(&s->ready_link);
    list_remove(&s->link);
    c->extra_window_bytes -= s->extra_window_bytes;
    free(s);
}

/* After a call of the user's: whatever it was, it may have been the last. */
static void let_go(struct http2_stream *s)
{
    struct http2_conn *c = s->conn;

    if (c->running) {
        http2_stream_ready(s); /* deliver() frees it */
        return;
    }
    http2_stream_free_if_done(s);
    http2_conn_free_if_done(c);
}

void http2_stream_closed(struct http2_stream *s, uint32_t code)
{
    struct http2_conn *c = s->conn;

    if (!s->is_open)
        return;
    s->is_open = false;
    c->n_open--;
    http2_stream_ready(s);
    if (s->wire_ended && s->wire_sent)
        http2_budget_request_done(&c->budget);
    else if (!s->aborted && !s->released)
        http2_stream_fail(s, c->ops->reset(s, code));
}

/* ---- Failing ---- */

void http2_stream_fail(struct http2_stream *s, enum http_error why)
{
    if (why == HTTP_ERROR_NONE || s->trouble != HTTP_ERROR_NONE || s->failed || s->aborted)
        return;
    s->trouble = why;
    http2_stream_ready(s);
}

void http2_stream_reset(struct http2_stream *s, uint32_t code)
{
    struct http2_conn *c = s->conn;

    if (s->aborted)
        return;
    s->aborted = true;
    http2_stream_drop_queued(s);
    http2_stream_drop_received(s);
    if (!s->is_open || c->state != HTTP2_CONN_OPEN)
        return;
    if (nghttp2_submit_rst_stream(c->session, NGHTTP2_FLAG_NONE, (int32_t)s->super.id, code) != 0)
        http2_conn_broke(c, HTTP_ERROR_NOMEM);
}

void http2_stream_malformed(struct http2_stream *s, enum http_error why)
{
    http2_stream_fail(s, why);
    http2_stream_reset(s, NGHTTP2_PROTOCOL_ERROR);
}

/* ---- Sending ---- */

/* One slow stream may hold a whole buffer, as one of HTTP/1.1 may. A hundred of them may not: whose
 * windows stay shut then holds what had come already, and the rest waits where it comes from. */
size_t http2_stream_bound(const struct http2_stream *s)
{
    const struct http2_conn *c = s->conn;

    return c->queued_bytes > c->options.conf->send_bytes ? 0 : c->options.buffer_bytes;
}

void http2_stream_drop_queued(struct http2_stream *s)
{
    s->conn->queued_bytes -= s->out.len;
    iobuf_clear(&s->out);
}

/* There is something for nghttp2 to ask for. */
static enum sp_err resume_data(struct http2_stream *s)
{
    if (s->deferred) {
        int err = nghttp2_session_resume_data(s->conn->session, (int32_t)s->super.id);

        s->deferred = false;
        if (err != 0)
            return http2_library_err(err);
    }
    http2_conn_pump(s->conn);
    return SP_OK;
}

static bool can_send(const struct http2_stream *s)
{
    return s->is_open && !s->aborted && s->super.vc != NULL;
}

static enum sp_err send_head(struct http_stream *stream, const struct http_head *head, bool end)
{
    struct http2_stream *s = http2_stream_of(stream);
    enum sp_err err;

    if (s->aborted || stream->vc == NULL || stream->head_sent)
        return SP_INVALID;
    err = s->conn->ops->send_head(s, head, end);
    if (err == SP_OK)
        http2_conn_pump(s->conn);
    return err;
}

/* Does it fit what the head has promised? */
static bool is_promised(const struct http2_stream *s, size_t n, bool end)
{
    if (s->send_left == UINT64_MAX)
        return true;
    return n <= s->send_left && (!end || n == s->send_left);
}

static enum sp_err send_body(struct http_stream *stream, struct iobuf *data, bool end)
{
    struct http2_stream *s = http2_stream_of(stream);
    size_t n = data->len;

    if (!can_send(s) || !stream->head_sent || stream->send_ended || !is_promised(s, n, end)) {
        iobuf_clear(data);
        return SP_INVALID;
    }
    if (s->send_left != UINT64_MAX)
        s->send_left -= n;
    if (s->out.len == 0)
        s->sent_ms = http2_conn_now_ms(s->conn);
    iobuf_move_all(&s->out, data);
    s->conn->queued_bytes += n;
    stream->bytes_sent += n;
    stream->send_ended = end;
    stream->queue_bound = http2_stream_bound(s);
    if (s->out.len > stream->queue_bound)
        s->above = true;
    return n > 0 || end ? resume_data(s) : SP_OK;
}

/* The views are the other stream's, which may be gone when the last of the body has left. */
static enum sp_err keep_trailers(struct http2_stream *s, const struct http_fields *trailers)
{
    struct arena *arena = &s->super.arena;
    struct http_fields kept = {0};
    enum sp_err err = SP_OK;

    for (uint32_t i = 0; i < trailers->n && err == SP_OK; i++) {
        struct http_field field = trailers->v[i];

        field.name = arena_copy(arena, field.name);
        field.value = arena_copy(arena, field.value);
        if (field.name.p == NULL || field.value.p == NULL)
            return SP_NOMEM;
        err = http_fields_add_copy(&kept, arena, &field);
    }
    if (err != SP_OK)
        return err;
    return http2_fields_write_trailers(&kept, arena, &s->send_trailers);
}

static enum sp_err send_trailers(struct http_stream *stream, const struct http_fields *trailers)
{
    struct http2_stream *s = http2_stream_of(stream);
    enum sp_err err;

    if (!can_send(s) || !stream->head_sent || stream->send_ended || s->tunnel ||
        !is_promised(s, 0, true))
        return SP_INVALID;
    err = keep_trailers(s, trailers);
    if (err != SP_OK)
        return err;
    s->has_send_trailers = s->send_trailers.n > 0;
    stream->send_ended = true;
    return resume_data(s);
}

/* RFC 9113 8.1: a response that is whole before its request asks for no more of it. Tunnels end one
 * way at a time, as long as somebody is there. */
static void stop_peer_if_answered(struct http2_stream *s)
{
    if (s->wire_sent && !s->wire_ended && s->conn->ops->is_server && (s->released || !s->tunnel))
        http2_stream_reset(s, NGHTTP2_NO_ERROR);
}

void http2_stream_sent(struct http2_stream *s)
{
    s->wire_sent = true;
    stop_peer_if_answered(s);
}

static size_t send_queued(const struct http_stream *stream)
{
    const struct http2_stream *s =
        (const void *)((const char *)stream - offsetof(struct http2_stream, super));

    return s->out.len;
}

/* ---- Receiving ---- */

static void pause_body(struct http_stream *stream)
{
    http2_stream_of(stream)->paused = true;
}

static void resume_body(struct http_stream *stream)
{
    struct http2_stream *s = http2_stream_of(stream);

    if (!s->paused)
        return;
    s->paused = false;
    if (stream->vc != NULL)
        s->received_ms = http2_conn_now_ms(s->conn); /* the peer could not go on before */
    http2_stream_ready(s);
    http2_conn_wake(s->conn);
}

/* ---- The end ---- */

static void abort_exchange(struct http_stream *stream, enum http_error why)
{
    struct http2_stream *s = http2_stream_of(stream);

    if (stream->vc == NULL || s->aborted)
        return;
    LOG_DEBUG(HTTP, "vc=%" PRIu64 " stream=%" PRIu64 " aborted=%s", stream->vc->id, stream->id,
              http_error_label(why));
    http2_stream_reset(s, http2_error_code(why));
    s->trouble = HTTP_ERROR_NONE; /* no event follows */
    http2_conn_pump(s->conn);
}

/* Is the exchange over as far as the protocol is concerned, once what is queued has left? */
static bool is_whole(const struct http2_stream *s)
{
    return s->super.send_ended && (s->conn->ops->is_server || s->wire_ended);
}

static void release(struct http_stream *stream)
{
    struct http2_stream *s = http2_stream_of(stream);

    stream->user = NULL;
    s->released = true;
    if (!is_whole(s))
        http2_stream_reset(s, s->conn->ops->is_server ? NGHTTP2_INTERNAL_ERROR : NGHTTP2_CANCEL);
    else
        http2_stream_drop_received(s);
    stop_peer_if_answered(s);
    http2_conn_pump(s->conn);
    let_go(s);
}

const struct http_stream_ops http2_stream_ops = {
    .protocol = "HTTP/2",
    .send_head = send_head,
    .send_body = send_body,
    .send_trailers = send_trailers,
    .send_queued = send_queued,
    .pause = pause_body,
    .resume = resume_body,
    .abort = abort_exchange,
    .release = release,
};
