/* Response heads: status lines, where bodies end, what is refused. */
#include "failing_alloc.h"
#include "http1_feed.h"
#include "unit_test.h"

static struct arena arena;

static int arena_setup(void **state)
{
    (void)state;
    arena_init(&arena);
    return 0;
}

static int arena_teardown(void **state)
{
    (void)state;
    arena_fini(&arena);
    return 0;
}

/* To a GET. */
static struct http_head parsed(const char *bytes)
{
    struct http_head head;

    assert_int_equal(feed_response(view_of(bytes), 1, HTTP_METHOD_GET, &feed_limits, &arena, &head),
                     HTTP_ERROR_NONE);
    return head;
}

static void a_plain_response_is_understood(void **state)
{
    struct http_head head = parsed("HTTP/1.1 200 OK\r\nServer: x\r\nContent-Length: 12\r\n\r\n");

    (void)state;
    assert_false(http_head_is_request(&head));
    assert_int_equal(head.version, HTTP_VERSION_1_1);
    assert_int_equal(head.status, 200);
    assert_true(view_eq(head.reason, VIEW("OK")));
    assert_int_equal(head.body, HTTP_BODY_LENGTH);
    assert_true(head.content_length == 12);
    assert_true(head.keep_alive);
    assert_int_equal(head.fields.n, 2);
}

static void reasons_may_be_anything_or_nothing(void **state)
{
    (void)state;
    assert_true(view_eq(parsed("HTTP/1.1 404 Not \t\xc3\xa4 Found\r\n\r\n").reason,
                        VIEW("Not \t\xc3\xa4 Found")));
    assert_int_equal(parsed("HTTP/1.1 599 \r\n\r\n").reason.len, 0);
    assert_int_equal(parsed("HTTP/1.1 599 \r\n\r\n").status, 599);
    assert_int_equal(parsed("HTTP/1.1 100\r\n\r\n").reason.len, 0);
}

static void every_truncation_waits_for_more_and_does_not_parse(void **state)
{
    static const char bytes[] = "HTTP/1.1 200 OK\r\nContent-Length: 12\r\nX: y\r\n\r\n";

    (void)state;
    for (size_t n = 0; n < sizeof(bytes) - 1; n++) {
        struct view cut = {bytes, n};
        char *copy = feed_copy(cut);
        struct http_head head;

        assert_int_equal(feed_response(cut, 1, HTTP_METHOD_GET, &feed_limits, &arena, &head),
                         FEED_INCOMPLETE);
        assert_int_equal(http1_parse_response((struct view){copy + 1, n}, HTTP_METHOD_GET,
                                              &feed_limits, &arena, &head),
                         HTTP_ERROR_UPSTREAM_BAD_RESPONSE);
        free(copy);
    }
}

struct body_case {
    enum http_method method;
    const char *bytes;
    enum http_body_kind body;
    bool keep_alive;
};

static void the_end_of_the_body_follows_rfc_9112_6_3(void **state)
{
    static const struct body_case cases[] = {
        {HTTP_METHOD_GET, "HTTP/1.1 200 \r\nContent-Length: 0\r\n\r\n", HTTP_BODY_LENGTH, true},
        {HTTP_METHOD_GET, "HTTP/1.1 200 \r\nTransfer-Encoding: CHUNKED\r\n\r\n", HTTP_BODY_UNSIZED,
         true},
        {HTTP_METHOD_GET, "HTTP/1.1 200 \r\nConnection: close\r\nContent-Length: 5\r\n\r\n",
         HTTP_BODY_LENGTH, false},
        {HTTP_METHOD_GET, "HTTP/1.1 200 \r\n\r\n", HTTP_BODY_TO_CLOSE, false},
        {HTTP_METHOD_GET, "HTTP/1.1 500 \r\nConnection: keep-alive\r\n\r\n", HTTP_BODY_TO_CLOSE,
         false},
        {HTTP_METHOD_GET, "HTTP/1.0 200 \r\n\r\n", HTTP_BODY_TO_CLOSE, false},
        {HTTP_METHOD_GET, "HTTP/1.0 200 \r\nContent-Length: 5\r\n\r\n", HTTP_BODY_LENGTH, false},
        {HTTP_METHOD_GET, "HTTP/1.0 200 \r\nContent-Length: 5\r\nConnection: keep-alive\r\n\r\n",
         HTTP_BODY_LENGTH, true},
        {HTTP_METHOD_HEAD, "HTTP/1.1 200 \r\nContent-Length: 5\r\n\r\n", HTTP_BODY_NONE, true},
        {HTTP_METHOD_HEAD, "HTTP/1.1 200 \r\nTransfer-Encoding: chunked\r\n\r\n", HTTP_BODY_NONE,
         true},
        {HTTP_METHOD_HEAD, "HTTP/1.1 404 \r\n\r\n", HTTP_BODY_NONE, true},
        {HTTP_METHOD_GET, "HTTP/1.1 304 \r\nContent-Length: 5\r\n\r\n", HTTP_BODY_NONE, true},
        {HTTP_METHOD_GET, "HTTP/1.1 304 \r\nTransfer-Encoding: chunked\r\n\r\n", HTTP_BODY_NONE,
         true},
        {HTTP_METHOD_GET, "HTTP/1.1 204 \r\n\r\n", HTTP_BODY_NONE, true},
        {HTTP_METHOD_GET, "HTTP/1.1 204 \r\nContent-Length: 0\r\n\r\n", HTTP_BODY_NONE, true},
        {HTTP_METHOD_GET, "HTTP/1.1 204 \r\nTransfer-Encoding: chunked\r\n\r\n", HTTP_BODY_NONE,
         false},
        {HTTP_METHOD_POST, "HTTP/1.1 100 Continue\r\n\r\n", HTTP_BODY_NONE, true},
        {HTTP_METHOD_GET, "HTTP/1.1 103 \r\nLink: </a>\r\n\r\n", HTTP_BODY_NONE, true},
        {HTTP_METHOD_GET,
         "HTTP/1.1 101 \r\nConnection: upgrade\r\nUpgrade: x\r\nContent-Length: 0\r\n\r\n",
         HTTP_BODY_TUNNEL, false},
        {HTTP_METHOD_CONNECT, "HTTP/1.1 200 \r\n\r\n", HTTP_BODY_TUNNEL, false},
        {HTTP_METHOD_CONNECT, "HTTP/1.1 403 \r\nContent-Length: 5\r\n\r\n", HTTP_BODY_LENGTH, true},
    };

    (void)state;
    for (size_t i = 0; i < SP_COUNT_OF(cases); i++) {
        struct http_head head;

        assert_int_equal(
            feed_response(view_of(cases[i].bytes), 5, cases[i].method, &feed_limits, &arena, &head),
            HTTP_ERROR_NONE);
        assert_int_equal(head.body, cases[i].body);
        assert_int_equal(head.keep_alive, cases[i].keep_alive);
    }
}

static void a_length_that_describes_no_body_stays_a_field(void **state)
{
    struct http_head head = parsed("HTTP/1.1 304 \r\nContent-Length: 5\r\n\r\n");

    (void)state;
    assert_true(
        view_eq(http_fields_get(&head.fields, HTTP_FIELD_CONTENT_LENGTH)->value, VIEW("5")));
    assert_true(head.content_length == 0);
}

/* Bytes may hold NUL. */
#define BAD(literal)                 \
    {                                \
        literal, sizeof(literal) - 1 \
    }
static const struct view bad_responses[] = {
    BAD("\r\nHTTP/1.1 200 OK\r\n\r\n"),
    BAD("HTTP/1.1 200 OK\n\n"),
    BAD("HTTP/1.1 200 OK\r\nA: b\n\r\n"),
    BAD("HTTP/1.1 200 O\rK\r\n\r\n"),
    BAD("HTTP/1.1 200 O\0K\r\n\r\n"),
    BAD("HTTP/1.1 200 O\x7fK\r\n\r\n"),
    BAD("HTTP/1.1 200OK\r\n\r\n"),
    BAD("HTTP/1.1 200\tOK\r\n\r\n"),
    BAD("HTTP/1.1 2000 OK\r\n\r\n"),
    BAD("HTTP/1.1 20 OK\r\n\r\n"),
    BAD("HTTP/1.1 20x OK\r\n\r\n"),
    BAD("HTTP/1.1 +20 OK\r\n\r\n"),
    BAD("HTTP/1.1 099 OK\r\n\r\n"),
    BAD("HTTP/1.1 600 OK\r\n\r\n"),
    BAD("HTTP/1.1 000 OK\r\n\r\n"),
    BAD("HTTP/1.1  200 OK\r\n\r\n"),
    BAD("HTTP/1.1 \r\n\r\n"),
    BAD("HTTP/1.1\r\n\r\n"),
    BAD("HTTP/1.2 200 OK\r\n\r\n"),
    BAD("HTTP/2.0 200 OK\r\n\r\n"),
    BAD("HTTP/11 200 OK\r\n\r\n"),
    BAD("http/1.1 200 OK\r\n\r\n"),
    BAD("ICY 200 OK\r\n\r\n"),
    BAD(" HTTP/1.1 200 OK\r\n\r\n"),
    BAD("HTTP/1.1 200 OK\r\n A: b\r\n\r\n"),
    BAD("HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n"),
    BAD("HTTP/1.1 200 OK\r\nA : b\r\n\r\n"),
    BAD("HTTP/1.1 200 OK\r\nA\r\n\r\n"),
    BAD("HTTP/1.1 200 OK\r\n: b\r\n\r\n"),
    BAD("HTTP/1.1 200 OK\r\nA: \0\r\n\r\n"),
    BAD("HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n"),
    BAD("HTTP/1.1 200 OK\r\nContent-Length:\r\n\r\n"),
    BAD("HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n"),
    BAD("HTTP/1.1 200 OK\r\nContent-Length: 9223372036854775808\r\n\r\n"),
    BAD("HTTP/1.1 200 OK\r\nContent-Length: 5, 5\r\n\r\n"),
    BAD("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\n"),
    BAD("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n"),
    BAD("HTTP/1.1 304 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n"),
    BAD("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n"),
    BAD("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n"),
    BAD("HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\n\r\n"),
    BAD("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n"),
    BAD("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"),
    BAD("HTTP/1.1 204 OK\r\nContent-Length: 5\r\n\r\n"),
    BAD("HTTP/1.1 100 OK\r\nContent-Length: 5\r\n\r\n"),
    BAD("HTTP/1.1 101 OK\r\nContent-Length: 5\r\n\r\n"),
    BAD("HTTP/1.1 103 OK\r\nTransfer-Encoding: chunked\r\n\r\n"),
    BAD("HTTP/1.1 101 OK\r\nTransfer-Encoding: chunked\r\n\r\n"),
};

static void malformed_responses_are_refused(void **state)
{
    struct http_head head;

    (void)state;
    for (size_t i = 0; i < SP_COUNT_OF(bad_responses); i++) {
        for (size_t step = 1; step < 100; step += 98)
            assert_int_equal(
                feed_response(bad_responses[i], step, HTTP_METHOD_GET, &feed_limits, &arena, &head),
                HTTP_ERROR_UPSTREAM_BAD_RESPONSE);
        assert_int_equal(
            http1_parse_response(bad_responses[i], HTTP_METHOD_GET, &feed_limits, &arena, &head),
            HTTP_ERROR_UPSTREAM_BAD_RESPONSE);
    }
}

static void limits_are_answered_as_too_large(void **state)
{
    struct view bytes = VIEW("HTTP/1.1 200 OK\r\nA: b\r\nC: d\r\n\r\n");
    struct http1_limits limits = {.max_head_bytes = (uint32_t)bytes.len, .max_fields = 2};
    struct http_head head;

    (void)state;
    assert_int_equal(feed_response(bytes, 1, HTTP_METHOD_GET, &limits, &arena, &head),
                     HTTP_ERROR_NONE);
    limits.max_fields = 1;
    assert_int_equal(feed_response(bytes, 1, HTTP_METHOD_GET, &limits, &arena, &head),
                     HTTP_ERROR_UPSTREAM_HEAD_TOO_LARGE);
    limits.max_fields = 2;
    limits.max_head_bytes--;
    assert_int_equal(feed_response(bytes, 1, HTTP_METHOD_GET, &limits, &arena, &head),
                     HTTP_ERROR_UPSTREAM_HEAD_TOO_LARGE);
    assert_int_equal(http1_parse_response(bytes, HTTP_METHOD_GET, &limits, &arena, &head),
                     HTTP_ERROR_UPSTREAM_HEAD_TOO_LARGE);
    limits.max_head_bytes = 10;
    assert_int_equal(feed_response(bytes, 1, HTTP_METHOD_GET, &limits, &arena, &head),
                     HTTP_ERROR_UPSTREAM_HEAD_TOO_LARGE);
}

static void an_error_told_twice_is_the_same(void **state)
{
    (void)state;
    for (unsigned e = 0; e < HTTP_ERROR_COUNT; e++) {
        enum http_error once = http1_upstream_error((enum http_error)e);

        assert_int_equal(http1_upstream_error(once), once);
    }
    assert_int_equal(http1_upstream_error(HTTP_ERROR_NONE), HTTP_ERROR_NONE);
    assert_int_equal(http1_upstream_error(HTTP_ERROR_NOMEM), HTTP_ERROR_NOMEM);
    assert_int_equal(http1_upstream_error(HTTP_ERROR_OBS_FOLD), HTTP_ERROR_UPSTREAM_BAD_RESPONSE);
}

static void out_of_memory_is_said_as_such(void **state)
{
    struct http_head head;
    enum http_error error;

    (void)state;
    failing_alloc_arm(0);
    error = http1_parse_response(VIEW("HTTP/1.1 200 OK\r\nA: b\r\n\r\n"), HTTP_METHOD_GET,
                                 &feed_limits, &arena, &head);
    assert_true(failing_alloc_hit());
    assert_int_equal(error, HTTP_ERROR_NOMEM);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, arena_setup, arena_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_plain_response_is_understood),
        TEST(reasons_may_be_anything_or_nothing),
        TEST(every_truncation_waits_for_more_and_does_not_parse),
        TEST(the_end_of_the_body_follows_rfc_9112_6_3),
        TEST(a_length_that_describes_no_body_stays_a_field),
        TEST(malformed_responses_are_refused),
        TEST(limits_are_answered_as_too_large),
        TEST(an_error_told_twice_is_the_same),
        TEST(out_of_memory_is_said_as_such),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
