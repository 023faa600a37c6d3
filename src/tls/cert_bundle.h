/* One bundle's certificates and keys, read and checked: what a handshake gives to its SSL. */
#pragma once

#include "cert_pair.h"
#include "tls_label.h"

#include <sallyport/base/arena.h>
#include <sallyport/config/config.h>
#include <sallyport/tls/cert_store.h>

struct cert_bundle {
    struct tls_label *name;  /* owned reference */
    struct cert_pair *pairs; /* owned; one of each key type */
    uint32_t n_pairs;
};

/* Everything of a bundle; problems are in `load`. The bundle is to be ended with
 * cert_bundle_fini() in any case. */
void cert_bundle_load(struct cert_bundle *bundle, const struct bundle_conf *conf,
                      struct cert_load *load);
void cert_bundle_fini(struct cert_bundle *bundle);
/* Gives the certificates to a connection, which holds them until SSL_certs_clear(). */
bool cert_bundle_attach(const struct cert_bundle *bundle, SSL *ssl);

/* The bundle for a name as a client sent it; NULL: it is refused. Valid while the store is. */
const struct cert_bundle *cert_store_find(const struct cert_store *store, struct view name);
