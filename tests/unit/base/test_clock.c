/* The real clocks tick, and a test can put its own in their place. */
#include "unit_test.h"

#include <sallyport/base/clock.h>

#include <time.h>

static int64_t fixed_mono_ns(void)
{
    return INT64_C(5000000001);
}

static int64_t fixed_wall_ms(void)
{
    return INT64_C(1700000000123);
}

static void the_monotonic_clock_never_goes_back(void **state)
{
    int64_t last = clock_mono_ns();

    (void)state;
    for (int i = 0; i < 1000; i++) {
        int64_t now = clock_mono_ns();

        assert_true(now >= last);
        last = now;
    }
    assert_in_range(clock_mono_ms(), last / 1000000, last / 1000000 + 60000);
}

static void the_wall_clock_is_that_of_the_system(void **state)
{
    int64_t now_ms = (int64_t)time(NULL) * 1000;

    (void)state;
    assert_in_range(clock_wall_ms(), now_ms - 2000, now_ms + 60000);
}

static void a_test_replaces_both_clocks_and_gives_them_back(void **state)
{
    const struct clock_source source = {.mono_ns = fixed_mono_ns, .wall_ms = fixed_wall_ms};

    (void)state;
    clock_set_for_test(&source);
    assert_int_equal(clock_mono_ns(), 5000000001);
    assert_int_equal(clock_mono_ms(), 5000);
    assert_int_equal(clock_wall_ms(), 1700000000123);
    clock_set_for_test(NULL);
    assert_int_not_equal(clock_wall_ms(), 1700000000123);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_monotonic_clock_never_goes_back),
        cmocka_unit_test(the_wall_clock_is_that_of_the_system),
        cmocka_unit_test(a_test_replaces_both_clocks_and_gives_them_back),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
