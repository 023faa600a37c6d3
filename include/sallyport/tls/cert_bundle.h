/* A bundle: certificates for the same names with their keys, read and checked. It is immutable but
 * for its counts, and reference-counted: the sets (cert_set.h) and stores (cert_store.h) that it is
 * in hold it, and no connection does. Any thread. */
#pragma once

#include <sallyport/base/view.h>

#include <stdbool.h>
#include <stdint.h>

struct cert_bundle;
struct ocsp_slot;

struct cert_bundle *cert_bundle_ref(struct cert_bundle *bundle);
void cert_bundle_unref(struct cert_bundle *bundle); /* NULL is accepted */

/* Valid while the bundle is. */
struct view cert_bundle_name(const struct cert_bundle *bundle);
/* The host names that it is served under, in lower case; "*.example.com" is a wildcard. */
uint32_t cert_bundle_n_names(const struct cert_bundle *bundle);
struct view cert_bundle_host(const struct cert_bundle *bundle, uint32_t i);

/* One of its certificates, for people and programs that show it. Text is UTF-8 and may be cut;
 * control characters are escaped. */
struct cert_info {
    char key[32];         /* "ECDSA P-256", "RSA 2048", "Ed25519" */
    char serial[64];      /* hexadecimal */
    char fingerprint[65]; /* SHA-256 of the certificate, hexadecimal */
    char subject[256];    /* RFC 2253: "CN=shop.example,O=Shop" */
    char issuer[256];
    int64_t not_before_s, not_after_s; /* Unix time */
};
uint32_t cert_bundle_n_certs(const struct cert_bundle *bundle);
/* `i` below cert_bundle_n_certs(). */
void cert_bundle_describe(const struct cert_bundle *bundle, uint32_t i, struct cert_info *out);
/* Where its staple is (ocsp.h), valid while the bundle is; NULL: it can have none. */
struct ocsp_slot *cert_bundle_ocsp(const struct cert_bundle *bundle, uint32_t i);
/* When the first of its certificates expires, Unix time. */
int64_t cert_bundle_not_after_s(const struct cert_bundle *bundle);

/* As cert_set_client_auth_until_s() (cert_set.h), of rules of its own. */
int64_t cert_bundle_client_auth_until_s(const struct cert_bundle *bundle);

/* Handshakes that it was chosen for, since the program knows a bundle of this name: those of the
 * bundles whose place it took are counted too. */
struct cert_bundle_use {
    uint64_t handshakes; /* completed */
    uint64_t full;       /* ...of these: whose clients were shown the certificate */
    uint64_t failed;     /* after it had been chosen, for whatever reason */
    int64_t last_ms;     /* wall clock of the last completed one; 0: never */
};
struct cert_bundle_use cert_bundle_use(const struct cert_bundle *bundle);
/* The same since it began to serve itself: what a new certificate has done so far. */
struct cert_bundle_use cert_bundle_own_use(const struct cert_bundle *bundle);
