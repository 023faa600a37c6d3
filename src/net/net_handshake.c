/* Handshake readiness is not data readiness: a connection in VC_HANDSHAKE stands on lists of its
 * own and its steps are run from here, by whichever transport it has. When it is usable it moves to
 * a data thread, once, and its user gets it. */
#include "net_internal.h"
#include "net_placement.h"

#include <sallyport/base/log.h>

#include <inttypes.h>

static bool on_data_thread(const struct net_vconnection *vc)
{
    return (vc->thread->types >> vc->core->et_net & 1) != 0;
}

/* The single move of a connection's life begins. */
static void migrate(struct net_vconnection *vc)
{
    struct net_handler *nh = vc->nh;

    if (vc->ops->detach(vc) != SP_OK) {
        vc->err = SP_NOMEM;
        net_vc_do_io_close(vc, VC_CLOSE_ABORT);
        return;
    }
    net_handler_remove(nh, vc);
    vc->nh = NULL;
    vc->read.triggered = false; /* the new poll set tells anew */
    METRIC_INC(tls_migrations);
    list_push_back(&nh->leaving, &vc->open_link);
}

/* All of a turn together: on a core that both threads share, each wake-up would take the core from
 * the handshakes at once, for one connection. This thread keeps no reference. */
void net_handshakes_hand_over(struct net_handler *nh)
{
    struct ethread *asleep[16];
    struct net_placement placement;
    size_t n_asleep = 0;
    struct list *n;

    if (list_is_empty(&nh->leaving))
        return;
    net_placement_init(&placement, nh);
    while ((n = list_pop_front(&nh->leaving)) != NULL) {
        struct net_vconnection *vc = container_of(n, struct net_vconnection, open_link);
        struct ethread *target = net_placement_next(&placement);

        if (!ethread_post_quietly(target, &vc->move))
            continue;
        if (n_asleep < SP_COUNT_OF(asleep))
            asleep[n_asleep++] = target;
        else
            ethread_wake(target);
    }
    while (n_asleep > 0)
        ethread_wake(asleep[--n_asleep]);
}

void net_vc_handshake_over(struct net_vconnection *vc)
{
    if (vc->handshake_limited)
        handshake_limits_release(vc->core->handshake_limits, &vc->remote);
    vc->handshake_limited = false;
}

static void set_open(struct net_vconnection *vc)
{
    net_vc_handshake_over(vc);
    vc->nh->n_handshakes--;
    vc->phase = VC_OPEN;
    list_remove(&vc->read.ready_link);
    list_remove(&vc->write.ready_link);
    if (vc->early == NULL) /* else it still has to come to its end in time */
        net_vc_set_active_timeout(vc, 0);
    inactivity_cop_stamp(vc);
}

void net_vc_deliver(struct net_vconnection *vc)
{
    if (vc->accept == NULL) {
        net_connect_usable(vc);
        return;
    }
    if (!on_data_thread(vc)) {
        migrate(vc);
        return;
    }
    if (vc->accept->options.cont == NULL ||
        net_vc_signal(vc, vc->accept->options.cont, NET_EVENT_ACCEPT, vc) == VC_GONE)
        return;
    if (vc->read.vio.cont == NULL && vc->write.vio.cont == NULL)
        LOG_DEBUG(NET, "vc=%" PRIu64 " accepted and not yet used", vc->id);
}

void net_vc_handshake_failed(struct net_vconnection *vc, enum sp_err err, enum vc_close how)
{
    if (vc->accept == NULL) {
        net_connect_failed(vc, err, 0);
        return;
    }
    vc->err = err;
    net_vc_do_io_close(vc, how); /* it has no user yet */
}

void net_vc_handshake_step(struct net_vconnection *vc)
{
    struct io_result r = vc->ops->advance(vc);

    inactivity_cop_stamp(vc);
    if (r.drained)
        vc->read.triggered = false; /* a recv that says EAGAIN less */
    switch (r.status) {
    case IO_OK:
        set_open(vc);
        net_vc_deliver(vc);
        break;
    case IO_WANT_READ:
        vc->read.triggered = false;
        vc->handshake_wants_write = false;
        break;
    case IO_WANT_WRITE:
        vc->handshake_wants_write = true;
        net_vc_wait_writable(vc);
        break;
    case IO_WANT_TURN: net_handshake_wants_turn(vc); break;
    case IO_EOF: net_vc_handshake_failed(vc, SP_PEER_CLOSED, VC_CLOSE_CLEAN); break;
    case IO_ERROR: net_vc_handshake_failed(vc, r.err, VC_CLOSE_CLEAN); break;
    }
}
