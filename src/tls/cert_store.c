#include "cert_names.h"
#include "tls_context.h"
#include "tls_error.h"

#include <openssl/err.h>

#include <stdlib.h>

struct cert_store {
    atomic_uint refs;
    struct arena arena;          /* the names */
    struct cert_bundle *bundles; /* owned, n_bundles */
    uint32_t n_bundles;
    struct cert_names names;
    uint32_t fallback; /* bundle for who asks for no name */
    bool strict_sni;
};

static uint32_t index_of(const struct tls_port_conf *conf, const struct bundle_conf *bundle)
{
    uint32_t i = 0;

    while (i < conf->n_bundles && conf->bundles[i] != bundle)
        i++;
    return i;
}

static void load_one(struct cert_store *store, const struct bundle_conf *conf,
                     struct cert_load *load)
{
    struct cert_bundle *bundle = &store->bundles[store->n_bundles];

    cert_bundle_load(bundle, conf, load);
    cert_names_add_bundle(&store->names, &store->arena, conf, bundle, store->n_bundles, load);
    store->n_bundles++;
}

static void load_all(struct cert_store *store, const struct tls_port_conf *conf,
                     struct cert_load *load)
{
    const struct bundle_conf *fallback = conf->default_bundle;

    for (uint32_t i = 0; i < conf->n_bundles; i++)
        load_one(store, conf->bundles[i], load);
    store->fallback = fallback == NULL ? 0 : index_of(conf, fallback);
    if (store->fallback == conf->n_bundles) /* a default that stands beside the list */
        load_one(store, fallback, load);
    cert_names_finish(&store->names, store->bundles, load);
}

static enum sp_err fill(struct cert_store *store, const struct tls_port_conf *conf,
                        const struct cert_reporter *reporter)
{
    struct cert_load load = {.reporter = reporter, .scratch = tls_context_new(conf)};

    if (load.scratch == NULL)
        return tls_error_take().err == SP_NOMEM ? SP_NOMEM : SP_TLS_INTERNAL;
    store->bundles = calloc((size_t)conf->n_bundles + 1, sizeof(*store->bundles));
    if (store->bundles == NULL)
        load.nomem = true;
    else
        load_all(store, conf, &load);
    SSL_CTX_free(load.scratch);
    ERR_clear_error();
    if (load.nomem)
        return SP_NOMEM;
    return load.n_errors > 0 ? SP_INVALID : SP_OK;
}

struct cert_store *cert_store_new(const struct tls_port_conf *conf,
                                  const struct cert_reporter *reporter, enum sp_err *err)
{
    struct cert_store *store = calloc(1, sizeof(*store));

    *err = SP_NOMEM;
    if (store == NULL)
        return NULL;
    atomic_init(&store->refs, 1);
    arena_init(&store->arena);
    store->strict_sni = conf->strict_sni;
    *err = fill(store, conf, reporter);
    if (*err == SP_OK)
        return store;
    cert_store_unref(store);
    return NULL;
}

struct cert_store *cert_store_ref(struct cert_store *store)
{
    atomic_fetch_add_explicit(&store->refs, 1, memory_order_relaxed);
    return store;
}

void cert_store_unref(struct cert_store *store)
{
    if (store == NULL || atomic_fetch_sub_explicit(&store->refs, 1, memory_order_acq_rel) != 1)
        return;
    for (uint32_t i = 0; i < store->n_bundles; i++)
        cert_bundle_fini(&store->bundles[i]);
    free(store->bundles);
    cert_names_fini(&store->names);
    arena_fini(&store->arena);
    free(store);
}

const struct cert_bundle *cert_store_find(const struct cert_store *store, struct view name)
{
    char buf[CERT_NAME_MAX];
    struct view normal = cert_name_normal(name, buf);
    const struct cert_name *found = NULL;

    if (normal.len > 0 && normal.p[0] != '*') /* which only a certificate may say */
        found = cert_names_find(&store->names, normal);
    if (found != NULL)
        return &store->bundles[found->bundle];
    return name.len > 0 && store->strict_sni ? NULL : &store->bundles[store->fallback];
}

struct view cert_store_bundle_for(const struct cert_store *store, struct view name)
{
    const struct cert_bundle *bundle = cert_store_find(store, name);

    return bundle == NULL ? (struct view){NULL, 0} : tls_label_view(bundle->name);
}
