/* A thread with a loop: an inbox, timers, and one function that runs a turn.
 *
 * A plain ethread (ET_TASK) sleeps in poll(2) on its eventfd; a net thread's turn is the net
 * handler's (src/net/net_handler.c:net_handler_turn), which polls sockets too. Everything here is
 * for the thread itself unless it says "any thread". */
#pragma once

#include <sallyport/base/clock.h>
#include <sallyport/base/compiler.h>
#include <sallyport/base/err.h>
#include <sallyport/base/list.h>
#include <sallyport/base/metrics.h>
#include <sallyport/event/event.h>
#include <sallyport/event/inbox.h>
#include <sallyport/event/timer_wheel.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define ETHREAD_STORAGE_BYTES ((size_t)4096)

struct event_processor;
struct ethread;
typedef void (*ethread_turn_fn)(struct ethread *t);
typedef void (*ethread_hook)(struct ethread *t);

struct ethread {
    struct event_processor *processor; /* borrowed */
    pthread_t tid;
    int id;             /* 0.. in the order of start */
    uint32_t types;     /* bit per event type that it serves */
    char name[16];      /* "[ET_NET 0]" */
    int nice;           /* its scheduling weight; 0: as the process */
    struct inbox inbox; /* any thread, through ethread_post() */
    int event_fd;       /* written when the inbox was empty; polled edge-triggered, never read */
    struct timer_wheel wheel;
    struct list due; /* events scheduled "now" by this thread itself */
    int64_t now_ms;  /* refreshed once a turn */
    ethread_turn_fn turn;
    ethread_hook on_start;             /* on the thread, before the first turn; may be NULL */
    ethread_hook on_stop;              /* on the thread, after the last turn; may be NULL */
    atomic_bool stopping;              /* any thread, through event_processor_stop() */
    struct continuation *dedicated;    /* a dedicated thread runs only this, once */
    atomic_bool ended;                 /* dedicated: it has returned from that */
    bool released;                     /* dedicated: only the event processor still knows it */
    bool joined;                       /* dedicated */
    _Atomic(struct metrics *) metrics; /* its own block; NULL: it has not started. Any thread */
    /* Of whoever allocated room before the threads started: event_processor_allocate(). */
    _Alignas(max_align_t) unsigned char storage[ETHREAD_STORAGE_BYTES];
};

/* Not started: memory, inbox, timers, eventfd. The event processor makes them; tests may too, and
 * then run turns themselves after ethread_adopt(). */
enum sp_err ethread_init(struct ethread *t, struct event_processor *ep, int id) SP_MUST_CHECK;
void ethread_fini(struct ethread *t);
/* The calling thread is `t` from here on (NULL: none). */
void ethread_adopt(struct ethread *t);
/* The turn of a thread without sockets: sleeps until told or until a timer is due. */
void ethread_plain_turn(struct ethread *t);

/* NULL on a thread that is none. */
extern _Thread_local struct ethread *this_ethread_;
static inline struct ethread *this_ethread(void)
{
    return this_ethread_;
}

static inline void *ethread_storage(struct ethread *t, size_t offset)
{
    return t->storage + offset;
}

/* Its scheduling weight from here on. False: the system refused, and that was logged. On the thread
 * itself. */
bool ethread_set_nice(struct ethread *t, int nice);

/* Monotonic time as of this turn. */
static inline int64_t ethread_now_ms(const struct ethread *t)
{
    return t->now_ms;
}

/* Any thread: item->fn runs on t in one of its next turns. Items of one sender arrive in order.
 * While t is stopping it still runs what arrives before its last turn. */
void ethread_post(struct ethread *t, struct inbox_item *item);

/* The same without waking t: true when the caller must, soon, by ethread_wake(). For a batch that
 * shall not be interrupted by its own first item. */
bool ethread_post_quietly(struct ethread *t, struct inbox_item *item) SP_MUST_CHECK;

/* Any thread: wakes t although nothing was posted (a dedicated thread that shall look at a flag).
 */
void ethread_wake(struct ethread *t);

/* Steps of a turn, for whoever writes a turn function. */
void ethread_take_inbox(struct ethread *t); /* inbox items and events due now */
void ethread_run_timers(struct ethread *t); /* refreshes now_ms, runs what is due */
static inline void ethread_refresh_now(struct ethread *t)
{
    t->now_ms = clock_mono_ms();
}
/* How long a turn may sleep: 0 when something waits, -1 without timers. */
int ethread_wait_ms(const struct ethread *t);

static inline void ethread_timer_arm_in(struct ethread *t, struct timer *timer, int64_t in_ms)
{
    timer_arm(&t->wheel, timer, t->now_ms + in_ms);
}
static inline void ethread_timer_cancel(struct ethread *t, struct timer *timer)
{
    timer_cancel(&t->wheel, timer);
}
