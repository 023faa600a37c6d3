/* What OpenSSL asks of a port when it seals or opens a session ticket.
 *
 * Thread: any, at once; no lock. */
#pragma once

#include "ticket_keys_internal.h"

#include <openssl/ssl.h>

#include <stdbool.h>
#include <stdint.h>

struct tls_tickets;

/* `keys` is borrowed: a reference is taken. NULL: out of memory. */
struct tls_tickets *tls_tickets_new(struct ticket_keys *keys) SP_MUST_CHECK;
void tls_tickets_free(struct tls_tickets *t); /* NULL is accepted */
/* Others from now on (borrowed, as above). May wait for a moment: not on a net thread. */
void tls_tickets_set_keys(struct tls_tickets *t, struct ticket_keys *keys);

/* A key is wanted to seal a ticket with, or the one that a ticket was sealed with. */
struct tls_ticket_job {
    unsigned char *name, *iv; /* 16 bytes each; filled in when sealing */
    EVP_CIPHER_CTX *cipher;
    EVP_MAC_CTX *mac;
    bool seal;
    bool serves_once;    /* who opens it is given a fresh one, as TLS 1.3 wants it (RFC 8446 C.4) */
    enum ticket_use use; /* when opening: filled in */
};
/* The answer to SSL_CTX_set_tlsext_ticket_key_evp_cb. Negative: an error. 0: no such key, a full
 * handshake. 1: fine. 2: fine, and a fresh ticket, also when the key no longer seals. */
int tls_tickets_key(struct tls_tickets *t, struct tls_ticket_job *job);
