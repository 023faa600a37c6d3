/* Listeners over loopback: what errors, modes and throttles make of them. */
#include "accept_bed.h"

#include <sys/resource.h>

/* ---- Errors of accept(2) ---- */

static void each_error_has_its_severity(void **state)
{
    static const struct {
        int error_number;
        enum accept_severity severity;
    } rows[] = {
        {EAGAIN, ACCEPT_ERROR_IGNORE},
        {EINTR, ACCEPT_ERROR_IGNORE},
        {ECONNABORTED, ACCEPT_ERROR_TRANSIENT},
        {ENETDOWN, ACCEPT_ERROR_TRANSIENT},
        {EPROTO, ACCEPT_ERROR_TRANSIENT},
        {ENOPROTOOPT, ACCEPT_ERROR_TRANSIENT},
        {EHOSTDOWN, ACCEPT_ERROR_TRANSIENT},
        {ENONET, ACCEPT_ERROR_TRANSIENT},
        {EHOSTUNREACH, ACCEPT_ERROR_TRANSIENT},
        {EOPNOTSUPP, ACCEPT_ERROR_TRANSIENT},
        {ENETUNREACH, ACCEPT_ERROR_TRANSIENT},
        {EPERM, ACCEPT_ERROR_TRANSIENT},
        {ETIMEDOUT, ACCEPT_ERROR_TRANSIENT},
        {EMFILE, ACCEPT_ERROR_WARN},
        {ENFILE, ACCEPT_ERROR_WARN},
        {ENOBUFS, ACCEPT_ERROR_WARN},
        {ENOMEM, ACCEPT_ERROR_WARN},
        {EBADF, ACCEPT_ERROR_FATAL},
        {EINVAL, ACCEPT_ERROR_FATAL},
        {ENOTSOCK, ACCEPT_ERROR_FATAL},
        {EFAULT, ACCEPT_ERROR_FATAL},
    };

    (void)state;
    for (size_t i = 0; i < SP_COUNT_OF(rows); i++)
        assert_int_equal(accept_severity_of(rows[i].error_number), rows[i].severity);
}

static void an_error_of_the_moment_costs_nobody_else(void **state)
{
    static const int errors[] = {ECONNABORTED, EINTR, EPROTO};
    struct net_accept_options o = options_for("127.0.0.1:0");
    struct net_accept *na = open_listener(&o);
    struct clients c;

    (void)state;
    for (size_t i = 0; i < SP_COUNT_OF(errors); i++) {
        clients_connect(&c, &na->bound, 2);
        accept_errno = errors[i];
        until_told(2 * (int)i + 2);
        clients_close(&c);
    }
    stop_listener(na);
}

/* On one thread; the client waits to be accepted. */
static struct net_accept *open_with_a_client(struct clients *c)
{
    struct net_accept_options o = options_for("127.0.0.1:0");
    struct net_accept *na;

    o.accept.mode = ACCEPT_SINGLE;
    na = open_listener(&o);
    clients_connect(c, &na->bound, 1);
    return na;
}

static void a_want_of_descriptors_rests_the_listener_and_costs_an_idle_connection(void **state)
{
    struct net_accept *na;
    struct clients idle, c;

    (void)state;
    na = open_with_a_client(&idle);
    until_told(1);
    assert_ptr_equal(told_on[0], net_thread(0)); /* whose listener it is */
    net_vc_set_queue(told[0], VC_QUEUE_KEEP_ALIVE);
    clients_connect(&c, &na->bound, 1);
    for (int round = 0; round < 3; round++) {
        int n_calls;

        accept_errno = EMFILE;
        net_fixture_pass_ms(&f, 20);
        turn_all();
        assert_int_equal(accept_errno, 0);
        assert_int_equal(net_throttle_state(f.core->throttle).connections, 0);
        n_calls = n_accept_calls;
        turn_all(); /* nobody spins meanwhile */
        assert_int_equal(n_accept_calls, n_calls);
    }
    net_fixture_pass_ms(&f, 20);
    until_told(2);
    clients_close(&idle);
    clients_close(&c);
    stop_listener(na);
}

/* Another one that has the socket refused those who waited (net_socket_refuse_waiting()). */
static void a_socket_that_did_not_listen_for_a_moment_goes_on(void **state)
{
    struct net_accept *na;
    struct clients c;

    (void)state;
    na = open_with_a_client(&c);
    accept_errno = EINVAL;
    until_told(1);
    assert_int_equal(n_failed, 0);
    clients_close(&c);
    stop_listener(na);
}

static void a_broken_listener_is_told_once_and_closed(void **state)
{
    struct net_accept *na;
    struct clients c;

    (void)state;
    na = open_with_a_client(&c);
    accept_errno = EBADF;
    turn_all();
    assert_int_equal(n_failed, 1);
    turn_all();
    net_fixture_pass_ms(&f, 1000);
    assert_int_equal(n_failed, 1);
    assert_int_equal(n_told, 0);
    stop_listener(na);
    assert_true(has_ended(c.fds[0]));
    clients_close(&c);
}

static void a_listener_that_every_thread_finds_broken_is_told_once(void **state)
{
    struct net_accept_options o = options_for("127.0.0.1:0");
    struct net_accept *na = open_listener(&o);
    struct clients c;

    (void)state;
    clients_connect(&c, &na->bound, 1);
    for (int i = 0; i < 3; i++) {
        accept_errno = EBADF;
        net_fixture_use(&f, net_thread(i));
        net_fixture_settle(&f);
    }
    assert_int_equal(n_failed, 1);
    accept_errno = 0;
    stop_listener(na);
    clients_close(&c);
}

/* ---- Modes ---- */

static void every_thread_accepts_for_itself(void **state)
{
    struct net_accept_options o = options_for("127.0.0.1:0");
    struct net_accept *na = open_listener(&o);
    struct clients c;

    (void)state;
    turn_all();
    for (int i = 0; i < 3; i++) {
        clients_connect(&c, &na->bound, 2);
        net_fixture_use(&f, net_thread(i));
        net_fixture_settle(&f);
        assert_int_equal(told_on_thread(net_thread(i)), 2);
        clients_close(&c);
    }
    stop_listener(na);
}

static void with_reuse_port_every_thread_has_a_socket_of_its_own(void **state)
{
    struct net_accept_options o = options_for("127.0.0.1:0");
    struct net_accept *na;
    struct clients c;

    (void)state;
    o.accept.reuse_port = true;
    na = open_listener(&o);
    assert_int_equal(na->n_slots, 3);
    for (int i = 0; i < 3; i++) {
        struct endpoint at = {.len = sizeof(at.storage)};

        assert_true(na->slots[i].owns_fd);
        assert_int_equal(getsockname(na->slots[i].fd, &at.sa, &at.len), 0);
        assert_int_equal(endpoint_port(&at), endpoint_port(&na->bound));
    }
    assert_int_not_equal(na->slots[0].fd, na->slots[1].fd);
    clients_connect(&c, &na->bound, N_CLIENTS);
    until_told(N_CLIENTS); /* whichever socket the system chose for each */
    clients_close(&c);
    stop_listener(na);
}

static void a_single_thread_accepts_for_all(void **state)
{
    struct net_accept_options o = options_for("127.0.0.1:0");
    struct net_accept *na;
    struct clients c;

    (void)state;
    o.accept.mode = ACCEPT_SINGLE;
    na = open_listener(&o);
    for (int i = 1; i <= 6; i++) { /* one by one, and still in turn */
        clients_connect(&c, &na->bound, 1);
        until_told(i);
        clients_close(&c);
    }
    for (int i = 0; i < 3; i++)
        assert_int_equal(told_on_thread(net_thread(i)), 2);
    stop_listener(na);
}

static void accept_threads_accept_for_all(void **state)
{
    struct net_accept_options o = options_for("127.0.0.1:0");
    struct net_accept *na;
    struct clients c;

    (void)state;
    o.accept.mode = ACCEPT_DEDICATED;
    o.accept.threads = 2;
    na = open_listener(&o);
    assert_int_equal(na->n_dedicated, 2);
    clients_connect(&c, &na->bound, N_CLIENTS);
    until_told(N_CLIENTS);
    for (int i = 0; i < 3; i++)
        assert_int_equal(told_on_thread(net_thread(i)), N_CLIENTS / 3);
    clients_close(&c);
    stop_listener(na);
}

static void a_turn_accepts_no_more_than_its_bound(void **state)
{
    struct net_accept_options o = options_for("127.0.0.1:0");
    struct net_accept *na;
    struct clients c;

    (void)state;
    o.accept.accepts_per_turn = 2;
    na = open_listener(&o);
    turn_all();
    clients_connect(&c, &na->bound, 5);
    for (int i = 1; i <= 3; i++) {
        net_fixture_turn(&f);
        assert_int_equal(n_told, i < 3 ? 2 * i : 5);
    }
    clients_close(&c);
    stop_listener(na);
}

static void an_accepted_connection_knows_both_ends(void **state)
{
    struct net_accept_options o = options_for("127.0.0.1:0");
    struct net_accept *na = open_listener(&o);
    struct endpoint mine = {.len = sizeof(mine.storage)};
    struct clients c;

    (void)state;
    clients_connect(&c, &na->bound, 1);
    until_told(1);
    assert_int_equal(getsockname(c.fds[0], &mine.sa, &mine.len), 0);
    assert_int_equal(ip_endpoint_port(&told[0]->remote), endpoint_port(&mine));
    assert_int_equal(ip_endpoint_port(&told[0]->client), endpoint_port(&mine));
    assert_int_equal(ip_endpoint_port(net_vc_local(told[0])), endpoint_port(&na->bound));
    assert_ptr_equal(told[0]->accept, na);
    assert_true(told[0]->throttled);
    assert_int_equal(fcntl(told[0]->fd, F_GETFL) & O_NONBLOCK, O_NONBLOCK);
    assert_int_equal(fcntl(told[0]->fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
    clients_close(&c);
    stop_listener(na);
}

/* ---- Throttles ---- */

static void at_the_total_accepting_pauses_and_goes_on_when_there_is_room(void **state)
{
    static const enum accept_mode modes[] = {ACCEPT_PER_THREAD, ACCEPT_DEDICATED};

    (void)state;
    for (size_t i = 0; i < SP_COUNT_OF(modes); i++) {
        struct net_accept_options o = options_for("127.0.0.1:0");
        struct net_accept *na;
        struct clients c;

        o.accept.mode = modes[i];
        na = open_listener(&o);
        n_told = 0;
        clients_connect(&c, &na->bound, 4);
        until_told(2);
        for (int k = 0; k < 5; k++)
            net_fixture_pass_ms(&f, 20);
        assert_int_equal(n_told, 2);
        assert_false(has_ended(c.fds[2])); /* it waits, and is not turned away */
        net_vc_do_io_close(told[0], VC_CLOSE_CLEAN);
        net_fixture_pass_ms(&f, 20);
        until_told(3);
        net_vc_do_io_close(told[1], VC_CLOSE_CLEAN);
        net_fixture_pass_ms(&f, 20);
        until_told(4);
        net_vc_do_io_close(told[2], VC_CLOSE_CLEAN);
        net_vc_do_io_close(told[3], VC_CLOSE_CLEAN);
        clients_close(&c);
        stop_listener(na);
    }
}

static void at_the_total_idle_connections_make_room_for_who_waits(void **state)
{
    struct net_accept_options o = options_for("127.0.0.1:0");
    struct net_accept *na = open_listener(&o);
    struct clients c;

    (void)state;
    clients_connect(&c, &na->bound, 2);
    until_told(2);
    net_vc_set_queue(told[1], VC_QUEUE_KEEP_ALIVE);
    net_vc_set_queue(told[0], VC_QUEUE_KEEP_ALIVE);
    for (int i = 0; i < 5; i++)
        net_fixture_pass_ms(&f, 20);
    assert_int_equal(f.nh->n_keep_alive, 2); /* nobody needs the room */
    clients_close(&c);
    turn_all();
    clients_connect(&c, &na->bound, 1);
    for (int i = 0; i < 3; i++)
        net_fixture_pass_ms(&f, 20);
    assert_int_equal(n_told, 3);
    assert_int_equal(f.nh->n_keep_alive, 1);
    assert_int_equal(told[0]->queue, VC_QUEUE_KEEP_ALIVE); /* the longest idle one went */
    clients_close(&c);
    stop_listener(na);
}

static void a_backdoor_is_open_when_all_else_is_full(void **state)
{
    struct net_accept_options o = options_for("127.0.0.1:0");
    struct net_accept *front, *back;
    struct clients c, health;

    (void)state;
    front = open_listener(&o);
    o.accept.backdoor = true;
    back = open_listener(&o);
    clients_connect(&c, &front->bound, 3);
    until_told(2);
    clients_connect(&health, &back->bound, 3);
    until_told(5);
    for (int i = 2; i < 5; i++) {
        assert_ptr_equal(told[i]->accept, back);
        assert_false(told[i]->throttled);
        net_vc_do_io_close(told[i], VC_CLOSE_CLEAN);
    }
    assert_int_equal(net_throttle_state(f.core->throttle).connections, 2);
    clients_close(&c);
    clients_close(&health);
    stop_listener(front);
    stop_listener(back);
}

static int setup_one_per_address(void **state)
{
    struct net_core_options options = {.n_net_threads = 1,
                                       .throttle.max_connections_per_address = 1};

    (void)state;
    open_core(&options);
    return 0;
}

static void who_has_too_many_is_turned_away_at_once(void **state)
{
    struct net_accept_options o = options_for("127.0.0.1:0");
    struct net_accept *na = open_listener(&o);
    struct clients c;

    (void)state;
    clients_connect(&c, &na->bound, 3);
    until_told(1);
    turn_all();
    assert_int_equal(n_told, 1);
    assert_false(has_ended(c.fds[0]));
    assert_true(has_ended(c.fds[1]));
    assert_true(has_ended(c.fds[2]));
    net_vc_do_io_close(told[0], VC_CLOSE_CLEAN);
    clients_close(&c);
    clients_connect(&c, &na->bound, 1);
    until_told(2);
    clients_close(&c);
    stop_listener(na);
}

/* The descriptors run out at 100: 97 is an emergency, 99 the worst. */
static int setup_few_descriptors(void **state)
{
    struct rlimit before, few;
    int rc;

    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    few = before;
    few.rlim_cur = 100;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
    rc = setup(state);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    return rc;
}

static void when_descriptors_run_low_accepting_rests(void **state)
{
    struct net_accept_options o = options_for("127.0.0.1:0");
    struct net_accept *na;
    struct clients c;

    (void)state;
    o.accept.mode = ACCEPT_SINGLE;
    na = open_listener(&o);
    clients_connect(&c, &na->bound, 3);
    accept_min_fd = 97;
    until_told(1);
    turn_all();
    assert_int_equal(n_told, 1); /* it was served, the next one waits */
    accept_min_fd = 99;
    net_fixture_pass_ms(&f, 50);
    turn_all();
    assert_int_equal(n_told, 1); /* this one is turned away */
    assert_true(has_ended(c.fds[1]));
    assert_false(has_ended(c.fds[2]));
    accept_min_fd = 0;
    net_fixture_pass_ms(&f, 1000);
    until_told(2);
    clients_close(&c);
    stop_listener(na);
}

#define ACCEPT_TEST(name)       cmocka_unit_test_setup_teardown(name, setup, teardown)
#define LIMIT_TEST(name, limit) cmocka_unit_test_setup_teardown(name, setup_##limit, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_error_has_its_severity),
        ACCEPT_TEST(an_error_of_the_moment_costs_nobody_else),
        ACCEPT_TEST(a_want_of_descriptors_rests_the_listener_and_costs_an_idle_connection),
        ACCEPT_TEST(a_socket_that_did_not_listen_for_a_moment_goes_on),
        ACCEPT_TEST(a_broken_listener_is_told_once_and_closed),
        ACCEPT_TEST(a_listener_that_every_thread_finds_broken_is_told_once),
        ACCEPT_TEST(every_thread_accepts_for_itself),
        ACCEPT_TEST(with_reuse_port_every_thread_has_a_socket_of_its_own),
        ACCEPT_TEST(a_single_thread_accepts_for_all),
        ACCEPT_TEST(accept_threads_accept_for_all),
        ACCEPT_TEST(a_turn_accepts_no_more_than_its_bound),
        ACCEPT_TEST(an_accepted_connection_knows_both_ends),
        LIMIT_TEST(at_the_total_accepting_pauses_and_goes_on_when_there_is_room, two_at_most),
        LIMIT_TEST(at_the_total_idle_connections_make_room_for_who_waits, two_at_most),
        LIMIT_TEST(a_backdoor_is_open_when_all_else_is_full, two_at_most),
        LIMIT_TEST(who_has_too_many_is_turned_away_at_once, one_per_address),
        LIMIT_TEST(when_descriptors_run_low_accepting_rests, few_descriptors),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
