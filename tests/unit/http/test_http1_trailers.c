/* Trailer sections: which fields may come late. */
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

static void trailers_without_a_say_in_the_request_pass(void **state)
{
    struct http_fields fields;

    (void)state;
    assert_int_equal(http1_parse_trailers(VIEW("X-Checksum: 1\r\ngrpc-status: 0\r\n\r\n"),
                                          &feed_limits, true, &arena, &fields),
                     HTTP_ERROR_NONE);
    assert_int_equal(fields.n, 2);
    assert_true(view_eq(fields.v[1].name, VIEW("grpc-status")));
    assert_true(view_eq(fields.v[1].value, VIEW("0")));
}

static void no_trailers_are_no_fields(void **state)
{
    struct http_fields fields;

    (void)state;
    assert_int_equal(http1_parse_trailers(VIEW("\r\n"), &feed_limits, true, &arena, &fields),
                     HTTP_ERROR_NONE);
    assert_int_equal(fields.n, 0);
}

static void fields_that_come_too_late_are_refused_or_left_out(void **state)
{
    static const char *const names[] = {
        "Content-Length",
        "transfer-encoding",
        "HOST",
        "Connection",
        "Trailer",
        "Authorization",
        "Cookie",
        "Set-Cookie",
        "Upgrade",
        "TE",
        "Expect",
        "X-Forwarded-For",
        "Forwarded",
        "Client-Cert",
        "client-cert-chain",
        "X-Client-Cert-Verified",
        "Client_Cert",
        "X_Forwarded_For",
        "Via",
        "Early-Data",
        "Content-Type",
        "Content-Encoding",
        "Content-Range",
        "WWW-Authenticate",
        "Range",
    };

    (void)state;
    for (size_t i = 0; i < SP_COUNT_OF(names); i++) {
        struct view section = arena_printf(&arena, "A: b\r\n%s: 1\r\nC: d\r\n\r\n", names[i]);
        struct http_fields fields;

        assert_int_equal(http1_parse_trailers(section, &feed_limits, true, &arena, &fields),
                         HTTP_ERROR_BAD_TRAILER);
        assert_int_equal(http1_parse_trailers(section, &feed_limits, false, &arena, &fields),
                         HTTP_ERROR_NONE);
        assert_int_equal(fields.n, 2);
        assert_true(view_eq(fields.v[1].name, VIEW("C")));
        assert_int_equal(fields.present & ~UINT64_C(1), 0);
    }
}

static void malformed_trailers_are_refused(void **state)
{
    static const struct {
        enum http_error error;
        struct view section;
    } bad[] = {
        {HTTP_ERROR_BAD_TRAILER, {"A : b\r\n\r\n", 9}},
        {HTTP_ERROR_BAD_TRAILER, {"A\r\n\r\n", 5}},
        {HTTP_ERROR_BAD_TRAILER, {": b\r\n\r\n", 7}},
        {HTTP_ERROR_BAD_TRAILER, {" A: b\r\n\r\n", 9}},
        {HTTP_ERROR_BAD_TRAILER, {"A: b\r\n c\r\n\r\n", 12}},
        {HTTP_ERROR_BAD_TRAILER, {"A: \0\r\n\r\n", 8}},
        {HTTP_ERROR_BAD_LINE_END, {"A: b\n\r\n", 7}},
        {HTTP_ERROR_BAD_LINE_END, {"A: b\r\n", 6}},
        {HTTP_ERROR_BAD_LINE_END, {"\r\n\r\n", 4}},
        {HTTP_ERROR_BAD_LINE_END, {"", 0}},
    };

    (void)state;
    for (size_t i = 0; i < SP_COUNT_OF(bad); i++) {
        struct http_fields fields;

        assert_int_equal(http1_parse_trailers(bad[i].section, &feed_limits, true, &arena, &fields),
                         bad[i].error);
        assert_int_equal(http1_parse_trailers(bad[i].section, &feed_limits, false, &arena, &fields),
                         HTTP_ERROR_UPSTREAM_BAD_RESPONSE);
    }
}

static void trailers_have_limits(void **state)
{
    struct view section = VIEW("A: b\r\nC: d\r\n\r\n");
    struct http1_limits limits = {.max_fields = 2, .max_trailer_bytes = (uint32_t)section.len};
    struct http_fields fields;

    (void)state;
    assert_int_equal(http1_parse_trailers(section, &limits, true, &arena, &fields),
                     HTTP_ERROR_NONE);
    limits.max_fields = 1;
    assert_int_equal(http1_parse_trailers(section, &limits, true, &arena, &fields),
                     HTTP_ERROR_TOO_MANY_FIELDS);
    limits.max_trailer_bytes--;
    assert_int_equal(http1_parse_trailers(section, &limits, true, &arena, &fields),
                     HTTP_ERROR_HEAD_TOO_LARGE);
    assert_int_equal(http1_parse_trailers(section, &limits, false, &arena, &fields),
                     HTTP_ERROR_UPSTREAM_HEAD_TOO_LARGE);
}

static void out_of_memory_is_said_as_such(void **state)
{
    struct http_fields fields;
    enum http_error error;

    (void)state;
    failing_alloc_arm(0);
    error = http1_parse_trailers(VIEW("A: b\r\n\r\n"), &feed_limits, false, &arena, &fields);
    assert_true(failing_alloc_hit());
    assert_int_equal(error, HTTP_ERROR_NOMEM);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, arena_setup, arena_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(trailers_without_a_say_in_the_request_pass),
        TEST(no_trailers_are_no_fields),
        TEST(fields_that_come_too_late_are_refused_or_left_out),
        TEST(malformed_trailers_are_refused),
        TEST(trailers_have_limits),
        TEST(out_of_memory_is_said_as_such),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
