/* What a port's connections speak and who serves them: the `user` of a listener
 * (net_accept_options.user). Immutable while connections use it; any thread reads it.
 *
 * Life: reference-counted; a listener holds one until its last connection has gone (release_user).
 */
#pragma once

#include <sallyport/config/config.h>
#include <sallyport/http/http_stream.h>

#include <stdatomic.h>

struct http_port {
    atomic_uint refs;
    const struct port_conf *conf; /* borrowed from `config` */
    struct config *config;        /* owned reference */
    struct http_service *service; /* borrowed; outlives every connection */
    bool tls;                     /* scheme of origin-form requests: "https" or "http" */
    atomic_bool draining;         /* finish what runs: "connection: close", idle ones go */
};

/* `conf` is of `config`, of which the port takes a reference. NULL: out of memory. */
struct http_port *http_port_new(struct config *config, const struct port_conf *conf,
                                struct http_service *service) SP_MUST_CHECK;
struct http_port *http_port_ref(struct http_port *port);
void http_port_unref(struct http_port *port); /* NULL is accepted */
/* net_accept_options.release_user */
void http_port_release(void *port);

/* The continuation for net_accept_options.cont: reads the ALPN result and starts the session that
 * speaks it. One for the process, immutable. */
struct continuation *http_session_accept(void);

/* On every data thread (posted there by the server): idle connections close now, busy ones after
 * their response. */
struct net_handler;
void http_sessions_drain(struct net_handler *nh);
