/* Scheduled calls: how an event reaches its thread, is called, repeated, cancelled and freed. An
 * event is touched by its own thread only, from the moment its inbox item arrives; `cancelled` is
 * the one field that another thread may set. */
#include "event_internal.h"

#include <stdlib.h>

/* A busy continuation is tried again after this long. */
#define MUTEX_RETRY_MS 1

static void event_arrive(struct inbox_item *item, struct ethread *t)
{
    event_admit(container_of(item, struct event, inbox_item), t);
}

static void event_due(struct timer *timer)
{
    struct event *e = container_of(timer, struct event, timer);

    event_run(e, e->thread);
}

struct event *event_new(struct ethread *t, struct continuation *c, int64_t at_ms, int64_t period_ms,
                        int code, void *cookie)
{
    struct event *e = calloc(1, sizeof(*e));

    if (e == NULL)
        return NULL;
    e->inbox_item.fn = event_arrive;
    timer_init(&e->timer, event_due);
    e->cont = c;
    e->mutex = c->mutex;
    e->thread = t;
    e->cookie = cookie;
    e->at_ms = at_ms;
    e->period_ms = period_ms;
    e->code = code;
    atomic_init(&e->cancelled, false);
    return e;
}

void event_admit(struct event *e, struct ethread *t)
{
    if (atomic_load_explicit(&e->cancelled, memory_order_acquire))
        free(e); /* on its way here */
    else if (e->at_ms == 0)
        list_push_back(&t->due, &e->timer.link);
    else
        timer_arm(&t->wheel, &e->timer, e->at_ms);
}

static void event_retry_later(struct event *e, struct ethread *t)
{
    e->at_ms = t->now_ms + MUTEX_RETRY_MS;
    timer_arm(&t->wheel, &e->timer, e->at_ms);
}

void event_run(struct event *e, struct ethread *t)
{
    struct continuation *c = e->cont;
    pthread_mutex_t *mutex = e->mutex;
    int verdict;

    if (atomic_load_explicit(&e->cancelled, memory_order_acquire)) {
        free(e);
        return;
    }
    if (mutex != NULL && pthread_mutex_trylock(mutex) != 0) {
        event_retry_later(e, t);
        return;
    }
    /* Cancelled by the holder of the mutex since we looked? */
    if (mutex != NULL && atomic_load_explicit(&e->cancelled, memory_order_acquire)) {
        (void)pthread_mutex_unlock(mutex);
        free(e);
        return;
    }
    verdict = continuation_call(c, e->code, e->cookie == NULL ? e : e->cookie);
    /* The call may have cancelled this event and freed its continuation: `c` is not looked at. */
    if (e->period_ms == 0 || verdict == EVENT_DONE ||
        atomic_load_explicit(&e->cancelled, memory_order_acquire)) {
        free(e);
    } else {
        e->at_ms = t->now_ms + e->period_ms;
        timer_arm(&t->wheel, &e->timer, e->at_ms);
    }
    if (mutex != NULL)
        (void)pthread_mutex_unlock(mutex);
}

void event_cancel(struct event *e)
{
    atomic_store_explicit(&e->cancelled, true, memory_order_release);
    if (this_ethread() == e->thread && e->at_ms != 0 && timer_is_armed(&e->timer)) {
        timer_cancel(&e->thread->wheel, &e->timer);
        free(e);
    }
}

static void discard_events(struct list *timers)
{
    struct list *n, *next;

    list_for_each_safe (n, next, timers) {
        struct timer *timer = container_of(n, struct timer, link);

        list_remove(n); /* the others are embedded in owners that outlive the loop */
        if (timer->fn == event_due)
            free(container_of(timer, struct event, timer));
    }
}

void event_discard_all(struct ethread *t)
{
    struct inbox_item *item = inbox_take_all(&t->inbox);

    while (item != NULL) {
        struct inbox_item *next = item->next;

        if (item->fn == event_arrive)
            free(container_of(item, struct event, inbox_item));
        item = next;
    }
    discard_events(&t->due);
    for (unsigned level = 0; level < TIMER_WHEEL_LEVELS; level++)
        for (unsigned slot = 0; slot < TIMER_WHEEL_SLOTS; slot++)
            discard_events(&t->wheel.slots[level][slot]);
    discard_events(&t->wheel.overdue);
    t->wheel.n_armed = 0;
}
