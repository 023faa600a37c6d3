/* NetAccept: listeners, and the connections that they make. The three modes differ in who waits for
 * the listening socket and in which thread a new connection starts on:
 *
 *   per_thread   every thread of the group, each its own connections (net_accept_slot.c)
 *   single       the first thread of the group, round robin over the group (net_accept_slot.c)
 *   dedicated    threads of their own (net_accept_dedicated.c), round robin over the group
 *
 * Here is their life; who is let in is told in net_accept_newcomer.c. */
#include "net_accept_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void net_accept_init(struct net_accept *na, const struct net_accept_ops *ops,
                     struct net_processor *np, const struct net_accept_options *options)
{
    memset(na, 0, sizeof(*na));
    na->ops = ops;
    na->np = np;
    na->options = *options;
    na->event_type = np->ops->accept_event_type(np);
    na->fd = -1;
    atomic_init(&na->fd_users, 1); /* whoever opens it, until net_accept_stop() */
    atomic_init(&na->refs, 1);
    atomic_init(&na->connections, 0);
    atomic_init(&na->stopping, false);
    atomic_init(&na->broken, false);
    atomic_init(&na->begun, false);
}

void net_accept_fini(struct net_accept *na)
{
    for (int i = 0; i < na->n_slots; i++)
        if (na->slots[i].owns_fd && na->slots[i].fd >= 0)
            (void)close(na->slots[i].fd);
    if (na->fd >= 0)
        (void)close(na->fd);
    free(na->slots);
    free(na->dedicated);
    if (na->options.release_user != NULL)
        na->options.release_user(na->options.user);
}

void net_accept_release_fd(struct net_accept *na)
{
    if (atomic_fetch_sub_explicit(&na->fd_users, 1, memory_order_acq_rel) != 1 || na->fd < 0)
        return;
    (void)close(na->fd);
    na->fd = -1;
}

struct net_accept *net_accept_ref(struct net_accept *na)
{
    atomic_fetch_add_explicit(&na->refs, 1, memory_order_relaxed);
    return na;
}

void net_accept_unref(struct net_accept *na)
{
    if (atomic_fetch_sub_explicit(&na->refs, 1, memory_order_acq_rel) == 1)
        na->ops->destroy(na);
}

void net_accept_broken(struct net_accept *na)
{
    if (!atomic_exchange_explicit(&na->broken, true, memory_order_acq_rel) &&
        na->options.cont != NULL)
        (void)continuation_call(na->options.cont, NET_EVENT_ACCEPT_FAILED, na);
}

/* Opening and stopping. */

/* One more socket: another listener's i-th, or a new one. */
static int open_socket(struct net_accept *na, int i, const char **what)
{
    const struct net_accept *from = na->options.successor_of;
    struct net_accept_options options = na->options;
    struct endpoint bound;

    if (from != NULL) {
        na->bound = from->bound;
        return net_socket_inherit(from->own_sockets ? from->slots[i].fd : from->fd, &na->bound,
                                  what);
    }
    if (i == 0)
        return net_socket_listen(&options, na->own_sockets, &na->bound, what);
    options.endpoint = na->bound; /* the first one says which port */
    return net_socket_listen(&options, true, &bound, what);
}

static enum sp_err open_slots(struct net_accept *na, int n, const char **what)
{
    struct thread_group *group = &na->np->core->ep->groups[na->event_type];

    na->slots = calloc((size_t)n, sizeof(*na->slots));
    if (na->slots == NULL)
        return SP_NOMEM;
    if (!na->own_sockets)
        na->fd = open_socket(na, 0, what);
    for (int i = 0; i < n; i++) {
        int fd = na->own_sockets ? open_socket(na, i, what) : na->fd;

        if (fd < 0)
            return SP_SYSCALL;
        net_accept_slot_init(&na->slots[i], na, group->threads[i], fd, na->own_sockets);
        na->n_slots++;
    }
    return SP_OK;
}

static enum sp_err open_dedicated(struct net_accept *na, const char **what)
{
    na->fd = open_socket(na, 0, what);
    if (na->fd < 0)
        return SP_SYSCALL;
    *what = "start";
    return net_accept_open_dedicated(na);
}

/* What a socket is bound to, and how many there are, cannot be changed while it is open. */
static bool can_succeed(const struct net_accept *na, int n, const char **what)
{
    const struct net_accept *from = na->options.successor_of;
    const struct accept_options *a = &na->options.accept;
    const struct accept_options *b;

    if (from == NULL)
        return true;
    b = &from->options.accept;
    errno = EBUSY;
    *what = "accept.localhost_only, accept.transparent and accept.fd stay while the port is open";
    if (a->localhost_only != b->localhost_only || a->transparent != b->transparent ||
        a->fd != b->fd)
        return false;
    *what = "accept.reuse_port stays while the port is open";
    return na->own_sockets == from->own_sockets && (!na->own_sockets || from->n_slots == n);
}

static bool has_own_sockets(const struct net_accept_options *o)
{
    return o->accept.mode == ACCEPT_PER_THREAD && o->accept.reuse_port && o->accept.fd < 0 &&
           o->endpoint.sa.sa_family != AF_UNIX;
}

/* In a lasting overload; asked once for all of its slots, as a file is read for it. */
static bool can_refuse(const struct net_accept *na)
{
    return na->np->ops->begins_with_handshake && na->options.accept.mode == ACCEPT_PER_THREAD &&
           !na->options.accept.backdoor && net_socket_can_refuse(&na->options);
}

enum sp_err net_accept_open(struct net_accept *na, const char **what)
{
    const struct thread_group *group = &na->np->core->ep->groups[na->event_type];
    enum sp_err err = SP_INVALID;

    na->own_sockets = has_own_sockets(&na->options);
    na->inherited = na->options.successor_of != NULL;
    na->can_refuse = can_refuse(na);
    if (!can_succeed(na, group->n, what))
        return SP_SYSCALL;
    switch (na->options.accept.mode) {
    case ACCEPT_PER_THREAD: err = open_slots(na, group->n, what); break;
    case ACCEPT_SINGLE: err = open_slots(na, 1, what); break;
    case ACCEPT_DEDICATED: err = open_dedicated(na, what); break;
    }
    na->options.successor_of = NULL;
    return err;
}

/* From here on the sockets have the options of this listener; the other one stops soon. */
static void retune(const struct net_accept *na)
{
    if (!na->own_sockets)
        net_socket_retune(na->fd, &na->options);
    for (int i = 0; na->own_sockets && i < na->n_slots; i++)
        net_socket_retune(na->slots[i].fd, &na->options);
}

void net_accept_begin(struct net_accept *na)
{
    if (na->inherited)
        retune(na);
    atomic_store_explicit(&na->begun, true, memory_order_release);
    for (int i = 0; i < na->n_slots; i++) {
        (void)net_accept_ref(na);
        net_accept_hold_fd(na);
        ethread_post(na->slots[i].thread, &na->slots[i].start);
    }
    net_accept_begin_dedicated(na);
}

void net_accept_stop(struct net_accept *na)
{
    if (atomic_exchange_explicit(&na->stopping, true, memory_order_acq_rel))
        return;
    if (atomic_load_explicit(&na->begun, memory_order_acquire))
        for (int i = 0; i < na->n_slots; i++)
            ethread_post(na->slots[i].thread, &na->slots[i].stop);
    net_accept_stop_dedicated(na);
    net_accept_release_fd(na);
}
