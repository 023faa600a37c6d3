/* A part and an inbox item for each thread, and a reference for each that is under way. */
#include "admin_gather.h"

#include "admin_route.h"

#include <semaphore.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* How long the end of the program may be kept from a handler that waits here. */
#define LOOK_MS 50

struct gather_slot {
    struct inbox_item item;
    struct admin_gather *gather;
    struct ethread *thread;
    void *part; /* owned */
    atomic_bool answered;
};

struct admin_gather {
    struct net_core *core;
    atomic_uint refs;
    sem_t told; /* once an answer: whoever answers never waits here */
    admin_visit visit;
    void (*part_fini)(void *part);
    void *question; /* owned */
    int n;
    struct gather_slot slots[];
};

static void gather_free(struct admin_gather *g)
{
    for (int i = 0; i < g->n; i++) {
        if (g->part_fini != NULL && g->slots[i].part != NULL)
            g->part_fini(g->slots[i].part);
        free(g->slots[i].part);
    }
    free(g->question);
    (void)sem_destroy(&g->told);
    free(g);
}

void admin_gather_unref(struct admin_gather *g)
{
    if (g != NULL && atomic_fetch_sub_explicit(&g->refs, 1, memory_order_acq_rel) == 1)
        gather_free(g);
}

/* False: out of memory. */
static bool add_slots(struct admin_gather *g, size_t part_size)
{
    for (int i = 0; i < g->core->ep->n_threads; i++) {
        struct ethread *t = g->core->ep->threads[i];
        struct gather_slot *slot = &g->slots[g->n];

        if (net_handler_of(g->core, t) == NULL)
            continue;
        slot->gather = g;
        slot->thread = t;
        slot->part = calloc(1, part_size);
        if (slot->part == NULL)
            return false;
        g->n++;
    }
    return true;
}

struct admin_gather *admin_gather_new(struct net_core *core, size_t part_size, const void *question,
                                      size_t question_size, void (*part_fini)(void *part))
{
    struct admin_gather *g =
        calloc(1, sizeof(*g) + sizeof(struct gather_slot) * (size_t)core->ep->n_threads);

    if (g == NULL)
        return NULL;
    g->core = core;
    g->part_fini = part_fini;
    atomic_init(&g->refs, 1);
    (void)sem_init(&g->told, 0, 0);
    g->question = malloc(question_size == 0 ? 1 : question_size);
    if (g->question == NULL || !add_slots(g, part_size)) {
        gather_free(g);
        return NULL;
    }
    if (question_size > 0)
        memcpy(g->question, question, question_size);
    return g;
}

static void visit(struct inbox_item *item, struct ethread *t)
{
    struct gather_slot *slot = container_of(item, struct gather_slot, item);
    struct admin_gather *g = slot->gather;

    g->visit(net_handler_of(g->core, t), g->question, slot->part);
    atomic_store_explicit(&slot->answered, true, memory_order_release);
    (void)sem_post(&g->told);
    admin_gather_unref(g);
}

/* One answer. False: none came in time. */
static bool wait_for_one(struct admin_gather *g, int64_t deadline_ms)
{
    for (;;) {
        int64_t now_ms = clock_mono_ms(), until_ms = now_ms + LOOK_MS;
        struct timespec until = {.tv_sec = until_ms / 1000,
                                 .tv_nsec = (long)(until_ms % 1000) * 1000000L};

        if (sem_clockwait(&g->told, CLOCK_MONOTONIC, &until) == 0)
            return true;
        if (now_ms >= deadline_ms || admin_is_stopping())
            return false;
    }
}

bool admin_gather_run(struct admin_gather *g, admin_visit visit_fn, int64_t timeout_ms)
{
    int64_t deadline_ms = clock_mono_ms() + timeout_ms;

    g->visit = visit_fn;
    for (int i = 0; i < g->n; i++) {
        g->slots[i].item.fn = visit;
        atomic_fetch_add_explicit(&g->refs, 1, memory_order_relaxed);
        ethread_post(g->slots[i].thread, &g->slots[i].item);
    }
    for (int i = 0; i < g->n; i++)
        if (!wait_for_one(g, deadline_ms))
            return false;
    return true;
}

int admin_gather_count(const struct admin_gather *g)
{
    return g->n;
}

void *admin_gather_part(struct admin_gather *g, int i)
{
    bool answered = atomic_load_explicit(&g->slots[i].answered, memory_order_acquire);

    return answered ? g->slots[i].part : NULL;
}

struct ethread *admin_gather_thread(const struct admin_gather *g, int i)
{
    return g->slots[i].thread;
}
