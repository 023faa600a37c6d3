/* A bundle from the inside: what a handshake gives to its SSL, and how it is read. */
#pragma once

#include "cert_pair.h"
#include "client_trust.h"
#include "file_stamp.h"
#include "tls_label.h"

#include <sallyport/config/config.h>
#include <sallyport/tls/cert_bundle.h>

#include <stdatomic.h>

struct cert_bundle {
    atomic_uint refs;
    struct tls_label *name;  /* owned reference */
    struct cert_pair *pairs; /* owned; one of each key type, at least one */
    uint32_t n_pairs;
    struct view *names; /* owned, one piece with their text; normal (cert_names.h) */
    uint32_t n_names;
    uint64_t settings;         /* config_bundle_hash() of what it was made of */
    struct file_stamp *stamps; /* owned; of the files in the order of config_bundle_files(), taken
                                  before they were read: a file that changes meanwhile differs */
    uint32_t n_stamps;
    bool has_client_auth;          /* rules of its own, instead of the port's */
    struct client_trust *trust;    /* owned reference: what they are; NULL: nobody is asked */
    struct cert_bundle_use before; /* of those whose place it takes */
    atomic_ulong full, resumed, failed;
    atomic_llong last_ms;
};

/* Reads everything of a bundle. NULL: out of memory or at least one problem that is no warning,
 * all of which are told to `load`. The caller owns one reference. */
struct cert_bundle *cert_bundle_load(const struct bundle_conf *conf, struct cert_load *load)
    SP_MUST_CHECK;
/* Are the files what they were? Looks at the disk, reads nothing. */
bool cert_bundle_files_changed(const struct cert_bundle *bundle, const struct bundle_conf *conf);

/* Gives the certificates to a connection, which holds them until SSL_certs_clear(). */
bool cert_bundle_attach(const struct cert_bundle *bundle, SSL *ssl);
/* A handshake for which it was chosen is over. Never waits. */
enum cert_handshake { CERT_HANDSHAKE_FULL, CERT_HANDSHAKE_RESUMED, CERT_HANDSHAKE_FAILED };
void cert_bundle_count(struct cert_bundle *bundle, enum cert_handshake what);

/* cert_bundle_ocsp.c: makes the place for a pair's staple, and fills it from conf's file if there
 * is one. False: out of memory. What is wrong with the file is a warning. */
bool cert_bundle_take_ocsp(const struct cert_bundle *bundle, struct cert_pair *pair,
                           const struct cert_conf *conf, struct cert_load *load) SP_MUST_CHECK;
/* Of the pair whose certificate it is; NULL: none. */
struct ocsp_slot *cert_bundle_ocsp_of(const struct cert_bundle *bundle, const X509 *leaf);

/* cert_bundle_names.c: fills names from conf's or, without any, from the certificates'. False: out
 * of memory. Other problems go to `load`. */
bool cert_bundle_take_names(struct cert_bundle *bundle, const struct bundle_conf *conf,
                            struct cert_load *load) SP_MUST_CHECK;
