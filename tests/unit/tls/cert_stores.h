/* A port's certificates out of its settings alone, for tests that need no configuration around it.
 */
#pragma once

#include "unit_test.h"

#include <sallyport/tls/cert_store.h>

/* Every bundle that the port names is read; `set`, unless NULL, gets a reference to them. */
static inline struct cert_store *store_make_set(const struct tls_port_conf *conf,
                                                const struct cert_reporter *reporter,
                                                enum sp_err *err, struct cert_set **set)
{
    struct bundle_conf bundles[16];
    struct cert_set_options options = {.bundles = bundles, .reporter = reporter};
    bool has_default = conf->default_bundle == NULL;
    struct cert_store *store = NULL;
    struct cert_set *loaded;

    for (uint32_t i = 0; i < conf->n_bundles; i++) {
        assert_true(options.n_bundles < SP_COUNT_OF(bundles) - 1);
        has_default = has_default || conf->bundles[i] == conf->default_bundle;
        bundles[options.n_bundles++] = *conf->bundles[i];
    }
    if (!has_default)
        bundles[options.n_bundles++] = *conf->default_bundle;
    loaded = cert_set_load(&options, err);
    if (loaded == NULL)
        return NULL;
    store = cert_store_new(
        &(struct cert_store_options){.conf = conf, .set = loaded, .reporter = reporter});
    if (store == NULL)
        *err = SP_NOMEM;
    if (set != NULL)
        *set = cert_set_ref(loaded);
    cert_set_unref(loaded);
    return store;
}

static inline struct cert_store *store_make(const struct tls_port_conf *conf,
                                            const struct cert_reporter *reporter, enum sp_err *err)
{
    return store_make_set(conf, reporter, err, NULL);
}
