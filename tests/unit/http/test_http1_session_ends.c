/* How connections and exchanges end: time limits, clients that leave, users that let go. */
#include "session_fixture.h"

#define GET  "GET / HTTP/1.1\r\nHost: a\r\n\r\n"
#define POST "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n"

static void closed_cleanly(void)
{
    assert_true(fix.client.closed);
    assert_int_equal(fix.client.how, VC_CLOSE_CLEAN);
}

static void closed_abruptly(void)
{
    assert_true(fix.client.closed);
    assert_int_equal(fix.client.how, VC_CLOSE_ABORT);
}

/* ---- Time limits ---- */

static void a_client_that_says_nothing_is_closed_without_a_word(void **state)
{
    (void)state;
    fake_net_pass_ms(9999);
    assert_false(fix.client.closed);
    fake_net_pass_ms(2);
    closed_cleanly();
    assert_string_equal(got(), "");
    assert_int_equal(fix.service.n_refused, 0);
}

static void a_head_must_be_whole_in_time_however_busy_the_client_is(void **state)
{
    (void)state;
    fake_net_pass_ms(5000);
    says("GET / HTTP/1.1\r\n");
    for (int i = 0; i < 9; i++) {
        fake_net_pass_ms(1000);
        says("X: 1\r\n");
        assert_int_equal(fix.service.n_refused, 0);
    }
    fake_net_pass_ms(1001);
    assert_int_equal(fix.service.refused, HTTP_ERROR_CLIENT_HEAD_TIMEOUT);
    assert_int_equal(strncmp(got(), "HTTP/1.1 408 ", 13), 0);
    assert_true(fix.client.got_end);
}

static void an_idle_connection_is_closed_after_the_keep_alive_timeout(void **state)
{
    (void)state;
    fix.service.on_request = recorder_answer_ok;
    fake_net_pass_ms(9000);
    says(GET);
    fake_net_pass_ms(59999);
    assert_false(fix.client.closed);
    says(GET);
    fake_net_pass_ms(59999);
    assert_false(fix.client.closed);
    fake_net_pass_ms(2);
    closed_cleanly();
}

static void answer_408(struct recorder *r, const char *event)
{
    if (strcmp(event, "failed") == 0 && r->s->answerable)
        recorder_answer(r, 408, "slow");
}

static void a_body_that_stops_coming_fails_and_can_be_answered(void **state)
{
    (void)state;
    fix.service.on_event = answer_408;
    says(POST "abc");
    fake_net_pass_ms(29000);
    says("abc");
    fake_net_pass_ms(29999);
    assert_string_equal(told(0), "POST:/ body");
    fake_net_pass_ms(2);
    assert_string_equal(told(0), "POST:/ body failed:client_body_timeout+answerable");
    assert_true(ends_with(got(), "Connection: close\r\n\r\nslow"));
}

static void a_client_is_not_timed_while_it_waits_for_us(void **state)
{
    (void)state;
    says(GET);
    fake_net_pass_ms(3600000);
    recorder_answer(request(0), 200, "late");
    fake_net_turn();
    assert_true(ends_with(got(), "late"));
    assert_false(fix.client.closed);
}

static void a_paused_body_is_not_timed(void **state)
{
    (void)state;
    fix.conf.limits.min_rate_bytes_per_s = 100;
    says(POST "abc");
    request(0)->s->ops->pause(request(0)->s);
    fake_net_pass_slowly_ms(3600000, 20000);
    assert_string_equal(told(0), "POST:/ body");
    request(0)->s->ops->resume(request(0)->s);
    fake_net_turn();
    fake_net_pass_ms(30001);
    assert_true(ends_with(told(0), "failed:client_body_timeout+answerable"));
    recorder_release(request(0));
}

static void a_body_that_crawls_fails_after_the_grace(void **state)
{
    (void)state;
    fix.conf.limits.min_rate_bytes_per_s = 2;
    says(POST);
    for (int i = 0; i < 19; i++) {
        says("x");
        fake_net_pass_ms(1000);
    }
    assert_string_equal(told(0), "POST:/ body");
    fake_net_pass_ms(1001);
    assert_string_equal(told(0), "POST:/ body failed:client_too_slow+answerable");
    recorder_release(request(0));
    closed_cleanly();
}

static void a_fast_start_does_not_pay_for_a_crawl(void **state)
{
    (void)state;
    fix.conf.limits.min_rate_bytes_per_s = 2;
    says(POST);
    for (int i = 0; i < 40; i++)
        says("0123456789");
    fake_net_pass_slowly_ms(20001, 1000);
    assert_true(ends_with(told(0), "failed:client_too_slow+answerable"));
    recorder_release(request(0));
}

static void send_100_bytes(void)
{
    struct http_head head = {.status = 200, .body = HTTP_BODY_LENGTH, .content_length = 100};

    assert_int_equal(http_stream_send_head(request(0)->s, &head, false), SP_OK);
    assert_int_equal(recorder_send_zeros(request(0), 100, true), SP_OK);
}

static void a_client_that_does_not_take_its_response_is_cut(void **state)
{
    (void)state;
    fix.client.takes = 0;
    says(GET);
    fake_net_pass_ms(60000);
    send_100_bytes();
    fake_net_pass_ms(19999);
    assert_false(fix.client.closed);
    fake_net_pass_ms(2);
    assert_string_equal(told(0), "GET:/ end failed:client_send_timeout");
    closed_abruptly();
}

static void sending_more_requests_is_not_taking_a_response(void **state)
{
    (void)state;
    fix.client.takes = 0;
    says(GET);
    send_100_bytes();
    for (int i = 0; i < 21; i++) {
        says("G");
        fake_net_pass_ms(1000);
    }
    closed_abruptly();
}

/* ---- Clients that leave ---- */

static void a_client_may_end_its_side_after_its_request(void **state)
{
    (void)state;
    fake_peer_says(&fix.client, GET);
    fake_peer_ends(&fix.client, FAKE_EOF);
    fake_net_turn();
    assert_string_equal(told(0), "GET:/ end");
    recorder_answer(request(0), 200, "ok");
    fake_net_turn();
    assert_string_equal(got(),
                        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok");
    assert_true(fix.client.got_end);
    closed_cleanly();
}

static void all_pipelined_requests_before_the_end_are_answered(void **state)
{
    (void)state;
    fix.service.on_request = recorder_answer_ok;
    fake_peer_says(&fix.client, GET GET GET);
    fake_peer_ends(&fix.client, FAKE_EOF);
    fake_net_turn();
    assert_int_equal(fix.service.n, 3);
    closed_cleanly();
}

static void an_end_without_a_request_is_just_the_end(void **state)
{
    (void)state;
    fake_peer_ends(&fix.client, FAKE_EOF);
    fake_net_turn();
    closed_cleanly();
    assert_string_equal(got(), "");
}

static void an_end_within_a_head_is_not_answered(void **state)
{
    (void)state;
    says("GET / HT");
    fake_peer_ends(&fix.client, FAKE_EOF);
    fake_net_turn();
    closed_cleanly();
    assert_string_equal(got(), "");
}

static void an_end_within_a_body_fails_the_stream(void **state)
{
    (void)state;
    says(POST "abc");
    fake_peer_ends(&fix.client, FAKE_EOF);
    fake_net_turn();
    assert_string_equal(told(0), "POST:/ body failed:client_closed");
    closed_abruptly();
}

static void a_reset_while_the_backend_works_is_told_at_once(void **state)
{
    (void)state;
    says(GET);
    fake_peer_ends(&fix.client, FAKE_RESET);
    fake_net_turn();
    assert_string_equal(told(0), "GET:/ end failed:client_closed");
    closed_abruptly();
    assert_null(request(0)->s->vc);
    assert_int_equal(recorder_send_text(request(0), "late", true), SP_INVALID);
}

static void a_reset_is_told_while_a_pipelined_request_waits(void **state)
{
    (void)state;
    says(GET GET);
    fake_peer_ends(&fix.client, FAKE_RESET);
    fake_net_turn();
    assert_string_equal(told(0), "GET:/ end failed:client_closed");
}

static void a_reset_of_an_idle_connection_is_its_end(void **state)
{
    (void)state;
    fix.service.on_request = recorder_answer_ok;
    says(GET);
    fake_peer_ends(&fix.client, FAKE_RESET);
    fake_net_turn();
    assert_true(fix.client.closed);
}

static void a_failed_write_fails_the_stream(void **state)
{
    (void)state;
    says(GET);
    fix.client.write_error = true;
    send_100_bytes();
    fake_net_turn();
    assert_string_equal(told(0), "GET:/ end failed:client_closed");
    closed_abruptly();
}

/* ---- Users that let go ---- */

static void abort_before_the_response_just_closes(void **state)
{
    (void)state;
    says(GET);
    request(0)->s->ops->abort(request(0)->s, HTTP_ERROR_NOMEM);
    closed_cleanly();
    assert_null(request(0)->s->vc);
    recorder_release(request(0));
}

static void abort_within_the_response_resets(void **state)
{
    struct http_head head = {.status = 200, .body = HTTP_BODY_UNSIZED};

    (void)state;
    says(GET);
    assert_int_equal(http_stream_send_head(request(0)->s, &head, false), SP_OK);
    fake_net_turn();
    request(0)->s->ops->abort(request(0)->s, HTTP_ERROR_UPSTREAM_CUT);
    closed_abruptly();
    request(0)->s->ops->abort(request(0)->s, HTTP_ERROR_UPSTREAM_CUT);
    recorder_release(request(0));
}

static void release_without_a_response_aborts(void **state)
{
    (void)state;
    says(GET);
    recorder_release(request(0));
    closed_cleanly();
}

static void a_small_rest_of_the_body_is_read_for_the_sake_of_the_connection(void **state)
{
    (void)state;
    fix.service.on_request = recorder_answer_ok;
    says(POST "abc");
    assert_true(ends_with(got(), "\r\nContent-Length: 2\r\n\r\nok"));
    for (int i = 0; i < 997; i++)
        fake_peer_says(&fix.client, "x");
    says(GET);
    assert_string_equal(told(1), "GET:/ end");
}

static void a_large_rest_of_the_body_ends_the_connection(void **state)
{
    (void)state;
    fix.service.on_request = recorder_answer_ok;
    says("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\nabc");
    assert_true(ends_with(got(), "\r\nConnection: close\r\n\r\nok"));
    assert_true(fix.client.got_end);
}

static void a_rest_that_does_not_come_ends_the_connection(void **state)
{
    (void)state;
    fix.service.on_request = recorder_answer_ok;
    says(POST "abc");
    fake_net_pass_ms(30001);
    assert_true(fix.client.got_end);
    fake_net_pass_ms(2001);
    closed_cleanly();
}

/* ---- Last requests ---- */

static void the_last_request_of_a_connection_says_close(void **state)
{
    (void)state;
    fix.conf.limits.max_requests_per_connection = 2;
    fix.service.on_request = recorder_answer_ok;
    says(GET);
    assert_false(fix.client.got_end);
    says(GET GET);
    assert_true(ends_with(got(), "\r\nConnection: close\r\n\r\nok"));
    assert_int_equal(fix.service.n, 2);
    assert_true(fix.client.got_end);
}

static void draining_ends_idle_connections_and_busy_ones_after_their_response(void **state)
{
    struct fake_peer idle = {0}, fresh = {0};

    (void)state;
    fixture_accept(&idle);
    fixture_accept(&fresh);
    fix.service.on_request = recorder_answer_ok;
    fake_peer_says(&idle, GET);
    fake_net_turn();
    fix.service.on_request = NULL;
    says(GET);
    atomic_store(&fix.port.draining, true);
    http_sessions_drain(fake_net_handler());
    fake_net_turn();
    assert_true(idle.got_end);
    assert_false(fresh.got_end);
    assert_false(fix.client.got_end);
    recorder_answer(request(1), 200, "ok");
    fake_net_turn();
    assert_true(ends_with(got(), "\r\nConnection: close\r\n\r\nok"));
    assert_true(fix.client.got_end);
    fix.service.on_request = recorder_answer_ok;
    fake_peer_says(&fresh, GET);
    fake_net_turn();
    assert_true(ends_with(fresh.got, "\r\nConnection: close\r\n\r\nok"));
    fake_net_pass_ms(2001);
    assert_true(idle.closed && fresh.closed);
    fake_peer_fini(&idle);
    fake_peer_fini(&fresh);
}

static void an_idle_connection_can_be_evicted_and_a_busy_one_not(void **state)
{
    (void)state;
    says(GET);
    assert_int_equal(net_handler_evict_idle(fake_net_handler(), 1), 0);
    recorder_answer(request(0), 200, "ok");
    fake_net_turn();
    assert_int_equal(net_handler_evict_idle(fake_net_handler(), 1), 1);
    closed_cleanly();
}

static void an_unknown_protocol_is_not_spoken(void **state)
{
    struct fake_peer h3 = {.alpn = "h3"}, h1 = {.alpn = "http/1.1"};

    (void)state;
    fixture_accept(&h3);
    assert_true(h3.closed);
    fixture_accept(&h1);
    assert_false(h1.closed);
    fake_net_turn();
    fake_peer_ends(&h1, FAKE_EOF);
    fake_net_turn();
    fake_peer_fini(&h1);
    fake_peer_fini(&h3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        session_test(a_client_that_says_nothing_is_closed_without_a_word),
        session_test(a_head_must_be_whole_in_time_however_busy_the_client_is),
        session_test(an_idle_connection_is_closed_after_the_keep_alive_timeout),
        session_test(a_body_that_stops_coming_fails_and_can_be_answered),
        session_test(a_client_is_not_timed_while_it_waits_for_us),
        session_test(a_paused_body_is_not_timed),
        session_test(a_body_that_crawls_fails_after_the_grace),
        session_test(a_fast_start_does_not_pay_for_a_crawl),
        session_test(a_client_that_does_not_take_its_response_is_cut),
        session_test(sending_more_requests_is_not_taking_a_response),
        session_test(a_client_may_end_its_side_after_its_request),
        session_test(all_pipelined_requests_before_the_end_are_answered),
        session_test(an_end_without_a_request_is_just_the_end),
        session_test(an_end_within_a_head_is_not_answered),
        session_test(an_end_within_a_body_fails_the_stream),
        session_test(a_reset_while_the_backend_works_is_told_at_once),
        session_test(a_reset_is_told_while_a_pipelined_request_waits),
        session_test(a_reset_of_an_idle_connection_is_its_end),
        session_test(a_failed_write_fails_the_stream),
        session_test(abort_before_the_response_just_closes),
        session_test(abort_within_the_response_resets),
        session_test(release_without_a_response_aborts),
        session_test(a_small_rest_of_the_body_is_read_for_the_sake_of_the_connection),
        session_test(a_large_rest_of_the_body_ends_the_connection),
        session_test(a_rest_that_does_not_come_ends_the_connection),
        session_test(the_last_request_of_a_connection_says_close),
        session_test(draining_ends_idle_connections_and_busy_ones_after_their_response),
        session_test(an_idle_connection_can_be_evicted_and_a_busy_one_not),
        session_test(an_unknown_protocol_is_not_spoken),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
