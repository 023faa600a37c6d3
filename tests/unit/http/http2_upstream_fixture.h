/* One connection to a backend that speaks HTTP/2, whose owner counts and whose users record. */
#pragma once

#include "http2_wire.h"
#include "stream_recorder.h"
#include "upstream_conn.h"

enum { N_USERS = 8 };

static struct {
    struct upstream_conn_owner super;
    struct upstream_conn *up; /* NULL once it is gone */
    unsigned n_changed, n_gone;
} owner;
static struct recorder users[N_USERS];
static struct fake_peer backend;
static struct config conf;
static struct backend_conf backend_conf = {.idle_timeout_ms = 30000};

static const struct upstream_exchange_options options = {
    .response_timeout_ms = 60000,
    .idle_timeout_ms = 30000,
    .max_head_bytes = 2048,
    .max_fields = 20,
    .buffer_bytes = 16384,
};

static inline void on_changed(struct upstream_conn_owner *o, struct upstream_conn *up)
{
    assert_ptr_equal(o, &owner.super);
    assert_ptr_equal(up, owner.up);
    owner.n_changed++;
}

static inline void on_gone(struct upstream_conn_owner *o, struct upstream_conn *up)
{
    assert_ptr_equal(o, &owner.super);
    assert_ptr_equal(up, owner.up);
    assert_null(up->vc);
    assert_int_equal(up->n_exchanges, 0);
    owner.n_gone++;
    owner.up = NULL;
}

static inline void fill_conf(void)
{
    conf.limits =
        (struct http_limits_conf){.max_head_bytes = 2048, .max_fields = 20, .buffer_bytes = 16384};
    conf.http2 = (struct http2_conf){.max_streams = 200,
                                     .stream_window_bytes = 65536,
                                     .max_stream_window_bytes = 262144,
                                     .receive_bytes = 1048576,
                                     .send_bytes = 1048576};
#define X(id, key, default_, ...) conf.http2.budgets.allowance[HTTP2_BUDGET_##id] = default_;
    HTTP2_BUDGETS(X)
#undef X
}

/* Everything that follows from what was said happens; then what was heard. */
static inline const char *heard(void)
{
    fake_net_turn();
    return wire_heard();
}

static inline int fixture_setup(void **state)
{
    (void)state;
    memset(&owner, 0, sizeof(owner));
    memset(users, 0, sizeof(users));
    fill_conf();
    owner.super = (struct upstream_conn_owner){.changed = on_changed, .gone = on_gone};
    fake_net_open();
    owner.up = http2_upstream_new(
        fake_vc_connect(&backend),
        &(struct upstream_conn_options){.config = &conf, .backend = &backend_conf}, &owner.super);
    assert_non_null(owner.up);
    wire_open(&backend);
    fake_net_turn();
    assert_true(backend.n_got > NGHTTP2_CLIENT_MAGIC_LEN);
    assert_memory_equal(backend.got, NGHTTP2_CLIENT_MAGIC, NGHTTP2_CLIENT_MAGIC_LEN);
    wire.read = NGHTTP2_CLIENT_MAGIC_LEN;
    assert_string_equal(wire_heard(), "SETTINGS WINDOW(0,983041)");
    return 0;
}

static inline int fixture_teardown(void **state)
{
    struct iobuf_usage usage;

    (void)state;
    fake_net_close();
    for (size_t i = 0; i < N_USERS; i++)
        if (users[i].s != NULL)
            recorder_release(&users[i]);
    assert_null(owner.up);
    wire_close();
    fake_peer_fini(&backend);
    usage = iobuf_usage();
    assert_int_equal(usage.small_blocks + usage.large_blocks, 0);
    return 0;
}

#define upstream_test(f) cmocka_unit_test_setup_teardown(f, fixture_setup, fixture_teardown)

static inline struct http_head get_head(void)
{
    return (struct http_head){.method = HTTP_METHOD_GET,
                              .method_text = VIEW("GET"),
                              .path = VIEW("/x"),
                              .authority = VIEW("shop")};
}

static inline struct recorder *begin(size_t i)
{
    users[i] = (struct recorder){.super.ops = &recorder_ops};
    users[i].s = upstream_conn_request(owner.up, &options, &users[i].super);
    assert_non_null(users[i].s);
    return &users[i];
}

static inline struct recorder *begin_get(size_t i)
{
    struct http_head head = get_head();
    struct recorder *u = begin(i);

    assert_int_equal(http_stream_send_head(u->s, &head, true), SP_OK);
    fake_net_turn();
    return u;
}

static inline struct recorder *begin_upload(size_t i)
{
    struct http_head head = get_head();
    struct recorder *u = begin(i);

    head.method = HTTP_METHOD_POST;
    head.method_text = VIEW("POST");
    head.body = HTTP_BODY_UNSIZED;
    assert_int_equal(http_stream_send_head(u->s, &head, false), SP_OK);
    fake_net_turn();
    return u;
}

static inline struct recorder *begin_tunnel(size_t i)
{
    struct http_head head = get_head();
    struct recorder *u = begin(i);

    head.protocol = VIEW("websocket");
    assert_int_equal(http_stream_send_head(u->s, &head, true), SP_OK);
    fake_net_turn();
    return u;
}

/* The server's first SETTINGS, with one setting. */
static inline void server_setting(uint16_t id, uint32_t value)
{
    wire_setting(id, value);
    fake_net_turn();
    (void)wire_heard();
}
static inline void server_settings(void)
{
    server_setting(NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, 100);
}

static inline void say_goaway(uint32_t last, uint32_t code)
{
    uint8_t payload[8];

    wire_put32(payload, last);
    wire_put32(payload + 4, code);
    wire_frame(NGHTTP2_GOAWAY, 0, 0, payload, sizeof(payload));
    fake_net_turn();
}

static inline void send_text(struct recorder *u, const char *text, bool end)
{
    struct iobuf data;

    iobuf_init(&data);
    assert_int_equal(iobuf_append_view(&data, view_of(text)), SP_OK);
    assert_int_equal(http_stream_send_body(u->s, &data, end), SP_OK);
}
