/* Looks after the files that a configuration names for certificates: when one changes, however it
 * is done (renamed into place, written in place, a link on the way to it swapped as Kubernetes and
 * certbot do), the bundles that it belongs to are reloaded (cert_reload.h), each for itself: a bad
 * one does not hold the others up. What is half written is waited for (watch_pace.h).
 *
 * A thread of its own, which sleeps in poll(2) and waits for nobody but whoever else changes
 * certificates at the moment. Where inotify(7) cannot do it (its limits, folders that cannot be
 * read), files are looked at every WATCH_POLL_MS. */
#pragma once

#include <sallyport/base/compiler.h>

struct server;
struct cert_watch;

#define WATCH_POLL_MS 10000

/* Looks at the server's configuration of the moment. NULL: no memory, or no thread. */
struct cert_watch *cert_watch_start(struct server *s) SP_MUST_CHECK;
/* There is another configuration. Any thread, never waits; NULL is accepted. */
void cert_watch_look_again(struct cert_watch *w);
/* After the threads have ended; NULL is accepted. */
void cert_watch_free(struct cert_watch *w);
