/* The whole way: a listener, handshakes on threads of their own, the move to a data thread, a user
 * that echoes, and certificates that change meanwhile. Clients are blocking and on this thread. */
#include "tls_pair.h"

#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>

/* Echoes what it reads; one for each connection. */
struct echo {
    struct continuation cont;
    struct net_vconnection *vc;
    struct iobuf in;
    struct vio *write;
};

static atomic_int n_echoes, n_on_wrong_thread;

static void echo_end(struct echo *e, enum vc_close how)
{
    net_vc_do_io_close(e->vc, how);
    iobuf_clear(&e->in);
    atomic_fetch_sub(&n_echoes, 1);
    free(e);
}

static int echo_event(struct continuation *c, int event, void *data)
{
    struct echo *e = container_of(c, struct echo, cont);

    (void)data;
    switch (event) {
    case VC_EVENT_READ_READY: vio_reenable(e->write); break;
    case VC_EVENT_WRITE_READY: vio_reenable(&e->vc->read.vio); break;
    case VC_EVENT_EOS: echo_end(e, VC_CLOSE_CLEAN); break;
    default: echo_end(e, VC_CLOSE_ABORT); break;
    }
    return EVENT_CONT;
}

static int on_accept(struct continuation *c, int event, void *data)
{
    struct net_vconnection *vc = data;
    struct echo *e = calloc(1, sizeof(*e));

    (void)c;
    if (event != NET_EVENT_ACCEPT || e == NULL)
        abort();
    if ((this_ethread()->types >> vc->core->et_net & 1) == 0 || vc->thread != this_ethread())
        atomic_fetch_add(&n_on_wrong_thread, 1);
    atomic_fetch_add(&n_echoes, 1);
    continuation_init(&e->cont, "echo", echo_event);
    e->vc = vc;
    iobuf_init(&e->in);
    e->write = net_vc_do_io_write(vc, &e->cont, INT64_MAX, &e->in, 0);
    (void)net_vc_do_io_read(vc, &e->cont, INT64_MAX, &e->in, 65536);
    return EVENT_CONT;
}

struct server {
    struct tls_bed bed;
    struct continuation cont;
    struct net_accept *listener;
    uint16_t port;
};

static void server_start(struct server *s, int n_ssl)
{
    struct net_accept_options options = {.accept = {.mode = ACCEPT_PER_THREAD,
                                                    .accepts_per_turn = 16,
                                                    .backlog = 64,
                                                    .fd = -1,
                                                    .linger_s = -1,
                                                    .tcp_nodelay = true},
                                         .label = VIEW("test")};
    const char *err = "";

    bed_init_threads(&s->bed, 2, n_ssl);
    bed_open_port(&s->bed);
    assert_int_equal(event_processor_start(s->bed.ep), SP_OK);
    continuation_init(&s->cont, "accept", on_accept);
    assert_int_equal(endpoint_parse(VIEW("127.0.0.1:0"), &options.endpoint), SP_OK);
    options.cont = &s->cont;
    options.tls = s->bed.port;
    s->listener = net_processor_main_accept(&s->bed.np.super, &options, &err);
    if (s->listener == NULL)
        fail_msg("%s", err);
    s->port = endpoint_port(&s->listener->bound);
}

static void server_stop(struct server *s)
{
    net_accept_stop(s->listener);
    event_processor_stop(s->bed.ep);
    net_accept_unref(s->listener);
    assert_int_equal(atomic_load(&n_echoes), 0);
    assert_int_equal(atomic_load(&n_on_wrong_thread), 0);
    bed_close_port(&s->bed);
    bed_fini_threads(&s->bed);
}

static int connect_to(uint16_t port)
{
    const struct timeval patience = {.tv_sec = 20};
    struct sockaddr_in to = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof(to)), 0);
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)), 0);
    return fd;
}

static SSL *client_open(SSL_CTX *ctx, uint16_t port)
{
    SSL *ssl = SSL_new(ctx);

    assert_non_null(ssl);
    assert_int_equal(SSL_set_fd(ssl, connect_to(port)), 1);
    client_asks_for(ssl, "shop.example");
    return ssl;
}

static void client_close(SSL *ssl)
{
    int fd = SSL_get_fd(ssl);

    (void)SSL_shutdown(ssl);
    SSL_free(ssl);
    (void)close(fd);
}

static void echoes_small_and_large(struct server *s)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    SSL *ssl = client_open(ctx, s->port);
    char buf[16];

    assert_int_equal(SSL_connect(ssl), 1);
    for (int i = 0; i < 100; i++) {
        assert_int_equal(SSL_write(ssl, "question", 8), 8);
        assert_int_equal(SSL_read(ssl, buf, sizeof(buf)), 8);
        assert_memory_equal(buf, "question", 8);
    }
    client_close(ssl);

    /* An SSL is for one thread at a time: write everything that the path holds, then read it. */
    ssl = client_open(ctx, s->port);
    assert_int_equal(SSL_connect(ssl), 1);
    for (int i = 0; i < 20; i++) {
        unsigned char block[10000], got[10000];
        size_t n = 0, len;

        memset(block, i, sizeof(block));
        assert_int_equal(SSL_write(ssl, block, sizeof(block)), sizeof(block));
        for (; n < sizeof(got); n += len)
            assert_int_equal(SSL_read_ex(ssl, got + n, sizeof(got) - n, &len), 1);
        assert_memory_equal(block, got, sizeof(got));
    }
    client_close(ssl);
    SSL_CTX_free(ctx);
}

static void serves_with_threads_for_handshakes(void **state)
{
    static struct server s;

    (void)state;
    server_start(&s, 2);
    echoes_small_and_large(&s);
    server_stop(&s);
}

static void serves_with_handshakes_in_the_data_loops(void **state)
{
    static struct server s;

    (void)state;
    server_start(&s, 0);
    echoes_small_and_large(&s);
    server_stop(&s);
}

static void a_request_sent_with_the_finished_is_answered(void **state)
{
    static struct server s;
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    SSL *ssl;
    BIO *buffer;
    char buf[16];

    (void)state;
    server_start(&s, 1);
    ssl = client_open(ctx, s.port);
    /* Finished and request leave in one segment: the first is for the handshake thread, the second
     * for the data thread. */
    buffer = BIO_push(BIO_new(BIO_f_buffer()), SSL_get_wbio(ssl));
    (void)BIO_up_ref(SSL_get_wbio(ssl));
    (void)BIO_set_write_buffer_size(buffer, 65536);
    SSL_set0_wbio(ssl, buffer);
    SSL_set_connect_state(ssl);
    assert_int_equal(SSL_write(ssl, "question", 8), 8);
    assert_int_equal(BIO_flush(buffer), 1);
    assert_int_equal(SSL_read(ssl, buf, sizeof(buf)), 8);
    client_close(ssl);
    SSL_CTX_free(ctx);
    server_stop(&s);
}

static void a_silent_client_is_shown_the_door(void **state)
{
    static struct server s;
    struct metrics before, after;
    char c;
    int fd;

    (void)state;
    bed_register_metrics();
    server_start(&s, 1);
    metrics_sum(&before);
    s.bed.port->handshake_timeout_ms = 100;
    fd = connect_to(s.port);
    assert_true(read(fd, &c, 1) <= 0);
    metrics_sum(&after);
    assert_int_equal(after.tls_handshake_timeouts - before.tls_handshake_timeouts, 1);
    (void)close(fd);
    server_stop(&s);
}

static atomic_bool stop_changing;

/* One caller at a time, as ssl_port.h asks for: other certificates for all, for a share, for nobody
 * but those who have them, and again. */
static void *change(void *arg)
{
    struct server *s = arg;
    const struct cert_reporter reporter = {.report = report_unexpected};
    uintptr_t n = 0;

    while (!atomic_load(&stop_changing)) {
        enum sp_err err;
        struct cert_store *next = store_make(&s->bed.conf, &reporter, &err);

        if (next == NULL)
            return NULL;
        if (n % 3 == 0)
            ssl_port_set_store(s->bed.port, next);
        else
            ssl_port_set_canary(s->bed.port, n % 3 == 1 ? next : NULL, SSL_PORT_WHOLE / 2);
        cert_store_unref(next);
        n++;
    }
    return (void *)n; // NOLINT(performance-no-int-to-ptr)
}

/* As those do who show what is served, and as handshakes do. */
static void *look(void *arg)
{
    struct server *s = arg;
    uintptr_t n_wrong = 0;

    while (!atomic_load(&stop_changing)) {
        uint32_t share = 0;
        struct cert_store *stores[] = {ssl_port_serving(s->bed.port), ssl_port_store(s->bed.port),
                                       ssl_port_trying(s->bed.port, &share)};

        for (size_t i = 0; i < SP_COUNT_OF(stores); i++) {
            if (stores[i] != NULL &&
                cert_store_match(stores[i], VIEW("shop.example")).bundle == NULL)
                n_wrong++;
            cert_store_unref(stores[i]);
        }
    }
    return (void *)n_wrong; // NOLINT(performance-no-int-to-ptr)
}

static void *shake_hands(void *arg)
{
    struct server *s = arg;
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    uintptr_t n_failed = 0;

    for (int i = 0; i < 100; i++) {
        SSL *ssl = client_open(ctx, s->port);
        char buf[8];

        if (SSL_connect(ssl) != 1 || SSL_write(ssl, "ping", 4) != 4 ||
            SSL_read(ssl, buf, sizeof(buf)) != 4)
            n_failed++;
        client_close(ssl);
    }
    SSL_CTX_free(ctx);
    return (void *)n_failed; // NOLINT(performance-no-int-to-ptr)
}

static void certificates_change_under_handshakes(void **state)
{
    static struct server s;
    pthread_t changing, others[4];
    void *n;

    (void)state;
    server_start(&s, 2);
    atomic_store(&stop_changing, false);
    assert_int_equal(pthread_create(&changing, NULL, change, &s), 0);
    for (size_t i = 0; i < SP_COUNT_OF(others); i++)
        assert_int_equal(pthread_create(&others[i], NULL, i % 2 == 0 ? shake_hands : look, &s), 0);
    for (size_t i = 0; i < SP_COUNT_OF(others); i += 2) {
        assert_int_equal(pthread_join(others[i], &n), 0);
        assert_int_equal((uintptr_t)n, 0);
    }
    atomic_store(&stop_changing, true);
    for (size_t i = 1; i < SP_COUNT_OF(others); i += 2) {
        assert_int_equal(pthread_join(others[i], &n), 0);
        assert_int_equal((uintptr_t)n, 0);
    }
    assert_int_equal(pthread_join(changing, &n), 0);
    assert_true((uintptr_t)n > 0);
    server_stop(&s);
}

static void stops_with_handshakes_under_way(void **state)
{
    static struct server s;
    int fds[8];

    (void)state;
    server_start(&s, 1);
    for (int i = 0; i < 8; i++) {
        fds[i] = connect_to(s.port);
        assert_int_equal(write(fds[i], "\x16\x03\x01\x02\x00\x01", (size_t)i % 7), i % 7);
    }
    server_stop(&s);
    for (int i = 0; i < 8; i++)
        (void)close(fds[i]);
}

int main(void)
{
    const struct sigaction ignore = {.sa_handler = SIG_IGN};
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(serves_with_threads_for_handshakes),
        cmocka_unit_test(serves_with_handshakes_in_the_data_loops),
        cmocka_unit_test(a_request_sent_with_the_finished_is_answered),
        cmocka_unit_test(a_silent_client_is_shown_the_door),
        cmocka_unit_test(certificates_change_under_handshakes),
        cmocka_unit_test(stops_with_handshakes_under_way),
    };

    (void)sigaction(SIGPIPE, &ignore, NULL);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
