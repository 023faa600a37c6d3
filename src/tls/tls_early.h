/* Early data of clients (0-RTT, RFC 8446 4.2.10 and 8): a connection that is used before its
 * handshake is over. It goes to its data thread with its struct tls_handshake; what is left of the
 * handshake, which costs no public-key work, happens there in the steps that read.
 *
 *     ET_SSL    tls_early_look()   the ClientHello, our whole flight, the first of the data
 *     ET_NET    tls_early_read()   more of it, EndOfEarlyData, Finished: now it is as any other
 *
 * Whoever holds a copy of a client's first flight can send it again, so each ticket is good for
 * early data once (ticket_register.h), and OpenSSL has compared its age before (RFC 8446 8.3). */
#pragma once

#include "tls_handshake.h"

#include <sys/uio.h>

struct tls_thread;

enum tls_early {
    TLS_EARLY_OVER,    /* there is none (any more): on with the handshake */
    TLS_EARLY_USABLE,  /* some came: vc->super.early is set */
    TLS_EARLY_STOPPED, /* as an SSL call that failed: tls_result() */
    TLS_EARLY_NOMEM,
};

/* In a step of the handshake, instead of SSL_do_handshake(), until TLS_EARLY_OVER. */
enum tls_early tls_early_look(struct tls_handshake *hs, struct tls_thread *t);
/* The connection is handed out: what of finish() is true already. */
void tls_early_begin(struct ssl_net_vconnection *vc);
/* In a reading step, while vc->hs != NULL. *n bytes were read, whatever is returned; IO_OK with
 * vc->hs == NULL: the handshake is over. */
struct io_result tls_early_read(struct tls_thread *t, const struct iovec *iov, int n_iov,
                                size_t *n);
/* The handshake is over, or the client offered none: counts what was refused. */
void tls_early_count(const struct tls_handshake *hs);

/* OpenSSL asks: SSL_CTX_set_allow_early_data_cb, and for each ticket it makes. */
int tls_on_early_data(SSL *ssl, void *arg);
int tls_on_ticket_made(SSL *ssl, void *arg);
