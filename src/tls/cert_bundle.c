#include "cert_bundle.h"

#include <sallyport/base/clock.h>
#include <sallyport/config/bundle.h>

#include <stdlib.h>
#include <string.h>

/* ---- Pairs ---- */

/* OpenSSL has one place for each type of key, and a second one of a type would silently displace
 * the first. */
static bool has_key_type(const struct cert_bundle *bundle, const EVP_PKEY *key)
{
    for (uint32_t i = 0; i < bundle->n_pairs; i++)
        if (EVP_PKEY_get_base_id(bundle->pairs[i].key) == EVP_PKEY_get_base_id(key))
            return true;
    return false;
}

static void take_pair(struct cert_bundle *bundle, const struct cert_conf *conf,
                      struct cert_load *load)
{
    struct cert_pair *pair = &bundle->pairs[bundle->n_pairs];

    if (!cert_pair_load(pair, conf, load))
        return;
    if (has_key_type(bundle, pair->key)) {
        const char *type = EVP_PKEY_get0_type_name(pair->key);

        cert_load_error(load, conf->key,
                        "is the bundle's second key of type %s; a bundle has one of each type",
                        type == NULL ? "?" : type);
        cert_pair_fini(pair);
        return;
    }
    if (!cert_bundle_take_ocsp(bundle, pair, conf, load))
        cert_load_nomem(load, conf->chain);
    bundle->n_pairs++;
}

/* ---- Files ---- */

struct stamping {
    struct file_stamp *stamps; /* NULL: they are only counted */
    uint32_t n;
};

static void take_stamp(void *arg, struct view path)
{
    struct stamping *to = arg;

    if (to->stamps != NULL)
        file_stamp_take(path, &to->stamps[to->n]);
    to->n++;
}

static bool take_stamps(struct cert_bundle *bundle, const struct bundle_conf *conf)
{
    struct stamping counting = {0}, taking = {0};

    config_bundle_files(conf, take_stamp, &counting);
    taking.stamps = bundle->stamps = calloc(counting.n + 1, sizeof(*bundle->stamps));
    if (bundle->stamps == NULL)
        return false;
    config_bundle_files(conf, take_stamp, &taking);
    bundle->n_stamps = taking.n;
    return true;
}

struct comparing {
    const struct cert_bundle *bundle;
    uint32_t n;
    bool changed;
};

static void compare_stamp(void *arg, struct view path)
{
    struct comparing *c = arg;
    struct file_stamp stamp;

    if (c->changed)
        return;
    file_stamp_take(path, &stamp);
    c->changed = c->n >= c->bundle->n_stamps || !file_stamp_eq(&stamp, &c->bundle->stamps[c->n]);
    c->n++;
}

bool cert_bundle_files_changed(const struct cert_bundle *bundle, const struct bundle_conf *conf)
{
    struct comparing c = {.bundle = bundle};

    config_bundle_files(conf, compare_stamp, &c);
    return c.changed || c.n != bundle->n_stamps;
}

/* ---- Life ---- */

static bool bundle_init(struct cert_bundle *bundle, const struct bundle_conf *conf)
{
    atomic_init(&bundle->refs, 1);
    bundle->settings = config_bundle_hash(conf);
    bundle->name = tls_label_new(conf->name);
    bundle->pairs = calloc(conf->n_certs, sizeof(*bundle->pairs));
    return bundle->name != NULL && bundle->pairs != NULL && take_stamps(bundle, conf);
}

static void bundle_free(struct cert_bundle *bundle)
{
    for (uint32_t i = 0; i < bundle->n_pairs; i++)
        cert_pair_fini(&bundle->pairs[i]);
    free(bundle->pairs);
    free(bundle->names);
    free(bundle->stamps);
    client_trust_unref(bundle->trust);
    tls_label_unref(bundle->name);
    free(bundle);
}

static void take_trust(struct cert_bundle *bundle, const struct client_auth_conf *conf,
                       struct cert_load *load)
{
    bundle->has_client_auth = conf->given;
    if (conf->given && conf->mode != CLIENT_AUTH_OFF)
        bundle->trust = client_trust_load(conf, load);
}

/* Goes on after a problem, so that everything that is wrong is told at once. */
static bool bundle_fill(struct cert_bundle *bundle, const struct bundle_conf *conf,
                        struct cert_load *load)
{
    uint32_t errors_before = load->n_errors;

    for (uint32_t i = 0; i < conf->n_certs; i++)
        take_pair(bundle, &conf->certs[i], load);
    take_trust(bundle, &conf->client_auth, load);
    if (!cert_bundle_take_names(bundle, conf, load))
        cert_load_nomem(load, (struct view){NULL, 0});
    return load->n_errors == errors_before;
}

struct cert_bundle *cert_bundle_load(const struct bundle_conf *conf, struct cert_load *load)
{
    struct cert_bundle *bundle = calloc(1, sizeof(*bundle));

    load->bundle = conf->name;
    load->conf = conf;
    if (bundle == NULL) {
        cert_load_nomem(load, (struct view){NULL, 0});
        return NULL;
    }
    if (!bundle_init(bundle, conf))
        cert_load_nomem(load, (struct view){NULL, 0});
    else if (bundle_fill(bundle, conf, load))
        return bundle;
    bundle_free(bundle);
    return NULL;
}

struct cert_bundle *cert_bundle_ref(struct cert_bundle *bundle)
{
    atomic_fetch_add_explicit(&bundle->refs, 1, memory_order_relaxed);
    return bundle;
}

void cert_bundle_unref(struct cert_bundle *bundle)
{
    if (bundle != NULL && atomic_fetch_sub_explicit(&bundle->refs, 1, memory_order_acq_rel) == 1)
        bundle_free(bundle);
}

/* ---- Use ---- */

bool cert_bundle_attach(const struct cert_bundle *bundle, SSL *ssl)
{
    for (uint32_t i = 0; i < bundle->n_pairs; i++) {
        const struct cert_pair *pair = &bundle->pairs[i];

        if (SSL_use_cert_and_key(ssl, pair->leaf, pair->key, pair->chain, 1) != 1)
            return false;
    }
    return bundle->n_pairs > 0;
}

void cert_bundle_count(struct cert_bundle *bundle, enum cert_handshake what)
{
    if (what == CERT_HANDSHAKE_FAILED) {
        atomic_fetch_add_explicit(&bundle->failed, 1, memory_order_relaxed);
        return;
    }
    atomic_fetch_add_explicit(what == CERT_HANDSHAKE_FULL ? &bundle->full : &bundle->resumed, 1,
                              memory_order_relaxed);
    atomic_store_explicit(&bundle->last_ms, clock_wall_ms(), memory_order_relaxed);
}

struct cert_bundle_use cert_bundle_own_use(const struct cert_bundle *bundle)
{
    uint64_t full = atomic_load_explicit(&bundle->full, memory_order_relaxed);

    return (struct cert_bundle_use){
        .handshakes = full + atomic_load_explicit(&bundle->resumed, memory_order_relaxed),
        .full = full,
        .failed = atomic_load_explicit(&bundle->failed, memory_order_relaxed),
        .last_ms = atomic_load_explicit(&bundle->last_ms, memory_order_relaxed)};
}

struct cert_bundle_use cert_bundle_use(const struct cert_bundle *bundle)
{
    struct cert_bundle_use use = cert_bundle_own_use(bundle);

    use.handshakes += bundle->before.handshakes;
    use.full += bundle->before.full;
    use.failed += bundle->before.failed;
    if (use.last_ms == 0)
        use.last_ms = bundle->before.last_ms;
    return use;
}

int64_t cert_bundle_client_auth_until_s(const struct cert_bundle *bundle)
{
    return bundle->trust == NULL ? INT64_MAX : bundle->trust->good_until_s;
}
