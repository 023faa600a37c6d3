#include <sallyport/http/http_port.h>

#include <stdlib.h>

struct http_port *http_port_new(struct config *config, const struct port_conf *conf,
                                struct http_service *service)
{
    struct http_port *port = calloc(1, sizeof(*port));

    if (port == NULL)
        return NULL;
    atomic_init(&port->refs, 1);
    port->conf = conf;
    port->config = config_ref(config);
    port->service = service;
    port->tls = conf->tls;
    return port;
}

struct http_port *http_port_ref(struct http_port *port)
{
    atomic_fetch_add_explicit(&port->refs, 1, memory_order_relaxed);
    return port;
}

void http_port_unref(struct http_port *port)
{
    if (port == NULL || atomic_fetch_sub_explicit(&port->refs, 1, memory_order_acq_rel) != 1)
        return;
    config_unref(port->config);
    free(port);
}

void http_port_release(void *port)
{
    http_port_unref(port);
}
