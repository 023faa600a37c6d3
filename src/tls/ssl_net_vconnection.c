/* The verbs of a TLS connection. Each that moves bytes is one step (tls_thread.h). */
#include "ssl_net_vconnection.h"

#include "ssl_client_internal.h"
#include "ssl_net_accept.h"
#include "ssl_port_internal.h"
#include "tls_disposal.h"
#include "tls_early.h"
#include "tls_error.h"
#include "tls_thread.h"

#include <sallyport/base/log.h>

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

/* Pieces shorter than this are gathered into one record. A longer one is a record of its own, for
 * which nothing is copied. */
#define GATHER_BELOW(limit) ((limit) / 4)

static struct ssl_net_vconnection *vc_new(struct ssl_net_processor *processor,
                                          const struct tls_role *role, int fd)
{
    struct ssl_net_vconnection *vc = calloc(1, sizeof(*vc));

    if (vc == NULL)
        return NULL;
    vc->processor = processor;
    vc->role = role;
    vc->key_updates_left = TLS_KEY_UPDATES_MAX;
    net_vc_init(&vc->super, &ssl_net_vc_ops, processor->super.core, fd);
    vc->super.phase = VC_HANDSHAKE;
    return vc;
}

struct net_vconnection *ssl_net_vc_new(struct ssl_net_processor *processor, struct net_accept *na,
                                       int fd)
{
    struct ssl_net_vconnection *vc = vc_new(processor, &tls_server_role, fd);

    if (vc == NULL)
        return NULL;
    vc->port = ssl_net_accept_of(na)->port;
    vc->super.accept = na;
    net_vc_set_active_timeout(&vc->super, vc->port->handshake_timeout_ms);
    return &vc->super;
}

struct net_vconnection *ssl_net_vc_new_client(struct ssl_net_processor *processor,
                                              struct tls_client *client, int fd)
{
    struct ssl_net_vconnection *vc = vc_new(processor, &tls_client_role, fd);

    if (vc == NULL)
        return NULL;
    vc->client = ssl_client_of(tls_client_ref(client));
    return &vc->super;
}

static size_t total_of(const struct iovec *iov, int n_iov)
{
    size_t total = 0;

    for (int i = 0; i < n_iov; i++)
        total += iov[i].iov_len;
    return total;
}

static struct io_result ssl_net_vc_advance(struct net_vconnection *base)
{
    return tls_handshake_advance(ssl_net_vc_of(base));
}

/* A step of reading or writing went wrong: said once. */
static struct io_result failed(struct tls_thread *t)
{
    struct net_vconnection *vc = &t->vc->super;
    const char *reason = NULL;
    bool known = t->vc->broken != SP_OK;
    struct io_result r = tls_result(t, &reason);

    if (r.status != IO_ERROR || known)
        return r;
    if (r.err == SP_TLS_TRUNCATED)
        METRIC_INC(tls_truncated);
    if (reason != NULL)
        LOG_LIMITED(TLS, INFO, "vc=%" PRIu64 " err=%s reason=\"%s\"", vc->id, sp_err_label(r.err),
                    reason);
    return r;
}

/* Data earns an honest peer the right to change its keys. */
static void earn_key_updates(struct ssl_net_vconnection *vc, size_t n)
{
    vc->key_update_bytes += n;
    if (vc->key_update_bytes < TLS_BYTES_PER_KEY_UPDATE)
        return;
    vc->key_update_bytes = 0;
    if (vc->key_updates_left < TLS_KEY_UPDATES_MAX)
        vc->key_updates_left++;
}

/* What came before an end or an error is given out first. The socket may have nothing to say any
 * more, so it is noted that the next call has: see ssl_net_vc_pending(). */
static struct io_result stop_after(struct ssl_net_vconnection *vc, struct io_result stop, size_t n)
{
    bool ended = stop.status == IO_EOF || stop.status == IO_ERROR;

    vc->end_waits = ended && n > 0;
    if (n == 0)
        return stop;
    return (struct io_result){.status = IO_OK, .n = n, .drained = !ended};
}

/* Fills the pieces. */
static struct io_result read_pieces(struct tls_thread *t, const struct iovec *iov, int n_iov)
{
    struct ssl_net_vconnection *vc = t->vc;
    struct io_result r = {.status = IO_OK};

    for (int i = 0; i < n_iov; i++) {
        size_t at = 0, n = 0;

        while (at < iov[i].iov_len) {
            if (SSL_read_ex(vc->ssl, (char *)iov[i].iov_base + at, iov[i].iov_len - at, &n) != 1)
                return stop_after(vc, failed(t), r.n);
            at += n;
            r.n += n;
        }
    }
    r.drained = t->in_dry && t->in_left == 0 && SSL_pending(vc->ssl) == 0;
    return r;
}

static void ssl_net_vc_shutdown_write(struct net_vconnection *base);

/* While the handshake is not over, its data come first. */
static struct io_result read_step(struct tls_thread *t, const struct iovec *iov, int n_iov)
{
    struct ssl_net_vconnection *vc = t->vc;
    struct io_result r;
    size_t n = 0;

    if (vc->hs == NULL)
        return read_pieces(t, iov, n_iov);
    r = tls_early_read(t, iov, n_iov, &n);
    if (r.status != IO_OK)
        return stop_after(vc, r, n);
    if (n == 0 && vc->hs == NULL)
        return read_pieces(t, iov, n_iov);
    r.n = n;
    return r;
}

static struct io_result ssl_net_vc_recv(struct net_vconnection *base, const struct iovec *iov,
                                        int n_iov)
{
    struct ssl_net_vconnection *vc = ssl_net_vc_of(base);
    struct tls_thread *t;
    struct io_result r;

    vc->end_waits = false; /* told now, or found again */
    if (vc->broken != SP_OK)
        return IO_RESULT_ERROR(vc->broken);
    /* No more ciphertext than there is room for plaintext, so that little is left over. */
    t = tls_step_begin(vc, total_of(iov, n_iov));
    if (t == NULL)
        return IO_RESULT_ERROR(SP_NOMEM);
    r = read_step(t, iov, n_iov);
    if (r.status == IO_OK)
        earn_key_updates(vc, r.n);
    r = tls_step_end(t, r);
    if (vc->shutdown_waits && vc->hs == NULL)
        ssl_net_vc_shutdown_write(base);
    return r;
}

/* Where a send stands in its pieces. */
struct cursor {
    const struct iovec *iov;
    int n_iov, i;
    size_t at; /* in iov[i] */
};

static void cursor_advance(struct cursor *c, size_t n)
{
    while (n > 0) {
        size_t left = c->iov[c->i].iov_len - c->at;

        if (n < left) {
            c->at += n;
            return;
        }
        n -= left;
        c->i++;
        c->at = 0;
    }
}

/* The payload of the next record, `limit` bytes at the most: in place, or gathered in `room` when
 * it would be short for no other reason than that its piece ends. */
static struct view next_payload(struct cursor c, size_t limit, uint8_t *room)
{
    size_t left, n = 0;

    while (c.at == c.iov[c.i].iov_len) { /* an empty piece */
        c.i++;
        c.at = 0;
    }
    left = c.iov[c.i].iov_len - c.at;
    if (left >= GATHER_BELOW(limit) || c.i + 1 == c.n_iov)
        return view_head((struct view){(const char *)c.iov[c.i].iov_base + c.at, left}, limit);
    for (; n < limit && c.i < c.n_iov; c.i++, c.at = 0) {
        left = c.iov[c.i].iov_len - c.at;
        left = left < limit - n ? left : limit - n;
        memcpy(room + n, (const char *)c.iov[c.i].iov_base + c.at, left);
        n += left;
    }
    return (struct view){(const char *)room, n};
}

/* Before the client's Finished (RFC 8446 2: the server may send then) it is another call. */
static int write_record(struct ssl_net_vconnection *vc, struct view payload, size_t *n)
{
    if (vc->hs != NULL)
        return SSL_write_early_data(vc->ssl, payload.p, payload.len, n);
    return SSL_write_ex(vc->ssl, payload.p, payload.len, n);
}

/* Records are made until the pieces are used up or the socket is full. One batch at most is
 * encrypted ahead of the socket. */
static struct io_result write_pieces(struct tls_thread *t, struct cursor c, size_t total)
{
    struct ssl_net_vconnection *vc = t->vc;
    size_t limit = tls_pacing_limit(&vc->pacing, total, ethread_now_ms(vc->super.thread));
    struct io_result r = {.status = IO_OK};

    while (r.n < total) {
        struct view payload;
        size_t n = 0;

        if (!tls_out_has_room(t) && (tls_out_flush(t) != SP_OK || tls_out_left(t) > 0))
            break;
        payload = next_payload(c, limit, t->gather);
        if (write_record(vc, payload, &n) != 1)
            return r.n == 0 ? failed(t) : r;
        cursor_advance(&c, n);
        r.n += n;
        limit = tls_pacing_sent(&vc->pacing, n, limit);
    }
    return r.n == 0 && vc->broken != SP_OK ? IO_RESULT_ERROR(vc->broken) : r;
}

/* Nothing is encrypted while the socket still owes us a batch. */
static struct io_result send_step(struct tls_thread *t, const struct iovec *iov, int n_iov)
{
    size_t total = total_of(iov, n_iov);

    if (!t->vc->out_may_wait) {
        if (tls_out_left(t) > 0 && tls_out_flush(t) != SP_OK)
            return IO_RESULT_ERROR(t->vc->broken);
        if (tls_out_left(t) > 0)
            return IO_RESULT_WANT(IO_WANT_WRITE);
    }
    if (total == 0)
        return IO_RESULT_WANT(IO_WANT_WRITE);
    return write_pieces(t, (struct cursor){.iov = iov, .n_iov = n_iov}, total);
}

static struct io_result ssl_net_vc_send(struct net_vconnection *base, const struct iovec *iov,
                                        int n_iov)
{
    struct ssl_net_vconnection *vc = ssl_net_vc_of(base);
    struct tls_thread *t;

    if (vc->broken != SP_OK)
        return IO_RESULT_ERROR(vc->broken);
    t = tls_step_begin(vc, 0);
    if (t == NULL)
        return IO_RESULT_ERROR(SP_NOMEM);
    return tls_step_end(t, send_step(t, iov, n_iov));
}

static struct io_result flush_step(struct tls_thread *t)
{
    if (tls_out_flush(t) != SP_OK)
        return IO_RESULT_ERROR(t->vc->broken);
    return tls_out_left(t) > 0 ? IO_RESULT_WANT(IO_WANT_WRITE) : (struct io_result){0};
}

static struct io_result ssl_net_vc_flush(struct net_vconnection *base)
{
    struct ssl_net_vconnection *vc = ssl_net_vc_of(base);
    struct io_result r;
    struct tls_thread *t;

    if (vc->out.data == NULL || vc->out_may_wait)
        return (struct io_result){.status = IO_OK};
    if (vc->broken != SP_OK)
        return IO_RESULT_ERROR(vc->broken);
    if (!base->write.triggered) /* it was full, and nobody said otherwise since */
        return IO_RESULT_WANT(IO_WANT_WRITE);
    t = tls_step_begin(vc, 0);
    if (t == NULL)
        return IO_RESULT_ERROR(SP_NOMEM);
    r = tls_step_end(t, flush_step(t));
    if (r.status == IO_OK && vc->fin_when_flushed)
        (void)shutdown(base->fd, SHUT_WR);
    return r;
}

/* Exact where it matters: part of a record inside OpenSSL is not something to read. */
static bool ssl_net_vc_pending(const struct net_vconnection *base)
{
    const struct ssl_net_vconnection *vc = ssl_net_vc_of_const(base);

    return vc->in.data != NULL || vc->end_waits || (vc->hs != NULL && vc->hs->early.data != NULL) ||
           (vc->ssl != NULL && SSL_pending(vc->ssl) > 0);
}

/* It has said its last word and ended its stream: nobody reads ours. */
static bool peer_has_left(const struct ssl_net_vconnection *vc)
{
    return vc->super.peer_ended && vc->ssl != NULL &&
           (SSL_get_shutdown(vc->ssl) & SSL_RECEIVED_SHUTDOWN) != 0;
}

/* close_notify, once, unless the connection is beyond words (SSL_shutdown(3): not after a fatal
 * error). Best effort: what the socket does not take at once waits in `out`, if there is an after.
 */
static void send_close_notify(struct ssl_net_vconnection *vc)
{
    struct tls_thread *t;

    if (vc->broken != SP_OK || vc->ssl == NULL || vc->hs != NULL ||
        (SSL_get_shutdown(vc->ssl) & SSL_SENT_SHUTDOWN) != 0)
        return;
    t = tls_step_begin(vc, 0);
    if (t == NULL)
        return;
    if (SSL_shutdown(vc->ssl) < 0)
        (void)tls_error_take();
    if (tls_step_end(t, (struct io_result){.status = IO_OK}).status != IO_OK)
        LOG_DEBUG(TLS, "vc=%" PRIu64 " close_notify was not sent", vc->super.id);
}

static void ssl_net_vc_shutdown_write(struct net_vconnection *base)
{
    struct ssl_net_vconnection *vc = ssl_net_vc_of(base);

    vc->shutdown_waits = vc->hs != NULL && vc->broken == SP_OK; /* close_notify comes after it */
    if (vc->shutdown_waits)
        return;
    send_close_notify(vc);
    vc->fin_when_flushed = true;
    if (vc->out.data == NULL || vc->broken != SP_OK)
        (void)shutdown(base->fd, SHUT_WR);
}

/* Unread bytes would turn the close into a reset, which may overtake the alert that tells the peer
 * why: take what is there, a bounded number of times. */
static void let_alert_arrive(struct ssl_net_vconnection *vc)
{
    char waste[4096];

    if (vc->hs == NULL || vc->hs->alert_sent < 0)
        return;
    (void)shutdown(vc->super.fd, SHUT_WR);
    for (int i = 0; i < 4; i++)
        if (net_vc_socket_recv(&vc->super, waste, sizeof(waste)).status != IO_OK)
            return;
}

static void ssl_net_vc_close(struct net_vconnection *base, enum vc_close how)
{
    struct ssl_net_vconnection *vc = ssl_net_vc_of(base);

    if (base->phase == VC_HANDSHAKE) {
        tls_handshake_abandon(vc, base->err);
        if (how == VC_CLOSE_CLEAN)
            let_alert_arrive(vc);
        return;
    }
    if (vc->hs != NULL)
        tls_handshake_abandon(vc, base->err);
    else if (how == VC_CLOSE_CLEAN && !peer_has_left(vc))
        send_close_notify(vc);
}

/* Steps leave nothing in the thread's buffers; only the BIO is the thread's own. */
static enum sp_err ssl_net_vc_detach(struct net_vconnection *base)
{
    tls_thread_leave(ssl_net_vc_of(base));
    return SP_OK;
}

static bool ssl_net_vc_tls_info(const struct net_vconnection *base, struct tls_info *out)
{
    const struct ssl_net_vconnection *vc = ssl_net_vc_of_const(base);
    const SSL_CIPHER *cipher = vc->ssl == NULL ? NULL : SSL_get_current_cipher(vc->ssl);
    const unsigned char *alpn = NULL;
    unsigned alpn_len = 0;

    if (base->phase != VC_OPEN || cipher == NULL)
        return false;
    SSL_get0_alpn_selected(vc->ssl, &alpn, &alpn_len);
    *out = (struct tls_info){
        .version = SSL_get_version(vc->ssl),
        .cipher = SSL_CIPHER_standard_name(cipher),
        .sni = view_of(SSL_get_servername(vc->ssl, TLSEXT_NAMETYPE_host_name)),
        .alpn = {(const char *)alpn, alpn_len},
        .bundle = tls_label_view(vc->bundle),
        .resumed = vc->resumed,
        .early = vc->hs != NULL,
        .handshake_us = vc->handshake_us,
        .wait_us = vc->wait_us,
    };
    return true;
}

static struct client_identity *ssl_net_vc_identity(const struct net_vconnection *base)
{
    return ssl_net_vc_of_const(base)->identity;
}

static bool ssl_net_vc_serves(const struct net_vconnection *base, struct view host)
{
    const struct ssl_net_vconnection *vc = ssl_net_vc_of_const(base);

    return vc->role->serves(vc, host);
}

static void ssl_net_vc_destroy(struct net_vconnection *base)
{
    struct ssl_net_vconnection *vc = ssl_net_vc_of(base);

    vc->role->release(vc);
    tls_handshake_free(vc->hs);
    tls_thread_leave(vc);
    tls_spill_clear(&vc->in);
    tls_spill_clear(&vc->out);
    tls_label_unref(vc->bundle);
    client_identity_unref(vc->identity);
    net_vc_fini(base);
    tls_dispose(vc);
}

const struct net_vc_ops ssl_net_vc_ops = {
    .name = "tls",
    .advance = ssl_net_vc_advance,
    .recv = ssl_net_vc_recv,
    .send = ssl_net_vc_send,
    .flush = ssl_net_vc_flush,
    .pending = ssl_net_vc_pending,
    .shutdown_write = ssl_net_vc_shutdown_write,
    .close = ssl_net_vc_close,
    .detach = ssl_net_vc_detach,
    .tls_info = ssl_net_vc_tls_info,
    .identity = ssl_net_vc_identity,
    .serves = ssl_net_vc_serves,
    .destroy = ssl_net_vc_destroy,
};
