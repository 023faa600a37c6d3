/* A thread's buffers, and the steps that borrow them. */
#include "tls_thread.h"

#include <openssl/err.h>

#include <stdlib.h>
#include <string.h>

static struct tls_thread *thread_new(void)
{
    struct tls_thread *t = malloc(sizeof(*t)); /* not zeroed: untouched pages cost nothing */

    if (t == NULL)
        return NULL;
    t->vc = NULL;
    t->out_len = 0;
    t->bio = tls_bio_new(t);
    if (t->bio == NULL) {
        free(t);
        return NULL;
    }
    return t;
}

void tls_thread_free(struct tls_thread *t)
{
    if (t == NULL)
        return;
    BIO_free(t->bio);
    free(t);
}

/* Made when a thread first needs it, on the thread itself. */
static struct tls_thread *thread_of(const struct ssl_net_vconnection *vc)
{
    struct tls_thread **slot = ethread_storage(vc->super.thread, vc->processor->thread_offset);

    if (*slot == NULL)
        *slot = thread_new();
    return *slot;
}

void tls_thread_join(struct ssl_net_vconnection *vc, struct tls_thread *t)
{
    if (vc->thread == t || vc->ssl == NULL)
        return;
    (void)BIO_up_ref(t->bio); /* one reference serves both directions */
    SSL_set_bio(vc->ssl, t->bio, t->bio);
    vc->thread = t;
}

void tls_thread_leave(struct ssl_net_vconnection *vc)
{
    if (vc->thread == NULL)
        return;
    SSL_set_bio(vc->ssl, NULL, NULL);
    vc->thread = NULL;
}

struct tls_thread *tls_step_begin(struct ssl_net_vconnection *vc, size_t in_max)
{
    struct tls_thread *t = thread_of(vc);

    if (t == NULL)
        return NULL;
    SP_ASSERT(t->vc == NULL);
    if (ERR_peek_error() != 0)
        ERR_clear_error(); /* SSL_get_error(3) looks at the thread's whole queue */
    tls_thread_join(vc, t);
    t->vc = vc;
    t->in_max = in_max < TLS_IN_MIN_BYTES ? TLS_IN_MIN_BYTES : in_max;
    if (t->in_max > TLS_IN_BYTES)
        t->in_max = TLS_IN_BYTES;
    t->in_spill = vc->in.data != NULL;
    t->in = t->in_spill ? vc->in.data + vc->in.pos : t->in_buf;
    t->in_left = tls_spill_left(&vc->in);
    t->in_dry = t->in_eof = t->keep_out = false;
    t->in_err = SP_OK;
    return t;
}

/* What OpenSSL has not taken stays with the connection. */
static enum sp_err keep_received(struct tls_thread *t)
{
    struct tls_spill *in = &t->vc->in;

    if (!t->in_spill)
        return tls_spill_append(in, t->in, t->in_left);
    tls_spill_consume(in, tls_spill_left(in) - t->in_left);
    return SP_OK;
}

struct io_result tls_step_end(struct tls_thread *t, struct io_result r)
{
    struct ssl_net_vconnection *vc = t->vc;
    enum sp_err err = SP_OK;

    if (t->out_len > 0)
        err = t->keep_out ? tls_spill_append(&vc->out, t->out_buf, t->out_len) : tls_out_flush(t);
    if (err == SP_OK)
        err = keep_received(t);
    t->vc = NULL;
    t->out_len = 0;
    if (err == SP_OK || r.status == IO_ERROR)
        return r;
    vc->broken = err;
    if (r.n == 0)
        return IO_RESULT_ERROR(err);
    r.drained = false;
    vc->end_waits = true;
    return r;
}

struct io_result tls_in_peek(struct tls_thread *t, struct view *bytes)
{
    struct net_vconnection *vc = &t->vc->super;
    size_t kept = t->in_left;
    struct io_result r;

    if (kept > 0)
        memcpy(t->in_buf, t->in, kept);
    tls_spill_clear(&t->vc->in);
    t->in_spill = false;
    r = net_vc_socket_recv(vc, t->in_buf + kept, TLS_IN_BYTES - kept);
    t->in_dry = r.drained || r.status == IO_WANT_READ;
    t->in = t->in_buf;
    t->in_left = kept + r.n;
    *bytes = (struct view){(const char *)t->in, t->in_left};
    return r;
}

void tls_in_drop(struct tls_thread *t)
{
    t->in += t->in_left;
    t->in_left = 0;
}

/* The socket took n bytes of what it was given. */
static enum sp_err keep_unsent(struct tls_thread *t, size_t n)
{
    struct tls_spill *out = &t->vc->out;
    size_t spilled = tls_spill_left(out) < n ? tls_spill_left(out) : n;
    size_t sent = n - spilled;
    enum sp_err err;

    if (spilled > 0)
        tls_spill_consume(out, spilled);
    err = tls_spill_append(out, t->out_buf + sent, t->out_len - sent);
    t->out_len = 0;
    return err;
}

enum sp_err tls_out_flush(struct tls_thread *t)
{
    struct ssl_net_vconnection *vc = t->vc;
    struct iovec iov[2];
    int n_iov = 0;
    struct io_result r;
    enum sp_err err;

    if (vc->out.data != NULL)
        iov[n_iov++] = (struct iovec){vc->out.data + vc->out.pos, tls_spill_left(&vc->out)};
    if (t->out_len > 0)
        iov[n_iov++] = (struct iovec){t->out_buf, t->out_len};
    if (n_iov == 0)
        return SP_OK;
    vc->out_may_wait = false;
    r = net_vc_socket_sendv(&vc->super, iov, n_iov);
    err = r.status == IO_ERROR ? r.err : keep_unsent(t, r.n);
    if (err != SP_OK)
        vc->broken = err;
    return err;
}
