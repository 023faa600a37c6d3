/* A scheduled call of a continuation: now, at a time, after a while, or again and again. */
#pragma once

#include <sallyport/base/list.h>
#include <sallyport/event/continuation.h>
#include <sallyport/event/inbox.h>
#include <sallyport/event/timer_wheel.h>

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct ethread;

struct event {
    struct inbox_item inbox_item;
    struct timer timer;
    struct continuation *cont; /* borrowed; must live until the call or the cancel */
    pthread_mutex_t *mutex;    /* the continuation's; must live as long as the event's thread */
    struct ethread *thread;    /* runs it */
    void *cookie;              /* passed as data; NULL: the event itself */
    int64_t at_ms;             /* monotonic; 0: at once */
    int64_t period_ms;         /* 0: once */
    int code;                  /* EVENT_IMMEDIATE, EVENT_INTERVAL or the caller's */
    atomic_bool cancelled;
};

/* The event will not call any more and its memory goes back by itself. Thread: the one that runs
 * it, at any time from schedule until its (last) call has returned; another thread only while it
 * holds the continuation's mutex, under which it knows that the call is still to come; the
 * continuation may go right after, the mutex may not: the event's thread may just be trying it. */
void event_cancel(struct event *e);
