/* The set of threads: made, grouped by event type, started, stopped. */
#include "event_internal.h"

#include <sallyport/base/log.h>

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct event_processor *event_processor_new(void)
{
    struct event_processor *ep = calloc(1, sizeof(*ep));

    if (ep == NULL)
        return NULL;
    (void)pthread_mutex_init(&ep->lock, NULL);
    ep->groups[ET_CALL].name = "ET_CALL";
    ep->n_types = 1;
    return ep;
}

static void threads_free(struct ethread **threads, int n)
{
    for (int i = 0; i < n; i++) {
        ethread_fini(threads[i]);
        free(threads[i]);
    }
    free(threads);
}

void event_processor_free(struct event_processor *ep)
{
    if (ep == NULL)
        return;
    SP_ASSERT(!ep->started);
    threads_free(ep->threads, ep->n_threads);
    threads_free(ep->dedicated, ep->n_dedicated);
    for (int i = 0; i < ep->n_types; i++)
        free(ep->groups[i].threads);
    (void)pthread_mutex_destroy(&ep->lock);
    free(ep);
}

int event_processor_register(struct event_processor *ep, const char *name)
{
    SP_ASSERT(!ep->started && ep->n_types < MAX_EVENT_TYPES);
    ep->groups[ep->n_types].name = name;
    return ep->n_types++;
}

size_t event_processor_allocate(struct event_processor *ep, size_t size)
{
    size_t at = ep->storage_used;
    size_t align = _Alignof(max_align_t);

    SP_ASSERT(!ep->started);
    ep->storage_used += (size + align - 1) / align * align;
    SP_ASSERT(ep->storage_used <= ETHREAD_STORAGE_BYTES);
    return at;
}

/* One more place at the end of an array of threads. */
static enum sp_err threads_append(struct ethread ***array, int *n, struct ethread *t)
{
    struct ethread **grown = realloc(*array, sizeof(struct ethread *) * ((size_t)*n + 1));

    if (grown == NULL)
        return SP_NOMEM;
    grown[(*n)++] = t;
    *array = grown;
    return SP_OK;
}

static enum sp_err thread_new(struct event_processor *ep, int id, struct ethread **out)
{
    struct ethread *t = calloc(1, sizeof(*t));
    enum sp_err err;

    if (t == NULL)
        return SP_NOMEM;
    err = ethread_init(t, ep, id);
    if (err != SP_OK) {
        free(t);
        return err;
    }
    *out = t;
    return SP_OK;
}

static enum sp_err spawn_one(struct event_processor *ep, int type,
                             const struct spawn_options *options)
{
    struct thread_group *group = &ep->groups[type];
    struct ethread *t;
    enum sp_err err = thread_new(ep, ep->n_threads, &t);

    if (err != SP_OK)
        return err;
    (void)snprintf(t->name, sizeof(t->name), "[%s %d]", group->name, group->n);
    t->types = 1U << type;
    t->nice = options->nice;
    if (options->turn != NULL)
        t->turn = options->turn;
    t->on_start = options->on_start;
    t->on_stop = options->on_stop;
    err = threads_append(&ep->threads, &ep->n_threads, t);
    if (err != SP_OK) {
        ethread_fini(t);
        free(t);
        return err;
    }
    return threads_append(&group->threads, &group->n, t);
}

enum sp_err event_processor_spawn(struct event_processor *ep, int type,
                                  const struct spawn_options *options)
{
    SP_ASSERT(!ep->started && type < ep->n_types && options->n >= 1);
    for (int i = 0; i < options->n; i++) {
        enum sp_err err = SP_LIMIT;

        if (ep->n_threads < MAX_EVENT_THREADS)
            err = spawn_one(ep, type, options);
        if (err != SP_OK)
            return err;
    }
    return SP_OK;
}

enum sp_err event_processor_alias(struct event_processor *ep, int type, int as)
{
    struct thread_group *group = &ep->groups[type];

    SP_ASSERT(!ep->started && type != as);
    for (int i = 0; i < ep->groups[as].n; i++) {
        struct ethread *t = ep->groups[as].threads[i];
        enum sp_err err = threads_append(&group->threads, &group->n, t);

        if (err != SP_OK)
            return err;
        t->types |= 1U << type;
    }
    return SP_OK;
}

/* Signals are the main thread's business: a new thread inherits the mask of its maker. */
static int thread_start(struct ethread *t)
{
    sigset_t all, before;
    int rc;

    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    rc = pthread_create(&t->tid, NULL, ethread_main, t);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    return rc;
}

static void thread_ask_to_end(struct ethread *t)
{
    atomic_store_explicit(&t->stopping, true, memory_order_release);
    ethread_wake(t);
}

static void threads_stop(struct ethread **threads, int n)
{
    for (int i = 0; i < n; i++)
        thread_ask_to_end(threads[i]);
    for (int i = 0; i < n; i++)
        (void)pthread_join(threads[i]->tid, NULL);
}

enum sp_err event_processor_start(struct event_processor *ep)
{
    SP_ASSERT(!ep->started && ep->n_threads > 0);
    (void)pthread_barrier_init(&ep->last_turn, NULL, (unsigned)ep->n_threads);
    for (int i = 0; i < ep->n_threads; i++) {
        int rc = thread_start(ep->threads[i]);

        if (rc == 0)
            continue;
        errno = rc;
        LOG_ERROR(EVENT, "thread=%s pthread_create errno=%d", ep->threads[i]->name, rc);
        /* The barrier waits for all: those that run stand in for the rest of it. */
        (void)pthread_barrier_destroy(&ep->last_turn);
        (void)pthread_barrier_init(&ep->last_turn, NULL, i == 0 ? 1U : (unsigned)i);
        threads_stop(ep->threads, i);
        (void)pthread_barrier_destroy(&ep->last_turn);
        return SP_SYSCALL;
    }
    ep->started = true;
    return SP_OK;
}

/* After this there is none that runs, and there will be none: the array stays as it is. */
static void stop_dedicated(struct event_processor *ep)
{
    (void)pthread_mutex_lock(&ep->lock);
    ep->stopping = true;
    (void)pthread_mutex_unlock(&ep->lock);
    for (int i = 0; i < ep->n_dedicated; i++)
        thread_ask_to_end(ep->dedicated[i]);
    for (int i = 0; i < ep->n_dedicated; i++) {
        if (!ep->dedicated[i]->joined)
            (void)pthread_join(ep->dedicated[i]->tid, NULL);
        ep->dedicated[i]->joined = true;
    }
}

void event_processor_stop(struct event_processor *ep)
{
    SP_ASSERT(this_ethread() == NULL);
    stop_dedicated(ep); /* they may run although the others were never started */
    if (ep->ended)
        return;
    ep->ended = true;
    if (!ep->started) {
        /* What was posted meanwhile (a listener, a connection of a dedicated thread) is let go. */
        for (int i = 0; i < ep->n_threads; i++)
            ethread_wind_up_unstarted(ep->threads[i]);
        return;
    }
    threads_stop(ep->threads, ep->n_threads);
    (void)pthread_barrier_destroy(&ep->last_turn);
    ep->started = false;
}

/* Frees those that were let go and have ended. With the lock held. */
static void sweep_dedicated(struct event_processor *ep)
{
    int kept = 0;

    for (int i = 0; i < ep->n_dedicated; i++) {
        struct ethread *t = ep->dedicated[i];

        if (!t->released || !atomic_load_explicit(&t->ended, memory_order_acquire)) {
            ep->dedicated[kept++] = t;
            continue;
        }
        (void)pthread_join(t->tid, NULL); /* at once: it is past its last statement but one */
        ethread_fini(t);
        free(t);
    }
    ep->n_dedicated = kept;
}

/* With the lock held. */
static enum sp_err start_dedicated(struct event_processor *ep, struct continuation *c,
                                   const char *name, struct ethread **out)
{
    struct ethread *t;
    enum sp_err err = thread_new(ep, MAX_EVENT_THREADS + ep->next_dedicated_id, &t);

    if (err != SP_OK)
        return err;
    (void)snprintf(t->name, sizeof(t->name), "%s", name);
    t->dedicated = c;
    err = threads_append(&ep->dedicated, &ep->n_dedicated, t);
    if (err != SP_OK)
        goto free_thread;
    err = SP_SYSCALL;
    if (thread_start(t) != 0)
        goto drop_last;
    ep->next_dedicated_id++;
    *out = t;
    return SP_OK;

drop_last:
    ep->n_dedicated--;
free_thread:
    ethread_fini(t);
    free(t);
    return err;
}

enum sp_err event_processor_spawn_dedicated(struct event_processor *ep, struct continuation *c,
                                            const char *name, struct ethread **out)
{
    enum sp_err err = SP_SHUTTING_DOWN;

    (void)pthread_mutex_lock(&ep->lock);
    if (!ep->stopping) {
        sweep_dedicated(ep);
        err = start_dedicated(ep, c, name, out);
    }
    (void)pthread_mutex_unlock(&ep->lock);
    return err;
}

void event_processor_release_dedicated(struct event_processor *ep, struct ethread *t)
{
    (void)pthread_mutex_lock(&ep->lock);
    thread_ask_to_end(t);
    t->released = true;
    (void)pthread_mutex_unlock(&ep->lock);
}

struct ethread *event_processor_assign(struct event_processor *ep, int type)
{
    struct thread_group *group = &ep->groups[type];
    unsigned turn;

    SP_ASSERT(group->n > 0);
    if (group->n == 1)
        return group->threads[0];
    turn = atomic_fetch_add_explicit(&group->next, 1, memory_order_relaxed);
    return group->threads[turn % (unsigned)group->n];
}

struct event *ethread_schedule(struct ethread *t, struct continuation *c, int64_t at_ms,
                               int64_t period_ms, int code, void *cookie)
{
    struct event *e = event_new(t, c, at_ms, period_ms, code, cookie);

    if (e == NULL)
        return NULL;
    if (t == this_ethread())
        event_admit(e, t);
    else
        ethread_post(t, &e->inbox_item);
    return e;
}

struct event *schedule_imm(struct event_processor *ep, struct continuation *c, int type, int code,
                           void *cookie)
{
    return ethread_schedule(event_processor_assign(ep, type), c, 0, 0, code, cookie);
}

struct event *schedule_at(struct event_processor *ep, struct continuation *c, int64_t at_ms,
                          int type, int code, void *cookie)
{
    return ethread_schedule(event_processor_assign(ep, type), c, at_ms, 0, code, cookie);
}

struct event *schedule_in(struct event_processor *ep, struct continuation *c, int64_t in_ms,
                          int type, int code, void *cookie)
{
    return schedule_at(ep, c, clock_mono_ms() + in_ms, type, code, cookie);
}

struct event *schedule_every(struct event_processor *ep, struct continuation *c, int64_t period_ms,
                             int type, int code, void *cookie)
{
    return ethread_schedule(event_processor_assign(ep, type), c, clock_mono_ms() + period_ms,
                            period_ms, code, cookie);
}

struct event *schedule_imm_local(struct continuation *c, int code, void *cookie)
{
    return ethread_schedule(this_ethread(), c, 0, 0, code, cookie);
}

struct event *schedule_in_local(struct continuation *c, int64_t in_ms, int code, void *cookie)
{
    struct ethread *t = this_ethread();

    return ethread_schedule(t, c, t->now_ms + in_ms, 0, code, cookie);
}

struct event *schedule_every_local(struct continuation *c, int64_t period_ms, int code,
                                   void *cookie)
{
    struct ethread *t = this_ethread();

    return ethread_schedule(t, c, t->now_ms + period_ms, period_ms, code, cookie);
}
