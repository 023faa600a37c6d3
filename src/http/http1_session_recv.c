/* What arrives: heads, bodies, and what is no request. */
#include "http1_session_internal.h"

#include <sallyport/base/log.h>

#include <inttypes.h>

/* RFC 9112 2.2: "at least one empty line"; two, as http1_skip_empty_lines() has it. */
enum { MAX_EMPTY_BYTES = 4 };

static size_t min_size(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* They are taken out as they come, so that an idle connection holds no block for them; how many is
 * counted here, because the parser would allow as many again. */
static void take_empty_lines(struct http1_session *s)
{
    size_t allowed = MAX_EMPTY_BYTES - (size_t)s->n_empty_bytes;
    struct view bytes;
    size_t n;

    if (s->in.len == 0 || iobuf_pullup(&s->in, min_size(s->in.len, allowed), &bytes) != SP_OK)
        return;
    n = http1_skip_empty_lines(bytes);
    iobuf_consume(&s->in, n);
    s->n_empty_bytes = (uint8_t)(s->n_empty_bytes + n);
}

/* Has no byte of a request come? A CR alone may yet become an empty line. */
static bool has_no_request(const struct http1_session *s)
{
    return s->in.len == 0 || (s->in.len == 1 && iobuf_first(&s->in).p[0] == '\r');
}

/* The socket has everything: closing loses nothing. */
static bool has_sent_all(const struct http1_session *s)
{
    return s->out.len == 0 && !s->stream.vc->flush_wanted;
}

bool http1_session_step_idle(struct http1_session *s)
{
    bool draining = atomic_load_explicit(&s->port->draining, memory_order_relaxed);
    bool fresh = s->stream.id == 0;

    take_empty_lines(s);
    if (has_no_request(s)) {
        /* A connection that carried no request yet is not closed on draining: its client would not
         * know that it may ask again elsewhere. */
        if (!s->client_ended && (!draining || fresh))
            return false;
        if (fresh || (s->client_ended && has_sent_all(s)))
            http1_session_close(s, VC_CLOSE_CLEAN);
        else
            http1_session_linger(s);
        return true;
    }
    /* Responses to pipelined requests are not piled up for a client that does not read them. */
    if (s->out.len > s->stream.queue_bound / 2)
        return false;
    http1_session_enter(s, HTTP1_SESSION_HEAD);
    s->scan = (struct http1_head_scan){0};
    return true;
}

/* A new exchange: the stream forgets the one before. */
static void begin_stream(struct http1_session *s)
{
    struct http_stream *stream = &s->stream;

    stream->id++;
    stream->bytes_received = stream->bytes_sent = 0;
    stream->recv_ended = stream->send_ended = stream->head_sent = stream->answerable = false;
    s->n_empty_bytes = 0;
    s->close_after = s->paused = s->above = s->drained = s->continued = s->failed = false;
    s->rate_grace_over = false;
}

/* The head is kept where it was read, pinned, until the stream is released. */
static enum http_error read_head(struct http1_session *s, struct view bytes,
                                 const struct http1_limits *limits)
{
    struct http_head *head = arena_alloc(&s->stream.arena, sizeof(*head));
    enum http_error error;

    if (head == NULL)
        return HTTP_ERROR_NOMEM;
    error = http1_parse_request(bytes, limits, &s->stream.arena, head);
    if (error != HTTP_ERROR_NONE)
        return error;
    if (head->scheme.len == 0)
        head->scheme = s->port->tls ? VIEW("https") : VIEW("http");
    s->head = head;
    s->pin = iobuf_pin(&s->in);
    iobuf_consume(&s->in, bytes.len);
    return HTTP_ERROR_NONE;
}

static void begin_exchange(struct http1_session *s)
{
    struct http_service *service = s->port->service;

    begin_stream(s);
    http1_body_init(&s->body, true, s->head->body, s->head->content_length);
    s->stream.recv_ended = s->body.ended;
    http1_session_enter(s, HTTP1_SESSION_EXCHANGE);
    service->ops->request(service, &s->stream, s->head, s->body.ended);
}

bool http1_session_step_head(struct http1_session *s)
{
    const struct http1_limits limits = http1_session_parser_limits(s);
    enum http_error error = HTTP_ERROR_NONE;
    struct view head;

    switch (http1_find_head(&s->scan, &s->in, &limits, &head, &error)) {
    case HTTP1_SCAN_MORE:
        if (s->client_ended)
            http1_session_linger(s);
        return s->client_ended;
    case HTTP1_SCAN_ERROR: break;
    case HTTP1_SCAN_DONE: error = read_head(s, head, &limits); break;
    }
    if (error == HTTP_ERROR_NONE)
        begin_exchange(s);
    else
        http1_session_refuse(s, error);
    return true;
}

/* The service's page for `why`, sent as the last response. */
static enum sp_err answer(struct http1_session *s, enum http_error why)
{
    struct http_service *service = s->port->service;
    struct http_head head = {.version = HTTP_VERSION_1_1, .status = http_error_status(why)};
    struct iobuf body;
    enum sp_err err;

    iobuf_init(&body);
    err = service->ops->error_answer(service, &s->stream, why, &head, &body);
    head.body = HTTP_BODY_LENGTH;
    head.content_length = body.len;
    if (err == SP_OK)
        err = http_stream_send_head(&s->stream, &head, false);
    if (err == SP_OK)
        err = http_stream_send_body(&s->stream, &body, true);
    iobuf_clear(&body);
    return err;
}

void http1_session_refuse(struct http1_session *s, enum http_error why)
{
    struct http_service *service = s->port->service;
    struct net_vconnection *vc = s->stream.vc;
    enum sp_err err;

    begin_stream(s);
    LOG_DEBUG(HTTP, "vc=%" PRIu64 " request=%" PRIu64 " refused=%s", vc->id, s->stream.id,
              http_error_label(why)); /* the service's line says more */
    err = answer(s, why);
    service->ops->refused(service, &s->stream, why);
    arena_fini(&s->stream.arena);
    if (err == SP_OK)
        http1_session_linger(s);
    else
        http1_session_close(s, VC_CLOSE_ABORT);
}

/* True: the user may go on being told. */
static bool tell_body(struct http1_session *s, struct iobuf *data, bool end)
{
    struct http_stream *stream = &s->stream;
    struct http_stream_user *user = stream->user;

    stream->bytes_received += data->len;
    stream->recv_ended = end;
    user->ops->body(user, stream, data, end);
    iobuf_clear(data); /* what the user left */
    return stream->user != NULL && stream->vc != NULL;
}

static void tell_trailers(struct http1_session *s, struct http1_body_piece *piece)
{
    struct http_stream *stream = &s->stream;

    if (piece->data.len > 0 && !tell_body(s, &piece->data, false))
        return;
    stream->recv_ended = true;
    stream->user->ops->trailers(stream->user, stream, &piece->trailers);
}

/* Nothing more can come for now; or ever? */
static bool step_body_end(struct http1_session *s, struct http1_body_piece *piece)
{
    if (!s->client_ended)
        return false;
    if (http1_body_ends_with_stream(&s->body)) {
        s->body.ended = true;
        (void)tell_body(s, &piece->data, true);
    } else {
        s->trouble = HTTP_ERROR_CLIENT_CLOSED;
    }
    return true;
}

bool http1_session_step_body(struct http1_session *s)
{
    const struct http1_limits limits = http1_session_parser_limits(s);
    struct http1_body_piece piece = {0};

    if (s->body.ended || s->paused || s->failed)
        return false;
    switch (http1_body_take(&s->body, &s->in, &limits, &s->stream.arena, &piece)) {
    case HTTP1_BODY_MORE: return step_body_end(s, &piece);
    case HTTP1_BODY_DATA: (void)tell_body(s, &piece.data, false); break;
    case HTTP1_BODY_END: (void)tell_body(s, &piece.data, true); break;
    case HTTP1_BODY_TRAILERS: tell_trailers(s, &piece); break;
    case HTTP1_BODY_ERROR: s->trouble = piece.error; break;
    }
    iobuf_clear(&piece.data);
    return true;
}

bool http1_session_step_drain(struct http1_session *s)
{
    const struct http1_limits limits = http1_session_parser_limits(s);
    struct http1_body_piece piece = {0};
    enum http1_body_event event =
        http1_body_take(&s->body, &s->in, &limits, &s->stream.arena, &piece);

    iobuf_clear(&piece.data);
    if (s->body.ended)
        http1_session_enter(s, HTTP1_SESSION_IDLE);
    else if (event == HTTP1_BODY_ERROR || (event == HTTP1_BODY_MORE && s->client_ended))
        http1_session_linger(s);
    else
        return event == HTTP1_BODY_DATA;
    return true;
}
