/* The open connections to a server: where each belongs, and how long idle ones are kept. */
#include "upstream_internal.h"

static struct pool_connection *of_link(struct list *n)
{
    return container_of(n, struct pool_connection, link);
}

static struct pool_connection *of_owner(struct upstream_conn_owner *o)
{
    return container_of(o, struct pool_connection, owner);
}

/* ---- Their end ---- */

/* Off the list that it is on. */
static void displace(struct pool_connection *conn)
{
    struct pool_server *server = conn->server;

    list_remove(&conn->link);
    if (server == NULL || !conn->idle)
        return;
    conn->idle = false;
    server->n_idle--;
    server->pool->n_idle--;
}

void pool_connection_forget(struct pool_connection *conn)
{
    struct pool_server *server = conn->server;

    displace(conn);
    if (server != NULL) {
        upstream_server_give_back(server->shared);
        pool_server_released(server);
    }
    pool_connection_free(conn);
}

static void close_unused(struct pool_connection *conn)
{
    upstream_conn_close(conn->up);
    pool_connection_forget(conn);
}

/* ---- Idle ones ---- */

static int64_t old_at_ms(const struct pool_server *server, const struct pool_connection *conn)
{
    return conn->idle_since_ms + server->backend->conf->keep_alive_timeout_ms;
}

static void arm_idle_timer(struct pool_server *server)
{
    struct list *oldest = list_last(&server->idle);

    if (oldest != NULL && !timer_is_armed(&server->idle_timer))
        timer_arm(&server->pool->thread->wheel, &server->idle_timer,
                  old_at_ms(server, of_link(oldest)));
}

/* The timer was armed for the oldest of its time, which may have been used since: closes what is
 * due and looks for the next. */
static void idle_due(struct timer *timer)
{
    struct pool_server *server = container_of(timer, struct pool_server, idle_timer);
    int64_t now_ms = ethread_now_ms(server->pool->thread);
    struct list *oldest = server->idle.prev;

    while (oldest != &server->idle && old_at_ms(server, of_link(oldest)) <= now_ms) {
        struct list *younger = oldest->prev;

        close_unused(of_link(oldest));
        oldest = younger;
    }
    arm_idle_timer(server);
}

static void keep_no_more_than(struct pool_server *server, uint32_t n)
{
    struct list *oldest = server->idle.prev;

    while (server->n_idle > n) {
        struct list *younger = oldest->prev;

        close_unused(of_link(oldest));
        oldest = younger;
    }
}

void pool_connections_trim(struct pool_server *server)
{
    keep_no_more_than(server, server->idle_cap);
    ethread_timer_cancel(server->pool->thread, &server->idle_timer);
    arm_idle_timer(server);
}

void pool_connections_close_idle(struct pool_server *server)
{
    keep_no_more_than(server, 0);
    ethread_timer_cancel(server->pool->thread, &server->idle_timer);
}

static void keep_idle(struct pool_connection *conn)
{
    struct pool_server *server = conn->server;

    keep_no_more_than(server, server->idle_cap - 1);
    list_push_front(&server->idle, &conn->link);
    conn->idle = true;
    conn->idle_since_ms = ethread_now_ms(server->pool->thread);
    server->n_idle++;
    server->pool->n_idle++;
    arm_idle_timer(server);
}

/* ---- Where a connection belongs ---- */

/* What is in use and has room is put in front: the load packs onto as few as possible. Of the idle
 * ones the newest is used first: the others may then grow old and go when the load falls. */
void pool_connection_place(struct pool_connection *conn)
{
    struct pool_server *server = conn->server;
    struct upstream_conn *up = conn->up;
    bool has_room = upstream_conn_has_room(up);

    displace(conn);
    if (up->n_exchanges > 0)
        list_push_front(has_room ? &server->ready : &server->full, &conn->link);
    else if (up->draining || up->vc == NULL)
        list_push_front(&server->full, &conn->link); /* it ends by itself */
    else if (!has_room || server->idle_cap == 0)
        close_unused(conn);
    else
        keep_idle(conn);
}

/* The next new connection will have as much room as the last one had. */
static void learn(struct pool_connection *conn)
{
    uint32_t capacity = conn->up->capacity;

    conn->server->room_expected = capacity > 0 ? capacity : 1;
}

static void on_changed(struct upstream_conn_owner *o, struct upstream_conn *up)
{
    struct pool_connection *conn = of_owner(o);

    if (conn->server != NULL) {
        learn(conn);
        pool_connection_place(conn);
    } else if (up->n_exchanges == 0 && !up->draining && up->vc != NULL) {
        close_unused(conn);
    }
}

static void on_gone(struct upstream_conn_owner *o, struct upstream_conn *up)
{
    (void)up;
    pool_connection_forget(of_owner(o));
}

const struct upstream_conn_owner pool_connection_owner = {.changed = on_changed, .gone = on_gone};

/* ---- Using them ---- */

/* Normally the first. A connection that has just failed and not said so yet has none. */
static struct pool_connection *first_with_room(const struct list *connections)
{
    for (struct list *n = connections->next; n != connections; n = n->next)
        if (upstream_conn_has_room(of_link(n)->up))
            return of_link(n);
    return NULL;
}

struct pool_connection *pool_connections_with_room(const struct pool_server *server,
                                                   const struct upstream_wish *w)
{
    struct pool_connection *conn = first_with_room(&server->ready);

    return conn == NULL && !w->fresh ? first_with_room(&server->idle) : conn;
}

struct http_stream *pool_connection_use(struct pool_connection *conn, const struct upstream_wish *w)
{
    const struct backend_conf *backend = w->backend->conf;
    const struct http_limits_conf *limits = &w->backend->set->config->limits;
    /* A stream has one idle timeout. A request that hopes for a tunnel gets the tunnel's. */
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

/* ---- All of them ---- */

void pool_connections_init(struct pool_server *server)
{
    list_init(&server->opening);
    list_init(&server->full);
    list_init(&server->ready);
    list_init(&server->idle);
    timer_init(&server->idle_timer, idle_due);
}

static void orphan(struct pool_server *server, struct list *connections)
{
    struct list *n;

    while ((n = list_pop_front(connections)) != NULL) {
        upstream_server_give_back(server->shared);
        of_link(n)->server = NULL;
    }
}

void pool_connections_orphan(struct pool_server *server)
{
    orphan(server, &server->full);
    orphan(server, &server->ready);
}
