/* The certificates of one TLS port and the names that choose between them. Immutable once made and
 * reference-counted: a reload makes another one and swaps a pointer.
 *
 * A name is looked up exactly, then as a wildcard of one label ("*.example.com"), then the port's
 * default bundle serves it, or with strict_sni nobody does (RFC 6066 3, RFC 6125 6.4.3). Of bundles
 * with the same name the port's first one wins. */
#pragma once

#include <sallyport/base/err.h>
#include <sallyport/base/view.h>
#include <sallyport/config/config.h>
#include <sallyport/tls/cert_set.h>

#include <stdbool.h>

struct cert_store;

struct cert_store_options {
    const struct tls_port_conf *conf; /* read during the call only */
    const struct cert_set *set; /* has all of its bundles, and what it asks of clients; likewise */
    /* Told of names that a bundle does not get because another one has them, where one of the two
     * is new in the set (warnings). */
    const struct cert_reporter *reporter;
};
/* NULL: out of memory. The caller owns one reference; the store holds its bundles. */
struct cert_store *cert_store_new(const struct cert_store_options *options) SP_MUST_CHECK;
struct cert_store *cert_store_ref(struct cert_store *store);
void cert_store_unref(struct cert_store *store); /* NULL is accepted */

enum cert_match_kind {
    CERT_MATCH_EXACT,
    CERT_MATCH_WILDCARD,
    CERT_MATCH_DEFAULT,
    CERT_MATCH_REFUSED, /* strict_sni */
};
/* What a client that asks for a name gets, and why. Valid while the store is. */
struct cert_match {
    enum cert_match_kind kind;
    struct view pattern;        /* the bundle's name that fits; empty: default and refused */
    struct cert_bundle *bundle; /* borrowed; NULL: refused */
};
/* `name` as a client sends it; empty: it asks for none. */
struct cert_match cert_store_match(const struct cert_store *store, struct view name);
/* All bundles that have the name or a wildcard that fits it, the one that wins first; then, unless
 * strict_sni is set, the default. For explanations; up to `max` are written, how many there are is
 * returned. */
uint32_t cert_store_candidates(const struct cert_store *store, struct view name,
                               struct cert_match *out, uint32_t max);
