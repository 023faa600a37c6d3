/* What a port's connections speak and who serves them: the `user` of a listener
 * (net_accept_options.user). Immutable while connections use it; any thread reads it. */
#pragma once

#include <sallyport/config/config.h>
#include <sallyport/http/http_stream.h>

#include <stdatomic.h>

struct http_port {
    const struct port_conf *conf; /* borrowed from `config` */
    struct config *config;        /* owned reference */
    struct http_service *service; /* borrowed; outlives every connection */
    bool tls;                     /* scheme of origin-form requests: "https" or "http" */
    atomic_bool draining;         /* finish what runs: "connection: close", idle ones go */
};

/* The continuation for net_accept_options.cont: reads the ALPN result and starts the session that
 * speaks it. One for the process, immutable. */
struct continuation *http_session_accept(void);

/* On every data thread (posted there by the server): idle connections close now, busy ones after
 * their response. */
struct net_handler;
void http_sessions_drain(struct net_handler *nh);
