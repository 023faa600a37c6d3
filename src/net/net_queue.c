/* The keep-alive and active queues of a thread: which client connections only wait for a next
 * request, the one that waits longest in front, so that pressure costs whom it hurts least. */
#include "net_internal.h"

void net_vc_leave_queue(struct net_vconnection *vc)
{
    struct net_handler *nh = vc->nh;

    if (vc->queue == VC_QUEUE_KEEP_ALIVE)
        nh->n_keep_alive--;
    else if (vc->queue == VC_QUEUE_ACTIVE)
        nh->n_active--;
    list_remove(&vc->queue_link);
    vc->queue = VC_QUEUE_NONE;
}

void net_vc_set_queue(struct net_vconnection *vc, enum vc_queue queue)
{
    struct net_handler *nh = vc->nh;

    if (vc->closed)
        return;
    net_vc_leave_queue(vc);
    vc->queue = queue;
    switch (queue) {
    case VC_QUEUE_NONE: break;
    case VC_QUEUE_ACTIVE:
        list_push_back(&nh->active, &vc->queue_link);
        nh->n_active++;
        break;
    case VC_QUEUE_KEEP_ALIVE:
        list_push_back(&nh->keep_alive, &vc->queue_link);
        nh->n_keep_alive++;
        uint32_t max = atomic_load_explicit(&nh->core->max_keep_alive, memory_order_relaxed);

        if (max != 0 && nh->n_keep_alive > max)
            (void)net_handler_evict_idle(nh, 1);
        break;
    }
}

/* Which share goes at a time: enough to help, and few enough not to hurt more than asked for. */
#define RELIEF_DIVISOR 16

static void relieve(struct timer *t)
{
    struct net_handler *nh = container_of(t, struct net_handler, relief_timer);

    (void)net_handler_evict_idle(nh, 1 + nh->n_keep_alive / RELIEF_DIVISOR);
}

/* In the timer step of this turn: a connection whose next request lies unread in its socket looks
 * idle until then, and closing it would reset the client. */
static void relief_asked(struct inbox_item *item, struct ethread *t)
{
    struct net_handler *nh = container_of(item, struct net_handler, relief);

    atomic_store_explicit(&nh->relief_asked, false, memory_order_release);
    timer_arm(&t->wheel, &nh->relief_timer, ethread_now_ms(t));
}

void net_handler_init_queues(struct net_handler *nh)
{
    list_init(&nh->keep_alive);
    list_init(&nh->active);
    nh->relief.fn = relief_asked;
    timer_init(&nh->relief_timer, relieve);
    atomic_init(&nh->relief_asked, false);
}

void net_core_relieve(struct net_core *core)
{
    struct thread_group *group = &core->ep->groups[core->et_net];

    for (int i = 0; i < group->n; i++) {
        struct net_handler *nh = net_handler_of(core, group->threads[i]);

        if (!atomic_exchange_explicit(&nh->relief_asked, true, memory_order_acq_rel))
            ethread_post(group->threads[i], &nh->relief);
    }
}

void net_vc_evict(struct net_vconnection *vc)
{
    struct continuation *user = vc->read.vio.cont != NULL ? vc->read.vio.cont : vc->cont;

    if (user == NULL || net_vc_signal(vc, user, VC_EVENT_EVICT, vc) == VC_ALIVE)
        net_vc_do_io_close(vc, VC_CLOSE_CLEAN);
}

uint32_t net_handler_evict_idle(struct net_handler *nh, uint32_t n)
{
    uint32_t evicted = 0;

    while (evicted < n) {
        struct list *oldest = list_first(&nh->keep_alive);

        if (oldest == NULL)
            break;
        net_vc_evict(container_of(oldest, struct net_vconnection, queue_link));
        METRIC_INC(net_keep_alive_evicted);
        evicted++;
    }
    return evicted;
}
