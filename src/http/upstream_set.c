/* What the threads share about the servers: counts and marks, all of them atomics. A mark that
 * comes a moment late costs one attempt, so nothing here is ordered. */
#include "upstream_internal.h"

#include <stdlib.h>

enum { FIRST_PAUSE_MS = 500, MAX_PAUSE_MS = 10000, PROBE_MS = 1000 };

static bool make_backend(struct upstream_backend *b, const struct backend_conf *conf)
{
    b->conf = conf;
    b->servers = calloc(conf->n_servers, sizeof(*b->servers));
    if (b->servers == NULL)
        return false;
    for (uint32_t i = 0; i < conf->n_servers; i++)
        b->servers[i].conf = &conf->servers[i];
    return true;
}

struct upstream_set *upstream_set_new(struct config *config)
{
    struct upstream_set *set = calloc(1, sizeof(*set));

    if (set == NULL)
        return NULL;
    set->backends = calloc((size_t)config->n_backends + 1, sizeof(*set->backends));
    if (set->backends == NULL) {
        free(set);
        return NULL;
    }
    set->config = config_ref(config);
    for (uint32_t i = 0; i < config->n_backends; i++) {
        if (!make_backend(&set->backends[i], &config->backends[i])) {
            upstream_set_free(set);
            return NULL;
        }
    }
    return set;
}

void upstream_set_free(struct upstream_set *set)
{
    if (set == NULL)
        return;
    for (uint32_t i = 0; i < set->config->n_backends; i++)
        free(set->backends[i].servers);
    free(set->backends);
    config_unref(set->config);
    free(set);
}

struct upstream_backend *upstream_set_find(struct upstream_set *set,
                                           const struct backend_conf *conf)
{
    SP_ASSERT(conf >= set->config->backends &&
              conf < set->config->backends + set->config->n_backends);
    return &set->backends[conf - set->config->backends];
}

void upstream_server_failed(struct upstream_server *s, int64_t now_ms)
{
    unsigned before = atomic_fetch_add_explicit(&s->failures, 1, memory_order_relaxed);
    int64_t pause_ms = before >= 5 ? MAX_PAUSE_MS : (int64_t)FIRST_PAUSE_MS << before;

    atomic_store_explicit(&s->retry_at_ms, now_ms + pause_ms, memory_order_relaxed);
}

void upstream_server_reached(struct upstream_server *s)
{
    if (atomic_load_explicit(&s->failures, memory_order_relaxed) == 0)
        return;
    atomic_store_explicit(&s->failures, 0, memory_order_relaxed);
    atomic_store_explicit(&s->retry_at_ms, 0, memory_order_relaxed);
}

bool upstream_server_is_up(struct upstream_server *s, int64_t now_ms)
{
    int64_t retry_at_ms;

    if (atomic_load_explicit(&s->failures, memory_order_relaxed) == 0)
        return true;
    retry_at_ms = atomic_load_explicit(&s->retry_at_ms, memory_order_relaxed);
    if (retry_at_ms > now_ms)
        return false;
    return atomic_compare_exchange_strong_explicit(&s->retry_at_ms, &retry_at_ms, now_ms + PROBE_MS,
                                                   memory_order_relaxed, memory_order_relaxed);
}

bool upstream_server_take(struct upstream_server *s, uint32_t max_connections)
{
    unsigned before = atomic_fetch_add_explicit(&s->connections, 1, memory_order_relaxed);

    if (max_connections == 0 || before < max_connections)
        return true;
    upstream_server_give_back(s);
    return false;
}

void upstream_server_give_back(struct upstream_server *s)
{
    (void)atomic_fetch_sub_explicit(&s->connections, 1, memory_order_relaxed);
}
