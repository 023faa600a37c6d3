/* Starts and stops the threads, and knows which serve which event type.
 *
 *     ep = event_processor_new();
 *     et_ssl = event_processor_register(ep, "ET_SSL");
 *     offset = event_processor_allocate(ep, sizeof(struct net_handler));
 *     event_processor_spawn(ep, et_ssl, &(struct spawn_options){.n = 2, .nice = 10});
 *     event_processor_start(ep);           every thread runs from here on
 *     ...
 *     event_processor_stop(ep);            any thread but an ethread
 *     event_processor_free(ep);
 *
 * Register, allocate and spawn before start; dedicated threads at any time. */
#pragma once

#include <sallyport/event/ethread.h>

#define ET_CALL           0 /* anything short; an alias of ET_NET once that is spawned */
#define MAX_EVENT_TYPES   16
#define MAX_EVENT_THREADS 512

struct thread_group {
    const char *name;
    struct ethread **threads; /* owned array, borrowed threads */
    int n;
    atomic_uint next; /* round robin */
};

struct event_processor {
    struct thread_group groups[MAX_EVENT_TYPES];
    int n_types;
    struct ethread **threads; /* owned, all of them */
    int n_threads;
    size_t storage_used;
    bool started;
    bool ended;                  /* stopped, for good */
    pthread_barrier_t last_turn; /* all threads leave their loop before the first one lets go */
    pthread_mutex_t lock;        /* of what follows: dedicated threads come and go at any time */
    struct ethread **dedicated;  /* owned */
    int n_dedicated;
    int next_dedicated_id;
    bool stopping; /* no more of them */
};

struct spawn_options {
    int n;                 /* >= 1 */
    int nice;              /* 0..19 */
    ethread_turn_fn turn;  /* NULL: the plain turn of ET_TASK */
    ethread_hook on_start; /* on the thread before its first turn; may be NULL */
    ethread_hook on_stop;  /* on the thread after its last turn; may be NULL */
};

struct event_processor *event_processor_new(void) SP_MUST_CHECK; /* NULL: out of memory */
void event_processor_free(struct event_processor *ep);           /* after stop, or never started */

/* A new event type; `name` is static. Types are few: asserts on the seventeenth. */
int event_processor_register(struct event_processor *ep, const char *name);
/* Room in every thread's storage, aligned for any object; the offset. Asserts when full. */
size_t event_processor_allocate(struct event_processor *ep, size_t size);
/* Makes threads for a type (not yet running). */
enum sp_err event_processor_spawn(struct event_processor *ep, int type,
                                  const struct spawn_options *options) SP_MUST_CHECK;
/* `type` is served by the threads of `as` as well: ET_SSL in the loops of ET_NET, ET_CALL. */
enum sp_err event_processor_alias(struct event_processor *ep, int type, int as) SP_MUST_CHECK;
enum sp_err event_processor_start(struct event_processor *ep) SP_MUST_CHECK;
/* Asks every thread to end after its current turn and waits for them, dedicated ones first. Where
 * the threads were never started, what they would have done at their end is done by the caller, so
 * that whatever was posted to them is let go. */
void event_processor_stop(struct event_processor *ep);

/* A thread of its own for one blocking continuation (called with EVENT_IMMEDIATE and its ethread);
 * it must return soon after ethread->stopping was set and its wake-up happened. Any thread. */
enum sp_err event_processor_spawn_dedicated(struct event_processor *ep, struct continuation *c,
                                            const char *name, struct ethread **out) SP_MUST_CHECK;
/* Asks it to end and does not wait: `t` is void for the caller from here on. Any thread. */
void event_processor_release_dedicated(struct event_processor *ep, struct ethread *t);

/* The next thread of a type, round robin. Any thread. */
struct ethread *event_processor_assign(struct event_processor *ep, int type);

/* Any thread. `cookie` NULL: the event itself is passed. The event returned is for event_cancel();
 * NULL: out of memory, nothing was scheduled. A one-shot event is gone when its call returned. */
struct event *schedule_imm(struct event_processor *ep, struct continuation *c, int type, int code,
                           void *cookie);
struct event *schedule_at(struct event_processor *ep, struct continuation *c, int64_t at_ms,
                          int type, int code, void *cookie);
struct event *schedule_in(struct event_processor *ep, struct continuation *c, int64_t in_ms,
                          int type, int code, void *cookie);
struct event *schedule_every(struct event_processor *ep, struct continuation *c, int64_t period_ms,
                             int type, int code, void *cookie);
/* On one thread. */
struct event *ethread_schedule(struct ethread *t, struct continuation *c, int64_t at_ms,
                               int64_t period_ms, int code, void *cookie);
/* On the calling ethread. */
struct event *schedule_imm_local(struct continuation *c, int code, void *cookie);
struct event *schedule_in_local(struct continuation *c, int64_t in_ms, int code, void *cookie);
struct event *schedule_every_local(struct continuation *c, int64_t period_ms, int code,
                                   void *cookie);
