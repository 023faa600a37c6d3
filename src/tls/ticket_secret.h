/* Ticket keys out of one secret and the time, so that machines which never talk have the same ones
 * (HKDF-SHA-256, RFC 5869). Nobody who has a key learns another one from it, or the secret. */
#pragma once

#include "ticket_ring.h"

#include <sallyport/base/view.h>

#include <openssl/kdf.h>

#define TICKET_SECRET_MIN 32U

struct ticket_secret {
    EVP_KDF *hkdf;     /* owned; fetched once, a fetch takes a lock of OpenSSL's */
    uint8_t prk[32];   /* of the secret, which is not kept */
    uint8_t scope[32]; /* digest of what else the keys are for */
};

/* `label`: keys of another one are other keys. False: out of memory. */
bool ticket_secret_init(struct ticket_secret *s, struct view secret, struct view label)
    SP_MUST_CHECK;
void ticket_secret_fini(struct ticket_secret *s); /* also of a zeroed one */
/* The key of that number, stamped with it. False: out of memory; *key is wiped. */
bool ticket_secret_key(const struct ticket_secret *s, int64_t number, union ticket_key *key)
    SP_MUST_CHECK;
