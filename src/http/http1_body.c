#include "http1_body.h"

enum http1_scan http1_find_head(struct http1_head_scan *scan, struct iobuf *in,
                                const struct http1_limits *limits, struct view *head,
                                enum http_error *error)
{
    size_t max = in->len < limits->max_head_bytes ? in->len : limits->max_head_bytes, len = 0;
    struct view bytes = iobuf_first(in);
    enum http1_scan found = http1_head_scan(scan, bytes, limits, &len, error);

    if (found == HTTP1_SCAN_MORE && bytes.len < max) {
        if (iobuf_pullup(in, max, &bytes) != SP_OK) {
            *error = HTTP_ERROR_NOMEM;
            return HTTP1_SCAN_ERROR;
        }
        found = http1_head_scan(scan, bytes, limits, &len, error);
    }
    *head = view_head(bytes, len);
    return found;
}

void http1_body_init(struct http1_body *b, bool is_request, enum http_body_kind kind,
                     uint64_t length)
{
    *b = (struct http1_body){.kind = kind, .is_request = is_request};
    http1_chunked_init(&b->chunked);
    if (kind == HTTP_BODY_LENGTH)
        b->left = length;
    b->ended = kind == HTTP_BODY_NONE || (kind == HTTP_BODY_LENGTH && length == 0);
}

static enum http1_body_event fail(struct http1_body_piece *piece, enum http_error error)
{
    piece->error = error;
    return HTTP1_BODY_ERROR;
}

/* Until the stream ends: everything is body. */
static enum http1_body_event take_rest(struct iobuf *in, struct http1_body_piece *piece)
{
    if (in->len == 0)
        return HTTP1_BODY_MORE;
    iobuf_move_all(&piece->data, in);
    return HTTP1_BODY_DATA;
}

/* What follows the last promised byte stays in the queue: it is the next message. */
static enum http1_body_event take_length(struct http1_body *b, struct iobuf *in,
                                         struct http1_body_piece *piece)
{
    size_t n = b->left < in->len ? (size_t)b->left : in->len;

    if (n == 0)
        return HTTP1_BODY_MORE;
    if (iobuf_move(&piece->data, in, n) != SP_OK)
        return fail(piece, HTTP_ERROR_NOMEM);
    b->left -= n;
    b->ended = b->left == 0;
    return b->ended ? HTTP1_BODY_END : HTTP1_BODY_DATA;
}

/* The fields outlive the queue's block: they are kept in the arena, which is cheap for something so
 * rare. */
static enum http1_body_event parse_trailers(struct http1_body *b, struct view section,
                                            const struct http1_limits *limits, struct arena *arena,
                                            struct http1_body_piece *piece)
{
    struct view copy = arena_copy(arena, section);
    enum http_error error;

    if (copy.p == NULL)
        return fail(piece, HTTP_ERROR_NOMEM);
    error = http1_parse_trailers(copy, limits, b->is_request, arena, &piece->trailers);
    if (error != HTTP_ERROR_NONE)
        return fail(piece, error);
    return piece->trailers.n > 0 ? HTTP1_BODY_TRAILERS : HTTP1_BODY_END;
}

static enum http1_body_event take_trailers(struct http1_body *b, struct iobuf *in,
                                           const struct http1_limits *limits, struct arena *arena,
                                           struct http1_body_piece *piece)
{
    enum http1_body_event event = HTTP1_BODY_END;
    enum http_error error = HTTP_ERROR_NONE;
    struct view bytes;
    size_t len = 0;

    if (iobuf_pullup(in, in->len < limits->max_trailer_bytes ? in->len : limits->max_trailer_bytes,
                     &bytes) != SP_OK)
        return fail(piece, HTTP_ERROR_NOMEM);
    switch (http1_trailers_scan(&b->trailers, bytes, limits, &len, &error)) {
    case HTTP1_SCAN_MORE: return HTTP1_BODY_MORE;
    case HTTP1_SCAN_ERROR: return fail(piece, error);
    case HTTP1_SCAN_DONE: break;
    }
    if (len > 2) /* more than the empty line */
        event = parse_trailers(b, view_head(bytes, len), limits, arena, piece);
    iobuf_consume(in, len);
    b->ended = true;
    return event;
}

/* Moves the data of one contiguous piece of the queue's front. */
static enum http1_body_event take_chunk(struct http1_body *b, struct iobuf *in,
                                        struct http1_body_piece *piece)
{
    enum http_error error = HTTP_ERROR_NONE;
    size_t skip, data;
    enum http1_chunk_event event =
        http1_chunked_next(&b->chunked, iobuf_first(in), &skip, &data, &error);

    if (event == HTTP1_CHUNK_ERROR)
        return fail(piece, error);
    iobuf_consume(in, skip);
    if (data > 0 && iobuf_move(&piece->data, in, data) != SP_OK)
        return fail(piece, HTTP_ERROR_NOMEM);
    b->in_trailers = event == HTTP1_CHUNK_TRAILERS;
    return HTTP1_BODY_MORE;
}

static enum http1_body_event take_chunks(struct http1_body *b, struct iobuf *in,
                                         const struct http1_limits *limits, struct arena *arena,
                                         struct http1_body_piece *piece)
{
    enum http1_body_event event = HTTP1_BODY_MORE;

    while (in->len > 0 && !b->in_trailers && event == HTTP1_BODY_MORE)
        event = take_chunk(b, in, piece);
    if (b->in_trailers && in->len > 0)
        event = take_trailers(b, in, limits, arena, piece);
    return event == HTTP1_BODY_MORE && piece->data.len > 0 ? HTTP1_BODY_DATA : event;
}

enum http1_body_event http1_body_take(struct http1_body *b, struct iobuf *in,
                                      const struct http1_limits *limits, struct arena *arena,
                                      struct http1_body_piece *piece)
{
    switch (b->kind) {
    case HTTP_BODY_LENGTH: return take_length(b, in, piece);
    case HTTP_BODY_UNSIZED: return take_chunks(b, in, limits, arena, piece);
    case HTTP_BODY_TO_CLOSE:
    case HTTP_BODY_TUNNEL: return take_rest(in, piece);
    case HTTP_BODY_NONE: break;
    }
    return HTTP1_BODY_MORE;
}
