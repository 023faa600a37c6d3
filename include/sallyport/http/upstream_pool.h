/* The connections of one data thread to the servers of all backends: picks a server, takes a
 * connection with room or opens one, keeps what can be used again. One per data thread, so a
 * request and both its connections stay on one thread and nothing here is locked; what all threads
 * share is in upstream_set.h.
 *
 * A connection that speaks HTTP/1.1 carries one request at a time and is kept idle between two. One
 * that speaks HTTP/2 is shared: requests are put on those that are in use as long as they have
 * room, then on an idle one, then on one that is being opened as long as it will have room, and
 * only then another one is opened. So the load packs onto few connections, and the others grow old.
 *
 * A server that is marked as not reachable is passed over, but never the only one that is left. Of
 * max_connections a thread keeps no more than its share idle, so that the other threads are never
 * starved by idle connections. */
#pragma once

#include <sallyport/http/http_stream.h>
#include <sallyport/http/upstream_set.h>
#include <sallyport/net/net_processor.h>

struct upstream_pool;
struct upstream_pool_options {
    struct net_processor *plain, *tls; /* make the connections; borrowed; tls NULL: none has TLS */
    struct upstream_set *set;          /* the pool takes a reference of its own */
};
/* Thread: the data thread that will use it. NULL: out of memory. */
struct upstream_pool *upstream_pool_new(const struct upstream_pool_options *options) SP_MUST_CHECK;
/* Another configuration holds from here on. Servers that are in both sets keep their connections
 * and addresses. Of the others idle connections are closed, what runs runs on, and requests that
 * began under an older set (upstream_wish.backend is of it) may still ask for them. Cannot fail. */
void upstream_pool_update(struct upstream_pool *pool, struct upstream_set *set);
void upstream_pool_free(struct upstream_pool *pool);

/* A wish for a stream to a backend, embedded in whoever waits. */
struct upstream_wish {
    /* s non-NULL: connected, the user's; `server` tells where to. NULL: `why`. Called once, from
     * the loop, never inside upstream_pool_get(). */
    void (*done)(struct upstream_wish *w, struct http_stream *s, enum http_error why);
    struct http_stream_user *user;    /* of the stream to come */
    struct upstream_backend *backend; /* its set is kept by whoever wishes */
    struct upstream_server *server;   /* out: which one, also after a failure (may be NULL); as long
                                         as `backend` */
    uint64_t tried;                   /* bit per server index < 64 that could not be reached, set by
                                         the pool: not again while others are left */
    uint32_t tunnel_timeout_ms; /* the request asks for a tunnel, in which nothing may move for so
                                   long; 0: it does not */
    bool fresh; /* for a retry: not a connection that was idle, as its server may have closed it */
    /* Private to the pool; zero at first. */
    struct upstream_pool *pool; /* NULL: nothing is under way */
    struct pool_connection *connecting;
    struct http_stream *stream; /* it has this one and is to be told */
    struct list link;           /* of those that wait for the same */
    struct timer timer;         /* the time limit of resolving, or a failure to be told */
    int64_t deadline_ms;        /* of resolving and connecting together */
    uint32_t index;             /* of `server` in its backend */
    enum http_error failure;    /* told when the timer fires */
};
/* A stream at once if a connection has room; else NULL, and done() comes later. The limit
 * (max_connections), connect timeout and resolving of names are handled here. */
struct http_stream *upstream_pool_get(struct upstream_pool *pool, struct upstream_wish *w);
/* done() will not come. Harmless after it did. */
void upstream_wish_cancel(struct upstream_wish *w);
/* Closes idle connections: on drain. */
void upstream_pool_close_idle(struct upstream_pool *pool);
uint32_t upstream_pool_idle_count(const struct upstream_pool *pool);
