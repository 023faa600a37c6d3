/* A slot: a listener in a thread's poll set, and the turns in which it accepts. */
#include "net_accept_internal.h"

#include <sallyport/base/log.h>

#include <errno.h>
#include <unistd.h>

/* While something is missing (descriptors, memory, room under the total), look again after this. */
#define RETRY_MS      20
/* While a thread has as many handshakes as it may. */
#define FULL_RETRY_MS 2
/* In a lasting overload the excess is refused together, so often. */
#define REFUSE_MS     5

static void slot_ready(struct event_io *eio, uint32_t events)
{
    struct net_accept_slot *slot = container_of(eio, struct net_accept_slot, eio);
    struct net_handler *nh = net_handler_of(slot->accept->np->core, slot->thread);

    (void)events;
    if (!list_is_linked(&slot->ready_link))
        list_push_back(&nh->accept_ready, &slot->ready_link);
}

/* Do other threads accept from the same socket? */
static bool slot_is_shared(const struct net_accept_slot *slot)
{
    return !slot->owns_fd && slot->accept->n_slots > 1;
}

static void slot_poll(struct net_accept_slot *slot)
{
    struct net_handler *nh = net_handler_of(slot->accept->np->core, slot->thread);
    /* One of those that share it is woken, not all (epoll_ctl(2)). */
    uint32_t events = EPOLLIN | (slot_is_shared(slot) ? EPOLLEXCLUSIVE : 0U);

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

    if (!net_accept_thread_has_room(slot->accept, slot->thread)) {
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

    switch (net_accept_note_error(na, slot->fd, error_number)) {
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
    if (!net_accept_thread_has_room(slot->accept, slot->thread)) {
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

/* Those who wait in the system's queue, all together: that costs half of accepting and resetting
 * each. Another thread that shares the queue may have room for them. */
static void slot_refuse_waiting(struct net_accept_slot *slot, struct net_handler *nh)
{
    const struct net_accept *na = slot->accept;
    int n = 0;

    if (!slot_is_shared(slot) || net_accept_all_refuse(na))
        n = net_socket_refuse_waiting(slot->fd, &na->options);
    if (n < 0) {
        LOG_LIMITED(NET, ERROR, "port=" VIEW_FMT " errno=%d refused none",
                    VIEW_ARG(na->options.label), errno);
        slot->can_refuse = false;
    } else if (n > 0) {
        net_admission_shed(nh, (uint32_t)n);
    }
}

/* As many as there is room for; the others are refused, and no more are looked at for a while. */
static void slot_run_shedding(struct net_accept_slot *slot, struct net_handler *nh)
{
    uint32_t room = handshake_shed_room(&nh->shed, nh->handshakes.n);
    uint32_t most = slot->accept->options.accept.accepts_per_turn;
    uint32_t left = room < most ? room : most;

    while (left > 0 && slot_accept_one(slot))
        left--;
    if (left > 0 || room > most)
        return;
    slot_refuse_waiting(slot, nh);
    slot_pause(slot, REFUSE_MS);
}

void net_accept_slot_run(struct net_accept_slot *slot)
{
    struct net_handler *nh = net_handler_of(slot->accept->np->core, slot->thread);
    uint32_t left = slot->accept->options.accept.accepts_per_turn;

    if (slot->can_refuse && nh->shed.on) {
        slot_run_shedding(slot, nh);
        return;
    }
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

void net_accept_slot_init(struct net_accept_slot *slot, struct net_accept *na, struct ethread *t,
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
    slot->can_refuse = na->can_refuse;
    slot->full_since_ms = 0;
}
