/* SSLNetVConnection: a connection whose bytes travel in TLS records. The base does everything but
 * the bytes: this class only encodes, decodes and shakes hands (struct net_vc_ops).
 *
 * Life: made without any cryptography; the SSL object comes with the client's first byte (of an
 * outgoing connection: when it stands), the handshake-only state (struct tls_handshake) goes when
 * the handshake ends. Between two steps it holds no I/O buffer but what a full socket or a paused
 * reader forces on it, and its session tickets until the first response takes them along. */
#pragma once

#include "cert_bundle.h"
#include "tls_pacing.h"
#include "tls_role.h"
#include "tls_spill.h"

#include <sallyport/net/net_vconnection.h>
#include <sallyport/tls/ssl_net_processor.h>

#include <openssl/ssl.h>

/* KeyUpdates that a peer may have in hand; one more is earned by so many bytes of data. The bound
 * of RFC 8446 5.5 is 2^24 records, so an honest peer needs none of this. */
#define TLS_KEY_UPDATES_MAX      32
#define TLS_BYTES_PER_KEY_UPDATE 65536
/* Refused with a warning alert (RFC 5246 7.2.2), so often; then the connection is closed. */
#define TLS_RENEGOTIATIONS_MAX   3

struct ssl_net_vconnection {
    struct net_vconnection super;
    struct ssl_net_processor *processor; /* borrowed */
    const struct tls_role *role;         /* which of the next two it has */
    union {
        struct ssl_port *port;     /* server: borrowed from the listener, which super holds */
        struct ssl_client *client; /* client: owned reference */
    };
    struct tls_handshake *hs;  /* owned; NULL before the first step and when it is over */
    SSL *ssl;                  /* owned; NULL until the client's first byte is there */
    struct tls_thread *thread; /* borrowed; whose BIO `ssl` has; NULL: none yet on this thread */
    struct tls_label *bundle;  /* owned reference; the bundle that served it */
    struct client_identity *identity; /* owned reference; NULL: no certificate was asked for */
    uint64_t policy;                  /* by which the client was verified (client_trust.h) */
    struct tls_spill in;              /* received, not yet decrypted */
    struct tls_spill out;             /* encrypted, not yet taken by the socket */
    struct tls_pacing pacing;
    uint64_t key_update_bytes; /* of data since the last KeyUpdate was earned */
    uint32_t handshake_us, wait_us;
    enum sp_err broken; /* nothing more can be read or written; SP_OK: it can */
    uint8_t key_updates_left;
    uint8_t renegotiations;
    bool end_waits;         /* recv gave the last bytes and has the end still to tell */
    bool handshake_counted; /* its failure was counted and logged */
    bool resumed;
    bool out_may_wait;     /* `out` are session tickets: they leave with the first response */
    bool shutdown_waits;   /* shutdown_write was called before the handshake was over */
    bool fin_when_flushed; /* shutdown(SHUT_WR) waits for `out` */
};

extern const struct net_vc_ops ssl_net_vc_ops;

/* Takes over the reference that `na` is. NULL: out of memory, nothing was taken. */
struct net_vconnection *ssl_net_vc_new(struct ssl_net_processor *processor, struct net_accept *na,
                                       int fd) SP_MUST_CHECK;
/* An outgoing one; takes a reference of its own. NULL: out of memory. */
struct net_vconnection *ssl_net_vc_new_client(struct ssl_net_processor *processor,
                                              struct tls_client *client, int fd) SP_MUST_CHECK;

static inline struct ssl_net_vconnection *ssl_net_vc_of(struct net_vconnection *vc)
{
    SP_ASSERT(vc->ops == &ssl_net_vc_ops);
    return container_of(vc, struct ssl_net_vconnection, super);
}
static inline const struct ssl_net_vconnection *
ssl_net_vc_of_const(const struct net_vconnection *vc)
{
    _Static_assert(offsetof(struct ssl_net_vconnection, super) == 0, "the base comes first");
    SP_ASSERT(vc->ops == &ssl_net_vc_ops);
    return (const struct ssl_net_vconnection *)(const void *)vc;
}
