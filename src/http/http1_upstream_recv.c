/* What a backend says: heads, interim ones first, and bodies. */
#include "http1_upstream_internal.h"

#include <sallyport/http/http_syntax.h>

/* RFC 9110 15.2: any number may come; a backend that sends more than this is broken. */
enum { MAX_INTERIM = 16 };

static struct http1_limits parser_limits(const struct http1_upstream *up)
{
    return (struct http1_limits){
        .max_head_bytes = up->options.max_head_bytes,
        .max_fields = up->options.max_fields,
        .max_trailer_bytes = up->options.max_head_bytes,
    };
}

/* The stream ended where a response was due. Only before its first byte can the request be taken
 * for not answered. */
static enum http_error no_response_error(const struct http1_upstream *up)
{
    return up->in.len == 0 && up->n_interim == 0 ? HTTP_ERROR_UPSTREAM_CLOSED
                                                 : HTTP_ERROR_UPSTREAM_BAD_RESPONSE;
}

/* "HTTP/1.1 1xx", but not 101; a head that is too short for that is the parser's to refuse. */
static bool looks_interim(struct view head)
{
    return head.len > 12 && head.p[9] == '1' && !view_eq((struct view){head.p + 9, 3}, VIEW("101"));
}

/* RFC 9110 8.6: HEAD and 304 may say what the length would be. The parser has checked the digits
 * and reports no body; the stream's convention is a length that ends with the head. */
static void announce_length(struct http_head *head)
{
    const struct http_field *field = http_fields_get(&head->fields, HTTP_FIELD_CONTENT_LENGTH);

    if (field == NULL || head->status == 204)
        return;
    head->body = HTTP_BODY_LENGTH;
    head->content_length = 0;
    for (size_t i = 0; i < field->value.len; i++)
        head->content_length =
            head->content_length * 10 + (uint64_t)((unsigned char)field->value.p[i] - '0');
}

static void name_protocol(const struct http1_upstream *up, struct http_head *head)
{
    const struct http_field *field = http_fields_get(&head->fields, HTTP_FIELD_UPGRADE);

    head->protocol = field != NULL ? field->value : up->protocol;
}

/* Parses in place and keeps the block; an interim head, which another one follows, is copied. */
static enum http_error read_head(struct http1_upstream *up, struct view bytes,
                                 const struct http1_limits *limits, struct http_head **out)
{
    struct arena *arena = &up->stream.arena;
    struct http_head *head = arena_alloc(arena, sizeof(*head));
    struct view text = bytes;
    enum http_error error;

    if (looks_interim(bytes))
        text = arena_copy(arena, bytes);
    if (head == NULL || text.p == NULL)
        return HTTP_ERROR_NOMEM;
    error = http1_parse_response(text, up->method, limits, arena, head);
    if (error != HTTP_ERROR_NONE)
        return error;
    if (text.p == bytes.p)
        up->pin = iobuf_pin(&up->in);
    iobuf_consume(&up->in, bytes.len);
    up->scan = (struct http1_head_scan){0};
    *out = head;
    return HTTP_ERROR_NONE;
}

static void take_interim(struct http1_upstream *up, const struct http_head *head)
{
    struct http_stream *stream = &up->stream;

    if (++up->n_interim > MAX_INTERIM)
        up->trouble = HTTP_ERROR_UPSTREAM_BAD_RESPONSE;
    else
        stream->user->ops->head(stream->user, stream, head, false);
}

/* Both directions carry another protocol from here on. */
static void open_tunnel(struct http1_upstream *up, struct http_head *head)
{
    struct http_stream *stream = &up->stream;

    name_protocol(up, head);
    http1_upstream_enter(up, HTTP1_UPSTREAM_TUNNEL);
    http1_writer_init(&up->writer, &(struct http1_head_plan){.framing = HTTP1_FRAMING_RAW});
    stream->send_ended = up->ended_early;
    if (up->ended_early)
        net_vc_do_io_shutdown(stream->vc, VC_SHUTDOWN_WRITE);
}

static void take_final(struct http1_upstream *up, struct http_head *head)
{
    struct http_stream *stream = &up->stream;

    up->keep_alive = head->keep_alive;
    http1_body_init(&up->body, false, head->body, head->content_length);
    if (head->body == HTTP_BODY_NONE)
        announce_length(head);
    stream->recv_ended = up->body.ended;
    if (head->body == HTTP_BODY_TUNNEL)
        open_tunnel(up, head);
    else
        http1_upstream_enter(up, up->body.ended ? HTTP1_UPSTREAM_DONE : HTTP1_UPSTREAM_BODY);
    stream->user->ops->head(stream->user, stream, head, up->body.ended);
}

/* The proof of a key of our own is checked here and goes no further. */
static bool check_proof(const struct http1_upstream *up, struct http_fields *fields)
{
    const struct http_field *proof = websocket_proof(fields);
    size_t at;

    if (!up->made_key)
        return true;
    if (proof == NULL || !view_eq(proof->value, (struct view){up->proof, sizeof(up->proof)}))
        return false;
    at = (size_t)(proof - fields->v);
    fields->n--;
    memmove(fields->v + at, fields->v + at + 1, (fields->n - at) * sizeof(*fields->v));
    return true;
}

static void take_head(struct http1_upstream *up, struct view bytes,
                      const struct http1_limits *limits)
{
    struct http_head *head = NULL;

    up->trouble = read_head(up, bytes, limits, &head);
    if (head == NULL)
        return;
    if (head->status / 100 == 1 && head->status != 101)
        take_interim(up, head);
    else if (head->body == HTTP_BODY_TUNNEL &&
             (up->protocol.len == 0 || !check_proof(up, &head->fields)))
        up->trouble = HTTP_ERROR_UPSTREAM_BAD_RESPONSE; /* RFC 9110 15.2.2: nobody asked */
    else
        take_final(up, head);
}

bool http1_upstream_step_await(struct http1_upstream *up)
{
    const struct http1_limits limits = parser_limits(up);
    enum http_error error = HTTP_ERROR_NONE;
    struct view bytes;

    if (up->in.len == 0 && !up->peer_ended)
        return false;
    /* Not the answer to a request of which nothing was sent: the backend says why it closes. */
    if (up->stream.vc->write.vio.ndone == up->sent_before) {
        up->trouble = HTTP_ERROR_UPSTREAM_CLOSED;
        return true;
    }
    switch (http1_find_head(&up->scan, &up->in, &limits, &bytes, &error)) {
    case HTTP1_SCAN_MORE:
        if (up->peer_ended)
            up->trouble = no_response_error(up);
        return up->peer_ended;
    case HTTP1_SCAN_ERROR: up->trouble = http1_upstream_error(error); break;
    case HTTP1_SCAN_DONE: take_head(up, bytes, &limits); break;
    }
    return true;
}

/* ---- Bodies ---- */

/* True: the user may go on being told. */
static bool tell_body(struct http1_upstream *up, struct iobuf *data, bool end)
{
    struct http_stream *stream = &up->stream;
    struct http_stream_user *user = stream->user;

    stream->bytes_received += data->len;
    stream->recv_ended = end;
    if (end && up->state == HTTP1_UPSTREAM_BODY)
        http1_upstream_enter(up, HTTP1_UPSTREAM_DONE);
    user->ops->body(user, stream, data, end);
    iobuf_clear(data); /* what the user left */
    return stream->user != NULL && stream->vc != NULL;
}

static void tell_trailers(struct http1_upstream *up, struct http1_body_piece *piece)
{
    struct http_stream *stream = &up->stream;

    if (piece->data.len > 0 && !tell_body(up, &piece->data, false))
        return;
    stream->recv_ended = true;
    http1_upstream_enter(up, HTTP1_UPSTREAM_DONE);
    stream->user->ops->trailers(stream->user, stream, &piece->trailers);
}

/* Nothing more can come for now; or ever? RFC 9112 8: only what is delimited by the close may end
 * with it, and a reset is not one. */
static bool step_body_end(struct http1_upstream *up, struct http1_body_piece *piece)
{
    if (!up->peer_ended)
        return false;
    if (up->peer_reset || !http1_body_ends_with_stream(&up->body)) {
        up->trouble = HTTP_ERROR_UPSTREAM_CUT;
        return true;
    }
    up->body.ended = true;
    (void)tell_body(up, &piece->data, true);
    return true;
}

bool http1_upstream_step_body(struct http1_upstream *up)
{
    const struct http1_limits limits = parser_limits(up);
    struct http1_body_piece piece = {0};

    if (up->body.ended || up->paused)
        return false;
    switch (http1_body_take(&up->body, &up->in, &limits, &up->stream.arena, &piece)) {
    case HTTP1_BODY_MORE: return step_body_end(up, &piece);
    case HTTP1_BODY_DATA: (void)tell_body(up, &piece.data, false); break;
    case HTTP1_BODY_END: (void)tell_body(up, &piece.data, true); break;
    case HTTP1_BODY_TRAILERS: tell_trailers(up, &piece); break;
    case HTTP1_BODY_ERROR: up->trouble = http1_upstream_error(piece.error); break;
    }
    iobuf_clear(&piece.data);
    return true;
}
