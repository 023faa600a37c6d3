/* Borrowed bytes, the empty and the NULL ones above all. */
#include "unit_test.h"

#include <sallyport/base/view.h>

static const struct view none = {NULL, 0};

static void equal_is_bytes_and_length(void **state)
{
    (void)state;
    assert_true(view_eq(VIEW("abc"), view_of("abc")));
    assert_false(view_eq(VIEW("abc"), VIEW("abd")));
    assert_false(view_eq(VIEW("abc"), VIEW("ab")));
    assert_false(view_eq(VIEW("a\0b"), VIEW("a\0c")));
    assert_true(view_eq(none, VIEW("")));
    assert_true(view_eq(view_of(NULL), none));
}

static void case_is_ignored_only_on_request(void **state)
{
    (void)state;
    assert_true(view_eq_nocase(VIEW("Content-Length"), VIEW("content-length")));
    assert_false(view_eq_nocase(VIEW("a-b"), VIEW("a_b")));
    assert_false(view_eq(VIEW("A"), VIEW("a")));
    assert_true(view_eq_nocase(none, none));
}

static void everything_starts_with_nothing(void **state)
{
    (void)state;
    assert_true(view_starts_with(VIEW("unix:/a"), VIEW("unix:")));
    assert_true(view_starts_with(VIEW("abc"), none));
    assert_true(view_starts_with(none, none));
    assert_false(view_starts_with(VIEW("ab"), VIEW("abc")));
    assert_false(view_starts_with(none, VIEW("a")));
}

static void parts_never_leave_the_whole(void **state)
{
    (void)state;
    assert_true(view_eq(view_from(VIEW("abc"), 1), VIEW("bc")));
    assert_int_equal(view_from(VIEW("abc"), 3).len, 0);
    assert_int_equal(view_from(VIEW("abc"), SIZE_MAX).len, 0);
    assert_true(view_eq(view_head(VIEW("abc"), 2), VIEW("ab")));
    assert_true(view_eq(view_head(VIEW("abc"), 9), VIEW("abc")));
    assert_int_equal(view_head(none, 9).len, 0);
}

static void order_is_that_of_the_bytes(void **state)
{
    (void)state;
    assert_true(view_compare(VIEW("a"), VIEW("b")) < 0);
    assert_true(view_compare(VIEW("ab"), VIEW("a")) > 0);
    assert_true(view_compare(VIEW("a"), VIEW("\xff")) < 0);
    assert_int_equal(view_compare(VIEW("ab"), VIEW("ab")), 0);
    assert_true(view_compare(none, VIEW("a")) < 0);
    assert_int_equal(view_compare(none, VIEW("")), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equal_is_bytes_and_length),
        cmocka_unit_test(case_is_ignored_only_on_request),
        cmocka_unit_test(everything_starts_with_nothing),
        cmocka_unit_test(order_is_that_of_the_bytes),
        cmocka_unit_test(parts_never_leave_the_whole),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
