/* Step 5 of a turn: which handshakes are stepped, in which order, for how long.
 *
 * First those that are ready on account of the socket: the look at a fresh ClientHello is cheap,
 * and where cryptography was spent already the rest must not be wasted. Then, one by one, those
 * that wait for their turn, as the queue decides (handshake_queue.h) and the limit per second
 * allows (handshake_limits.h). All within the budget, which handshake_floor.h keeps large enough;
 * what is left waits for the next turn, after the data and the connections that arrived meanwhile.
 */
#include "net_internal.h"

#include <sallyport/base/log.h>

#include <inttypes.h>
#include <sched.h>

/* An overload is over when the queue has been short for so long. */
#define CALM_MS         1000
/* A step that took longer did cryptography. */
#define STEP_IS_WORK_NS 50000

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
           list_is_empty(&nh->handshake_write_ready) &&
           !handshake_limits_has_rate(nh->core->handshake_limits);
}

bool net_handshakes_wait(const struct net_handler *nh)
{
    return nh->handshakes.n > 0 && !nh->paced;
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
    METRIC_OBSERVE(tls_handshake_drop_wait_ms,
                   (clock_mono_ns() / 1000 - vc->turn.arrived_us) / 1000);
    vc->err = why;
    net_vc_do_io_close(vc, VC_CLOSE_ABORT);
}

/* What is in the queue has changed, or time has passed. */
static void note_shed(struct net_handler *nh)
{
    int64_t now_us = clock_mono_ns() / 1000;

    handshake_shed_note(&nh->shed, nh->handshakes.n,
                        handshake_queue_wait_us(&nh->handshakes, now_us), now_us);
}

/* Who resumes was here before, and a backdoor is the way in when the rest is full. */
static bool is_shed(const struct net_vconnection *vc)
{
    return vc->turn.kind == HANDSHAKE_FULL && !vc->accept->options.accept.backdoor &&
           handshake_shed_refuses(&vc->nh->shed);
}

void net_handshake_wants_turn(struct net_vconnection *vc)
{
    struct net_handler *nh = vc->nh;

    if (is_shed(vc)) {
        net_admission_shed(nh, 1);
        vc->err = SP_TLS_TIMEOUT;
        net_vc_do_io_close(vc, VC_CLOSE_ABORT);
        return;
    }
    handshake_queue_push(&nh->handshakes, &vc->turn, vc->turn.kind);
    if (nh->shed.on)
        note_shed(nh);
}

void net_admission_shed(struct net_handler *nh, uint32_t n)
{
    METRIC_ADD(tls_handshakes_shed, n);
    nh->overload.shed += n;
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

static void pace_over(struct timer *t)
{
    container_of(t, struct net_handler, pace_timer)->paced = false;
}

/* As many a second may begin as the limit says. False: not before the timer fires. */
static bool may_begin(struct net_handler *nh, int64_t now_us)
{
    int64_t wait_us = handshake_limits_begin_us(nh->core->handshake_limits, now_us);

    if (wait_us == 0)
        return true;
    nh->paced = true;
    ethread_timer_arm_in(nh->thread, &nh->pace_timer, (wait_us + 999) / 1000);
    METRIC_INC(tls_handshakes_paced);
    return false;
}

/* The next one whose turn it is; NULL when nobody waits or none may begin now. Who has left
 * meanwhile costs nothing: its RDHUP was marked before we came here. */
static struct net_vconnection *next_turn(struct net_handler *nh, int64_t now_us)
{
    struct handshake_entry *e;

    drop_stale(nh, now_us);
    while ((e = handshake_queue_pop(&nh->handshakes, now_us)) != NULL) {
        struct net_vconnection *vc = vc_of(e);

        if (vc->peer_ended) {
            drop(nh, vc, SP_TLS_GONE);
            continue;
        }
        if (!may_begin(nh, now_us)) {
            handshake_queue_push(&nh->handshakes, e, e->kind);
            return NULL;
        }
        vc->turn_granted = true;
        nh->overload.served++;
        handshake_shed_served(&nh->shed, nh->handshakes.n, now_us);
        return vc;
    }
    return NULL;
}

static void overload_begins(struct net_handler *nh)
{
    nh->overload.began_ms = ethread_now_ms(nh->thread);
    nh->overload.served = nh->overload.dropped_late = nh->overload.dropped_gone = 0;
    nh->overload.shed = 0;
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
             " dropped_gone=%" PRIu64 " refused=%" PRIu64,
             nh->thread->name, o->calm_ms - o->began_ms, o->served, o->dropped_late,
             o->dropped_gone, o->shed);
    nh->overload.began_ms = nh->overload.calm_ms = 0;
}

static void note_overload(struct net_handler *nh)
{
    struct handshake_overload *o = &nh->overload;
    int64_t now_ms = ethread_now_ms(nh->thread);

    if (nh->shed.on || (nh->handshakes.n > 0 && nh->handshakes.overloaded)) {
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

    note_shed(nh);
    note_overload(nh);
    if (nh->overload.began_ms != 0)
        ethread_timer_arm_in(nh->thread, t, CALM_MS);
}

void net_admission_init(struct net_handler *nh)
{
    handshake_queue_init(&nh->handshakes, &nh->core->handshakes);
    handshake_shed_init(&nh->shed, &nh->core->handshakes);
    timer_init(&nh->overload.look, look_again);
    timer_init(&nh->pace_timer, pace_over);
    atomic_init(&nh->handshakes_full, false);
}

/* While the excess is refused, accepting goes on: who waits in the kernel's queue meanwhile would
 * be served late, and those who are let in then as well. */
static void note_full(struct net_handler *nh)
{
    const struct handshake_queue *q = &nh->handshakes;
    bool was_full = net_handler_is_full(nh);
    bool full = (q->full && !nh->shed.on) || nh->n_handshakes >= q->options.max_open ||
                (was_full && nh->n_handshakes > q->options.max_open / 2);

    full = full && !handshake_shed_refuses(&nh->shed);
    if (full != was_full)
        atomic_store_explicit(&nh->handshakes_full, full, memory_order_relaxed);
}

/* The next step that is worth its cost now; NULL: there is none. */
static struct net_vconnection *next_step(struct net_handler *nh)
{
    struct net_vconnection *vc = next_ready(nh);

    if (vc != NULL) {
        vc->turn_granted |= is_alone(nh);
        return vc;
    }
    return net_handshakes_wait(nh) ? next_turn(nh, clock_mono_ns() / 1000) : NULL;
}

static bool has_steps(const struct net_handler *nh)
{
    return !list_is_empty(&nh->handshake_read_ready) ||
           !list_is_empty(&nh->handshake_write_ready) || net_handshakes_wait(nh);
}

/* A thread of its own offers the core after each step that was work: a data thread that the timer
 * tick has interrupted would else wait for the next tick, 4 ms at 250 Hz, whatever the weights are.
 * Returns the time. */
static int64_t offer_core(const struct net_handler *nh, int64_t step_began_ns)
{
    int64_t now_ns = clock_mono_ns();

    if (!nh->floor.own_thread || now_ns - step_began_ns < STEP_IS_WORK_NS)
        return now_ns;
    (void)sched_yield();
    return clock_mono_ns();
}

/* How long they took. */
static int64_t run_steps(struct net_handler *nh)
{
    struct net_vconnection *vc;
    int64_t began_ns = 0, now_ns = 0;

    while ((vc = next_step(nh)) != NULL) {
        if (began_ns == 0)
            began_ns = clock_mono_ns();
        net_vc_handshake_step(vc);
        now_ns = offer_core(nh, now_ns == 0 ? began_ns : now_ns);
        if (now_ns - began_ns >= nh->floor.budget_ns)
            break;
    }
    return now_ns - began_ns;
}

void net_handshakes_run(struct net_handler *nh)
{
    if (has_steps(nh)) {
        handshake_floor_before(&nh->floor);
        handshake_floor_after(&nh->floor, nh->thread, run_steps(nh), has_steps(nh));
        net_handshakes_hand_over(nh);
    } else {
        handshake_floor_idle(&nh->floor);
    }
    if (nh->shed.on || nh->handshakes.n > 0)
        note_shed(nh);
    note_overload(nh);
    note_full(nh);
}

void net_handshakes_publish(struct net_handler *nh)
{
    struct handshake_now *now = &nh->handshakes_now;
    bool overloaded = nh->overload.began_ms != 0;

    atomic_store_explicit(&now->open, nh->n_handshakes, memory_order_relaxed);
    atomic_store_explicit(&now->waiting, nh->handshakes.n, memory_order_relaxed);
    atomic_store_explicit(&now->oldest_arrived_us, handshake_queue_oldest_us(&nh->handshakes),
                          memory_order_relaxed);
    atomic_store_explicit(&now->overloaded, overloaded, memory_order_relaxed);
    atomic_store_explicit(&now->nice, nh->thread->nice, memory_order_relaxed);
    atomic_store_explicit(&now->budget_ns, nh->floor.budget_ns, memory_order_relaxed);
    METRIC_SET(tls_handshakes_open, nh->n_handshakes);
    METRIC_SET(tls_handshakes_waiting, nh->handshakes.n);
    METRIC_SET(tls_threads_overloaded, overloaded);
}
