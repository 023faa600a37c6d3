#include "cert_bundle.h"

#include <stdlib.h>

/* OpenSSL has one place for each type of key, and a second one of a type would silently displace
 * the first. */
static bool has_key_type(const struct cert_bundle *bundle, const EVP_PKEY *key)
{
    for (uint32_t i = 0; i < bundle->n_pairs; i++)
        if (EVP_PKEY_get_base_id(bundle->pairs[i].key) == EVP_PKEY_get_base_id(key))
            return true;
    return false;
}

static void add_pair(struct cert_bundle *bundle, const struct cert_conf *conf,
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
    bundle->n_pairs++;
}

void cert_bundle_load(struct cert_bundle *bundle, const struct bundle_conf *conf,
                      struct cert_load *load)
{
    *bundle = (struct cert_bundle){0};
    load->bundle = conf->name;
    bundle->name = tls_label_new(conf->name);
    bundle->pairs = calloc(conf->n_certs, sizeof(*bundle->pairs));
    if (bundle->name == NULL || bundle->pairs == NULL) {
        cert_load_nomem(load, (struct view){NULL, 0});
        return;
    }
    for (uint32_t i = 0; i < conf->n_certs; i++)
        add_pair(bundle, &conf->certs[i], load);
}

void cert_bundle_fini(struct cert_bundle *bundle)
{
    for (uint32_t i = 0; i < bundle->n_pairs; i++)
        cert_pair_fini(&bundle->pairs[i]);
    free(bundle->pairs);
    tls_label_unref(bundle->name);
    *bundle = (struct cert_bundle){0};
}

bool cert_bundle_attach(const struct cert_bundle *bundle, SSL *ssl)
{
    for (uint32_t i = 0; i < bundle->n_pairs; i++) {
        const struct cert_pair *pair = &bundle->pairs[i];

        if (SSL_use_cert_and_key(ssl, pair->leaf, pair->key, pair->chain, 1) != 1)
            return false;
    }
    return bundle->n_pairs > 0;
}
