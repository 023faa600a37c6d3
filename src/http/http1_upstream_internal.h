/* One connection to a backend that speaks HTTP/1.1, shared by the files http1_upstream*.c only.
 *
 *     http1_upstream.c       its life: states, steps, events, timeouts, back to the owner
 *     http1_upstream_recv.c  heads and bodies of responses
 *     http1_upstream_send.c  the stream's send half: what a user of the stream calls
 *
 * The diagram of the states is in docs/internals/http1.md. User code runs from steps only, as in
 * http1_session_internal.h. */
#pragma once

#include "http1_body.h"
#include "http1_writer.h"
#include "upstream_conn.h"
#include "websocket.h"

#define HTTP1_STATE_BIT(name) (1U << HTTP1_UPSTREAM_##name)
/* clang-format off */
/* X(name, may go to) */
#define HTTP1_UPSTREAM_STATES(X)                                                                   \
    /* the owner has it */                                                                         \
    X(IDLE,   HTTP1_STATE_BIT(AWAIT) | HTTP1_STATE_BIT(CLOSED))                                    \
    /* a request is on its way, the head of its final response is awaited */                       \
    X(AWAIT,  HTTP1_STATE_BIT(BODY) | HTTP1_STATE_BIT(TUNNEL) | HTTP1_STATE_BIT(DONE) |            \
              HTTP1_STATE_BIT(CLOSED))                                                             \
    X(BODY,   HTTP1_STATE_BIT(DONE) | HTTP1_STATE_BIT(CLOSED))                                     \
    X(TUNNEL, HTTP1_STATE_BIT(FLUSH) | HTTP1_STATE_BIT(CLOSED))                                    \
    /* the response is over, the user still has the stream */                                      \
    X(DONE,   HTTP1_STATE_BIT(IDLE) | HTTP1_STATE_BIT(CLOSED))                                     \
    /* nobody has the stream, the last bytes into a tunnel that is over are still sent */          \
    X(FLUSH,  HTTP1_STATE_BIT(CLOSED))                                                             \
    /* the connection is gone; a user may still have the stream */                                 \
    X(CLOSED, 0)
/* clang-format on */
enum http1_upstream_state {
#define X(name, next) HTTP1_UPSTREAM_##name,
    HTTP1_UPSTREAM_STATES(X)
#undef X
};

struct http1_upstream {
    struct upstream_conn super;
    struct http_stream stream; /* of the one exchange at a time; stream.user NULL: nobody has it */
    struct continuation cont;
    struct upstream_exchange_options options;
    struct iobuf in, out;
    struct iobuf_block *pin; /* owned; holds the final head while the stream lives */
    struct http1_head_scan scan;
    struct http1_body body;
    struct http1_writer writer;
    struct timer timer;   /* AWAIT: the response's deadline */
    struct timer wake;    /* armed with "now": steps go on, but not inside a user's call */
    struct view protocol; /* that the request asks to go over to; in the arena; empty: none */
    char proof[WEBSOCKET_PROOF_LEN]; /* that a 101 must give, when the key is ours */
    int64_t sent_before; /* bytes that the transport had taken when the exchange began */
    enum http_method method;
    enum http_error trouble; /* happened to the connection; not yet told */
    uint8_t state;
    uint8_t n_interim;
    uint8_t timed;    /* is the inactivity timeout in force? UINT8_MAX: as the owner left it */
    bool running;     /* steps are on the stack */
    bool has_served;  /* a request before this one */
    bool keep_alive;  /* says the response */
    bool ended_early; /* the tunnel's sending end, before there was a tunnel */
    bool peer_ended;  /* the stream ended: */
    bool peer_reset;  /* ...not cleanly */
    bool send_broken; /* the backend takes no more; what it says is still read */
    bool made_key;    /* of WebSocket: the client speaks HTTP/2 and has sent none */
    bool paused;      /* by the user: no body events */
    bool above;       /* the send queue went over its bound */
    bool drained;     /* ...and fell to half of it: the user is to be told */
};

static inline struct http1_upstream *http1_upstream_of(struct http_stream *stream)
{
    return container_of(stream, struct http1_upstream, stream);
}
/* Was everything given that the request promises? What asks for a tunnel ends with its head. */
static inline bool http1_upstream_has_request(const struct http1_upstream *up)
{
    return up->stream.head_sent && (up->stream.send_ended || up->protocol.len > 0);
}

/* ---- http1_upstream.c ---- */
void http1_upstream_enter(struct http1_upstream *up, enum http1_upstream_state next);
/* The connection ends at once. The memory goes with the stream's release. */
void http1_upstream_cut(struct http1_upstream *up, enum vc_close how);
/* Makes the steps go on soon; from anywhere. */
void http1_upstream_wake(struct http1_upstream *up);
void http1_upstream_retime(struct http1_upstream *up);
/* The user let go: back to the owner, or the end. Frees in that case. */
void http1_upstream_end_exchange(struct http1_upstream *up);

/* ---- http1_upstream_recv.c ---- */
/* Steps: true when the state may have changed and the next step is to be taken. */
bool http1_upstream_step_await(struct http1_upstream *up);
bool http1_upstream_step_body(struct http1_upstream *up);

/* ---- http1_upstream_send.c ---- */
extern const struct http_stream_ops http1_upstream_stream_ops;
