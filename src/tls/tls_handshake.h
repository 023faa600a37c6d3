/* The handshake of one connection, a step at a time.
 *
 *     WAIT_HELLO --ClientHello--> TURN --granted--> NEGOTIATE --Finished--> FLUSH --sent--> DONE
 *         |                        |                   |                     |
 *         +--plain HTTP--> LINGER--+--anything wrong---+---------------------+----------> FAILED
 *
 * WAIT_HELLO and TURN hold no SSL object: who waits for the turn costs its ClientHello and no more;
 * LINGER waits for the peer to take the answer, or the alert about its certificate, and leave. An
 * outgoing connection begins with NEGOTIATE. Whatever way it ends, it is counted once, and a
 * failure is one line in the log.
 *
 * What the two sides do differently is their role (tls_role.h). */
#pragma once

#include "ticket_keys_internal.h"
#include "tls_spill.h"

#include <sallyport/net/io_result.h>

#include <openssl/ssl.h>

#include <stdbool.h>
#include <stdint.h>

struct ssl_net_vconnection;
struct cert_store;
struct cert_bundle;
struct client_identity;
struct client_trust;
struct kept_hello;

#define TLS_BIT(state) (1U << TLS_HS_##state)
/* X(state, where it may go) */
#define TLS_HS_STATES(X)                                             \
    X(WAIT_HELLO, TLS_BIT(TURN) | TLS_BIT(LINGER) | TLS_BIT(FAILED)) \
    X(TURN, TLS_BIT(NEGOTIATE) | TLS_BIT(FAILED))                    \
    X(NEGOTIATE, TLS_BIT(FLUSH) | TLS_BIT(LINGER) | TLS_BIT(FAILED)) \
    X(FLUSH, TLS_BIT(DONE) | TLS_BIT(FAILED))                        \
    X(LINGER, TLS_BIT(FAILED))                                       \
    X(DONE, 0U)                                                      \
    X(FAILED, 0U)

enum tls_hs_state {
#define X(name, next) TLS_HS_##name,
    TLS_HS_STATES(X)
#undef X
};

/* A handshake's own memory; gone with its end. */
struct tls_handshake {
    struct ssl_net_vconnection *vc;   /* borrowed: its owner */
    struct cert_store *store;         /* owned reference, from NEGOTIATE on: a reload may come */
    struct cert_bundle *bundle;       /* borrowed from `store`; NULL: not chosen yet */
    const struct client_trust *trust; /* borrowed likewise; NULL: no certificate is asked for */
    struct client_identity *identity; /* owned reference; NULL: not known yet, or no trust */
    char *certificate;                /* owned; subject of a client's that was refused; NULL */
    struct kept_hello *hello;         /* owned; what a server was offered, for when it fails */
    enum tls_hs_state state;
    enum sp_err err;    /* why it fails, where that is known better than by OpenSSL; SP_OK: not */
    const char *reason; /* OpenSSL's words, static; NULL: none */
    int alert_sent;     /* AlertDescription; -1: none */
    int alert_received;
    enum ticket_use ticket; /* the key of the ticket that is being opened */
    struct tls_spill early; /* early data that was received, for the connection's first reader */
    int64_t spent_ns;       /* CPU time of its steps so far */
    bool looks_for_early;   /* early data may be there, or more of it */
    bool early_judged;      /* OpenSSL asked about it */
    bool got_bytes;         /* from the peer */
    uint8_t text_len;
    char text[255]; /* for the log, peer bytes: the name that a client asks for; the subject of a
                       server's certificate that was refused */
};

/* net_vc_ops.advance */
struct io_result tls_handshake_advance(struct ssl_net_vconnection *vc);
/* The connection closes in VC_HANDSHAKE: counts and logs the failure, unless that was done. */
void tls_handshake_abandon(struct ssl_net_vconnection *vc, enum sp_err err);
/* It is over: counted, and nothing of it stays. */
void tls_handshake_finish(struct ssl_net_vconnection *vc);
void tls_handshake_free(struct tls_handshake *hs); /* NULL is accepted */

/* For the steps. */
void tls_hs_enter(struct tls_handshake *hs, enum tls_hs_state next);
struct io_result tls_hs_fail(struct tls_handshake *hs, enum sp_err err);
const char *tls_hs_state_name(enum tls_hs_state state);
