/* Handshakes that wait for their turn in a handler. */
#include "scripted_vc.h"

#include <sallyport/base/log.h>

/* Two at least, or a handshake that is alone goes straight on. */
struct waiters {
    struct net_vconnection *vcs[3];
    int fds[3];
};

static void waiters_open(struct waiters *w)
{
    script_is(IO_WANT_TURN, IO_WANT_TURN);
    f.nh->handshake_budget_ns = 1000000;
    script.step_costs_ms = 1; /* one step a turn */
    for (int i = 0; i < 3; i++) {
        w->vcs[i] = accept_fake(&user, &w->fds[i]);
        peer_says(w->fds[i], "hello");
    }
    for (int i = 0; i < 3; i++)
        net_fixture_turn(&f); /* a look at each: all wait now */
    assert_int_equal(script.n_steps, 3);
}

static void waiters_close(struct waiters *w)
{
    for (int i = 0; i < 3; i++)
        if (w->fds[i] >= 0)
            (void)close(w->fds[i]);
}

static void handshakes_have_their_turns_one_by_one(void **state)
{
    struct waiters w;

    (void)state;
    waiters_open(&w);
    assert_int_equal(f.nh->handshakes.n, 3);
    for (int i = 1; i <= 3; i++) {
        net_fixture_turn(&f);
        assert_int_equal(net_user_count(&user, NET_EVENT_ACCEPT), i);
        assert_ptr_equal(user.vc, w.vcs[i - 1]); /* oldest first */
    }
    assert_int_equal(f.nh->handshakes.n, 0);
    waiters_close(&w);
}

/* The client sends more while it waits, or the socket tells twice. */
static void news_for_one_that_waits_changes_nothing(void **state)
{
    struct waiters w;

    (void)state;
    waiters_open(&w);
    for (int i = 0; i < 3; i++)
        peer_says(w.fds[i], "and early data");
    for (uint32_t left = 2; left < 3; left--) {
        net_fixture_turn(&f);
        assert_int_equal(f.nh->handshakes.n, left);
    }
    assert_int_equal(net_user_count(&user, NET_EVENT_ACCEPT), 3);
    assert_int_equal(f.nh->handshakes.n, 0);
    assert_int_equal(f.nh->n_handshakes, 0);
    waiters_close(&w);
}

static void one_that_leaves_while_it_waits_costs_nothing(void **state)
{
    struct waiters w;

    (void)state;
    waiters_open(&w);
    (void)close(w.fds[1]);
    w.fds[1] = -1;
    net_fixture_settle(&f);
    assert_int_equal(net_user_count(&user, NET_EVENT_ACCEPT), 2);
    assert_int_equal(script.n_destroyed, 1);
    assert_int_equal(f.nh->handshakes.n, 0);
    waiters_close(&w);
}

/* ---- Overload ---- */

/* More than 20 ms is overload, more than 100 ms is too late; five at most are open. */
static int setup_impatient(void **state)
{
    const struct net_core_options options = {
        .n_net_threads = 1,
        .default_inactivity_ms = 300 * 1000,
        .handshake_budget_ns = 1000000,
        .handshakes = {.max_waiting = 50,
                       .max_open = 5,
                       .target_wait_us = 20000,
                       .max_wait_us = 100000},
    };

    (void)state;
    (void)log_set_levels(VIEW("error"));
    open_with(&options);
    return 0;
}

static void when_all_wait_too_long_the_newest_is_served_first(void **state)
{
    struct waiters w;

    (void)state;
    waiters_open(&w);
    net_fixture_set_clock(net_fixture_now_ms() + 30);
    net_fixture_turn(&f);
    assert_int_equal(net_user_count(&user, NET_EVENT_ACCEPT), 1);
    assert_ptr_equal(user.vc, w.vcs[2]);
    assert_true(f.nh->overload.began_ms > 0);
    waiters_close(&w);
}

static void who_has_waited_past_the_bound_is_dropped_before_any_cryptography(void **state)
{
    struct waiters w;

    (void)state;
    waiters_open(&w);
    net_fixture_set_clock(net_fixture_now_ms() + 150);
    net_fixture_turn(&f);
    assert_int_equal(script.n_steps, 3);
    assert_int_equal(script.n_destroyed, 3);
    assert_int_equal(script.how, VC_CLOSE_ABORT);
    assert_int_equal(f.nh->n_handshakes, 0);
    waiters_close(&w);
}

static void an_overload_is_over_a_second_after_the_last_wait(void **state)
{
    struct waiters w;

    (void)state;
    waiters_open(&w);
    net_fixture_set_clock(net_fixture_now_ms() + 30);
    net_fixture_settle(&f);
    assert_int_equal(net_user_count(&user, NET_EVENT_ACCEPT), 3);
    assert_true(f.nh->overload.began_ms > 0);
    for (int i = 0; i < 4; i++)
        net_fixture_pass_ms(&f, 1000); /* nobody comes: its end needs no handshake */
    assert_int_equal(f.nh->overload.began_ms, 0);
    waiters_close(&w);
}

static void accepting_rests_while_a_thread_has_all_that_it_may(void **state)
{
    struct net_accept_options o = {
        .accept = {.accepts_per_turn = 1, .backlog = 16, .fd = -1, .linger_s = -1},
        .cont = &user.super,
        .label = VIEW("test"),
    };
    const char *why = "";
    struct net_accept *na;
    int fds[8];

    (void)state;
    script_is(IO_WANT_READ, IO_WANT_READ);
    assert_int_equal(endpoint_parse(VIEW("127.0.0.1:0"), &o.endpoint), SP_OK);
    na = net_processor_main_accept(&fake_np, &o, &why);
    assert_non_null(na);
    for (int i = 0; i < 8; i++)
        fds[i] = loopback_connect(&na->bound);
    for (int i = 0; i < 10; i++)
        net_fixture_pass_ms(&f, 5);
    assert_int_equal(f.nh->n_handshakes, 5);
    for (int i = 0; i < 3; i++)
        (void)close(fds[i]); /* half of the room is free again */
    script_is(IO_EOF, IO_EOF);
    NET_FIXTURE_UNTIL(&f, script.n_destroyed == 3);
    script_is(IO_WANT_READ, IO_WANT_READ);
    for (int i = 0; i < 10; i++)
        net_fixture_pass_ms(&f, 5);
    assert_int_equal(f.nh->n_handshakes, 5);
    net_accept_stop(na);
    net_fixture_settle(&f);
    net_accept_unref(na);
    for (int i = 3; i < 8; i++)
        (void)close(fds[i]);
}

#define HANDLER_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

#define OVERLOAD_TEST(name) cmocka_unit_test_setup_teardown(name, setup_impatient, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        HANDLER_TEST(handshakes_have_their_turns_one_by_one),
        HANDLER_TEST(news_for_one_that_waits_changes_nothing),
        HANDLER_TEST(one_that_leaves_while_it_waits_costs_nothing),
        OVERLOAD_TEST(when_all_wait_too_long_the_newest_is_served_first),
        OVERLOAD_TEST(who_has_waited_past_the_bound_is_dropped_before_any_cryptography),
        OVERLOAD_TEST(an_overload_is_over_a_second_after_the_last_wait),
        OVERLOAD_TEST(accepting_rests_while_a_thread_has_all_that_it_may),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
