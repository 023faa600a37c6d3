/* Who is at the other end of a connection, as far as its certificate proves it: in the words in
 * which backends are told (RFC 9440, and plain fields), made once with the handshake, so that a
 * request costs a few pointers. For layers that hand it on without knowing TLS.
 *
 * Immutable; reference-counted because a request may outlive its connection by a moment. Thread:
 * that of the connection, and so not atomic. */
#pragma once

#include <sallyport/base/compiler.h>
#include <sallyport/base/view.h>

#include <stdint.h>
#include <stdlib.h>

struct client_identity {
    uint32_t refs;
    uint32_t forward;        /* CLIENT_AUTH_* bits (config.h): what backends are told */
    struct view subject;     /* RFC 2253, printable ASCII; empty: no certificate, or no name */
    struct view fingerprint; /* SHA-256 in hexadecimal; empty: no certificate */
    struct view cert;        /* value of Client-Cert; empty: none, or nobody is told */
    struct view chain;       /* value of Client-Cert-Chain; likewise */
    char text[];             /* what the views point to */
};

static inline struct client_identity *client_identity_ref(struct client_identity *identity)
{
    if (identity != NULL)
        identity->refs++;
    return identity;
}

static inline void client_identity_unref(struct client_identity *identity) /* NULL is accepted */
{
    if (identity != NULL && --identity->refs == 0)
        free(identity);
}
