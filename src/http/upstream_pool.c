/* The pool: which server a request goes to, and the way of a wish. */
#include "upstream_internal.h"

#include <stdlib.h>

const struct upstream_protocol upstream_protocols[] = {
    [BACKEND_HTTP11] = {.make = http1_upstream_new, .room = 1},
    [BACKEND_H2] = {.make = http2_upstream_new, .room = UPSTREAM_CONN_GUESS},
    [BACKEND_H2C] = {.make = http2_upstream_new, .room = UPSTREAM_CONN_GUESS},
};

/* ---- Which server ---- */

/* What disqualifies a server, from the weakest reason to the strongest; each round of choose()
 * overlooks one more. */
enum { OVERLOOK_NOTHING, OVERLOOK_MARKS, OVERLOOK_TRIED, ROUNDS };

static bool is_tried(const struct upstream_wish *w, uint32_t index)
{
    return index < 64 && (w->tried >> index & 1) != 0;
}

/* Without a connection more? */
static bool has_place(const struct upstream_pool *pool, const struct upstream_server *shared,
                      const struct upstream_wish *w)
{
    const struct pool_server *server = pool_server_find(pool, shared);

    return server != NULL &&
           (pool_connections_with_room(server, w) != NULL || upstream_connect_has_room(server));
}

static bool has_room(const struct upstream_pool *pool, const struct upstream_server *shared,
                     const struct upstream_wish *w)
{
    uint32_t max = w->backend->conf->max_connections;

    return max == 0 || atomic_load_explicit(&shared->connections, memory_order_relaxed) < max ||
           has_place(pool, shared, w);
}

/* Round robin over those that qualify. NULL with *why: none does. */
static struct upstream_server *choose(struct upstream_pool *pool, struct upstream_wish *w,
                                      enum http_error *why)
{
    struct upstream_server **servers = w->backend->servers;
    uint32_t n = w->backend->conf->n_servers;
    uint32_t start = atomic_fetch_add_explicit(&w->backend->next, 1, memory_order_relaxed);
    int64_t now_ms = ethread_now_ms(pool->thread);

    *why = HTTP_ERROR_NO_SERVER;
    for (int overlook = OVERLOOK_NOTHING; overlook < ROUNDS; overlook++) {
        for (uint32_t i = 0; i < n; i++) {
            uint32_t at = (start + i) % n;

            if (overlook < OVERLOOK_TRIED && is_tried(w, at))
                continue;
            if (!has_room(pool, servers[at], w)) {
                *why = HTTP_ERROR_UPSTREAM_LIMIT;
                continue;
            }
            if (overlook < OVERLOOK_MARKS && !upstream_server_is_up(servers[at], now_ms))
                continue;
            w->index = at;
            return servers[at];
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

/* It is on its way from here on. */
static void begin(struct upstream_pool *pool, struct upstream_wish *w)
{
    w->pool = pool;
    w->stream = NULL;
    timer_init(&w->timer, wish_due);
    list_init(&w->link);
    list_push_back(&pool->wishes, &w->link);
}

static struct http_stream *use(struct pool_connection *conn, struct upstream_wish *w)
{
    struct upstream_pool *pool = conn->server->pool;
    struct http_stream *s = pool_connection_use(conn, w);

    pool_connection_place(conn);
    if (s == NULL) {
        begin(pool, w);
        upstream_wish_fail(w, HTTP_ERROR_NOMEM);
    }
    return s;
}

struct http_stream *upstream_pool_get(struct upstream_pool *pool, struct upstream_wish *w)
{
    enum http_error why;
    struct upstream_server *shared = choose(pool, w, &why);
    struct pool_server *server = NULL;
    struct pool_connection *conn = NULL;

    SP_ASSERT(w->pool == NULL);
    if (shared != NULL) {
        w->server = shared;
        why = HTTP_ERROR_NOMEM;
        server = pool_server_get(pool, w->backend, w->index);
    }
    if (server != NULL)
        conn = pool_connections_with_room(server, w);
    if (conn != NULL)
        return use(conn, w);
    begin(pool, w);
    if (server == NULL) {
        upstream_wish_fail(w, why);
        return NULL;
    }
    w->deadline_ms = ethread_now_ms(pool->thread) + w->backend->conf->connect_timeout_ms;
    upstream_names_connect(server, w);
    return NULL;
}

/* It has a stream that its user was not told of yet. */
static void give_back(struct upstream_wish *w)
{
    struct http_stream *s = w->stream;

    w->stream = NULL;
    s->ops->abort(s, HTTP_ERROR_CLIENT_CLOSED);
    http_stream_release(s);
}

void upstream_wish_cancel(struct upstream_wish *w)
{
    if (w->pool == NULL)
        return;
    if (w->connecting != NULL)
        upstream_connect_leave(w);
    upstream_wish_settle(w);
    if (w->stream != NULL)
        give_back(w);
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

struct upstream_pool *upstream_pool_new(const struct upstream_pool_options *options)
{
    struct upstream_pool *pool = calloc(1, sizeof(*pool));

    if (pool == NULL)
        return NULL;
    pool->source.ops = &pool_source_ops;
    pool->resolver = &upstream_dns;
    pool->protocols = upstream_protocols;
    pool->plain = options->plain;
    pool->tls = options->tls;
    pool->set = upstream_set_ref(options->set);
    pool->thread = this_ethread();
    list_init(&pool->wishes);
    pool_servers_init(pool);
    return pool;
}

void upstream_pool_update(struct upstream_pool *pool, struct upstream_set *set)
{
    struct upstream_set *old = pool->set;

    pool->set = upstream_set_ref(set);
    pool_servers_update(pool);
    upstream_set_unref(old);
}

void upstream_pool_close_idle(struct upstream_pool *pool)
{
    pool_servers_each(pool, pool_connections_close_idle);
}

static void cancel_all(struct list *wishes)
{
    struct list *n;

    while ((n = list_first(wishes)) != NULL)
        upstream_wish_cancel(container_of(n, struct upstream_wish, link));
}

/* With the last of its wishes the connection goes. */
static void abandon(struct pool_connection *conn)
{
    for (uint32_t left = conn->n_wishes; left > 0; left--)
        upstream_wish_cancel(container_of(list_first(&conn->wishes), struct upstream_wish, link));
}

static void end_server(struct pool_server *server)
{
    struct list *n;

    cancel_all(&server->names.waiters);
    while ((n = list_first(&server->opening)) != NULL)
        abandon(container_of(n, struct pool_connection, link));
    pool_connections_close_idle(server);
    pool_connections_orphan(server);
}

void upstream_pool_free(struct upstream_pool *pool)
{
    if (pool == NULL)
        return;
    cancel_all(&pool->wishes);
    pool_servers_each(pool, end_server);
    pool_servers_fini(pool);
    upstream_set_unref(pool->set);
    free(pool);
}

uint32_t upstream_pool_idle_count(const struct upstream_pool *pool)
{
    return pool->n_idle;
}
