/* What the two ends of a handshake do differently. A connection has one of two roles for life; all
 * else is the same code. */
#pragma once

#include "tls_handshake.h"

#include <sallyport/base/view.h>

struct tls_thread;

struct tls_role {
    enum tls_hs_state first; /* where its handshake begins */
    /* Its first step runs. */
    void (*begin)(struct tls_handshake *hs);
    /* The SSL object, set up to accept or to connect. NULL: why is in OpenSSL's queue. */
    SSL *(*ssl_new)(struct tls_handshake *hs);
    /* OpenSSL is not content, and has said so to the peer. What the step comes to. */
    struct io_result (*refuse)(struct tls_handshake *hs, struct tls_thread *t, enum sp_err err);
    /* OpenSSL is content. SP_OK, or why we are not. */
    enum sp_err (*judge)(struct tls_handshake *hs);
    /* Can what the handshake has left to send wait for the first data? */
    bool (*last_flight_waits)(const struct ssl_net_vconnection *vc);
    /* The connection is usable: it is counted, and what outlives the handshake moves to it. */
    void (*finish)(struct tls_handshake *hs);
    /* It will never be: counted and said. Called once; vc->hs may be NULL. */
    void (*failed)(const struct ssl_net_vconnection *vc, enum sp_err err);
    /* May requests for the host come on it (net_vc_ops.serves)? */
    bool (*serves)(const struct ssl_net_vconnection *vc, struct view host);
    /* The connection is being freed. */
    void (*release)(struct ssl_net_vconnection *vc);
};

extern const struct tls_role tls_server_role; /* of accepted connections; vc->port is set */
extern const struct tls_role tls_client_role; /* of outgoing ones; vc->client is set */
