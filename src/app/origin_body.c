/* The body of a request. */
#include "origin_body.h"

#define PIECE_BYTES ((size_t)64 * 1024)

static const struct http1_limits trailer_limits = {.max_fields = 200, .max_trailer_bytes = 32768};

uint64_t fnv1a64(uint64_t sum, struct view bytes)
{
    for (size_t i = 0; i < bytes.len; i++)
        sum = (sum ^ (unsigned char)bytes.p[i]) * UINT64_C(0x100000001b3);
    return sum;
}

void origin_body_init(struct origin_body *b, const struct http_head *head, bool summed)
{
    *b = (struct origin_body){.kind = head->body, .checksum = FNV1A64_START, .summed = summed};
    b->left = head->body == HTTP_BODY_LENGTH ? head->content_length : 0;
    b->ended = head->body != HTTP_BODY_UNSIZED && b->left == 0;
    http1_chunked_init(&b->chunked);
}

/* Sums up to n bytes at the head of `in`; how many it was. */
static size_t count(struct origin_body *b, const struct iobuf *in, size_t n)
{
    struct iovec iov[16];
    int n_iov = iobuf_peek(in, iov, (int)SP_COUNT_OF(iov), n);
    size_t seen = 0;

    for (int i = 0; i < n_iov; i++) {
        seen += iov[i].iov_len;
        if (b->summed)
            b->checksum = fnv1a64(b->checksum, (struct view){iov[i].iov_base, iov[i].iov_len});
    }
    b->bytes += seen;
    return seen;
}

/* Up to n bytes of data stand at the head of `in`. */
static enum origin_body_step move(struct origin_body *b, struct iobuf *in, struct iobuf *out,
                                  size_t n, enum http_error *error)
{
    n = count(b, in, n);
    if (iobuf_move(out, in, n) != SP_OK) {
        *error = HTTP_ERROR_NOMEM;
        return ORIGIN_BODY_ERROR;
    }
    if (b->kind == HTTP_BODY_LENGTH)
        b->left -= n;
    return ORIGIN_BODY_DATA;
}

static enum origin_body_step next_of_length(struct origin_body *b, struct iobuf *in,
                                            struct iobuf *out, enum http_error *error)
{
    enum origin_body_step step;
    size_t n = in->len < PIECE_BYTES ? in->len : PIECE_BYTES;

    if (n > b->left)
        n = (size_t)b->left;
    if (n == 0)
        return ORIGIN_BODY_MORE;
    step = move(b, in, out, n, error);
    b->ended = b->left == 0;
    return step;
}

static enum origin_body_step next_trailers(struct origin_body *b, struct iobuf *in,
                                           struct arena *arena, enum http_error *error)
{
    struct view bytes;
    size_t len;

    if (in->len == 0)
        return ORIGIN_BODY_MORE;
    *error = HTTP_ERROR_NOMEM;
    if (iobuf_pullup(in, in->len, &bytes) != SP_OK)
        return ORIGIN_BODY_ERROR;
    switch (http1_trailers_scan(&b->trailers_scan, bytes, &trailer_limits, &len, error)) {
    case HTTP1_SCAN_MORE: return ORIGIN_BODY_MORE;
    case HTTP1_SCAN_ERROR: return ORIGIN_BODY_ERROR;
    case HTTP1_SCAN_DONE: break;
    }
    b->trailers = arena_copy(arena, view_head(bytes, len));
    if (b->trailers.p == NULL)
        return ORIGIN_BODY_ERROR;
    iobuf_consume(in, len);
    b->ended = true;
    return ORIGIN_BODY_ENDED;
}

/* Only the first block is looked at in one step. */
static enum origin_body_step next_chunked(struct origin_body *b, struct iobuf *in,
                                          struct iobuf *out, enum http_error *error)
{
    size_t skip, data;
    enum http1_chunk_event event;

    if (in->len == 0)
        return ORIGIN_BODY_MORE;
    event = http1_chunked_next(&b->chunked, iobuf_first(in), &skip, &data, error);
    if (event == HTTP1_CHUNK_ERROR)
        return ORIGIN_BODY_ERROR;
    iobuf_consume(in, skip);
    if (event == HTTP1_CHUNK_DATA)
        return move(b, in, out, data, error);
    b->in_trailers = event == HTTP1_CHUNK_TRAILERS;
    return ORIGIN_BODY_DATA; /* perhaps nothing, but ask again */
}

enum origin_body_step origin_body_next(struct origin_body *b, struct iobuf *in, struct iobuf *out,
                                       struct arena *arena, enum http_error *error)
{
    if (b->ended)
        return ORIGIN_BODY_ENDED;
    if (b->kind == HTTP_BODY_LENGTH)
        return next_of_length(b, in, out, error);
    return b->in_trailers ? next_trailers(b, in, arena, error) : next_chunked(b, in, out, error);
}
