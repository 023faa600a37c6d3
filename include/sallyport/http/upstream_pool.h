/* The connections of one data thread to the servers of all backends: picks a server, takes an idle
 * connection or opens one, keeps what is reusable. One per data thread, so a request and both its
 * connections stay on one thread and nothing here is locked; what all threads share (connection
 * counts per server, the round-robin position) are atomics in struct upstream_server. */
#pragma once

#include <sallyport/config/config.h>
#include <sallyport/http/http_stream.h>
#include <sallyport/net/net_processor.h>

/* Also: a server that could not be reached is passed over for a while
 * (upstream_server.retry_at_ms), half a second at first, then longer, up to ten; when the time is
 * over one request finds out for all. One that is the only one left is never passed over. Of
 * max_connections a thread keeps no more than its share idle, so that the other threads are never
 * starved by idle connections. */

/* Shared by all threads, made once a configuration. */
struct upstream_server {
    const struct server_conf *conf;
    atomic_uint connections;          /* open, all threads */
    atomic_uint failures;             /* in a row, connect level; 0 again with a success */
    atomic_int_least64_t retry_at_ms; /* monotonic: passed over until then after failures */
};
struct upstream_backend {
    const struct backend_conf *conf;
    struct upstream_server *servers; /* conf->n_servers */
    atomic_uint next;                /* round robin */
};
struct upstream_set {
    struct config *config;             /* owned reference */
    struct upstream_backend *backends; /* same order as config->backends */
};
struct upstream_set *upstream_set_new(struct config *config) SP_MUST_CHECK;
void upstream_set_free(struct upstream_set *set);
struct upstream_backend *upstream_set_find(struct upstream_set *set,
                                           const struct backend_conf *conf);

struct upstream_pool;
/* `np` makes the connections. Thread: the data thread that will use it. */
struct upstream_pool *upstream_pool_new(struct net_processor *np, struct upstream_set *set)
    SP_MUST_CHECK;
void upstream_pool_free(struct upstream_pool *pool);

/* A wish for a stream to a backend, embedded in whoever waits. */
struct upstream_wish {
    /* s non-NULL: connected, the user's; `server` tells where to. NULL: `why`. Called once, from
     * the loop, never inside upstream_pool_get(). */
    void (*done)(struct upstream_wish *w, struct http_stream *s, enum http_error why);
    struct http_stream_user *user; /* of the stream to come */
    struct upstream_backend *backend;
    struct upstream_server *server; /* out: which one, also after a failure (may be NULL) */
    uint64_t tried;                 /* bit per server index < 64 that could not be reached, set by
                                       the pool: not again while others are left */
    uint32_t tunnel_timeout_ms; /* the request asks for a tunnel, in which nothing may move for so
                                   long; 0: it does not */
    bool fresh;                 /* not a pooled connection: for a retry */
    /* Private to the pool; zero at first. */
    struct upstream_pool *pool; /* NULL: nothing is under way */
    struct pool_connection *connecting;
    struct list link;        /* of those that wait for a name, or for anything else */
    struct timer timer;      /* the time limit of resolving, or a failure to be told */
    int64_t deadline_ms;     /* of resolving and connecting together */
    enum http_error failure; /* told when the timer fires */
};
/* A stream at once if a pooled connection is there; else NULL, and done() comes later. The limit
 * (max_connections), connect timeout and resolving of names are handled here. */
struct http_stream *upstream_pool_get(struct upstream_pool *pool, struct upstream_wish *w);
/* done() will not come. Harmless after it did. */
void upstream_wish_cancel(struct upstream_wish *w);
/* Closes idle connections: on drain. */
void upstream_pool_close_idle(struct upstream_pool *pool);
uint32_t upstream_pool_idle_count(const struct upstream_pool *pool);
