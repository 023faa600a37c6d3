#include "server_port.h"

#include "server_internal.h"

#include <sallyport/base/log.h>
#include <sallyport/http/http_error.h>

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

void server_report(const struct server_reporter *r, bool warning, const char *object,
                   struct view name, const char *fmt, ...)
{
    char pointer[512], text[1024];
    va_list args;
    size_t at = strnlen(object, sizeof(pointer) - 1);
    struct view cut = view_head(name, sizeof(pointer) - 1 - at);

    memcpy(pointer, object, at);
    if (cut.len > 0)
        memcpy(pointer + at, cut.p, cut.len);
    va_start(args, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    r->report(r->arg, (struct view){pointer, at + cut.len}, view_of(text), warning);
}

/* ---- Certificates ---- */

void server_report_certificate(void *arg, const struct cert_problem *p)
{
    char pointer[CERT_PROBLEM_POINTER_MAX];

    server_report(arg, p->warning, "", cert_problem_pointer(p, pointer), VIEW_FMT "%s" VIEW_FMT,
                  VIEW_ARG(p->file), p->file.len > 0 ? ": " : "", VIEW_ARG(p->text));
}

enum sp_err server_port_certs_prepare(struct server_port_certs *out, const struct server_port *port,
                                      const struct cert_set *set,
                                      const struct cert_reporter *reporter)
{
    *out = (struct server_port_certs){0};
    if (port->tls == NULL)
        return SP_OK;
    out->store = cert_store_new(&(struct cert_store_options){
        .conf = &port->conf->tls_conf, .set = set, .reporter = reporter});
    return out->store == NULL ? SP_NOMEM : SP_OK;
}

enum sp_err server_port_certs_add_ticket_keys(struct server_port_certs *certs,
                                              const struct server_port *port,
                                              const struct cert_reporter *reporter)
{
    const struct tls_port_conf *conf = &port->conf->tls_conf;

    if (port->tls == NULL || !ticket_keys_have_file(conf))
        return SP_OK;
    certs->ticket_keys = ticket_keys_load(conf, port->conf->name, reporter);
    return certs->ticket_keys == NULL ? SP_INVALID : SP_OK;
}

static void announce_ticket_keys(const struct server_port *port, struct ticket_keys *keys)
{
    char text[TICKET_KEYS_TEXT_MAX];

    if (ticket_keys_have_file(&port->conf->tls_conf))
        LOG_INFO(TLS, "port=" VIEW_FMT " ticket_keys=%s", VIEW_ARG(port->conf->name),
                 ticket_keys_text(keys, text));
}

void server_port_certs_commit(struct server_port_certs *certs, struct server_port *port)
{
    if (certs->store != NULL)
        ssl_port_set_store(port->tls, certs->store);
    if (certs->ticket_keys != NULL) {
        ssl_port_set_ticket_keys(port->tls, certs->ticket_keys);
        announce_ticket_keys(port, certs->ticket_keys);
    }
    server_port_certs_abandon(certs);
}

void server_port_certs_abandon(struct server_port_certs *certs)
{
    cert_store_unref(certs->store);
    ticket_keys_unref(certs->ticket_keys);
    *certs = (struct server_port_certs){0};
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

/* What an ssl_port was made of, beside its certificates. */
static bool has_same_policy(const struct tls_port_conf *a, const struct tls_port_conf *b)
{
    return a->preset == b->preset && a->alpn == b->alpn &&
           a->session_tickets == b->session_tickets &&
           a->ticket_lifetime_s == b->ticket_lifetime_s &&
           view_eq(a->ticket_secret_file, b->ticket_secret_file) &&
           view_eq(a->ticket_key_file, b->ticket_key_file) &&
           view_eq(a->ticket_label, b->ticket_label) &&
           a->early_data.enabled == b->early_data.enabled &&
           a->early_data.max_bytes == b->early_data.max_bytes &&
           a->early_data.max_tickets == b->early_data.max_tickets &&
           a->handshake_timeout_ms == b->handshake_timeout_ms;
}

/* Random ticket keys of a port that goes on are kept. */
static bool make_certs(struct server_port *port, const struct server_port_options *o, bool goes_on)
{
    const struct tls_port_conf *conf = &port->conf->tls_conf;
    const struct cert_reporter reporter = {.report = server_report_certificate,
                                           .arg = (void *)(uintptr_t)o->reporter};

    port->certs.store = cert_store_new(
        &(struct cert_store_options){.conf = conf, .set = o->certs, .reporter = &reporter});
    if (port->certs.store == NULL) {
        server_report(o->reporter, false, "/ports/", port->conf->name, "%s", sp_err_text(SP_NOMEM));
        return false;
    }
    if (goes_on && !ticket_keys_have_file(conf))
        return true;
    port->certs.ticket_keys = ticket_keys_load(conf, port->conf->name, &reporter);
    return port->certs.ticket_keys != NULL;
}

static bool new_tls(struct server_port *port, const struct server_reporter *reporter)
{
    char answer[512];
    const struct ssl_port_options options = {.conf = &port->conf->tls_conf,
                                             .store = port->certs.store,
                                             .ticket_keys = port->certs.ticket_keys,
                                             .plain_http_answer =
                                                 plain_http_answer(answer, sizeof(answer))};
    enum sp_err err = ssl_port_new(&options, &port->tls);

    if (err != SP_OK)
        server_report(reporter, false, "/ports/", port->conf->name, "TLS: %s", sp_err_text(err));
    return err == SP_OK;
}

static bool open_tls(struct server_port *port, const struct server_port_options *o)
{
    bool goes_on = o->old != NULL && o->old->tls != NULL &&
                   has_same_policy(&o->old->conf->tls_conf, &port->conf->tls_conf);

    if (!make_certs(port, o, goes_on))
        return false;
    if (!goes_on)
        return new_tls(port, o->reporter);
    port->tls = ssl_port_ref(o->old->tls); /* clients resume across the change */
    return true;
}

/* ---- Listeners ---- */

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

/* The open listener of the same address; NULL: there is none. */
static const struct net_accept *listener_at(const struct server_port *old, const struct endpoint *e)
{
    if (old == NULL || server_port_is_draining(old))
        return NULL;
    for (uint32_t i = 0; i < old->n_listeners; i++) {
        const struct net_accept *na = old->listeners[i];

        if (na->options.endpoint.len == e->len &&
            memcmp(&na->options.endpoint.storage, &e->storage, e->len) == 0 &&
            !atomic_load_explicit(&na->broken, memory_order_relaxed))
            return na;
    }
    return NULL;
}

static bool open_listener(struct server *s, struct server_port *port,
                          const struct server_port_options *o, uint32_t i)
{
    struct net_processor *np = port->conf->tls ? &s->ssl.super : &s->tcp;
    struct net_accept_options options = {
        .accept = port->conf->accept,
        .endpoint = endpoint_to_bind(port->conf, i),
        .cont = http_session_accept(),
        .user = http_port_ref(port->http),
        .release_user = http_port_release,
        .tls = port->tls,
        .label = port->conf->name,
    };
    char text[ENDPOINT_TEXT_MAX];
    const char *why = "";

    options.successor_of = listener_at(o->old, &options.endpoint);
    port->listeners[i] = net_processor_listen(np, &options, &why);
    if (port->listeners[i] == NULL) {
        http_port_unref(port->http);
        server_report(o->reporter, false, "/ports/", port->conf->name, "%s: %s",
                      endpoint_format(&options.endpoint, text, sizeof(text)), why);
        return false;
    }
    port->n_listeners++;
    return true;
}

static bool open_all(struct server *s, struct server_port *port,
                     const struct server_port_options *o)
{
    const struct port_conf *conf = port->conf;

    port->http = http_port_new(o->config, conf, &s->service.super);
    port->listeners = calloc(conf->n_endpoints, sizeof(struct net_accept *));
    if (port->http == NULL || port->listeners == NULL) {
        server_report(o->reporter, false, "/ports/", conf->name, "%s", sp_err_text(SP_NOMEM));
        return false;
    }
    if (conf->tls && !open_tls(port, o))
        return false;
    for (uint32_t i = 0; i < conf->n_endpoints; i++)
        if (!open_listener(s, port, o, i))
            return false;
    return true;
}

/* ---- Life ---- */

struct server_port *server_port_new(struct server *s, const struct server_port_options *options)
{
    struct server_port *port = calloc(1, sizeof(*port));

    if (port == NULL) {
        server_report(options->reporter, false, "/ports/", options->conf->name, "%s",
                      sp_err_text(SP_NOMEM));
        return NULL;
    }
    list_init(&port->link);
    port->conf = options->conf;
    if (open_all(s, port, options))
        return port;
    server_port_free(port);
    return NULL;
}

void server_port_hand_over(const struct server_port *port, const struct server_port *old)
{
    if (port->certs.store != NULL && old->tls != NULL && old->tls != port->tls)
        ssl_port_set_store(old->tls, port->certs.store);
}

void server_port_begin(struct server_port *port)
{
    server_port_certs_commit(&port->certs, port);
    for (uint32_t i = 0; i < port->n_listeners; i++)
        net_accept_begin(port->listeners[i]);
}

void server_port_stop(struct server_port *port)
{
    for (uint32_t i = 0; i < port->n_listeners; i++)
        net_accept_stop(port->listeners[i]);
}

void server_port_free(struct server_port *port)
{
    if (port == NULL)
        return;
    server_port_stop(port);
    for (uint32_t i = 0; i < port->n_listeners; i++)
        net_accept_unref(port->listeners[i]);
    free(port->listeners);
    server_port_certs_abandon(&port->certs);
    ssl_port_unref(port->tls);
    http_port_unref(port->http);
    free(port);
}

uint32_t server_port_connections(const struct server_port *port)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < port->n_listeners; i++)
        n += atomic_load_explicit(&port->listeners[i]->connections, memory_order_relaxed);
    return n;
}
