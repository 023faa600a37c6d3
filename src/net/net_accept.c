/* NetAccept: listeners, and the connections that they make. The three modes differ in who waits for
 * the listening socket and in which thread a new connection starts on:
 *
 *   per_thread   every thread of the group, each its own connections
 *   single       the first thread of the group, round robin over the group
 *   dedicated    threads of their own (net_accept_dedicated.c), round robin over the group */
#include "net_accept_internal.h"

#include <sallyport/base/log.h>

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* While something is missing (descriptors, memory, room under the total), look again after this. */
#define RETRY_MS      20
/* While a thread has as many handshakes as it may. */
#define FULL_RETRY_MS 2

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

enum accept_severity accept_severity_of(int error_number)
{
    switch (error_number) {
    case EAGAIN:
    case EINTR: return ACCEPT_ERROR_IGNORE;
    case ECONNABORTED: /* the peer left while it waited */
    case ECONNRESET:
    case EPIPE:
    /* Errors of the network that Linux passes on through accept(2); "treat them like EAGAIN". */
    case ENETDOWN:
    case EPROTO:
    case ENOPROTOOPT:
    case EHOSTDOWN:
    case ENONET:
    case EHOSTUNREACH:
    case EOPNOTSUPP:
    case ENETUNREACH:
    case EPERM: /* a firewall rule */
    case ETIMEDOUT: return ACCEPT_ERROR_TRANSIENT;
    case EMFILE:
    case ENFILE:
    case ENOBUFS:
    case ENOMEM: return ACCEPT_ERROR_WARN;
    default: return ACCEPT_ERROR_FATAL;
    }
}

/* Is there room for a fresh descriptor? False: `fd` was closed, or the listener shall rest. */
static bool descriptor_ok(struct net_accept *na, int fd, int64_t *pause_ms)
{
    const struct net_throttle *throttle = na->np->core->throttle;
    enum fd_level level = net_throttle_fd_level(throttle, fd);

    if (level == FD_OK)
        return true;
    *pause_ms = net_throttle_pause_ms(throttle, fd);
    METRIC_INC(net_throttled_fd_emergency);
    LOG_LIMITED(NET, WARN, "port=" VIEW_FMT " throttle=%s fd=%d pause_ms=%" PRId64,
                VIEW_ARG(na->options.label),
                level == FD_EMERGENCY ? "fd_emergency" : "fd_hyper_emergency", fd, *pause_ms);
    net_core_relieve(na->np->core);
    if (level == FD_EMERGENCY)
        return true;
    (void)close(fd);
    return false;
}

/* NULL: the descriptor was closed. */
static struct net_vconnection *make_vc(struct net_accept *na, int fd, const union ip_endpoint *peer)
{
    struct net_processor *np = na->np;
    struct net_vconnection *vc;

    net_socket_tune_accepted(fd, &na->options);
    vc = np->ops->allocate_vc(np, net_accept_ref(na), fd);
    if (vc == NULL) {
        LOG_LIMITED(NET, WARN, "port=" VIEW_FMT " err=nomem", VIEW_ARG(na->options.label));
        net_accept_unref(na);
        (void)close(fd);
        return NULL;
    }
    atomic_fetch_add_explicit(&na->connections, 1, memory_order_relaxed);
    vc->remote = *peer;
    vc->client = *peer;
    return vc;
}

/* Are all threads that could have the newcomer refusing? */
static bool all_shed(const struct net_accept *na)
{
    struct net_core *core = na->np->core;
    const struct thread_group *group = &core->ep->groups[na->event_type];

    for (int i = 0; i < group->n; i++)
        if (!handshake_shed_refuses(&net_handler_of(core, group->threads[i])->shed))
            return false;
    METRIC_INC(tls_handshakes_shed);
    return true;
}

static bool newcomer_is_shed(const struct net_accept *na)
{
    struct net_handler *nh;

    if (!na->np->ops->begins_with_handshake)
        return false;
    if (na->options.accept.mode != ACCEPT_PER_THREAD)
        return all_shed(na);
    nh = net_handler_of(na->np->core, this_ethread());
    if (!handshake_shed_refuses(&nh->shed))
        return false;
    net_admission_shed(nh);
    return true;
}

/* Is the client let in? It is counted from here on. False: nothing is; who asks for too many
 * handshakes shall have a reset when `fd` is closed. */
static bool admit(const struct net_accept *na, int fd, const union ip_endpoint *peer)
{
    struct net_core *core = na->np->core;

    if (newcomer_is_shed(na)) {
        net_socket_reset_on_close(fd);
        return false;
    }
    if (net_throttle_admit(core->throttle, peer) != SP_OK)
        return false;
    if (!na->np->ops->begins_with_handshake ||
        handshake_limits_admit(core->handshake_limits, peer) == SP_OK)
        return true;
    net_throttle_release(core->throttle, peer);
    net_socket_reset_on_close(fd);
    return false;
}

/* As if it had not been admitted. */
static void release(const struct net_accept *na, const union ip_endpoint *peer)
{
    net_throttle_release(na->np->core->throttle, peer);
    if (na->np->ops->begins_with_handshake)
        handshake_limits_release(na->np->core->handshake_limits, peer);
}

struct net_vconnection *net_accept_make_vc(struct net_accept *na, int fd, const struct sockaddr *sa,
                                           int64_t *pause_ms)
{
    bool backdoor = na->options.accept.backdoor;
    union ip_endpoint peer;
    struct net_vconnection *vc;

    METRIC_INC(net_accepted);
    ip_endpoint_of(sa, &peer);
    if (!backdoor && !descriptor_ok(na, fd, pause_ms))
        return NULL;
    if (!backdoor && !admit(na, fd, &peer)) {
        (void)close(fd);
        return NULL;
    }
    vc = make_vc(na, fd, &peer);
    if (vc != NULL) {
        vc->throttled = !backdoor;
        vc->handshake_limited = !backdoor && na->np->ops->begins_with_handshake;
    } else if (!backdoor) {
        release(na, &peer);
    }
    return vc;
}

static bool somebody_waits(int fd)
{
    struct pollfd pfd = {.fd = fd, .events = POLLIN};

    return poll(&pfd, 1, 0) > 0;
}

bool net_accept_may_accept(const struct net_accept *na, int fd)
{
    struct net_core *core = na->np->core;

    if (na->options.accept.backdoor || net_throttle_accepting(core->throttle))
        return true;
    if (!somebody_waits(fd))
        return false;
    METRIC_INC(net_throttled_total);
    LOG_LIMITED(NET, WARN, "port=" VIEW_FMT " throttle=total max=%u accepting rests",
                VIEW_ARG(na->options.label), net_throttle_state(core->throttle).max_connections);
    net_core_relieve(core); /* who idles makes room */
    return false;
}

enum accept_severity net_accept_note_error(struct net_accept *na, int error_number)
{
    enum accept_severity severity = accept_severity_of(error_number);

    switch (severity) {
    case ACCEPT_ERROR_IGNORE: break;
    case ACCEPT_ERROR_TRANSIENT: METRIC_INC(net_accept_errors_transient); break;
    case ACCEPT_ERROR_WARN:
        METRIC_INC(net_accept_errors_warn);
        LOG_LIMITED(NET, WARN, "port=" VIEW_FMT " accept errno=%d delayed",
                    VIEW_ARG(na->options.label), error_number);
        net_core_relieve(na->np->core); /* one that goes gives a new one its descriptor */
        break;
    case ACCEPT_ERROR_FATAL:
        METRIC_INC(net_accept_errors_fatal);
        LOG_ERROR(NET, "port=" VIEW_FMT " accept errno=%d listener closed",
                  VIEW_ARG(na->options.label), error_number);
        break;
    }
    return severity;
}

void net_accept_broken(struct net_accept *na)
{
    if (!atomic_exchange_explicit(&na->broken, true, memory_order_acq_rel) &&
        na->options.cont != NULL)
        (void)continuation_call(na->options.cont, NET_EVENT_ACCEPT_FAILED, na);
}

/* One slot: a listener in a thread's poll set. */

static void slot_ready(struct event_io *eio, uint32_t events)
{
    struct net_accept_slot *slot = container_of(eio, struct net_accept_slot, eio);
    struct net_handler *nh = net_handler_of(slot->accept->np->core, slot->thread);

    (void)events;
    if (!list_is_linked(&slot->ready_link))
        list_push_back(&nh->accept_ready, &slot->ready_link);
}

static void slot_poll(struct net_accept_slot *slot)
{
    struct net_handler *nh = net_handler_of(slot->accept->np->core, slot->thread);
    /* A socket shared by several threads wakes one of them, not all (epoll_ctl(2)). */
    uint32_t events = EPOLLIN | (slot->owns_fd || slot->accept->n_slots == 1 ? 0U : EPOLLEXCLUSIVE);

    if (slot->eio.fd >= 0 || slot->fd < 0)
        return;
    if (event_io_start(&slot->eio, &nh->pd, slot->fd, EVENT_IO_ACCEPT, slot_ready, events) == SP_OK)
        return;
    LOG_LIMITED(NET, ERROR, "port=" VIEW_FMT " epoll_ctl errno=%d delayed",
                VIEW_ARG(slot->accept->options.label), errno);
    ethread_timer_arm_in(slot->thread, &slot->resume, RETRY_MS);
}

static void slot_pause(struct net_accept_slot *slot, int64_t pause_ms)
{
    event_io_stop(&slot->eio);
    ethread_timer_arm_in(slot->thread, &slot->resume, pause_ms);
}

/* May there be one more handshake at all? */
static bool handshakes_have_room(const struct net_accept *na)
{
    return !na->np->ops->begins_with_handshake || na->options.accept.backdoor ||
           handshake_limits_has_room(na->np->core->handshake_limits);
}

bool net_accept_has_room(const struct net_accept *na)
{
    struct net_core *core = na->np->core;
    const struct thread_group *group = &core->ep->groups[na->event_type];

    if (!handshakes_have_room(na))
        return false;
    for (int i = 0; i < group->n; i++)
        if (!net_handler_is_full(net_handler_of(core, group->threads[i])))
            return true;
    return false;
}

static bool takes_handshakes(const struct net_handler *nh)
{
    return !net_handler_is_full(nh) && !handshake_shed_refuses(&nh->shed);
}

/* Only for a connection that is there: a thread that is drawn and not used would upset the round.
 */
struct ethread *net_accept_next_thread(struct net_accept *na)
{
    struct net_core *core = na->np->core;
    struct ethread *t = event_processor_assign(core->ep, na->event_type);

    for (int i = 1; i < core->ep->groups[na->event_type].n; i++) {
        if (takes_handshakes(net_handler_of(core, t)))
            break;
        t = event_processor_assign(core->ep, na->event_type);
    }
    return t;
}

static bool slot_has_room(const struct net_accept_slot *slot)
{
    const struct net_accept *na = slot->accept;

    if (na->options.accept.backdoor)
        return true; /* the way in when the rest is full */
    if (na->options.accept.mode != ACCEPT_PER_THREAD)
        return net_accept_has_room(na);
    return handshakes_have_room(na) &&
           !net_handler_is_full(net_handler_of(na->np->core, slot->thread));
}

/* There is room again. */
static void slot_note_room(struct net_accept_slot *slot)
{
    if (slot->full_since_ms > 0)
        METRIC_ADD(tls_accept_pause_ms, ethread_now_ms(slot->thread) - slot->full_since_ms);
    slot->full_since_ms = 0;
}

static void slot_resume(struct timer *t)
{
    struct net_accept_slot *slot = container_of(t, struct net_accept_slot, resume);

    if (!slot_has_room(slot)) {
        ethread_timer_arm_in(slot->thread, t, FULL_RETRY_MS);
        return;
    }
    slot_note_room(slot);
    if (!net_accept_may_accept(slot->accept, slot->fd))
        ethread_timer_arm_in(slot->thread, t, RETRY_MS);
    else
        slot_poll(slot);
}

static void slot_close(struct net_accept_slot *slot)
{
    event_io_stop(&slot->eio);
    list_remove(&slot->ready_link);
    ethread_timer_cancel(slot->thread, &slot->resume);
    if (slot->owns_fd && slot->fd >= 0) {
        (void)close(slot->fd);
        slot->fd = -1;
    }
}

/* What an accept(2) failure means for the slot. True: go on accepting. */
static bool slot_failed(struct net_accept_slot *slot, int error_number)
{
    struct net_accept *na = slot->accept;

    switch (net_accept_note_error(na, error_number)) {
    case ACCEPT_ERROR_IGNORE: return error_number == EINTR;
    case ACCEPT_ERROR_TRANSIENT: return true;
    case ACCEPT_ERROR_WARN: slot_pause(slot, RETRY_MS); return false;
    case ACCEPT_ERROR_FATAL:
        slot_close(slot);
        net_accept_broken(na);
        return false;
    }
    return false;
}

/* True: go on accepting. */
static bool slot_accept_one(struct net_accept_slot *slot)
{
    struct net_accept *na = slot->accept;
    struct endpoint peer = {.len = sizeof(peer.storage)};
    struct net_vconnection *vc;
    int64_t pause_ms = 0;
    int fd;

    if (!net_accept_may_accept(na, slot->fd)) {
        slot_pause(slot, RETRY_MS);
        return false;
    }
    if (!slot_has_room(slot)) {
        METRIC_INC(tls_accept_pauses);
        slot->full_since_ms = ethread_now_ms(slot->thread);
        slot_pause(slot, FULL_RETRY_MS);
        return false;
    }
    peer.sa.sa_family = AF_UNSPEC;
    fd = accept4(slot->fd, &peer.sa, &peer.len, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0)
        return slot_failed(slot, errno);
    vc = net_accept_make_vc(na, fd, &peer.sa, &pause_ms);
    if (vc != NULL)
        net_vc_start(vc, na->options.accept.mode == ACCEPT_PER_THREAD ? slot->thread
                                                                      : net_accept_next_thread(na));
    if (pause_ms > 0) {
        slot_pause(slot, pause_ms);
        return false;
    }
    return true;
}

void net_accept_slot_run(struct net_accept_slot *slot)
{
    uint32_t left = slot->accept->options.accept.accepts_per_turn;

    /* The socket is polled level-triggered: what is left is told again. */
    while (left-- > 0 && slot_accept_one(slot))
        ;
}

static void slot_start(struct inbox_item *item, struct ethread *t)
{
    struct net_accept_slot *slot = container_of(item, struct net_accept_slot, start);

    (void)t;
    if (!atomic_load_explicit(&slot->accept->stopping, memory_order_acquire))
        slot_poll(slot);
}

/* Whom the system let in already is served: closing the socket would reset them. Those of a thread
 * that ends would be cut anyway. */
static void slot_accept_last(struct net_accept_slot *slot, const struct ethread *t)
{
    uint32_t left = slot->accept->options.accept.backlog;

    if (slot->eio.fd < 0 || atomic_load_explicit(&t->stopping, memory_order_relaxed))
        return;
    while (left-- > 0 && slot_accept_one(slot))
        ;
}

static void slot_stop(struct inbox_item *item, struct ethread *t)
{
    struct net_accept_slot *slot = container_of(item, struct net_accept_slot, stop);

    slot_accept_last(slot, t);
    slot_close(slot);
    net_accept_release_fd(slot->accept);
    net_accept_unref(slot->accept); /* the slot's: taken when it was started */
}

/* Opening and stopping. */

static void slot_init(struct net_accept_slot *slot, struct net_accept *na, struct ethread *t,
                      int fd, bool owns_fd)
{
    slot->accept = na;
    slot->thread = t;
    slot->eio.fd = -1;
    list_init(&slot->ready_link);
    slot->start.fn = slot_start;
    slot->stop.fn = slot_stop;
    timer_init(&slot->resume, slot_resume);
    slot->fd = fd;
    slot->owns_fd = owns_fd;
    slot->full_since_ms = 0;
}

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
        slot_init(&na->slots[i], na, group->threads[i], fd, na->own_sockets);
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

enum sp_err net_accept_open(struct net_accept *na, const char **what)
{
    const struct thread_group *group = &na->np->core->ep->groups[na->event_type];
    enum sp_err err = SP_INVALID;

    na->own_sockets = has_own_sockets(&na->options);
    na->inherited = na->options.successor_of != NULL;
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
