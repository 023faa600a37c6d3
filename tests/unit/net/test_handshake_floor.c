/* The least share of handshakes: its arithmetic, and what a handler's turns make of it. */
#include "scripted_vc.h"

#include <sallyport/base/log.h>
#include <sallyport/net/handshake_floor.h>

#define MS INT64_C(1000000)

static void a_thread_that_got_enough_keeps_its_weight(void **state)
{
    (void)state;
    assert_int_equal(handshake_floor_nice(10, 10, 5, 10 * MS, 100 * MS), 10);
    assert_int_equal(handshake_floor_nice(10, 10, 5, 100 * MS, 100 * MS), 10);
}

/* Nice 10 weighs 110: with 3 % the others weigh 3557, and 5 % of the sum are 187. */
static void a_thread_that_got_too_little_weighs_as_much_as_it_takes(void **state)
{
    (void)state;
    assert_int_equal(handshake_floor_nice(10, 10, 5, 3 * MS, 100 * MS), 7);
    assert_int_equal(handshake_floor_nice(19, 19, 5, 14 * MS / 10, 100 * MS), 13);
}

static void no_thread_weighs_more_than_a_data_thread(void **state)
{
    (void)state;
    assert_int_equal(handshake_floor_nice(10, 10, 50, 1 * MS, 100 * MS), 0);
    assert_int_equal(handshake_floor_nice(0, 10, 50, 0, 100 * MS), 0);
}

static void weight_that_is_not_needed_is_given_up(void **state)
{
    (void)state;
    assert_int_equal(handshake_floor_nice(0, 10, 5, 50 * MS, 100 * MS), 10);
    assert_int_equal(handshake_floor_nice(0, 19, 5, 50 * MS, 100 * MS), 13);
}

/* 0.5 ms of handshakes and 9.5 ms of data a turn: for 10 % it takes 1.06 ms. */
static void a_budget_grows_to_its_share_and_shrinks_to_what_was_configured(void **state)
{
    int64_t budget_ns = handshake_floor_budget_ns(MS / 2, MS / 2, 10, 5 * MS, 100 * MS);

    (void)state;
    assert_in_range(budget_ns, 1050000, 1060000);
    assert_int_equal(handshake_floor_budget_ns(2 * MS, MS / 2, 10, 90 * MS, 100 * MS), MS / 2);
    assert_int_equal(handshake_floor_budget_ns(MS / 2, MS / 2, 50, 0, 100 * MS), 20 * MS);
    assert_int_equal(handshake_floor_budget_ns(30 * MS, 30 * MS, 50, 0, 100 * MS), 30 * MS);
}

/* ---- In a loop that data has as well ---- */

#define SHARE_OPTIONS(percent)                                                                  \
    {                                                                                           \
        .n_net_threads = 1, .default_inactivity_ms = 300 * 1000, .handshake_budget_ns = 1 * MS, \
        .handshake_floor_percent = (percent),                                                   \
        .handshakes = {.max_waiting = 500,                                                      \
                       .max_open = 500,                                                         \
                       .target_wait_us = 10 * 1000000,                                          \
                       .max_wait_us = 20 * 1000000},                                            \
    }

static int setup_share(void **state)
{
    const struct net_core_options options = SHARE_OPTIONS(20);

    (void)state;
    (void)log_set_levels(VIEW("error"));
    open_with(&options);
    return 0;
}

static int setup_no_share(void **state)
{
    const struct net_core_options options = SHARE_OPTIONS(0);

    (void)state;
    open_with(&options);
    return 0;
}

#define N_CROWD 100

static int crowd[N_CROWD];

/* Each step costs 1 ms, each turn 19 ms of something else besides. */
static void shake_hands_beside_data(int n_turns)
{
    script_is(IO_WANT_TURN, IO_WANT_TURN);
    script.step_costs_ms = 1;
    for (int i = 0; i < N_CROWD; i++) {
        (void)accept_fake(&user, &crowd[i]);
        peer_says(crowd[i], "hello");
    }
    for (int i = 0; i < n_turns; i++) {
        net_fixture_set_clock(net_fixture_now_ms() + 19);
        net_fixture_turn(&f);
    }
}

static void crowd_leaves(void)
{
    for (int i = 0; i < N_CROWD; i++)
        (void)close(crowd[i]);
    net_fixture_settle(&f);
}

static void the_budget_of_a_turn_grows_while_handshakes_starve(void **state)
{
    (void)state;
    shake_hands_beside_data(15);
    assert_in_range(f.nh->floor.budget_ns, 4 * MS, 6 * MS); /* 20 % of 20 to 25 ms */
    crowd_leaves();
}

static void without_a_floor_the_budget_stays(void **state)
{
    (void)state;
    shake_hands_beside_data(15);
    assert_int_equal(f.nh->floor.budget_ns, 1 * MS);
    crowd_leaves();
}

static void turns_without_handshakes_do_not_count(void **state)
{
    (void)state;
    for (int i = 0; i < 20; i++) {
        net_fixture_set_clock(net_fixture_now_ms() + 100);
        net_fixture_turn(&f);
    }
    assert_int_equal(f.nh->floor.budget_ns, 1 * MS);
    assert_int_equal(f.nh->floor.wall_ns, 0);
}

#define SHARE_TEST(name) cmocka_unit_test_setup_teardown(name, setup_share, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_thread_that_got_enough_keeps_its_weight),
        cmocka_unit_test(a_thread_that_got_too_little_weighs_as_much_as_it_takes),
        cmocka_unit_test(no_thread_weighs_more_than_a_data_thread),
        cmocka_unit_test(weight_that_is_not_needed_is_given_up),
        cmocka_unit_test(a_budget_grows_to_its_share_and_shrinks_to_what_was_configured),
        SHARE_TEST(the_budget_of_a_turn_grows_while_handshakes_starve),
        cmocka_unit_test_setup_teardown(without_a_floor_the_budget_stays, setup_no_share, teardown),
        SHARE_TEST(turns_without_handshakes_do_not_count),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
