/* Other settings for the net layer: what any thread reads is atomic, what a thread reads of its own
 * handler is brought to it. */
#include "net_internal.h"

#include <stdlib.h>

struct delivery {
    struct inbox_item item;
    struct net_core_change *change;
    struct net_handler *nh;
};

struct net_core_change {
    struct net_core *core;
    struct handshake_queue_options handshakes;
    int64_t handshake_budget_ns;
    uint32_t handshake_floor_percent;
    atomic_uint left; /* threads that have not taken theirs; the last one frees this */
    uint32_t n;
    struct delivery deliveries[];
};

struct net_core_change *net_core_change_prepare(struct net_core *core)
{
    uint32_t n = (uint32_t)core->ep->n_threads;
    struct net_core_change *c = calloc(1, sizeof(*c) + n * sizeof(c->deliveries[0]));

    if (c == NULL)
        return NULL;
    c->core = core;
    for (uint32_t i = 0; i < n; i++) {
        struct net_handler *nh = net_handler_of(core, core->ep->threads[i]);

        if (nh != NULL)
            c->deliveries[c->n++] = (struct delivery){.change = c, .nh = nh};
    }
    return c;
}

void net_core_change_abandon(struct net_core_change *c)
{
    free(c);
}

static void take(struct inbox_item *item, struct ethread *t)
{
    struct delivery *d = container_of(item, struct delivery, item);
    struct net_core_change *c = d->change;
    struct handshake_floor *floor = &d->nh->floor;

    (void)t;
    d->nh->handshakes.options = c->handshakes;
    handshake_shed_set(&d->nh->shed, &c->handshakes);
    handshake_floor_set(floor, c->handshake_floor_percent,
                        floor->own_thread ? floor->base_budget_ns : c->handshake_budget_ns);
    if (atomic_fetch_sub_explicit(&c->left, 1, memory_order_acq_rel) == 1)
        free(c);
}

void net_core_change_commit(struct net_core_change *c, const struct net_core_options *options)
{
    struct net_core *core = c->core;
    uint32_t n = c->n;

    atomic_store_explicit(&core->default_inactivity_ms, options->default_inactivity_ms,
                          memory_order_relaxed);
    atomic_store_explicit(&core->max_keep_alive, options->max_keep_alive, memory_order_relaxed);
    net_throttle_set(core->throttle, &options->throttle);
    handshake_limits_set(core->handshake_limits, &options->handshake_limits);
    c->handshakes = options->handshakes;
    c->handshake_budget_ns = options->handshake_budget_ns;
    c->handshake_floor_percent = options->handshake_floor_percent;
    atomic_init(&c->left, n);
    for (uint32_t i = 0; i < n; i++) { /* with the last one `c` may be gone */
        struct delivery *d = &c->deliveries[i];

        d->item.fn = take;
        ethread_post(d->nh->thread, &d->item);
    }
}
