/* One thread's loop, as far as it has no sockets: inbox, timers, sleep and wake. */
#include "event_internal.h"

#include <sallyport/base/iobuf.h>
#include <sallyport/base/log.h>

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <unistd.h>

_Thread_local struct ethread *this_ethread_;

void ethread_adopt(struct ethread *t)
{
    this_ethread_ = t;
}

enum sp_err ethread_init(struct ethread *t, struct event_processor *ep, int id)
{
    memset(t, 0, sizeof(*t));
    t->event_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (t->event_fd < 0)
        return SP_SYSCALL;
    t->processor = ep;
    t->id = id;
    inbox_init(&t->inbox);
    list_init(&t->due);
    ethread_refresh_now(t);
    timer_wheel_init(&t->wheel, t->now_ms);
    t->turn = ethread_plain_turn;
    atomic_init(&t->stopping, false);
    atomic_init(&t->ended, false);
    return SP_OK;
}

void ethread_fini(struct ethread *t)
{
    event_discard_all(t);
    (void)close(t->event_fd);
}

void ethread_wake(struct ethread *t)
{
    uint64_t one = 1;

    /* Fails only when 2^64 - 2 wake-ups were never looked at: then it is awake anyway. */
    if (write(t->event_fd, &one, sizeof(one)) < 0)
        return;
}

bool ethread_post_quietly(struct ethread *t, struct inbox_item *item)
{
    return inbox_push(&t->inbox, item);
}

void ethread_post(struct ethread *t, struct inbox_item *item)
{
    if (ethread_post_quietly(t, item))
        ethread_wake(t);
}

void ethread_take_inbox(struct ethread *t)
{
    struct inbox_item *item = inbox_take_all(&t->inbox);
    struct list due, *n;
    uint64_t taken = 0;

    while (item != NULL) {
        struct inbox_item *next = item->next; /* fn may free or post it again */

        item->fn(item, t);
        item = next;
        taken++;
    }
    if (taken > 0)
        METRIC_ADD(event_inbox_items, taken);
    /* What these calls schedule "now" waits for the next turn, so that a continuation that
     * schedules itself cannot hold the loop. */
    list_init(&due);
    list_splice_back(&due, &t->due);
    while ((n = list_pop_front(&due)) != NULL)
        event_run(container_of(n, struct event, timer.link), t);
}

void ethread_run_timers(struct ethread *t)
{
    ethread_refresh_now(t);
    (void)timer_wheel_run(&t->wheel, t->now_ms);
}

int ethread_wait_ms(const struct ethread *t)
{
    if (!list_is_empty(&t->due) || !inbox_is_empty(&t->inbox) ||
        atomic_load_explicit(&t->stopping, memory_order_relaxed))
        return 0;
    return timer_wheel_wait_ms(&t->wheel, t->now_ms);
}

void ethread_plain_turn(struct ethread *t)
{
    struct pollfd pfd = {.fd = t->event_fd, .events = POLLIN};
    uint64_t count;

    ethread_take_inbox(t);
    if (poll(&pfd, 1, ethread_wait_ms(t)) > 0 && read(t->event_fd, &count, sizeof(count)) < 0)
        LOG_DEBUG(EVENT, "thread=%s eventfd errno=%d", t->name, errno);
    ethread_run_timers(t);
}

/* Of this thread alone: Linux keeps nice values per thread (setpriority(2), C library/kernel
 * differences). */
bool ethread_set_nice(struct ethread *t, int nice)
{
    if (setpriority(PRIO_PROCESS, (id_t)gettid(), nice) != 0) {
        LOG_WARN(EVENT, "thread=%s nice=%d errno=%d", t->name, nice, errno);
        return false;
    }
    t->nice = nice;
    return true;
}

static void run_turns(struct ethread *t)
{
    while (!atomic_load_explicit(&t->stopping, memory_order_acquire)) {
        METRIC_INC(event_loop_turns);
        t->turn(t);
    }
}

static void wind_up(struct ethread *t)
{
    ethread_take_inbox(t);
    if (t->on_stop != NULL)
        t->on_stop(t);
    event_discard_all(t);
}

void ethread_wind_up_unstarted(struct ethread *t)
{
    ethread_adopt(t);
    atomic_store_explicit(&t->stopping, true, memory_order_relaxed);
    wind_up(t);
    ethread_adopt(NULL);
}

void *ethread_main(void *arg)
{
    struct ethread *t = arg;

    ethread_adopt(t);
    (void)pthread_setname_np(pthread_self(), t->name);
    if (metrics_register_thread() != SP_OK)
        LOG_WARN(EVENT, "thread=%s err=nomem counters are shared", t->name);
    t->metrics = metrics_mine;
    if (t->nice != 0)
        (void)ethread_set_nice(t, t->nice);
    ethread_refresh_now(t);
    if (t->dedicated != NULL) {
        (void)continuation_call(t->dedicated, EVENT_IMMEDIATE, t);
    } else {
        if (t->on_start != NULL)
            t->on_start(t);
        run_turns(t);
        /* Every thread leaves its last turn before the first one lets go of what it owns, so that a
         * message between two of them is not lost between two ends. */
        (void)pthread_barrier_wait(&t->processor->last_turn);
        wind_up(t);
    }
    iobuf_thread_fini();
    atomic_store_explicit(&t->ended, true, memory_order_release);
    return NULL;
}
