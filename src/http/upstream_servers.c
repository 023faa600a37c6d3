/* The servers as one thread sees them: made on demand, so that neither a new set nor a request of
 * an older one needs memory in advance. */
#include "upstream_internal.h"

#include <stdlib.h>

/* ---- The table ---- */

static struct pool_server *of_link(struct list *n)
{
    return container_of(n, struct pool_server, link);
}

/* Fibonacci hashing; the lowest bits of a pointer from malloc are always the same. */
static uint32_t bucket_of(const struct upstream_server *shared)
{
    uint64_t key = (uint64_t)(uintptr_t)shared >> 4;

    return (uint32_t)(key * UINT64_C(0x9e3779b97f4a7c15) >> 58);
}

struct pool_server *pool_server_find(const struct upstream_pool *pool,
                                     const struct upstream_server *shared)
{
    const struct list *bucket = &pool->buckets[bucket_of(shared)];

    for (struct list *n = bucket->next; n != bucket; n = n->next)
        if (of_link(n)->shared == shared)
            return of_link(n);
    return NULL;
}

void pool_servers_each(struct upstream_pool *pool, void (*f)(struct pool_server *server))
{
    for (uint32_t i = 0; i < UPSTREAM_BUCKETS; i++)
        for (struct list *n = pool->buckets[i].next; n != &pool->buckets[i]; n = n->next)
            f(of_link(n));
}

/* ---- One server ---- */

/* Of max_connections, what one thread may keep for itself while it does not need it. */
static uint32_t idle_cap_of(const struct upstream_pool *pool, const struct backend_conf *backend)
{
    const struct net_core *core = pool->plain->core;
    uint32_t n_threads = (uint32_t)core->ep->groups[core->et_net].n;
    uint32_t share =
        n_threads == 0 ? backend->max_connections : backend->max_connections / n_threads;

    if (backend->keep_alive_timeout_ms == 0)
        return 0;
    if (backend->max_connections == 0 || backend->keep_alive < share)
        return backend->keep_alive;
    return share;
}

bool pool_server_is_current(const struct pool_server *server)
{
    return server->backend->set == server->pool->set;
}

/* What the backend says holds for the server from here on. */
static void adopt(struct pool_server *server, struct upstream_backend *b, uint32_t index)
{
    (void)upstream_set_ref(b->set);
    if (server->backend != NULL)
        upstream_set_unref(server->backend->set);
    server->backend = b;
    server->tls = b->tls[index];
    server->idle_cap = pool_server_is_current(server) ? idle_cap_of(server->pool, b->conf) : 0;
}

static struct pool_server *server_new(struct upstream_pool *pool, struct upstream_backend *b,
                                      uint32_t index)
{
    struct pool_server *server = calloc(1, sizeof(*server));

    if (server == NULL)
        return NULL;
    server->pool = pool;
    server->shared = b->servers[index];
    server->room_expected = pool->protocols[b->conf->protocol].room;
    pool_connections_init(server);
    if (upstream_names_init(server) != SP_OK) {
        free(server);
        return NULL;
    }
    adopt(server, b, index);
    list_push_back(&pool->buckets[bucket_of(server->shared)], &server->link);
    return server;
}

static void server_free(struct pool_server *server)
{
    ethread_timer_cancel(server->pool->thread, &server->idle_timer);
    upstream_names_fini(server);
    list_remove(&server->link);
    upstream_set_unref(server->backend->set);
    free(server);
}

struct pool_server *pool_server_get(struct upstream_pool *pool, struct upstream_backend *b,
                                    uint32_t index)
{
    struct pool_server *server = pool_server_find(pool, b->servers[index]);

    return server != NULL ? server : server_new(pool, b, index);
}

/* ---- Servers that are not current ---- */

static bool is_needless(const struct pool_server *server)
{
    return !pool_server_is_current(server) && list_is_empty(&server->opening) &&
           list_is_empty(&server->full) && list_is_empty(&server->ready) &&
           list_is_empty(&server->idle) && list_is_empty(&server->names.waiters);
}

static void free_servers(struct upstream_pool *pool, bool (*which)(const struct pool_server *s))
{
    for (uint32_t i = 0; i < UPSTREAM_BUCKETS; i++) {
        struct list *bucket = &pool->buckets[i], *next;

        for (struct list *n = bucket->next; n != bucket; n = next) {
            next = n->next;
            if (which(of_link(n)))
                server_free(of_link(n));
        }
    }
}

/* By a timer, since whoever has let go of a server's last connection may be using the server. */
static void sweep(struct timer *timer)
{
    free_servers(container_of(timer, struct upstream_pool, sweep), is_needless);
}

void pool_server_released(struct pool_server *server)
{
    struct upstream_pool *pool = server->pool;

    if (is_needless(server) && !timer_is_armed(&pool->sweep))
        ethread_timer_arm_in(pool->thread, &pool->sweep, 0);
}

/* ---- All of them ---- */

void pool_servers_init(struct upstream_pool *pool)
{
    for (uint32_t i = 0; i < UPSTREAM_BUCKETS; i++)
        list_init(&pool->buckets[i]);
    timer_init(&pool->sweep, sweep);
}

static void take_over(struct pool_server *server)
{
    if (!pool_server_is_current(server))
        server->idle_cap = 0;
    pool_connections_trim(server);
    pool_server_released(server);
}

void pool_servers_update(struct upstream_pool *pool)
{
    for (uint32_t b = 0; b < pool->set->config->n_backends; b++) {
        struct upstream_backend *backend = &pool->set->backends[b];

        for (uint32_t i = 0; i < backend->conf->n_servers; i++) {
            struct pool_server *server = pool_server_find(pool, backend->servers[i]);

            if (server != NULL)
                adopt(server, backend, i);
        }
    }
    pool_servers_each(pool, take_over);
}

static bool is_any(const struct pool_server *server)
{
    (void)server;
    return true;
}

void pool_servers_fini(struct upstream_pool *pool)
{
    ethread_timer_cancel(pool->thread, &pool->sweep);
    free_servers(pool, is_any);
}
