/* One request's life: routing, answers, heads, failures at each stage, retries. */
#include "transaction_fixture.h"

#include <stdlib.h>

/* ---- Without a backend ---- */

static void an_unknown_place_is_not_found(void **state)
{
    (void)state;
    fx.request.authority = VIEW("other.example");
    get("/");
    assert_answered(404);
    assert_non_null(strstr(fx.client.body, "Nothing is served under this address."));
    assert_int_equal(GREW(http_requests), 1);
    assert_int_equal(GREW(http_responses_4xx), 1);
    assert_int_equal(fx.source.n_gets, 0);
}

static void routes_may_redirect_and_respond(void **state)
{
    (void)state;
    get("/moved");
    assert_answered(301);
    assert_string_equal(fake_stream_field(&fx.client, "location"), "/new");
    fake_stream_fini(&fx.client);
    fake_stream_server(&fx.client, &fx.port);
    get("/fixed");
    assert_answered(200);
    assert_string_equal(fx.client.body, "hello\n");
}

static void head_gets_the_length_without_the_text(void **state)
{
    (void)state;
    fx.request.method = HTTP_METHOD_HEAD;
    get("/fixed");
    assert_answered(200);
    assert_int_equal(fx.client.head.content_length, 6);
    assert_string_equal(fx.client.body, "");
}

static void a_redirecting_port_serves_nothing_else(void **state)
{
    (void)state;
    fx.port_conf.redirect_to_port = 443;
    get("/fixed?x");
    assert_answered(308);
    assert_string_equal(fake_stream_field(&fx.client, "location"), "https://shop.example/fixed?x");
}

static void a_redirecting_port_needs_a_host(void **state)
{
    (void)state;
    fx.port_conf.redirect_to_port = 443;
    fx.request.authority = VIEW("");
    get("/");
    assert_answered(400);
    assert_int_equal(GREW(http_bad_requests), 1);
}

static void a_name_that_the_connection_is_not_for_is_misdirected(void **state)
{
    (void)state;
    fx.client.serves = "shop.example";
    fx.request.authority = VIEW("shop.example:8443");
    get("/fixed");
    assert_answered(200);
    fake_stream_fini(&fx.client);
    fake_stream_server(&fx.client, &fx.port);
    fx.client.serves = "shop.example";
    fx.request.authority = VIEW("admin.example");
    get("/fixed");
    assert_answered(421);
    assert_int_equal(fx.source.n_gets, 0);
}

static void the_client_is_known_for_as_long_as_its_request_lives(void **state)
{
    struct client_identity *identity = calloc(1, sizeof(*identity));

    (void)state;
    assert_non_null(identity);
    *identity = (struct client_identity){
        .refs = 1, .cert = VIEW(":TEVBRg==:"), .fingerprint = VIEW("ab12")};
    fx.client.identity = identity;
    get("/");
    client_identity_unref(identity); /* the connection's own */
    assert_string_equal(fake_stream_field(backend_connects(), "client-cert"), ":TEVBRg==:");
    backend_answers(&fx.backends[0], 204, HTTP_BODY_NONE, 0, true);
    assert_answered(204);
}

static void trace_and_plain_connect_are_refused(void **state)
{
    (void)state;
    fx.request.method = HTTP_METHOD_TRACE;
    get("/");
    assert_answered(501);
    fake_stream_fini(&fx.client);
    fake_stream_server(&fx.client, &fx.port);
    fx.request.method = HTTP_METHOD_CONNECT;
    get("/");
    assert_answered(501);
}

static void options_may_end_here(void **state)
{
    (void)state;
    fx.request.method = HTTP_METHOD_OPTIONS;
    request_field("Max-Forwards", "0");
    get("*");
    assert_answered(204);
    assert_int_equal(fx.source.n_gets, 0);
}

/* ---- Heads ---- */

static void a_request_goes_to_the_backend_and_its_answer_back(void **state)
{
    struct fake_stream *b;

    (void)state;
    get("/a?b");
    b = backend_connects();
    assert_true(b->stream.send_ended);
    assert_true(view_eq(b->head.path, VIEW("/a?b")));
    assert_true(view_eq(b->head.authority, VIEW("shop.example")));
    response_field(b, "X-From", "backend");
    response_field(b, "Connection", "close, X-Hop");
    response_field(b, "X-Hop", "1");
    response_field(b, "Transfer-Encoding", "chunked");
    backend_answers(b, 200, HTTP_BODY_UNSIZED, 0, false);
    fake_stream_says_body(b, "hel", false);
    fake_stream_says_body(b, "lo", true);
    assert_answered(200);
    assert_int_equal(fx.client.head.body, HTTP_BODY_UNSIZED);
    assert_string_equal(fx.client.body, "hello");
    assert_string_equal(fake_stream_field(&fx.client, "x-from"), "backend");
    assert_string_equal(fake_stream_field(&fx.client, "x-hop"), "");
    assert_string_equal(fake_stream_field(&fx.client, "connection"), "");
    assert_string_equal(fake_stream_field(&fx.client, "transfer-encoding"), "");
    assert_int_equal(strlen(fake_stream_field(&fx.client, "date")), 29);
    assert_false(b->aborted);
    assert_int_equal(GREW(upstream_requests), 1);
    assert_int_equal(GREW(upstream_reused), 0);
    assert_int_equal(GREW(http_responses_2xx), 1);
}

static void the_servers_own_name_may_be_sent(void **state)
{
    struct fake_stream *b;

    (void)state;
    fx.backend.pass_host = false;
    get("/");
    b = backend_connects();
    assert_true(view_eq(b->head.authority, VIEW("127.0.0.1:9001")));
    backend_answers(b, 204, HTTP_BODY_NONE, 0, true);
    assert_answered(204);
}

static void a_body_up_to_the_close_is_unsized_for_the_client(void **state)
{
    struct fake_stream *b;

    (void)state;
    get("/");
    b = backend_connects();
    backend_answers(b, 200, HTTP_BODY_TO_CLOSE, 0, false);
    fake_stream_says_body(b, "x", true);
    assert_answered(200);
    assert_int_equal(fx.client.head.body, HTTP_BODY_UNSIZED);
}

static void head_and_304_announce_the_backends_length(void **state)
{
    struct fake_stream *b;

    (void)state;
    fx.request.method = HTTP_METHOD_HEAD;
    get("/");
    b = backend_connects();
    response_field(b, "Content-Length", "12345");
    backend_answers(b, 200, HTTP_BODY_NONE, 0, true);
    assert_answered(200);
    assert_int_equal(fx.client.head.body, HTTP_BODY_LENGTH);
    assert_int_equal(fx.client.head.content_length, 12345);
    assert_string_equal(fake_stream_field(&fx.client, "content-length"), "");
}

static void a_204_announces_nothing(void **state)
{
    struct fake_stream *b;

    (void)state;
    get("/");
    b = backend_connects();
    response_field(b, "Content-Length", "0");
    backend_answers(b, 204, HTTP_BODY_NONE, 0, true);
    assert_answered(204);
    assert_int_equal(fx.client.head.body, HTTP_BODY_NONE);
}

static void interim_responses_are_passed_on(void **state)
{
    struct fake_stream *b;

    (void)state;
    get("/");
    b = backend_connects();
    backend_answers(b, 103, HTTP_BODY_NONE, 0, false);
    backend_answers(b, 102, HTTP_BODY_NONE, 0, false);
    backend_answers(b, 200, HTTP_BODY_LENGTH, 0, true);
    assert_answered(200);
    assert_int_equal(fx.client.n_interim, 2);
    assert_int_equal(fx.client.interim[0], 103);
}

static void http_1_0_clients_get_no_interim_responses(void **state)
{
    struct fake_stream *b;

    (void)state;
    fx.request.version = HTTP_VERSION_1_0;
    get("/");
    b = backend_connects();
    backend_answers(b, 103, HTTP_BODY_NONE, 0, false);
    backend_answers(b, 200, HTTP_BODY_LENGTH, 0, true);
    assert_answered(200);
    assert_int_equal(fx.client.n_interim, 0);
}

static void a_response_that_names_half_the_world_is_bad(void **state)
{
    struct fake_stream *b;

    (void)state;
    get("/");
    b = backend_connects();
    response_field(b, "Connection", "a,b,c,d,e,f,g,h,i,j,k,l,m,n,o,p,q");
    backend_answers(b, 200, HTTP_BODY_LENGTH, 5, false);
    assert_answered(502);
    assert_true(b->aborted);
}

/* ---- Failures ---- */

static void no_server_means_502(void **state)
{
    (void)state;
    fx.backend.retries = 0;
    get("/");
    backend_cannot(HTTP_ERROR_UPSTREAM_CONNECT);
    assert_answered(502);
    assert_int_equal(GREW(upstream_errors), 1);
    assert_int_equal(GREW(upstream_retries), 0);
    assert_int_equal(GREW(http_responses_5xx), 1);
}

static void busy_servers_mean_503_at_once(void **state)
{
    (void)state;
    fx.backend.n_servers = 2;
    get("/");
    backend_cannot(HTTP_ERROR_UPSTREAM_LIMIT);
    assert_answered(503);
    assert_int_equal(GREW(upstream_errors), 0);
}

static void a_server_that_does_not_answer_means_504(void **state)
{
    struct fake_stream *b;

    (void)state;
    get("/");
    b = backend_connects();
    fake_stream_fails(b, HTTP_ERROR_UPSTREAM_TIMEOUT, false);
    assert_answered(504);
    assert_int_equal(GREW(http_timeouts), 1);
}

static void a_response_cut_short_is_never_whole(void **state)
{
    struct fake_stream *b;

    (void)state;
    get("/");
    b = backend_connects();
    backend_answers(b, 200, HTTP_BODY_UNSIZED, 0, false);
    fake_stream_says_body(b, "half", false);
    fake_stream_fails(b, HTTP_ERROR_UPSTREAM_CUT, false);
    assert_cut_off(HTTP_ERROR_UPSTREAM_CUT);
    assert_false(fx.client.stream.send_ended);
    assert_int_equal(GREW(http_aborted_by_upstream), 1);
}

static void a_client_that_leaves_takes_its_request_along(void **state)
{
    struct fake_stream *b;

    (void)state;
    get("/");
    b = backend_connects();
    fake_stream_fails(&fx.client, HTTP_ERROR_CLIENT_CLOSED, false);
    assert_true(fx.client.released);
    assert_true(b->released);
    assert_true(b->aborted);
    assert_int_equal(GREW(http_aborted_by_client), 1);
}

static void a_client_that_leaves_while_connecting_cancels_the_wish(void **state)
{
    (void)state;
    get("/");
    assert_non_null(fx.source.wish);
    fake_stream_fails(&fx.client, HTTP_ERROR_CLIENT_CLOSED, false);
    assert_true(fx.client.released);
    assert_int_equal(fx.source.n_cancels, 1);
}

static void a_client_that_leaves_amid_the_response_aborts_it(void **state)
{
    struct fake_stream *b;

    (void)state;
    get("/");
    b = backend_connects();
    backend_answers(b, 200, HTTP_BODY_LENGTH, 10, false);
    fake_stream_says_body(b, "12345", false);
    fake_stream_fails(&fx.client, HTTP_ERROR_CLIENT_SEND_TIMEOUT, false);
    assert_true(b->aborted && b->released && fx.client.released);
    assert_int_equal(GREW(http_timeouts), 1);
}

static void a_client_whose_body_is_bad_gets_told(void **state)
{
    struct fake_stream *b;

    (void)state;
    post_chunked();
    b = backend_connects();
    fake_stream_says_body(&fx.client, "abc", false);
    fake_stream_fails(&fx.client, HTTP_ERROR_BAD_CHUNK, true);
    assert_answered(400);
    assert_true(b->aborted);
    assert_int_equal(GREW(http_bad_requests), 1);
}

static void a_client_that_stalls_gets_408(void **state)
{
    struct fake_stream *b;

    (void)state;
    post_of(10);
    b = backend_connects();
    fake_stream_fails(&fx.client, HTTP_ERROR_CLIENT_BODY_TIMEOUT, true);
    assert_answered(408);
    assert_true(b->aborted);
}

static void a_head_that_cannot_be_queued_ends_the_exchange(void **state)
{
    struct fake_stream *b;

    (void)state;
    get("/");
    b = backend_connects();
    fx.client.head_err = SP_NOMEM;
    backend_answers(b, 200, HTTP_BODY_LENGTH, 5, false);
    assert_cut_off(HTTP_ERROR_NOMEM);
    assert_true(b->aborted);
}

static void a_head_that_cannot_be_written_is_the_backends_fault(void **state)
{
    struct fake_stream *b;

    (void)state;
    get("/");
    b = backend_connects();
    fx.client.head_err = SP_INVALID;
    backend_answers(b, 200, HTTP_BODY_LENGTH, 5, false);
    assert_answered(502);
    assert_true(b->aborted);
}

static void a_body_that_cannot_be_queued_cuts_the_response(void **state)
{
    struct fake_stream *b;

    (void)state;
    get("/");
    b = backend_connects();
    backend_answers(b, 200, HTTP_BODY_LENGTH, 5, false);
    fx.client.body_err = SP_NOMEM;
    fake_stream_says_body(b, "hello", true);
    assert_cut_off(HTTP_ERROR_NOMEM);
}

static void a_request_that_the_backend_stream_refuses_is_answered(void **state)
{
    struct fake_stream *b = backend_is_pooled();

    (void)state;
    b->head_err = SP_NOMEM;
    get("/");
    assert_answered(503);
    assert_true(b->aborted);
}

/* ---- Trying again ---- */

static void a_failed_connect_tries_the_next_server(void **state)
{
    struct fake_stream *b;

    (void)state;
    fx.backend.retries = 0;
    fx.backend.n_servers = 2;
    fx.request.method = HTTP_METHOD_POST;
    get("/");
    backend_cannot(HTTP_ERROR_UPSTREAM_CONNECT);
    b = backend_connects();
    backend_answers(b, 200, HTTP_BODY_LENGTH, 0, true);
    assert_answered(200);
    assert_int_equal(fx.source.n_gets, 2);
    assert_int_equal(GREW(upstream_retries), 1);
}

static void tries_are_bounded(void **state)
{
    (void)state;
    fx.backend.retries = 100;
    get("/");
    while (fx.source.wish != NULL)
        backend_cannot(HTTP_ERROR_UPSTREAM_CONNECT_TIMEOUT);
    assert_answered(504);
    assert_int_equal(fx.source.n_gets, 8);
}

static void a_connection_that_died_in_the_pool_is_replaced(void **state)
{
    struct fake_stream *old = backend_is_pooled(), *b;

    (void)state;
    get("/");
    fake_stream_fails(old, HTTP_ERROR_UPSTREAM_CLOSED, false);
    assert_true(old->released);
    assert_true(fx.source.wish->fresh);
    b = backend_connects();
    assert_true(view_eq(b->head.path, VIEW("/")));
    backend_answers(b, 200, HTTP_BODY_LENGTH, 0, true);
    assert_answered(200);
    assert_int_equal(GREW(upstream_reused), 1);
    assert_int_equal(GREW(upstream_retries), 1);
    assert_int_equal(GREW(upstream_requests), 2);
}

static void a_fresh_connection_that_dies_is_not_replaced(void **state)
{
    (void)state;
    get("/");
    fake_stream_fails(backend_connects(), HTTP_ERROR_UPSTREAM_CLOSED, false);
    assert_answered(502);
    assert_int_equal(fx.source.n_gets, 1);
}

static void what_is_not_idempotent_is_not_sent_twice(void **state)
{
    struct fake_stream *b = backend_is_pooled();

    (void)state;
    fx.request.method = HTTP_METHOD_POST;
    get("/");
    fake_stream_fails(b, HTTP_ERROR_UPSTREAM_CLOSED, false);
    assert_answered(502);
}

static void an_unknown_method_is_not_sent_twice(void **state)
{
    struct fake_stream *b = backend_is_pooled();

    (void)state;
    fx.request.method = HTTP_METHOD_OTHER;
    get("/");
    fake_stream_fails(b, HTTP_ERROR_UPSTREAM_CLOSED, false);
    assert_answered(502);
}

static void a_body_that_was_passed_on_cannot_be_sent_again(void **state)
{
    struct fake_stream *b = backend_is_pooled();

    (void)state;
    fx.request.method = HTTP_METHOD_PUT;
    fx.request.body = HTTP_BODY_LENGTH;
    fx.request.content_length = 6;
    start(false);
    fake_stream_says_body(&fx.client, "abc", false);
    fake_stream_fails(b, HTTP_ERROR_UPSTREAM_CLOSED, false);
    assert_answered(502);
}

static void a_body_that_was_not_yet_passed_on_can(void **state)
{
    struct fake_stream *old = backend_is_pooled(), *b;

    (void)state;
    fx.request.method = HTTP_METHOD_PUT;
    fx.request.body = HTTP_BODY_LENGTH;
    fx.request.content_length = 6;
    start(false);
    fake_stream_fails(old, HTTP_ERROR_UPSTREAM_CLOSED, false);
    assert_true(fx.client.paused);
    fake_stream_says_body(&fx.client, "abc", false); /* was parsed already */
    b = backend_connects();
    assert_false(fx.client.paused);
    fake_stream_says_body(&fx.client, "def", true);
    assert_string_equal(b->body, "abcdef");
    backend_answers(b, 201, HTTP_BODY_LENGTH, 0, true);
    assert_answered(201);
}

static void after_any_byte_of_a_response_nothing_is_tried_again(void **state)
{
    struct fake_stream *b = backend_is_pooled();

    (void)state;
    get("/");
    backend_answers(b, 103, HTTP_BODY_NONE, 0, false);
    fake_stream_fails(b, HTTP_ERROR_UPSTREAM_CLOSED, false);
    assert_answered(502);
    assert_int_equal(fx.source.n_gets, 1);
}

static void a_bad_response_is_not_tried_again(void **state)
{
    struct fake_stream *b = backend_is_pooled();

    (void)state;
    get("/");
    fake_stream_fails(b, HTTP_ERROR_UPSTREAM_BAD_RESPONSE, false);
    assert_answered(502);
}

static void without_retries_nothing_is_sent_twice(void **state)
{
    struct fake_stream *b = backend_is_pooled();

    (void)state;
    fx.backend.retries = 0;
    fx.backend.n_servers = 2;
    get("/");
    fake_stream_fails(b, HTTP_ERROR_UPSTREAM_CLOSED, false);
    assert_answered(502);
}

/* RFC 9113 8.7: the server says itself that it has not acted on it. */
static void what_a_server_has_refused_is_sent_again_whatever_it_is(void **state)
{
    struct fake_stream *refusing = backend_is_pooled(), *b;

    (void)state;
    fx.request.method = HTTP_METHOD_POST;
    fx.request.method_text = VIEW("POST");
    get("/");
    fake_stream_fails(refusing, HTTP_ERROR_UPSTREAM_REFUSED, false);
    assert_true(refusing->released);
    b = backend_connects();
    backend_answers(b, 200, HTTP_BODY_LENGTH, 0, true);
    assert_answered(200);
    assert_int_equal(GREW(upstream_refused), 1);
    assert_int_equal(GREW(upstream_retries), 1);
}

static void what_was_refused_with_a_part_of_its_body_is_not_sent_again(void **state)
{
    struct fake_stream *b = backend_is_pooled();

    (void)state;
    post_chunked();
    fake_stream_says_body(&fx.client, "abc", false);
    fake_stream_fails(b, HTTP_ERROR_UPSTREAM_REFUSED, false);
    assert_int_equal(fx.client.head.status, 502);
}

static void a_stream_that_was_reset_is_not_sent_again(void **state)
{
    struct fake_stream *b = backend_is_pooled();

    (void)state;
    get("/");
    fake_stream_fails(b, HTTP_ERROR_UPSTREAM_RESET, false);
    assert_answered(502);
}

/* ---- Memory ---- */

static void exchange_with_body(void)
{
    struct fake_stream *b;

    post_chunked();
    if (fx.client.released)
        return;
    fake_stream_says_body(&fx.client, "held", false);
    if (fx.client.released)
        return;
    b = backend_connects();
    if (!fx.client.released)
        fake_stream_says_body(&fx.client, "more", true);
    if (!fx.client.released)
        backend_answers(b, 200, HTTP_BODY_UNSIZED, 0, false);
    if (!fx.client.released)
        fake_stream_says_body(b, "answer", true);
}

static void an_exchange_survives_each_failed_allocation(void **state)
{
    (void)state;
    iobuf_thread_fini();
    for (unsigned nth = 0;; nth++) {
        bool hit;

        fx.n_backends = 0;
        fx.response.fields = (struct http_fields){0};
        failing_alloc_arm(nth);
        exchange_with_body();
        hit = failing_alloc_hit();
        assert_true(fx.client.released);
        assert_null(fx.source.wish);
        for (unsigned i = 0; i < fx.n_backends; i++) {
            assert_true(fx.backends[i].released);
            fake_stream_fini(&fx.backends[i]);
        }
        iobuf_thread_fini();
        assert_int_equal(failing_alloc_live(), 0);
        if (!hit) {
            assert_int_equal(fx.client.head.status, 200);
            return;
        }
        assert_true(fx.client.aborted || fx.client.head.status == 503 ||
                    fx.client.head.status == 502);
        fake_stream_fini(&fx.client);
        fake_stream_server(&fx.client, &fx.port);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_unknown_place_is_not_found),
        TEST(routes_may_redirect_and_respond),
        TEST(head_gets_the_length_without_the_text),
        TEST(a_redirecting_port_serves_nothing_else),
        TEST(a_redirecting_port_needs_a_host),
        TEST(a_name_that_the_connection_is_not_for_is_misdirected),
        TEST(the_client_is_known_for_as_long_as_its_request_lives),
        TEST(trace_and_plain_connect_are_refused),
        TEST(options_may_end_here),
        TEST(a_request_goes_to_the_backend_and_its_answer_back),
        TEST(the_servers_own_name_may_be_sent),
        TEST(a_body_up_to_the_close_is_unsized_for_the_client),
        TEST(head_and_304_announce_the_backends_length),
        TEST(a_204_announces_nothing),
        TEST(interim_responses_are_passed_on),
        TEST(http_1_0_clients_get_no_interim_responses),
        TEST(a_response_that_names_half_the_world_is_bad),
        TEST(no_server_means_502),
        TEST(busy_servers_mean_503_at_once),
        TEST(a_server_that_does_not_answer_means_504),
        TEST(a_response_cut_short_is_never_whole),
        TEST(a_client_that_leaves_takes_its_request_along),
        TEST(a_client_that_leaves_while_connecting_cancels_the_wish),
        TEST(a_client_that_leaves_amid_the_response_aborts_it),
        TEST(a_client_whose_body_is_bad_gets_told),
        TEST(a_client_that_stalls_gets_408),
        TEST(a_head_that_cannot_be_queued_ends_the_exchange),
        TEST(a_head_that_cannot_be_written_is_the_backends_fault),
        TEST(a_body_that_cannot_be_queued_cuts_the_response),
        TEST(a_request_that_the_backend_stream_refuses_is_answered),
        TEST(a_failed_connect_tries_the_next_server),
        TEST(tries_are_bounded),
        TEST(a_connection_that_died_in_the_pool_is_replaced),
        TEST(a_fresh_connection_that_dies_is_not_replaced),
        TEST(what_is_not_idempotent_is_not_sent_twice),
        TEST(an_unknown_method_is_not_sent_twice),
        TEST(a_body_that_was_passed_on_cannot_be_sent_again),
        TEST(a_body_that_was_not_yet_passed_on_can),
        TEST(what_a_server_has_refused_is_sent_again_whatever_it_is),
        TEST(what_was_refused_with_a_part_of_its_body_is_not_sent_again),
        TEST(a_stream_that_was_reset_is_not_sent_again),
        TEST(after_any_byte_of_a_response_nothing_is_tried_again),
        TEST(a_bad_response_is_not_tried_again),
        TEST(without_retries_nothing_is_sent_twice),
        TEST(an_exchange_survives_each_failed_allocation),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
