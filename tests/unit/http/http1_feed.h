/* Gives the HTTP/1.1 parser bytes as a connection would: in pieces, each time in memory that ends
 * where the bytes end, so that the address sanitizer sees a read past them. */
#pragma once

#include <sallyport/http/http1_parser.h>

#include <stdlib.h>

#define FEED_INCOMPLETE HTTP_ERROR_COUNT

static const struct http1_limits feed_limits = {
    .max_head_bytes = 2048,
    .max_target_bytes = 512,
    .max_fields = 20,
    .max_trailer_bytes = 512,
};

static inline char *feed_copy(struct view v)
{
    char *copy = malloc(v.len + 1); /* one more, so that empty is not NULL */

    if (copy == NULL)
        abort();
    memcpy(copy + 1, v.p, v.len);
    return copy;
}

typedef enum http1_scan (*feed_scan_fn)(struct http1_head_scan *scan, struct view bytes,
                                        const struct http1_limits *limits, size_t *len,
                                        enum http_error *error);

/* Scans with `step` more bytes each time. FEED_INCOMPLETE when they run out before the end. */
static inline enum http_error feed_scan(feed_scan_fn scan_fn, struct view bytes, size_t step,
                                        const struct http1_limits *limits, size_t *len)
{
    struct http1_head_scan scan = {0};
    enum http_error error = HTTP_ERROR_NONE;
    size_t n = 0;

    while (n < bytes.len) {
        enum http1_scan result;
        char *copy;

        n = bytes.len - n < step ? bytes.len : n + step;
        copy = feed_copy(view_head(bytes, n));
        result = scan_fn(&scan, (struct view){copy + 1, n}, limits, len, &error);
        free(copy);
        if (result != HTTP1_SCAN_MORE)
            return result == HTTP1_SCAN_DONE ? HTTP_ERROR_NONE : error;
    }
    return FEED_INCOMPLETE;
}

/* What a session does with the bytes of a request that arrive `step` at a time. The views of *out
 * point into `bytes`. */
static inline enum http_error feed_request(struct view bytes, size_t step,
                                           const struct http1_limits *limits, struct arena *arena,
                                           struct http_head *out)
{
    struct view rest = view_from(bytes, http1_skip_empty_lines(bytes));
    size_t len = 0;
    enum http_error error = feed_scan(http1_head_scan, rest, step, limits, &len);

    return error == HTTP_ERROR_NONE ? http1_parse_request(view_head(rest, len), limits, arena, out)
                                    : error;
}

static inline enum http_error feed_response(struct view bytes, size_t step, enum http_method method,
                                            const struct http1_limits *limits, struct arena *arena,
                                            struct http_head *out)
{
    size_t len = 0;
    enum http_error error = feed_scan(http1_head_scan, bytes, step, limits, &len);

    if (error == FEED_INCOMPLETE)
        return error;
    return error == HTTP_ERROR_NONE
               ? http1_parse_response(view_head(bytes, len), method, limits, arena, out)
               : http1_upstream_error(error);
}
