/* Record I/O. A thread has one receive buffer, one send buffer and one BIO for all of its
 * connections: one recv(2) fills many records, many records leave in one send(2), and a connection
 * that waits holds neither buffer nor BIO.
 *
 * A step is everything that is done for one connection in a row:
 *
 *     t = tls_step_begin(vc, most bytes to receive at once);
 *     SSL_read, SSL_write, SSL_do_handshake ...          through t's BIO
 *     r = tls_step_end(t, r);                            sends, and spills what is left over
 *
 * Steps do not nest: nothing in here calls a user. */
#pragma once

#include "ssl_net_vconnection.h"

#include <openssl/bio.h>

#define TLS_IN_BYTES     ((size_t)65536)
#define TLS_OUT_BYTES    ((size_t)65536 + 4096)
/* Less than this is never asked of the socket: a whole record of the largest size fits. */
#define TLS_IN_MIN_BYTES ((size_t)TLS_RECORD_MAX + 2048)
/* What one record takes up in the send buffer at most, with a KeyUpdate before it. */
#define TLS_RECORD_ROOM  (TLS_RECORD_MAX + 512)

struct tls_thread {
    BIO *bio;                       /* owned; every SSL that runs here has a reference */
    struct ssl_net_vconnection *vc; /* whose step it is; NULL between steps */
    const uint8_t *in;              /* received, not yet taken by OpenSSL: in in_buf or in vc->in */
    size_t in_left;
    size_t in_max;      /* of one recv(2) in this step */
    bool in_spill;      /* `in` points into vc->in */
    bool in_dry;        /* the socket has no more at the moment */
    bool in_eof;        /* it will never have more */
    enum sp_err in_err; /* what recv(2) said */
    size_t out_len;     /* of out_buf, not yet given to the socket */
    bool keep_out;      /* the step's end leaves it to the connection */
    uint8_t in_buf[TLS_IN_BYTES];
    uint8_t out_buf[TLS_OUT_BYTES];
    uint8_t gather[TLS_RECORD_MAX]; /* small pieces become one record here */
};

/* NULL: out of memory for the thread's buffers, or for the connection's BIO. */
struct tls_thread *tls_step_begin(struct ssl_net_vconnection *vc, size_t in_max) SP_MUST_CHECK;
/* What the step came to, `r`, or an error when its leftovers could not be kept. Bytes that were
 * moved are told all the same; the next step then has the error. */
struct io_result tls_step_end(struct tls_thread *t, struct io_result r) SP_MUST_CHECK;
/* The connection has an SSL now: it gets the BIO of its thread. Also done by tls_step_begin(). */
void tls_thread_join(struct ssl_net_vconnection *vc, struct tls_thread *t);
/* The connection leaves this thread: ssl lets go of its BIO. */
void tls_thread_leave(struct ssl_net_vconnection *vc);
void tls_thread_free(struct tls_thread *t); /* NULL is accepted */

/* Before there is an SSL: everything received so far, in one piece, after asking the socket. The
 * status as of net_vc_socket_recv; *bytes is not consumed by this. */
struct io_result tls_in_peek(struct tls_thread *t, struct view *bytes);
/* Drops what was received. */
void tls_in_drop(struct tls_thread *t);

/* Gives the socket what waits. SP_OK: it may have taken all of it or not; see tls_out_left(). */
enum sp_err tls_out_flush(struct tls_thread *t) SP_MUST_CHECK;
static inline size_t tls_out_left(const struct tls_thread *t)
{
    return tls_spill_left(&t->vc->out) + t->out_len;
}
static inline bool tls_out_has_room(const struct tls_thread *t)
{
    return TLS_OUT_BYTES - t->out_len >= TLS_RECORD_ROOM;
}

/* The connection whose step has called OpenSSL, for OpenSSL's callbacks. */
static inline struct ssl_net_vconnection *ssl_net_vc_of_ssl(const SSL *ssl)
{
    struct tls_thread *t = BIO_get_data(SSL_get_rbio(ssl));

    SP_ASSERT(t->vc != NULL && t->vc->ssl == ssl);
    return t->vc;
}

/* The method of the threads' BIOs; made once. */
enum sp_err tls_bio_method_init(void) SP_MUST_CHECK;
BIO *tls_bio_new(struct tls_thread *t) SP_MUST_CHECK;
