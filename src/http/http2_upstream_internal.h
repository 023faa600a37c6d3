/* One connection to a backend that speaks HTTP/2, shared by the files http2_upstream*.c only.
 *
 *     http2_upstream.c        what the client's side of http2_conn is: requests, answers, the end
 *     http2_upstream_watch.c  what the server owes us, and for how long; is it still there?
 *
 * See docs/internals/http2_upstream.md. */
#pragma once

#include "http2_stream.h"
#include "upstream_conn.h"

struct http2_upstream {
    struct upstream_conn super;
    struct http2_conn conn;
    struct http2_conf conf; /* a copy: last words may outlive the owner's configuration */
    uint32_t expected;      /* what the server takes at a time, until it has said so */
    bool tls;
    bool closed_by_owner; /* it is not told of the end */
    bool must_tell;       /* the owner, that something has changed */
    bool ping_open;       /* a PING of ours was not answered yet */
    struct timer watch;   /* looks every so often at all that has a time limit */
    int64_t stall_ms;     /* how long the server may take nothing of what is sent */
    int64_t heard_ms;     /* monotonic, all of these: the server sent something */
    int64_t pinged_ms;    /* our last PING; 0: none yet */
    int64_t took_ms;      /* the transport took bytes, or had none to take */
    int64_t heard_bytes;  /* what had been received by then */
    int64_t taken_bytes;  /* what had been taken by then */
};

/* What we keep of a request while it lives; http2_stream.side. */
struct http2_exchange {
    struct http_head asked; /* method and protocol only: they decide what an answer means */
    struct upstream_exchange_options options;
    struct http2_fields_block held; /* of a tunnel, until the server says that it takes them */
    uint8_t n_interim;
    bool ends_with_head; /* nothing follows the head, or a tunnel that is not there yet */
    bool is_held;
};

static inline struct http2_upstream *http2_upstream_of(struct http2_conn *c)
{
    return container_of(c, struct http2_upstream, conn);
}

/* ---- http2_upstream_watch.c ---- */
void http2_upstream_watch_init(struct http2_upstream *up, int64_t stall_ms);
void http2_upstream_watch_cancel(struct http2_upstream *up);
/* Everything was told: what was heard, and when is the next look? */
void http2_upstream_watch_rest(struct http2_upstream *up);
/* A request begins that may take so long. */
void http2_upstream_watch_request(struct http2_upstream *up, int64_t timeout_ms);
/* Noted: our PING was answered. */
void http2_upstream_watch_answer(struct http2_upstream *up);
