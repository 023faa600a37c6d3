/* The end of connections: inside each event, several in one batch, with their thread. */
#include "vc_bed.h"

/* ---- Closing inside a call ---- */

static void provoke_read(void)
{
    (void)net_user_read(&user, INT64_MAX, PAUSE_BYTES);
    peer_says("abc");
    (void)shutdown(peer, SHUT_WR); /* an end, right behind: must not be told any more */
}

static void provoke_read_complete(void)
{
    (void)net_user_read(&user, 2, PAUSE_BYTES);
    peer_says("abc");
}

static void provoke_eos(void)
{
    (void)net_user_read(&user, INT64_MAX, PAUSE_BYTES);
    net_user_say(&user, "abc", 3);
    (void)shutdown(peer, SHUT_WR);
}

static void provoke_error(void)
{
    (void)net_user_read(&user, INT64_MAX, PAUSE_BYTES);
    (void)net_user_write(&user, INT64_MAX, 0);
    peer_resets(peer);
}

static void provoke_write_ready(void)
{
    net_user_say(&user, "abc", 3);
    (void)net_user_write(&user, INT64_MAX, 0);
    net_vc_do_io_shutdown(user.vc, VC_SHUTDOWN_WRITE);
    peer_says("abc");
    (void)net_user_read(&user, INT64_MAX, PAUSE_BYTES);
    (void)net_vc_do_io_read(user.vc, NULL, 0, NULL, 0);
}

static void provoke_write_complete(void)
{
    net_user_say(&user, "abc", 3);
    (void)net_user_write(&user, 3, 0);
}

static void provoke_inactivity(void)
{
    (void)net_user_read(&user, INT64_MAX, PAUSE_BYTES);
    net_vc_set_inactivity_timeout(user.vc, 10);
    net_vc_set_active_timeout(user.vc, 10);
}

static void provoke_active(void)
{
    (void)net_user_read(&user, INT64_MAX, PAUSE_BYTES);
    net_vc_set_active_timeout(user.vc, 10);
}

static void provoke_evict(void)
{
    (void)net_user_read(&user, INT64_MAX, PAUSE_BYTES);
    net_vc_set_queue(user.vc, VC_QUEUE_KEEP_ALIVE);
    assert_int_equal(net_handler_evict_idle(f.nh, 5), 1);
}

static void a_close_inside_each_event_is_the_last_event(void **state)
{
    static const struct {
        int event;
        void (*provoke)(void);
    } rows[] = {
        {VC_EVENT_READ_READY, provoke_read},
        {VC_EVENT_READ_COMPLETE, provoke_read_complete},
        {VC_EVENT_EOS, provoke_eos},
        {VC_EVENT_ERROR, provoke_error},
        {VC_EVENT_WRITE_READY, provoke_write_ready},
        {VC_EVENT_WRITE_COMPLETE, provoke_write_complete},
        {VC_EVENT_INACTIVITY_TIMEOUT, provoke_inactivity},
        {VC_EVENT_ACTIVE_TIMEOUT, provoke_active},
        {VC_EVENT_EVICT, provoke_evict},
    };

    for (size_t i = 0; i < 2 * SP_COUNT_OF(rows); i++) {
        user.close_on = rows[i / 2].event;
        user.how = i % 2 == 0 ? VC_CLOSE_CLEAN : VC_CLOSE_ABORT;
        rows[i / 2].provoke();
        net_fixture_pass_ms(&f, 100);
        assert_null(user.vc);
        assert_int_equal(user.n_events, 1);
        assert_int_equal(f.nh->n_open, 0);
        assert_int_equal(teardown(state), 0);
        assert_int_equal(setup(state), 0);
    }
}

static int close_on_accept(struct continuation *c, int event, void *data)
{
    (void)c;
    (void)event;
    net_vc_do_io_close(data, VC_CLOSE_CLEAN);
    return EVENT_DONE;
}

static void a_close_inside_the_accept_event_is_fine(void **state)
{
    struct continuation closer;
    struct net_vconnection *vc;
    int ends[2];

    (void)state;
    continuation_init(&closer, "closer", close_on_accept);
    loopback_pair(ends);
    f.listener.options.cont = &closer;
    vc = f.np.ops->allocate_vc(&f.np, net_accept_ref(&f.listener), ends[1]);
    net_vc_start(vc, f.thread);
    assert_int_equal(f.nh->n_open, 1);
    net_fixture_settle(&f);
    assert_true(net_fixture_ends_clean(&f, ends[0]));
    (void)close(ends[0]);
}

/* Several connections that are ready in the same batch: the first one called closes all. */
#define N_TOGETHER 5

static struct net_user together[N_TOGETHER];
static int n_together_called;

static void close_all_of_us(struct net_user *u, int event, void *data)
{
    (void)u;
    (void)event;
    (void)data;
    n_together_called++;
    for (int i = 0; i < N_TOGETHER; i++)
        net_user_close(&together[i], i % 2 == 0 ? VC_CLOSE_CLEAN : VC_CLOSE_ABORT);
}

static void connections_closed_by_another_of_the_same_batch_are_not_called(void **state)
{
    int peers[N_TOGETHER];

    (void)state;
    n_together_called = 0;
    for (int i = 0; i < N_TOGETHER; i++) {
        net_user_init(&together[i]);
        peers[i] = net_fixture_connection(&f, &together[i]);
        (void)net_user_read(&together[i], INT64_MAX, PAUSE_BYTES);
        net_user_say(&together[i], "abc", 3);
        (void)net_user_write(&together[i], INT64_MAX, 0);
        together[i].act = close_all_of_us;
        assert_int_equal(send(peers[i], "abc", 3, 0), 3);
        if (i == 3)
            peer_resets(peers[i]);
    }
    net_fixture_turn(&f);
    assert_int_equal(n_together_called, 1);
    assert_int_equal(f.nh->n_open, 1);
    for (int i = 0; i < N_TOGETHER; i++) {
        net_user_fini(&together[i]);
        if (i != 3)
            (void)close(peers[i]);
    }
}

static void closing_twice_is_harmless(void **state)
{
    struct net_vconnection *vc = user.vc;

    (void)state;
    net_vc_do_io_close(vc, VC_CLOSE_CLEAN);
    net_vc_do_io_close(vc, VC_CLOSE_ABORT);
    net_vc_do_io_shutdown(vc, VC_SHUTDOWN_WRITE);
    vio_reenable(&vc->read.vio);
    net_vc_set_queue(vc, VC_QUEUE_ACTIVE);
    assert_int_equal(vc->fd, -1);
    net_fixture_settle(&f);
    assert_int_equal(user.n_events, 0);
}

/* ---- The thread ends ---- */

void net_handler_close_all(struct net_handler *nh);

static void a_thread_that_ends_tells_its_users(void **state)
{
    struct net_user writer;
    int writer_peer;

    (void)state;
    net_user_init(&writer);
    writer_peer = net_fixture_connection(&f, &writer);
    (void)net_user_read(&user, INT64_MAX, PAUSE_BYTES);
    (void)net_user_write(&writer, INT64_MAX, 0);
    net_handler_close_all(f.nh);
    assert_int_equal(net_user_last(&user), VC_EVENT_ERROR);
    assert_int_equal(net_user_last(&writer), VC_EVENT_ERROR);
    assert_int_equal(f.nh->n_open, 0);
    (void)close(writer_peer);
}

#define VC_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        VC_TEST(a_close_inside_each_event_is_the_last_event),
        VC_TEST(a_close_inside_the_accept_event_is_fine),
        VC_TEST(connections_closed_by_another_of_the_same_batch_are_not_called),
        VC_TEST(closing_twice_is_harmless),
        VC_TEST(a_thread_that_ends_tells_its_users),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
