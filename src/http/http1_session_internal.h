/* One client connection that speaks HTTP/1.1, shared by the files http1_session*.c only.
 *
 *     http1_session.c           its life: states, steps, events, the end
 *     http1_session_recv.c      heads, bodies, and the answer to what is no request
 *     http1_session_send.c      the stream's send half: what a user of the stream calls
 *     http1_session_timeouts.c  what the client owes us, and for how long
 *
 * The diagram of the states is in docs/internals/http1.md. User code runs from steps only, never
 * inside a call of the user's; so whatever it calls in return only sets flags, and the step that
 * called it looks at them next. */
#pragma once

#include "http1_body.h"
#include "http1_writer.h"

#include <sallyport/http/http_port.h>

#define HTTP1_STATE_BIT(name) (1U << HTTP1_SESSION_##name)
/* clang-format off */
/* X(name, may go to) */
#define HTTP1_SESSION_STATES(X)                                                                    \
    /* waits for the first byte of a request */                                                    \
    X(IDLE,     HTTP1_STATE_BIT(HEAD) | HTTP1_STATE_BIT(LINGER) | HTTP1_STATE_BIT(CLOSED))         \
    /* waits for the end of a head */                                                              \
    X(HEAD,     HTTP1_STATE_BIT(EXCHANGE) | HTTP1_STATE_BIT(LINGER) | HTTP1_STATE_BIT(CLOSED))     \
    /* the service has the stream */                                                               \
    X(EXCHANGE, HTTP1_STATE_BIT(IDLE) | HTTP1_STATE_BIT(TUNNEL) | HTTP1_STATE_BIT(DRAIN) |         \
                HTTP1_STATE_BIT(LINGER) | HTTP1_STATE_BIT(CLOSED))                                 \
    /* ...and the connection carries another protocol since the 101 */                             \
    X(TUNNEL,   HTTP1_STATE_BIT(LINGER) | HTTP1_STATE_BIT(CLOSED))                                 \
    /* the response is over, a small rest of the request's body is thrown away */                  \
    X(DRAIN,    HTTP1_STATE_BIT(IDLE) | HTTP1_STATE_BIT(LINGER) | HTTP1_STATE_BIT(CLOSED))         \
    /* our side ends; input is thrown away so that the client can read the response's end */       \
    X(LINGER,   HTTP1_STATE_BIT(CLOSED))                                                           \
    /* the connection is gone; a user may still hold the stream */                                 \
    X(CLOSED,   0)
/* clang-format on */
enum http1_session_state {
#define X(name, next) HTTP1_SESSION_##name,
    HTTP1_SESSION_STATES(X)
#undef X
};

/* What the client owes us: each has its own time limit. */
enum http1_owed {
    HTTP1_OWES_NOTHING,
    HTTP1_OWES_REQUEST,
    HTTP1_OWES_BODY,
    HTTP1_OWES_READING,
    HTTP1_OWES_TUNNEL
};

struct http1_session {
    struct http_stream stream; /* of the one exchange at a time; stream.user NULL: nobody has it */
    struct continuation cont;
    const struct http_port *port; /* borrowed */
    struct iobuf in, out;
    struct iobuf_block *pin; /* owned; holds the request's head while the stream lives */
    struct http_head *head;  /* the request's, in the stream's arena; NULL: none */
    struct http1_head_scan scan;
    struct http1_body body;
    struct http1_writer writer;
    struct timer timer; /* HEAD: its deadline; EXCHANGE: next look at the rate; LINGER: the end */
    struct timer wake;  /* armed with "now": steps go on, but not inside a user's call */
    uint64_t counted_bytes; /* EXCHANGE: bytes_received at the last look; LINGER: thrown away */
    uint8_t state;
    uint8_t owed;            /* enum http1_owed: what the timeout in force is for */
    uint8_t n_empty_bytes;   /* of empty lines in front of the request line */
    enum http_error trouble; /* happened to the connection; not yet told */
    bool running;            /* steps are on the stack */
    bool client_ended;       /* its stream ended cleanly: no more requests */
    bool close_after;        /* this exchange is the last */
    bool paused;             /* by the user: no body events */
    bool above;              /* the send queue went over its bound */
    bool drained;            /* ...and fell to half of it: the user is to be told */
    bool continued;          /* 100 (Continue) was sent */
    bool failed;             /* the user was told so */
    bool rate_grace_over;
    bool lingers_awake; /* LINGER: looked once whether the end was sent */
};
_Static_assert(sizeof(struct http1_session) <= 600, "memory of an idle connection");

static inline struct http1_session *http1_session_of(struct http_stream *stream)
{
    return container_of(stream, struct http1_session, stream);
}
static inline const struct http_limits_conf *http1_session_limits(const struct http1_session *s)
{
    return &s->port->conf->limits;
}
static inline bool http1_session_is_exchange(const struct http1_session *s)
{
    return s->state == HTTP1_SESSION_EXCHANGE || s->state == HTTP1_SESSION_TUNNEL;
}
struct http1_limits http1_session_parser_limits(const struct http1_session *s);

/* ---- http1_session.c ---- */
void http1_session_enter(struct http1_session *s, enum http1_session_state next);
/* The connection ends at once. The session's memory goes with the stream's release. */
void http1_session_close(struct http1_session *s, enum vc_close how);
/* Our side of the connection ends after what is queued; see LINGER. */
void http1_session_linger(struct http1_session *s);
/* Takes steps until nothing is left to do; may free the session. Not from a user's call. */
void http1_session_run(struct http1_session *s);
/* Makes run() happen soon; from anywhere. */
void http1_session_wake(struct http1_session *s);
void http1_session_free_if_done(struct http1_session *s);

/* ---- http1_session_recv.c ---- */
/* Steps: true when the state may have changed and the next step is to be taken. */
bool http1_session_step_idle(struct http1_session *s);
bool http1_session_step_head(struct http1_session *s);
bool http1_session_step_body(struct http1_session *s);
bool http1_session_step_drain(struct http1_session *s);
/* Answers what is no request and never becomes one. */
void http1_session_refuse(struct http1_session *s, enum http_error why);

/* ---- http1_session_send.c ---- */
extern const struct http_stream_ops http1_session_stream_ops;
/* The transport took bytes. */
void http1_session_took(struct http1_session *s);

/* ---- http1_session_timeouts.c ---- */
void http1_session_timers_init(struct http1_session *s);
/* What the client owes us may have changed. */
void http1_session_retime(struct http1_session *s);
void http1_session_cancel_timers(struct http1_session *s);
/* The inactivity timeout fired: what was owed did not come. */
void http1_session_overdue(struct http1_session *s);

/* ---- session_accept.c calls ---- */
/* Closes the connection if it is idle and this protocol's. False: it is another's. */
bool http1_session_drain(struct net_vconnection *vc);
