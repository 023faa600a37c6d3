/* The pool of one data thread, shared by the files upstream_*.c only.
 *
 *     upstream_set.c          what all threads share: counts and marks of the servers
 *     upstream_pool.c         which server, the way of a wish, the pool's life
 *     upstream_servers.c      the servers as this thread sees them, and what a new set does to them
 *     upstream_connections.c  open connections: in use, with room, idle
 *     upstream_connect.c      new connections
 *     upstream_names.c        a server's name to addresses
 *
 * A wish is in one of four places: on its server's `waiters` while the name is resolved (its timer
 * is the time limit), on a connection's `wishes` while that is being opened, on the pool's `wishes`
 * while its failure (the timer is armed) or its stream is to be told, or nowhere (pool NULL). */
#pragma once

#include "upstream_conn.h"
#include "upstream_source.h"

#include <sallyport/http/upstream_pool.h>

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

/* One server as this thread sees it, made when the thread first asks for it. It is current while
 * its set is the pool's; otherwise it keeps nothing idle and goes when nothing needs it any more.
 */
struct pool_server {
    struct upstream_pool *pool;
    struct list link; /* pool->buckets */
    struct upstream_server *shared;
    struct upstream_backend *backend; /* a reference of its set is owned */
    struct tls_client *tls;           /* borrowed from the backend; NULL: in the clear */
    struct upstream_names names;
    /* struct pool_connection.link */
    struct list opening;
    struct list full;  /* carries what it can, or takes no more */
    struct list ready; /* in use, and with room; the one to use next first */
    struct list idle;  /* newest first */
    uint32_t n_idle, idle_cap;
    uint32_t room_expected;  /* requests that a new connection will have room for */
    struct timer idle_timer; /* the oldest one's time limit */
};

/* net_dns.h, or a test. */
struct upstream_resolver {
    struct net_dns_query *(*resolve)(struct net_core *core, struct view host, uint16_t port,
                                     struct continuation *c);
    void (*cancel)(struct net_dns_query *q);
};
extern const struct upstream_resolver upstream_dns;

/* What is made of an open connection. */
struct upstream_protocol {
    struct upstream_conn *(*make)(struct net_vconnection *vc,
                                  const struct upstream_conn_options *options,
                                  struct upstream_conn_owner *owner);
    uint32_t room; /* of a connection to a server of which nothing is known yet */
};
extern const struct upstream_protocol upstream_protocols[]; /* by enum backend_protocol */

enum { UPSTREAM_BUCKETS = 64 };

struct upstream_pool {
    struct upstream_source source;
    const struct upstream_resolver *resolver;  /* borrowed */
    const struct upstream_protocol *protocols; /* borrowed */
    struct net_processor *plain, *tls;         /* borrowed */
    struct upstream_set *set;                  /* owned reference */
    struct ethread *thread;
    struct list buckets[UPSTREAM_BUCKETS]; /* struct pool_server.link, by what they share */
    struct timer sweep;                    /* armed with "now": a server may have become needless */
    uint32_t n_idle;
    struct list wishes; /* struct upstream_wish.link */
};

/* One connection, from the attempt to its end. */
struct pool_connection {
    struct upstream_conn_owner owner;
    struct pool_server *server;       /* NULL: the pool is gone */
    struct upstream_backend *backend; /* as it was opened under; a reference of its set is owned */
    struct tls_client *tls;           /* borrowed from the backend */
    struct upstream_conn *up;         /* NULL while connecting */
    struct net_vconnection *vc;       /* while connecting */
    struct continuation cont;         /* told of the connect */
    struct list wishes;               /* struct upstream_wish.link, while connecting */
    uint32_t n_wishes;
    struct list link; /* one of the server's lists */
    int64_t deadline_ms;
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
/* The wish will be told of a failure, by its timer: never inside upstream_pool_get(). */
void upstream_wish_fail(struct upstream_wish *w, enum http_error why);
/* The wish is no longer under way: off its list, timer cancelled. */
void upstream_wish_settle(struct upstream_wish *w);

/* ---- upstream_servers.c ---- */
void pool_servers_init(struct upstream_pool *pool);
/* Of a server that this thread has never asked for: NULL. */
struct pool_server *pool_server_find(const struct upstream_pool *pool,
                                     const struct upstream_server *shared);
/* Makes it if need be. NULL: out of memory. */
struct pool_server *pool_server_get(struct upstream_pool *pool, struct upstream_backend *b,
                                    uint32_t index);
bool pool_server_is_current(const struct pool_server *server);
/* Something that needed the server has gone. */
void pool_server_released(struct pool_server *server);
/* pool->set has changed: what is in it is current now, the rest is not. */
void pool_servers_update(struct upstream_pool *pool);
/* Of every server; `f` may not remove any. */
void pool_servers_each(struct upstream_pool *pool, void (*f)(struct pool_server *server));
/* Everything of theirs is gone but what still waits for a name. */
void pool_servers_fini(struct upstream_pool *pool);

/* ---- upstream_connections.c ---- */
extern const struct upstream_conn_owner pool_connection_owner;
void pool_connections_init(struct pool_server *server);
/* What the server's backend says about idle ones has changed. */
void pool_connections_trim(struct pool_server *server);
void pool_connections_close_idle(struct pool_server *server);
/* Those in use outlive the pool: whoever uses them lets them go later. */
void pool_connections_orphan(struct pool_server *server);
/* The one that a wish is put on; NULL: none that is open has room. */
struct pool_connection *pool_connections_with_room(const struct pool_server *server,
                                                   const struct upstream_wish *w);
/* The stream of an exchange on a connection that has room, for the wish's user. NULL: out of
 * memory. pool_connection_place() is owed. */
struct http_stream *pool_connection_use(struct pool_connection *conn,
                                        const struct upstream_wish *w);
/* Puts it on the list of its server where it belongs now; may close it. */
void pool_connection_place(struct pool_connection *conn);
/* Off its list and out of the counts, freed; what it held is closed already. */
void pool_connection_forget(struct pool_connection *conn);

/* ---- upstream_connect.c ---- */
/* Puts a wish on a connection that is being opened, or opens one; the addresses are known. */
void upstream_connect(struct pool_server *server, struct upstream_wish *w);
/* Is one being opened that will have room? */
bool upstream_connect_has_room(const struct pool_server *server);
/* The memory, and the hold on the set. */
void pool_connection_free(struct pool_connection *conn);
/* The wish does not wait for its connection any more, which is given up if nobody else does. */
void upstream_connect_leave(struct upstream_wish *w);

/* ---- upstream_names.c ---- */
enum sp_err upstream_names_init(struct pool_server *server) SP_MUST_CHECK;
void upstream_names_fini(struct pool_server *server);
/* Connects as soon as an address is known: now, or when the resolver has answered. */
void upstream_names_connect(struct pool_server *server, struct upstream_wish *w);
/* The next address to try. */
uint32_t upstream_names_pick(struct upstream_names *names);
void upstream_names_failed(struct upstream_names *names, uint32_t address);
