/* The service that sallyport is: routes each request and answers it from a backend, by a redirect,
 * or with a fixed answer. Makes a transaction (src/http/transaction.c) of every request. */
#pragma once

#include <sallyport/base/log_sink.h>
#include <sallyport/http/http_port.h>
#include <sallyport/http/upstream_pool.h>

struct router;
struct access_log;

struct proxy_service_options {
    struct net_core *core;             /* borrowed */
    struct net_processor *plain, *tls; /* borrowed; make the connections to servers. tls NULL: no
                                          backend has TLS */
    struct upstream_set *set;          /* of the configuration; the service takes a reference */
    struct log_sink *access_log;       /* borrowed; NULL: none */
};

struct proxy_service {
    struct http_service super;
    struct proxy_service_options options; /* set: owned reference */
    struct access_log *log;               /* owned */
    struct router *router;                /* owned */
    size_t pool_offset; /* in an ethread's storage: what this service has there, made with the
                           thread's first request (struct proxy_thread *) */
};

/* Before the threads start (it allocates in their storage). */
enum sp_err proxy_service_init(struct proxy_service *svc,
                               const struct proxy_service_options *options) SP_MUST_CHECK;
/* After the threads have stopped, and after proxy_service_thread_fini() for each. */
void proxy_service_fini(struct proxy_service *svc);
/* For a data thread, after its connections were closed: on it, or by anybody once it has stopped.
 * Harmless for a thread that had no request, and twice. */
void proxy_service_thread_fini(struct proxy_service *svc, struct ethread *t);
