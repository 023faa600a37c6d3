/* One client that speaks HTTP/2 with a port whose service records. */
#pragma once

#include "http2_wire.h"
#include "session_fixture.h"

static inline void http2_defaults(struct http2_conf *conf)
{
    *conf = (struct http2_conf){
        .max_streams = 100,
        .stream_window_bytes = 65536,
        .max_stream_window_bytes = 262144,
        .receive_bytes = 1048576,
        .send_bytes = 1048576,
    };
#define X(id, key, default_, ...) conf->budgets.allowance[HTTP2_BUDGET_##id] = default_;
    HTTP2_BUDGETS(X)
#undef X
}

/* What the session says first, to the client's SETTINGS. */
#define HELLO "SETTINGS SETTINGS+ACK WINDOW(0,983041)"

static inline int http2_setup(void **state)
{
    (void)state;
    fixture_open();
    http2_defaults(&fix.conf.http2);
    fix.client.alpn = "h2";
    fixture_accept(&fix.client);
    wire_open(&fix.client);
    wire_preface();
    wire_frame(NGHTTP2_SETTINGS, 0, 0, NULL, 0);
    fake_net_turn();
    assert_string_equal(wire_heard(), HELLO);
    wire_frame(NGHTTP2_SETTINGS, WIRE_ACK, 0, NULL, 0);
    return 0;
}

static inline int http2_teardown(void **state)
{
    wire_close();
    return fixture_teardown(state);
}

#define http2_test(f) cmocka_unit_test_setup_teardown(f, http2_setup, http2_teardown)

/* Everything that follows from what was said happens; then what was heard. */
static inline const char *heard(void)
{
    fake_net_turn();
    return wire_heard();
}
