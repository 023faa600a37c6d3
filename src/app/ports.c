/* The ports that are served: those of the configuration, and those that were and still have
 * connections. */
#include "server_internal.h"

#include <sallyport/base/log.h>

#include <stdlib.h>

static void refuse(void *arg, struct view pointer, struct view text, bool warning)
{
    const struct server *s = arg;

    if (warning)
        LOG_WARN(APP, VIEW_FMT ": " VIEW_FMT, VIEW_ARG(pointer), VIEW_ARG(text));
    else
        (void)server_refuse(s, VIEW_FMT ": " VIEW_FMT, VIEW_ARG(pointer), VIEW_ARG(text));
}

/* Goes on after a port that fails, so that everything that is wrong is told at once. */
bool ports_open(struct server *s)
{
    const struct server_reporter reporter = {.report = refuse, .arg = s};
    bool ok = true;

    s->ports = calloc(s->config->n_ports, sizeof(struct server_port *));
    if (s->ports == NULL)
        return server_refuse(s, "%s", sp_err_text(SP_NOMEM));
    for (uint32_t i = 0; i < s->config->n_ports; i++) {
        const struct server_port_options options = {.config = s->config,
                                                    .conf = &s->config->ports[i],
                                                    .certs = s->certs,
                                                    .reporter = &reporter};
        struct server_port *port = server_port_new(s, &options);

        ok = port != NULL && ok;
        if (port != NULL)
            s->ports[s->n_ports++] = port;
    }
    for (uint32_t i = 0; ok && i < s->n_ports; i++)
        server_port_begin(s->ports[i]);
    return ok;
}

void port_announce(const struct server_port *port)
{
    char text[ENDPOINT_TEXT_MAX];

    for (uint32_t k = 0; k < port->n_listeners; k++)
        LOG_INFO(APP, "listening port=" VIEW_FMT " address=%s", VIEW_ARG(port->conf->name),
                 endpoint_format(&port->listeners[k]->bound, text, sizeof(text)));
}

void ports_announce(const struct server *s)
{
    for (uint32_t i = 0; i < s->n_ports; i++)
        port_announce(s->ports[i]);
}

void ports_stop(struct server *s)
{
    for (uint32_t i = 0; i < s->n_ports; i++)
        server_port_stop(s->ports[i]);
}

void ports_leave(struct server *s, struct server_port *port)
{
    server_port_stop(port);
    list_push_back(&s->leaving, &port->link);
}

void ports_reap(struct server *s)
{
    struct list *n, *next;

    list_for_each_safe (n, next, &s->leaving) {
        struct server_port *port = container_of(n, struct server_port, link);

        if (server_port_connections(port) > 0)
            continue;
        list_remove(n);
        server_port_free(port);
    }
}

void ports_close(struct server *s)
{
    struct list *n;

    for (uint32_t i = 0; i < s->n_ports; i++)
        server_port_free(s->ports[i]);
    free(s->ports);
    while ((n = list_pop_front(&s->leaving)) != NULL)
        server_port_free(container_of(n, struct server_port, link));
}
