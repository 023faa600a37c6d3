/* A transaction between a fake client and fake backends, over a source of streams that the test
 * holds in its hands. */
#pragma once

#include "failing_alloc.h"
#include "fake_stream.h"
#include "transaction.h"
#include "unit_test.h"

#include <sallyport/base/metrics.h>

struct fake_source {
    struct upstream_source super;
    struct upstream_wish *wish;  /* under way */
    struct fake_stream *at_once; /* given inside the next get() */
    unsigned n_gets, n_cancels;
};

static struct {
    struct config config;
    struct backend_conf backend;
    struct server_conf servers[3];
    struct route_conf routes[3];
    struct header_conf header;
    struct port_conf port_conf;
    struct http_port port;
    struct upstream_set *set;
    struct access_log log;
    struct transaction_env env;
    struct fake_source source;
    struct fake_stream client, backends[4];
    unsigned n_backends;        /* given so far */
    bool backends_take_nothing; /* those that connect from here on */
    struct http_head request, response;
    struct metrics before;
} fx;

static inline struct http_stream *source_get(struct upstream_source *super, struct upstream_wish *w)
{
    struct fake_source *source = container_of(super, struct fake_source, super);
    struct fake_stream *now = source->at_once;

    assert_null(source->wish);
    source->n_gets++;
    w->server = w->backend->servers[(source->n_gets - 1) % w->backend->conf->n_servers];
    if (now != NULL) {
        source->at_once = NULL;
        now->stream.user = w->user;
        return &now->stream;
    }
    source->wish = w;
    return NULL;
}

static inline void source_cancel(struct upstream_source *super, struct upstream_wish *w)
{
    struct fake_source *source = container_of(super, struct fake_source, super);

    source->n_cancels += source->wish == w;
    if (source->wish == w)
        source->wish = NULL;
}

static const struct upstream_source_ops source_ops = {.get = source_get, .cancel = source_cancel};

/* The server that was asked for is connected; the stream to it. */
static inline struct fake_stream *backend_connects(void)
{
    struct fake_stream *f = &fx.backends[fx.n_backends++];
    struct upstream_wish *w = fx.source.wish;

    fake_stream_client(f);
    f->takes_nothing = fx.backends_take_nothing;
    assert_non_null(w);
    fx.source.wish = NULL;
    f->stream.user = w->user;
    w->done(w, &f->stream, HTTP_ERROR_NONE);
    return f;
}

/* The next get() gives a connection from the pool. */
static inline struct fake_stream *backend_is_pooled(void)
{
    struct fake_stream *f = &fx.backends[fx.n_backends++];

    fake_stream_client(f);
    f->stream.reused = true;
    fx.source.at_once = f;
    return f;
}

static inline void backend_cannot(enum http_error why)
{
    struct upstream_wish *w = fx.source.wish;

    assert_non_null(w);
    fx.source.wish = NULL;
    w->done(w, NULL, why);
}

static inline void start(bool end)
{
    transaction_start(&fx.env, &fx.client.stream, &fx.request, end);
}

/* Requests with and without a body. */
static inline void get(const char *path)
{
    fx.request.path = view_of(path);
    fx.client.stream.recv_ended = true;
    start(true);
}

static inline void post_of(uint64_t length)
{
    fx.request.method = HTTP_METHOD_POST;
    fx.request.method_text = VIEW("POST");
    fx.request.body = HTTP_BODY_LENGTH;
    fx.request.content_length = length;
    start(false);
}

static inline void post_chunked(void)
{
    fx.request.method = HTTP_METHOD_POST;
    fx.request.method_text = VIEW("POST");
    fx.request.body = HTTP_BODY_UNSIZED;
    start(false);
}

static inline void request_field(const char *name, const char *value)
{
    assert_int_equal(http_fields_add(&fx.request.fields, &fx.client.stream.arena,
                                     http_field_id_of(view_of(name)), view_of(name),
                                     view_of(value)),
                     SP_OK);
}

/* A response's head as the backend's parser gives it. */
static inline void backend_answers(struct fake_stream *f, uint16_t status, enum http_body_kind body,
                                   uint64_t length, bool end)
{
    fx.response.version = HTTP_VERSION_1_1;
    fx.response.status = status;
    fx.response.body = body;
    fx.response.content_length = length;
    fake_stream_says_head(f, &fx.response, end);
}

static inline void response_field(struct fake_stream *f, const char *name, const char *value)
{
    assert_int_equal(http_fields_add(&fx.response.fields, &f->stream.arena,
                                     http_field_id_of(view_of(name)), view_of(name),
                                     view_of(value)),
                     SP_OK);
}

#define GREW(counter) (metrics_now().counter - fx.before.counter)
static inline struct metrics metrics_now(void)
{
    struct metrics m;

    metrics_sum(&m);
    return m;
}

/* The exchange is over, everybody let go, the client got the whole of an answer. */
static inline void assert_answered(uint16_t status)
{
    assert_true(fx.client.released);
    assert_false(fx.client.aborted);
    assert_true(fx.client.stream.send_ended);
    assert_int_equal(fx.client.head.status, status);
    assert_null(fx.source.wish);
    for (unsigned i = 0; i < fx.n_backends; i++)
        assert_true(fx.backends[i].released);
}

static inline void assert_cut_off(enum http_error why)
{
    assert_true(fx.client.released);
    assert_true(fx.client.aborted);
    assert_int_equal(fx.client.abort_why, why);
    for (unsigned i = 0; i < fx.n_backends; i++)
        assert_true(fx.backends[i].released);
}

static inline int setup(void **state)
{
    (void)state;
    memset(&fx, 0, sizeof(fx));
    fx.servers[0] = (struct server_conf){.name = VIEW("127.0.0.1:9001"), .host = VIEW("127.0.0.1")};
    fx.servers[1] = (struct server_conf){.name = VIEW("127.0.0.1:9002"), .host = VIEW("127.0.0.1")};
    fx.backend = (struct backend_conf){.name = VIEW("app"),
                                       .servers = fx.servers,
                                       .n_servers = SP_COUNT_OF(fx.servers), /* 1 below */
                                       .retries = 1,
                                       .pass_host = true};
    fx.routes[0] = (struct route_conf){
        .path = VIEW("/moved"), .action = ROUTE_REDIRECT, .status = 301, .location = VIEW("/new")};
    fx.routes[1] = (struct route_conf){
        .path = VIEW("/fixed"), .action = ROUTE_RESPOND, .status = 200, .text = VIEW("hello\n")};
    fx.routes[2] = (struct route_conf){.host = VIEW("shop.example"), .backend = &fx.backend};
    fx.config = (struct config){.refs = 1,
                                .routes = fx.routes,
                                .n_routes = SP_COUNT_OF(fx.routes),
                                .backends = &fx.backend,
                                .n_backends = 1};
    fx.port = (struct http_port){.conf = &fx.port_conf, .config = &fx.config, .tls = true};
    fx.set = upstream_set_new(&(struct upstream_set_options){.config = &fx.config});
    fx.backend.n_servers = 1; /* a test may use more of those that the set knows */
    fx.source.super.ops = &source_ops;
    fx.env = (struct transaction_env){.config = &fx.config,
                                      .router = router_new(&fx.config),
                                      .set = fx.set,
                                      .upstreams = &fx.source.super,
                                      .access_log = &fx.log};
    assert_non_null(fx.set);
    assert_non_null(fx.env.router);
    fake_stream_server(&fx.client, &fx.port);
    fx.request = (struct http_head){.version = HTTP_VERSION_1_1,
                                    .method = HTTP_METHOD_GET,
                                    .method_text = VIEW("GET"),
                                    .scheme = VIEW("https"),
                                    .authority = VIEW("shop.example"),
                                    .path = VIEW("/")};
    metrics_sum(&fx.before);
    return 0;
}

static inline int teardown(void **state)
{
    struct router *router = (struct router *)(uintptr_t)fx.env.router;

    (void)state;
    fake_stream_fini(&fx.client);
    for (unsigned i = 0; i < fx.n_backends; i++)
        fake_stream_fini(&fx.backends[i]);
    router_free(router);
    fx.backend.n_servers = SP_COUNT_OF(fx.servers); /* as the set was made with */
    upstream_set_unref(fx.set);
    iobuf_thread_fini();
    assert_int_equal(fx.config.refs, 1);
    return 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
