/* One connection to a backend, whose owner counts and whose user records. */
#pragma once

#include "fake_vc.h"
#include "stream_recorder.h"
#include "upstream_conn.h"

static struct {
    struct upstream_conn_owner super;
    struct upstream_conn *up; /* NULL once it is gone */
    unsigned n_idle, n_gone;
} owner;
static struct recorder user;
static struct fake_peer backend;

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
    assert_int_equal(up->n_exchanges, 0);
    owner.n_idle += upstream_conn_has_room(up);
}

static inline void on_gone(struct upstream_conn_owner *o, struct upstream_conn *up)
{
    assert_ptr_equal(o, &owner.super);
    assert_ptr_equal(up, owner.up);
    assert_null(up->vc);
    owner.n_gone++;
    owner.up = NULL;
}

static inline int fixture_setup(void **state)
{
    (void)state;
    memset(&owner, 0, sizeof(owner));
    memset(&user, 0, sizeof(user));
    owner.super = (struct upstream_conn_owner){.changed = on_changed, .gone = on_gone};
    fake_net_open();
    owner.up = http1_upstream_new(fake_vc_connect(&backend), &(struct upstream_conn_options){0},
                                  &owner.super);
    assert_non_null(owner.up);
    assert_true(upstream_conn_has_room(owner.up));
    return 0;
}

static inline int fixture_teardown(void **state)
{
    struct iobuf_usage usage;

    (void)state;
    user.on_event = NULL;
    fake_net_close();
    if (user.s != NULL)
        recorder_release(&user);
    assert_null(owner.up);
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

/* The next exchange. */
static inline void begin(void)
{
    recorder_hook on_event = user.on_event;
    const char *act_on = user.act_on;

    user = (struct recorder){.super.ops = &recorder_ops, .on_event = on_event, .act_on = act_on};
    user.s = upstream_conn_request(owner.up, &options, &user.super);
    assert_false(upstream_conn_has_room(owner.up));
}

static inline void begin_get(void)
{
    struct http_head head = get_head();

    begin();
    assert_int_equal(http_stream_send_head(user.s, &head, true), SP_OK);
    fake_net_turn();
}

/* A request with a body of 100 KiB in chunks is begun. */
static inline void begin_upload(void)
{
    struct http_head head = get_head();

    head.method = HTTP_METHOD_POST;
    head.method_text = VIEW("POST");
    head.body = HTTP_BODY_UNSIZED;
    begin();
    assert_int_equal(http_stream_send_head(user.s, &head, false), SP_OK);
    fake_net_turn();
}

static inline void says(const char *text)
{
    fake_peer_says(&backend, text);
    fake_net_turn();
}

/* A whole exchange: the connection is idle after it. */
static inline void finish_get(void)
{
    begin_get();
    says("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    recorder_release(&user);
    assert_true(owner.n_idle > 0);
}

static inline bool ends_with(const char *text, const char *end)
{
    size_t n = strlen(text), n_end = strlen(end);

    return n >= n_end && strcmp(text + n - n_end, end) == 0;
}
