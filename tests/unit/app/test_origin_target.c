/* What a target says to the origin. */
#include "origin_target.h"
#include "unit_test.h"

static void expect_parts(const char *path, const char *page, const char *argument,
                         const char *query)
{
    struct origin_target t = origin_target_of(view_of(path));

    assert_true(view_eq(t.page, view_of(page)));
    assert_true(view_eq(t.argument, view_of(argument)));
    assert_true(view_eq(t.query, view_of(query)));
}

static void a_target_is_page_argument_and_query(void **state)
{
    (void)state;
    expect_parts("/", "", "", "");
    expect_parts("*", "*", "", "");
    expect_parts("/bytes/10", "bytes", "10", "");
    expect_parts("/bytes/10?a=b?c", "bytes", "10", "a=b?c");
    expect_parts("/bytes?x", "bytes", "", "x");
    expect_parts("/a/b/c", "a", "b/c", "");
    expect_parts("/?x=1", "", "", "x=1");
}

static uint64_t number(const char *text)
{
    uint64_t n = UINT64_MAX;

    (void)origin_number(view_of(text), UINT64_C(1) << 40, &n);
    return n;
}

static void a_number_has_digits_and_perhaps_a_unit(void **state)
{
    (void)state;
    assert_int_equal(number("0"), 0);
    assert_int_equal(number("1099511627776"), UINT64_C(1) << 40);
    assert_int_equal(number("64k"), 65536);
    assert_int_equal(number("3m"), 3 * 1024 * 1024);
    assert_int_equal(number("1024g"), UINT64_C(1) << 40);
}

static void what_is_no_number_or_too_large_is_refused(void **state)
{
    const char *const wrong[] = {"",      "k",
                                 "-1",    "1x",
                                 "1 ",    "1099511627777",
                                 "1025g", "0x1",
                                 "1kk",   "99999999999999999999999"};

    (void)state;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        assert_int_equal(number(wrong[i]), UINT64_MAX);
}

static void a_query_is_asked_by_name(void **state)
{
    struct origin_target t = origin_target_of(VIEW("/slow/9?ms=5&early=1&empty&m=2&ms=7"));

    (void)state;
    assert_int_equal(origin_query_number(&t, VIEW("ms"), 100, 1), 5);
    assert_int_equal(origin_query_number(&t, VIEW("m"), 100, 1), 2);
    assert_int_equal(origin_query_number(&t, VIEW("none"), 100, 1), 1);
    assert_int_equal(origin_query_number(&t, VIEW("ms"), 4, 1), 1);
    assert_true(origin_query_flag(&t, VIEW("early")));
    assert_false(origin_query_flag(&t, VIEW("empty")));
    assert_non_null(origin_query(&t, VIEW("empty")).p);
    assert_null(origin_query(&t, VIEW("e")).p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_target_is_page_argument_and_query),
        cmocka_unit_test(a_number_has_digits_and_perhaps_a_unit),
        cmocka_unit_test(what_is_no_number_or_too_large_is_refused),
        cmocka_unit_test(a_query_is_asked_by_name),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
