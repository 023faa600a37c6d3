/* Accept threads: they block in poll(2) on the listener and their own eventfd, make connections and
 * give them to the threads of the group, round robin. For hosts whose loops are too busy to take
 * connections in time. */
#include "net_accept_internal.h"

#include <sallyport/base/log.h>

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define RETRY_MS      20
#define FULL_RETRY_MS 2

/* Until there may be something to accept, or `wait_ms` is over. */
static void wait_for(const struct net_accept *na, const struct ethread *t, bool listener,
                     int wait_ms)
{
    struct pollfd fds[2] = {{.fd = t->event_fd, .events = POLLIN},
                            {.fd = na->fd, .events = POLLIN}};

    (void)poll(fds, listener ? 2 : 1, wait_ms);
}

/* How long to rest before the next accept; 0: not at all; -1: the listener is broken. */
static int64_t accept_one(struct net_accept *na)
{
    struct endpoint peer = {.len = sizeof(peer.storage)};
    struct ethread *t = net_accept_next_thread(na);
    struct net_vconnection *vc;
    int64_t pause_ms = 0;
    int fd;

    if (!net_accept_may_accept(na))
        return RETRY_MS;
    if (t == NULL) {
        METRIC_INC(tls_accept_pauses);
        return FULL_RETRY_MS;
    }
    peer.sa.sa_family = AF_UNSPEC;
    fd = accept4(na->fd, &peer.sa, &peer.len, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) {
        int error_number = errno;

        switch (net_accept_note_error(na, error_number)) {
        case ACCEPT_ERROR_IGNORE:
        case ACCEPT_ERROR_TRANSIENT: return 0;
        case ACCEPT_ERROR_WARN: return RETRY_MS;
        case ACCEPT_ERROR_FATAL: return -1;
        }
    }
    vc = net_accept_make_vc(na, fd, &peer.sa, &pause_ms);
    if (vc != NULL)
        net_vc_start(vc, t);
    return pause_ms;
}

static bool goes_on(const struct net_accept *na, const struct ethread *t)
{
    return !atomic_load_explicit(&na->stopping, memory_order_acquire) &&
           !atomic_load_explicit(&t->stopping, memory_order_acquire);
}

static int accept_loop(struct continuation *c, int event, void *data)
{
    struct net_accept *na = container_of(c, struct net_accept, dedicated_cont);
    struct ethread *t = data;

    (void)event;
    while (goes_on(na, t)) {
        int64_t pause_ms;

        wait_for(na, t, true, -1);
        if (!goes_on(na, t))
            break;
        pause_ms = accept_one(na);
        if (pause_ms < 0) {
            if (na->options.cont != NULL)
                (void)continuation_call(na->options.cont, NET_EVENT_ACCEPT_FAILED, na);
            break;
        }
        if (pause_ms > 0)
            wait_for(na, t, false, (int)pause_ms);
    }
    net_accept_release_fd(na);
    net_accept_unref(na);
    return EVENT_DONE;
}

enum sp_err net_accept_open_dedicated(struct net_accept *na)
{
    uint32_t n = na->options.accept.threads;
    enum sp_err err = SP_OK;

    na->dedicated = calloc(n, sizeof(*na->dedicated));
    if (na->dedicated == NULL)
        return SP_NOMEM;
    continuation_init(&na->dedicated_cont, "net_accept", accept_loop);
    for (uint32_t i = 0; i < n && err == SP_OK; i++) {
        char name[24];

        (void)snprintf(name, sizeof(name), "[ACCEPT %u]", i);
        (void)net_accept_ref(na);
        net_accept_hold_fd(na);
        err = event_processor_spawn_dedicated(na->np->core->ep, &na->dedicated_cont, name,
                                              &na->dedicated[i]);
        if (err == SP_OK) {
            na->n_dedicated++;
            continue;
        }
        net_accept_release_fd(na);
        net_accept_unref(na);
    }
    return err;
}

void net_accept_stop_dedicated(struct ethread *t)
{
    ethread_wake(t);
}
