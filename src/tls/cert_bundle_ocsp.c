/* A bundle's staples: the place for each of its certificates. */
#include "cert_bundle.h"
#include "ocsp_slot.h"

#include <sallyport/base/clock.h>
#include <sallyport/tls/ocsp_cache.h>

#include <openssl/x509v3.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Of a response that a file holds; those that are fetched have a bound of their own. */
#define FILE_MAX_BYTES ((size_t)1024 * 1024)

static const char *why_unread(enum sp_err err)
{
    return err == SP_NOT_FOUND || err == SP_SYSCALL ? strerrordesc_np(errno) : sp_err_text(err);
}

/* Never an error: without the response the certificate is still served, and one that was renewed a
 * moment ago has its new response a moment later. */
static void read_file(struct ocsp_slot *slot, struct view file, struct cert_load *load)
{
    struct view der = {NULL, 0};
    enum sp_err err = ocsp_file_read(file, FILE_MAX_BYTES, &der);
    enum ocsp_outcome outcome;

    if (err != SP_OK) {
        cert_load_warn(load, file, "the OCSP response cannot be read: %s", why_unread(err));
        ocsp_slot_tried(slot, STAPLE_FILE, clock_wall_ms());
        return;
    }
    outcome = ocsp_slot_offer(slot, der, clock_wall_ms());
    free((void *)(uintptr_t)der.p);
    ocsp_slot_tried(slot, outcome, clock_wall_ms());
    if (outcome != STAPLE_GOOD)
        cert_load_warn(load, file, "the OCSP response is not stapled: %s",
                       ocsp_outcome_text(outcome));
}

/* Of an earlier life of the program, or of the bundle. Nobody cares why there is none. */
static void read_cache(struct ocsp_slot *slot, const struct ocsp_conf *conf)
{
    struct view der = {NULL, 0};

    if (conf->cache.len == 0 || !conf->fetch ||
        ocsp_cache_read(conf->cache, ocsp_slot_fingerprint(slot), conf->max_response_bytes, &der) !=
            SP_OK)
        return;
    (void)ocsp_slot_offer(slot, der, clock_wall_ms());
    free((void *)(uintptr_t)der.p);
}

/* Who issued itself has nobody to ask. */
static bool can_staple(const struct ocsp_slot *slot)
{
    return ocsp_slot_has_issuer(slot) || ocsp_slot_must_staple(slot) ||
           ocsp_slot_file(slot).len > 0;
}

bool cert_bundle_take_ocsp(const struct cert_bundle *bundle, struct cert_pair *pair,
                           const struct cert_conf *conf, struct cert_load *load)
{
    struct ocsp_slot *slot = ocsp_slot_new(&(struct ocsp_slot_options){
        .leaf = pair->leaf, .chain = pair->chain, .bundle = bundle->name, .file = conf->ocsp});

    if (slot == NULL)
        return false;
    if (!can_staple(slot)) {
        ocsp_slot_unref(slot);
        return true;
    }
    pair->ocsp = slot;
    if (conf->ocsp.len > 0)
        read_file(slot, conf->ocsp, load);
    else if (load->ocsp != NULL)
        read_cache(slot, load->ocsp);
    return true;
}

struct ocsp_slot *cert_bundle_ocsp_of(const struct cert_bundle *bundle, const X509 *leaf)
{
    for (uint32_t i = 0; i < bundle->n_pairs; i++)
        if (bundle->pairs[i].leaf == leaf)
            return bundle->pairs[i].ocsp;
    return NULL;
}

struct ocsp_slot *cert_bundle_ocsp(const struct cert_bundle *bundle, uint32_t i)
{
    return bundle->pairs[i].ocsp;
}
