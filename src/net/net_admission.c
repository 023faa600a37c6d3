/* Step 5 of a turn: which handshakes are stepped, in which order, for how long.
 *
 * First those that are ready on account of the socket: the look at a fresh ClientHello is cheap,
 * and where cryptography was spent already the rest must not be wasted. Then, one by one, those
 * that wait for their turn, as the queue decides (handshake_queue.h). All within the budget; what
 * is left waits for the next turn, after the data and the connections that arrived meanwhile. */
#include "net_internal.h"

#include <sallyport/base/log.h>

#include <inttypes.h>

/* An overload is over when the queue has been short for so long. */
#define CALM_MS 1000

static struct net_vconnection *next_ready(struct net_handler *nh)
{
    struct list *n = list_pop_front(&nh->handshake_write_ready);

    if (n != NULL)
        return container_of(n, struct net_vconnection, write.ready_link);
    n = list_pop_front(&nh->handshake_read_ready);
    return n == NULL ? NULL : container_of(n, struct net_vconnection, read.ready_link);
}

/* Nobody else wants anything: it need not be put into a queue to be taken out again. */
static bool is_alone(const struct net_handler *nh)
{
    return nh->handshakes.n == 0 && list_is_empty(&nh->handshake_read_ready) &&
           list_is_empty(&nh->handshake_write_ready);
}

static void drop(struct net_handler *nh, struct net_vconnection *vc, enum sp_err why)
{
    if (why == SP_TLS_TIMEOUT) {
        METRIC_INC(tls_handshakes_dropped_late);
        nh->overload.dropped_late++;
    } else {
        METRIC_INC(tls_handshakes_dropped_gone);
        nh->overload.dropped_gone++;
    }
    vc->err = why;
    net_vc_do_io_close(vc, VC_CLOSE_ABORT);
}

static struct net_vconnection *vc_of(struct handshake_entry *e)
{
    return container_of(e, struct net_vconnection, turn);
}

static void drop_stale(struct net_handler *nh, int64_t now_us)
{
    struct handshake_entry *e;

    while ((e = handshake_queue_pop_stale(&nh->handshakes, now_us)) != NULL)
        drop(nh, vc_of(e), SP_TLS_TIMEOUT);
}

/* The next one whose turn it is; NULL when nobody waits. Who has left meanwhile costs nothing: its
 * RDHUP was marked before we came here. */
static struct net_vconnection *next_turn(struct net_handler *nh, int64_t now_us)
{
    struct handshake_entry *e;

    drop_stale(nh, now_us);
    while ((e = handshake_queue_pop(&nh->handshakes, now_us)) != NULL) {
        struct net_vconnection *vc = vc_of(e);

        if (!vc->peer_ended) {
            vc->turn_granted = true;
            nh->overload.served++;
            return vc;
        }
        drop(nh, vc, SP_TLS_GONE);
    }
    return NULL;
}

static void overload_begins(struct net_handler *nh)
{
    nh->overload.began_ms = ethread_now_ms(nh->thread);
    nh->overload.served = nh->overload.dropped_late = nh->overload.dropped_gone = 0;
    ethread_timer_arm_in(nh->thread, &nh->overload.look, CALM_MS);
    METRIC_INC(tls_overloads);
    LOG_WARN(TLS, "thread=%s overload=begin waiting=%u wait_ms=%" PRId64, nh->thread->name,
             nh->handshakes.n,
             handshake_queue_wait_us(&nh->handshakes, clock_mono_ns() / 1000) / 1000);
}

static void overload_ends(struct net_handler *nh)
{
    const struct handshake_overload *o = &nh->overload;

    LOG_WARN(TLS,
             "thread=%s overload=end lasted_ms=%" PRId64 " served=%" PRIu64 " dropped_late=%" PRIu64
             " dropped_gone=%" PRIu64,
             nh->thread->name, o->calm_ms - o->began_ms, o->served, o->dropped_late,
             o->dropped_gone);
    nh->overload.began_ms = nh->overload.calm_ms = 0;
}

static void note_overload(struct net_handler *nh)
{
    struct handshake_overload *o = &nh->overload;
    int64_t now_ms = ethread_now_ms(nh->thread);

    if (nh->handshakes.n > 0 && nh->handshakes.overloaded) {
        if (o->began_ms == 0)
            overload_begins(nh);
        o->calm_ms = 0;
        return;
    }
    if (o->began_ms == 0)
        return;
    if (o->calm_ms == 0)
        o->calm_ms = now_ms;
    else if (now_ms - o->calm_ms >= CALM_MS)
        overload_ends(nh);
}

static void look_again(struct timer *t)
{
    struct net_handler *nh = container_of(t, struct net_handler, overload.look);

    note_overload(nh);
    if (nh->overload.began_ms != 0)
        ethread_timer_arm_in(nh->thread, t, CALM_MS);
}

void net_admission_init(struct net_handler *nh)
{
    handshake_queue_init(&nh->handshakes, &nh->core->handshakes);
    timer_init(&nh->overload.look, look_again);
    atomic_init(&nh->handshakes_full, false);
}

static void note_full(struct net_handler *nh)
{
    const struct handshake_queue *q = &nh->handshakes;
    bool was_full = net_handler_is_full(nh);
    bool full = q->full || nh->n_handshakes >= q->options.max_open ||
                (was_full && nh->n_handshakes > q->options.max_open / 2);

    if (full != was_full)
        atomic_store_explicit(&nh->handshakes_full, full, memory_order_relaxed);
}

void net_handshakes_run(struct net_handler *nh)
{
    struct net_vconnection *vc;
    int64_t began_ns = 0;

    do {
        vc = next_ready(nh);
        if (vc != NULL)
            vc->turn_granted |= is_alone(nh);
        else if (nh->handshakes.n > 0)
            vc = next_turn(nh, clock_mono_ns() / 1000);
        if (vc == NULL)
            break;
        if (began_ns == 0)
            began_ns = clock_mono_ns();
        net_vc_handshake_step(vc);
    } while (clock_mono_ns() - began_ns < nh->handshake_budget_ns);
    note_overload(nh);
    note_full(nh);
}
