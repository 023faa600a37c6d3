#include "tls_early.h"

#include "client_trust.h"
#include "ssl_port_internal.h"
#include "ticket_register.h"
#include "tls_error.h"
#include "tls_thread.h"

#include <sallyport/base/clock.h>
#include <sallyport/base/metrics.h>

#include <openssl/err.h>

#include <stdlib.h>
#include <string.h>

/* ---- May it be? ---- */

static enum ticket_take take_ticket(struct ticket_register *r, SSL *ssl)
{
    void *stamp = NULL;
    size_t len = 0;

    if (SSL_SESSION_get0_ticket_appdata(SSL_get_session(ssl), &stamp, &len) != 1 || stamp == NULL)
        return TICKET_FOREIGN;
    return ticket_register_take(r, stamp, len);
}

/* OpenSSL has looked at the rest: the ticket's age, the suite, the protocol, the name. Where
 * clients are asked for certificates, what is known of one is put together when the handshake is
 * over. */
int tls_on_early_data(SSL *ssl, void *arg)
{
    struct ssl_net_vconnection *vc = ssl_net_vc_of_ssl(ssl);

    (void)arg;
    vc->hs->early_judged = true;
    if (vc->hs->trust != NULL) {
        METRIC_INC(tls_early_refused_client_auth);
        return 0;
    }
    switch (take_ticket(vc->port->early, ssl)) {
    case TICKET_TAKEN: return 1;
    case TICKET_USED: METRIC_INC(tls_early_refused_used); break;
    case TICKET_FORGOTTEN: METRIC_INC(tls_early_refused_forgotten); break;
    case TICKET_FOREIGN: METRIC_INC(tls_early_refused_foreign); break;
    }
    return 0;
}

int tls_on_ticket_made(SSL *ssl, void *arg)
{
    struct ticket_register *r = ssl_net_vc_of_ssl(ssl)->port->early;
    struct ticket_stamp stamp;

    (void)arg;
    if (SSL_version(ssl) != TLS1_3_VERSION)
        return 1;
    stamp = ticket_register_issue(r);
    return SSL_SESSION_set1_ticket_appdata(SSL_get_session(ssl), stamp.bytes, sizeof(stamp.bytes));
}

void tls_early_count(const struct tls_handshake *hs)
{
    const SSL *ssl = hs->vc->ssl;

    if (hs->early_judged || SSL_get_early_data_status(ssl) != SSL_EARLY_DATA_REJECTED)
        return;
    if (hs->vc->resumed)
        METRIC_INC(tls_early_refused_stale);
    else
        METRIC_INC(tls_early_refused_not_resumed);
}

/* ---- The first of it ---- */

static bool keep_first(struct tls_handshake *hs, const uint8_t *data, size_t n)
{
    struct net_vc_early *early = malloc(sizeof(*early));

    if (early == NULL)
        return false;
    if (tls_spill_append(&hs->early, data, n) != SP_OK) {
        free(early);
        return false;
    }
    list_init(&early->waiting);
    early->over = false;
    hs->vc->super.early = early;
    return true;
}

enum tls_early tls_early_look(struct tls_handshake *hs, struct tls_thread *t)
{
    size_t n = 0;

    switch (SSL_read_early_data(hs->vc->ssl, t->gather, sizeof(t->gather), &n)) {
    case SSL_READ_EARLY_DATA_SUCCESS:
        METRIC_ADD(tls_early_bytes, n);
        return keep_first(hs, t->gather, n) ? TLS_EARLY_USABLE : TLS_EARLY_NOMEM;
    case SSL_READ_EARLY_DATA_FINISH: hs->looks_for_early = false; return TLS_EARLY_OVER;
    default: return TLS_EARLY_STOPPED;
    }
}

void tls_early_begin(struct ssl_net_vconnection *vc)
{
    vc->resumed = true;
    vc->handshake_us = (uint32_t)(vc->hs->spent_ns / 1000);
    vc->bundle = tls_label_ref(vc->hs->bundle->name);
    vc->policy = client_trust_policy(vc->hs->trust);
    METRIC_INC(tls_early_accepted);
}

/* ---- The rest, on the data thread ---- */

static size_t give_first(struct tls_spill *first, const struct iovec *iov, int n_iov)
{
    size_t n = 0;

    for (int i = 0; i < n_iov && first->data != NULL; i++) {
        size_t left = tls_spill_left(first);
        size_t take = left < iov[i].iov_len ? left : iov[i].iov_len;

        memcpy(iov[i].iov_base, first->data + first->pos, take);
        tls_spill_consume(first, take);
        n += take;
    }
    return n;
}

/* Like every handshake that fails; what it received is told first. */
static struct io_result broke(struct tls_thread *t)
{
    struct ssl_net_vconnection *vc = t->vc;
    const char *reason = NULL;
    struct io_result r = tls_result(t, &reason);

    if (r.status != IO_ERROR && r.status != IO_EOF)
        return r;
    vc->hs->reason = reason;
    tls_handshake_abandon(vc,
                          r.status == IO_EOF || r.err == SP_TLS_TRUNCATED ? SP_TLS_GONE : r.err);
    return r;
}

/* EndOfEarlyData was there; Finished is what is missing. */
static struct io_result complete(struct tls_thread *t)
{
    struct ssl_net_vconnection *vc = t->vc;
    int64_t began_ns = clock_thread_cpu_ns();
    bool is_over = SSL_do_handshake(vc->ssl) == 1;
    enum sp_err err;

    vc->hs->spent_ns += clock_thread_cpu_ns() - began_ns;
    if (!is_over)
        return broke(t);
    err = vc->role->judge(vc->hs);
    if (err != SP_OK) {
        vc->broken = err;
        tls_handshake_abandon(vc, err);
        return IO_RESULT_ERROR(err);
    }
    tls_handshake_finish(vc);
    vc->super.early->over = true;
    return (struct io_result){.status = IO_OK};
}

/* One piece; IO_OK with *n == 0: all of it was read. */
static struct io_result read_piece(struct tls_thread *t, void *dst, size_t cap, size_t *n)
{
    switch (SSL_read_early_data(t->vc->ssl, dst, cap, n)) {
    case SSL_READ_EARLY_DATA_SUCCESS:
        METRIC_ADD(tls_early_bytes, *n);
        return (struct io_result){.status = IO_OK};
    case SSL_READ_EARLY_DATA_FINISH:
        *n = 0;
        t->vc->hs->looks_for_early = false;
        return (struct io_result){.status = IO_OK};
    default: *n = 0; return broke(t);
    }
}

static struct io_result read_more(struct tls_thread *t, const struct iovec *iov, int n_iov,
                                  size_t *n)
{
    for (int i = 0; i < n_iov; i++) {
        size_t at = 0, got = 0;

        while (at < iov[i].iov_len) {
            struct io_result r =
                read_piece(t, (char *)iov[i].iov_base + at, iov[i].iov_len - at, &got);

            if (r.status != IO_OK || got == 0)
                return r;
            at += got;
            *n += got;
        }
    }
    return (struct io_result){.status = IO_OK};
}

struct io_result tls_early_read(struct tls_thread *t, const struct iovec *iov, int n_iov, size_t *n)
{
    struct tls_handshake *hs = t->vc->hs;
    struct io_result r = {.status = IO_OK};

    *n = give_first(&hs->early, iov, n_iov);
    if (*n > 0)
        return r;
    if (hs->looks_for_early)
        r = read_more(t, iov, n_iov, n);
    if (r.status != IO_OK || hs->looks_for_early)
        return r;
    return complete(t);
}
