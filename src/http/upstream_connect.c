/* New connections to a server: one address after the other within one time limit. */
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
    case SP_ACTIVE_TIMEOUT: return HTTP_ERROR_UPSTREAM_CONNECT_TIMEOUT;
    default: return HTTP_ERROR_UPSTREAM_CONNECT;
    }
}

/* A want of our own says nothing about the server. */
static bool is_servers_fault(enum http_error error)
{
    return error == HTTP_ERROR_UPSTREAM_CONNECT || error == HTTP_ERROR_UPSTREAM_CONNECT_TIMEOUT;
}

static void mark_tried(struct upstream_wish *w)
{
    size_t index = (size_t)(w->server - w->backend->servers);

    if (index < 64)
        w->tried |= UINT64_C(1) << index;
}

void pool_connection_forget(struct pool_connection *conn)
{
    struct pool_server *server = conn->server;

    list_remove(&conn->link);
    if (server != NULL) {
        if (conn->idle) {
            server->n_idle--;
            server->pool->n_idle--;
        }
        upstream_server_give_back(server->shared);
    }
    free(conn);
}

/* No address is left to try. */
static void give_up(struct pool_connection *conn)
{
    struct pool_server *server = conn->server;
    struct upstream_wish *w = conn->wish;
    enum http_error error = http_error_of(conn->err);

    LOG_LIMITED(UPSTREAM, WARN, "backend=" VIEW_FMT " server=" VIEW_FMT " connect err=%s",
                VIEW_ARG(server->backend->name), VIEW_ARG(server->shared->conf->name),
                sp_err_label(conn->err));
    if (is_servers_fault(error)) {
        upstream_server_failed(server->shared, ethread_now_ms(server->pool->thread));
        mark_tried(w);
    }
    w->connecting = NULL;
    pool_connection_forget(conn);
    upstream_wish_fail(w, error);
}

/* The next address that a connect can be started to. False: none is left, or no time. */
static bool try_next(struct pool_connection *conn)
{
    struct upstream_names *names = &conn->server->names;
    struct upstream_pool *pool = conn->server->pool;

    while (conn->addresses_left > 0 && conn->vc == NULL) {
        struct net_connect_options options = {.tcp_nodelay = true};

        options.timeout_ms = conn->wish->deadline_ms - ethread_now_ms(pool->thread);
        if (options.timeout_ms <= 0) {
            conn->err = SP_CONN_TIMEOUT;
            return false;
        }
        conn->address = upstream_names_pick(names);
        conn->addresses_left--;
        options.remote = names->v[conn->address];
        conn->vc = net_processor_connect_s(pool->np, &options, &conn->cont, &conn->err);
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

static void on_open(struct pool_connection *conn, struct net_vconnection *vc)
{
    const struct upstream_conn_options options = {.config = conn->server->pool->set->config,
                                                  .backend = conn->server->backend};
    struct upstream_wish *w = conn->wish;

    conn->vc = NULL;
    conn->up = http1_upstream_new(vc, &options, &conn->owner);
    if (conn->up == NULL) {
        net_vc_do_io_close(vc, VC_CLOSE_ABORT);
        conn->err = SP_NOMEM;
        give_up(conn);
        return;
    }
    upstream_server_reached(conn->server->shared);
    conn->wish = NULL;
    w->connecting = NULL;
    upstream_wish_settle(w);
    w->done(w, upstream_pool_use(conn, w), HTTP_ERROR_NONE);
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

void upstream_connect(struct pool_server *server, struct upstream_wish *w)
{
    struct pool_connection *conn;

    if (!upstream_server_take(server->shared, server->backend->max_connections)) {
        upstream_wish_fail(w, HTTP_ERROR_UPSTREAM_LIMIT);
        return;
    }
    conn = calloc(1, sizeof(*conn));
    if (conn == NULL) {
        upstream_server_give_back(server->shared);
        upstream_wish_fail(w, HTTP_ERROR_NOMEM);
        return;
    }
    conn->owner = pool_connection_owner;
    conn->server = server;
    conn->wish = w;
    conn->addresses_left = server->names.n;
    continuation_init(&conn->cont, "upstream_connect", connect_event);
    list_init(&conn->link);
    list_push_back(&server->pool->busy, &conn->link);
    w->connecting = conn;
    if (!try_next(conn))
        give_up(conn);
}

void upstream_connect_cancel(struct pool_connection *conn)
{
    conn->wish->connecting = NULL;
    net_vc_do_io_close(conn->vc, VC_CLOSE_ABORT);
    pool_connection_forget(conn);
}
