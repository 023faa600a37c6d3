/* The servers of a configuration, as all threads share them: how many connections each has, whether
 * it could be reached, whose turn it is.
 *
 * A set belongs to a configuration; a server may belong to several sets, one after the other. What
 * a new configuration did not change keeps its struct upstream_server, and with it its counts and
 * marks, and on each thread its connections and addresses (upstream_pool_update()). It is the same
 * server when its backend's name, its address as it is written and what is spoken with it
 * (protocol, TLS) are the same; how many connections it may have and how long things may take can
 * change without.
 *
 * Life: reference-counted, any thread; but for the atomics nothing changes after it was made. */
#pragma once

#include <sallyport/config/config.h>
#include <sallyport/net/tls_client.h>

/* A server that could not be reached is passed over for a while (retry_at_ms), half a second at
 * first, then longer, up to ten; when the time is over one request finds out for all. */
struct upstream_server {
    const struct server_conf *conf;   /* its own copy, good as long as the server */
    atomic_uint refs;                 /* of sets */
    atomic_uint connections;          /* open, all threads */
    atomic_uint failures;             /* in a row, connect level; 0 again with a success */
    atomic_int_least64_t retry_at_ms; /* monotonic: passed over until then after failures */
};

struct upstream_set;

struct upstream_backend {
    const struct backend_conf *conf;
    struct upstream_set *set;         /* the one that it is part of */
    struct upstream_server **servers; /* conf->n_servers, in their order; references owned */
    struct tls_client **tls;          /* likewise; each NULL without conf->tls.enabled */
    atomic_uint next;                 /* round robin */
};

struct upstream_set {
    atomic_uint refs;
    struct config *config;             /* owned reference */
    struct upstream_backend *backends; /* same order as config->backends */
};

struct upstream_set_options {
    struct config *config;    /* the set takes a reference of its own */
    struct upstream_set *old; /* what it takes the place of; NULL: none */
    /* How connections to the servers are secured, one for each server of all backends in their
     * order, NULL where a backend has no TLS; the set takes references of its own. NULL: no backend
     * has TLS. */
    struct tls_client *const *tls;
};

/* The caller owns a reference. NULL: out of memory. */
struct upstream_set *upstream_set_new(const struct upstream_set_options *options) SP_MUST_CHECK;
struct upstream_set *upstream_set_ref(struct upstream_set *set);
void upstream_set_unref(struct upstream_set *set); /* NULL is accepted */
/* `conf` is of the set's own configuration. */
struct upstream_backend *upstream_set_find(struct upstream_set *set,
                                           const struct backend_conf *conf);
