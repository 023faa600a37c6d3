/* The send half of the stream: what the user of a stream calls, from anywhere. */
#include "http1_session_internal.h"
#include "websocket.h"

#include <sallyport/base/log.h>

#include <inttypes.h>

/* A rest of a request's body up to this length is read and thrown away, to save the connection. */
enum { DRAIN_MAX_BYTES = 64 * 1024 };

/* Bytes were queued. */
static void queued(struct http1_session *s)
{
    struct http_stream *stream = &s->stream;

    if (s->out.len > stream->queue_bound)
        s->above = true;
    vio_reenable(&stream->vc->write.vio);
    if (!s->running)
        http1_session_retime(s);
}

void http1_session_took(struct http1_session *s)
{
    if (!s->above || s->out.len > s->stream.queue_bound / 2)
        return;
    s->above = false;
    s->drained = true;
}

/* ---- Heads ---- */

static bool is_interim(const struct http_head *head)
{
    return head->status / 100 == 1 && head->status != 101;
}

/* Before the request was understood it is taken for the usual. */
static bool speaks_1_1(const struct http1_session *s)
{
    return s->head == NULL || s->head->version != HTTP_VERSION_1_0;
}

static bool asked_with(const struct http1_session *s, enum http_method method)
{
    return s->head != NULL && s->head->method == method;
}

/* The client waits for 100 (Continue) and got none: whether it will send its body is open. */
static bool is_waiting_for_100(const struct http1_session *s)
{
    return s->head->expect_continue && !s->continued && s->stream.bytes_received == 0 &&
           s->in.len == 0;
}

/* Will the request be over soon after its response? */
static bool will_end_request(const struct http1_session *s)
{
    if (s->body.ended)
        return true;
    return s->body.kind == HTTP_BODY_LENGTH && s->body.left <= DRAIN_MAX_BYTES &&
           !is_waiting_for_100(s);
}

/* Is this response the connection's last (RFC 9112 9.3, 9.6)? */
static bool is_last(const struct http1_session *s)
{
    const struct http_limits_conf *limits = http1_session_limits(s);
    uint32_t max = limits->max_requests_per_connection;

    return s->head == NULL || !s->head->keep_alive || s->failed ||
           atomic_load_explicit(&s->port->draining, memory_order_relaxed) ||
           (max != 0 && s->stream.id >= max) || limits->keep_alive_timeout_ms == 0 ||
           (s->client_ended && s->in.len == 0) || !will_end_request(s);
}

/* RFC 8441 5: an HTTP/2 server was sent no key and gives no proof; the client expects one. */
static struct http1_head_plan plan_tunnel(const struct http1_session *s,
                                          const struct http_head *head,
                                          char proof[WEBSOCKET_PROOF_LEN])
{
    struct http1_head_plan plan = {
        .framing = HTTP1_FRAMING_RAW,
        .connection = HTTP1_CONNECTION_UPGRADE,
        .protocol = head->protocol.len > 0 ? head->protocol : s->head->protocol,
    };
    const struct http_field *key = websocket_key(&s->head->fields);

    if (head->version == HTTP_VERSION_2 && websocket_is(s->head->protocol) && key != NULL &&
        websocket_proof_make(key->value, proof))
        plan.websocket_proof = (struct view){proof, WEBSOCKET_PROOF_LEN};
    return plan;
}

/* RFC 9112 6.3: responses to HEAD, 204 and 304 end with their head. Of these HEAD and 304 may say
 * what the length would be (RFC 9110 8.6). */
static void plan_without_body(const struct http_head *head, struct http1_head_plan *plan)
{
    plan->framing = HTTP1_FRAMING_NONE;
    plan->says_length = head->status != 204 && head->body == HTTP_BODY_LENGTH;
    plan->length = head->content_length;
}

static void plan_body(const struct http1_session *s, const struct http_head *head, bool end,
                      struct http1_head_plan *plan)
{
    if (head->body == HTTP_BODY_NONE || head->body == HTTP_BODY_LENGTH || end) {
        plan->framing = HTTP1_FRAMING_LENGTH;
        plan->says_length = true;
        plan->length = head->body == HTTP_BODY_LENGTH ? head->content_length : 0;
        return;
    }
    plan->framing = speaks_1_1(s) ? HTTP1_FRAMING_CHUNKED : HTTP1_FRAMING_RAW;
}

static struct http1_head_plan plan_final(struct http1_session *s, const struct http_head *head,
                                         bool end)
{
    struct http1_head_plan plan = {0};

    if (head->status == 204 || head->status == 304 || asked_with(s, HTTP_METHOD_HEAD))
        plan_without_body(head, &plan);
    else
        plan_body(s, head, end, &plan);
    s->close_after = plan.framing == HTTP1_FRAMING_RAW || is_last(s);
    if (s->close_after)
        plan.connection = HTTP1_CONNECTION_CLOSE;
    else if (!speaks_1_1(s))
        plan.connection = HTTP1_CONNECTION_KEEP_ALIVE;
    return plan;
}

static enum sp_err send_interim(struct http1_session *s, const struct http_head *head)
{
    const struct http1_head_plan plan = {.framing = HTTP1_FRAMING_NONE};
    enum sp_err err;

    /* RFC 9110 15.2: "A server MUST NOT send a 1xx response to an HTTP/1.0 client". */
    if (!speaks_1_1(s))
        return SP_OK;
    err = http1_write_head(&s->out, head, &plan);
    if (err != SP_OK)
        return err;
    s->continued = s->continued || head->status == 100;
    queued(s);
    return SP_OK;
}

/* From here on the connection carries bytes of another protocol, both ways. */
static void open_tunnel(struct http1_session *s)
{
    http1_session_enter(s, HTTP1_SESSION_TUNNEL);
    http1_body_init(&s->body, true, HTTP_BODY_TUNNEL, 0);
    s->stream.recv_ended = false;
    http1_session_wake(s); /* the client may have gone on already */
}

static void end_response(struct http1_session *s)
{
    s->stream.send_ended = true;
    if (s->state == HTTP1_SESSION_TUNNEL)
        net_vc_do_io_shutdown(s->stream.vc, VC_SHUTDOWN_WRITE);
}

/* Does the head make sense as the answer to this request? */
static bool is_valid_final(const struct http1_session *s, const struct http_head *head, bool end)
{
    if (head->status == 101 || head->body == HTTP_BODY_TUNNEL)
        return head->status == 101 && s->head != NULL && s->head->protocol.len > 0 && !end &&
               !s->failed;
    if (!end || head->body != HTTP_BODY_LENGTH || head->content_length == 0)
        return true;
    return head->status == 204 || head->status == 304 || asked_with(s, HTTP_METHOD_HEAD);
}

static enum sp_err send_final(struct http1_session *s, const struct http_head *head, bool end)
{
    char proof[WEBSOCKET_PROOF_LEN];
    struct http1_head_plan plan;
    enum sp_err err;

    if (!is_valid_final(s, head, end))
        return SP_INVALID;
    plan = head->status == 101 ? plan_tunnel(s, head, proof) : plan_final(s, head, end);
    err = http1_write_head(&s->out, head, &plan);
    if (err != SP_OK)
        return err;
    http1_writer_init(&s->writer, &plan);
    s->stream.head_sent = true;
    if (head->status == 101)
        open_tunnel(s);
    if (end)
        end_response(s);
    queued(s);
    return SP_OK;
}

/* ---- The stream's operations ---- */

static enum sp_err send_head(struct http_stream *stream, const struct http_head *head, bool end)
{
    struct http1_session *s = http1_session_of(stream);

    if (stream->vc == NULL || stream->head_sent)
        return SP_INVALID;
    return is_interim(head) ? send_interim(s, head) : send_final(s, head, end);
}

static enum sp_err send_body(struct http_stream *stream, struct iobuf *data, bool end)
{
    struct http1_session *s = http1_session_of(stream);
    size_t n = data->len;
    enum sp_err err;

    if (stream->vc == NULL || !stream->head_sent || stream->send_ended) {
        iobuf_clear(data);
        return SP_INVALID;
    }
    err = http1_write_body(&s->writer, &s->out, data, end);
    if (err != SP_OK)
        return err;
    stream->bytes_sent += n;
    if (end)
        end_response(s);
    queued(s);
    return SP_OK;
}

static enum sp_err send_trailers(struct http_stream *stream, const struct http_fields *trailers)
{
    struct http1_session *s = http1_session_of(stream);
    enum sp_err err;

    if (stream->vc == NULL || !stream->head_sent || stream->send_ended)
        return SP_INVALID;
    err = http1_write_trailers(&s->writer, &s->out, trailers);
    if (err != SP_OK)
        return err;
    end_response(s);
    queued(s);
    return SP_OK;
}

static size_t send_queued(const struct http_stream *stream)
{
    const struct http1_session *s =
        (const void *)((const char *)stream - offsetof(struct http1_session, stream));

    return s->out.len;
}

static void pause_body(struct http_stream *stream)
{
    struct http1_session *s = http1_session_of(stream);

    s->paused = true;
    if (!s->running)
        http1_session_retime(s);
}

static void resume_body(struct http_stream *stream)
{
    struct http1_session *s = http1_session_of(stream);

    if (!s->paused)
        return;
    s->paused = false;
    http1_session_wake(s);
}

/* With a part of a response on its way, or an earlier response not yet taken, the client must not
 * mistake the end of the stream for theirs. */
static void cut(struct http1_session *s)
{
    bool half_sent = s->stream.head_sent || s->out.len > 0;

    http1_session_close(s, half_sent ? VC_CLOSE_ABORT : VC_CLOSE_CLEAN);
}

static void abort_exchange(struct http_stream *stream, enum http_error why)
{
    struct http1_session *s = http1_session_of(stream);

    if (stream->vc == NULL)
        return;
    LOG_DEBUG(HTTP, "vc=%" PRIu64 " request=%" PRIu64 " aborted=%s", stream->vc->id, stream->id,
              http_error_label(why));
    cut(s);
}

static void release(struct http_stream *stream)
{
    struct http1_session *s = http1_session_of(stream);

    stream->user = NULL;
    if (!stream->send_ended)
        cut(s);
    http1_session_wake(s);
    http1_session_free_if_done(s);
}

const struct http_stream_ops http1_session_stream_ops = {
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
