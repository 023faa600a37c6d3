/* Handshakes that wait for their turn in a handler. */
#include "scripted_vc.h"

#include <sallyport/base/log.h>

#include <poll.h>

/* Two at least, or a handshake that is alone goes straight on. */
struct waiters {
    struct net_vconnection *vcs[3];
    int fds[3];
};

static void waiters_open(struct waiters *w)
{
    script_is(IO_WANT_TURN, IO_WANT_TURN);
    f.nh->floor.budget_ns = 1000000;
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

/* As another thread sees it. */
static struct handshake_stats stats(void)
{
    struct handshake_stats s;

    atomic_store(&f.thread->metrics, metrics_mine); /* the thread of the fixture never started */
    assert_true(handshake_stats_read(f.core, f.thread, &s));
    return s;
}

static void who_has_waited_past_the_bound_is_dropped_before_any_cryptography(void **state)
{
    struct handshake_stats before;
    struct waiters w;

    (void)state;
    waiters_open(&w);
    before = stats();
    net_fixture_set_clock(net_fixture_now_ms() + 150);
    net_fixture_turn(&f);
    assert_int_equal(script.n_steps, 3);
    assert_int_equal(script.n_destroyed, 3);
    assert_int_equal(script.how, VC_CLOSE_ABORT);
    assert_int_equal(stats().dropped_late - before.dropped_late, 3);
    assert_int_equal(stats().dropped_after_ms[8] - before.dropped_after_ms[8], 3); /* 129 to 256 */
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

static void what_a_thread_does_can_be_seen_from_another(void **state)
{
    struct handshake_stats s;
    struct waiters w;

    (void)state;
    waiters_open(&w);
    net_fixture_set_clock(net_fixture_now_ms() + 30);
    s = stats();
    assert_int_equal(s.open, 3);
    assert_int_equal(s.waiting, 3);
    assert_in_range(s.oldest_wait_ms, 30, 40);
    assert_false(s.overloaded || s.accept_paused);
    net_fixture_turn(&f);
    s = stats();
    assert_int_equal(s.waiting, 2);
    assert_true(s.overloaded);
    net_fixture_settle(&f);
    s = stats();
    assert_int_equal(s.open + s.waiting, 0);
    assert_int_equal(s.oldest_wait_ms, 0);
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

/* Two wait, and take so long that nobody else would be served soon. */
static void shed_begins(struct waiters *w)
{
    waiters_open(w);
    net_fixture_turn(&f);
    f.nh->shed.on = true;
    f.nh->shed.needed_us = clock_mono_ns() / 1000;
    f.nh->shed.each_us = 60 * 1000000;
    atomic_store(&f.nh->shed.refusing, true);
}

static void under_lasting_overload_who_comes_with_a_hello_is_reset(void **state)
{
    struct waiters w;
    uint64_t before;
    int fds[2];

    (void)state;
    shed_begins(&w);
    before = stats().shed;
    script.step_costs_ms = 0;
    script.n_destroyed = 0;
    (void)accept_fake(&user, &fds[0]);
    peer_says(fds[0], "hello");
    net_fixture_turn(&f);
    assert_int_equal(script.n_destroyed, 1);
    assert_int_equal(script.how, VC_CLOSE_ABORT);
    assert_int_equal(stats().shed - before, 1);
    (void)close(fds[0]);
    waiters_close(&w);
}

static void a_backdoor_is_open_under_lasting_overload(void **state)
{
    struct waiters w;
    uint64_t before;
    int fd;

    (void)state;
    shed_begins(&w);
    before = stats().shed;
    script.n_destroyed = 0;
    f.listener.options.accept.backdoor = true;
    (void)accept_fake(&user, &fd);
    peer_says(fd, "hello");
    net_fixture_turn(&f);
    assert_int_equal(script.n_destroyed, 0);
    assert_int_equal(stats().shed - before, 0);
    (void)close(fd);
    waiters_close(&w);
}

static void under_lasting_overload_newcomers_are_not_even_looked_at(void **state)
{
    struct net_accept_options o = {
        .accept = {.accepts_per_turn = 1, .backlog = 16, .fd = -1, .linger_s = -1},
        .cont = &user.super,
        .label = VIEW("test"),
    };
    const char *why = "";
    struct net_accept *na;
    struct waiters w;
    uint64_t before;
    char byte;
    int fd;

    (void)state;
    shed_begins(&w);
    before = stats().shed;
    assert_int_equal(endpoint_parse(VIEW("127.0.0.1:0"), &o.endpoint), SP_OK);
    na = net_processor_main_accept(&fake_np, &o, &why);
    assert_non_null(na);
    fd = loopback_connect(&na->bound);
    f.nh->handshakes.options.max_wait_us = INT64_MAX;
    for (int i = 0; i < 20 && stats().shed == before; i++) {
        atomic_store(&f.nh->shed.refusing, true);
        net_fixture_turn(&f);
    }
    assert_int_equal(stats().shed - before, 1);
    assert_int_equal(recv(fd, &byte, 1, 0), -1);
    assert_int_equal(errno, ECONNRESET);
    net_accept_stop(na);
    net_fixture_settle(&f);
    net_accept_unref(na);
    (void)close(fd);
    waiters_close(&w);
}

/* 66 fit into the queue; an overload lasts when it is as old as a millisecond. */
static int setup_shedding(void **state)
{
    const struct net_core_options options = {
        .n_net_threads = 1,
        .default_inactivity_ms = 300 * 1000,
        .handshake_budget_ns = 1000000,
        .handshakes = {.max_waiting = 66,
                       .max_open = 1000,
                       .target_wait_us = 20000,
                       .max_wait_us = 3600 * INT64_C(1000000),
                       .shed_after_us = 1000},
    };

    (void)state;
    (void)log_set_levels(VIEW("error"));
    open_with(&options);
    return 0;
}

/* 66 wait, N - 66 were refused. */
static void shed_lasts(int *fds, int n)
{
    script_is(IO_WANT_TURN, IO_WANT_TURN);
    script.step_costs_ms = 1;
    for (int i = 0; i < n; i++) {
        (void)accept_fake(&user, &fds[i]);
        peer_says(fds[i], "hello");
    }
    for (int i = 0; i < n; i++) {
        f.nh->shed.each_us = 1; /* all would be served soon */
        net_fixture_turn(&f);
    }
    assert_int_equal(f.nh->handshakes.n, 66);
    assert_int_equal(script.n_destroyed, n - 66);
    assert_true(handshake_shed_refuses(&f.nh->shed));
}

/* Who waited in the kernel's queue for that would be late, and so would all who are let in then. */
static void under_lasting_overload_accepting_does_not_rest(void **state)
{
    enum { N = 70 };
    int fds[N];

    (void)state;
    shed_lasts(fds, N);
    assert_false(net_handler_is_full(f.nh));
    for (int i = 0; i < 2; i++)
        net_fixture_turn(&f); /* there is room for some, not only when half are gone */
    assert_false(handshake_shed_refuses(&f.nh->shed) || net_handler_is_full(f.nh));
    for (int i = 0; i < N; i++)
        (void)close(fds[i]);
}

static void under_lasting_overload_the_excess_is_refused_together(void **state)
{
    struct net_accept_options o = {
        .accept = {.accepts_per_turn = 16, .backlog = 64, .fd = -1, .linger_s = -1},
        .cont = &user.super,
        .label = VIEW("test"),
    };
    enum { N = 70, N_CLIENTS = 20 };
    int fds[N], clients[N_CLIENTS];
    uint64_t before, n_refused;
    const char *why = "";
    struct net_accept *na;
    uint32_t room;
    char byte;

    (void)state;
    shed_lasts(fds, N);
    assert_int_equal(endpoint_parse(VIEW("127.0.0.1:0"), &o.endpoint), SP_OK);
    na = net_processor_main_accept(&fake_np, &o, &why);
    assert_non_null(na);
    o.endpoint = na->bound; /* another one, with a port that it may let go of for a moment */
    net_accept_stop(na);
    net_fixture_turn(&f);
    net_accept_unref(na);
    na = net_processor_main_accept(&fake_np, &o, &why);
    assert_non_null(na);
    na->slots[0].can_refuse = true;
    net_fixture_turn(&f); /* it is in the poll set */
    for (int i = 0; i < N_CLIENTS; i++)
        clients[i] = loopback_connect(&na->bound);
    f.nh->shed.each_us = 1;
    room = handshake_shed_room(&f.nh->shed, f.nh->handshakes.n);
    before = stats().shed;
    assert_in_range(room, 1, 8);
    net_fixture_turn(&f);
    n_refused = stats().shed - before;
    assert_int_equal(n_refused, N_CLIENTS - room);
    assert_int_equal(recv(clients[N_CLIENTS - 1], &byte, 1, MSG_DONTWAIT), -1);
    assert_int_equal(errno, ECONNRESET);
    assert_int_equal(recv(clients[0], &byte, 1, MSG_DONTWAIT), -1);
    assert_int_equal(errno, EAGAIN); /* was let in */
    net_accept_stop(na);
    net_fixture_settle(&f);
    net_accept_unref(na);
    for (int i = 0; i < N_CLIENTS; i++)
        (void)close(clients[i]);
    for (int i = 0; i < N; i++)
        (void)close(fds[i]);
}

/* ---- Limits ---- */

static struct net_core_options limited(struct handshake_limits_options limits)
{
    return (struct net_core_options){.n_net_threads = 1,
                                     .default_inactivity_ms = 300 * 1000,
                                     .handshake_budget_ns = INT64_MAX,
                                     .handshake_limits = limits};
}

static int setup_two_at_once(void **state)
{
    const struct net_core_options options =
        limited((struct handshake_limits_options){.max_at_once = 2});

    (void)state;
    open_with(&options);
    return 0;
}

static int setup_one_of_an_address(void **state)
{
    const struct net_core_options options =
        limited((struct handshake_limits_options){.max_at_once_per_address = 1});

    (void)state;
    (void)log_set_levels(VIEW("error"));
    open_with(&options);
    return 0;
}

static int setup_ten_a_second(void **state)
{
    const struct net_core_options options =
        limited((struct handshake_limits_options){.rate_per_s = 10, .burst = 1});

    (void)state;
    open_with(&options);
    return 0;
}

static struct net_accept *listen_for_handshakes(void)
{
    struct net_accept_options o = {
        .accept = {.accepts_per_turn = 10, .backlog = 16, .fd = -1, .linger_s = -1},
        .cont = &user.super,
        .label = VIEW("test"),
    };
    const char *why = "";
    struct net_accept *na;

    assert_int_equal(endpoint_parse(VIEW("127.0.0.1:0"), &o.endpoint), SP_OK);
    na = net_processor_main_accept(&fake_np, &o, &why);
    assert_non_null(na);
    return na;
}

static void stop_listening(struct net_accept *na)
{
    net_accept_stop(na);
    net_fixture_settle(&f);
    net_accept_unref(na);
}

static void pass_time(int ms)
{
    for (int i = 0; i < ms; i += 5)
        net_fixture_pass_ms(&f, 5);
}

static void with_as_many_at_once_as_may_be_the_others_wait_outside(void **state)
{
    struct net_accept *na = listen_for_handshakes();
    int fds[4];

    (void)state;
    script_is(IO_WANT_READ, IO_WANT_READ);
    for (int i = 0; i < 4; i++)
        fds[i] = loopback_connect(&na->bound);
    pass_time(50);
    assert_int_equal(f.nh->n_handshakes, 2);
    script_is(IO_OK, IO_OK);
    peer_says(fds[0], "hello");
    NET_FIXTURE_UNTIL(&f, net_user_count(&user, NET_EVENT_ACCEPT) == 1);
    script_is(IO_WANT_READ, IO_WANT_READ);
    pass_time(50);
    assert_int_equal(f.nh->n_handshakes, 2); /* one that is open has made room for the third */
    for (int i = 0; i < 4; i++)
        (void)close(fds[i]);
    stop_listening(na);
}

/* After a FIN alone our direction would still be open: poll(2), POLLHUP. */
static bool was_reset(int fd)
{
    struct pollfd pfd = {.fd = fd};

    return poll(&pfd, 1, 0) > 0 && (pfd.revents & POLLHUP) != 0;
}

static void who_has_as_many_at_once_as_an_address_may_is_reset(void **state)
{
    struct net_accept *na = listen_for_handshakes();
    int first, second, third;

    (void)state;
    script_is(IO_WANT_READ, IO_WANT_READ);
    first = loopback_connect(&na->bound);
    NET_FIXTURE_UNTIL(&f, f.nh->n_handshakes == 1);
    second = loopback_connect(&na->bound);
    NET_FIXTURE_UNTIL(&f, was_reset(second));
    assert_int_equal(net_throttle_state(f.core->throttle).connections, 1);
    script_is(IO_EOF, IO_EOF);
    (void)close(first);
    NET_FIXTURE_UNTIL(&f, f.nh->n_handshakes == 0);
    script_is(IO_WANT_READ, IO_WANT_READ);
    third = loopback_connect(&na->bound);
    NET_FIXTURE_UNTIL(&f, f.nh->n_handshakes == 1);
    (void)close(second);
    (void)close(third);
    stop_listening(na);
}

static void with_as_many_a_second_as_may_be_the_others_wait_for_their_turn(void **state)
{
    int fds[3];

    (void)state;
    script_is(IO_WANT_TURN, IO_WANT_TURN);
    for (int i = 0; i < 3; i++) {
        (void)accept_fake(&user, &fds[i]);
        peer_says(fds[i], "hello");
    }
    for (int n = 1; n <= 3; n++) {
        net_fixture_settle(&f);
        assert_int_equal(net_user_count(&user, NET_EVENT_ACCEPT), n);
        assert_int_equal(ethread_wait_ms(f.thread) > 0, 1); /* and the loop sleeps meanwhile */
        net_fixture_pass_ms(&f, 60);
        assert_int_equal(net_user_count(&user, NET_EVENT_ACCEPT), n);
        net_fixture_set_clock(net_fixture_now_ms() + 41);
    }
    for (int i = 0; i < 3; i++)
        (void)close(fds[i]);
}

/* ---- Other settings while it runs ---- */

static void other_settings_hold_from_the_next_turn_on(void **state)
{
    struct net_core_options options = limited((struct handshake_limits_options){.max_at_once = 7});
    struct net_core_change *c;

    (void)state;
    options.default_inactivity_ms = 5000;
    options.max_keep_alive = 9;
    options.handshake_budget_ns = 3000000;
    options.handshake_floor_percent = 12;
    options.handshakes = (struct handshake_queue_options){
        .max_waiting = 4, .max_open = 8, .target_wait_us = 1000, .max_wait_us = 2000};
    options.throttle.max_connections = 77;
    net_core_change_abandon(net_core_change_prepare(f.core));
    c = net_core_change_prepare(f.core);
    assert_non_null(c);
    net_core_change_commit(c, &options);
    net_fixture_turn(&f);
    assert_int_equal(f.core->default_inactivity_ms, 5000);
    assert_int_equal(f.core->max_keep_alive, 9);
    assert_int_equal(f.nh->floor.budget_ns, 3000000);
    assert_int_equal(f.nh->floor.percent, 12);
    assert_int_equal(f.nh->handshakes.options.max_waiting, 4);
    assert_int_equal(f.nh->shed.target_us, 1000);
    assert_int_equal(net_throttle_state(f.core->throttle).max_connections, 77);
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
        OVERLOAD_TEST(what_a_thread_does_can_be_seen_from_another),
        OVERLOAD_TEST(under_lasting_overload_who_comes_with_a_hello_is_reset),
        OVERLOAD_TEST(a_backdoor_is_open_under_lasting_overload),
        OVERLOAD_TEST(under_lasting_overload_newcomers_are_not_even_looked_at),
        cmocka_unit_test_setup_teardown(under_lasting_overload_accepting_does_not_rest,
                                        setup_shedding, teardown),
        cmocka_unit_test_setup_teardown(under_lasting_overload_the_excess_is_refused_together,
                                        setup_shedding, teardown),
        OVERLOAD_TEST(accepting_rests_while_a_thread_has_all_that_it_may),
        HANDLER_TEST(other_settings_hold_from_the_next_turn_on),
        cmocka_unit_test_setup_teardown(with_as_many_at_once_as_may_be_the_others_wait_outside,
                                        setup_two_at_once, teardown),
        cmocka_unit_test_setup_teardown(who_has_as_many_at_once_as_an_address_may_is_reset,
                                        setup_one_of_an_address, teardown),
        cmocka_unit_test_setup_teardown(
            with_as_many_a_second_as_may_be_the_others_wait_for_their_turn, setup_ten_a_second,
            teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
