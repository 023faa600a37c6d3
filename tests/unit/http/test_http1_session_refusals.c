/* What is no request gets an answer that can be read, and never a second chance. */
#include "session_fixture.h"

#define GET "GET / HTTP/1.1\r\nHost: a\r\n\r\n"

struct refusal {
    const char *said;
    enum http_error why;
    const char *status_line;
};

static const struct refusal refusals[] = {
    {"\x16\x03\x01", HTTP_ERROR_BAD_REQUEST_LINE, "HTTP/1.1 400 Bad Request\r\n"},
    {"GET /\r\n\r\n", HTTP_ERROR_BAD_REQUEST_LINE, "HTTP/1.1 400 Bad Request\r\n"},
    {"GET / HTTP/1.1\nHost: a\n\n", HTTP_ERROR_BAD_LINE_END, "HTTP/1.1 400 Bad Request\r\n"},
    {"GET / HTTP/1.1\r\n\r\n", HTTP_ERROR_BAD_HOST, "HTTP/1.1 400 Bad Request\r\n"},
    {"GET / HTTP/2.0\r\nHost: a\r\n\r\n", HTTP_ERROR_VERSION_UNSUPPORTED,
     "HTTP/1.1 505 HTTP Version Not Supported\r\n"},
    {"CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n", HTTP_ERROR_METHOD_UNSUPPORTED,
     "HTTP/1.1 501 Not Implemented\r\n"},
};

static void each_malformed_head_is_answered_and_the_connection_ends(void **state)
{
    for (size_t i = 0; i < SP_COUNT_OF(refusals); i++) {
        if (i > 0)
            assert_int_equal(fixture_setup(state), 0);
        says(refusals[i].said);
        assert_int_equal(fix.service.refused, refusals[i].why);
        assert_int_equal(strncmp(got(), refusals[i].status_line, strlen(refusals[i].status_line)),
                         0);
        assert_non_null(strstr(got(), "\r\ncontent-type: text/plain\r\n"));
        assert_non_null(strstr(got(), "\r\nConnection: close\r\n"));
        assert_true(ends_with(got(), http_error_label(refusals[i].why)));
        assert_true(fix.client.got_end);
        assert_int_equal(fix.service.n, 0);
        if (i + 1 < SP_COUNT_OF(refusals))
            assert_int_equal(fixture_teardown(state), 0);
    }
}

/* Each would be two messages to one parser and one to another: whatever follows is not looked at.
 */
static const char *const smuggling[] = {
    "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\nContent-Length: 5\r\n\r\nabcde",
    "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +6\r\n\r\n123456",
    "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n",
    "POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a\r\nX: a\rb\r\n\r\n",
};

static void smuggling_ends_the_connection(void **state)
{
    for (size_t i = 0; i < SP_COUNT_OF(smuggling); i++) {
        if (i > 0)
            assert_int_equal(fixture_setup(state), 0);
        fix.service.on_request = recorder_answer_ok;
        fake_peer_says(&fix.client, smuggling[i]);
        says("GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n");
        assert_int_equal(fix.service.n, 0);
        assert_int_equal(fix.service.n_refused, 1);
        assert_true(fix.client.got_end);
        if (i + 1 < SP_COUNT_OF(smuggling))
            assert_int_equal(fixture_teardown(state), 0);
    }
}

#define CHUNKED "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"

static void answer_400(struct recorder *r, const char *event)
{
    if (strcmp(event, "failed") == 0)
        recorder_answer(r, 400, "bad");
}

static void a_malformed_chunk_fails_the_stream_and_can_be_answered(void **state)
{
    (void)state;
    fix.service.on_event = answer_400;
    says(CHUNKED "3\r\nabc\r\n");
    says("0x3\r\nabc\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_string_equal(told(0), "POST:/ body failed:bad_chunk+answerable");
    assert_string_equal(got(), "HTTP/1.1 400 Bad Request\r\nContent-Length: 3\r\n"
                               "Connection: close\r\n\r\nbad");
    assert_true(fix.client.got_end);
    assert_int_equal(fix.service.n, 1);
}

static void a_routing_field_in_the_trailers_is_refused(void **state)
{
    (void)state;
    fix.service.on_event = answer_400;
    says(CHUNKED "0\r\nHost: b\r\n\r\n");
    assert_string_equal(told(0), "POST:/ failed:bad_trailer+answerable");
}

static void after_the_responses_head_a_malformed_body_cuts_the_connection(void **state)
{
    struct http_head head = {.status = 200, .body = HTTP_BODY_UNSIZED};

    (void)state;
    says(CHUNKED);
    assert_int_equal(http_stream_send_head(request(0)->s, &head, false), SP_OK);
    says("zz");
    assert_string_equal(told(0), "POST:/ failed:bad_chunk");
    assert_true(fix.client.closed);
    assert_int_equal(fix.client.how, VC_CLOSE_ABORT);
    assert_int_equal(recorder_send_text(request(0), "late", true), SP_INVALID);
    recorder_release(request(0));
}

static void a_head_without_end_is_too_large(void **state)
{
    char line[] = "X-0000: 0123456789012345678901234567890123456789\r\n";

    (void)state;
    says("GET / HTTP/1.1\r\nHost: a\r\n");
    for (int i = 0; i < 100 && fix.service.n_refused == 0; i++)
        says(line);
    assert_int_equal(fix.service.refused, HTTP_ERROR_HEAD_TOO_LARGE);
    assert_int_equal(strncmp(got(), "HTTP/1.1 431 ", 13), 0);
}

static void a_refusal_without_a_page_just_closes(void **state)
{
    (void)state;
    fix.service.no_page = true;
    says("nonsense\r\n\r\n");
    assert_string_equal(got(), "");
    assert_true(fix.client.closed);
    assert_int_equal(fix.service.n_refused, 1);
}

/* ---- The lingering close ---- */

static void what_the_client_still_sends_is_thrown_away_until_it_ends(void **state)
{
    (void)state;
    says("nonsense\r\n\r\n");
    assert_true(fix.client.got_end);
    says(GET GET);
    assert_false(fix.client.closed);
    assert_int_equal(fix.service.n, 0);
    fake_peer_ends(&fix.client, FAKE_EOF);
    fake_net_turn();
    assert_true(fix.client.closed);
    assert_int_equal(fix.client.how, VC_CLOSE_CLEAN);
}

static void lingering_lasts_two_seconds(void **state)
{
    (void)state;
    says("nonsense\r\n\r\n");
    fake_net_pass_ms(1999);
    assert_false(fix.client.closed);
    fake_net_pass_ms(2);
    assert_true(fix.client.closed);
}

static void lingering_takes_a_megabyte_at_most(void **state)
{
    static char junk[64 * 1024];

    (void)state;
    memset(junk, 'x', sizeof(junk));
    says("nonsense\r\n\r\n");
    for (int i = 0; i < 16; i++) {
        assert_false(fix.client.closed);
        fake_peer_says_bytes(&fix.client, junk, sizeof(junk));
        fake_net_turn();
    }
    assert_true(fix.client.closed);
}

static void lingering_waits_for_a_slow_reader_and_not_for_ever(void **state)
{
    (void)state;
    fix.client.takes = 20;
    says("nonsense\r\n\r\n");
    assert_int_equal(fix.client.n_got, 20);
    fake_net_pass_slowly_ms(19000, 1000);
    assert_false(fix.client.closed);
    fake_peer_takes(&fix.client, 20);
    fake_net_turn();
    assert_int_equal(fix.client.n_got, 40);
    fake_net_pass_slowly_ms(19000, 1000);
    assert_false(fix.client.closed);
    fake_net_pass_slowly_ms(2000, 1000);
    assert_true(fix.client.closed);
    assert_int_equal(fix.client.how, VC_CLOSE_ABORT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        session_test(each_malformed_head_is_answered_and_the_connection_ends),
        session_test(smuggling_ends_the_connection),
        session_test(a_malformed_chunk_fails_the_stream_and_can_be_answered),
        session_test(a_routing_field_in_the_trailers_is_refused),
        session_test(after_the_responses_head_a_malformed_body_cuts_the_connection),
        session_test(a_head_without_end_is_too_large),
        session_test(a_refusal_without_a_page_just_closes),
        session_test(what_the_client_still_sends_is_thrown_away_until_it_ends),
        session_test(lingering_lasts_two_seconds),
        session_test(lingering_takes_a_megabyte_at_most),
        session_test(lingering_waits_for_a_slow_reader_and_not_for_ever),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
