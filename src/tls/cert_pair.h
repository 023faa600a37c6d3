/* A certificate, its key and what it was issued by: read from files and looked at from all sides.
 */
#pragma once

#include "cert_load.h"

#include <sallyport/config/config.h>

#include <openssl/ssl.h>

struct ocsp_slot;

/* A leaf with its key and what stands above it; all owned. */
struct cert_pair {
    X509 *leaf;
    EVP_PKEY *key;
    STACK_OF(X509) * chain; /* without the leaf; NULL: nothing */
    struct ocsp_slot *ocsp; /* owned reference, cert_bundle_ocsp.c; NULL: no staple is possible */
};

/* Reads one pair; false after a problem was reported, and *pair is empty. Warns of what clients
 * will not like. */
bool cert_pair_load(struct cert_pair *pair, const struct cert_conf *conf, struct cert_load *load);
/* Only the certificates of a file, whatever they are to each other; no key. Likewise. */
bool cert_pair_load_certs(struct cert_pair *pair, struct view file, struct cert_load *load);
void cert_pair_fini(struct cert_pair *pair);
