/* The BIO between OpenSSL and a thread's buffers. It keeps no state of its own: whose bytes it
 * moves says the step that is running. */
#include "tls_thread.h"

#include <pthread.h>
#include <string.h>

static BIO_METHOD *method;

/* Asks the socket, unless it is known to have nothing: it was read dry, or readiness has not been
 * told since. */
static bool fill(struct tls_thread *t)
{
    struct net_vconnection *vc = &t->vc->super;
    struct io_result r;

    if (t->in_dry || t->in_eof || t->vc->broken != SP_OK)
        return false;
    if (t->in_spill) {
        tls_spill_clear(&t->vc->in);
        t->in_spill = false;
    }
    if (!vc->read.triggered && !vc->socket_failed) {
        t->in_dry = true;
        return false;
    }
    r = net_vc_socket_recv(vc, t->in_buf, t->in_max);
    t->in_dry = r.drained || r.status == IO_WANT_READ;
    t->in_eof = r.status == IO_EOF || r.status == IO_ERROR;
    t->in_err = r.err;
    t->in = t->in_buf;
    t->in_left = r.status == IO_OK ? r.n : 0;
    return t->in_left > 0;
}

static int bio_read(BIO *b, char *dst, size_t len, size_t *n)
{
    struct tls_thread *t = BIO_get_data(b);

    BIO_clear_retry_flags(b);
    if (t->in_left == 0 && !fill(t)) {
        if (!t->in_eof)
            BIO_set_retry_read(b);
        return -1;
    }
    *n = len < t->in_left ? len : t->in_left;
    memcpy(dst, t->in, *n);
    t->in += *n;
    t->in_left -= *n;
    return 1;
}

static int bio_write(BIO *b, const char *src, size_t len, size_t *n)
{
    struct tls_thread *t = BIO_get_data(b);

    BIO_clear_retry_flags(b);
    if (t->out_len + len > TLS_OUT_BYTES && tls_spill_left(&t->vc->out) == 0 &&
        tls_out_flush(t) != SP_OK)
        return -1;
    *n = TLS_OUT_BYTES - t->out_len < len ? TLS_OUT_BYTES - t->out_len : len;
    if (*n == 0) {
        BIO_set_retry_write(b);
        return -1;
    }
    memcpy(t->out_buf + t->out_len, src, *n);
    t->out_len += *n;
    return 1;
}

/* BIO_CTRL_EOF stays 0: a bare FIN is told by tls_result(), and OpenSSL shall not answer it with an
 * alert. */
static long bio_ctrl(BIO *b, int cmd, long num, void *ptr)
{
    (void)b;
    (void)num;
    (void)ptr;
    return cmd == BIO_CTRL_FLUSH || cmd == BIO_CTRL_DUP ? 1 : 0;
}

static void method_make(void)
{
    BIO_METHOD *m = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "sallyport");

    if (m == NULL)
        return;
    if (BIO_meth_set_read_ex(m, bio_read) != 1 || BIO_meth_set_write_ex(m, bio_write) != 1 ||
        BIO_meth_set_ctrl(m, bio_ctrl) != 1) {
        BIO_meth_free(m);
        return;
    }
    method = m;
}

enum sp_err tls_bio_method_init(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    (void)pthread_once(&once, method_make);
    return method == NULL ? SP_NOMEM : SP_OK;
}

BIO *tls_bio_new(struct tls_thread *t)
{
    BIO *b = BIO_new(method);

    if (b == NULL)
        return NULL;
    BIO_set_data(b, t);
    BIO_set_init(b, 1);
    return b;
}
