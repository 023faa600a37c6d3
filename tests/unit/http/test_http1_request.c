/* Request heads that are understood, and what is understood; refusals are in
 * test_http1_request_refusals.c. */
#include "failing_alloc.h"
#include "http1_feed.h"
#include "unit_test.h"

#define BROWSER_REQUEST                                                                      \
    "GET /shop/list?page=2&sort=price HTTP/1.1\r\n"                                          \
    "Host: shop.example.com\r\n"                                                             \
    "User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0\r\n" \
    "Accept: text/html,application/xhtml+xml;q=0.9,*/*;q=0.8\r\n"                            \
    "Accept-Encoding: gzip, deflate, br\r\n"                                                 \
    "Cookie: session=0123456789abcdef; theme=dark\r\n"                                       \
    "Connection: keep-alive\r\n"                                                             \
    "\r\n"

#define assert_view(actual, expected)                           \
    do {                                                        \
        struct view got_ = (actual), want_ = view_of(expected); \
        assert_int_equal(got_.len, want_.len);                  \
        assert_memory_equal(got_.p, want_.p, want_.len);        \
    } while (0)

/* The arena of the running test; teardown ends it. */
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

static struct http_head parsed(const char *bytes)
{
    struct http_head head;

    assert_int_equal(feed_request(view_of(bytes), SIZE_MAX, &feed_limits, &arena, &head),
                     HTTP_ERROR_NONE);
    return head;
}

static void a_browser_request_is_understood(void **state)
{
    struct http_head head = parsed(BROWSER_REQUEST);
    const struct http_field *cookie = http_fields_get(&head.fields, HTTP_FIELD_COOKIE);

    (void)state;
    assert_true(http_head_is_request(&head));
    assert_int_equal(head.version, HTTP_VERSION_1_1);
    assert_int_equal(head.method, HTTP_METHOD_GET);
    assert_view(head.method_text, "GET");
    assert_view(head.authority, "shop.example.com");
    assert_view(head.path, "/shop/list?page=2&sort=price");
    assert_int_equal(head.scheme.len, 0);
    assert_int_equal(head.body, HTTP_BODY_NONE);
    assert_true(head.keep_alive);
    assert_int_equal(head.fields.n, 6);
    assert_view(cookie->name, "Cookie");
    assert_view(cookie->value, "session=0123456789abcdef; theme=dark");
}

static void one_byte_at_a_time_gives_the_same_head(void **state)
{
    struct http_head whole = parsed(BROWSER_REQUEST), pieces;

    (void)state;
    assert_int_equal(feed_request(VIEW(BROWSER_REQUEST), 1, &feed_limits, &arena, &pieces),
                     HTTP_ERROR_NONE);
    assert_int_equal(pieces.fields.n, whole.fields.n);
    for (uint32_t i = 0; i < whole.fields.n; i++) {
        assert_true(view_eq(pieces.fields.v[i].name, whole.fields.v[i].name));
        assert_true(view_eq(pieces.fields.v[i].value, whole.fields.v[i].value));
    }
}

static void every_truncation_waits_for_more_and_does_not_parse(void **state)
{
    (void)state;
    for (size_t n = 0; n < sizeof(BROWSER_REQUEST) - 1; n++) {
        struct view cut = {BROWSER_REQUEST, n};
        char *copy = feed_copy(cut);
        struct http_head head;

        assert_int_equal(feed_request(cut, 1, &feed_limits, &arena, &head), FEED_INCOMPLETE);
        assert_int_not_equal(
            http1_parse_request((struct view){copy + 1, n}, &feed_limits, &arena, &head),
            HTTP_ERROR_NONE);
        free(copy);
    }
}

static void nothing_at_all_is_no_request(void **state)
{
    struct http_head head;

    (void)state;
    assert_int_not_equal(http1_parse_request((struct view){NULL, 0}, &feed_limits, &arena, &head),
                         HTTP_ERROR_NONE);
}

static void two_empty_lines_in_front_are_skipped(void **state)
{
    struct http_head head = parsed("\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n");

    (void)state;
    assert_view(head.path, "/");
}

static void bytes_behind_the_head_stay_where_they_are(void **state)
{
    struct view bytes = VIEW("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabcGET /");
    struct http1_head_scan scan = {0};
    enum http_error error = HTTP_ERROR_NONE;
    size_t len = 0;

    (void)state;
    assert_int_equal(http1_head_scan(&scan, bytes, &feed_limits, &len, &error), HTTP1_SCAN_DONE);
    assert_int_equal(len, bytes.len - 8);
}

static void http_1_0_closes_unless_asked_and_needs_no_host(void **state)
{
    struct http_head head = parsed("GET / HTTP/1.0\r\n\r\n");

    (void)state;
    assert_int_equal(head.version, HTTP_VERSION_1_0);
    assert_false(head.keep_alive);
    assert_int_equal(head.authority.len, 0);
    assert_true(parsed("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n").keep_alive);
}

static void close_among_the_connection_options_ends_the_connection(void **state)
{
    (void)state;
    assert_false(parsed("GET / HTTP/1.1\r\nHost: a\r\nConnection: Close\r\n\r\n").keep_alive);
    assert_false(parsed("GET / HTTP/1.1\r\nHost: a\r\nConnection: x, ,close\r\n\r\n").keep_alive);
    assert_false(
        parsed("GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive\r\nconnection: close\r\n\r\n")
            .keep_alive);
    assert_true(parsed("GET / HTTP/1.1\r\nHost: a\r\nConnection: closed\r\n\r\n").keep_alive);
}

static void content_length_is_the_body(void **state)
{
    struct http_head head =
        parsed("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9223372036854775807\r\n\r\n");

    (void)state;
    assert_int_equal(head.body, HTTP_BODY_LENGTH);
    assert_true(head.content_length == INT64_MAX);
    head = parsed("POST / HTTP/1.1\r\nHost: a\r\ncontent-length:0\r\n\r\n");
    assert_int_equal(head.body, HTTP_BODY_LENGTH);
    assert_true(head.content_length == 0);
}

static void chunked_is_a_body_of_unknown_size(void **state)
{
    struct http_head head =
        parsed("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\n\r\n");

    (void)state;
    assert_int_equal(head.body, HTTP_BODY_UNSIZED);
}

static void absolute_form_gives_scheme_authority_and_path(void **state)
{
    struct http_head head =
        parsed("GET HTTPS://Shop.example:8443/a?b HTTP/1.1\r\nHost: shop.example:8443\r\n\r\n");

    (void)state;
    assert_view(head.scheme, "https");
    assert_view(head.authority, "shop.example:8443");
    assert_view(head.path, "/a?b");
}

static void absolute_form_without_path_gets_one(void **state)
{
    (void)state;
    assert_view(parsed("GET http://a HTTP/1.1\r\nHost: a\r\n\r\n").path, "/");
    assert_view(parsed("GET http://a?q HTTP/1.1\r\nHost: a\r\n\r\n").path, "/?q");
    assert_view(parsed("OPTIONS http://a HTTP/1.1\r\nHost: a\r\n\r\n").path, "*");
    assert_view(parsed("OPTIONS http://a/ HTTP/1.1\r\nHost: a\r\n\r\n").path, "/");
}

static void options_may_ask_about_the_server_itself(void **state)
{
    struct http_head head = parsed("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n");

    (void)state;
    assert_int_equal(head.method, HTTP_METHOD_OPTIONS);
    assert_view(head.path, "*");
}

static void what_browsers_leave_unescaped_passes(void **state)
{
    struct http_head head =
        parsed("GET /a|b^c{d}[e]'`%zz?q=\"x\"<y>\\|{}^`?/ HTTP/1.1\r\nHost: a\r\n\r\n");

    (void)state;
    assert_view(head.path, "/a|b^c{d}[e]'`%zz?q=\"x\"<y>\\|{}^`?/");
}

static void unknown_methods_pass_by_their_text(void **state)
{
    struct http_head head = parsed("PROPFIND / HTTP/1.1\r\nHost: a\r\n\r\n");

    (void)state;
    assert_int_equal(head.method, HTTP_METHOD_OTHER);
    assert_view(head.method_text, "PROPFIND");
    head = parsed("A234567890123456789012345678901b / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_int_equal(head.method_text.len, 32);
    /* RFC 9110 9.1: methods are case-sensitive. */
    assert_int_equal(parsed("get / HTTP/1.1\r\nHost: a\r\n\r\n").method, HTTP_METHOD_OTHER);
}

static void values_are_trimmed_and_may_be_empty(void **state)
{
    struct http_head head =
        parsed("GET / HTTP/1.1\r\nHost:a\r\nA:\r\nB: \t \r\nC:\t c\t d \t\r\nD: \x80\xff\r\n\r\n");

    (void)state;
    assert_view(head.fields.v[1].value, "");
    assert_view(head.fields.v[2].value, "");
    assert_view(head.fields.v[3].value, "c\t d");
    assert_view(head.fields.v[4].value, "\x80\xff");
}

static void websocket_upgrade_asks_for_a_tunnel(void **state)
{
    struct http_head head = parsed("GET /chat HTTP/1.1\r\nHost: a\r\n"
                                   "Connection: keep-alive, Upgrade\r\nUpgrade: WebSocket, x/1\r\n"
                                   "Sec-WebSocket-Version: 13\r\n\r\n");

    (void)state;
    assert_view(head.protocol, "WebSocket");
    assert_true(head.keep_alive);
    head = parsed("GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: chat/2.0\r\n\r\n");
    assert_view(head.protocol, "chat/2.0");
}

static void upgrades_that_do_not_apply_are_ignored(void **state)
{
    static const char *const requests[] = {
        "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\n\r\n",
        "GET / HTTP/1.0\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: H2C, websocket\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: HTTP/2.0\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: TLS/1.2\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n"
        "Content-Length: 1\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n"
        "Transfer-Encoding: chunked\r\n\r\n",
    };

    (void)state;
    for (size_t i = 0; i < SP_COUNT_OF(requests); i++)
        assert_int_equal(parsed(requests[i]).protocol.len, 0);
}

static void expect_continue_needs_http_1_1_and_content(void **state)
{
    (void)state;
    assert_true(parsed("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n"
                       "Expect: 100-Continue\r\n\r\n")
                    .expect_continue);
    assert_false(parsed("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n"
                        "Expect: 100-continue\r\n\r\n")
                     .expect_continue);
    assert_false(
        parsed("PUT / HTTP/1.0\r\nContent-Length: 5\r\nExpect: fireworks\r\n\r\n").expect_continue);
}

static void hosts_of_every_kind_are_valid(void **state)
{
    static const char *const hosts[] = {
        "a",
        "a.b-c.d_e~",
        "example.com.",
        "EXAMPLE.com:443",
        "192.0.2.1",
        "192.0.2.1:8090",
        "[::1]",
        "[2001:db8::1]:65535",
        "xn--tst-qla",
        "localhost:0",
        "[::ffff:192.0.2.1]:443",
    };

    (void)state;
    for (size_t i = 0; i < SP_COUNT_OF(hosts); i++) {
        struct view bytes = arena_printf(&arena, "GET / HTTP/1.1\r\nHost: %s\r\n\r\n", hosts[i]);

        assert_view(parsed(bytes.p).authority, hosts[i]);
    }
}

static void limits_are_met_exactly(void **state)
{
    struct view bytes = VIEW("GET /12 HTTP/1.1\r\nHost: a\r\nA: b\r\n\r\n");
    struct http1_limits limits = {
        .max_head_bytes = (uint32_t)bytes.len, .max_target_bytes = 3, .max_fields = 2};
    struct http_head head;

    (void)state;
    assert_int_equal(feed_request(bytes, 1, &limits, &arena, &head), HTTP_ERROR_NONE);
    limits.max_head_bytes--;
    assert_int_equal(feed_request(bytes, 1, &limits, &arena, &head), HTTP_ERROR_HEAD_TOO_LARGE);
    assert_int_equal(feed_request(bytes, 99, &limits, &arena, &head), HTTP_ERROR_HEAD_TOO_LARGE);
    assert_int_equal(http1_parse_request(bytes, &limits, &arena, &head), HTTP_ERROR_HEAD_TOO_LARGE);
    limits.max_head_bytes++;
    limits.max_target_bytes--;
    assert_int_equal(feed_request(bytes, 99, &limits, &arena, &head), HTTP_ERROR_URI_TOO_LONG);
    limits.max_target_bytes++;
    limits.max_fields--;
    assert_int_equal(feed_request(bytes, 99, &limits, &arena, &head), HTTP_ERROR_TOO_MANY_FIELDS);
}

static void many_fields_grow_the_array(void **state)
{
    struct http1_limits limits = {
        .max_head_bytes = 64 * 1024, .max_target_bytes = 9, .max_fields = 1000};
    struct view bytes = arena_printf(&arena, "GET / HTTP/1.1\r\nHost: a\r\n");
    struct http_head head;

    (void)state;
    for (unsigned i = 0; i < 99; i++)
        bytes = arena_printf(&arena, VIEW_FMT "N%u: %u\r\n", VIEW_ARG(bytes), i, i);
    bytes = arena_printf(&arena, VIEW_FMT "\r\n", VIEW_ARG(bytes));
    assert_int_equal(feed_request(bytes, 4096, &limits, &arena, &head), HTTP_ERROR_NONE);
    assert_int_equal(head.fields.n, 100);
    assert_view(head.fields.v[99].name, "N98");
    assert_view(head.fields.v[99].value, "98");
}

static void parsing_survives_each_failed_allocation(void **state)
{
    /* Absolute-form without path and a field array that grows: every allocation that there is. */
    struct view bytes = VIEW("GET http://a?q HTTP/1.1\r\nHost: a\r\n"
                             "A:\r\nA:\r\nA:\r\nA:\r\nA:\r\nA:\r\nA:\r\nA:\r\nA:\r\nA:\r\n"
                             "A:\r\nA:\r\nA:\r\nA:\r\nA:\r\nA:\r\nA:\r\nA:\r\n\r\n");

    (void)state;
    for (unsigned nth = 0;; nth++) {
        struct arena own;
        struct http_head head;
        enum http_error error;

        arena_init(&own);
        failing_alloc_arm(nth);
        error = http1_parse_request(bytes, &feed_limits, &own, &head);
        arena_fini(&own);
        assert_int_equal(failing_alloc_live(), 0);
        if (!failing_alloc_hit()) {
            assert_int_equal(error, HTTP_ERROR_NONE);
            assert_true(nth >= 2);
            return;
        }
        assert_int_equal(error, HTTP_ERROR_NOMEM);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, arena_setup, arena_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_browser_request_is_understood),
        TEST(one_byte_at_a_time_gives_the_same_head),
        TEST(every_truncation_waits_for_more_and_does_not_parse),
        TEST(nothing_at_all_is_no_request),
        TEST(two_empty_lines_in_front_are_skipped),
        TEST(bytes_behind_the_head_stay_where_they_are),
        TEST(http_1_0_closes_unless_asked_and_needs_no_host),
        TEST(close_among_the_connection_options_ends_the_connection),
        TEST(content_length_is_the_body),
        TEST(chunked_is_a_body_of_unknown_size),
        TEST(absolute_form_gives_scheme_authority_and_path),
        TEST(absolute_form_without_path_gets_one),
        TEST(options_may_ask_about_the_server_itself),
        TEST(what_browsers_leave_unescaped_passes),
        TEST(unknown_methods_pass_by_their_text),
        TEST(values_are_trimmed_and_may_be_empty),
        TEST(websocket_upgrade_asks_for_a_tunnel),
        TEST(upgrades_that_do_not_apply_are_ignored),
        TEST(expect_continue_needs_http_1_1_and_content),
        TEST(hosts_of_every_kind_are_valid),
        TEST(limits_are_met_exactly),
        TEST(many_fields_grow_the_array),
        TEST(parsing_survives_each_failed_allocation),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
