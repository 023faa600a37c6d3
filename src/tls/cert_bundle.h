/* One bundle's certificates and keys, read and checked: what a handshake gives to its SSL. */
#pragma once

#include <sallyport/base/arena.h>
#include <sallyport/config/config.h>
#include <sallyport/tls/cert_store.h>

#include <openssl/ssl.h>

#include <stdatomic.h>

/* A name that outlives the store it comes from: a connection keeps it, and nothing else of its
 * bundle. */
struct tls_label {
    atomic_uint refs;
    size_t len;
    char text[];
};
struct tls_label *tls_label_new(struct view text) SP_MUST_CHECK;
struct tls_label *tls_label_ref(struct tls_label *label);
void tls_label_unref(struct tls_label *label); /* NULL is accepted */
static inline struct view tls_label_view(const struct tls_label *label)
{
    return label == NULL ? (struct view){NULL, 0} : (struct view){label->text, label->len};
}

/* A leaf with its key and what stands above it; all owned. */
struct cert_pair {
    X509 *leaf;
    EVP_PKEY *key;
    STACK_OF(X509) * chain; /* without the leaf; NULL: nothing */
};

struct cert_bundle {
    struct tls_label *name;  /* owned reference */
    struct cert_pair *pairs; /* owned; one of each key type */
    uint32_t n_pairs;
};

/* Where the problems of a load go, and what it needs. */
struct cert_load {
    const struct cert_reporter *reporter;
    SSL_CTX *scratch;   /* tries each pair as a handshake would; borrowed */
    struct view bundle; /* that is being read */
    uint32_t n_errors;
    bool nomem;
};
void cert_load_error(struct cert_load *load, struct view file, const char *fmt, ...)
    SP_PRINTF(3, 4);
void cert_load_warn(struct cert_load *load, struct view file, const char *fmt, ...) SP_PRINTF(3, 4);

/* Reads one pair; false after a problem was reported, and *pair is empty. Warns of what clients
 * will not like: dates, order, missing links. */
bool cert_pair_load(struct cert_pair *pair, const struct cert_conf *conf, struct cert_load *load);
/* Only the certificates of a file, whatever they are to each other; no key. Likewise. */
bool cert_pair_load_certs(struct cert_pair *pair, struct view file, struct cert_load *load);
void cert_pair_fini(struct cert_pair *pair);

/* Everything of a bundle; problems are in `load`. The bundle is to be ended with
 * cert_bundle_fini() in any case. */
void cert_bundle_load(struct cert_bundle *bundle, const struct bundle_conf *conf,
                      struct cert_load *load);
void cert_bundle_fini(struct cert_bundle *bundle);
/* Gives the certificates to a connection, which holds them until SSL_certs_clear(). */
bool cert_bundle_attach(const struct cert_bundle *bundle, SSL *ssl);

/* The bundle for a name as a client sent it; NULL: it is refused. Valid while the store is. */
const struct cert_bundle *cert_store_find(const struct cert_store *store, struct view name);
