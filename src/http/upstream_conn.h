/* An open connection to a server, whatever it speaks: what HTTP/1.1 (http1_upstream.c) and HTTP/2
 * (http2_upstream.c) are for the pool, which owns it.
 *
 * It carries exchanges: request() begins one and hands its stream to a user; with the stream's
 * release the exchange is over. HTTP/1.1 carries one at a time, HTTP/2 as many as the server lets
 * it. The pool looks at the three numbers below and is told when they change by themselves.
 *
 *     new --> room for requests <--> full
 *                     \                /
 *                      `-> draining <-'  takes no more; ends by itself with its last exchange
 *                             |
 *                           gone
 *
 * Life: made by its protocol over an open net_vconnection, which it takes over. Ends in one of two
 * ways: the pool closes it while it is unused (close), or it ends itself and says so (gone): its
 * server closed it, it failed, or it was draining and its last exchange is over. The memory goes
 * with that; never before the last stream is released, as the streams live in it.
 *
 * Thread: the connection's. */
#pragma once

#include <sallyport/config/config.h>
#include <sallyport/http/http_stream.h>

struct upstream_conn;

/* What one exchange may grow and how long it may take. Copied. */
struct upstream_exchange_options {
    int64_t response_timeout_ms; /* request sent to the end of the response's head */
    int64_t idle_timeout_ms;     /* between two pieces of the response, or of a tunnel */
    uint32_t max_head_bytes;
    uint32_t max_fields;
    size_t buffer_bytes;
};

struct upstream_conn_ops {
    const char *protocol; /* "HTTP/1.1", "HTTP/2": log field, as in http_stream_ops */
    /* Begins an exchange; upstream_conn_has_room() was true. s->reused tells whether the
     * connection had carried one before. NULL: out of memory, nothing was begun. */
    struct http_stream *(*request)(struct upstream_conn *conn,
                                   const struct upstream_exchange_options *options,
                                   struct http_stream_user *user);
    /* Ends one without exchanges that is not draining, in a way that its server takes for clean.
     * `gone` is not called; the pointer is void. */
    void (*close)(struct upstream_conn *conn);
};

/* What the owner wants to hear. Neither is called inside request() or close(), nor inside a user's
 * calls into a stream other than release(). */
struct upstream_conn_owner {
    /* An exchange is over, the capacity has changed, or draining has begun; and the connection
     * lives on. The owner may call request() or close() where these are allowed. */
    void (*changed)(struct upstream_conn_owner *o, struct upstream_conn *conn);
    /* It has ended, and no stream of it is with a user any more. The pointer is void after it. */
    void (*gone)(struct upstream_conn_owner *o, struct upstream_conn *conn);
};

/* The values are true whenever somebody else runs: a user that is told of a failure may ask for
 * another stream before the owner is told what happened to the connection. */
struct upstream_conn {
    const struct upstream_conn_ops *ops;
    struct upstream_conn_owner *owner; /* borrowed */
    struct net_vconnection *vc;        /* NULL once closed: it takes no requests */
    uint32_t n_exchanges;              /* streams that their users have not released yet */
    uint32_t capacity; /* exchanges at a time. HTTP/1.1: 1. HTTP/2: what the server allows, or
                          what is expected until it has said so; may fall below n_exchanges */
    bool draining;     /* takes no more: the server said so, or what happened forbids it */
};

/* RFC 9113 6.5.2: a server is recommended to allow no fewer. */
enum { UPSTREAM_CONN_GUESS = 100 };

static inline bool upstream_conn_has_room(const struct upstream_conn *conn)
{
    return conn->vc != NULL && !conn->draining && conn->n_exchanges < conn->capacity;
}

static inline struct http_stream *
upstream_conn_request(struct upstream_conn *conn, const struct upstream_exchange_options *options,
                      struct http_stream_user *user)
{
    return conn->ops->request(conn, options, user);
}
static inline void upstream_conn_close(struct upstream_conn *conn)
{
    conn->ops->close(conn);
}

/* What a protocol is told of the configuration. Borrowed; outlives the connection, as its owner
 * keeps the configuration that it was opened under. */
struct upstream_conn_options {
    const struct config *config;
    const struct backend_conf *backend;
    uint32_t expected; /* exchanges at a time, as the server has said before; 0: it has not */
};

/* http1_upstream.c and http2_upstream.c. Each takes an open connection over. NULL: out of memory,
 * not taken. */
struct upstream_conn *http1_upstream_new(struct net_vconnection *vc,
                                         const struct upstream_conn_options *options,
                                         struct upstream_conn_owner *owner) SP_MUST_CHECK;
struct upstream_conn *http2_upstream_new(struct net_vconnection *vc,
                                         const struct upstream_conn_options *options,
                                         struct upstream_conn_owner *owner) SP_MUST_CHECK;
