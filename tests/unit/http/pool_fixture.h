/* A pool over loopback sockets: the test is the backend, the clock is the test's, names are
 * answered by the test. Askers stand for transactions. */
#pragma once

#include "failing_alloc.h"
#include "fake_vc.h"
#include "unit_test.h"
#include "upstream_internal.h"

#include <sallyport/net/net_dns.h>

#include <arpa/inet.h>
#include <stdio.h>
#include <unistd.h>

/* ---- The backend's side ---- */

static inline int listen_on(const char *address, uint16_t *port, int backlog)
{
    struct sockaddr_in sin = {.sin_family = AF_INET};
    socklen_t len = sizeof(sin);
    struct timeval patience = {.tv_sec = 5};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    sin.sin_port = htons(*port);
    assert_int_equal(inet_pton(AF_INET, address, &sin.sin_addr), 1);
    assert_int_equal(bind(fd, (struct sockaddr *)&sin, sizeof(sin)), 0);
    assert_int_equal(listen(fd, backlog), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&sin, &len), 0);
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)), 0);
    *port = ntohs(sin.sin_port);
    return fd;
}

static inline int backend_accept(int listener)
{
    struct timeval patience = {.tv_sec = 5};
    int fd = accept(listener, NULL, NULL);

    assert_true(fd >= 0);
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)), 0);
    return fd;
}

static inline void backend_reads_request(int fd)
{
    char bytes[1024];
    ssize_t n = recv(fd, bytes, sizeof(bytes), 0);

    assert_true(n > 4);
    assert_memory_equal(bytes + n - 4, "\r\n\r\n", 4);
}

static inline void backend_answers(int fd)
{
    static const char answer[] = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

    assert_int_equal(send(fd, answer, sizeof(answer) - 1, MSG_NOSIGNAL), sizeof(answer) - 1);
}

/* ---- The resolver ---- */

static struct {
    struct continuation *asker; /* NULL: nobody waits */
    unsigned n_asked;
    bool out_of_memory;
} dns;

static inline struct net_dns_query *fake_resolve(struct net_core *core, struct view host,
                                                 uint16_t port, struct continuation *c)
{
    static char query;

    (void)core;
    assert_true(view_eq(host, VIEW("backend.test")));
    assert_true(port != 0);
    assert_null(dns.asker);
    dns.n_asked++;
    if (dns.out_of_memory)
        return NULL;
    dns.asker = c;
    return (struct net_dns_query *)(void *)&query;
}

static inline void fake_cancel(struct net_dns_query *q)
{
    assert_non_null(q);
    assert_non_null(dns.asker);
    dns.asker = NULL;
}

static const struct upstream_resolver fake_resolver = {.resolve = fake_resolve,
                                                       .cancel = fake_cancel};

static inline void dns_says(enum sp_err err, const char *const *addresses, int n)
{
    struct continuation *asker = dns.asker;
    struct endpoint endpoints[20];

    for (int i = 0; i < n; i++)
        assert_int_equal(endpoint_parse(view_of(addresses[i]), &endpoints[i]), SP_OK);
    dns.asker = NULL;
    assert_non_null(asker);
    (void)continuation_call(
        asker, DNS_EVENT_DONE,
        &(struct net_dns_result){
            .err = err, .text = "as told", .endpoints = endpoints, .n_endpoints = n});
}

/* ---- The pool's side ---- */

struct asker {
    struct http_stream_user user;
    struct upstream_wish wish;
    struct http_stream *stream;
    unsigned n_done;
    enum http_error why;
    bool ended; /* the response is whole */
    bool failed;
};

static struct {
    struct net_processor np;
    struct server_conf servers[3];
    char names[3][ENDPOINT_TEXT_MAX];
    int listeners[3];
    struct backend_conf backend;
    struct config config;
    struct upstream_set *set;
    struct upstream_pool *pool;
    struct server_conf next_servers[3];
    struct backend_conf next_backend;
    struct config next;       /* another configuration, once it was made */
    struct upstream_set *old; /* what the pool had before that */
    struct asker askers[8];
} fx;

static inline struct asker *asker_of(struct http_stream_user *u)
{
    return container_of(u, struct asker, user);
}

static inline void on_head(struct http_stream_user *u, struct http_stream *s,
                           const struct http_head *head, bool end)
{
    (void)s;
    assert_int_equal(head->status, 200);
    asker_of(u)->ended = end;
}

static inline void on_body(struct http_stream_user *u, struct http_stream *s, struct iobuf *data,
                           bool end)
{
    (void)s;
    iobuf_clear(data);
    asker_of(u)->ended = end;
}

static inline void on_trailers(struct http_stream_user *u, struct http_stream *s,
                               const struct http_fields *trailers)
{
    (void)s;
    (void)trailers;
    asker_of(u)->ended = true;
}

static inline void on_writable(struct http_stream_user *u, struct http_stream *s)
{
    (void)u;
    (void)s;
}

static inline void on_failed(struct http_stream_user *u, struct http_stream *s, enum http_error why)
{
    struct asker *a = asker_of(u);

    a->failed = true;
    a->why = why;
    a->stream = NULL;
    http_stream_release(s);
}

static const struct http_stream_user_ops user_ops = {.head = on_head,
                                                     .body = on_body,
                                                     .trailers = on_trailers,
                                                     .writable = on_writable,
                                                     .failed = on_failed};

static inline void on_done(struct upstream_wish *w, struct http_stream *s, enum http_error why)
{
    struct asker *a = container_of(w, struct asker, wish);

    a->n_done++;
    a->stream = s;
    a->why = why;
    assert_int_equal(s == NULL, why != HTTP_ERROR_NONE);
}

/* Turns until the flag is up; sockets of the loopback need no more than a moment. */
static inline void turn_until(const bool *flag)
{
    for (int i = 0; i < 2000 && !*flag; i++) {
        fake_net_turn();
        if (!*flag)
            (void)usleep(1000);
    }
    assert_true(*flag);
}

static inline void turn_until_done(struct asker *a)
{
    for (int i = 0; i < 2000 && a->n_done == 0; i++) {
        fake_net_turn();
        if (a->n_done == 0)
            (void)usleep(1000);
    }
    assert_int_equal(a->n_done, 1);
}

/* Until the loop has seen what the backend did to an idle connection. */
static inline void turn_until_idle_count(uint32_t n)
{
    for (int i = 0; i < 2000 && upstream_pool_idle_count(fx.pool) != n; i++) {
        fake_net_turn();
        (void)usleep(1000);
    }
    assert_int_equal(upstream_pool_idle_count(fx.pool), n);
}

static inline struct asker *ask_of(unsigned i, struct upstream_backend *backend)
{
    struct asker *a = &fx.askers[i];

    a->n_done = 0;
    a->ended = a->failed = false;
    a->user.ops = &user_ops;
    a->wish.user = &a->user;
    a->wish.done = on_done;
    a->wish.backend = backend;
    a->stream = upstream_pool_get(fx.pool, &a->wish);
    assert_int_equal(a->n_done, 0);
    return a;
}

static inline struct asker *ask(unsigned i)
{
    return ask_of(i, &fx.set->backends[0]);
}

static inline void send_request(struct asker *a)
{
    const struct http_head head = {.method = HTTP_METHOD_GET,
                                   .method_text = VIEW("GET"),
                                   .authority = VIEW("a.example"),
                                   .path = VIEW("/")};

    assert_int_equal(http_stream_send_head(a->stream, &head, true), SP_OK);
}

/* One whole exchange on the stream that `a` has. */
static inline void exchange(struct asker *a, int fd)
{
    send_request(a);
    fake_net_turn();
    backend_reads_request(fd);
    backend_answers(fd);
    turn_until(&a->ended);
    http_stream_release(a->stream);
    a->stream = NULL;
    fake_net_turn();
}

/* Asks, connects, exchanges. The backend's descriptor. */
static inline int ask_and_exchange(unsigned i, int listener)
{
    struct asker *a = ask(i);
    int fd;

    assert_null(a->stream);
    turn_until_done(a);
    assert_non_null(a->stream);
    fd = backend_accept(listener);
    exchange(a, fd);
    return fd;
}

static inline unsigned connections(unsigned server)
{
    return fx.set->backends[0].servers[server]->connections;
}

static inline void name_server(unsigned i, const char *address)
{
    struct server_conf *conf = &fx.servers[i];

    (void)snprintf(fx.names[i], sizeof(fx.names[i]), "%s", address);
    conf->name = view_of(fx.names[i]);
    conf->host = VIEW("127.0.0.1");
    assert_int_equal(endpoint_parse(conf->name, &conf->endpoint), SP_OK);
}

static inline void open_server(unsigned i)
{
    char address[64];

    fx.servers[i].port = 0;
    fx.listeners[i] = listen_on("127.0.0.1", &fx.servers[i].port, 16);
    (void)snprintf(address, sizeof(address), "127.0.0.1:%u", fx.servers[i].port);
    name_server(i, address);
}

static inline void close_server(unsigned i)
{
    if (fx.listeners[i] > 0)
        (void)close(fx.listeners[i]);
    fx.listeners[i] = 0;
}

/* After the test has changed the configuration. */
static inline void make_pool(void)
{
    fx.set = upstream_set_new(&(struct upstream_set_options){.config = &fx.config});
    assert_non_null(fx.set);
    fx.pool = upstream_pool_new(&(struct upstream_pool_options){.plain = &fx.np, .set = fx.set});
    assert_non_null(fx.pool);
    fx.pool->resolver = &fake_resolver;
}

static inline void free_pool(void)
{
    upstream_pool_free(fx.pool);
    fx.pool = NULL;
}

static inline int pool_setup(void **state)
{
    (void)state;
    memset(&fx, 0, sizeof(fx));
    memset(&dns, 0, sizeof(dns));
    fake_net_open();
    net_processor_init(&fx.np, &tcp_net_processor_ops, fake_net_core());
    for (unsigned i = 0; i < 3; i++)
        open_server(i);
    fx.backend = (struct backend_conf){.name = VIEW("app"),
                                       .servers = fx.servers,
                                       .n_servers = 1,
                                       .connect_timeout_ms = 1000,
                                       .response_timeout_ms = 5000,
                                       .idle_timeout_ms = 5000,
                                       .keep_alive = 4,
                                       .keep_alive_timeout_ms = 30000};
    fx.config = (struct config){
        .refs = 1,
        .backends = &fx.backend,
        .n_backends = 1,
        .limits = {.max_head_bytes = 8192, .max_fields = 50, .buffer_bytes = 65536}};
    return 0;
}

static inline int pool_teardown(void **state)
{
    (void)state;
    upstream_pool_free(fx.pool);
    for (unsigned i = 0; i < 3; i++)
        close_server(i);
    fake_net_turn();
    fake_net_close();
    upstream_set_unref(fx.set);
    upstream_set_unref(fx.old);
    assert_int_equal(fx.config.refs, 1);
    assert_true(fx.next.refs <= 1);
    return 0;
}

#define pool_test(name) cmocka_unit_test_setup_teardown(name, pool_setup, pool_teardown)
