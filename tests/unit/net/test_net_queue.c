/* The queues of idle and busy connections: who goes first under pressure. */
#include "vc_bed.h"

#define N_IDLE 4

static struct net_user idle[N_IDLE];
static int idle_peers[N_IDLE];

static void open_idle(void)
{
    for (int i = 0; i < N_IDLE; i++) {
        net_user_init(&idle[i]);
        idle[i].close_on = VC_EVENT_EVICT;
        idle_peers[i] = net_fixture_connection(&f, &idle[i]);
        (void)net_user_read(&idle[i], INT64_MAX, PAUSE_BYTES);
    }
}

static void close_idle(void)
{
    for (int i = 0; i < N_IDLE; i++) {
        if (idle[i].vc != NULL)
            net_user_close(&idle[i], VC_CLOSE_CLEAN);
        (void)close(idle_peers[i]);
    }
}

static void pressure_costs_the_longest_idle_first(void **state)
{
    (void)state;
    open_idle();
    for (int i = 0; i < N_IDLE; i++)
        net_vc_set_queue(idle[i].vc, VC_QUEUE_KEEP_ALIVE);
    net_vc_set_queue(idle[0].vc, VC_QUEUE_ACTIVE); /* serves a request, and is idle again */
    net_vc_set_queue(idle[0].vc, VC_QUEUE_KEEP_ALIVE);
    net_vc_set_queue(idle[2].vc, VC_QUEUE_ACTIVE);
    assert_int_equal(f.nh->n_keep_alive, 3);
    assert_int_equal(f.nh->n_active, 1);
    assert_int_equal(net_handler_evict_idle(f.nh, 1), 1);
    assert_null(idle[1].vc);
    assert_int_equal(net_handler_evict_idle(f.nh, 1), 1);
    assert_null(idle[3].vc);
    assert_int_equal(net_handler_evict_idle(f.nh, 10), 1);
    assert_null(idle[0].vc);
    assert_non_null(idle[2].vc);
    assert_int_equal(net_handler_evict_idle(f.nh, 10), 0);
    assert_int_equal(f.nh->n_keep_alive, 0);
    assert_int_equal(f.nh->n_active, 1);
    close_idle();
    assert_int_equal(f.nh->n_active, 0);
}

static void a_bound_on_idle_connections_evicts_when_it_is_passed(void **state)
{
    (void)state;
    f.core->max_keep_alive = 2;
    open_idle();
    for (int i = 0; i < N_IDLE; i++)
        net_vc_set_queue(idle[i].vc, VC_QUEUE_KEEP_ALIVE);
    assert_null(idle[0].vc);
    assert_null(idle[1].vc);
    assert_non_null(idle[2].vc);
    assert_non_null(idle[3].vc);
    assert_int_equal(f.nh->n_keep_alive, 2);
    close_idle();
}

static void an_evicted_connection_goes_even_if_its_user_does_not_close_it(void **state)
{
    (void)state;
    (void)net_user_read(&user, INT64_MAX, PAUSE_BYTES);
    net_vc_set_queue(user.vc, VC_QUEUE_KEEP_ALIVE);
    assert_int_equal(net_handler_evict_idle(f.nh, 1), 1);
    assert_int_equal(net_user_last(&user), VC_EVENT_EVICT);
    net_fixture_settle(&f);
    assert_int_equal(f.nh->n_open, 0);
    assert_true(net_fixture_ends_clean(&f, peer));
}

static void busy_when_asked(struct net_user *u, int event, void *data)
{
    (void)data;
    if (event == VC_EVENT_READ_READY)
        net_vc_set_queue(u->vc, VC_QUEUE_ACTIVE);
}

/* Somebody else needs room in the very moment in which its request has arrived and was not read. */
static void who_has_just_sent_a_request_is_not_idle(void **state)
{
    (void)state;
    user.act = busy_when_asked;
    (void)net_user_read(&user, INT64_MAX, PAUSE_BYTES);
    net_vc_set_queue(user.vc, VC_QUEUE_KEEP_ALIVE);
    net_fixture_settle(&f);
    peer_says("GET / HTTP/1.1");
    net_core_relieve(f.core);
    net_fixture_settle(&f);
    assert_int_equal(net_user_count(&user, VC_EVENT_EVICT), 0);
    assert_int_equal(f.nh->n_active, 1);
}

static void when_room_is_asked_for_the_longest_idle_goes(void **state)
{
    (void)state;
    open_idle();
    for (int i = 0; i < N_IDLE; i++)
        net_vc_set_queue(idle[i].vc, VC_QUEUE_KEEP_ALIVE);
    net_core_relieve(f.core);
    net_core_relieve(f.core); /* asked twice before it could: once */
    net_fixture_settle(&f);
    assert_null(idle[0].vc);
    assert_non_null(idle[1].vc);
    net_core_relieve(f.core);
    net_fixture_settle(&f);
    assert_null(idle[1].vc);
    close_idle();
}

#define VC_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        VC_TEST(pressure_costs_the_longest_idle_first),
        VC_TEST(a_bound_on_idle_connections_evicts_when_it_is_passed),
        VC_TEST(who_has_just_sent_a_request_is_not_idle),
        VC_TEST(when_room_is_asked_for_the_longest_idle_goes),
        VC_TEST(an_evicted_connection_goes_even_if_its_user_does_not_close_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
