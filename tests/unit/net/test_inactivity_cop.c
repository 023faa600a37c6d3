/* Timeouts of connections, with a clock that the test moves. */
#include "vc_bed.h"

static void an_idle_connection_is_told_again_and_again(void **state)
{
    (void)state;
    (void)net_user_read(&user, INT64_MAX, PAUSE_BYTES);
    net_vc_set_inactivity_timeout(user.vc, 1000);
    net_fixture_pass_ms(&f, 999);
    assert_int_equal(user.n_events, 0);
    net_fixture_pass_ms(&f, 1);
    assert_int_equal(net_user_count(&user, VC_EVENT_INACTIVITY_TIMEOUT), 1);
    assert_int_equal(user.vc->err, SP_INACTIVITY);
    net_fixture_pass_ms(&f, 999);
    assert_int_equal(net_user_count(&user, VC_EVENT_INACTIVITY_TIMEOUT), 1);
    net_fixture_pass_ms(&f, 1);
    assert_int_equal(net_user_count(&user, VC_EVENT_INACTIVITY_TIMEOUT), 2);
}

static void progress_only_stamps_and_the_timer_looks_when_it_fires(void **state)
{
    int64_t armed_for_ms;

    (void)state;
    (void)net_user_read(&user, INT64_MAX, PAUSE_BYTES);
    net_vc_set_inactivity_timeout(user.vc, 1000);
    armed_for_ms = user.vc->inactivity_timer.deadline_ms;
    for (int i = 0; i < 9; i++) {
        peer_says("x");
        net_fixture_pass_ms(&f, 100);
        assert_int_equal(user.vc->inactivity_timer.deadline_ms, armed_for_ms);
    }
    net_fixture_pass_ms(&f, 100); /* the timer fires, sees the stamp and moves */
    assert_int_equal(net_user_count(&user, VC_EVENT_INACTIVITY_TIMEOUT), 0);
    assert_int_equal(user.vc->inactivity_timer.deadline_ms,
                     user.vc->last_activity_ms + user.vc->inactivity_ms);
    net_fixture_pass_ms(&f, 900);
    assert_int_equal(net_user_count(&user, VC_EVENT_INACTIVITY_TIMEOUT), 1);
}

static void writing_is_activity_too(void **state)
{
    struct vio *vio = net_user_write(&user, INT64_MAX, 0);

    (void)state;
    net_vc_set_inactivity_timeout(user.vc, 1000);
    for (int i = 0; i < 5; i++) {
        net_fixture_pass_ms(&f, 800);
        net_user_say(&user, "x", 1);
        vio_reenable(vio);
        net_fixture_settle(&f);
    }
    assert_int_equal(net_user_count(&user, VC_EVENT_INACTIVITY_TIMEOUT), 0);
}

static void a_shorter_timeout_takes_effect_at_once_and_none_cancels(void **state)
{
    (void)state;
    (void)net_user_read(&user, INT64_MAX, PAUSE_BYTES);
    net_vc_set_inactivity_timeout(user.vc, 60000);
    net_vc_set_inactivity_timeout(user.vc, 50);
    net_fixture_pass_ms(&f, 50);
    assert_int_equal(user.n_events, 1);
    net_vc_set_inactivity_timeout(user.vc, 0);
    net_fixture_pass_ms(&f, 3600000);
    assert_int_equal(user.n_events, 1);
}

static void a_connection_that_nobody_gave_a_timeout_has_the_default_one(void **state)
{
    (void)state;
    (void)net_user_read(&user, INT64_MAX, PAUSE_BYTES);
    net_fixture_pass_ms(&f, 299999);
    assert_int_equal(user.n_events, 0);
    net_fixture_pass_ms(&f, 1);
    assert_int_equal(net_user_last(&user), VC_EVENT_INACTIVITY_TIMEOUT);
}

static void an_idle_connection_without_a_user_is_closed(void **state)
{
    (void)state;
    net_fixture_pass_ms(&f, 300000);
    assert_int_equal(f.nh->n_open, 0);
    assert_false(net_fixture_ends_clean(&f, peer));
}

static void the_active_timeout_comes_once_whatever_moves(void **state)
{
    (void)state;
    (void)net_user_read(&user, INT64_MAX, PAUSE_BYTES);
    net_vc_set_active_timeout(user.vc, 1000);
    for (int i = 0; i < 20; i++) {
        peer_says("x");
        net_fixture_pass_ms(&f, 100);
        assert_int_equal(net_user_count(&user, VC_EVENT_ACTIVE_TIMEOUT), i >= 9);
    }
    assert_int_equal(user.vc->err, SP_ACTIVE_TIMEOUT);
    net_vc_set_active_timeout(user.vc, 1000);
    net_vc_set_active_timeout(user.vc, 0);
    net_fixture_pass_ms(&f, 5000);
    assert_int_equal(net_user_count(&user, VC_EVENT_ACTIVE_TIMEOUT), 1);
}

#define VC_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        VC_TEST(an_idle_connection_is_told_again_and_again),
        VC_TEST(progress_only_stamps_and_the_timer_looks_when_it_fires),
        VC_TEST(writing_is_activity_too),
        VC_TEST(a_shorter_timeout_takes_effect_at_once_and_none_cancels),
        VC_TEST(a_connection_that_nobody_gave_a_timeout_has_the_default_one),
        VC_TEST(an_idle_connection_without_a_user_is_closed),
        VC_TEST(the_active_timeout_comes_once_whatever_moves),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
