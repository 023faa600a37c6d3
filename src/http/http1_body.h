/* Messages out of the queue that a connection reads into, on both sides: where a head ends, and a
 * body whatever frames it (RFC 9112 6 and 7): ranges are moved, not copied, chunk framing is taken
 * away, a length is honoured to the byte. Thread: the queue's. */
#pragma once

#include <sallyport/base/iobuf.h>
#include <sallyport/http/http1_parser.h>

/* http1_head_scan() over the queue. DONE: *head is the whole head in one piece, still queued.
 * ERROR: also NOMEM. */
enum http1_scan http1_find_head(struct http1_head_scan *scan, struct iobuf *in,
                                const struct http1_limits *limits, struct view *head,
                                enum http_error *error) SP_MUST_CHECK;

struct http1_body {
    enum http_body_kind kind;
    bool is_request;
    bool ended;       /* its last byte was taken */
    bool in_trailers; /* the last chunk is over */
    uint64_t left;    /* LENGTH: bytes not yet taken */
    struct http1_chunked chunked;
    struct http1_head_scan trailers;
};

enum http1_body_event {
    HTTP1_BODY_MORE,     /* nothing to hand over before more arrives */
    HTTP1_BODY_DATA,     /* piece->data */
    HTTP1_BODY_END,      /* the end, with the last bytes in piece->data, if any */
    HTTP1_BODY_TRAILERS, /* the same, and piece->trailers */
    HTTP1_BODY_ERROR,    /* piece->error; final */
};

struct http1_body_piece {
    struct iobuf data;           /* the caller's, empty before; to be cleared after */
    struct http_fields trailers; /* in the arena */
    enum http_error error;
};

/* `length` with HTTP_BODY_LENGTH. A body of no bytes has ended at once. */
void http1_body_init(struct http1_body *b, bool is_request, enum http_body_kind kind,
                     uint64_t length);
/* Takes what is there. Not after the end. */
enum http1_body_event http1_body_take(struct http1_body *b, struct iobuf *in,
                                      const struct http1_limits *limits, struct arena *arena,
                                      struct http1_body_piece *piece) SP_MUST_CHECK;
/* Is the end of the peer's stream the end of the body, or was it cut? */
static inline bool http1_body_ends_with_stream(const struct http1_body *b)
{
    return b->kind == HTTP_BODY_TO_CLOSE || b->kind == HTTP_BODY_TUNNEL;
}
