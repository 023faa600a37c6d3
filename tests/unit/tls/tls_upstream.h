/* One of our outgoing connections and an OpenSSL server, over loopback: the test turns the loop of
 * the one and steps the other. */
#pragma once

#include "net_fixture.h"
#include "ssl_client_internal.h"
#include "ssl_net_vconnection.h"
#include "tls_certs.h"

#include <sallyport/base/clock.h>
#include <sallyport/base/metrics.h>
#include <sallyport/tls/ssl_client.h>

#include <openssl/err.h>

#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <time.h>

#define CONNECT_TIMEOUT_MS 3000

struct upstream {
    struct net_fixture f;
    struct ssl_net_processor np;
    struct test_folder folder;
    EVP_PKEY *ca_key;
    X509 *ca;
    struct view ca_file;
    struct ssl_trust *trust; /* of our CA */
    struct net_user user;
    /* The server. */
    SSL_CTX *ctx;
    SSL *ssl;
    int listener, fd; /* -1: none */
    struct endpoint at;
    bool accepted; /* its side of the handshake is over */
    /* What was reported last. */
    char key[32], text[256];
    int n_problems;
};

static inline size_t view_copy_cut(char *dst, size_t cap, struct view v)
{
    size_t n = v.len < cap ? v.len : cap;

    memcpy(dst, v.p, n);
    return n;
}

static inline void upstream_problem(void *arg, const struct ssl_client_problem *p)
{
    struct upstream *u = arg;

    (void)snprintf(u->key, sizeof(u->key), "%s", p->key);
    u->text[view_copy_cut(u->text, sizeof(u->text) - 1, p->text)] = '\0';
    u->n_problems++;
}

/* The loop's time stands still, the wall's is the system's: so is the library's. */
static int64_t upstream_wall_offset_ms;

static inline int64_t upstream_mono_ns(void)
{
    return net_fixture_now_ms() * 1000000;
}

static inline int64_t upstream_wall_ms(void)
{
    return (int64_t)time(NULL) * 1000 + upstream_wall_offset_ms;
}

static inline void upstream_make_ca(struct upstream *u)
{
    const struct cert_recipe recipe = {
        .common_name = "Test CA", .days_from = -100, .days_to = 100, .ca = true};

    folder_make(&u->folder);
    u->ca_key = key_new(KEY_EC);
    u->ca = cert_new(&recipe, u->ca_key);
    u->ca_file = folder_file(&u->folder, "ca.pem");
    pem_write_cert(u->ca_file, u->ca, "w");
}

static inline void upstream_open(struct upstream *u)
{
    static const struct clock_source clock = {.mono_ns = upstream_mono_ns,
                                              .wall_ms = upstream_wall_ms};
    const struct sigaction ignore = {.sa_handler = SIG_IGN};
    const struct ssl_client_reporter reporter = {.report = upstream_problem, .arg = u};
    enum sp_err err;

    (void)sigaction(SIGPIPE, &ignore, NULL); /* the server's library uses write(2) */
    memset(u, 0, sizeof(*u));
    upstream_make_ca(u);
    net_fixture_open(&u->f, NULL);
    upstream_wall_offset_ms = 0;
    clock_set_for_test(&clock);
    assert_int_equal(ssl_net_processor_start(&u->np, u->f.core, 0, 0), SP_OK);
    u->trust = ssl_trust_new(u->ca_file, &reporter, &err);
    assert_non_null(u->trust);
    net_user_init(&u->user);
    u->listener = loopback_listen(16, &u->at);
    assert_int_equal(fcntl(u->listener, F_SETFL, O_NONBLOCK), 0);
    u->fd = -1;
    u->ctx = SSL_CTX_new(TLS_server_method());
    assert_non_null(u->ctx);
    (void)SSL_CTX_set_session_id_context(u->ctx, (const unsigned char *)"test", 4);
}

static inline void upstream_peer_gone(struct upstream *u)
{
    SSL_free(u->ssl);
    u->ssl = NULL;
    if (u->fd >= 0)
        (void)close(u->fd);
    u->fd = -1;
    u->accepted = false;
    ERR_clear_error();
}

static inline void upstream_close(struct upstream *u)
{
    upstream_peer_gone(u);
    SSL_CTX_free(u->ctx);
    (void)close(u->listener);
    if (u->user.vc != NULL)
        net_user_close(&u->user, VC_CLOSE_ABORT);
    net_user_fini(&u->user);
    ssl_trust_unref(u->trust);
    net_fixture_settle(&u->f);
    ethread_adopt(NULL);
    event_processor_stop(u->f.ep);
    ethread_adopt(u->f.thread);
    ssl_net_processor_fini(&u->np);
    net_fixture_close(&u->f);
    X509_free(u->ca);
    EVP_PKEY_free(u->ca_key);
    folder_remove(&u->folder);
}

/* The server has a certificate of our CA, for one day in either direction unless `days` says so. */
struct peer_cert {
    const char *names; /* subjectAltName; NULL: none */
    const char *common_name;
    int days_from, days_to;
    bool self_signed;
};

static inline void upstream_serves(struct upstream *u, struct peer_cert c)
{
    const struct cert_recipe recipe = {
        .common_name = c.common_name == NULL ? "peer" : c.common_name,
        .alt_names = c.names,
        .days_from = c.days_from == 0 ? -1 : c.days_from,
        .days_to = c.days_to == 0 ? 1 : c.days_to,
        .issuer = c.self_signed ? NULL : u->ca,
        .issuer_key = c.self_signed ? NULL : u->ca_key,
    };
    EVP_PKEY *key = key_new(KEY_EC);
    X509 *cert = cert_new(&recipe, key);

    assert_int_equal(SSL_CTX_use_certificate(u->ctx, cert), 1);
    assert_int_equal(SSL_CTX_use_PrivateKey(u->ctx, key), 1);
    X509_free(cert);
    EVP_PKEY_free(key);
}

static inline struct tls_client *upstream_client(struct upstream *u,
                                                 const struct ssl_client_options *options)
{
    const struct ssl_client_reporter reporter = {.report = upstream_problem, .arg = u};
    enum sp_err err;
    struct tls_client *client = ssl_client_new(options, &reporter, &err);

    if (client == NULL)
        fail_msg("%s: %s (%s)", u->key, u->text, sp_err_label(err));
    assert_int_equal(err, SP_OK);
    return client;
}

/* Whom most tests want: verifies, and expects shop.example. */
static inline struct ssl_client_options upstream_options(const struct upstream *u)
{
    return (struct ssl_client_options){
        .trust = u->trust, .server_name = VIEW("shop.example"), .alpn = ALPN_HTTP11};
}

static inline void upstream_connect(struct upstream *u, struct tls_client *client)
{
    const struct net_connect_options options = {
        .remote = u->at, .timeout_ms = CONNECT_TIMEOUT_MS, .tls = client};
    enum sp_err err;

    net_user_forget(&u->user);
    u->user.failure = SP_OK;
    u->user.vc = net_processor_connect_s(&u->np.super, &options, &u->user.super, &err);
    assert_non_null(u->user.vc);
}

/* The server takes the connection, and a step. */
static inline void upstream_peer_step(struct upstream *u)
{
    if (u->fd < 0) {
        u->fd = accept4(u->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (u->fd < 0)
            return;
        u->ssl = SSL_new(u->ctx);
        if (u->ssl == NULL || SSL_set_fd(u->ssl, u->fd) != 1) { /* out of memory is on purpose */
            upstream_peer_gone(u);
            return;
        }
        SSL_set_accept_state(u->ssl);
    }
    if (!u->accepted)
        u->accepted = SSL_do_handshake(u->ssl) == 1;
    if (u->accepted)
        ERR_clear_error();
}

static inline bool upstream_decided(struct upstream *u)
{
    upstream_peer_step(u);
    return net_user_count(&u->user, NET_EVENT_OPEN) > 0 ||
           net_user_count(&u->user, NET_EVENT_OPEN_FAILED) > 0;
}

/* SP_OK: both sides are through; else what our side was told. */
static inline enum sp_err upstream_meet(struct upstream *u, struct tls_client *client)
{
    upstream_connect(u, client);
    NET_FIXTURE_UNTIL(&u->f, upstream_decided(u));
    if (net_user_count(&u->user, NET_EVENT_OPEN_FAILED) > 0) {
        u->user.vc = NULL;
        net_fixture_settle(&u->f);
        return u->user.failure;
    }
    NET_FIXTURE_UNTIL(&u->f, (upstream_peer_step(u), u->accepted));
    (void)net_user_read(&u->user, INT64_MAX, 65536);
    net_fixture_settle(&u->f); /* tickets */
    return SP_OK;
}

/* Both ends go; the next one may come. */
static inline void upstream_part(struct upstream *u)
{
    upstream_peer_gone(u);
    if (u->user.vc != NULL)
        net_user_close(&u->user, VC_CLOSE_ABORT);
    u->user.vc = NULL;
    iobuf_clear(&u->user.in);
    net_fixture_settle(&u->f);
}
