/* Keys that seal session tickets (RFC 5077, RFC 8446 4.6.1). Random, in memory only, replaced by
 * themselves: a key seals for a while and opens until the last ticket under it has expired. Whoever
 * steals the memory opens no ticket older than that.
 *
 * Thread: any, at once; no lock. A slot of the ring is guarded by a sequence number (odd while it
 * is being written), and whoever finds it changing does without that key. */
#pragma once

#include <sallyport/base/compiler.h>

#include <openssl/ssl.h>

#include <stdbool.h>
#include <stdint.h>

struct tls_tickets;

/* NULL: out of memory or of random bytes. */
struct tls_tickets *tls_tickets_new(uint32_t lifetime_s) SP_MUST_CHECK;
void tls_tickets_free(struct tls_tickets *k); /* NULL is accepted */

/* What OpenSSL asks for: a key to seal a ticket with, or the one that a ticket was sealed with. */
struct tls_ticket_job {
    unsigned char *name, *iv; /* 16 bytes each; filled in when sealing */
    EVP_CIPHER_CTX *cipher;
    EVP_MAC_CTX *mac;
    bool seal;
    bool serves_once; /* who opens it is given a fresh one, as TLS 1.3 wants it (RFC 8446 C.4) */
};
/* The answer to SSL_CTX_set_tlsext_ticket_key_evp_cb. Negative: an error. 0: no such key, a full
 * handshake. 1: fine. 2: fine, and a fresh ticket, also when the key no longer seals. */
int tls_tickets_key(struct tls_tickets *k, const struct tls_ticket_job *job);
