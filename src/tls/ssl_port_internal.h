/* A port as the handshake sees it. */
#pragma once

#include "cert_bundle.h"
#include "tls_tickets.h"

#include <sallyport/tls/ssl_port.h>

#include <openssl/ssl.h>

#include <stdatomic.h>

struct ssl_port {
    atomic_uint refs;
    atomic_uint readers; /* threads that are between looking at a store and holding it */
    _Atomic(struct cert_store *) store;  /* owned reference */
    _Atomic(struct cert_store *) canary; /* owned reference; NULL: none */
    atomic_uint canary_share;            /* of 10,000 handshakes */
    atomic_uint canary_turn;             /* handshakes during canaries, modulo 2^32 */
    atomic_uint_least64_t policy;        /* of `store`: cert_store_policy() */
    SSL_CTX *ctx;                        /* owned */
    struct tls_tickets *tickets;         /* owned */
    struct ticket_register *early;       /* owned; NULL: no early data */
    uint32_t handshake_timeout_ms;
    uint32_t alpn; /* ALPN_* bits */
    size_t answer_len;
    char answer[]; /* to plain HTTP */
};

/* The certificates for a handshake that begins, with a reference for the caller. Never waits. */
struct cert_store *ssl_port_store(struct ssl_port *port);
/* May requests for the host come on a connection whose client was verified by that policy (see
 * client_trust.h)? Cheap where all names of the port have the same. */
bool ssl_port_serves(struct ssl_port *port, uint64_t policy, struct view host);
