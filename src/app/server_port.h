/* A port of a configuration while it is served: its certificates, its listeners, and what its
 * connections are told.
 *
 * Made in full before it accepts anybody, so that a configuration can be tried as a whole: new,
 * begin, and when it is not wanted any more stop or drain, and free once its connections have gone
 * or the threads have ended. Under the server's lock once others may know of it. */
#pragma once

#include <sallyport/base/list.h>
#include <sallyport/http/http_port.h>
#include <sallyport/net/net_accept.h>
#include <sallyport/tls/ssl_port.h>

struct server;

/* Who is told what is wrong. `pointer` into the configuration, "/ports/443". */
struct server_reporter {
    void (*report)(void *arg, struct view pointer, struct view text, bool warning);
    void *arg;
};
void server_report(const struct server_reporter *r, bool warning, const char *object,
                   struct view name, const char *fmt, ...) SP_PRINTF(5, 6);
/* A cert_problem_fn; arg is a struct server_reporter. */
void server_report_certificate(void *arg, const struct cert_problem *p);

/* What a port reads from files, on its way to the port; NULL: the port has it. */
struct server_port_certs {
    struct cert_store *store;        /* owned */
    struct ticket_keys *ticket_keys; /* owned */
};

struct server_port {
    const struct port_conf *conf;   /* of http->config */
    struct http_port *http;         /* owned reference */
    struct ssl_port *tls;           /* owned reference; NULL on a plain port */
    struct server_port_certs certs; /* what `tls` gets when it begins */
    struct net_accept **listeners;  /* owned references, one an endpoint */
    uint32_t n_listeners;
    struct list link; /* on server.leaving */
};

struct server_port_options {
    struct config *config; /* the port takes a reference of its own */
    const struct port_conf *conf;
    const struct cert_set *certs; /* of the configuration; read during the call */
    struct server_port *old; /* whose sockets, ticket keys and TLS contexts it goes on with; NULL */
    const struct server_reporter *reporter;
};

/* Opens the listeners. NULL: told why; `old` is as it was. */
struct server_port *server_port_new(struct server *s, const struct server_port_options *options)
    SP_MUST_CHECK;
void server_port_begin(struct server_port *port);
/* Before it begins: connections and handshakes of the port whose place it takes go by its
 * certificates, too. */
void server_port_hand_over(const struct server_port *port, const struct server_port *old);
/* No further connections. Harmless twice. */
void server_port_stop(struct server_port *port);
/* Stops it; its connections, if there are any, go on without it. NULL is accepted. */
void server_port_free(struct server_port *port);

/* Other certificates for a port that goes on: prepared, and then committed, which cannot fail, or
 * abandoned. A plain port has nothing to change. SP_INVALID after a problem was reported, or
 * SP_NOMEM. */
enum sp_err server_port_certs_prepare(struct server_port_certs *out, const struct server_port *port,
                                      const struct cert_set *set,
                                      const struct cert_reporter *reporter) SP_MUST_CHECK;
/* The keys of its tickets too, where those are in a file; after the above. SP_INVALID: each problem
 * was reported. */
enum sp_err server_port_certs_add_ticket_keys(struct server_port_certs *certs,
                                              const struct server_port *port,
                                              const struct cert_reporter *reporter) SP_MUST_CHECK;
void server_port_certs_commit(struct server_port_certs *certs, struct server_port *port);
void server_port_certs_abandon(struct server_port_certs *certs); /* harmless after a commit */

/* Client connections that are open. Any thread. */
uint32_t server_port_connections(const struct server_port *port);
static inline bool server_port_is_draining(const struct server_port *port)
{
    return atomic_load_explicit(&port->http->draining, memory_order_relaxed);
}
