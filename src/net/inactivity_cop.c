/* InactivityCop: ends connections on which nothing moves, or that live too long.
 *
 * Progress only stamps the connection with the loop's time. Its timer stands at the earliest moment
 * at which it can have been idle for long enough, and looks at the stamp when it fires: so a busy
 * connection costs one timer call per timeout, not one per read, and an open one costs nothing. */
#include "net_internal.h"

#include <sallyport/base/log.h>

#include <inttypes.h>

/* Nobody uses it yet: the net layer itself decides. */
static bool expired_before_use(struct net_vconnection *vc)
{
    switch (vc->phase) {
    case VC_CONNECTING: net_connect_failed(vc, SP_CONN_TIMEOUT, 0); return true;
    case VC_HANDSHAKE: net_vc_handshake_failed(vc, SP_TLS_TIMEOUT, VC_CLOSE_ABORT); return true;
    case VC_OPEN: break;
    }
    return false;
}

static void expired(struct net_vconnection *vc, int event, enum sp_err err)
{
    struct continuation *user;

    if (expired_before_use(vc))
        return;
    vc->err = err;
    user = net_vc_user(vc);
    if (user == NULL) {
        LOG_DEBUG(NET, "vc=%" PRIu64 " err=%s nobody to tell", vc->id, sp_err_label(err));
        net_vc_do_io_close(vc, VC_CLOSE_ABORT);
        return;
    }
    if (net_vc_signal(vc, user, event, vc) == VC_ALIVE)
        inactivity_cop_arm(vc);
}

static void inactivity_due(struct timer *t)
{
    struct net_vconnection *vc = container_of(t, struct net_vconnection, inactivity_timer);
    int64_t deadline_ms = vc->last_activity_ms + vc->inactivity_ms;

    if (deadline_ms > ethread_now_ms(vc->thread)) {
        timer_arm(&vc->thread->wheel, t, deadline_ms);
        return;
    }
    METRIC_INC(net_timeouts_inactivity);
    inactivity_cop_stamp(vc); /* the user that goes on waits as long again */
    expired(vc, VC_EVENT_INACTIVITY_TIMEOUT, SP_INACTIVITY);
}

static void active_due(struct timer *t)
{
    struct net_vconnection *vc = container_of(t, struct net_vconnection, active_timer);

    METRIC_INC(net_timeouts_active);
    vc->active_deadline_ms = 0;
    if (net_vc_is_early(vc)) /* it is used, and its handshake is not over in time */
        expired(vc, VC_EVENT_ERROR, SP_TLS_TIMEOUT);
    else
        expired(vc, VC_EVENT_ACTIVE_TIMEOUT, SP_ACTIVE_TIMEOUT);
}

void inactivity_cop_init(struct net_vconnection *vc)
{
    timer_init(&vc->inactivity_timer, inactivity_due);
    timer_init(&vc->active_timer, active_due);
}

void inactivity_cop_arm(struct net_vconnection *vc)
{
    struct timer_wheel *wheel = &vc->thread->wheel;
    int64_t deadline_ms = vc->last_activity_ms + vc->inactivity_ms;

    if (vc->inactivity_ms > 0 &&
        !(timer_is_armed(&vc->inactivity_timer) && vc->inactivity_timer.deadline_ms <= deadline_ms))
        timer_arm(wheel, &vc->inactivity_timer, deadline_ms);
    if (vc->active_deadline_ms > 0)
        timer_arm(wheel, &vc->active_timer, vc->active_deadline_ms);
}

void inactivity_cop_disarm(struct net_vconnection *vc)
{
    timer_cancel(&vc->thread->wheel, &vc->inactivity_timer);
    timer_cancel(&vc->thread->wheel, &vc->active_timer);
}

static int64_t now_of(const struct net_vconnection *vc)
{
    return vc->nh != NULL ? ethread_now_ms(vc->thread) : clock_mono_ms();
}

void net_vc_set_inactivity_timeout(struct net_vconnection *vc, int64_t timeout_ms)
{
    vc->inactivity_ms = timeout_ms;
    vc->last_activity_ms = now_of(vc);
    if (vc->nh == NULL)
        return;
    if (timeout_ms == 0)
        timer_cancel(&vc->thread->wheel, &vc->inactivity_timer);
    else
        inactivity_cop_arm(vc);
}

void net_vc_set_active_timeout(struct net_vconnection *vc, int64_t timeout_ms)
{
    vc->active_deadline_ms = timeout_ms == 0 ? 0 : now_of(vc) + timeout_ms;
    if (vc->nh == NULL)
        return;
    if (timeout_ms == 0)
        timer_cancel(&vc->thread->wheel, &vc->active_timer);
    else
        timer_arm(&vc->thread->wheel, &vc->active_timer, vc->active_deadline_ms);
}
