/* New connections to a server: one address after the other within one time limit. Where connections
 * are shared, wishes gather on one that is being opened; the first one's time limit holds for all,
 * so that a server that does not answer is found out however many come. */
#include "upstream_internal.h"

#include <sallyport/base/log.h>

#include <stdlib.h>

static enum http_error http_error_of(enum sp_err err)
{
    switch ((int)err) {
    case SP_NOMEM: return HTTP_ERROR_NOMEM;
    case SP_THROTTLED:
    case SP_NOFILE: return HTTP_ERROR_UPSTREAM_LIMIT;
    case SP_CONN_TIMEOUT:
    case SP_INACTIVITY:
    case SP_TLS_TIMEOUT:
    case SP_ACTIVE_TIMEOUT: return HTTP_ERROR_UPSTREAM_CONNECT_TIMEOUT;
    default: return HTTP_ERROR_UPSTREAM_CONNECT;
    }
}

/* A want of our own says nothing about the server. */
static bool is_servers_fault(enum http_error error)
{
    return error == HTTP_ERROR_UPSTREAM_CONNECT || error == HTTP_ERROR_UPSTREAM_CONNECT_TIMEOUT;
}

static struct upstream_wish *of_wish(struct list *n)
{
    return container_of(n, struct upstream_wish, link);
}

/* ---- The wishes of a connection ---- */

static void join(struct pool_connection *conn, struct upstream_wish *w)
{
    list_remove(&w->link);
    list_push_back(&conn->wishes, &w->link);
    conn->n_wishes++;
    w->connecting = conn;
}

/* NULL: none is left. */
static struct upstream_wish *pop_wish(struct pool_connection *conn)
{
    struct list *n = list_pop_front(&conn->wishes);

    if (n == NULL)
        return NULL;
    conn->n_wishes--;
    of_wish(n)->connecting = NULL;
    return of_wish(n);
}

void upstream_connect_leave(struct upstream_wish *w)
{
    struct pool_connection *conn = w->connecting;

    list_remove(&w->link);
    w->connecting = NULL;
    if (--conn->n_wishes > 0)
        return;
    net_vc_do_io_close(conn->vc, VC_CLOSE_ABORT);
    pool_connection_forget(conn);
}

/* ---- Failures ---- */

static void fail_wishes(struct pool_connection *conn, enum http_error error)
{
    struct upstream_wish *w;

    while ((w = pop_wish(conn)) != NULL) {
        if (is_servers_fault(error) && w->index < 64)
            w->tried |= UINT64_C(1) << w->index;
        upstream_wish_fail(w, error);
    }
}

/* No address is left to try. */
static void give_up(struct pool_connection *conn)
{
    struct pool_server *server = conn->server;
    enum http_error error = http_error_of(conn->err);

    LOG_LIMITED(UPSTREAM, WARN,
                "backend=" VIEW_FMT " server=" VIEW_FMT " connect err=%s waiting=%u",
                VIEW_ARG(conn->backend->conf->name), VIEW_ARG(server->shared->conf->name),
                sp_err_label(conn->err), conn->n_wishes);
    if (is_servers_fault(error))
        upstream_server_failed(server->shared, ethread_now_ms(server->pool->thread));
    fail_wishes(conn, error);
    pool_connection_forget(conn);
}

/* ---- Addresses ---- */

static struct net_vconnection *connect_to(struct pool_connection *conn,
                                          const struct endpoint *remote, int64_t timeout_ms)
{
    const struct upstream_pool *pool = conn->server->pool;
    const struct net_connect_options options = {
        .remote = *remote, .timeout_ms = timeout_ms, .tcp_nodelay = true, .tls = conn->tls};

    return net_processor_connect_s(conn->tls != NULL ? pool->tls : pool->plain, &options,
                                   &conn->cont, &conn->err);
}

/* The next address that a connect can be started to. False: none is left, or no time. */
static bool try_next(struct pool_connection *conn)
{
    struct upstream_names *names = &conn->server->names;

    while (conn->addresses_left > 0 && conn->vc == NULL) {
        int64_t left_ms = conn->deadline_ms - ethread_now_ms(conn->server->pool->thread);

        if (left_ms <= 0) {
            conn->err = SP_CONN_TIMEOUT;
            return false;
        }
        conn->address = upstream_names_pick(names);
        conn->addresses_left--;
        conn->vc = connect_to(conn, &names->v[conn->address], left_ms);
        if (conn->vc == NULL)
            upstream_names_failed(names, conn->address);
    }
    return conn->vc != NULL;
}

static void on_failed(struct pool_connection *conn, const struct net_open_failure *failure)
{
    conn->vc = NULL; /* the net layer closes it */
    conn->err = failure->err;
    upstream_names_failed(&conn->server->names, conn->address);
    if (!try_next(conn))
        give_up(conn);
}

/* ---- Open ---- */

/* Each wish gets its stream, as far as there is room; nobody is called yet. */
static void give_streams(struct pool_connection *conn, struct list *served)
{
    while (conn->n_wishes > 0 && upstream_conn_has_room(conn->up)) {
        struct upstream_wish *w = pop_wish(conn);

        w->stream = pool_connection_use(conn, w);
        if (w->stream == NULL)
            upstream_wish_fail(w, HTTP_ERROR_NOMEM);
        else
            list_push_back(served, &w->link);
    }
}

/* Whoever is told may end the connection. */
static void tell(struct list *served)
{
    struct list *n;

    while ((n = list_first(served)) != NULL) {
        struct upstream_wish *w = of_wish(n);
        struct http_stream *s = w->stream;

        w->stream = NULL;
        upstream_wish_settle(w);
        w->done(w, s, HTTP_ERROR_NONE);
    }
}

static void serve(struct pool_connection *conn)
{
    struct pool_server *server = conn->server;
    struct list served, left;
    struct list *n;

    list_init(&served);
    list_init(&left);
    give_streams(conn, &served);
    while ((n = list_first(&conn->wishes)) != NULL) {
        (void)pop_wish(conn);
        list_push_back(&left, n);
    }
    pool_connection_place(conn);
    while ((n = list_first(&left)) != NULL)
        upstream_connect(server, of_wish(n));
    tell(&served);
}

static void on_open(struct pool_connection *conn, struct net_vconnection *vc)
{
    const struct upstream_conn_options options = {.config = conn->backend->set->config,
                                                  .backend = conn->backend->conf,
                                                  .expected = conn->server->room_expected};
    const struct upstream_protocol *protocol =
        &conn->server->pool->protocols[conn->backend->conf->protocol];

    conn->vc = NULL;
    conn->up = protocol->make(vc, &options, &conn->owner);
    if (conn->up == NULL) {
        net_vc_do_io_close(vc, VC_CLOSE_ABORT);
        conn->err = SP_NOMEM;
        give_up(conn);
        return;
    }
    upstream_server_reached(conn->server->shared);
    serve(conn);
}

static int connect_event(struct continuation *c, int event, void *data)
{
    struct pool_connection *conn = container_of(c, struct pool_connection, cont);

    if (event == NET_EVENT_OPEN)
        on_open(conn, data);
    else if (event == NET_EVENT_OPEN_FAILED)
        on_failed(conn, data);
    return EVENT_DONE;
}

/* ---- Opening ---- */

/* NULL: none is being opened that will have room. */
static struct pool_connection *with_place(const struct pool_server *server)
{
    for (struct list *n = server->opening.next; n != &server->opening; n = n->next) {
        struct pool_connection *conn = container_of(n, struct pool_connection, link);

        if (conn->n_wishes < server->room_expected)
            return conn;
    }
    return NULL;
}

bool upstream_connect_has_room(const struct pool_server *server)
{
    return with_place(server) != NULL;
}

/* NULL: out of memory. */
static struct pool_connection *connection_new(struct pool_server *server)
{
    struct pool_connection *conn = calloc(1, sizeof(*conn));

    if (conn == NULL)
        return NULL;
    conn->owner = pool_connection_owner;
    conn->server = server;
    conn->backend = server->backend;
    conn->tls = server->tls;
    (void)upstream_set_ref(conn->backend->set);
    continuation_init(&conn->cont, "upstream_connect", connect_event);
    list_init(&conn->wishes);
    list_init(&conn->link);
    list_push_back(&server->opening, &conn->link);
    return conn;
}

void pool_connection_free(struct pool_connection *conn)
{
    upstream_set_unref(conn->backend->set);
    free(conn);
}

static void open_for(struct pool_server *server, struct upstream_wish *w)
{
    struct pool_connection *conn;

    if (!upstream_server_take(server->shared, server->backend->conf->max_connections)) {
        upstream_wish_fail(w, HTTP_ERROR_UPSTREAM_LIMIT);
        pool_server_released(server);
        return;
    }
    conn = connection_new(server);
    if (conn == NULL) {
        upstream_server_give_back(server->shared);
        upstream_wish_fail(w, HTTP_ERROR_NOMEM);
        pool_server_released(server);
        return;
    }
    conn->deadline_ms = w->deadline_ms;
    conn->addresses_left = server->names.n;
    join(conn, w);
    if (!try_next(conn))
        give_up(conn);
}

void upstream_connect(struct pool_server *server, struct upstream_wish *w)
{
    struct pool_connection *conn = with_place(server);

    if (conn != NULL)
        join(conn, w);
    else
        open_for(server, w);
}
