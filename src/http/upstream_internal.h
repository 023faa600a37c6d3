/* The pool of one data thread, shared by the files upstream_*.c only.
 *
 *     upstream_set.c      what all threads share: counts and marks of the servers
 *     upstream_pool.c     which server, idle connections, the pool's life
 *     upstream_connect.c  new connections
 *     upstream_names.c    a server's name to addresses
 *
 * A wish is in one of three places: on its server's `waiters` while the name is resolved, on the
 * pool's `wishes` while it connects or its failure is to be told (its timer is armed then), or
 * nowhere (pool NULL). */
#pragma once

#include "upstream_conn.h"
#include "upstream_source.h"

#define UPSTREAM_MAX_ADDRESSES 16

/* Addresses of a server whose host is a name, or the only one that it has. */
struct upstream_names {
    struct continuation cont;
    struct net_dns_query *query; /* under way; NULL: none */
    struct endpoint *v;          /* owned; NULL: never resolved yet */
    uint32_t n;
    uint32_t next;       /* where the next connection begins: round robin */
    uint32_t bad;        /* bit per address that failed since it was resolved: the last choice */
    int64_t expires_ms;  /* resolved again after this */
    struct list waiters; /* struct upstream_wish.link */
};

/* One server as this thread sees it. */
struct pool_server {
    struct upstream_pool *pool;
    struct upstream_server *shared;
    const struct backend_conf *backend;
    struct upstream_names names;
    struct list idle; /* struct pool_connection.link, newest first */
    uint32_t n_idle, idle_cap;
    struct timer idle_timer; /* the oldest one's time limit */
};

/* net_dns.h, or a test. */
struct upstream_resolver {
    struct net_dns_query *(*resolve)(struct net_core *core, struct view host, uint16_t port,
                                     struct continuation *c);
    void (*cancel)(struct net_dns_query *q);
};
extern const struct upstream_resolver upstream_dns;

struct upstream_pool {
    struct upstream_source source;
    const struct upstream_resolver *resolver; /* borrowed */
    struct net_processor *np;                 /* borrowed */
    struct upstream_set *set;                 /* borrowed */
    struct ethread *thread;
    struct pool_server *servers; /* owned; of all backends, in their order */
    uint32_t *first;             /* owned; per backend, its first one in `servers` */
    uint32_t n_servers, n_idle;
    struct list wishes; /* struct upstream_wish.link */
    struct list busy;   /* struct pool_connection.link: connecting, or with a user */
};

/* One connection, from the attempt to its end. */
struct pool_connection {
    struct upstream_conn_owner owner;
    struct pool_server *server; /* NULL: the pool is gone */
    struct upstream_conn *up;   /* NULL while connecting */
    struct net_vconnection *vc; /* while connecting */
    struct continuation cont;   /* told of the connect */
    struct upstream_wish *wish; /* while connecting */
    struct list link;           /* pool->busy or server->idle */
    int64_t idle_since_ms;
    uint32_t address, addresses_left;
    enum sp_err err; /* of the last address */
    bool idle;
};

/* ---- upstream_set.c ---- */
void upstream_server_failed(struct upstream_server *s, int64_t now_ms);
void upstream_server_reached(struct upstream_server *s);
/* May a request go there, as far as earlier failures tell? Once the time is over, true for one
 * caller and false for the others until that one has found out. */
bool upstream_server_is_up(struct upstream_server *s, int64_t now_ms);
/* One more connection, if the limit allows; false otherwise. */
bool upstream_server_take(struct upstream_server *s, uint32_t max_connections);
void upstream_server_give_back(struct upstream_server *s);

/* ---- upstream_pool.c ---- */
/* The stream of an exchange on an open, unused connection, for the wish's user. */
struct http_stream *upstream_pool_use(struct pool_connection *conn, struct upstream_wish *w);
/* The wish will be told of a failure, by its timer: never inside upstream_pool_get(). */
void upstream_wish_fail(struct upstream_wish *w, enum http_error why);
/* The wish is no longer under way: off its list, timer cancelled. */
void upstream_wish_settle(struct upstream_wish *w);
extern const struct upstream_conn_owner pool_connection_owner;

/* ---- upstream_connect.c ---- */
/* Opens a connection for a wish that is on pool->wishes; its server's addresses are known. */
void upstream_connect(struct pool_server *server, struct upstream_wish *w);
void upstream_connect_cancel(struct pool_connection *conn);
/* Off its list and out of the counts, freed; what it held is closed already. */
void pool_connection_forget(struct pool_connection *conn);

/* ---- upstream_names.c ---- */
enum sp_err upstream_names_init(struct pool_server *server) SP_MUST_CHECK;
void upstream_names_fini(struct pool_server *server);
/* Connects as soon as an address is known: now, or when the resolver has answered. */
void upstream_names_connect(struct pool_server *server, struct upstream_wish *w);
/* The next address to try. */
uint32_t upstream_names_pick(struct upstream_names *names);
void upstream_names_failed(struct upstream_names *names, uint32_t address);
