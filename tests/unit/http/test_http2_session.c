/* Requests and answers over HTTP/2, in good order (RFC 9113 8). */
#include "http2_fixture.h"

static void answer_with_head_only(struct recorder *r, uint16_t status)
{
    struct http_head head = {.status = status};

    assert_int_equal(http_stream_send_head(r->s, &head, true), SP_OK);
    recorder_release(r);
}

static void open_unsized(struct recorder *r)
{
    struct http_head head = {.status = 200, .body = HTTP_BODY_UNSIZED};

    assert_int_equal(http_stream_send_head(r->s, &head, false), SP_OK);
}

static void a_request_is_answered(void **state)
{
    (void)state;
    fix.service.on_request = recorder_answer_ok;
    wire_get(1, "/x?y");
    assert_string_equal(heard(), "HEADERS(1,:status=200,content-length=2) DATA(1,2,END)");
    assert_string_equal(told(0), "GET:/x?y end");
    assert_int_equal(request(0)->head.version, HTTP_VERSION_2);
}

static void a_body_is_passed_on_and_its_length_kept(void **state)
{
    (void)state;
    wire_post(1, "/up", "9");
    wire_data(1, 0, "four");
    wire_data(1, WIRE_END_STREAM, "five!");
    assert_string_equal(heard(), "");
    assert_string_equal(told(0), "POST:/up body end");
    assert_memory_equal(request(0)->body, "fourfive!", 9);
    recorder_answer(request(0), 201, "");
    assert_string_equal(heard(), "HEADERS(1,:status=201,content-length=0) DATA(1,0,END)");
}

static void a_body_without_length_ends_with_the_stream(void **state)
{
    (void)state;
    wire_post(1, "/up", NULL);
    wire_data(1, 0, "some");
    fake_net_turn();
    assert_string_equal(told(0), "POST:/up body");
    assert_int_equal(request(0)->head.body, HTTP_BODY_UNSIZED);
    wire_data(1, WIRE_END_STREAM, "");
    fake_net_turn();
    assert_string_equal(told(0), "POST:/up body end");
}

static void streams_are_answered_in_any_order(void **state)
{
    (void)state;
    wire_get(1, "/a");
    wire_get(3, "/b");
    wire_get(5, "/c");
    fake_net_turn();
    recorder_answer(request(2), 200, "c");
    recorder_answer(request(0), 200, "a");
    assert_string_equal(heard(), "HEADERS(5,:status=200,content-length=1) DATA(5,1,END) "
                                 "HEADERS(1,:status=200,content-length=1) DATA(1,1,END)");
    recorder_answer(request(1), 200, "b");
    assert_string_equal(heard(), "HEADERS(3,:status=200,content-length=1) DATA(3,1,END)");
}

static void trailers_pass_both_ways(void **state)
{
    struct http_field field = {.name = VIEW("X-Sum"), .value = VIEW("42")};
    struct http_fields trailers = {.v = &field, .n = 1, .cap = 1};

    (void)state;
    wire_post(1, "/up", NULL);
    wire_data(1, 0, "some");
    wire_head(1, WIRE_END_STREAM, "x-t 1", NULL);
    fake_net_turn();
    assert_string_equal(told(0), "POST:/up body trailers(x-t=1)");
    open_unsized(request(0));
    assert_int_equal(recorder_send_text(request(0), "text", false), SP_OK);
    assert_int_equal(request(0)->s->ops->send_trailers(request(0)->s, &trailers), SP_OK);
    recorder_release(request(0));
    assert_string_equal(heard(), "HEADERS(1,:status=200) DATA(1,4) HEADERS(1,x-sum=42,END)");
}

static void an_answer_may_be_a_head_alone(void **state)
{
    struct http_head head = {.status = 200, .body = HTTP_BODY_LENGTH, .content_length = 77};

    (void)state;
    wire_get(1, "/");
    wire_head(3, WIRE_END_STREAM, ":method HEAD", ":scheme https", ":authority a.test", ":path /",
              NULL);
    fake_net_turn();
    answer_with_head_only(request(0), 204);
    assert_int_equal(http_stream_send_head(request(1)->s, &head, true), SP_OK);
    recorder_release(request(1));
    assert_string_equal(heard(), "HEADERS(1,:status=204,END) "
                                 "HEADERS(3,:status=200,content-length=77,END)");
}

static void interim_answers_come_before_the_final_one(void **state)
{
    const struct http_head go_on = {.status = 100}, hints = {.status = 103};

    (void)state;
    wire_head(1, 0, ":method PUT", ":scheme https", ":authority a.test", ":path /",
              "expect 100-continue", "content-length 1", NULL);
    fake_net_turn();
    assert_true(request(0)->head.expect_continue);
    assert_int_equal(http_stream_send_head(request(0)->s, &go_on, false), SP_OK);
    assert_string_equal(heard(), "HEADERS(1,:status=100)");
    wire_data(1, WIRE_END_STREAM, "x");
    fake_net_turn();
    assert_int_equal(http_stream_send_head(request(0)->s, &hints, false), SP_OK);
    recorder_answer(request(0), 200, "ok");
    assert_string_equal(heard(), "HEADERS(1,:status=103) HEADERS(1,:status=200,content-length=2) "
                                 "DATA(1,2,END)");
}

static void an_answer_that_is_whole_first_asks_for_no_more(void **state)
{
    (void)state;
    wire_post(1, "/up", "100");
    wire_data(1, 0, "some");
    fake_net_turn();
    recorder_answer(request(0), 200, "ok");
    assert_string_equal(heard(), "HEADERS(1,:status=200,content-length=2) DATA(1,2,END) "
                                 "RST(1,NO_ERROR)");
    wire_data(1, 0, "more"); /* was on its way */
    fix.service.on_request = recorder_answer_ok;
    wire_get(3, "/");
    assert_string_equal(heard(), "HEADERS(3,:status=200,content-length=2) DATA(3,2,END)");
}

static void what_does_not_fit_the_head_is_not_sent(void **state)
{
    struct http_head head = {.status = 200, .body = HTTP_BODY_LENGTH, .content_length = 3};

    (void)state;
    wire_get(1, "/");
    fake_net_turn();
    assert_int_equal(http_stream_send_head(request(0)->s, &head, false), SP_OK);
    assert_int_equal(http_stream_send_head(request(0)->s, &head, false), SP_INVALID);
    assert_int_equal(recorder_send_text(request(0), "ab", true), SP_INVALID);
    assert_int_equal(recorder_send_text(request(0), "abcd", false), SP_INVALID);
    request(0)->s->ops->abort(request(0)->s, HTTP_ERROR_UPSTREAM_BAD_RESPONSE);
    assert_int_equal(recorder_send_text(request(0), "abc", true), SP_INVALID);
    recorder_release(request(0));
    assert_string_equal(heard(), "HEADERS(1,:status=200,content-length=3) RST(1,INTERNAL_ERROR)");
    assert_string_equal(told(0), "GET:/ end");
}

static void a_stream_that_is_let_go_unanswered_is_reset(void **state)
{
    (void)state;
    wire_get(1, "/");
    fake_net_turn();
    recorder_release(request(0));
    assert_string_equal(heard(), "RST(1,INTERNAL_ERROR)");
    assert_false(fix.client.closed);
}

static void a_client_that_resets_its_stream_has_left_it(void **state)
{
    (void)state;
    wire_get(1, "/");
    wire_get(3, "/");
    fake_net_turn();
    wire_reset(1, NGHTTP2_CANCEL);
    fake_net_turn();
    assert_string_equal(told(0), "GET:/ end failed:client_closed");
    recorder_release(request(0));
    recorder_answer(request(1), 200, "ok");
    assert_string_equal(heard(), "HEADERS(3,:status=200,content-length=2) DATA(3,2,END)");
}

/* ---- Tunnels: RFC 8441 ---- */

static void ask_for_tunnel(uint32_t id)
{
    wire_head(id, 0, ":method CONNECT", ":protocol websocket", ":scheme https", ":authority a.test",
              ":path /chat", "sec-websocket-version 13", NULL);
}

static void a_tunnel_opens_with_101_and_ends_on_each_side(void **state)
{
    const struct http_head head = {.status = 101, .body = HTTP_BODY_TUNNEL};

    (void)state;
    ask_for_tunnel(1);
    wire_data(1, 0, "early");
    assert_string_equal(heard(), "");
    assert_string_equal(told(0), "GET:/chat end");
    assert_true(view_eq(request(0)->head.protocol, VIEW("websocket")));
    assert_int_equal(http_stream_send_head(request(0)->s, &head, false), SP_OK);
    assert_false(request(0)->s->recv_ended);
    assert_string_equal(heard(), "HEADERS(1,:status=200)");
    assert_string_equal(told(0), "GET:/chat end body");
    assert_int_equal(recorder_send_text(request(0), "hello", true), SP_OK);
    assert_string_equal(heard(), "DATA(1,5,END)");
    wire_data(1, WIRE_END_STREAM, "bye");
    assert_string_equal(heard(), "");
    assert_string_equal(told(0), "GET:/chat end body end");
    recorder_release(request(0));
    assert_string_equal(heard(), "");
}

static void a_tunnel_that_is_refused_is_an_answer(void **state)
{
    (void)state;
    ask_for_tunnel(1);
    wire_data(1, 0, "early");
    fake_net_turn();
    recorder_answer(request(0), 403, "no");
    assert_string_equal(heard(), "HEADERS(1,:status=403,content-length=2) DATA(1,2,END) "
                                 "RST(1,NO_ERROR)");
}

/* ---- Order ---- */

static void the_urgent_goes_first(void **state)
{
    (void)state;
    wire_get(1, "/slow");
    wire_head(3, WIRE_END_STREAM, ":method GET", ":scheme https", ":authority a.test",
              ":path /fast", "priority u=0", NULL);
    fake_net_turn();
    fake_peer_takes(&fix.client, 0);
    assert_int_equal(recorder_send_text(request(0), "", false), SP_INVALID); /* no head yet */
    open_unsized(request(0));
    open_unsized(request(1));
    assert_int_equal(recorder_send_zeros(request(0), 60000, true), SP_OK);
    assert_int_equal(recorder_send_zeros(request(1), 20000, true), SP_OK);
    recorder_release(request(0));
    recorder_release(request(1));
    fake_peer_takes(&fix.client, SIZE_MAX);
    wire_window(0, 100000);
    /* What was in the connection's queue is gone; of the rest the urgent one comes first. */
    assert_string_equal(heard(), "HEADERS(1,:status=200) HEADERS(3,:status=200) DATA(1,16384) "
                                 "DATA(3,16384) DATA(3,3616,END) DATA(1,16384) DATA(1,16384) "
                                 "DATA(1,10848,END)");
}

static void incremental_ones_take_turns(void **state)
{
    (void)state;
    for (uint32_t id = 1; id <= 3; id += 2)
        wire_head(id, WIRE_END_STREAM, ":method GET", ":scheme https", ":authority a.test",
                  ":path /", "priority u=3, i", NULL);
    fake_net_turn();
    fake_peer_takes(&fix.client, 0);
    open_unsized(request(0));
    open_unsized(request(1));
    assert_int_equal(recorder_send_zeros(request(0), 40960, true), SP_OK);
    assert_int_equal(recorder_send_zeros(request(1), 32768, true), SP_OK);
    recorder_release(request(0));
    recorder_release(request(1));
    fake_peer_takes(&fix.client, SIZE_MAX);
    wire_window(0, 100000);
    /* The first frame was in the connection's queue before the second stream had any. */
    assert_string_equal(heard(), "HEADERS(1,:status=200) HEADERS(3,:status=200) DATA(1,16384) "
                                 "DATA(1,16384) DATA(3,16384) DATA(1,8192,END) DATA(3,16384,END)");
}

/* ---- The same, however the bytes come ---- */

static void a_conversation_byte_by_byte_is_the_same(void **state)
{
    (void)state;
    fix.client.piece = 1;
    wire_post(1, "/up", NULL);
    wire_data(1, 0, "some");
    wire_head(1, WIRE_END_STREAM, "x-t 1", NULL);
    wire_get(3, "/b");
    fake_net_turn();
    assert_string_equal(told(0), "POST:/up body trailers(x-t=1)");
    assert_string_equal(told(1), "GET:/b end");
    recorder_answer(request(0), 200, "ok");
    recorder_answer(request(1), 200, "ok");
    assert_string_equal(heard(), "HEADERS(1,:status=200,content-length=2) DATA(1,2,END) "
                                 "HEADERS(3,:status=200,content-length=2) DATA(3,2,END)");
}

static void a_ping_is_answered(void **state)
{
    (void)state;
    wire_frame(NGHTTP2_PING, 0, 0, "12345678", 8);
    assert_string_equal(heard(), "PING+ACK");
}

static void a_large_body_is_shared_not_copied(void **state)
{
    (void)state;
    wire_post(1, "/up", "40000");
    wire_zeros(1, WIRE_END_STREAM, 40000);
    fake_net_turn();
    assert_string_equal(told(0), "POST:/up body end");
    assert_int_equal(request(0)->n_body, 40000);
    assert_int_equal(request(0)->s->bytes_received, 40000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        http2_test(a_request_is_answered),
        http2_test(a_body_is_passed_on_and_its_length_kept),
        http2_test(a_body_without_length_ends_with_the_stream),
        http2_test(streams_are_answered_in_any_order),
        http2_test(trailers_pass_both_ways),
        http2_test(an_answer_may_be_a_head_alone),
        http2_test(interim_answers_come_before_the_final_one),
        http2_test(an_answer_that_is_whole_first_asks_for_no_more),
        http2_test(what_does_not_fit_the_head_is_not_sent),
        http2_test(a_stream_that_is_let_go_unanswered_is_reset),
        http2_test(a_client_that_resets_its_stream_has_left_it),
        http2_test(a_tunnel_opens_with_101_and_ends_on_each_side),
        http2_test(a_tunnel_that_is_refused_is_an_answer),
        http2_test(the_urgent_goes_first),
        http2_test(incremental_ones_take_turns),
        http2_test(a_conversation_byte_by_byte_is_the_same),
        http2_test(a_ping_is_answered),
        http2_test(a_large_body_is_shared_not_copied),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
