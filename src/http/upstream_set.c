/* Counts and marks are atomics. A mark that comes a moment late costs one attempt, so nothing here
 * is ordered. */
#include "upstream_internal.h"

#include <stdlib.h>

enum { FIRST_PAUSE_MS = 500, MAX_PAUSE_MS = 10000, PROBE_MS = 1000 };

/* ---- One server ---- */

/* A server and what it says of itself, in one piece. */
struct server_block {
    struct upstream_server server;
    struct server_conf conf;
    char text[]; /* name, host */
};

static struct upstream_server *server_new(const struct server_conf *conf)
{
    struct server_block *block = calloc(1, sizeof(*block) + conf->name.len + conf->host.len);
    char *host;

    if (block == NULL)
        return NULL;
    host = block->text + conf->name.len;
    if (conf->name.len > 0)
        memcpy(block->text, conf->name.p, conf->name.len);
    if (conf->host.len > 0)
        memcpy(host, conf->host.p, conf->host.len);
    block->conf = *conf;
    block->conf.name = (struct view){block->text, conf->name.len};
    block->conf.host = (struct view){host, conf->host.len};
    block->server.conf = &block->conf;
    atomic_init(&block->server.refs, 1);
    return &block->server;
}

static void server_unref(struct upstream_server *s)
{
    if (s != NULL && atomic_fetch_sub_explicit(&s->refs, 1, memory_order_acq_rel) == 1)
        free(container_of(s, struct server_block, server));
}

/* ---- What stays the same ---- */

static bool is_same_tls(const struct tls_client_conf *a, const struct tls_client_conf *b)
{
    if (!a->enabled || !b->enabled)
        return a->enabled == b->enabled;
    return a->verify == b->verify && a->preset == b->preset && view_eq(a->ca_file, b->ca_file) &&
           view_eq(a->server_name, b->server_name) && view_eq(a->certificate, b->certificate) &&
           view_eq(a->key, b->key);
}

/* The backend of that name, if what is spoken with it is the same. Most configurations change
 * little: it is looked for at the same place first. */
static struct upstream_backend *find_backend(const struct upstream_set *set,
                                             const struct backend_conf *conf, uint32_t hint)
{
    uint32_t n = set == NULL ? 0 : set->config->n_backends;

    for (uint32_t i = 0; i < n; i++) {
        struct upstream_backend *b = &set->backends[(hint + i) % n];

        if (!view_eq(b->conf->name, conf->name))
            continue;
        if (b->conf->protocol == conf->protocol && is_same_tls(&b->conf->tls, &conf->tls))
            return b;
        return NULL;
    }
    return NULL;
}

/* The host of an unresolved name is part of the name as it is written. A path relative to the
 * configuration's folder is not. */
static bool is_same_server(const struct server_conf *a, const struct server_conf *b)
{
    return view_eq(a->name, b->name) && a->endpoint.len == b->endpoint.len &&
           memcmp(&a->endpoint.storage, &b->endpoint.storage, a->endpoint.len) == 0;
}

/* A new reference; NULL: none is the same. */
static struct upstream_server *find_server(const struct upstream_backend *old,
                                           const struct server_conf *conf, uint32_t hint)
{
    uint32_t n = old == NULL ? 0 : old->conf->n_servers;

    for (uint32_t i = 0; i < n; i++) {
        struct upstream_server *s = old->servers[(hint + i) % n];

        if (!is_same_server(s->conf, conf))
            continue;
        atomic_fetch_add_explicit(&s->refs, 1, memory_order_relaxed);
        return s;
    }
    return NULL;
}

/* ---- The set ---- */

/* `tls`: of its servers, or NULL. On a failure what was made is left to upstream_set_unref(). */
static bool make_backend(struct upstream_backend *b, struct upstream_backend *old,
                         struct tls_client *const *tls)
{
    const struct backend_conf *conf = b->conf;

    b->servers = calloc(conf->n_servers, sizeof(struct upstream_server *));
    b->tls = calloc(conf->n_servers, sizeof(struct tls_client *));
    if (b->servers == NULL || b->tls == NULL)
        return false;
    if (old != NULL)
        atomic_init(&b->next, atomic_load_explicit(&old->next, memory_order_relaxed));
    for (uint32_t i = 0; i < conf->n_servers; i++) {
        b->servers[i] = find_server(old, &conf->servers[i], i);
        if (b->servers[i] == NULL)
            b->servers[i] = server_new(&conf->servers[i]);
        if (b->servers[i] == NULL)
            return false;
        b->tls[i] = tls_client_ref(tls == NULL ? NULL : tls[i]);
        SP_ASSERT((b->tls[i] != NULL) == conf->tls.enabled); /* never in the clear by accident */
    }
    return true;
}

static bool make_backends(struct upstream_set *set, const struct upstream_set_options *options)
{
    const struct config *config = options->config;
    struct tls_client *const *tls = options->tls;

    for (uint32_t i = 0; i < config->n_backends; i++) {
        struct upstream_backend *b = &set->backends[i];

        b->conf = &config->backends[i];
        b->set = set;
        if (!make_backend(b, find_backend(options->old, b->conf, i), tls))
            return false;
        if (tls != NULL)
            tls += b->conf->n_servers;
    }
    return true;
}

struct upstream_set *upstream_set_new(const struct upstream_set_options *options)
{
    struct upstream_set *set = calloc(1, sizeof(*set));

    if (set == NULL)
        return NULL;
    set->backends = calloc((size_t)options->config->n_backends + 1, sizeof(*set->backends));
    if (set->backends == NULL) {
        free(set);
        return NULL;
    }
    atomic_init(&set->refs, 1);
    set->config = config_ref(options->config);
    if (!make_backends(set, options)) {
        upstream_set_unref(set);
        return NULL;
    }
    return set;
}

struct upstream_set *upstream_set_ref(struct upstream_set *set)
{
    atomic_fetch_add_explicit(&set->refs, 1, memory_order_relaxed);
    return set;
}

/* Also of one that was only begun. */
static void free_backend(struct upstream_backend *b)
{
    for (uint32_t i = 0; b->servers != NULL && b->tls != NULL && i < b->conf->n_servers; i++) {
        server_unref(b->servers[i]);
        tls_client_unref(b->tls[i]);
    }
    free(b->servers);
    free(b->tls);
}

void upstream_set_unref(struct upstream_set *set)
{
    if (set == NULL || atomic_fetch_sub_explicit(&set->refs, 1, memory_order_acq_rel) != 1)
        return;
    for (uint32_t i = 0; i < set->config->n_backends; i++)
        free_backend(&set->backends[i]);
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

/* ---- Counts and marks ---- */

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
