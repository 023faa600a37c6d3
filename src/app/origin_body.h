/* The body of a request, as the origin reads it: found by length or chunks, counted and summed. */
#pragma once

#include <sallyport/base/iobuf.h>
#include <sallyport/http/http1_parser.h>

#define FNV1A64_START UINT64_C(0xcbf29ce484222325)
/* FNV-1a, 64 bits: a checksum that ten lines of any language can compare. Not cryptographic. */
uint64_t fnv1a64(uint64_t sum, struct view bytes);

struct origin_body {
    enum http_body_kind kind;
    bool ended;
    bool summed;   /* keep the checksum */
    uint64_t left; /* of a body with a length */
    struct http1_chunked chunked;
    bool in_trailers;
    struct http1_head_scan trailers_scan;
    struct view trailers; /* the section with its empty line, in the exchange's arena */
    uint64_t bytes;
    uint64_t checksum;
};

void origin_body_init(struct origin_body *b, const struct http_head *head, bool summed);

enum origin_body_step {
    ORIGIN_BODY_MORE, /* nothing more in `in` */
    ORIGIN_BODY_DATA, /* bytes were moved to `out` */
    ORIGIN_BODY_ENDED,
    ORIGIN_BODY_ERROR, /* *error says which */
};
/* Moves the next piece of body, at most 64 KiB, from `in` to `out`. */
enum origin_body_step origin_body_next(struct origin_body *b, struct iobuf *in, struct iobuf *out,
                                       struct arena *arena, enum http_error *error);
