/* How many handshakes there may be, before anything is spent on one. */
#include "failing_alloc.h"
#include "unit_test.h"

#include <sallyport/base/clock.h>
#include <sallyport/base/log.h>
#include <sallyport/base/metrics.h>
#include <sallyport/net/handshake_limits.h>

#define DAY_US (INT64_C(86400) * 1000000)

static int64_t now_us;

static int64_t fake_mono_ns(void)
{
    return now_us * 1000;
}

static int64_t fake_wall_ms(void)
{
    return now_us / 1000;
}

static int setup(void **state)
{
    static const struct clock_source clock = {.mono_ns = fake_mono_ns, .wall_ms = fake_wall_ms};

    (void)state;
    now_us = 1000000;
    clock_set_for_test(&clock);
    (void)log_set_levels(VIEW("error"));
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    clock_set_for_test(NULL);
    return 0;
}

static enum sp_err admit(struct handshake_limits *l, const char *text)
{
    struct endpoint e;
    union ip_endpoint ip;

    assert_int_equal(endpoint_parse(view_of(text), &e), SP_OK);
    ip_endpoint_of(&e.sa, &ip);
    return handshake_limits_admit(l, &ip);
}

static void release(struct handshake_limits *l, const char *text)
{
    struct endpoint e;
    union ip_endpoint ip;

    assert_int_equal(endpoint_parse(view_of(text), &e), SP_OK);
    ip_endpoint_of(&e.sa, &ip);
    handshake_limits_release(l, &ip);
}

static struct handshake_limits *limits(struct handshake_limits_options options)
{
    struct handshake_limits *l = handshake_limits_new(&options);

    assert_non_null(l);
    return l;
}

static void without_limits_everybody_is_let_in(void **state)
{
    struct handshake_limits *l = limits((struct handshake_limits_options){0});

    (void)state;
    for (int i = 0; i < 10000; i++) {
        assert_int_equal(admit(l, "192.0.2.1:1"), SP_OK);
        assert_int_equal(handshake_limits_begin_us(l, now_us), 0);
    }
    assert_true(handshake_limits_has_room(l));
    assert_false(handshake_limits_has_rate(l));
    handshake_limits_free(l);
}

static void the_total_at_once_leaves_no_room_until_one_is_over(void **state)
{
    struct handshake_limits *l = limits((struct handshake_limits_options){.max_at_once = 2});

    (void)state;
    assert_int_equal(admit(l, "192.0.2.1:1"), SP_OK);
    assert_true(handshake_limits_has_room(l));
    assert_int_equal(admit(l, "192.0.2.2:1"), SP_OK);
    assert_false(handshake_limits_has_room(l));
    release(l, "192.0.2.1:1");
    assert_true(handshake_limits_has_room(l));
    handshake_limits_free(l);
}

static void one_address_has_no_more_at_once_than_it_may(void **state)
{
    struct handshake_limits *l =
        limits((struct handshake_limits_options){.max_at_once_per_address = 2});
    uint64_t before = METRIC_GET(metrics_mine, tls_handshakes_refused_at_once);

    (void)state;
    assert_int_equal(admit(l, "192.0.2.1:1"), SP_OK);
    assert_int_equal(admit(l, "192.0.2.1:2"), SP_OK);
    assert_int_equal(admit(l, "192.0.2.1:3"), SP_THROTTLED);
    assert_int_equal(METRIC_GET(metrics_mine, tls_handshakes_refused_at_once) - before, 1);
    assert_int_equal(admit(l, "192.0.2.2:1"), SP_OK);
    release(l, "192.0.2.1:1");
    assert_int_equal(admit(l, "192.0.2.1:3"), SP_OK);
    handshake_limits_free(l);
}

static void one_address_begins_no_more_a_second_than_it_may(void **state)
{
    struct handshake_limits *l = limits(
        (struct handshake_limits_options){.rate_per_address_per_s = 10, .burst_per_address = 3});
    uint64_t before = METRIC_GET(metrics_mine, tls_handshakes_refused_rate);

    (void)state;
    for (int i = 0; i < 3; i++)
        assert_int_equal(admit(l, "192.0.2.1:1"), SP_OK);
    assert_int_equal(admit(l, "192.0.2.1:1"), SP_THROTTLED);
    assert_int_equal(METRIC_GET(metrics_mine, tls_handshakes_refused_rate) - before, 1);
    assert_int_equal(admit(l, "192.0.2.2:1"), SP_OK);
    now_us += 100000; /* a tenth of a second: one more */
    assert_int_equal(admit(l, "192.0.2.1:1"), SP_OK);
    assert_int_equal(admit(l, "192.0.2.1:1"), SP_THROTTLED);
    now_us += 10000000; /* the bucket holds no more than the burst */
    for (int i = 0; i < 3; i++)
        assert_int_equal(admit(l, "192.0.2.1:1"), SP_OK);
    assert_int_equal(admit(l, "192.0.2.1:1"), SP_THROTTLED);
    handshake_limits_free(l);
}

/* Of a time only 40 bits are kept. */
static void an_address_that_comes_after_any_number_of_days_is_let_in(void **state)
{
    const struct handshake_limits_options options = {.rate_per_address_per_s = 1,
                                                     .burst_per_address = 1};

    (void)state;
    for (int day = 1; day <= 30; day++) {
        struct handshake_limits *l = limits(options);

        assert_int_equal(admit(l, "192.0.2.1:1"), SP_OK);
        assert_int_equal(admit(l, "192.0.2.1:1"), SP_THROTTLED);
        now_us += day * DAY_US;
        assert_int_equal(admit(l, "192.0.2.1:1"), SP_OK);
        handshake_limits_free(l);
    }
}

static void who_is_refused_for_the_rate_is_not_counted_at_once(void **state)
{
    struct handshake_limits *l = limits((struct handshake_limits_options){
        .max_at_once_per_address = 2, .rate_per_address_per_s = 1, .burst_per_address = 1});

    (void)state;
    assert_int_equal(admit(l, "192.0.2.1:1"), SP_OK);
    for (int i = 0; i < 5; i++)
        assert_int_equal(admit(l, "192.0.2.1:1"), SP_THROTTLED);
    now_us += 1000000;
    assert_int_equal(admit(l, "192.0.2.1:1"), SP_OK);
    handshake_limits_free(l);
}

static void exempt_networks_have_no_limits_of_their_own(void **state)
{
    struct cidr lan;

    (void)state;
    assert_int_equal(cidr_parse(VIEW("192.0.2.0/24"), &lan), SP_OK);
    struct handshake_limits *l = limits((struct handshake_limits_options){
        .max_at_once_per_address = 1, .rate_per_address_per_s = 1, .exempt = &lan, .n_exempt = 1});
    for (int i = 0; i < 10; i++)
        assert_int_equal(admit(l, "192.0.2.1:1"), SP_OK);
    assert_int_equal(admit(l, "198.51.100.1:1"), SP_OK);
    assert_int_equal(admit(l, "198.51.100.1:1"), SP_THROTTLED);
    handshake_limits_free(l);
}

static void the_total_rate_says_how_long_to_wait(void **state)
{
    struct handshake_limits *l =
        limits((struct handshake_limits_options){.rate_per_s = 100, .burst = 2});

    (void)state;
    assert_true(handshake_limits_has_rate(l));
    assert_int_equal(handshake_limits_begin_us(l, now_us), 0);
    assert_int_equal(handshake_limits_begin_us(l, now_us), 0);
    assert_int_equal(handshake_limits_begin_us(l, now_us), 10000);
    assert_int_equal(handshake_limits_begin_us(l, now_us + 4000), 6000);
    assert_int_equal(handshake_limits_begin_us(l, now_us + 10000), 0);
    assert_int_equal(handshake_limits_begin_us(l, now_us + 10000), 10000);
    handshake_limits_free(l);
}

static void without_a_burst_a_second_may_come_together(void **state)
{
    struct handshake_limits *l = limits((struct handshake_limits_options){.rate_per_s = 50});

    (void)state;
    for (int i = 0; i < 50; i++)
        assert_int_equal(handshake_limits_begin_us(l, now_us), 0);
    assert_true(handshake_limits_begin_us(l, now_us) > 0);
    handshake_limits_free(l);
}

static void the_numbers_may_change_while_handshakes_are_under_way(void **state)
{
    struct handshake_limits *l = limits((struct handshake_limits_options){0});
    const struct handshake_limits_options two = {.max_at_once = 2, .max_at_once_per_address = 2};
    const struct handshake_limits_options rates = {
        .rate_per_s = 1, .burst = 1, .rate_per_address_per_s = 1, .burst_per_address = 1};

    (void)state;
    assert_int_equal(admit(l, "192.0.2.1:1"), SP_OK);
    handshake_limits_set(l, &two);
    assert_int_equal(admit(l, "192.0.2.1:2"), SP_OK); /* the one before was counted */
    assert_int_equal(admit(l, "192.0.2.1:3"), SP_THROTTLED);
    assert_false(handshake_limits_has_room(l));
    handshake_limits_set(l, &rates);
    assert_true(handshake_limits_has_room(l));
    assert_int_equal(admit(l, "192.0.2.1:3"), SP_OK);
    assert_int_equal(admit(l, "192.0.2.1:3"), SP_THROTTLED);
    assert_int_equal(handshake_limits_begin_us(l, now_us), 0);
    assert_true(handshake_limits_begin_us(l, now_us) > 0);
    handshake_limits_free(l);
}

static void making_them_survives_each_failed_allocation(void **state)
{
    struct cidr lan = {0};
    const struct handshake_limits_options options = {
        .max_at_once_per_address = 1, .rate_per_address_per_s = 1, .exempt = &lan, .n_exempt = 1};

    (void)state;
    for (unsigned nth = 0;; nth++) {
        failing_alloc_arm(nth);
        struct handshake_limits *l = handshake_limits_new(&options);

        if (!failing_alloc_hit()) {
            assert_non_null(l);
            handshake_limits_free(l);
            assert_int_equal(failing_alloc_live(), 0);
            return;
        }
        assert_null(l);
        assert_int_equal(failing_alloc_live(), 0);
    }
}

#define LIMITS_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        LIMITS_TEST(without_limits_everybody_is_let_in),
        LIMITS_TEST(the_total_at_once_leaves_no_room_until_one_is_over),
        LIMITS_TEST(one_address_has_no_more_at_once_than_it_may),
        LIMITS_TEST(one_address_begins_no_more_a_second_than_it_may),
        LIMITS_TEST(an_address_that_comes_after_any_number_of_days_is_let_in),
        LIMITS_TEST(who_is_refused_for_the_rate_is_not_counted_at_once),
        LIMITS_TEST(exempt_networks_have_no_limits_of_their_own),
        LIMITS_TEST(the_total_rate_says_how_long_to_wait),
        LIMITS_TEST(without_a_burst_a_second_may_come_together),
        LIMITS_TEST(the_numbers_may_change_while_handshakes_are_under_way),
        LIMITS_TEST(making_them_survives_each_failed_allocation),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
