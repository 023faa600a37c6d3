/* Ending: of ports, and of the program. */
#include "admin_route.h"
#include "server_internal.h"

#include <sallyport/config/nearest.h>

#include <signal.h>
#include <unistd.h>

/* ---- Drain ---- */

static void write_drained(struct admin_answer *a, const struct server *s,
                          const struct server_port *one)
{
    struct json_writer *j = &a->json;

    a->status = 202;
    json_object(j, NULL);
    json_array(j, "draining");
    for (uint32_t i = 0; i < s->n_ports; i++) {
        if (one != NULL && one != s->ports[i])
            continue;
        json_object(j, NULL);
        json_text(j, "port", s->ports[i]->conf->name);
        json_number(j, "connections", server_port_connections(s->ports[i]));
        json_end(j);
    }
    json_end(j);
    json_end(j);
}

static void drain_all(const struct admin_request *rq, struct admin_answer *a)
{
    struct server *s = rq->server;

    server_lock(s);
    for (uint32_t i = 0; i < s->n_ports; i++)
        server_drain_port(s, s->ports[i]);
    write_drained(a, s, NULL);
    server_unlock(s);
}

static struct server_port *find_port(struct server *s, struct view name, struct nearest *near)
{
    nearest_init(near, name);
    for (uint32_t i = 0; i < s->n_ports; i++) {
        if (view_eq(s->ports[i]->conf->name, name))
            return s->ports[i];
        nearest_offer(near, s->ports[i]->conf->name);
    }
    return NULL;
}

static void refuse_port(struct admin_answer *a, struct view name, struct view near)
{
    admin_problem(a, 404, "no port \"" VIEW_FMT "\"%s" VIEW_FMT "%s", VIEW_ARG(name),
                  near.p == NULL ? "" : "; did you mean \"", VIEW_ARG(near),
                  near.p == NULL ? "" : "\"?");
}

static void drain_one(const struct admin_request *rq, struct admin_answer *a)
{
    struct view name = admin_request_part(rq, "port");
    struct nearest near;
    struct server_port *port;

    server_lock(rq->server);
    port = find_port(rq->server, name, &near);
    if (port == NULL) {
        refuse_port(a, name, near.best);
    } else {
        server_drain_port(rq->server, port);
        write_drained(a, rq->server, port);
    }
    server_unlock(rq->server);
}

/* ---- Stop ---- */

/* The main thread waits for signals: it is told in the way that it is always told. */
static void stop(struct server *s)
{
    (void)s;
    (void)kill(getpid(), SIGTERM);
}

static void post_stop(const struct admin_request *rq, struct admin_answer *a)
{
    struct server *s = rq->server;
    bool now = admin_request_flag(rq, "now");

    if (now)
        atomic_store_explicit(&s->stop_now, true, memory_order_relaxed);
    a->status = 202;
    a->then = stop; /* the answer has to leave first */
    json_object(&a->json, NULL);
    json_signed(&a->json, "pid", getpid());
    json_number(&a->json, "drain_timeout_ms", now ? 0 : server_drain_timeout_ms(s));
    json_end(&a->json);
}

static const struct admin_parameter stop_query[] = {
    {"now", "cut what is open instead of waiting for it"},
};
static const struct admin_route rows[] = {
    {HTTP_METHOD_POST, "/drain", drain_all,
     .help = "No port takes new connections; idle ones close, requests under way finish. The "
             "program goes on."},
    {HTTP_METHOD_POST, "/drain/{port}", drain_one,
     .help = "The same for one port, named as in the configuration (`/` as `%2F`)."},
    {HTTP_METHOD_POST, "/stop", post_stop, ADMIN_QUERY(stop_query),
     .help = "Drain, then end, as after SIGTERM."},
};
const struct admin_routes admin_stop_routes = {"Drain and stop", ADMIN_ROWS(rows)};
