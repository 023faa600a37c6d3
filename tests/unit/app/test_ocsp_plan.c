#include "ocsp_plan.h"
#include "unit_test.h"

#define HOUR_MS ((int64_t)3600 * 1000)
#define NOW     ((int64_t)1800000000 * 1000)

static void a_fresh_response_is_asked_for_again_at_half_of_its_life(void **state)
{
    (void)state;
    assert_int_equal(ocsp_plan_refresh(NOW, NOW + 100 * HOUR_MS, NOW, 0), NOW + 50 * HOUR_MS);
    for (uint32_t random = 0; random < 5000; random += 7) {
        int64_t at = ocsp_plan_refresh(NOW - HOUR_MS, NOW + 99 * HOUR_MS, NOW, random);

        assert_in_range(at, NOW + 49 * HOUR_MS, NOW + 54 * HOUR_MS);
    }
}

static void one_that_is_older_at_half_of_what_is_left(void **state)
{
    (void)state;
    assert_int_equal(ocsp_plan_refresh(NOW - 80 * HOUR_MS, NOW + 20 * HOUR_MS, NOW, 999),
                     NOW + 10 * HOUR_MS);
}

static void never_at_once(void **state)
{
    (void)state;
    assert_int_equal(ocsp_plan_refresh(NOW - 1000, NOW + 1000, NOW, 3), NOW + OCSP_REFRESH_MIN_MS);
    assert_int_equal(ocsp_plan_refresh(NOW, NOW, NOW, 3), NOW + OCSP_REFRESH_MIN_MS);
}

static void failures_are_followed_by_ever_longer_rests(void **state)
{
    (void)state;
    assert_int_equal(ocsp_plan_retry_ms(1, 0), 2000);
    assert_int_equal(ocsp_plan_retry_ms(2, 0), 4000);
    assert_int_equal(ocsp_plan_retry_ms(5, 0), 32000);
    assert_int_equal(ocsp_plan_retry_ms(12, 0), HOUR_MS);
    assert_int_equal(ocsp_plan_retry_ms(UINT32_MAX, 0), HOUR_MS);
    for (uint32_t random = 0; random < 5000; random += 7)
        assert_in_range(ocsp_plan_retry_ms(12, random), HOUR_MS * 3 / 4, HOUR_MS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_fresh_response_is_asked_for_again_at_half_of_its_life),
        cmocka_unit_test(one_that_is_older_at_half_of_what_is_left),
        cmocka_unit_test(never_at_once),
        cmocka_unit_test(failures_are_followed_by_ever_longer_rests),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
