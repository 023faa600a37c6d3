/* The send half of the stream: what the user of a stream calls, from anywhere. */
#include "http1_upstream_internal.h"

#include <sallyport/base/log.h>

#include <inttypes.h>

/* Bytes were queued, or the request is complete. */
static void queued(struct http1_upstream *up)
{
    struct http_stream *stream = &up->stream;

    if (up->out.len > stream->queue_bound)
        up->above = true;
    vio_reenable(&stream->vc->write.vio);
    if (!up->running)
        http1_upstream_retime(up);
}

/* RFC 9110 8.6: a client should say so when it sends no content with a method that has a meaning
 * for it; some servers insist. HTTP/2 clients need not say it. */
static bool expects_content(enum http_method method)
{
    return method == HTTP_METHOD_POST || method == HTTP_METHOD_PUT || method == HTTP_METHOD_PATCH;
}

/* False: no request can say so. */
static bool plan_request(const struct http_head *head, bool end, struct http1_head_plan *plan)
{
    if (head->protocol.len > 0) {
        plan->connection = HTTP1_CONNECTION_UPGRADE;
        plan->protocol = head->protocol;
        return head->body == HTTP_BODY_NONE || head->body == HTTP_BODY_TUNNEL;
    }
    switch (head->body) {
    case HTTP_BODY_NONE: plan->says_length = expects_content(head->method); return true;
    case HTTP_BODY_TO_CLOSE:
    case HTTP_BODY_TUNNEL: return false;
    case HTTP_BODY_UNSIZED:
        plan->framing = end ? HTTP1_FRAMING_LENGTH : HTTP1_FRAMING_CHUNKED;
        plan->says_length = end;
        return true;
    case HTTP_BODY_LENGTH: break;
    }
    plan->framing = HTTP1_FRAMING_LENGTH;
    plan->says_length = true;
    plan->length = head->content_length;
    return !end || head->content_length == 0;
}

/* RFC 8441 5: an HTTP/2 client sends no key and expects no proof; an HTTP/1.1 server wants both. */
static void plan_websocket(struct http1_upstream *up, const struct http_head *head,
                           char key[WEBSOCKET_KEY_LEN], struct http1_head_plan *plan)
{
    const struct view made = {key, WEBSOCKET_KEY_LEN};

    up->made_key = head->version == HTTP_VERSION_2 && websocket_is(head->protocol) &&
                   websocket_key(&head->fields) == NULL;
    if (!up->made_key)
        return;
    websocket_key_make(key);
    (void)websocket_proof_make(made, up->proof);
    plan->websocket_key = made;
}

static enum sp_err send_head(struct http_stream *stream, const struct http_head *head, bool end)
{
    struct http1_upstream *up = http1_upstream_of(stream);
    struct http1_head_plan plan = {0};
    char key[WEBSOCKET_KEY_LEN];
    enum sp_err err;

    if (stream->vc == NULL || stream->head_sent || !http_head_is_request(head) ||
        !plan_request(head, end, &plan))
        return SP_INVALID;
    if (head->protocol.len > 0) {
        up->protocol = arena_copy(&stream->arena, head->protocol);
        if (up->protocol.p == NULL)
            return SP_NOMEM;
    }
    plan_websocket(up, head, key, &plan);
    err = http1_write_head(&up->out, head, &plan);
    if (err != SP_OK)
        return err;
    http1_writer_init(&up->writer, &plan);
    up->method = head->method;
    stream->head_sent = true;
    stream->send_ended = end;
    queued(up);
    return SP_OK;
}

/* The backend has answered, or takes no more: what is still given has nowhere to go, and the
 * connection is not used again unless the request was complete by then. */
static bool is_moot(const struct http1_upstream *up)
{
    return up->state == HTTP1_UPSTREAM_DONE || up->send_broken;
}

/* Before the backend has agreed to it there is no tunnel to send into. */
static bool is_too_early(const struct http1_upstream *up, size_t n)
{
    return up->protocol.len > 0 && up->state != HTTP1_UPSTREAM_TUNNEL && n > 0;
}

static void end_request(struct http1_upstream *up)
{
    up->stream.send_ended = true;
    if (up->state == HTTP1_UPSTREAM_TUNNEL)
        net_vc_do_io_shutdown(up->stream.vc, VC_SHUTDOWN_WRITE);
    else
        up->ended_early = true;
}

static enum sp_err send_body(struct http_stream *stream, struct iobuf *data, bool end)
{
    struct http1_upstream *up = http1_upstream_of(stream);
    size_t n = data->len;
    enum sp_err err;

    if (stream->vc == NULL || !stream->head_sent || (stream->send_ended && (n > 0 || !end)) ||
        is_too_early(up, n)) {
        iobuf_clear(data);
        return SP_INVALID;
    }
    stream->bytes_sent += n;
    if (is_moot(up)) {
        iobuf_clear(data);
        return SP_OK;
    }
    err = http1_write_body(&up->writer, &up->out, data, end && !stream->send_ended);
    if (err != SP_OK)
        return err;
    if (end)
        end_request(up);
    queued(up);
    return SP_OK;
}

static enum sp_err send_trailers(struct http_stream *stream, const struct http_fields *trailers)
{
    struct http1_upstream *up = http1_upstream_of(stream);
    enum sp_err err;

    if (stream->vc == NULL || !stream->head_sent || stream->send_ended)
        return SP_INVALID;
    if (is_moot(up))
        return SP_OK;
    err = http1_write_trailers(&up->writer, &up->out, trailers);
    if (err != SP_OK)
        return err;
    end_request(up);
    queued(up);
    return SP_OK;
}

static size_t send_queued(const struct http_stream *stream)
{
    const struct http1_upstream *up =
        (const void *)((const char *)stream - offsetof(struct http1_upstream, stream));

    return up->out.len;
}

static void pause_body(struct http_stream *stream)
{
    struct http1_upstream *up = http1_upstream_of(stream);

    up->paused = true;
    if (!up->running)
        http1_upstream_retime(up);
}

static void resume_body(struct http_stream *stream)
{
    struct http1_upstream *up = http1_upstream_of(stream);

    if (!up->paused)
        return;
    up->paused = false;
    http1_upstream_wake(up);
}

static void abort_exchange(struct http_stream *stream, enum http_error why)
{
    struct http1_upstream *up = http1_upstream_of(stream);

    if (stream->vc == NULL)
        return;
    LOG_DEBUG(UPSTREAM, "vc=%" PRIu64 " request=%" PRIu64 " aborted=%s", stream->vc->id, stream->id,
              http_error_label(why));
    http1_upstream_cut(up, VC_CLOSE_ABORT);
}

static void release(struct http_stream *stream)
{
    struct http1_upstream *up = http1_upstream_of(stream);

    stream->user = NULL;
    if (!up->running)
        http1_upstream_end_exchange(up);
}

const struct http_stream_ops http1_upstream_stream_ops = {
    .protocol = "HTTP/1.1",
    .send_head = send_head,
    .send_body = send_body,
    .send_trailers = send_trailers,
    .send_queued = send_queued,
    .pause = pause_body,
    .resume = resume_body,
    .abort = abort_exchange,
    .release = release,
};
