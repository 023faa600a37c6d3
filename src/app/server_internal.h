/* Shared by the files that make up the server: what runs, in the order in which it is made. */
#pragma once

#include "admin_service.h"
#include "cert_canary.h"
#include "cert_results.h"
#include "cert_watch.h"
#include "managed_config.h"
#include "server_ocsp.h"
#include "server_port.h"
#include "threads_plan.h"

#include <sallyport/base/log_sink.h>
#include <sallyport/config/config.h>
#include <sallyport/event/event_processor.h>
#include <sallyport/http/http_port.h>
#include <sallyport/http/proxy_service.h>
#include <sallyport/net/net_core.h>
#include <sallyport/net/net_processor.h>
#include <sallyport/tls/cert_set.h>
#include <sallyport/tls/ssl_net_processor.h>
#include <sallyport/tls/ssl_port.h>

/* What the server keeps of a thread, in its storage. */
struct server_thread {
    struct server *server;
    struct inbox_item sweep;
    atomic_bool sweeping; /* posted and not yet run */
};

/* The control socket; without a listener there is none. */
struct server_admin {
    struct admin_service service;
    struct port_conf conf; /* of its own */
    struct http_port http;
    struct endpoint endpoint;
    ino_t inode;                 /* of the socket's file */
    struct net_accept *listener; /* owned reference */
};

struct server {
    /* Of the configuration that holds: `config`, `certs`, `ports`, `leaving`, and the service's
     * set. Whoever is not the main thread before the threads started or after they ended looks at
     * them with it; never on a net thread. */
    pthread_mutex_t lock;
    bool ending;              /* no other configuration any more; with `applying` */
    pthread_mutex_t applying; /* one at a time: server_apply.h; taken before `lock` */
    struct managed_config managed;
    struct cert_canary canary;
    struct config *config;  /* owned reference */
    struct cert_set *certs; /* owned reference */
    struct ocsp_updater *ocsp;
    struct cert_results cert_results; /* with the lock */
    struct cert_watch *watch;         /* owned; NULL: it has not been started */
    struct threads_plan plan;
    struct log_sink *log, *access_log; /* NULL: standard error; none */
    struct event_processor *ep;
    struct net_core *core;
    struct net_processor tcp;
    struct ssl_net_processor ssl;
    bool ssl_started;
    struct proxy_service service;
    bool service_started;
    struct server_port **ports; /* owned, in the order of the configuration */
    uint32_t n_ports;
    struct list leaving;  /* struct server_port.link: in no configuration any more, but they
                             may have connections */
    size_t thread_offset; /* of struct server_thread in an ethread's storage */
    struct continuation memory_sampler;
    bool memory_watched; /* it is scheduled */
    struct server_admin admin;
    int64_t started_mono_ms, started_wall_ms;
    struct continuation drain_sweeper; /* of ports that are drained while the program goes on */
    atomic_bool drain_sweeping;        /* ...is scheduled */
    atomic_bool stop_now;              /* end without waiting for anybody */
};

/* Tells why the server cannot start, with the file's name in front: on standard error and, where
 * that is another place, in the log. Returns false. */
bool server_refuse(const struct server *s, const char *fmt, ...) SP_PRINTF(2, 3);

/* ports.c. All with the lock. Binds every port and starts accepting; false: told why. */
bool ports_open(struct server *s);
/* A line in the log for each listener: "listening port=443 address=[::]:443". */
void ports_announce(const struct server *s);
void port_announce(const struct server_port *port);
/* One that is in no configuration any more: no new connections. */
void ports_leave(struct server *s, struct server_port *port);
/* Lets go of those among them that have no connections. */
void ports_reap(struct server *s);
/* No new connections. */
void ports_stop(struct server *s);
/* Lets go of everything, after the threads have ended. */
void ports_close(struct server *s);

/* server_certificates.c. Before the ports are opened: reads everything, with its progress on a
 * terminal. False: told why the server cannot start. */
bool server_read_certificates(struct server *s);
/* The set that serves, with a reference for the caller. Any thread but a net thread. */
struct cert_set *server_certificates(struct server *s) SP_MUST_CHECK;

/* With server.applying: the set serves, and so do the ports' certificates that were made of it, one
 * for each of server.ports, which are used up. Cannot fail. */
struct server_port_certs;
void server_swap_certificates(struct server *s, struct cert_set *set,
                              struct server_port_certs *ports);

/* admin_socket.c. False: told why the server cannot start. */
bool admin_open(struct server *s);
/* No new connections; the socket's file goes. */
void admin_stop(struct server *s);
/* After the threads have ended. */
void admin_close(struct server *s);

/* logs.c */
bool logs_open(struct server *s);
void logs_close(struct server *s);
void logs_reopen(struct server *s);

/* server.c. What the configuration says for the net layer. */
struct net_core_options server_core_options(const struct config *config,
                                            const struct threads_plan *plan);
/* Samples the memory if there is a ceiling. False: no memory for that. */
bool server_watch_memory(struct server *s);

static inline void server_lock(struct server *s)
{
    (void)pthread_mutex_lock(&s->lock);
}
static inline void server_unlock(struct server *s)
{
    (void)pthread_mutex_unlock(&s->lock);
}

struct server_thread *server_thread_of(const struct server *s, struct ethread *t);

/* drain.c. Returns when the last client has gone, the time is up, or a second signal came. */
void drain(struct server *s);
void drain_init(struct server *s);
uint32_t server_drain_timeout_ms(struct server *s);
/* No new connections to one port, while the program goes on: idle ones close, requests under way
 * finish. With the lock; harmless when it was asked before. */
void server_drain_port(struct server *s, struct server_port *port);
/* Does no port take connections any more? With the lock. */
bool server_is_draining(const struct server *s);
/* What the signals that do not end the server do. */
void server_signal(struct server *s, int signal_number);
