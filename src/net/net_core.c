/* The threads of the net layer and what they share. */
#include "net_internal.h"

#include <sallyport/base/log.h>

#include <stdlib.h>

/* A thread of its own for handshakes looks at what has arrived this often: the newest may be served
 * before those that have waited too long. */
#define OWN_THREAD_BUDGET_NS INT64_C(1000000)

static void thread_start(struct ethread *t)
{
    struct net_handler **slot = ethread_storage(t, NET_HANDLER_OFFSET);

    handshake_floor_start(&(*slot)->floor, t);
}

static void thread_stop(struct ethread *t)
{
    struct net_handler **slot = ethread_storage(t, NET_HANDLER_OFFSET);

    if (*slot != NULL) /* NULL: the core could not be made */
        net_handler_close_all(*slot);
}

static const struct handshake_queue_options default_handshakes = {.max_waiting = 256,
                                                                  .max_open = 4096,
                                                                  .target_wait_us = 50000,
                                                                  .max_wait_us = 2000000,
                                                                  .shed_after_us = 1000000};

struct net_core *net_core_new(struct event_processor *ep, const struct net_core_options *options)
{
    struct net_core *core = calloc(1, sizeof(*core));

    if (core == NULL)
        return NULL;
    core->throttle = net_throttle_new(&options->throttle);
    if (core->throttle == NULL)
        goto free_core;
    core->handshake_limits = handshake_limits_new(&options->handshake_limits);
    if (core->handshake_limits == NULL)
        goto free_throttle;
    core->ep = ep;
    core->default_inactivity_ms = options->default_inactivity_ms;
    core->max_keep_alive = options->max_keep_alive;
    core->handshake_budget_ns = options->handshake_budget_ns;
    core->handshakes =
        options->handshakes.max_waiting == 0 ? default_handshakes : options->handshakes;
    core->handshake_floor_percent = options->handshake_floor_percent;
    atomic_init(&core->next_vc_id, 1);
    core->handler_offset = event_processor_allocate(ep, sizeof(struct net_handler *));
    SP_ASSERT(core->handler_offset == NET_HANDLER_OFFSET);
    core->et_net = event_processor_register(ep, "ET_NET");
    if (net_core_spawn(core, core->et_net, options->n_net_threads, 0) != SP_OK ||
        event_processor_alias(ep, ET_CALL, core->et_net) != SP_OK)
        goto free_handlers;
    return core;

free_handlers:
    net_core_free(core);
    return NULL;
free_throttle:
    net_throttle_free(core->throttle);
free_core:
    free(core);
    return NULL;
}

static enum sp_err handler_new(struct net_core *core, struct ethread *t, bool own_thread, int nice)
{
    struct net_handler **slot = ethread_storage(t, core->handler_offset);
    struct net_handler *nh = malloc(sizeof(*nh));

    if (nh == NULL)
        return SP_NOMEM;
    if (net_handler_init(nh, core, t) != SP_OK) {
        free(nh);
        return SP_SYSCALL;
    }
    handshake_floor_init(&nh->floor, core->handshake_floor_percent, own_thread, nice,
                         own_thread ? OWN_THREAD_BUDGET_NS : core->handshake_budget_ns);
    *slot = nh;
    return SP_OK;
}

enum sp_err net_core_spawn(struct net_core *core, int type, int n, int nice)
{
    const struct spawn_options options = {
        .n = n, .turn = net_handler_turn, .on_start = thread_start, .on_stop = thread_stop};
    struct thread_group *group = &core->ep->groups[type];
    int first = group->n;
    enum sp_err err = event_processor_spawn(core->ep, type, &options);

    for (int i = first; err == SP_OK && i < group->n; i++) {
        err = handler_new(core, group->threads[i], type != core->et_net, nice);
    }
    return err;
}

void net_core_free(struct net_core *core)
{
    if (core == NULL)
        return;
    for (int i = 0; i < core->ep->n_threads; i++) {
        struct net_handler **slot = ethread_storage(core->ep->threads[i], core->handler_offset);

        if (*slot == NULL)
            continue;
        net_handler_fini(*slot);
        free(*slot);
        *slot = NULL;
    }
    handshake_limits_free(core->handshake_limits);
    net_throttle_free(core->throttle);
    free(core);
}
