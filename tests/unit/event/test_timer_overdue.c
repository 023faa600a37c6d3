/* Timers armed for a time that has come: how work is put off to the end of a turn. */
#include "unit_test.h"

#include <sallyport/event/timer_wheel.h>

static struct timer_wheel wheel;
static struct timer once, again;
static unsigned n_once, n_again;

static void on_once(struct timer *t)
{
    (void)t;
    n_once++;
}

static void on_again(struct timer *t)
{
    n_again++;
    timer_arm(&wheel, t, wheel.now_ms);
}

static int setup(void **state)
{
    (void)state;
    n_once = n_again = 0;
    timer_wheel_init(&wheel, 1000);
    timer_init(&once, on_once);
    timer_init(&again, on_again);
    return 0;
}

static void a_passed_deadline_fires_at_the_next_run_of_the_same_millisecond(void **state)
{
    (void)state;
    timer_arm(&wheel, &once, 1000);
    assert_int_equal(timer_wheel_wait_ms(&wheel, 1000), 0);
    assert_int_equal(timer_wheel_run(&wheel, 1000), 1);
    assert_int_equal(n_once, 1);
    assert_int_equal(timer_wheel_wait_ms(&wheel, 1000), -1);
}

static void armed_for_now_inside_its_callback_it_waits_for_the_next_run(void **state)
{
    (void)state;
    timer_arm(&wheel, &again, 999);
    assert_int_equal(timer_wheel_run(&wheel, 1000), 1);
    assert_int_equal(timer_wheel_run(&wheel, 1000), 1);
    assert_int_equal(timer_wheel_run(&wheel, 1005), 1);
    assert_int_equal(n_again, 3);
    assert_true(timer_is_armed(&again));
}

static void an_overdue_timer_can_be_cancelled_and_moved(void **state)
{
    (void)state;
    timer_arm(&wheel, &once, 0);
    timer_cancel(&wheel, &once);
    assert_int_equal(timer_wheel_run(&wheel, 1000), 0);
    timer_arm(&wheel, &once, 0);
    timer_arm(&wheel, &once, 1002);
    assert_int_equal(timer_wheel_run(&wheel, 1001), 0);
    assert_int_equal(timer_wheel_run(&wheel, 1002), 1);
    assert_int_equal(n_once, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_passed_deadline_fires_at_the_next_run_of_the_same_millisecond,
                               setup),
        cmocka_unit_test_setup(armed_for_now_inside_its_callback_it_waits_for_the_next_run, setup),
        cmocka_unit_test_setup(an_overdue_timer_can_be_cancelled_and_moved, setup),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
