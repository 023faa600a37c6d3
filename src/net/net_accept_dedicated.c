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

/* What an accept(2) failure means. True: go on accepting. */
static bool accept_failed(struct net_accept *na, int error_number, int64_t *rest_ms)
{
    switch (net_accept_note_error(na, na->fd, error_number)) {
    case ACCEPT_ERROR_IGNORE: return error_number == EINTR;
    case ACCEPT_ERROR_TRANSIENT: return true;
    case ACCEPT_ERROR_WARN: *rest_ms = RETRY_MS; return false;
    case ACCEPT_ERROR_FATAL: net_accept_broken(na); return false;
    }
    return false;
}

/* True: go on accepting. *rest_ms > 0: after so long. */
static bool accept_one(struct net_accept *na, int64_t *rest_ms)
{
    struct endpoint peer = {.len = sizeof(peer.storage)};
    struct net_vconnection *vc;
    int fd;

    *rest_ms = net_accept_may_accept(na, na->fd) ? 0 : RETRY_MS;
    if (*rest_ms == 0 && !net_accept_has_room(na)) {
        METRIC_INC(tls_accept_pauses);
        METRIC_ADD(tls_accept_pause_ms, FULL_RETRY_MS);
        *rest_ms = FULL_RETRY_MS;
    }
    if (*rest_ms > 0)
        return false;
    peer.sa.sa_family = AF_UNSPEC;
    fd = accept4(na->fd, &peer.sa, &peer.len, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0)
        return accept_failed(na, errno, rest_ms);
    vc = net_accept_make_vc(na, fd, &peer.sa, rest_ms);
    if (vc != NULL)
        net_vc_start(vc, net_accept_next_thread(na));
    return *rest_ms == 0;
}

static bool is_set(const atomic_bool *flag)
{
    return atomic_load_explicit(flag, memory_order_acquire);
}

static bool goes_on(const struct net_accept *na, const struct ethread *t)
{
    return !is_set(&na->stopping) && !is_set(&na->broken) && !is_set(&t->stopping);
}

/* Whom the system let in already is served: closing the socket would reset them. */
static void accept_last(struct net_accept *na)
{
    uint32_t left = na->options.accept.backlog;
    int64_t rest_ms;

    while (left-- > 0 && accept_one(na, &rest_ms))
        ;
}

static int accept_loop(struct continuation *c, int event, void *data)
{
    struct net_accept *na = container_of(c, struct net_accept, dedicated_cont);
    struct ethread *t = data;

    (void)event;
    while (goes_on(na, t) && !is_set(&na->begun))
        wait_for(na, t, false, -1);
    while (goes_on(na, t)) {
        int64_t rest_ms = 0;

        wait_for(na, t, true, -1);
        while (goes_on(na, t) && accept_one(na, &rest_ms))
            ;
        if (rest_ms > 0)
            wait_for(na, t, false, (int)rest_ms);
    }
    if (is_set(&na->begun) && is_set(&na->stopping) && !is_set(&na->broken))
        accept_last(na);
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

void net_accept_begin_dedicated(struct net_accept *na)
{
    for (int i = 0; i < na->n_dedicated; i++)
        ethread_wake(na->dedicated[i]);
}

void net_accept_stop_dedicated(struct net_accept *na)
{
    for (int i = 0; i < na->n_dedicated; i++)
        event_processor_release_dedicated(na->np->core->ep, na->dedicated[i]);
}
