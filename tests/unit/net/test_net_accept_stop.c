/* How a listener ends: refused are those who come, never those who are here. */
#include "accept_bed.h"

static void a_stopped_listener_refuses_and_its_connections_go_on(void **state)
{
    static const struct {
        enum accept_mode mode;
        bool reuse_port;
    } rows[] = {{ACCEPT_PER_THREAD, false},
                {ACCEPT_PER_THREAD, true},
                {ACCEPT_SINGLE, false},
                {ACCEPT_DEDICATED, false}};

    (void)state;
    for (size_t i = 0; i < SP_COUNT_OF(rows); i++) {
        struct net_accept_options o = options_for("127.0.0.1:0");
        struct net_accept *na;
        struct endpoint bound;
        struct clients c;
        int64_t since_ms;

        o.accept.mode = rows[i].mode;
        o.accept.reuse_port = rows[i].reuse_port;
        o.accept.threads = 2;
        n_told = 0;
        na = open_listener(&o);
        bound = na->bound;
        clients_connect(&c, &bound, 3);
        until_told(3);
        stop_listener(na);
        since_ms = net_fixture_real_ms();
        while (!is_refused(&bound)) {
            turn_all();
            net_fixture_check_patience(since_ms, "refusal");
        }
        assert_false(has_ended(c.fds[0]));
        for (int k = 0; k < 3; k++) {
            assert_ptr_equal(told[k]->accept, na);
            net_fixture_use(&f, told_on[k]);
            net_vc_do_io_close(told[k], VC_CLOSE_CLEAN);
        }
        turn_all();
        clients_close(&c);
    }
}

/* They had been let in by the system: turning them away now would be a failed request. */
static void who_had_connected_before_the_stop_is_still_served(void **state)
{
    static const enum accept_mode modes[] = {ACCEPT_PER_THREAD, ACCEPT_SINGLE, ACCEPT_DEDICATED};

    (void)state;
    for (size_t i = 0; i < SP_COUNT_OF(modes); i++) {
        struct net_accept_options o = options_for("127.0.0.1:0");
        struct net_accept *na;
        struct clients c;

        o.accept.mode = modes[i];
        o.accept.reuse_port = true;
        n_told = 0;
        na = open_listener(&o);
        turn_all();
        clients_connect(&c, &na->bound, N_CLIENTS);
        stop_listener(na);
        until_told(N_CLIENTS);
        for (int k = 0; k < N_CLIENTS; k++)
            assert_false(has_ended(c.fds[k]));
        clients_close(&c);
    }
}

static void a_listener_can_be_stopped_while_it_rests(void **state)
{
    struct net_accept_options o = options_for("127.0.0.1:0");
    struct net_accept *na;
    struct clients c;

    (void)state;
    na = open_listener(&o);
    clients_connect(&c, &na->bound, 3);
    until_told(2);
    stop_listener(na);
    net_fixture_pass_ms(&f, 1000);
    assert_int_equal(n_told, 2);
    assert_true(has_ended(c.fds[2]));
    clients_close(&c);
}

static void a_listener_can_be_stopped_before_its_threads_heard_of_it(void **state)
{
    struct net_accept_options o = options_for("127.0.0.1:0");
    struct net_accept *na = open_listener(&o);

    (void)state;
    net_accept_stop(na);
    net_accept_stop(na);
    net_accept_unref(na);
    /* The threads never have a turn: what was posted to them is let go at the end. */
}

static void stop_in_call(struct net_vconnection *vc)
{
    struct net_accept *na = vc->accept;

    net_accept_stop(na);
    net_vc_do_io_close(vc, VC_CLOSE_CLEAN);
}

static int accepted_and_stop(struct continuation *c, int event, void *data)
{
    (void)c;
    (void)event;
    n_told++;
    stop_in_call(data);
    return EVENT_DONE;
}

static void a_listener_can_be_stopped_by_the_connection_that_it_made(void **state)
{
    struct continuation stopper;
    struct net_accept_options o = options_for("127.0.0.1:0");
    struct net_accept *na;
    struct clients c;

    (void)state;
    continuation_init(&stopper, "stopper", accepted_and_stop);
    o.cont = &stopper;
    na = open_listener(&o);
    clients_connect(&c, &na->bound, 1);
    until_told(1);
    turn_all();
    assert_true(is_refused(&na->bound));
    net_accept_unref(na);
    clients_close(&c);
}

#define ACCEPT_TEST(name)       cmocka_unit_test_setup_teardown(name, setup, teardown)
#define LIMIT_TEST(name, limit) cmocka_unit_test_setup_teardown(name, setup_##limit, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ACCEPT_TEST(a_stopped_listener_refuses_and_its_connections_go_on),
        ACCEPT_TEST(who_had_connected_before_the_stop_is_still_served),
        LIMIT_TEST(a_listener_can_be_stopped_while_it_rests, two_at_most),
        ACCEPT_TEST(a_listener_can_be_stopped_before_its_threads_heard_of_it),
        ACCEPT_TEST(a_listener_can_be_stopped_by_the_connection_that_it_made),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
