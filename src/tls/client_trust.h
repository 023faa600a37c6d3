/* Whom a port, or a bundle, takes for a client: authorities, revocation lists, and what backends
 * are told. Immutable and reference-counted: a reload makes another one. Nobody who has finished
 * the handshake holds one.
 *
 * One object for all who have the same settings and the same files, whatever number of bundles and
 * ports they are; files that have not changed are not read again while anybody holds it. */
#pragma once

#include "cert_load.h"
#include "file_stamp.h"

#include <sallyport/base/list.h>
#include <sallyport/config/config.h>

#include <openssl/x509_vfy.h>

#include <stdatomic.h>

#define CLIENT_TRUST_DIGEST_BYTES  32
#define CLIENT_TRUST_CRL_MAX_BYTES ((size_t)64 * 1024 * 1024)

/* Rules by which a connection was verified: a number for the settings. */
#define CLIENT_POLICY_NONE UINT64_C(0) /* nobody is asked for a certificate */
#define CLIENT_POLICY_MANY UINT64_MAX  /* of a port: not all its names have the same */

struct client_trust {
    atomic_uint refs;
    struct list link;           /* among all that there are */
    enum client_auth_mode mode; /* not OFF */
    uint32_t forward;           /* CLIENT_AUTH_* bits */
    uint32_t max_forward_bytes;
    uint64_t policy; /* of the settings, whatever the files hold */
    /* Of the settings and of what the files held: what was verified under it is no less verified
     * under another one that has the same. */
    uint8_t digest[CLIENT_TRUST_DIGEST_BYTES];
    X509_STORE *store;           /* owned; read by all threads at once, changed by none */
    STACK_OF(X509_NAME) * names; /* owned; what clients are told, to choose a certificate by */
    int64_t good_until_s;        /* Unix time: the first list or authority that expires then */
    struct file_stamp ca_stamp, crl_stamp; /* the second is zero without a file */
};

/* Reads files. NULL after a problem was reported, or out of memory (load->nomem). `conf` is not
 * OFF. The caller owns one reference. */
struct client_trust *client_trust_load(const struct client_auth_conf *conf, struct cert_load *load)
    SP_MUST_CHECK;
struct client_trust *client_trust_ref(struct client_trust *trust); /* NULL is accepted */
/* Any thread; NULL is accepted. */
void client_trust_unref(struct client_trust *trust);

/* The policy of settings that are not OFF. */
uint64_t client_trust_policy_of(const struct client_auth_conf *conf);
static inline uint64_t client_trust_policy(const struct client_trust *trust) /* NULL: OFF */
{
    return trust == NULL ? CLIENT_POLICY_NONE : trust->policy;
}

/* client_trust_read.c: fills store, names, digest, stamps and good_until_s. False: reported. */
bool client_trust_read(struct client_trust *trust, const struct client_auth_conf *conf,
                       struct cert_load *load) SP_MUST_CHECK;
