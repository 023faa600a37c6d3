/* How HTTP/2 connections and their streams end: refusals, GOAWAY, drain, limits, failures. */
#include "failing_alloc.h"
#include "http2_fixture.h"
#include "http2_library.h"

#include <sallyport/net/net_handler.h>

static bool is_over(enum vc_close how)
{
    return fix.client.closed && fix.client.how == how;
}

/* ---- Requests that are none ---- */

static void a_malformed_request_is_an_error_of_its_stream(void **state)
{
    (void)state;
    fix.service.on_request = recorder_answer_ok;
    wire_head(1, WIRE_END_STREAM, ":method GET", ":scheme https", ":path /", "Upper x", NULL);
    assert_string_equal(heard(), "RST(1,PROTOCOL_ERROR)");
    assert_int_equal(fix.service.n_refused, 1);
    assert_int_equal(fix.service.n, 0);
    wire_get(3, "/");
    assert_string_equal(heard(), "HEADERS(3,:status=200,content-length=2) DATA(3,2,END)");
}

static void a_head_over_a_limit_is_answered_with_its_page(void **state)
{
    char large[3000] = "x-large ", path[700] = ":path /";

    (void)state;
    memset(large + 8, 'a', sizeof(large) - 9);
    memset(path + 7, 'a', sizeof(path) - 8);
    wire_head(1, WIRE_END_STREAM, ":method GET", ":scheme https", ":authority a.test", ":path /",
              large, NULL);
    assert_string_equal(heard(), "HEADERS(1,:status=431,content-type=text/plain,content-length=14) "
                                 "DATA(1,14,END)");
    assert_int_equal(fix.service.refused, HTTP_ERROR_HEAD_TOO_LARGE);
    wire_head(3, 0, ":method POST", ":scheme https", ":authority a.test", path, NULL);
    assert_string_equal(heard(), "HEADERS(3,:status=414,content-type=text/plain,content-length=12) "
                                 "DATA(3,12,END) RST(3,NO_ERROR)");
    assert_int_equal(fix.service.refused, HTTP_ERROR_URI_TOO_LONG);
    assert_int_equal(fix.service.n, 0);
}

static void head_is_refused_without_a_body(void **state)
{
    char large[3000] = "x-large ";

    (void)state;
    memset(large + 8, 'a', sizeof(large) - 9);
    wire_head(1, WIRE_END_STREAM, ":method HEAD", ":scheme https", ":authority a.test", ":path /",
              large, NULL);
    assert_string_equal(heard(),
                        "HEADERS(1,:status=431,content-type=text/plain,content-length=14,END)");
}

static void without_a_page_the_stream_is_reset(void **state)
{
    (void)state;
    fix.service.no_page = true;
    wire_head(1, WIRE_END_STREAM, ":method CONNECT", ":authority a.test:443", NULL);
    assert_string_equal(heard(), "RST(1,INTERNAL_ERROR)");
    assert_int_equal(fix.service.refused, HTTP_ERROR_METHOD_UNSUPPORTED);
}

static void data_has_to_be_as_long_as_the_head_says(void **state)
{
    (void)state;
    wire_post(1, "/short", "5");
    wire_data(1, WIRE_END_STREAM, "four");
    wire_post(3, "/long", "3");
    wire_data(3, 0, "four");
    wire_head(5, WIRE_END_STREAM, ":method POST", ":scheme https", ":authority a.test", ":path /",
              "content-length 1", NULL);
    assert_string_equal(heard(), "RST(1,PROTOCOL_ERROR) RST(3,PROTOCOL_ERROR) "
                                 "RST(5,PROTOCOL_ERROR)");
    assert_string_equal(told(0), "");
}

static void trailers_have_to_end_the_stream(void **state)
{
    (void)state;
    wire_post(1, "/", NULL);
    fake_net_turn();
    wire_head(1, 0, "x-t 1", NULL);
    assert_string_equal(heard(), "RST(1,PROTOCOL_ERROR)");
    assert_string_equal(told(0), "POST:/ failed:bad_trailer");
    recorder_release(request(0));
}

static void trailers_of_a_short_body_are_no_end(void **state)
{
    (void)state;
    wire_post(1, "/", "4");
    fake_net_turn();
    wire_head(1, WIRE_END_STREAM, "x-t 1", NULL);
    assert_string_equal(heard(), "RST(1,PROTOCOL_ERROR)");
    assert_string_equal(told(0), "POST:/ failed:bad_content_length");
    recorder_release(request(0));
}

/* ---- Errors of the connection ---- */

static void without_the_preface_there_is_no_connection(void **state)
{
    struct fake_peer other = {.alpn = "h2"};

    (void)state;
    fixture_accept(&other);
    fake_peer_says(&other, "GET / HTTP/1.1\r\nHost: a.test\r\n\r\n");
    fake_net_turn();
    assert_true(other.closed);
    fake_peer_fini(&other);
}

static void an_error_of_the_connection_is_said_and_ends_it(void **state)
{
    (void)state;
    wire_get(1, "/");
    fake_net_turn();
    wire_frame(NGHTTP2_DATA, 0, 0, "x", 1); /* RFC 9113 6.1 */
    assert_string_equal(heard(), "GOAWAY(1,PROTOCOL_ERROR,DATA: stream_id == 0)");
    assert_string_equal(told(0), "GET:/ end failed:client_closed");
    assert_true(fix.client.got_end);
    assert_false(fix.client.closed); /* so that the client can read it */
    recorder_release(request(0));
    fake_peer_ends(&fix.client, FAKE_EOF);
    fake_net_turn();
    assert_true(is_over(VC_CLOSE_CLEAN));
}

static void a_client_that_stays_after_the_end_is_cut_off(void **state)
{
    (void)state;
    wire_frame(NGHTTP2_DATA, 0, 0, "x", 1);
    fake_net_turn();
    for (unsigned i = 0; i < 70; i++)
        wire_zeros(1, 0, 16384);
    fake_net_turn();
    assert_true(fix.client.closed);
}

static void what_stays_open_after_the_end_goes_in_time(void **state)
{
    (void)state;
    wire_frame(NGHTTP2_DATA, 0, 0, "x", 1);
    fake_net_turn();
    fake_net_pass_ms(1900);
    assert_false(fix.client.closed);
    fake_net_pass_slowly_ms(2500, 500);
    assert_true(is_over(VC_CLOSE_CLEAN));
}

static void a_budget_that_is_exceeded_ends_it_with_its_name(void **state)
{
    (void)state;
    fix.conf.http2.budgets.allowance[HTTP2_BUDGET_PINGS] = 10;
    for (unsigned i = 0; i < 11; i++)
        wire_frame(NGHTTP2_PING, 0, 0, "12345678", 8);
    fake_net_turn();
    assert_true(ends_with(wire_heard(), "GOAWAY(0,ENHANCE_YOUR_CALM,pings)"));
    assert_true(fix.client.got_end);
}

static void a_block_that_blows_up_is_stopped_on_the_way(void **state)
{
    char large[3000] = "x-large ";

    (void)state;
    memset(large + 8, 'a', sizeof(large) - 9);
    fix.conf.http2.budgets.allowance[HTTP2_BUDGET_HEADER_BYTES] = 20000;
    wire_head(1, WIRE_END_STREAM, ":method GET", ":scheme https", ":authority a.test", ":path /",
              large, large, large, large, large, large, large, large, large, NULL);
    fake_net_turn();
    assert_string_equal(wire_heard(), "GOAWAY(1,ENHANCE_YOUR_CALM,header_bytes)");
    assert_int_equal(fix.service.n, 0);
}

static void more_streams_than_were_allowed_are_an_error(void **state)
{
    (void)state;
    wire_close();
    fixture_teardown(state);
    fixture_open();
    http2_defaults(&fix.conf.http2);
    fix.conf.http2.max_streams = 2;
    fix.client.alpn = "h2";
    fixture_accept(&fix.client);
    wire_open(&fix.client);
    wire_preface();
    wire_frame(NGHTTP2_SETTINGS, 0, 0, NULL, 0);
    for (uint32_t id = 1; id <= 5; id += 2)
        wire_get(id, "/"); /* before it can have known: RFC 9113 5.1.2 */
    assert_string_equal(heard(), HELLO " RST(5,REFUSED_STREAM)");
    assert_int_equal(fix.service.n, 2);
    wire_frame(NGHTTP2_SETTINGS, WIRE_ACK, 0, NULL, 0);
    wire_get(7, "/");
    (void)heard();
    assert_true(ends_with(wire.log, "max concurrent streams exceeded)"));
}

/* ---- Leaving ---- */

static void eof_of_the_client_fails_what_runs(void **state)
{
    (void)state;
    wire_get(1, "/");
    fake_net_turn();
    fake_peer_ends(&fix.client, FAKE_EOF);
    fake_net_turn();
    assert_true(fix.client.closed);
    assert_string_equal(told(0), "GET:/ end failed:client_closed");
    assert_null(request(0)->s->vc);
    assert_int_equal(recorder_send_text(request(0), "late", true), SP_INVALID);
    recorder_release(request(0));
}

static void a_reset_connection_fails_what_runs(void **state)
{
    (void)state;
    wire_post(1, "/", NULL);
    wire_get(3, "/");
    fake_net_turn();
    fake_peer_ends(&fix.client, FAKE_RESET);
    fake_net_turn();
    assert_string_equal(told(0), "POST:/ failed:client_closed");
    assert_string_equal(told(1), "GET:/ end failed:client_closed");
    recorder_release(request(1));
    recorder_release(request(0));
}

static void idle_connections_leave_with_goaway(void **state)
{
    (void)state;
    fix.service.on_request = recorder_answer_ok;
    wire_get(1, "/");
    (void)heard();
    assert_int_equal(fix.client.vc->queue, VC_QUEUE_KEEP_ALIVE);
    fake_net_pass_slowly_ms(59000, 500);
    assert_string_equal(wire_heard(), "");
    fake_net_pass_slowly_ms(1500, 500);
    assert_string_equal(wire_heard(), "GOAWAY(1,NO_ERROR,idle)");
    assert_true(fix.client.got_end);
}

static void a_connection_with_a_stream_is_not_idle(void **state)
{
    (void)state;
    wire_get(1, "/");
    (void)heard();
    assert_int_equal(fix.client.vc->queue, VC_QUEUE_ACTIVE);
    fake_net_pass_slowly_ms(100000, 1000);
    assert_string_equal(wire_heard(), "");
    recorder_answer(request(0), 200, "ok");
    assert_string_equal(heard(), "HEADERS(1,:status=200,content-length=2) DATA(1,2,END)");
}

static void a_client_that_never_sends_settings_is_closed(void **state)
{
    struct fake_peer other = {.alpn = "h2"};

    (void)state;
    fixture_accept(&other);
    fake_peer_says_bytes(&other, NGHTTP2_CLIENT_MAGIC, NGHTTP2_CLIENT_MAGIC_LEN);
    fake_net_turn();
    fake_net_pass_slowly_ms(9000, 500);
    assert_false(other.closed);
    fake_net_pass_slowly_ms(1500, 500);
    assert_true(other.closed);
    fake_peer_fini(&other);
}

static void a_block_that_does_not_end_is_given_up(void **state)
{
    uint8_t block[] = {0x82}; /* :method GET */

    (void)state;
    wire_frame(NGHTTP2_HEADERS, 0, 1, block, sizeof(block));
    fake_net_turn();
    fake_net_pass_slowly_ms(11500, 500);
    assert_string_equal(wire_heard(), "GOAWAY(1,ENHANCE_YOUR_CALM,head_timeout)");
    assert_int_equal(fix.service.n_refused, 0);
}

static void drain(void)
{
    atomic_store(&fix.port.draining, true);
    http_sessions_drain(fake_net_handler());
    fake_net_turn();
}

static void draining_takes_two_steps(void **state)
{
    (void)state;
    wire_get(1, "/");
    fake_net_turn();
    drain();
    assert_string_equal(wire_heard(), "GOAWAY(2147483647,NO_ERROR) PING");
    wire_get(3, "/on-its-way");
    wire_frame(NGHTTP2_PING, WIRE_ACK, 0, "\0\0\0\0\0\0\0\0", 8);
    assert_string_equal(heard(), "GOAWAY(3,NO_ERROR)");
    wire_get(5, "/too-late");
    fake_net_turn();
    assert_int_equal(fix.service.n, 2);
    recorder_answer(request(0), 200, "a");
    recorder_answer(request(1), 200, "b");
    assert_string_equal(heard(), "HEADERS(1,:status=200,content-length=1) DATA(1,1,END) "
                                 "HEADERS(3,:status=200,content-length=1) DATA(3,1,END)");
    assert_true(fix.client.got_end);
}

static void draining_does_not_wait_for_a_client_that_is_silent(void **state)
{
    (void)state;
    drain();
    fake_net_pass_slowly_ms(3000, 500);
    assert_string_equal(wire_heard(), "GOAWAY(2147483647,NO_ERROR) PING GOAWAY(0,NO_ERROR)");
    assert_true(fix.client.got_end);
}

static void after_so_many_requests_it_is_over(void **state)
{
    (void)state;
    fix.conf.limits.max_requests_per_connection = 2;
    fix.service.on_request = recorder_answer_ok;
    wire_get(1, "/");
    assert_string_equal(heard(), "HEADERS(1,:status=200,content-length=2) DATA(1,2,END)");
    wire_get(3, "/");
    (void)heard();
    assert_non_null(strstr(wire.log, "GOAWAY(2147483647,NO_ERROR)"));
    wire_frame(NGHTTP2_PING, WIRE_ACK, 0, "\0\0\0\0\0\0\0\0", 8);
    assert_string_equal(heard(), "GOAWAY(3,NO_ERROR)");
    assert_true(fix.client.got_end);
}

static void idle_connections_are_evicted(void **state)
{
    (void)state;
    assert_int_equal(net_handler_evict_idle(fake_net_handler(), 1), 1);
    assert_true(is_over(VC_CLOSE_CLEAN));
}

/* ---- Users that let go at any moment ---- */

static void release_on(struct recorder *r, const char *event)
{
    if (r->s != NULL && strcmp(event, r->act_on) == 0)
        recorder_release(r);
}

static void a_user_may_let_go_in_any_event(void **state)
{
    static const char *const events[] = {"body", "end", "trailers", "failed", "writable"};

    (void)state;
    fix.service.on_event = release_on;
    for (uint32_t i = 0; i < SP_COUNT_OF(events); i++) {
        uint32_t id = 2 * i + 1;

        fix.service.act_on = events[i];
        wire_post(id, "/", NULL);
        wire_data(id, 0, "some");
        fake_net_turn();
        if (request(i)->s != NULL && strcmp(events[i], "writable") == 0) {
            struct http_head head = {.status = 200, .body = HTTP_BODY_UNSIZED};

            assert_int_equal(http_stream_send_head(request(i)->s, &head, false), SP_OK);
            assert_int_equal(recorder_send_zeros(request(i), 40000, false), SP_OK);
        }
        if (strcmp(events[i], "end") == 0)
            wire_data(id, WIRE_END_STREAM, "");
        else if (strcmp(events[i], "trailers") == 0)
            wire_head(id, WIRE_END_STREAM, "x-t 1", NULL);
        else if (strcmp(events[i], "failed") == 0)
            wire_reset(id, NGHTTP2_CANCEL);
        fake_net_turn();
        assert_null(request(i)->s);
    }
    assert_false(fix.client.closed);
}

static void a_stopping_thread_ends_everything(void **state)
{
    (void)state;
    wire_post(1, "/", NULL);
    wire_data(1, 0, "some");
    wire_get(3, "/");
    fake_net_turn(); /* the teardown ends the net layer and looks for leaks */
}

/* ---- Memory ---- */

static void converse(void)
{
    struct http_field field = {.name = VIEW("x-sum"), .value = VIEW("42")};
    struct http_fields trailers = {.v = &field, .n = 1, .cap = 1};
    struct http_head head = {.status = 200, .body = HTTP_BODY_UNSIZED};
    struct recorder *r = request(0);

    if (fix.client.vc != NULL)
        fake_net_turn();
    if (fix.service.n == 0 || r->s == NULL)
        return;
    if (http_stream_send_head(r->s, &head, false) == SP_OK) {
        struct iobuf data;

        iobuf_init(&data);
        if (iobuf_append(&data, "text", 4) == SP_OK)
            (void)http_stream_send_body(r->s, &data, false);
        iobuf_clear(&data);
        if (r->s->ops->send_trailers(r->s, &trailers) != SP_OK)
            r->s->ops->abort(r->s, HTTP_ERROR_NOMEM);
    }
    recorder_release(r);
    fake_net_turn();
}

/* One request with body and trailers on a fresh connection, the nth allocation failing. */
static bool converse_failing(unsigned nth)
{
    bool hit;

    fixture_open();
    http2_defaults(&fix.conf.http2);
    fix.client.alpn = "h2";
    wire_open(&fix.client);
    fixture_accept(&fix.client);
    wire.holds = true;
    wire_preface();
    wire_frame(NGHTTP2_SETTINGS, 0, 0, NULL, 0);
    wire_post(1, "/up", NULL);
    wire_zeros(1, 0, 20000);
    wire_head(1, WIRE_END_STREAM, "x-t 1", NULL);
    wire.holds = false;
    http2_memory_trim();
    failing_alloc_arm(nth);
    if (fix.client.vc != NULL)
        fake_peer_says_bytes(&fix.client, wire.held, wire.n_held);
    converse();
    hit = failing_alloc_hit();
    if (!hit)
        assert_non_null(strstr(wire_heard(), "HEADERS(1,x-sum=42,END)"));
    return hit;
}

static void each_allocation_may_fail(void **state)
{
    unsigned nth = 0;

    wire_close();
    fixture_teardown(state);
    while (converse_failing(nth++)) {
        wire_close();
        fixture_teardown(state);
    }
    assert_true(nth > 10);
}

static void a_session_that_cannot_be_made_closes_the_connection(void **state)
{
    (void)state;
    for (unsigned nth = 0; nth < 100; nth++) {
        struct fake_peer other = {.alpn = "h2"};
        struct net_vconnection *vc = fake_vc_accept(&other, &fix.port);

        failing_alloc_arm(nth);
        (void)continuation_call(http_session_accept(), NET_EVENT_ACCEPT, vc);
        if (failing_alloc_hit()) {
            assert_true(other.closed);
            assert_true(nth < 99);
            fake_net_turn();
            fake_peer_fini(&other);
            continue;
        }
        assert_false(other.closed);
        fake_peer_ends(&other, FAKE_RESET);
        fake_net_turn();
        fake_peer_fini(&other);
        return;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        http2_test(a_malformed_request_is_an_error_of_its_stream),
        http2_test(a_head_over_a_limit_is_answered_with_its_page),
        http2_test(head_is_refused_without_a_body),
        http2_test(without_a_page_the_stream_is_reset),
        http2_test(data_has_to_be_as_long_as_the_head_says),
        http2_test(trailers_have_to_end_the_stream),
        http2_test(trailers_of_a_short_body_are_no_end),
        http2_test(without_the_preface_there_is_no_connection),
        http2_test(an_error_of_the_connection_is_said_and_ends_it),
        http2_test(a_client_that_stays_after_the_end_is_cut_off),
        http2_test(what_stays_open_after_the_end_goes_in_time),
        http2_test(a_budget_that_is_exceeded_ends_it_with_its_name),
        http2_test(a_block_that_blows_up_is_stopped_on_the_way),
        http2_test(more_streams_than_were_allowed_are_an_error),
        http2_test(eof_of_the_client_fails_what_runs),
        http2_test(a_reset_connection_fails_what_runs),
        http2_test(idle_connections_leave_with_goaway),
        http2_test(a_connection_with_a_stream_is_not_idle),
        http2_test(a_client_that_never_sends_settings_is_closed),
        http2_test(a_block_that_does_not_end_is_given_up),
        http2_test(draining_takes_two_steps),
        http2_test(draining_does_not_wait_for_a_client_that_is_silent),
        http2_test(after_so_many_requests_it_is_over),
        http2_test(idle_connections_are_evicted),
        http2_test(a_user_may_let_go_in_any_event),
        http2_test(a_stopping_thread_ends_everything),
        http2_test(each_allocation_may_fail),
        http2_test(a_session_that_cannot_be_made_closes_the_connection),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
