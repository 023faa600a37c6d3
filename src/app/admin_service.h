/* The service behind the control socket: an http_service whose requests are answered by handlers on
 * ET_TASK. It knows nothing of what is asked for; see admin_route.h.
 *
 *     data thread                               task thread
 *     request, body: copied, whole   --->       handler
 *     head and body, piece by piece  <---
 *     (a stream:) all was taken      --->       more()
 *
 * An exchange belongs to its data thread, which lends it to a task thread for one job at a time.
 * The client may leave meanwhile; then the exchange ends when it is back. */
#pragma once

#include "admin_routes.h"

#include <sallyport/event/event_processor.h>
#include <sallyport/http/http_stream.h>

struct admin_service {
    struct http_service super;
    struct server *server;           /* borrowed; handlers get it */
    const struct admin_table *table; /* borrowed */
    struct event_processor *ep;      /* borrowed */
    int et_task;
    uid_t owner; /* of the socket's file: may ask, besides root and the process's own */
    /* Who is at the other end; false: it cannot be told. Tests have their own. */
    bool (*peer_of)(const struct net_vconnection *vc, struct admin_peer *peer);
    struct list *exchanges; /* owned: of each thread, by its id */
    int n_threads;
};

/* After the threads were made, before they start. SP_NOMEM: nothing to be undone. */
enum sp_err admin_service_init(struct admin_service *svc, struct event_processor *ep, int et_task,
                               struct server *server) SP_MUST_CHECK;
/* After the threads have stopped: what was under way ends. Harmless on one that was not made. */
void admin_service_stop(struct admin_service *svc);
/* After event_processor_free(), as the inbox of a thread may still hold something of ours. */
void admin_service_fini(struct admin_service *svc);
