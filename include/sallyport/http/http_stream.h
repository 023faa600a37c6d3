/* One exchange, request and response, on a connection: the interface that HTTP/1.1 and HTTP/2
 * implement on both sides, so that any front pairs with any back.
 *
 * Two roles, one interface. On the server side (facing clients) the stream receives a request and
 * sends a response; on the client side (facing backends) it sends a request and receives a
 * response. Whoever uses it (struct http_stream_user: the transaction) gets what arrives and sends
 * what shall leave; neither knows the protocol of the other.
 *
 *     server side                                   client side
 *     head, body, trailers  --->  transaction  --->  send_head, send_body, send_trailers
 *     send_head, ...        <---               <---  head, body, trailers
 *
 * Back-pressure: send_body takes everything it is given; the user looks at send_queued() and pauses
 * the other stream when it grows past its bound, and resumes it on `writable`.
 *
 * Life: the stream's memory belongs to its session. The user must call release() exactly once, when
 * it wants nothing more of the stream (normally after both directions have ended, always after
 * `failed`); no event comes after that, and the pointer is void. Heads and their views (pinned
 * blocks, the stream's arena) live until release().
 *
 * Tunnels: a request that asks for one (head->protocol) is whole with its head. With an answer
 * whose body is HTTP_BODY_TUNNEL both directions open again: recv_ended and send_ended turn false,
 * body events and send_body carry the tunnel's bytes, and each side ends by itself.
 *
 * Thread: the connection's. Calls never call the user back inside; events come from the loop, with
 * one exception stated at http_service.request. A user may call anything, release included, inside
 * an event: whoever calls out checks that the stream was not released on the next line. */
#pragma once

#include <sallyport/base/iobuf.h>
#include <sallyport/http/http_error.h>
#include <sallyport/http/http_message.h>
#include <sallyport/net/net_vconnection.h>

struct http_stream;
struct http_stream_user;

/* What a protocol supplies. */
struct http_stream_ops {
    const char *protocol; /* "HTTP/1.1", "HTTP/2": log field */
    /* The request's or response's head. Interim responses (1xx but 101) may come before the final
     * one. The head describes the body (head->body, content_length); framing, Connection and the
     * other connection-level fields are the protocol's own business: the fields given must not hold
     * any. `end`: nothing follows; with HTTP_BODY_LENGTH in answers to HEAD and in 304 the length
     * is announced all the same (RFC 9110 8.6), and head events tell it so. SP_NOMEM: the stream is
     * as good as dead, abort it. SP_INVALID: it makes no sense here, or would not be one head on
     * the wire. */
    enum sp_err (*send_head)(struct http_stream *s, const struct http_head *head, bool end);
    /* Takes all of `data` (moved, no copy), which may be empty with `end`. More or less than the
     * head promised: SP_INVALID, and the stream must be aborted. */
    enum sp_err (*send_body)(struct http_stream *s, struct iobuf *data, bool end);
    /* Ends the body with trailers; where the protocol or framing has none, they are dropped. */
    enum sp_err (*send_trailers)(struct http_stream *s, const struct http_fields *trailers);
    /* Bytes accepted by send_* and not yet taken by the transport. */
    size_t (*send_queued)(const struct http_stream *s);
    /* No further body events until resume (what is already parsed may still come once). */
    void (*pause)(struct http_stream *s);
    void (*resume)(struct http_stream *s);
    /* The exchange failed: reset the stream, or cut the connection where the protocol has no other
     * way. What was sent so far is never passed off as whole. No event follows; release() is still
     * owed. */
    void (*abort)(struct http_stream *s, enum http_error why);
    /* See Life. A server-side stream that is released before its response has ended is aborted. */
    void (*release)(struct http_stream *s);
};

/* What the user of a stream wants to hear. Each may release the stream. */
struct http_stream_user_ops {
    /* Client side only: a response's head, interim ones (1xx but 101) too. `end`: no body. */
    void (*head)(struct http_stream_user *u, struct http_stream *s, const struct http_head *head,
                 bool end);
    /* Body bytes; the user takes all of them (iobuf_move_all, or clears). `end`: that was the
     * whole. Empty only with `end`. Content-Length was honoured exactly, chunk framing is gone. */
    void (*body)(struct http_stream_user *u, struct http_stream *s, struct iobuf *data, bool end);
    /* The body has ended, with trailers. */
    void (*trailers)(struct http_stream_user *u, struct http_stream *s,
                     const struct http_fields *trailers);
    /* send_queued() fell to half of the stream's bound or below after having been above it. */
    void (*writable)(struct http_stream_user *u, struct http_stream *s);
    /* Dead in both directions: peer gone, malformed, timed out. Only release() is left to call,
     * or, on the server side, send_head/send_body of an error answer if s->answerable says that
     * the client can still get one. */
    void (*failed)(struct http_stream_user *u, struct http_stream *s, enum http_error why);
};

struct http_stream_user {
    const struct http_stream_user_ops *ops;
};

struct http_stream {
    const struct http_stream_ops *ops;
    struct http_stream_user *user; /* borrowed; NULL once released */
    struct net_vconnection *vc;    /* borrowed; for addresses and tls_info; NULL once closed */
    struct arena arena;            /* of this exchange: heads, and the user's own small things */
    uint64_t id;                   /* the protocol's: 1, 2, 3... or HTTP/2's */
    size_t queue_bound;            /* bytes; what `writable` is measured by */
    uint64_t bytes_received;       /* body bytes handed to the user */
    uint64_t bytes_sent;           /* body bytes taken from the user */
    bool recv_ended, send_ended;   /* whole message received, or accepted for sending */
    bool head_sent;                /* the final head was given to send_head */
    bool answerable;               /* server side, after `failed`: an error answer is possible */
    bool reused;                   /* client side: the connection had served a request before */
};

/* Straight calls. */
static inline enum sp_err http_stream_send_head(struct http_stream *s, const struct http_head *head,
                                                bool end)
{
    return s->ops->send_head(s, head, end);
}
static inline enum sp_err http_stream_send_body(struct http_stream *s, struct iobuf *data, bool end)
{
    return s->ops->send_body(s, data, end);
}
static inline void http_stream_release(struct http_stream *s)
{
    s->ops->release(s);
}

/* What happens with the requests of a connection: the proxy, or a test. */
struct http_service;
struct http_service_ops {
    /* A request's head was read; the service sets s->user before it returns. `end`: no body.
     * Called from the loop; the service may answer, abort and release inside. */
    void (*request)(struct http_service *svc, struct http_stream *s, const struct http_head *head,
                    bool end);
    /* A request that could not even be parsed, or timed out before its head was whole: the session
     * answers it itself with the service's page. Fills *head (status given in; fields, in the
     * arena) and appends the body. SP_NOMEM: the connection is just closed. */
    enum sp_err (*error_answer)(struct http_service *svc, struct http_stream *s,
                                enum http_error why, struct http_head *head, struct iobuf *body);
    /* The session answered `why` itself; for the log. The head may be half filled or empty. */
    void (*refused)(struct http_service *svc, struct http_stream *s, enum http_error why);
};
struct http_service {
    const struct http_service_ops *ops;
};
