/* The service as it runs: real sessions in front (over arrays), real connections to a backend
 * behind (the test, over the loopback), everything between them real. */
#include "failing_alloc.h"
#include "fake_vc.h"
#include "unit_test.h"

#include <sallyport/base/metrics.h>
#include <sallyport/http/proxy_service.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

static struct {
    struct config config;
    struct backend_conf backend;
    struct server_conf server;
    struct route_conf route;
    struct port_conf port_conf;
    struct http_port port;
    struct net_processor np;
    struct proxy_service service;
    struct fake_peer client;
    char name[64];
    int listener, fd; /* fd: the connection that the backend has */
    char request[65536];
    struct metrics before;
} fx;

/* ---- The backend ---- */

static void open_listener(void)
{
    struct sockaddr_in sin = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t len = sizeof(sin);
    struct timeval patience = {.tv_sec = 5};

    fx.listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fx.listener, (struct sockaddr *)&sin, sizeof(sin)), 0);
    assert_int_equal(listen(fx.listener, 16), 0);
    assert_int_equal(getsockname(fx.listener, (struct sockaddr *)&sin, &len), 0);
    assert_int_equal(setsockopt(fx.listener, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)),
                     0);
    (void)snprintf(fx.name, sizeof(fx.name), "127.0.0.1:%u", ntohs(sin.sin_port));
}

static void moment(void)
{
    fake_net_turn();
    (void)usleep(1000);
}

static void backend_accepts(void)
{
    struct timeval patience = {.tv_usec = 1000};

    if (fx.fd > 0)
        (void)close(fx.fd);
    fake_net_turn();
    fx.fd = accept(fx.listener, NULL, NULL);
    assert_true(fx.fd > 0);
    assert_int_equal(setsockopt(fx.fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)), 0);
    fake_net_turn();
}

/* What the backend has received is text that holds `end`; it is forgotten with the next call. */
static const char *backend_reads_until(const char *end)
{
    size_t len = 0;

    fx.request[0] = '\0';
    for (int i = 0; i < 2000 && strstr(fx.request, end) == NULL; i++) {
        ssize_t n = recv(fx.fd, fx.request + len, sizeof(fx.request) - 1 - len, 0);

        if (n > 0)
            len += (size_t)n;
        fx.request[len] = '\0';
        fake_net_turn();
    }
    assert_non_null(strstr(fx.request, end));
    return fx.request;
}

static void backend_says(const char *text)
{
    size_t n = strlen(text);

    assert_int_equal(send(fx.fd, text, n, MSG_NOSIGNAL), (ssize_t)n);
}

static void backend_closes(void)
{
    (void)close(fx.fd);
    fx.fd = 0;
}

/* ---- The client ---- */

static void client_says(const char *text)
{
    fake_peer_says(&fx.client, text);
    fake_net_turn();
}

static const char *client_gets(const char *end)
{
    for (int i = 0; i < 2000 && strstr(fx.client.got, end) == NULL; i++)
        moment();
    assert_non_null(strstr(fx.client.got, end));
    return fx.client.got;
}

static void wait_until_closed(void)
{
    for (int i = 0; i < 2000 && !fx.client.closed; i++)
        moment();
    assert_true(fx.client.closed);
}

static bool has(const char *text, const char *part)
{
    return strstr(text, part) != NULL;
}

#define GREW(counter) (metrics_now().counter - fx.before.counter)
static struct metrics metrics_now(void)
{
    struct metrics m;

    metrics_sum(&m);
    return m;
}

static void configure(void)
{
    struct endpoint e;

    assert_int_equal(endpoint_parse(view_of(fx.name), &e), SP_OK);
    fx.server =
        (struct server_conf){.name = view_of(fx.name), .host = VIEW("127.0.0.1"), .endpoint = e};
    fx.backend = (struct backend_conf){.name = VIEW("app"),
                                       .servers = &fx.server,
                                       .n_servers = 1,
                                       .connect_timeout_ms = 1000,
                                       .response_timeout_ms = 10000,
                                       .idle_timeout_ms = 10000,
                                       .keep_alive = 4,
                                       .keep_alive_timeout_ms = 30000,
                                       .retries = 1,
                                       .pass_host = true};
    fx.route = (struct route_conf){.backend = &fx.backend};
    fx.port_conf.limits = (struct http_limits_conf){.max_head_bytes = 8192,
                                                    .max_target_bytes = 2048,
                                                    .max_fields = 50,
                                                    .max_trailer_bytes = 2048,
                                                    .head_timeout_ms = 10000,
                                                    .keep_alive_timeout_ms = 60000,
                                                    .body_timeout_ms = 30000,
                                                    .send_timeout_ms = 20000,
                                                    .tunnel_timeout_ms = 3600000,
                                                    .buffer_bytes = 16384};
    fx.config = (struct config){.refs = 1,
                                .backends = &fx.backend,
                                .n_backends = 1,
                                .routes = &fx.route,
                                .n_routes = 1,
                                .limits = fx.port_conf.limits,
                                .forwarding = {.x_forwarded = true, .request_id = true}};
}

static enum sp_err service_init(struct proxy_service *service)
{
    struct upstream_set *set =
        upstream_set_new(&(struct upstream_set_options){.config = &fx.config});
    enum sp_err err = SP_NOMEM;

    if (set != NULL)
        err = proxy_service_init(
            service,
            &(struct proxy_service_options){.core = fake_net_core(), .plain = &fx.np, .set = set});
    upstream_set_unref(set);
    return err;
}

static int setup(void **state)
{
    (void)state;
    memset(&fx, 0, sizeof(fx));
    open_listener();
    configure();
    fake_net_open();
    net_processor_init(&fx.np, &tcp_net_processor_ops, fake_net_core());
    assert_int_equal(service_init(&fx.service), SP_OK);
    fx.port = (struct http_port){
        .conf = &fx.port_conf, .config = &fx.config, .service = &fx.service.super, .tls = true};
    (void)continuation_call(http_session_accept(), NET_EVENT_ACCEPT,
                            fake_vc_accept(&fx.client, &fx.port));
    fake_net_turn();
    metrics_sum(&fx.before);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    fake_net_turn();
    if (fx.client.vc != NULL) {
        fake_peer_ends(&fx.client, FAKE_RESET);
        fake_net_turn();
    }
    proxy_service_thread_fini(&fx.service, this_ethread());
    proxy_service_thread_fini(&fx.service, this_ethread());
    fake_net_turn();
    fake_net_close();
    proxy_service_fini(&fx.service);
    fake_peer_fini(&fx.client);
    (void)close(fx.listener);
    if (fx.fd > 0)
        (void)close(fx.fd);
    assert_int_equal(fx.config.refs, 1);
    return 0;
}

/* ---- Tests ---- */

static void a_request_goes_there_and_back(void **state)
{
    const char *seen;

    (void)state;
    client_says("GET /a?b HTTP/1.1\r\nHost: shop.example\r\nX-Forwarded-For: 1.2.3.4\r\n"
                "Connection: keep-alive, X-Hop\r\nX-Hop: 1\r\nUser-Agent: test\r\n\r\n");
    backend_accepts();
    seen = backend_reads_until("\r\n\r\n");
    assert_true(has(seen, "GET /a?b HTTP/1.1\r\nHost: shop.example\r\n"));
    assert_true(has(seen, "User-Agent: test\r\n"));
    assert_true(has(seen, "x-forwarded-for: unknown\r\n"));
    assert_true(has(seen, "x-forwarded-proto: https\r\n"));
    assert_true(has(seen, "x-forwarded-host: shop.example\r\n"));
    assert_true(has(seen, "x-request-id: "));
    assert_false(has(seen, "1.2.3.4"));
    assert_false(has(seen, "X-Hop"));
    assert_false(has(seen, "Content-Length"));
    backend_says("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nServer: app\r\n\r\nhello");
    seen = client_gets("\r\n\r\nhello");
    assert_true(has(seen, "HTTP/1.1 200 OK\r\n"));
    assert_true(has(seen, "Server: app\r\n"));
    assert_true(has(seen, "Content-Length: 5\r\n"));
    assert_true(has(seen, "Date: "));
    assert_int_equal(GREW(http_requests), 1);
}

static void both_connections_are_used_again(void **state)
{
    (void)state;
    client_says("GET /1 HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\n");
    backend_accepts();
    (void)backend_reads_until("\r\n\r\n");
    backend_says("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n0\r\n\r\n");
    assert_true(has(backend_reads_until("\r\n\r\n"), "GET /2 "));
    assert_true(has(fx.client.got, "\r\n\r\n3\r\none\r\n0\r\n\r\n"));
    backend_says("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\ntwo");
    (void)client_gets("two");
    assert_int_equal(GREW(upstream_requests), 2);
    assert_int_equal(GREW(upstream_reused), 1);
}

static void a_connection_that_died_in_the_pool_is_not_noticed(void **state)
{
    (void)state;
    client_says("GET /1 HTTP/1.1\r\nHost: a\r\n\r\n");
    backend_accepts();
    (void)backend_reads_until("\r\n\r\n");
    backend_says("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\none");
    (void)client_gets("one");
    /* The end of the connection and the next request meet: the loop sees both in one turn. */
    backend_closes();
    client_says("GET /2 HTTP/1.1\r\nHost: a\r\n\r\n");
    backend_accepts();
    assert_true(has(backend_reads_until("\r\n\r\n"), "GET /2 "));
    backend_says("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\ntwo");
    (void)client_gets("two");
}

static void a_body_goes_to_the_backend(void **state)
{
    (void)state;
    client_says("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 11\r\n\r\nhello ");
    backend_accepts();
    (void)backend_reads_until("\r\n\r\nhello ");
    client_says("world");
    (void)backend_reads_until("world");
    backend_says("HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n");
    (void)client_gets("HTTP/1.1 201 Created\r\n");
}

static void expect_goes_through(void **state)
{
    (void)state;
    client_says("POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n"
                "Transfer-Encoding: chunked\r\n\r\n");
    backend_accepts();
    assert_true(has(backend_reads_until("\r\n\r\n"), "Expect: 100-continue\r\n"));
    backend_says("HTTP/1.1 100 Continue\r\n\r\n");
    (void)client_gets("HTTP/1.1 100 Continue\r\n");
    client_says("5\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n");
    assert_true(has(backend_reads_until("X-Sum: 1\r\n\r\n"), "5\r\nhello\r\n0\r\n"));
    backend_says("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    (void)client_gets("HTTP/1.1 200 OK\r\n");
}

/* A megabyte towards a backend that does not read, then does. */
static void an_upload_waits_for_the_backend(void **state)
{
    static char megabyte[1 << 20];
    size_t arrived = 0;

    (void)state;
    memset(megabyte, 'x', sizeof(megabyte));
    client_says("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 8388608\r\n\r\n");
    backend_accepts();
    (void)backend_reads_until("\r\n\r\n");
    for (int i = 0; i < 8; i++)
        fake_peer_says_bytes(&fx.client, megabyte, sizeof(megabyte));
    fake_net_turn();
    assert_true(fx.client.n_says > 1000000); /* not read: the client waits */
    for (int i = 0; i < 20000 && arrived < 8 * sizeof(megabyte); i++) {
        ssize_t n = recv(fx.fd, megabyte, sizeof(megabyte), 0);

        arrived += n > 0 ? (size_t)n : 0;
        fake_net_turn();
    }
    assert_int_equal(arrived, 8 * sizeof(megabyte));
    backend_says("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    (void)client_gets("HTTP/1.1 200 OK\r\n");
}

/* The same the other way round: the client's socket takes nothing. */
static void a_download_waits_for_the_client(void **state)
{
    static char piece[65536];
    size_t sent = 0;
    int stuck = 0;

    (void)state;
    memset(piece, 'y', sizeof(piece));
    client_says("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    backend_accepts();
    (void)backend_reads_until("\r\n\r\n");
    fake_peer_takes(&fx.client, 0);
    backend_says("HTTP/1.1 200 OK\r\nContent-Length: 8388608\r\n\r\n");
    while (sent < 8388608 && stuck < 20) {
        ssize_t n = send(fx.fd, piece, sizeof(piece), MSG_NOSIGNAL | MSG_DONTWAIT);

        stuck = n > 0 ? 0 : stuck + 1;
        sent += n > 0 ? (size_t)n : 0;
        fake_net_turn();
    }
    assert_true(sent < 8388608); /* everything in between is full */
    fake_peer_takes(&fx.client, SIZE_MAX);
    for (int i = 0; i < 20000 && sent < 8388608; i++) {
        size_t rest = 8388608 - sent;
        ssize_t n = send(fx.fd, piece, rest < sizeof(piece) ? rest : sizeof(piece),
                         MSG_NOSIGNAL | MSG_DONTWAIT);

        sent += n > 0 ? (size_t)n : 0;
        fake_net_turn();
    }
    for (int i = 0; i < 2000 && fx.client.n_got < 8388608; i++)
        moment();
    assert_true(fx.client.n_got > 8388608);
    assert_false(fx.client.closed);
}

static void a_response_cut_short_cuts_the_client(void **state)
{
    (void)state;
    client_says("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    backend_accepts();
    (void)backend_reads_until("\r\n\r\n");
    backend_says("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n");
    (void)client_gets("hello");
    backend_closes();
    wait_until_closed();
    assert_int_equal(fx.client.how, VC_CLOSE_ABORT);
    assert_false(has(fx.client.got, "\r\n0\r\n"));
    assert_int_equal(GREW(http_aborted_by_upstream), 1);
}

static void no_backend_means_a_page(void **state)
{
    (void)state;
    (void)close(fx.listener);
    client_says("GET / HTTP/1.1\r\nHost: a\r\nAccept: text/html\r\n\r\n");
    (void)client_gets("</html>\n");
    assert_true(has(fx.client.got, "HTTP/1.1 502 Bad Gateway\r\n"));
    assert_true(has(fx.client.got, "cache-control: no-store\r\n"));
    assert_false(fx.client.closed);
    fx.listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
}

static void what_is_no_request_gets_a_page_too(void **state)
{
    (void)state;
    client_says("NONSENSE\r\n\r\n");
    (void)client_gets("Request id: ");
    assert_true(has(fx.client.got, "HTTP/1.1 400 Bad Request\r\n"));
    assert_int_equal(GREW(http_requests), 0);
    assert_int_equal(GREW(http_bad_requests), 1);
    assert_int_equal(GREW(http_responses_4xx), 1);
}

static void a_websocket_goes_through(void **state)
{
    (void)state;
    client_says("GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                "Sec-WebSocket-Key: k\r\n\r\n");
    backend_accepts();
    assert_true(has(backend_reads_until("\r\n\r\n"), "Upgrade: websocket\r\n"));
    backend_says("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n"
                 "Upgrade: websocket\r\nSec-WebSocket-Accept: a\r\n\r\nfirst");
    (void)client_gets("\r\n\r\nfirst");
    assert_true(has(fx.client.got, "HTTP/1.1 101 Switching Protocols\r\n"));
    assert_true(has(fx.client.got, "Sec-WebSocket-Accept: a\r\n"));
    client_says("ping");
    (void)backend_reads_until("ping");
    fake_peer_ends(&fx.client, FAKE_EOF);
    for (int i = 0; i < 2000; i++) {
        char byte;

        fake_net_turn();
        if (recv(fx.fd, &byte, 1, 0) == 0)
            break;
        assert_true(i < 1999);
    }
    backend_says("last words");
    (void)client_gets("last words");
    backend_closes();
    wait_until_closed();
    assert_int_equal(fx.client.how, VC_CLOSE_CLEAN);
    assert_int_equal(GREW(http_upgrades), 1);
}

static void a_quiet_websocket_outlives_the_backends_idle_timeout(void **state)
{
    (void)state;
    client_says("GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
    backend_accepts();
    (void)backend_reads_until("\r\n\r\n");
    backend_says("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n"
                 "Upgrade: websocket\r\n\r\n");
    (void)client_gets("\r\n\r\n");
    fake_net_pass_slowly_ms(3500000, 10000);
    assert_false(fx.client.closed);
    client_says("ping");
    (void)backend_reads_until("ping");
    fake_net_pass_slowly_ms(3700000, 10000);
    assert_true(fx.client.closed);
}

static void an_early_refusal_reaches_the_client(void **state)
{
    (void)state;
    client_says("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\nabc");
    backend_accepts();
    (void)backend_reads_until("\r\n\r\nabc");
    backend_says("HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno");
    (void)client_gets("\r\n\r\nno");
    assert_true(has(fx.client.got, "HTTP/1.1 403 Forbidden\r\n"));
}

static void a_client_that_leaves_is_told_to_the_backend(void **state)
{
    (void)state;
    client_says("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    backend_accepts();
    (void)backend_reads_until("\r\n\r\n");
    fake_peer_ends(&fx.client, FAKE_RESET);
    for (int i = 0; i < 2000; i++) {
        char byte;

        fake_net_turn();
        if (recv(fx.fd, &byte, 1, 0) <= 0 && errno != EAGAIN)
            break;
        assert_true(i < 1999);
    }
    assert_int_equal(GREW(http_aborted_by_client), 1);
}

static void a_silent_backend_is_not_waited_for_for_ever(void **state)
{
    (void)state;
    client_says("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    backend_accepts();
    (void)backend_reads_until("\r\n\r\n");
    fake_net_pass_slowly_ms(10100, 100);
    (void)client_gets("HTTP/1.1 504 Gateway Timeout\r\n");
    assert_int_equal(GREW(http_timeouts), 1);
}

static void init_survives_each_failed_allocation(void **state)
{
    (void)state;
    for (unsigned nth = 0;; nth++) {
        struct proxy_service service;
        enum sp_err err;
        bool hit;

        failing_alloc_arm(nth);
        err = service_init(&service);
        hit = failing_alloc_hit();
        assert_int_equal(err, hit ? SP_NOMEM : SP_OK);
        if (err == SP_OK) {
            proxy_service_thread_fini(&service, this_ethread());
            proxy_service_fini(&service);
        }
        assert_int_equal(failing_alloc_live(), 0);
        if (!hit)
            return;
    }
}

/* ---- Another configuration ---- */

static struct route_conf fixed_route;
static struct config fixed_config;

static struct upstream_set *fixed_set(void)
{
    struct upstream_set *set;

    if (fixed_config.refs == 0) {
        fixed_route =
            (struct route_conf){.action = ROUTE_RESPOND, .status = 200, .text = VIEW("fixed")};
        fixed_config = (struct config){.refs = 1, .routes = &fixed_route, .n_routes = 1};
    }
    set = upstream_set_new(&(struct upstream_set_options){.config = &fixed_config,
                                                          .old = proxy_service_set(&fx.service)});
    assert_non_null(set);
    return set;
}

static struct proxy_update *prepare(void)
{
    struct upstream_set *set = fixed_set();
    struct proxy_update *u = proxy_service_prepare(&fx.service, set);

    upstream_set_unref(set);
    return u;
}

static void another_configuration_holds_from_the_next_request_on(void **state)
{
    struct proxy_update *u;

    (void)state;
    client_says("GET /1 HTTP/1.1\r\nHost: a\r\n\r\n");
    backend_accepts();
    (void)backend_reads_until("\r\n\r\n");
    u = prepare();
    assert_non_null(u);
    proxy_service_commit(&fx.service, u);
    fake_net_turn();
    backend_says("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nold");
    (void)client_gets("\r\n\r\nold");
    assert_int_equal(fx.config.refs, 1); /* with its last request the old one has gone */
    client_says("GET /2 HTTP/1.1\r\nHost: a\r\n\r\n");
    (void)client_gets("\r\n\r\nfixed");
    assert_true(fixed_config.refs > 1);
}

static void several_configurations_in_a_row_are_taken_in_order(void **state)
{
    (void)state;
    for (int i = 0; i < 5; i++) {
        struct proxy_update *u = prepare();

        assert_non_null(u);
        proxy_service_commit(&fx.service, u);
    }
    fake_net_turn();
    client_says("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    (void)client_gets("\r\n\r\nfixed");
}

static void a_configuration_that_is_abandoned_changes_nothing(void **state)
{
    (void)state;
    proxy_service_abandon(prepare());
    fake_net_turn();
    assert_int_equal(fixed_config.refs, 1);
    client_says("GET /1 HTTP/1.1\r\nHost: a\r\n\r\n");
    backend_accepts();
    (void)backend_reads_until("GET /1 ");
}

static void preparing_survives_each_failed_allocation(void **state)
{
    struct upstream_set *set = fixed_set();

    (void)state;
    for (unsigned nth = 0;; nth++) {
        struct proxy_update *u;

        failing_alloc_arm(nth);
        u = proxy_service_prepare(&fx.service, set);
        proxy_service_abandon(u);
        assert_int_equal(failing_alloc_live(), 0);
        if (!failing_alloc_hit()) {
            assert_non_null(u);
            break;
        }
        assert_null(u);
    }
    upstream_set_unref(set);
    assert_int_equal(fixed_config.refs, 1);
}

/* Out of memory at any point ends this exchange, in one of the ways that a client understands, and
 * nothing else. */
static void an_exchange_survives_each_failed_allocation(void **state)
{
    (void)state;
    for (unsigned nth = 0;; nth++) {
        struct fake_peer client = {0};
        bool hit;

        (void)continuation_call(http_session_accept(), NET_EVENT_ACCEPT,
                                fake_vc_accept(&client, &fx.port));
        fake_net_turn();
        failing_alloc_arm(nth);
        fake_peer_says(&client, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        fake_net_turn();
        (void)fcntl(fx.listener, F_SETFL, O_NONBLOCK);
        for (int i = 0; i < 50 && client.n_got == 0 && !client.closed; i++) {
            static const char answer[] = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
            int fd = accept(fx.listener, NULL, NULL);

            if (fd >= 0) {
                if (fx.fd > 0)
                    (void)close(fx.fd);
                fx.fd = fd;
            }
            moment();
            if (fx.fd > 0 && recv(fx.fd, fx.request, sizeof(fx.request), MSG_DONTWAIT) > 0)
                (void)send(fx.fd, answer, sizeof(answer) - 1, MSG_NOSIGNAL);
            moment();
        }
        hit = failing_alloc_hit();
        assert_true(client.closed || client.n_got > 0);
        if (client.vc != NULL) {
            fake_peer_ends(&client, FAKE_RESET);
            fake_net_turn();
        }
        if (!hit) {
            assert_true(has(client.got, "\r\n\r\nok"));
            fake_peer_fini(&client);
            return;
        }
        fake_peer_fini(&client);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_request_goes_there_and_back),
        TEST(both_connections_are_used_again),
        TEST(a_connection_that_died_in_the_pool_is_not_noticed),
        TEST(a_body_goes_to_the_backend),
        TEST(expect_goes_through),
        TEST(an_upload_waits_for_the_backend),
        TEST(a_download_waits_for_the_client),
        TEST(a_response_cut_short_cuts_the_client),
        TEST(no_backend_means_a_page),
        TEST(what_is_no_request_gets_a_page_too),
        TEST(a_websocket_goes_through),
        TEST(a_quiet_websocket_outlives_the_backends_idle_timeout),
        TEST(an_early_refusal_reaches_the_client),
        TEST(a_client_that_leaves_is_told_to_the_backend),
        TEST(a_silent_backend_is_not_waited_for_for_ever),
        TEST(init_survives_each_failed_allocation),
        TEST(another_configuration_holds_from_the_next_request_on),
        TEST(several_configurations_in_a_row_are_taken_in_order),
        TEST(a_configuration_that_is_abandoned_changes_nothing),
        TEST(preparing_survives_each_failed_allocation),
        TEST(an_exchange_survives_each_failed_allocation),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
