/* Bodies both ways: back-pressure, limits, trailers, early answers, tunnels. */
#include "transaction_fixture.h"

/* ---- The request's body ---- */

static void a_body_that_came_early_waits_for_the_server(void **state)
{
    struct fake_stream *b;

    (void)state;
    post_of(9);
    assert_true(fx.client.paused);
    fake_stream_says_body(&fx.client, "abc", false);
    b = backend_connects();
    assert_string_equal(b->body, "abc");
    assert_false(fx.client.paused);
    fake_stream_says_body(&fx.client, "def", false);
    fake_stream_says_body(&fx.client, "ghi", true);
    assert_string_equal(b->body, "abcdefghi");
    assert_true(b->stream.send_ended);
    assert_int_equal(b->head.body, HTTP_BODY_LENGTH);
    assert_int_equal(b->head.content_length, 9);
    backend_answers(b, 200, HTTP_BODY_LENGTH, 0, true);
    assert_answered(200);
}

static void a_whole_body_that_came_early_is_sent_with_its_end(void **state)
{
    struct fake_stream *b;

    (void)state;
    post_chunked();
    fake_stream_says_body(&fx.client, "abc", true);
    b = backend_connects();
    assert_string_equal(b->body, "abc");
    assert_true(b->stream.send_ended);
    assert_int_equal(b->head.body, HTTP_BODY_UNSIZED);
    backend_answers(b, 200, HTTP_BODY_LENGTH, 0, true);
    assert_answered(200);
}

static void a_length_of_nothing_is_kept(void **state)
{
    struct fake_stream *b;

    (void)state;
    fx.request.body = HTTP_BODY_LENGTH;
    fx.request.method = HTTP_METHOD_POST;
    get("/");
    b = backend_connects();
    assert_int_equal(b->head.body, HTTP_BODY_LENGTH);
    assert_true(b->stream.send_ended);
    backend_answers(b, 200, HTTP_BODY_LENGTH, 0, true);
    assert_answered(200);
}

static void a_slow_backend_slows_the_client(void **state)
{
    struct fake_stream *b;

    (void)state;
    post_chunked();
    b = backend_connects();
    b->takes_nothing = true;
    fake_stream_says_bytes(&fx.client, 500);
    assert_false(fx.client.paused);
    fake_stream_says_bytes(&fx.client, 600);
    assert_true(fx.client.paused);
    assert_int_equal(fx.client.n_pauses, 2); /* once while connecting */
    fake_stream_takes_all(b);
    assert_false(fx.client.paused);
    fake_stream_says_body(&fx.client, "", true);
    backend_answers(b, 200, HTTP_BODY_LENGTH, 0, true);
    assert_answered(200);
    assert_int_equal(b->n_body, 1100);
}

static void more_held_than_the_bound_keeps_the_client_paused(void **state)
{
    struct fake_stream *b;

    (void)state;
    fx.backends_take_nothing = true;
    post_chunked();
    fake_stream_says_bytes(&fx.client, 5000);
    b = backend_connects();
    assert_int_equal(b->n_body, 5000);
    assert_true(fx.client.paused);
    assert_int_equal(fx.client.n_resumes, 0);
    fake_stream_takes_all(b);
    assert_false(fx.client.paused);
    fake_stream_fails(&fx.client, HTTP_ERROR_CLIENT_CLOSED, false);
}

static void trailers_of_the_request_go_on(void **state)
{
    struct fake_stream *b;

    (void)state;
    post_chunked();
    fake_stream_says_body(&fx.client, "abc", false);
    fake_stream_says_trailer(&fx.client, "x-sum", "1");
    b = backend_connects();
    assert_string_equal(b->body, "abc");
    assert_string_equal(b->trailers, "x-sum: 1;");
    backend_answers(b, 200, HTTP_BODY_UNSIZED, 0, false);
    fake_stream_says_trailer(b, "grpc-status", "0");
    assert_answered(200);
    assert_string_equal(fx.client.trailers, "grpc-status: 0;");
}

static void trailers_behind_a_connected_backend_go_on(void **state)
{
    struct fake_stream *b;

    (void)state;
    post_chunked();
    b = backend_connects();
    fake_stream_says_trailer(&fx.client, "x-sum", "1");
    assert_string_equal(b->trailers, "x-sum: 1;");
    backend_answers(b, 200, HTTP_BODY_LENGTH, 0, true);
    assert_answered(200);
}

static void a_body_too_large_is_refused_before_any_server_is_asked(void **state)
{
    (void)state;
    fx.port_conf.limits.max_body_bytes = 100;
    post_of(101);
    assert_answered(413);
    assert_int_equal(fx.source.n_gets, 0);
    assert_int_equal(GREW(http_bad_requests), 1);
}

static void a_body_of_the_largest_size_passes(void **state)
{
    struct fake_stream *b;

    (void)state;
    fx.port_conf.limits.max_body_bytes = 100;
    post_chunked();
    b = backend_connects();
    fake_stream_says_bytes(&fx.client, 100);
    fake_stream_says_body(&fx.client, "", true);
    backend_answers(b, 200, HTTP_BODY_LENGTH, 0, true);
    assert_answered(200);
}

static void a_body_that_grows_too_large_is_refused_on_the_way(void **state)
{
    struct fake_stream *b;

    (void)state;
    fx.port_conf.limits.max_body_bytes = 100;
    post_chunked();
    b = backend_connects();
    fake_stream_says_bytes(&fx.client, 60);
    fake_stream_says_bytes(&fx.client, 60);
    assert_answered(413);
    assert_true(b->aborted);
}

static void a_body_that_grows_too_large_behind_the_answer_cuts_it(void **state)
{
    struct fake_stream *b;

    (void)state;
    fx.port_conf.limits.max_body_bytes = 100;
    post_chunked();
    b = backend_connects();
    backend_answers(b, 200, HTTP_BODY_UNSIZED, 0, false);
    fake_stream_says_bytes(&fx.client, 200);
    assert_cut_off(HTTP_ERROR_BODY_TOO_LARGE);
}

static void an_early_answer_ends_the_exchange(void **state)
{
    struct fake_stream *b;

    (void)state;
    post_chunked();
    b = backend_connects();
    fake_stream_says_body(&fx.client, "abc", false);
    backend_answers(b, 403, HTTP_BODY_LENGTH, 2, false);
    fake_stream_says_body(&fx.client, "def", false); /* both sides may go on meanwhile */
    assert_string_equal(b->body, "abcdef");
    fake_stream_says_body(b, "no", true);
    assert_answered(403);
    assert_string_equal(fx.client.body, "no");
    assert_false(b->stream.send_ended);
}

static void a_forward_that_fails_is_answered(void **state)
{
    struct fake_stream *b;

    (void)state;
    post_chunked();
    b = backend_connects();
    b->body_err = SP_NOMEM;
    fake_stream_says_body(&fx.client, "abc", false);
    assert_answered(503);
    assert_true(b->aborted);
}

/* ---- The response's body ---- */

static void a_slow_client_slows_the_backend(void **state)
{
    struct fake_stream *b;

    (void)state;
    get("/");
    b = backend_connects();
    fx.client.takes_nothing = true;
    backend_answers(b, 200, HTTP_BODY_UNSIZED, 0, false);
    fake_stream_says_bytes(b, 800);
    assert_false(b->paused);
    fake_stream_says_bytes(b, 800);
    assert_true(b->paused);
    fake_stream_says_bytes(b, 100); /* was parsed already */
    assert_int_equal(b->n_pauses, 1);
    fake_stream_takes_all(&fx.client);
    assert_false(b->paused);
    fake_stream_says_body(b, "", true);
    assert_answered(200);
    assert_int_equal(fx.client.n_body, 1700);
}

static void a_backend_that_says_too_much_is_cut(void **state)
{
    struct fake_stream *b;

    (void)state;
    get("/");
    b = backend_connects();
    backend_answers(b, 200, HTTP_BODY_LENGTH, 5, false);
    fx.client.body_err = SP_INVALID;
    fake_stream_says_body(b, "hello!", false);
    assert_cut_off(HTTP_ERROR_UPSTREAM_BAD_RESPONSE);
    assert_true(b->aborted);
}

/* ---- Tunnels ---- */

static struct fake_stream *open_tunnel(void)
{
    struct fake_stream *b;

    fx.request.protocol = VIEW("websocket");
    get("/");
    b = backend_connects();
    assert_true(view_eq(b->head.protocol, VIEW("websocket")));
    response_field(b, "Upgrade", "websocket");
    response_field(b, "Connection", "upgrade");
    backend_answers(b, 101, HTTP_BODY_TUNNEL, 0, false);
    return b;
}

static void a_tunnel_carries_bytes_until_both_sides_end(void **state)
{
    struct fake_stream *b = open_tunnel();

    (void)state;
    assert_int_equal(fx.client.head.status, 101);
    assert_int_equal(fx.client.head.body, HTTP_BODY_TUNNEL);
    assert_true(view_eq(fx.client.head.protocol, VIEW("websocket")));
    assert_string_equal(fake_stream_field(&fx.client, "upgrade"), "");
    fake_stream_says_body(&fx.client, "ping", false);
    fake_stream_says_body(b, "pong", false);
    fake_stream_says_body(&fx.client, "", true);
    assert_false(fx.client.released);
    fake_stream_says_body(b, "bye", false);
    fake_stream_says_body(b, "", true);
    assert_answered(101);
    assert_string_equal(b->body, "ping");
    assert_string_equal(fx.client.body, "pongbye");
    assert_int_equal(GREW(http_upgrades), 1);
    assert_int_equal(GREW(http_responses_2xx), 1);
}

static void a_tunnel_may_be_ended_by_the_backend_first(void **state)
{
    struct fake_stream *b = open_tunnel();

    (void)state;
    fake_stream_says_body(b, "bye", true);
    assert_false(fx.client.released);
    fake_stream_says_body(&fx.client, "last", false);
    fake_stream_says_body(&fx.client, "", true);
    assert_answered(101);
    assert_string_equal(b->body, "last");
}

static void a_tunnel_is_not_limited_by_the_body_size(void **state)
{
    struct fake_stream *b;

    (void)state;
    fx.port_conf.limits.max_body_bytes = 10;
    b = open_tunnel();
    fake_stream_says_bytes(&fx.client, 100);
    assert_int_equal(b->n_body, 100);
    fake_stream_says_body(&fx.client, "", true);
    fake_stream_says_body(b, "", true);
    assert_answered(101);
}

static void a_tunnel_that_breaks_is_cut_on_the_other_side(void **state)
{
    struct fake_stream *b = open_tunnel();

    (void)state;
    fake_stream_fails(b, HTTP_ERROR_UPSTREAM_CUT, false);
    assert_cut_off(HTTP_ERROR_UPSTREAM_CUT);
}

static void a_tunnel_whose_client_goes_is_cut_on_the_other_side(void **state)
{
    struct fake_stream *b = open_tunnel();

    (void)state;
    fake_stream_fails(&fx.client, HTTP_ERROR_CLIENT_CLOSED, false);
    assert_true(b->aborted && b->released && fx.client.released);
}

static void a_tunnel_has_back_pressure_both_ways(void **state)
{
    struct fake_stream *b = open_tunnel();

    (void)state;
    b->takes_nothing = fx.client.takes_nothing = true;
    fake_stream_says_bytes(&fx.client, 1500);
    fake_stream_says_bytes(b, 1500);
    assert_true(fx.client.paused && b->paused);
    fake_stream_takes_all(b);
    fake_stream_takes_all(&fx.client);
    assert_false(fx.client.paused || b->paused);
    fake_stream_says_body(b, "", true);
    fake_stream_says_body(&fx.client, "", true);
    assert_answered(101);
}

static void a_refused_upgrade_is_a_normal_response(void **state)
{
    struct fake_stream *b;

    (void)state;
    fx.request.protocol = VIEW("websocket");
    get("/");
    b = backend_connects();
    backend_answers(b, 403, HTTP_BODY_LENGTH, 2, false);
    fake_stream_says_body(b, "no", true);
    assert_answered(403);
    assert_int_equal(GREW(http_upgrades), 0);
}

static void a_101_that_nobody_asked_for_is_bad(void **state)
{
    struct fake_stream *b;

    (void)state;
    get("/");
    b = backend_connects();
    backend_answers(b, 101, HTTP_BODY_TUNNEL, 0, false);
    assert_answered(502);
    assert_true(b->aborted);
}

/* What a tunnel needs in HTTP/1.1 depends on what the other side speaks. */
static void each_side_hears_what_the_other_speaks(void **state)
{
    struct fake_stream *b;

    (void)state;
    fx.request.version = HTTP_VERSION_2;
    fx.request.protocol = VIEW("websocket");
    get("/");
    b = backend_connects();
    assert_int_equal(b->head.version, HTTP_VERSION_2);
    assert_true(view_eq(b->head.protocol, VIEW("websocket")));
    backend_answers(b, 101, HTTP_BODY_TUNNEL, 0, false);
    assert_int_equal(fx.client.head.version, HTTP_VERSION_1_1);
    fake_stream_says_body(&fx.client, "", true);
    fake_stream_says_body(b, "", true);
    assert_answered(101);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_body_that_came_early_waits_for_the_server),
        TEST(a_whole_body_that_came_early_is_sent_with_its_end),
        TEST(a_length_of_nothing_is_kept),
        TEST(a_slow_backend_slows_the_client),
        TEST(more_held_than_the_bound_keeps_the_client_paused),
        TEST(trailers_of_the_request_go_on),
        TEST(trailers_behind_a_connected_backend_go_on),
        TEST(a_body_too_large_is_refused_before_any_server_is_asked),
        TEST(a_body_of_the_largest_size_passes),
        TEST(a_body_that_grows_too_large_is_refused_on_the_way),
        TEST(a_body_that_grows_too_large_behind_the_answer_cuts_it),
        TEST(an_early_answer_ends_the_exchange),
        TEST(a_forward_that_fails_is_answered),
        TEST(a_slow_client_slows_the_backend),
        TEST(a_backend_that_says_too_much_is_cut),
        TEST(a_tunnel_carries_bytes_until_both_sides_end),
        TEST(a_tunnel_may_be_ended_by_the_backend_first),
        TEST(a_tunnel_is_not_limited_by_the_body_size),
        TEST(a_tunnel_that_breaks_is_cut_on_the_other_side),
        TEST(a_tunnel_whose_client_goes_is_cut_on_the_other_side),
        TEST(a_tunnel_has_back_pressure_both_ways),
        TEST(a_refused_upgrade_is_a_normal_response),
        TEST(a_101_that_nobody_asked_for_is_bad),
        TEST(each_side_hears_what_the_other_speaks),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
