/* Where heads and trailer sections end, however their bytes arrive. */
#include "http1_feed.h"
#include "unit_test.h"

#define HEAD "GET / HTTP/1.1\r\nHost: a\r\nX:\ty\t\r\n\r\n"

static void a_head_ends_with_its_empty_line(void **state)
{
    (void)state;
    for (size_t step = 1; step < sizeof(HEAD) + 4; step++) {
        size_t len = 0;

        assert_int_equal(feed_scan(http1_head_scan, VIEW(HEAD "body"), step, &feed_limits, &len),
                         HTTP_ERROR_NONE);
        assert_int_equal(len, sizeof(HEAD) - 1);
    }
}

static void bytes_that_were_seen_are_not_read_again(void **state)
{
    char bytes[] = HEAD;
    struct http1_head_scan scan = {0};
    enum http_error error = HTTP_ERROR_NONE;
    size_t len = 0;

    (void)state;
    for (size_t n = 1; n < sizeof(bytes) - 1; n++) {
        assert_int_equal(
            http1_head_scan(&scan, (struct view){bytes, n}, &feed_limits, &len, &error),
            HTTP1_SCAN_MORE);
        assert_in_range(scan.seen, n - 1, n); /* a CR waits for what follows */
        memset(bytes, '\0', scan.seen);
    }
    assert_int_equal(
        http1_head_scan(&scan, (struct view){bytes, sizeof(bytes) - 1}, &feed_limits, &len, &error),
        HTTP1_SCAN_DONE);
}

static void empty_lines_are_skipped_in_pairs_of_bytes(void **state)
{
    (void)state;
    assert_int_equal(http1_skip_empty_lines(VIEW("")), 0);
    assert_int_equal(http1_skip_empty_lines(VIEW("\r")), 0);
    assert_int_equal(http1_skip_empty_lines(VIEW("\n\n")), 0);
    assert_int_equal(http1_skip_empty_lines(VIEW("\r\n")), 2);
    assert_int_equal(http1_skip_empty_lines(VIEW("\r\n\r")), 2);
    assert_int_equal(http1_skip_empty_lines(VIEW("\r\n\r\nG")), 4);
    assert_int_equal(http1_skip_empty_lines(VIEW("\r\n\r\n\r\n")), 4);
    assert_int_equal(http1_skip_empty_lines(VIEW("G\r\n")), 0);
}

static void a_cr_alone_may_become_an_empty_line(void **state)
{
    struct http1_head_scan scan = {0};
    enum http_error error = HTTP_ERROR_NONE;
    size_t len = 0;

    (void)state;
    assert_int_equal(http1_head_scan(&scan, VIEW("\r"), &feed_limits, &len, &error),
                     HTTP1_SCAN_MORE);
    assert_int_equal(scan.seen, 0);
    assert_int_equal(http1_head_scan(&scan, VIEW("\r\n"), &feed_limits, &len, &error),
                     HTTP1_SCAN_ERROR);
    assert_int_equal(error, HTTP_ERROR_BAD_REQUEST_LINE);
}

static void a_trailer_section_may_be_an_empty_line_alone(void **state)
{
    size_t len = 0;

    (void)state;
    assert_int_equal(feed_scan(http1_trailers_scan, VIEW("\r\nGET"), 1, &feed_limits, &len),
                     HTTP_ERROR_NONE);
    assert_int_equal(len, 2);
    assert_int_equal(feed_scan(http1_trailers_scan, VIEW("A: b\r\n\r\nGET"), 1, &feed_limits, &len),
                     HTTP_ERROR_NONE);
    assert_int_equal(len, 8);
}

static void malformed_trailer_sections_are_refused_early(void **state)
{
    static const struct {
        enum http_error error;
        struct view bytes;
    } bad[] = {
        {HTTP_ERROR_BAD_LINE_END, {"\n", 1}},     {HTTP_ERROR_BAD_LINE_END, {"\rA", 2}},
        {HTTP_ERROR_BAD_LINE_END, {"A: b\n", 5}}, {HTTP_ERROR_BAD_LINE_END, {"A: b\r\n\rG", 8}},
        {HTTP_ERROR_BAD_TRAILER, {"A\0", 2}},     {HTTP_ERROR_BAD_TRAILER, {"A: b\r\nB: \x01", 10}},
    };

    (void)state;
    for (size_t i = 0; i < SP_COUNT_OF(bad); i++) {
        struct view cut = view_head(bad[i].bytes, bad[i].bytes.len - 1);
        size_t len = 0;

        assert_int_equal(feed_scan(http1_trailers_scan, bad[i].bytes, 1, &feed_limits, &len),
                         bad[i].error);
        assert_int_equal(feed_scan(http1_trailers_scan, bad[i].bytes, 99, &feed_limits, &len),
                         bad[i].error);
        if (cut.len > 0)
            assert_int_equal(feed_scan(http1_trailers_scan, cut, 1, &feed_limits, &len),
                             FEED_INCOMPLETE);
    }
}

static void sections_end_within_their_limit_or_are_too_large(void **state)
{
    struct http1_limits limits = {.max_head_bytes = sizeof(HEAD) - 1, .max_trailer_bytes = 8};
    size_t len = 0;

    (void)state;
    for (size_t step = 1; step < 50; step++) {
        limits.max_head_bytes = sizeof(HEAD) - 1;
        limits.max_trailer_bytes = 8;
        assert_int_equal(feed_scan(http1_head_scan, VIEW(HEAD), step, &limits, &len),
                         HTTP_ERROR_NONE);
        assert_int_equal(feed_scan(http1_trailers_scan, VIEW("A: b\r\n\r\n"), step, &limits, &len),
                         HTTP_ERROR_NONE);
        limits.max_head_bytes--;
        limits.max_trailer_bytes--;
        assert_int_equal(feed_scan(http1_head_scan, VIEW(HEAD), step, &limits, &len),
                         HTTP_ERROR_HEAD_TOO_LARGE);
        assert_int_equal(feed_scan(http1_trailers_scan, VIEW("A: b\r\n\r\n"), step, &limits, &len),
                         HTTP_ERROR_HEAD_TOO_LARGE);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_head_ends_with_its_empty_line),
        cmocka_unit_test(bytes_that_were_seen_are_not_read_again),
        cmocka_unit_test(empty_lines_are_skipped_in_pairs_of_bytes),
        cmocka_unit_test(a_cr_alone_may_become_an_empty_line),
        cmocka_unit_test(a_trailer_section_may_be_an_empty_line_alone),
        cmocka_unit_test(malformed_trailer_sections_are_refused_early),
        cmocka_unit_test(sections_end_within_their_limit_or_are_too_large),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
