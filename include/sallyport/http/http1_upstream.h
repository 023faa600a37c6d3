/* HTTP/1.1 facing a backend: one connection, one exchange at a time, as a client-side stream.
 *
 * The pool (upstream_pool.h) owns it between exchanges; http1_upstream_request() hands out a
 * stream, and when that is released the connection goes back to the pool through `idle` if it can
 * be used again, or closes itself and says `gone`. */
#pragma once

#include <sallyport/http/http_stream.h>

struct http1_upstream;

struct http1_upstream_owner {
    /* The exchange is over and the connection is reusable. Not called inside the user's calls into
     * the stream other than release(). */
    void (*idle)(struct http1_upstream_owner *o, struct http1_upstream *up);
    /* Closed: at the end of its exchange, or while idle. The pointer is void afterwards. */
    void (*gone)(struct http1_upstream_owner *o, struct http1_upstream *up);
};

struct http1_upstream_options {
    int64_t response_timeout_ms; /* request sent to the end of the response's head */
    int64_t idle_timeout_ms;     /* between two pieces of the response, or of a tunnel */
    uint32_t max_head_bytes;
    uint32_t max_fields;
    size_t buffer_bytes;
};

/* Takes an open connection over. NULL: out of memory, not taken. */
struct http1_upstream *http1_upstream_new(struct net_vconnection *vc,
                                          struct http1_upstream_owner *owner) SP_MUST_CHECK;
/* The stream of the next exchange, for `user`, on an idle connection. Never fails. `options` is
 * copied. */
struct http_stream *http1_upstream_request(struct http1_upstream *up,
                                           const struct http1_upstream_options *options,
                                           struct http_stream_user *user);
/* Closes an idle one without calling `gone`. */
void http1_upstream_close(struct http1_upstream *up);
/* Borrowed. An inactivity timeout that the owner sets while it is idle ends it, and `gone` is
 * called. */
struct net_vconnection *http1_upstream_vc(struct http1_upstream *up);
