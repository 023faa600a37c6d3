#include "net_placement.h"

#include <sallyport/net/net_core.h>

/* More than the fewest, and a quarter, and so many: too many. */
#define SLACK 16

static int index_of(const struct thread_group *group, const struct ethread *t)
{
    for (int i = 0; i < group->n; i++)
        if (group->threads[i] == t)
            return i;
    return 0;
}

/* Of the group that only runs handshakes. */
static int number_of(const struct event_processor *ep, const struct ethread *t)
{
    for (int type = 0; type < ep->n_types; type++)
        if ((t->types >> type & 1) != 0)
            return index_of(&ep->groups[type], t);
    return 0;
}

void net_placement_init(struct net_placement *p, struct net_handler *nh)
{
    const struct event_processor *ep = nh->core->ep;

    p->nh = nh;
    p->mate = number_of(ep, nh->thread) % ep->groups[nh->core->et_net].n;
}

int net_placement_choose(const uint32_t *open, int n, int mate)
{
    int fewest = 0;

    for (int i = 1; i < n; i++)
        if (open[i] < open[fewest])
            fewest = i;
    return open[mate] <= open[fewest] + open[fewest] / 4 + SLACK ? mate : fewest;
}

struct ethread *net_placement_next(const struct net_placement *p)
{
    struct net_core *core = p->nh->core;
    const struct thread_group *group = &core->ep->groups[core->et_net];
    uint32_t open[MAX_EVENT_THREADS];

    SP_ASSERT(group->n > 0);
    for (int i = 0; i < group->n; i++)
        open[i] = atomic_load_explicit(&net_handler_of(core, group->threads[i])->n_open_now,
                                       memory_order_relaxed);
    return group->threads[net_placement_choose(open, group->n, p->mate)];
}
