#include "tls_disposal.h"

#include <sallyport/net/net_core.h>

#include <stdlib.h>

/* Of the connections that one handshake thread is to free; what more there is costs a data thread
 * its own time rather than memory. */
#define MAX_PENDING 1024

static void dispose(struct ssl_net_vconnection *vc)
{
    SSL_free(vc->ssl);
    free(vc);
}

static void arrived(struct inbox_item *item, struct ethread *t)
{
    struct ssl_net_vconnection *vc = container_of(item, struct ssl_net_vconnection, super.move);
    struct net_handler *nh = net_handler_of(vc->processor->super.core, t);

    (void)atomic_fetch_sub_explicit(&nh->n_disposals, 1, memory_order_relaxed);
    dispose(vc);
}

/* NULL: all of them sleep or have enough to do. A data thread that shakes hands itself is none. */
static struct net_handler *find_taker(const struct ssl_net_processor *np)
{
    struct net_core *core = np->super.core;
    const struct thread_group *group = &core->ep->groups[np->et_ssl];

    for (int i = 0; i < group->n; i++) {
        struct net_handler *nh = net_handler_of(core, group->threads[i]);

        if ((group->threads[i]->types & 1U << core->et_net) == 0 &&
            atomic_load_explicit(&nh->awake, memory_order_relaxed) &&
            atomic_load_explicit(&nh->n_disposals, memory_order_relaxed) < MAX_PENDING)
            return nh;
    }
    return NULL;
}

static bool is_data_thread(const struct ssl_net_processor *np, const struct ethread *t)
{
    return t != NULL && (t->types & 1U << np->super.core->et_net) != 0;
}

void tls_dispose(struct ssl_net_vconnection *vc)
{
    struct ethread *self = this_ethread();
    struct net_handler *taker = NULL;

    /* A thread that ends finds nobody who would still look. */
    if (vc->ssl != NULL && is_data_thread(vc->processor, self) &&
        !atomic_load_explicit(&self->stopping, memory_order_relaxed))
        taker = find_taker(vc->processor);
    if (taker == NULL) {
        dispose(vc);
        return;
    }
    (void)atomic_fetch_add_explicit(&taker->n_disposals, 1, memory_order_relaxed);
    vc->super.move.fn = arrived;
    ethread_post(taker->thread, &vc->super.move);
}
