/* The service that sallyport is: routes each request and answers it from a backend, by a redirect,
 * or with a fixed answer. Makes a transaction (src/http/transaction.c) of every request. */
#pragma once

#include <sallyport/base/log_sink.h>
#include <sallyport/http/http_port.h>
#include <sallyport/http/upstream_pool.h>

struct access_log;
struct proxy_update;
struct proxy_view;

struct proxy_service_options {
    struct net_core *core;             /* borrowed */
    struct net_processor *plain, *tls; /* borrowed; make the connections to servers. tls NULL: no
                                          backend has TLS */
    struct upstream_set *set;          /* of the configuration; the service takes a reference */
    struct log_sink *access_log;       /* borrowed; NULL: none */
};

struct proxy_service {
    struct http_service super;
    struct proxy_service_options options; /* set: not held, see `view` */
    struct access_log *log;               /* owned */
    struct proxy_view *view;              /* owned reference: the configuration that holds */
    size_t pool_offset; /* in an ethread's storage: what this service has there (struct
                           proxy_thread *) */
};

/* Before the threads start (it allocates in their storage). */
enum sp_err proxy_service_init(struct proxy_service *svc,
                               const struct proxy_service_options *options) SP_MUST_CHECK;
/* After the threads have stopped, and after proxy_service_thread_fini() for each. */
void proxy_service_fini(struct proxy_service *svc);
/* For a data thread, after its connections were closed: on it, or by anybody once it has stopped.
 * Harmless twice. */
void proxy_service_thread_fini(struct proxy_service *svc, struct ethread *t);

/* Another configuration, in two steps. Both on a thread that may block, one at a time. Requests
 * that begin after the commit (within a turn of their thread) go by the new one, those under way
 * end as they began. NULL: out of memory, nothing has changed. `set` is of the new configuration;
 * the update takes a reference. */
struct proxy_update *proxy_service_prepare(struct proxy_service *svc, struct upstream_set *set)
    SP_MUST_CHECK;
/* Cannot fail. The update is void. */
void proxy_service_commit(struct proxy_service *svc, struct proxy_update *u);
void proxy_service_abandon(struct proxy_update *u); /* NULL is accepted */

/* The servers as they are now; borrowed until the next commit. */
struct upstream_set *proxy_service_set(const struct proxy_service *svc);
