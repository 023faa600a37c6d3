/* The pool: which server a request goes to, and the idle connections to each. */
#include "upstream_internal.h"

#include <stdlib.h>

/* ---- Connections ---- */

static struct pool_connection *of_link(struct list *n)
{
    return container_of(n, struct pool_connection, link);
}

static void close_idle(struct pool_connection *conn)
{
    upstream_conn_close(conn->up);
    pool_connection_forget(conn);
}

static void arm_idle_timer(struct pool_server *server)
{
    struct list *oldest = list_last(&server->idle);
    struct ethread *t = server->pool->thread;

    if (oldest == NULL || timer_is_armed(&server->idle_timer))
        return;
    timer_arm(&t->wheel, &server->idle_timer,
              of_link(oldest)->idle_since_ms + server->backend->keep_alive_timeout_ms);
}

static bool is_old(const struct pool_connection *conn, int64_t now_ms)
{
    return conn->idle_since_ms + conn->server->backend->keep_alive_timeout_ms <= now_ms;
}

/* The timer was armed for the oldest of its time, which may have been used since: closes what is
 * due and looks for the next. */
static void idle_due(struct timer *timer)
{
    struct pool_server *server = container_of(timer, struct pool_server, idle_timer);
    int64_t now_ms = ethread_now_ms(server->pool->thread);
    struct list *oldest;

    while ((oldest = list_last(&server->idle)) != NULL && is_old(of_link(oldest), now_ms))
        close_idle(of_link(oldest));
    arm_idle_timer(server);
}

/* The newest is used first: the others may then grow old and go when the load falls. */
static void on_changed(struct upstream_conn_owner *o, struct upstream_conn *up)
{
    struct pool_connection *conn = container_of(o, struct pool_connection, owner);
    struct pool_server *server = conn->server;
    struct list *oldest = server == NULL ? NULL : list_last(&server->idle);

    if (!upstream_conn_has_room(up))
        return;
    if (server == NULL || server->idle_cap == 0) {
        close_idle(conn);
        return;
    }
    if (oldest != NULL && server->n_idle >= server->idle_cap)
        close_idle(of_link(oldest));
    list_remove(&conn->link);
    list_push_front(&server->idle, &conn->link);
    conn->idle = true;
    conn->idle_since_ms = ethread_now_ms(server->pool->thread);
    server->n_idle++;
    server->pool->n_idle++;
    arm_idle_timer(server);
}

static void on_gone(struct upstream_conn_owner *o, struct upstream_conn *up)
{
    (void)up;
    pool_connection_forget(container_of(o, struct pool_connection, owner));
}

const struct upstream_conn_owner pool_connection_owner = {.changed = on_changed, .gone = on_gone};

struct http_stream *upstream_pool_use(struct pool_connection *conn, struct upstream_wish *w)
{
    const struct backend_conf *backend = conn->server->backend;
    const struct http_limits_conf *limits = &conn->server->pool->set->config->limits;
    /* A connection has one idle timeout. A request that hopes for a tunnel gets the tunnel's. */
    uint32_t idle_ms = w->tunnel_timeout_ms > backend->idle_timeout_ms ? w->tunnel_timeout_ms
                                                                       : backend->idle_timeout_ms;

    return upstream_conn_request(conn->up,
                                 &(struct upstream_exchange_options){
                                     .response_timeout_ms = backend->response_timeout_ms,
                                     .idle_timeout_ms = idle_ms,
                                     .max_head_bytes = limits->max_head_bytes,
                                     .max_fields = limits->max_fields,
                                     .buffer_bytes = limits->buffer_bytes,
                                 },
                                 w->user);
}

/* NULL: none is idle. */
static struct http_stream *take_idle(struct pool_server *server, struct upstream_wish *w)
{
    struct list *newest = list_pop_front(&server->idle);
    struct pool_connection *conn;

    if (newest == NULL)
        return NULL;
    conn = of_link(newest);
    list_push_back(&server->pool->busy, &conn->link);
    conn->idle = false;
    server->n_idle--;
    server->pool->n_idle--;
    return upstream_pool_use(conn, w);
}

/* ---- Which server ---- */

static struct pool_server *servers_of(struct upstream_pool *pool, const struct upstream_backend *b)
{
    return &pool->servers[pool->first[b - pool->set->backends]];
}

/* What disqualifies a server, from the weakest reason to the strongest; each round of choose()
 * overlooks one more. */
enum { OVERLOOK_NOTHING, OVERLOOK_MARKS, OVERLOOK_TRIED, ROUNDS };

static bool is_tried(const struct upstream_wish *w, uint32_t index)
{
    return index < 64 && (w->tried >> index & 1) != 0;
}

static bool has_room(const struct pool_server *server, const struct upstream_wish *w)
{
    uint32_t max = server->backend->max_connections;

    return max == 0 || (!w->fresh && server->n_idle > 0) ||
           atomic_load_explicit(&server->shared->connections, memory_order_relaxed) < max;
}

/* Round robin over those that qualify. NULL with *why: none does. */
static struct pool_server *choose(struct upstream_pool *pool, const struct upstream_wish *w,
                                  enum http_error *why)
{
    struct pool_server *servers = servers_of(pool, w->backend);
    uint32_t n = w->backend->conf->n_servers;
    uint32_t start = atomic_fetch_add_explicit(&w->backend->next, 1, memory_order_relaxed);
    int64_t now_ms = ethread_now_ms(pool->thread);

    *why = HTTP_ERROR_NO_SERVER;
    for (int overlook = OVERLOOK_NOTHING; overlook < ROUNDS; overlook++) {
        for (uint32_t i = 0; i < n; i++) {
            uint32_t at = (start + i) % n;

            if (overlook < OVERLOOK_TRIED && is_tried(w, at))
                continue;
            if (!has_room(&servers[at], w)) {
                *why = HTTP_ERROR_UPSTREAM_LIMIT;
                continue;
            }
            if (overlook >= OVERLOOK_MARKS || upstream_server_is_up(servers[at].shared, now_ms))
                return &servers[at];
        }
    }
    return NULL;
}

/* ---- Wishes ---- */

void upstream_wish_settle(struct upstream_wish *w)
{
    ethread_timer_cancel(w->pool->thread, &w->timer);
    list_remove(&w->link);
    w->pool = NULL;
}

static void wish_due(struct timer *timer)
{
    struct upstream_wish *w = container_of(timer, struct upstream_wish, timer);

    upstream_wish_settle(w);
    w->done(w, NULL, w->failure);
}

void upstream_wish_fail(struct upstream_wish *w, enum http_error why)
{
    w->failure = why;
    list_remove(&w->link);
    list_push_back(&w->pool->wishes, &w->link);
    ethread_timer_arm_in(w->pool->thread, &w->timer, 0);
}

struct http_stream *upstream_pool_get(struct upstream_pool *pool, struct upstream_wish *w)
{
    enum http_error why;
    struct pool_server *server = choose(pool, w, &why);
    struct http_stream *s = server == NULL || w->fresh ? NULL : take_idle(server, w);

    SP_ASSERT(w->pool == NULL);
    if (server != NULL)
        w->server = server->shared;
    if (s != NULL)
        return s;
    w->pool = pool;
    timer_init(&w->timer, wish_due);
    list_init(&w->link);
    list_push_back(&pool->wishes, &w->link);
    if (server == NULL) {
        upstream_wish_fail(w, why);
        return NULL;
    }
    w->deadline_ms = ethread_now_ms(pool->thread) + server->backend->connect_timeout_ms;
    upstream_names_connect(server, w);
    return NULL;
}

void upstream_wish_cancel(struct upstream_wish *w)
{
    if (w->pool == NULL)
        return;
    if (w->connecting != NULL)
        upstream_connect_cancel(w->connecting);
    upstream_wish_settle(w);
}

static struct http_stream *source_get(struct upstream_source *source, struct upstream_wish *w)
{
    return upstream_pool_get(container_of(source, struct upstream_pool, source), w);
}

static void source_cancel(struct upstream_source *source, struct upstream_wish *w)
{
    (void)source;
    upstream_wish_cancel(w);
}

static const struct upstream_source_ops pool_source_ops = {.get = source_get,
                                                           .cancel = source_cancel};

struct upstream_source *upstream_pool_source(struct upstream_pool *pool)
{
    return &pool->source;
}

/* ---- The pool's life ---- */

/* Of max_connections, what one thread may keep for itself while it does not need it. */
static uint32_t idle_cap_of(const struct upstream_pool *pool, const struct backend_conf *backend)
{
    const struct net_core *core = pool->np->core;
    uint32_t n_threads = (uint32_t)core->ep->groups[core->et_net].n;
    uint32_t share =
        n_threads == 0 ? backend->max_connections : backend->max_connections / n_threads;

    if (backend->keep_alive_timeout_ms == 0)
        return 0;
    if (backend->max_connections == 0 || backend->keep_alive < share)
        return backend->keep_alive;
    return share;
}

static enum sp_err init_server(struct upstream_pool *pool, struct pool_server *server,
                               struct upstream_backend *b, uint32_t index)
{
    server->pool = pool;
    server->shared = &b->servers[index];
    server->backend = b->conf;
    server->idle_cap = idle_cap_of(pool, b->conf);
    list_init(&server->idle);
    timer_init(&server->idle_timer, idle_due);
    return upstream_names_init(server);
}

static enum sp_err init_servers(struct upstream_pool *pool)
{
    const struct config *config = pool->set->config;

    for (uint32_t b = 0; b < config->n_backends; b++) {
        pool->first[b] = pool->n_servers;
        for (uint32_t i = 0; i < config->backends[b].n_servers; i++) {
            struct pool_server *server = &pool->servers[pool->n_servers];

            if (init_server(pool, server, &pool->set->backends[b], i) != SP_OK)
                return SP_NOMEM;
            pool->n_servers++;
        }
    }
    return SP_OK;
}

static size_t count_servers(const struct config *config)
{
    size_t n = 0;

    for (uint32_t b = 0; b < config->n_backends; b++)
        n += config->backends[b].n_servers;
    return n;
}

struct upstream_pool *upstream_pool_new(struct net_processor *np, struct upstream_set *set)
{
    struct upstream_pool *pool = calloc(1, sizeof(*pool));

    if (pool == NULL)
        return NULL;
    pool->source.ops = &pool_source_ops;
    pool->resolver = &upstream_dns;
    pool->np = np;
    pool->set = set;
    pool->thread = this_ethread();
    list_init(&pool->wishes);
    list_init(&pool->busy);
    pool->servers = calloc(count_servers(set->config) + 1, sizeof(*pool->servers));
    pool->first = calloc((size_t)set->config->n_backends + 1, sizeof(*pool->first));
    if (pool->servers == NULL || pool->first == NULL || init_servers(pool) != SP_OK) {
        upstream_pool_free(pool);
        return NULL;
    }
    return pool;
}

void upstream_pool_close_idle(struct upstream_pool *pool)
{
    for (uint32_t i = 0; i < pool->n_servers; i++) {
        struct pool_server *server = &pool->servers[i];
        struct list *n;

        while ((n = list_first(&server->idle)) != NULL)
            close_idle(of_link(n));
        ethread_timer_cancel(pool->thread, &server->idle_timer);
    }
}

/* Connections in use outlive the pool: whoever uses them lets them go later. */
static void orphan_busy(struct upstream_pool *pool)
{
    struct list *n;

    while ((n = list_pop_front(&pool->busy)) != NULL) {
        struct pool_connection *conn = of_link(n);
        struct pool_server *server = conn->server;

        if (server != NULL)
            upstream_server_give_back(server->shared);
        conn->server = NULL;
    }
}

void upstream_pool_free(struct upstream_pool *pool)
{
    struct list *n;

    if (pool == NULL)
        return;
    for (uint32_t i = 0; i < pool->n_servers; i++)
        upstream_names_fini(&pool->servers[i]);
    while ((n = list_first(&pool->wishes)) != NULL)
        upstream_wish_cancel(container_of(n, struct upstream_wish, link));
    upstream_pool_close_idle(pool);
    orphan_busy(pool);
    free(pool->servers);
    free(pool->first);
    free(pool);
}

uint32_t upstream_pool_idle_count(const struct upstream_pool *pool)
{
    return pool->n_idle;
}
