/* Another configuration for a server that runs.
 *
 *     struct server_apply *a = server_apply_prepare(s, config, &options);
 *     if (a == NULL) ...             every reason was reported; nothing has changed
 *     server_apply_commit(a);        cannot fail
 *  or server_apply_abandon(a);       nothing has changed
 *
 * Preparing does whatever can fail: it reads the certificates, makes the TLS contexts, the router
 * and the backends, and binds the ports that are new. Committing swaps pointers and posts to the
 * threads; each of them goes on with the new configuration within a turn.
 *
 * What did not change keeps its identity: a port that is as it was keeps its listening sockets, its
 * certificates and its ticket keys; a server of a backend that is as it was keeps its connections,
 * its counts and what is known of its failures. Established connections live on, whatever happens
 * to their port, and keep its settings as they were when they were accepted; of a port that is gone
 * they end as in a drain. The next request of every connection goes by the new routes.
 *
 * A port whose settings changed goes on listening on the very same sockets, so that nobody is
 * refused. Where a setting cannot be changed on a socket that is open (whatever decides what it is
 * bound to, and accept.reuse_port), preparing says so and fails.
 *
 * What takes a restart stays as it was until then: config_plan_effects() tells which settings those
 * are. server_config() is the new configuration all the same.
 *
 * Thread: one that may block and is none of the event threads of connections: ET_TASK, or the main
 * thread. One at a time: from before the preparation until after the commit the caller holds
 * server.applying, which may be waited for. */
#pragma once

#include <sallyport/base/compiler.h>
#include <sallyport/base/view.h>
#include <sallyport/config/config.h>

#include <stdbool.h>

struct server;
struct server_apply;

struct server_apply_options {
    /* Certificates are read anew although no path changed: SIGHUP, after a renewal. */
    bool reread_files;
    /* What is wrong (or, with `warning`, only worth a word), for a person. `pointer` is the object
     * in the configuration, "/ports/443". Both are valid during the call only. */
    void (*report)(void *arg, struct view pointer, struct view text, bool warning);
    void *arg;
};

/* `config` is borrowed; what is prepared takes references of its own. */
struct server_apply *server_apply_prepare(struct server *s, struct config *config,
                                          const struct server_apply_options *options) SP_MUST_CHECK;
void server_apply_commit(struct server_apply *a);
void server_apply_abandon(struct server_apply *a); /* NULL is accepted */

/* SIGHUP: applies the configuration file as it is now, certificates included. False: why is in the
 * log, and nothing has changed. */
bool server_reload(struct server *s);

/* The configuration that holds, with a reference for the caller. Any thread but a net thread. */
struct config *server_config(struct server *s) SP_MUST_CHECK;
