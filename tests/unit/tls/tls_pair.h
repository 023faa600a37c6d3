/* An OpenSSL client and one of our connections, on the two ends of a socketpair. No thread runs:
 * the test is the loop and calls the connection's verbs itself. */
#pragma once

#include "cert_stores.h"
#include "ssl_net_vconnection.h"
#include "ssl_port_internal.h"
#include "tls_certs.h"

#include <sallyport/base/clock.h>
#include <sallyport/base/metrics.h>
#include <sallyport/tls/ssl_net_processor.h>

#include <openssl/err.h>
#include <openssl/ssl.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>

#define PLAIN_HTTP_ANSWER "HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n"

/* Everything up to the listener. */
struct tls_bed {
    struct test_folder folder;
    struct event_processor *ep;
    struct net_core *core;
    struct ssl_net_processor np;
    struct cert_conf certs[4];
    struct bundle_conf bundles[3];
    const struct bundle_conf *bundle_list[3];
    struct tls_port_conf conf;
    struct cert_store *store;
    struct ssl_port *port;
    struct net_accept *na;
};

static inline void report_unexpected(void *arg, const struct cert_problem *problem)
{
    (void)arg;
    if (!problem->warning)
        fail_msg(VIEW_FMT ": " VIEW_FMT, VIEW_ARG(problem->file), VIEW_ARG(problem->text));
}

/* Bundle "shop" (ECDSA and RSA; shop.example, *.shop.example) is the default, "api" is RSA only. */
static inline void bed_config(struct tls_bed *bed)
{
    folder_make(&bed->folder);
    bed->certs[0] =
        cert_files_make(&bed->folder, "shop-ec", KEY_EC, "DNS:shop.example,DNS:*.shop.example");
    bed->certs[1] =
        cert_files_make(&bed->folder, "shop-rsa", KEY_RSA, "DNS:shop.example,DNS:*.shop.example");
    bed->certs[2] = cert_files_make(&bed->folder, "api", KEY_RSA, "DNS:api.example");
    bed->bundles[0] =
        (struct bundle_conf){.name = VIEW("shop"), .certs = &bed->certs[0], .n_certs = 2};
    bed->bundles[1] =
        (struct bundle_conf){.name = VIEW("api"), .certs = &bed->certs[2], .n_certs = 1};
    bed->bundle_list[0] = &bed->bundles[0];
    bed->bundle_list[1] = &bed->bundles[1];
    bed->conf = (struct tls_port_conf){.bundles = bed->bundle_list,
                                       .n_bundles = 2,
                                       .default_bundle = &bed->bundles[0],
                                       .preset = TLS_PRESET_INTERMEDIATE,
                                       .alpn = ALPN_H2 | ALPN_HTTP11,
                                       .session_tickets = true,
                                       .ticket_lifetime_s = 3600,
                                       .handshake_timeout_ms = 5000};
}

/* After a change of bed->conf: a port and a listener object of it. */
static inline void bed_open_port(struct tls_bed *bed)
{
    const struct cert_reporter reporter = {.report = report_unexpected};
    struct net_accept_options options = {.label = VIEW("test")};
    struct ticket_keys *keys = ticket_keys_load(&bed->conf, VIEW("test"), &reporter);
    enum sp_err err;

    assert_non_null(keys);
    bed->store = store_make(&bed->conf, &reporter, &err);
    assert_int_equal(err, SP_OK);
    err = ssl_port_new(&(struct ssl_port_options){.conf = &bed->conf,
                                                  .store = bed->store,
                                                  .ticket_keys = keys,
                                                  .plain_http_answer = VIEW(PLAIN_HTTP_ANSWER)},
                       &bed->port);
    assert_int_equal(err, SP_OK);
    ticket_keys_unref(keys);
    options.tls = bed->port;
    bed->na = bed->np.super.ops->create_net_accept(&bed->np.super, &options);
    assert_non_null(bed->na);
}

static inline void bed_close_port(struct tls_bed *bed)
{
    net_accept_unref(bed->na);
    ssl_port_unref(bed->port);
    cert_store_unref(bed->store);
}

static inline void bed_reopen_port(struct tls_bed *bed)
{
    bed_close_port(bed);
    bed_open_port(bed);
}

static inline void bed_init_threads(struct tls_bed *bed, int n_net, int n_ssl)
{
    const struct net_core_options options = {.n_net_threads = n_net,
                                             .default_inactivity_ms = 60000,
                                             .handshake_budget_ns = 2000000,
                                             .throttle = {.max_connections = 1000}};

    memset(bed, 0, sizeof(*bed));
    bed_config(bed);
    bed->ep = event_processor_new();
    assert_non_null(bed->ep);
    bed->core = net_core_new(bed->ep, &options);
    assert_non_null(bed->core);
    assert_int_equal(ssl_net_processor_start(&bed->np, bed->core, n_ssl, 0), SP_OK);
}

static inline void bed_fini_threads(struct tls_bed *bed)
{
    ssl_net_processor_fini(&bed->np);
    net_core_free(bed->core);
    event_processor_free(bed->ep);
    folder_remove(&bed->folder);
}

static inline void bed_register_metrics(void)
{
    static bool done;

    if (!done)
        assert_int_equal(metrics_register_thread(), SP_OK);
    done = true;
}

static inline int bed_setup(void **state)
{
    const struct sigaction ignore = {.sa_handler = SIG_IGN};
    struct tls_bed *bed = malloc(sizeof(*bed));

    assert_non_null(bed);
    (void)sigaction(SIGPIPE, &ignore, NULL); /* the client's library uses write(2) */
    bed_register_metrics();
    bed_init_threads(bed, 2, 0);
    ethread_adopt(bed->ep->threads[0]);
    bed_open_port(bed);
    *state = bed;
    return 0;
}

static inline int bed_teardown(void **state)
{
    struct tls_bed *bed = *state;

    bed_close_port(bed);
    ethread_adopt(NULL);
    bed_fini_threads(bed);
    clock_set_for_test(NULL);
    free(bed);
    return 0;
}

/* The macro casts const away. */
static inline void client_asks_for(SSL *client, const char *name)
{
    char copy[256];

    (void)snprintf(copy, sizeof(copy), "%s", name);
    assert_int_equal(SSL_set_tlsext_host_name(client, copy), 1);
}

struct tls_pair {
    struct tls_bed *bed;
    int client_fd; /* -1: closed */
    SSL_CTX *client_ctx;
    SSL *client;
    struct net_vconnection *vc; /* NULL: closed */
    struct io_result advanced;  /* what the last handshake step came to */
    SSL_SESSION *ticket;        /* the last one that the client was given; owned */
};

static inline int pair_on_session(SSL *ssl, SSL_SESSION *session)
{
    struct tls_pair *pair = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));

    SSL_SESSION_free(pair->ticket);
    pair->ticket = session;
    return 1;
}

static inline void pair_init_sockets(struct tls_pair *pair, struct tls_bed *bed)
{
    int fds[2];

    memset(pair, 0, sizeof(*pair));
    pair->bed = bed;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
    pair->client_fd = fds[0];
    pair->vc = bed->np.super.ops->allocate_vc(&bed->np.super, net_accept_ref(bed->na), fds[1]);
    assert_non_null(pair->vc);
    pair->vc->turn_granted = true; /* admission is the net handler's business */
    pair->vc->thread = bed->ep->threads[0];
    ethread_refresh_now(pair->vc->thread);
    assert_int_equal(net_handler_add(net_handler_of(bed->core, pair->vc->thread), pair->vc), SP_OK);
}

/* The client's settings may be changed until the first step. */
static inline void pair_init(struct tls_pair *pair, struct tls_bed *bed)
{
    pair_init_sockets(pair, bed);
    pair->client_ctx = SSL_CTX_new(TLS_client_method());
    assert_non_null(pair->client_ctx);
    SSL_CTX_set_app_data(pair->client_ctx, pair);
    (void)SSL_CTX_set_session_cache_mode(pair->client_ctx, SSL_SESS_CACHE_CLIENT);
    SSL_CTX_sess_set_new_cb(pair->client_ctx, pair_on_session);
    pair->client = SSL_new(pair->client_ctx);
    assert_non_null(pair->client);
    assert_int_equal(SSL_set_fd(pair->client, pair->client_fd), 1);
    SSL_set_connect_state(pair->client);
}

static inline void pair_close_client(struct tls_pair *pair)
{
    if (pair->client_fd >= 0)
        (void)close(pair->client_fd);
    pair->client_fd = -1;
}

static inline void pair_close_server(struct tls_pair *pair, enum vc_close how)
{
    struct net_vconnection *vc = pair->vc;

    if (vc == NULL)
        return;
    net_vc_do_io_close(vc, how);
    list_remove(&vc->closed_link);
    vc->ops->destroy(vc);
    pair->vc = NULL;
}

static inline void pair_fini(struct tls_pair *pair)
{
    SSL_free(pair->client);
    SSL_CTX_free(pair->client_ctx);
    SSL_SESSION_free(pair->ticket);
    pair_close_client(pair);
    pair_close_server(pair, VC_CLOSE_ABORT);
    ERR_clear_error();
}

/* What the net layer does around a handshake step. */
static inline struct io_result pair_advance(struct tls_pair *pair)
{
    struct net_vconnection *vc = pair->vc;

    vc->read.triggered = vc->write.triggered = true;
    pair->advanced = vc->ops->advance(vc);
    if (pair->advanced.status == IO_OK) {
        vc->nh->n_handshakes--;
        vc->phase = VC_OPEN;
    }
    if (pair->advanced.status == IO_ERROR)
        vc->err = pair->advanced.err;
    return pair->advanced;
}

/* Turn by turn until both are done or one gives up. True: the server is usable. */
static inline bool pair_handshake(struct tls_pair *pair)
{
    int client = 0;

    for (int i = 0; i < 1000; i++) {
        if (client != 1)
            client = SSL_do_handshake(pair->client);
        if (pair->vc->phase == VC_HANDSHAKE && pair_advance(pair).status == IO_ERROR)
            return false;
        if (client == 1 && pair->vc->phase == VC_OPEN)
            return true;
        if (client != 1 && SSL_get_error(pair->client, client) != SSL_ERROR_WANT_READ)
            return false;
        ERR_clear_error();
    }
    return false;
}

static inline void pair_init_open(struct tls_pair *pair, struct tls_bed *bed)
{
    pair_init(pair, bed);
    assert_true(pair_handshake(pair));
}

static inline struct io_result pair_recv(struct tls_pair *pair, void *dst, size_t cap)
{
    struct iovec iov = {dst, cap};

    pair->vc->read.triggered = true;
    return pair->vc->ops->recv(pair->vc, &iov, 1); // cppcheck-suppress returnDanglingLifetime
}

static inline struct io_result pair_send(struct tls_pair *pair, const void *src, size_t len)
{
    struct iovec iov = {(void *)(uintptr_t)src, len};

    pair->vc->write.triggered = true;
    return pair->vc->ops->send(pair->vc, &iov, 1); // cppcheck-suppress returnDanglingLifetime
}

static inline struct ssl_net_vconnection *pair_ssl_vc(const struct tls_pair *pair)
{
    return ssl_net_vc_of(pair->vc);
}

/* The library's reason for the client's last failure. */
static inline int pair_client_reason(void)
{
    int reason = ERR_GET_REASON(ERR_peek_last_error());

    ERR_clear_error();
    return reason;
}
