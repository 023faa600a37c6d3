/* NetHandler: the loop turn of a thread with sockets. net_handler_turn() is the only place where
 * its order is written; everything else here puts connections on lists and takes them off. */
#include "net_internal.h"

#include <sallyport/base/log.h>

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

/* Passes over the data lists before the poll set is asked again: a connection that has more to read
 * goes on at once, and still no one waits long for news. */
#define DATA_PASSES 2

struct net_handler *net_handler_of(struct net_core *core, struct ethread *t)
{
    struct net_handler **slot = ethread_storage(t, core->handler_offset);

    return *slot;
}

static void signal_ready(struct event_io *eio, uint32_t events)
{
    (void)eio; /* the turn takes the inbox anyway; edge-triggered, so nothing is read */
    (void)events;
}

enum sp_err net_handler_init(struct net_handler *nh, struct net_core *core, struct ethread *t)
{
    struct list *const heads[] = {&nh->read_ready,
                                  &nh->write_ready,
                                  &nh->handshake_read_ready,
                                  &nh->handshake_write_ready,
                                  &nh->accept_ready,
                                  &nh->open,
                                  &nh->closed,
                                  &nh->leaving};

    memset(nh, 0, sizeof(*nh));
    nh->thread = t;
    nh->core = core;
    for (size_t i = 0; i < SP_COUNT_OF(heads); i++)
        list_init(heads[i]);
    net_handler_init_queues(nh);
    net_admission_init(nh);
    nh->pd.epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (nh->pd.epoll_fd < 0)
        return SP_SYSCALL;
    if (event_io_start(&nh->signal, &nh->pd, t->event_fd, EVENT_IO_ASYNC_SIGNAL, signal_ready,
                       EPOLLIN | EPOLLET) != SP_OK) {
        (void)close(nh->pd.epoll_fd);
        return SP_SYSCALL;
    }
    return SP_OK;
}

void net_handler_fini(struct net_handler *nh)
{
    net_dns_free(nh->dns);
    event_io_stop(&nh->signal);
    (void)close(nh->pd.epoll_fd);
}

enum sp_err net_handler_add(struct net_handler *nh, struct net_vconnection *vc)
{
    uint32_t events = EPOLLIN | EPOLLRDHUP | EPOLLET;

    if (vc->phase == VC_CONNECTING || vc->polls_out)
        events |= EPOLLOUT;
    if (event_io_start(&vc->eio, &nh->pd, vc->fd, EVENT_IO_VC, net_vc_ready, events) != SP_OK)
        return SP_SYSCALL;
    vc->nh = nh;
    vc->polls_out = (events & EPOLLOUT) != 0;
    list_push_back(&nh->open, &vc->open_link);
    nh->n_open++;
    if (vc->phase == VC_HANDSHAKE)
        nh->n_handshakes++;
    inactivity_cop_arm(vc);
    if (vc->phase == VC_HANDSHAKE && vc->ops->pending(vc))
        net_handler_ready(nh, vc, &vc->read);
    return SP_OK;
}

void net_handler_remove(struct net_handler *nh, struct net_vconnection *vc)
{
    event_io_stop(&vc->eio);
    handshake_queue_remove(&nh->handshakes, &vc->turn);
    list_remove(&vc->read.ready_link);
    list_remove(&vc->write.ready_link);
    list_remove(&vc->open_link);
    net_vc_leave_queue(vc);
    inactivity_cop_disarm(vc);
    nh->n_open--;
    if (vc->phase == VC_HANDSHAKE)
        nh->n_handshakes--;
}

static bool has_work(const struct net_vconnection *vc, const struct net_state *s)
{
    if (vc->phase == VC_HANDSHAKE) /* who waits for its turn is stepped when that comes */
        return !list_is_linked(&vc->turn.link);
    if (s == &vc->read)
        return vc->socket_failed || (s->enabled && vc->phase == VC_OPEN && net_vc_can_read(vc) &&
                                     s->vio.buf->len < s->vio.mark);
    return s->triggered && vc->phase == VC_OPEN &&
           (vc->flush_wanted || vc->shutdown_when_flushed || (s->enabled && s->vio.buf->len > 0));
}

void net_handler_ready(struct net_handler *nh, struct net_vconnection *vc, struct net_state *s)
{
    struct list *lists[2][2] = {{&nh->read_ready, &nh->write_ready},
                                {&nh->handshake_read_ready, &nh->handshake_write_ready}};

    if (vc->closed || list_is_linked(&s->ready_link) || !has_work(vc, s))
        return;
    list_push_back(lists[vc->phase == VC_HANDSHAKE][s == &vc->write], &s->ready_link);
}

/* Each edge is told once, so it is kept whatever the phase: with the news that the connection
 * stands may come what the peer says first, and its end. */
static void mark(struct net_vconnection *vc, uint32_t events, bool readable, bool writable)
{
    if ((events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0)
        vc->peer_ended = true;
    if ((events & EPOLLERR) != 0)
        vc->socket_failed = true;
    if (readable)
        vc->read.triggered = true;
    if (writable)
        vc->write.triggered = true;
}

/* Step 3 of a turn for one connection. */
void net_vc_ready(struct event_io *eio, uint32_t events)
{
    struct net_vconnection *vc = container_of(eio, struct net_vconnection, eio);

    bool readable = (events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0;
    bool writable = (events & (EPOLLOUT | EPOLLHUP | EPOLLERR)) != 0;

    if (vc->closed)
        return; /* closed earlier in this batch */
    mark(vc, events, readable, writable);
    if (vc->phase == VC_CONNECTING) {
        net_connect_ready(vc);
        return;
    }
    /* Of an open connection either direction may have waited for either readiness. */
    if (vc->phase == VC_OPEN || (readable && !vc->handshake_wants_write))
        net_handler_ready(vc->nh, vc, &vc->read);
    if (vc->phase == VC_OPEN || (writable && vc->handshake_wants_write))
        net_handler_ready(vc->nh, vc, &vc->write);
}

/* Runs each connection that stands on the list now, once; who queues itself again waits for the
 * next pass. */
static void drain_read(struct net_handler *nh)
{
    struct list batch, *n;

    list_init(&batch);
    list_splice_back(&batch, &nh->read_ready);
    while ((n = list_pop_front(&batch)) != NULL)
        net_vc_read_step(container_of(n, struct net_vconnection, read.ready_link));
}

static void drain_write(struct net_handler *nh)
{
    struct list batch, *n;

    list_init(&batch);
    list_splice_back(&batch, &nh->write_ready);
    while ((n = list_pop_front(&batch)) != NULL) {
        struct net_vconnection *vc = container_of(n, struct net_vconnection, write.ready_link);

        if (vc->phase == VC_CONNECTING)
            net_connect_step(vc);
        else
            net_vc_write_step(vc);
    }
}

static void drain_accept(struct net_handler *nh)
{
    struct list batch, *n;

    list_init(&batch);
    list_splice_back(&batch, &nh->accept_ready);
    while ((n = list_pop_front(&batch)) != NULL)
        net_accept_slot_run(container_of(n, struct net_accept_slot, ready_link));
}

/* Nothing of this turn's epoll batch is looked at after this. */
static void reap(struct net_handler *nh)
{
    struct list *n;

    while ((n = list_pop_front(&nh->closed)) != NULL) {
        struct net_vconnection *vc = container_of(n, struct net_vconnection, closed_link);

        vc->ops->destroy(vc);
    }
}

static bool has_ready(const struct net_handler *nh)
{
    return !list_is_empty(&nh->read_ready) || !list_is_empty(&nh->write_ready) ||
           !list_is_empty(&nh->handshake_read_ready) ||
           !list_is_empty(&nh->handshake_write_ready) || !list_is_empty(&nh->accept_ready) ||
           net_handshakes_wait(nh);
}

/* PollCont: fetches what is ready. Kept out of line, so that a stack trace of an idle thread says
 * what it waits for. */
__attribute__((noinline)) static void poll_cont(struct net_handler *nh)
{
    int wait_ms = has_ready(nh) || !list_is_empty(&nh->closed) ? 0 : ethread_wait_ms(nh->thread);

    atomic_store_explicit(&nh->awake, wait_ms == 0, memory_order_relaxed);
    nh->pd.n_ready = epoll_wait(nh->pd.epoll_fd, nh->pd.ready, POLL_DESCRIPTOR_EVENTS, wait_ms);
    atomic_store_explicit(&nh->awake, true, memory_order_relaxed);
    if (nh->pd.n_ready < 0 && errno != EINTR)
        LOG_LIMITED(NET, ERROR, "thread=%s epoll_wait errno=%d", nh->thread->name, errno);
}

static void mark_ready(struct net_handler *nh)
{
    for (int i = 0; i < nh->pd.n_ready; i++) {
        struct event_io *eio = nh->pd.ready[i].data.ptr;

        if (eio->fd >= 0) /* stopped since the batch was fetched */
            eio->ready(eio, nh->pd.ready[i].events);
    }
}

void net_handler_turn(struct ethread *t)
{
    struct net_handler *nh = *(struct net_handler **)ethread_storage(t, NET_HANDLER_OFFSET);

    ethread_take_inbox(t);
    poll_cont(nh);
    ethread_refresh_now(t);
    mark_ready(nh);
    for (int pass = 0; pass < DATA_PASSES; pass++) {
        drain_read(nh);
        drain_write(nh);
    }
    drain_accept(nh);
    net_handshakes_run(nh);
    ethread_run_timers(t);
    reap(nh);
    net_handshakes_publish(nh);
    atomic_store_explicit(&nh->n_open_now, nh->n_open, memory_order_relaxed);
}

/* At thread end: tells every user, so that it lets go of its memory, and closes what is left. */
void net_handler_close_all(struct net_handler *nh)
{
    struct list *n;

    while ((n = list_first(&nh->open)) != NULL) {
        struct net_vconnection *vc = container_of(n, struct net_vconnection, open_link);
        struct continuation *user = net_vc_user(vc);

        vc->err = SP_SHUTTING_DOWN;
        if (vc->phase != VC_OPEN && vc->accept == NULL)
            net_connect_failed(vc, SP_SHUTTING_DOWN, 0);
        else if (user == NULL || net_vc_signal(vc, user, VC_EVENT_ERROR, &vc->read.vio) == VC_ALIVE)
            net_vc_do_io_close(vc, VC_CLOSE_ABORT);
    }
    net_dns_end(nh->dns);
    reap(nh);
}
