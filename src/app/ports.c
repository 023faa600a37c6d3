/* The ports of a configuration: certificates, listeners, and what is told of them. */
#include "server_internal.h"

#include <sallyport/base/log.h>
#include <sallyport/http/http_error.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static void report_certificate(void *arg, const struct cert_problem *p)
{
    const struct server *s = arg;

    if (p->warning) {
        LOG_WARN(TLS, "bundle=" VIEW_FMT " file=" VIEW_FMT " " VIEW_FMT, VIEW_ARG(p->bundle),
                 VIEW_ARG(p->file), VIEW_ARG(p->text));
        return;
    }
    (void)server_refuse(s, "/bundles/" VIEW_FMT ": " VIEW_FMT "%s" VIEW_FMT, VIEW_ARG(p->bundle),
                        VIEW_ARG(p->file), p->file.len > 0 ? ": " : "", VIEW_ARG(p->text));
}

/* For who types http:// where https:// was meant. */
static struct view plain_http_answer(char *dst, size_t cap)
{
    const char *text = http_error_text(HTTP_ERROR_PLAIN_HTTP_ON_TLS);
    unsigned status = http_error_status(HTTP_ERROR_PLAIN_HTTP_ON_TLS);
    int n = snprintf(dst, cap,
                     "HTTP/1.1 %u %s\r\nContent-Type: text/plain; charset=utf-8\r\n"
                     "Content-Length: %zu\r\nConnection: close\r\n\r\n%s\n",
                     status, http_status_reason(status), strlen(text) + 1, text);

    return view_head(view_of(dst), n > 0 ? (size_t)n : 0);
}

static bool open_tls(struct server *s, struct server_port *port)
{
    const struct cert_reporter reporter = {.report = report_certificate, .arg = s};
    char answer[512];
    enum sp_err err = SP_OK;
    struct cert_store *store = cert_store_new(&port->conf->tls_conf, &reporter, &err);

    if (store == NULL && err == SP_INVALID)
        return false; /* each problem was told */
    if (store == NULL)
        return server_refuse(s, "/ports/" VIEW_FMT ": its certificates cannot be used: %s",
                             VIEW_ARG(port->conf->name), sp_err_text(err));
    err = ssl_port_new(
        &(struct ssl_port_options){.conf = &port->conf->tls_conf,
                                   .store = store,
                                   .plain_http_answer = plain_http_answer(answer, sizeof(answer))},
        &port->tls);
    cert_store_unref(store);
    return err == SP_OK || server_refuse(s, "/ports/" VIEW_FMT ": TLS: %s",
                                         VIEW_ARG(port->conf->name), sp_err_text(err));
}

static bool ipv6_is_missing(void)
{
    int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd >= 0)
        (void)close(fd);
    return fd < 0 && errno == EAFNOSUPPORT;
}

/* "443" is [::]:443, which takes both families; 0.0.0.0:443 on a system without IPv6. */
static struct endpoint endpoint_to_bind(const struct port_conf *conf, uint32_t i)
{
    struct endpoint e = conf->endpoints[i];

    if (!conf->any_address || e.sa.sa_family != AF_INET6 || !ipv6_is_missing())
        return e;
    struct endpoint v4 = {.len = sizeof(v4.in)};
    v4.in.sin_family = AF_INET;
    v4.in.sin_port = e.in6.sin6_port;
    v4.in.sin_addr.s_addr = htonl(INADDR_ANY);
    return v4;
}

static bool open_listener(struct server *s, struct server_port *port, uint32_t i)
{
    struct net_processor *np = port->conf->tls ? &s->ssl.super : &s->tcp;
    const struct net_accept_options options = {
        .accept = port->conf->accept,
        .endpoint = endpoint_to_bind(port->conf, i),
        .cont = http_session_accept(),
        .user = &port->http,
        .tls = port->tls,
        .label = port->conf->name,
    };
    char text[ENDPOINT_TEXT_MAX];
    const char *why = "";

    port->listeners[i] = net_processor_main_accept(np, &options, &why);
    if (port->listeners[i] == NULL)
        return server_refuse(s, "/ports/" VIEW_FMT ": %s: %s", VIEW_ARG(port->conf->name),
                             endpoint_format(&options.endpoint, text, sizeof(text)), why);
    port->n_listeners++;
    return true;
}

static bool open_port(struct server *s, struct server_port *port)
{
    port->http = (struct http_port){.conf = port->conf,
                                    .config = config_ref(s->config),
                                    .service = &s->service.super,
                                    .tls = port->conf->tls};
    atomic_init(&port->http.draining, false);
    if (port->conf->tls && !open_tls(s, port))
        return false;
    port->listeners = calloc(port->conf->n_endpoints, sizeof(struct net_accept *));
    if (port->listeners == NULL)
        return server_refuse(s, "%s", sp_err_text(SP_NOMEM));
    for (uint32_t i = 0; i < port->conf->n_endpoints; i++)
        if (!open_listener(s, port, i))
            return false;
    return true;
}

/* Goes on after a port that fails, so that everything that is wrong is told at once. */
bool ports_open(struct server *s)
{
    bool ok = true;

    s->ports = calloc(s->config->n_ports, sizeof(*s->ports));
    if (s->ports == NULL)
        return server_refuse(s, "%s", sp_err_text(SP_NOMEM));
    for (uint32_t i = 0; i < s->config->n_ports; i++) {
        s->ports[i].conf = &s->config->ports[i];
        s->n_ports++;
        ok = open_port(s, &s->ports[i]) && ok;
    }
    return ok;
}

void ports_announce(const struct server *s)
{
    char text[ENDPOINT_TEXT_MAX];

    for (uint32_t i = 0; i < s->n_ports; i++) {
        const struct server_port *port = &s->ports[i];

        for (uint32_t k = 0; k < port->n_listeners; k++)
            LOG_INFO(APP, "listening port=" VIEW_FMT " address=%s", VIEW_ARG(port->conf->name),
                     endpoint_format(&port->listeners[k]->bound, text, sizeof(text)));
    }
}

uint32_t server_port_connections(const struct server_port *port)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < port->n_listeners; i++)
        n += atomic_load_explicit(&port->listeners[i]->connections, memory_order_relaxed);
    return n;
}

void ports_stop(struct server *s)
{
    for (uint32_t i = 0; i < s->n_ports; i++) {
        for (uint32_t k = 0; k < s->ports[i].n_listeners; k++)
            net_accept_stop(s->ports[i].listeners[k]);
    }
}

static void close_port(struct server_port *port)
{
    for (uint32_t k = 0; k < port->n_listeners; k++)
        net_accept_unref(port->listeners[k]);
    free(port->listeners);
    ssl_port_unref(port->tls);
    config_unref(port->http.config);
}

void ports_close(struct server *s)
{
    for (uint32_t i = 0; i < s->n_ports; i++)
        close_port(&s->ports[i]);
    free(s->ports);
}
