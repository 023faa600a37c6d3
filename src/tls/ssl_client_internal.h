/* A server as the handshake with it sees it. */
#pragma once

#include "tls_sessions.h"

#include <sallyport/base/compiler.h>
#include <sallyport/tls/ssl_client.h>

#include <openssl/ssl.h>

#include <stdatomic.h>

struct ssl_trust {
    atomic_uint refs;
    X509_STORE *store; /* owned; read by all threads at once, written by none */
};

struct ssl_client {
    struct tls_client super;
    SSL_CTX *ctx; /* owned */
    struct tls_sessions sessions;
    uint32_t alpn;      /* ALPN_* bits */
    bool alpn_required; /* the server has to choose one */
    bool name_is_address;
    char name[256]; /* of the server; "": nothing is verified */
};

struct ssl_client *ssl_client_of(struct tls_client *client);
