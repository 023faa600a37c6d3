#include "unit_test.h"

#include <sallyport/net/handshake_queue.h>
#include <sallyport/net/handshake_shed.h>

enum { AFTER_US = 1000000, TARGET_US = 50000, EACH_US = 1000 };

static const struct handshake_queue_options options = {
    .max_waiting = 1000, .target_wait_us = TARGET_US, .shed_after_us = AFTER_US};

/* One is served each millisecond until `until_us`, and 200 wait all the time, the oldest for
 * wait_us. */
static int64_t busy(struct handshake_shed *s, int64_t wait_us, int64_t from_us, int64_t until_us)
{
    for (; from_us < until_us; from_us += EACH_US) {
        handshake_shed_served(s, 200, from_us);
        handshake_shed_note(s, 200, wait_us, from_us);
    }
    return until_us;
}

static void a_burst_is_queued(void **state)
{
    struct handshake_shed s;

    (void)state;
    handshake_shed_init(&s, &options);
    (void)busy(&s, 2 * TARGET_US, 1, AFTER_US - EACH_US);
    assert_false(handshake_shed_refuses(&s));
}

static void what_lasts_is_refused_as_far_as_it_cannot_be_served_soon(void **state)
{
    struct handshake_shed s;
    int64_t now_us;

    (void)state;
    handshake_shed_init(&s, &options);
    now_us = busy(&s, 2 * TARGET_US, 1, AFTER_US + 2 * EACH_US);
    assert_true(handshake_shed_refuses(&s));
    handshake_shed_note(&s, 90, TARGET_US / 2, now_us); /* 90 ms for who comes now */
    assert_false(handshake_shed_refuses(&s));
    handshake_shed_note(&s, 110, TARGET_US / 2, now_us);
    assert_true(handshake_shed_refuses(&s));
}

static void a_wait_that_was_short_in_between_begins_anew(void **state)
{
    struct handshake_shed s;
    int64_t now_us;

    (void)state;
    handshake_shed_init(&s, &options);
    now_us = busy(&s, 2 * TARGET_US, 1, AFTER_US / 2);
    now_us = busy(&s, TARGET_US, now_us, now_us + EACH_US);
    (void)busy(&s, 2 * TARGET_US, now_us, now_us + AFTER_US - EACH_US);
    assert_false(handshake_shed_refuses(&s));
}

static void it_ends_a_second_after_it_was_last_needed(void **state)
{
    struct handshake_shed s;
    int64_t now_us;

    (void)state;
    handshake_shed_init(&s, &options);
    now_us = busy(&s, 2 * TARGET_US, 1, AFTER_US + 2 * EACH_US);
    handshake_shed_note(&s, 0, 0, now_us + 900000);
    assert_true(s.on);
    handshake_shed_note(&s, 0, 0, now_us + 1100000);
    assert_false(s.on);
    handshake_shed_note(&s, 1000, TARGET_US, now_us + 1200000); /* a burst is a burst again */
    assert_false(handshake_shed_refuses(&s));
}

static void a_few_that_wait_long_are_no_storm(void **state)
{
    struct handshake_shed s;
    int64_t now_us = 1;

    (void)state;
    handshake_shed_init(&s, &options);
    for (; now_us < 3 * AFTER_US; now_us += 20 * EACH_US) { /* each takes 20 ms */
        handshake_shed_served(&s, 64, now_us);
        handshake_shed_note(&s, 64, 20 * TARGET_US, now_us);
        assert_false(handshake_shed_refuses(&s));
    }
    handshake_shed_note(&s, 65, 20 * TARGET_US, now_us);
    assert_true(handshake_shed_refuses(&s));
}

/* However soon they would be served: who is not let in by then waits where nobody sees it. */
static void what_does_not_fit_into_the_queue_is_refused(void **state)
{
    struct handshake_queue_options small = options;
    struct handshake_shed s;
    int64_t now_us;

    (void)state;
    small.max_waiting = 80;
    handshake_shed_init(&s, &small);
    now_us = busy(&s, 2 * TARGET_US, 1, AFTER_US + 2 * EACH_US);
    handshake_shed_note(&s, 79, TARGET_US / 2, now_us);
    assert_false(handshake_shed_refuses(&s));
    handshake_shed_note(&s, 80, TARGET_US / 2, now_us);
    assert_true(handshake_shed_refuses(&s));
}

/* A pause in which nobody waited says nothing of what one takes. */
static void the_average_is_of_busy_times_only(void **state)
{
    struct handshake_shed s;
    int64_t now_us;

    (void)state;
    handshake_shed_init(&s, &options);
    now_us = busy(&s, 0, 1, 100 * EACH_US);
    handshake_shed_served(&s, 0, now_us);
    handshake_shed_served(&s, 200, now_us + 90000);
    assert_in_range(s.each_us, EACH_US - 100, EACH_US + 100);
}

static void zero_means_never(void **state)
{
    struct handshake_queue_options never = options;
    struct handshake_shed s;

    (void)state;
    never.shed_after_us = 0;
    handshake_shed_init(&s, &never);
    (void)busy(&s, 100 * TARGET_US, 1, 3 * AFTER_US);
    assert_false(handshake_shed_refuses(&s));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_burst_is_queued),
        cmocka_unit_test(what_lasts_is_refused_as_far_as_it_cannot_be_served_soon),
        cmocka_unit_test(a_wait_that_was_short_in_between_begins_anew),
        cmocka_unit_test(it_ends_a_second_after_it_was_last_needed),
        cmocka_unit_test(a_few_that_wait_long_are_no_storm),
        cmocka_unit_test(what_does_not_fit_into_the_queue_is_refused),
        cmocka_unit_test(the_average_is_of_busy_times_only),
        cmocka_unit_test(zero_means_never),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
