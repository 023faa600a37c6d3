/* Connections before they are usable: steps, the move to a data thread, outgoing ones. */
#include "scripted_vc.h"

/* ---- A handshake ---- */

static void a_handshake_is_stepped_when_what_it_wants_is_there(void **state)
{
    (void)state;
    script_is(IO_WANT_READ, IO_OK);
    (void)accept_fake(&user, &peer);
    net_fixture_settle(&f);
    assert_int_equal(script.n_steps, 0); /* nothing has arrived */
    peer_says(peer, "hello");
    net_fixture_settle(&f);
    assert_int_equal(script.n_steps, 1);
    assert_int_equal(user.n_events, 0);
    assert_int_equal(f.nh->n_handshakes, 1);
    peer_says(peer, "finished");
    net_fixture_settle(&f);
    assert_int_equal(script.n_steps, 2);
    assert_int_equal(net_user_last(&user), NET_EVENT_ACCEPT);
    assert_int_equal(f.nh->n_handshakes, 0);
    (void)net_user_read(&user, INT64_MAX, PAUSE_BYTES); /* arrived with the last step */
    net_fixture_settle(&f);
    assert_int_equal(user.in.len, 8);
}

static void a_handshake_that_wants_to_write_waits_for_room_and_for_nothing_else(void **state)
{
    struct net_vconnection *vc;
    size_t stuffed;

    (void)state;
    script_is(IO_WANT_WRITE, IO_OK);
    vc = accept_fake(&user, &peer);
    stuffed = stuff(vc->fd);
    peer_says(peer, "hello");
    net_fixture_settle(&f);
    assert_int_equal(script.n_steps, 1);
    peer_says(peer, "more");
    net_fixture_settle(&f);
    assert_int_equal(script.n_steps, 1); /* that is not what it waits for */
    unstuff(peer, stuffed);
    NET_FIXTURE_UNTIL(&f, script.n_steps == 2);
    assert_int_equal(net_user_last(&user), NET_EVENT_ACCEPT);
    (void)net_user_read(&user, INT64_MAX, PAUSE_BYTES);
    net_fixture_settle(&f);
    assert_int_equal(user.in.len, 9);
}

static void what_a_transport_holds_ready_starts_its_handshake(void **state)
{
    (void)state;
    script_is(IO_WANT_READ, IO_WANT_READ);
    script.pending = true;
    (void)accept_fake(&user, &peer);
    net_fixture_turn(&f);
    assert_int_equal(script.n_steps, 1);
}

static void a_handshake_that_fails_ends_the_connection_cleanly(void **state)
{
    static const enum io_status ends[] = {IO_ERROR, IO_EOF};

    (void)state;
    for (size_t i = 0; i < SP_COUNT_OF(ends); i++) {
        script_is(ends[i], ends[i]);
        (void)accept_fake(&user, &peer);
        peer_says(peer, "x");
        net_fixture_settle(&f);
        assert_true(script.ended);
        assert_int_equal(script.how, VC_CLOSE_CLEAN); /* an alert must get through */
        assert_int_equal(script.n_destroyed, 1);
        assert_int_equal(user.n_events, 0);
        assert_int_equal(f.nh->n_handshakes, 0);
        (void)close(peer);
    }
    peer = -1;
}

static void a_handshake_that_takes_too_long_is_cut(void **state)
{
    struct net_vconnection *vc;

    (void)state;
    script_is(IO_WANT_READ, IO_WANT_READ);
    vc = accept_fake(&user, &peer);
    net_vc_set_active_timeout(vc, 1000);
    for (int i = 0; i < 9; i++) {
        peer_says(peer, "x");
        net_fixture_pass_ms(&f, 100);
    }
    assert_false(script.ended);
    net_fixture_pass_ms(&f, 100);
    assert_true(script.ended);
    assert_int_equal(script.how, VC_CLOSE_ABORT);
    assert_int_equal(user.n_events, 0);
}

static void the_timeout_of_the_handshake_ends_with_it(void **state)
{
    struct net_vconnection *vc;

    (void)state;
    script_is(IO_OK, IO_OK);
    vc = accept_fake(&user, &peer);
    net_vc_set_active_timeout(vc, 1000);
    peer_says(peer, "x");
    net_fixture_settle(&f);
    (void)net_user_read(&user, INT64_MAX, PAUSE_BYTES);
    net_fixture_pass_ms(&f, 10000);
    assert_int_equal(net_user_count(&user, VC_EVENT_ACTIVE_TIMEOUT), 0);
    assert_false(script.ended);
}

/* ---- From ET_SSL to ET_NET ---- */

static struct ethread *ssl_thread, *data_thread;

static int setup_migration(void **state)
{
    (void)state;
    (void)setup(state);
    data_thread = f.thread;
    event_type = event_processor_register(f.ep, "ET_SSL");
    assert_int_equal(net_core_spawn(f.core, event_type, 1, 0), SP_OK);
    ssl_thread = f.ep->groups[event_type].threads[0];
    net_fixture_use(&f, ssl_thread);
    return 0;
}

static void a_connection_moves_to_a_data_thread_when_its_handshake_is_over(void **state)
{
    struct net_vconnection *vc;
    struct net_handler *ssl_nh = f.nh;

    (void)state;
    script_is(IO_WANT_READ, IO_OK);
    vc = accept_fake(&user, &peer);
    peer_says(peer, "hello");
    net_fixture_settle(&f);
    assert_int_equal(ssl_nh->n_open, 1);
    peer_says(peer, "finished, and data"); /* stays in the socket: the new poll set tells of it */
    net_fixture_settle(&f);
    assert_int_equal(script.n_detached, 1);
    assert_int_equal(ssl_nh->n_open, 0);
    assert_int_equal(user.n_events, 0); /* not on this thread */
    net_fixture_use(&f, data_thread);
    net_fixture_settle(&f);
    assert_int_equal(net_user_last(&user), NET_EVENT_ACCEPT);
    assert_ptr_equal(vc->thread, data_thread);
    assert_ptr_equal(vc->nh, f.nh);
    assert_int_equal(f.nh->n_open, 1);
    (void)net_user_read(&user, INT64_MAX, PAUSE_BYTES);
    net_fixture_settle(&f);
    assert_int_equal(user.in.len, 18);
    net_vc_set_inactivity_timeout(vc, 50); /* its timers are the new thread's */
    net_fixture_pass_ms(&f, 50);
    assert_int_equal(net_user_last(&user), VC_EVENT_INACTIVITY_TIMEOUT);
    assert_int_equal(script.n_destroyed, 0);
}

static void what_the_transport_read_ahead_moves_with_it(void **state)
{
    (void)state;
    script_is(IO_OK, IO_OK);
    (void)accept_fake(&user, &peer);
    peer_says(peer, "x");
    net_fixture_settle(&f);
    script.pending = true;
    net_fixture_use(&f, data_thread);
    net_fixture_settle(&f);
    (void)net_user_read(&user, 7, PAUSE_BYTES);
    net_fixture_settle(&f);
    assert_int_equal(user.in.len, 7);
}

static void a_peer_that_leaves_on_the_way_is_noticed_on_arrival(void **state)
{
    (void)state;
    script_is(IO_OK, IO_OK);
    (void)accept_fake(&user, &peer);
    peer_says(peer, "x");
    net_fixture_settle(&f);
    (void)close(peer);
    peer = -1;
    net_fixture_use(&f, data_thread);
    net_fixture_settle(&f);
    (void)net_user_read(&user, INT64_MAX, PAUSE_BYTES);
    net_fixture_settle(&f);
    assert_int_equal(user.in.len, 1);
    assert_int_equal(net_user_last(&user), VC_EVENT_EOS);
}

static void a_connection_that_cannot_be_detached_is_closed(void **state)
{
    (void)state;
    script_is(IO_OK, IO_OK);
    script.detach = SP_NOMEM;
    (void)accept_fake(&user, &peer);
    peer_says(peer, "x");
    net_fixture_settle(&f);
    assert_int_equal(script.n_destroyed, 1);
    net_fixture_use(&f, data_thread);
    net_fixture_settle(&f);
    assert_int_equal(user.n_events, 0);
}

static void one_on_its_way_when_everything_ends_is_not_lost(void **state)
{
    (void)state;
    script_is(IO_OK, IO_OK);
    (void)accept_fake(&user, &peer);
    peer_says(peer, "x");
    net_fixture_settle(&f);
    assert_int_equal(script.n_destroyed, 0);
    /* The fixture's end finds it in the data thread's inbox, or the leak sanitizer does. */
}

/* ---- Outgoing connections with a handshake ---- */

static int connect_out(bool early)
{
    struct net_connect_options o = {.timeout_ms = 5000};
    int listener = loopback_listen(4, &o.remote);
    enum sp_err err;
    struct net_vconnection *vc = early ? net_processor_connect_re(&fake_np, &o, &user.super, &err)
                                       : net_processor_connect_s(&fake_np, &o, &user.super, &err);

    assert_non_null(vc);
    peer = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    assert_true(peer >= 0);
    (void)close(listener);
    return 0;
}

static void an_outgoing_handshake_begins_with_the_client(void **state)
{
    (void)state;
    script_is(IO_OK, IO_OK);
    (void)connect_out(false);
    net_fixture_settle(&f);
    assert_int_equal(script.n_steps, 1);
    assert_int_equal(user.n_events, 1);
    assert_int_equal(net_user_last(&user), NET_EVENT_OPEN);
    assert_int_equal(user.vc->phase, VC_OPEN);
}

static void its_failure_is_told_to_who_waits(void **state)
{
    (void)state;
    script_is(IO_ERROR, IO_ERROR);
    (void)connect_out(false);
    net_fixture_settle(&f);
    assert_int_equal(user.n_events, 1);
    assert_int_equal(net_user_last(&user), NET_EVENT_OPEN_FAILED);
    assert_int_equal(user.failure, SP_TLS_PROTOCOL);
    assert_int_equal(script.how, VC_CLOSE_CLEAN);
    assert_int_equal(script.n_destroyed, 1);
}

static void its_timeout_is_told_to_who_waits(void **state)
{
    (void)state;
    script_is(IO_WANT_READ, IO_WANT_READ);
    (void)connect_out(false);
    net_fixture_settle(&f);
    net_fixture_pass_ms(&f, 5000);
    assert_int_equal(user.n_events, 1);
    assert_int_equal(net_user_last(&user), NET_EVENT_OPEN_FAILED);
    assert_int_equal(user.failure, SP_TLS_TIMEOUT);
}

static void write_early(struct net_user *u, int event, void *data)
{
    (void)data;
    if (event != NET_EVENT_OPEN)
        return;
    net_user_say(u, "early", 5);
    (void)net_user_write(u, 5, 0);
    (void)net_user_read(u, INT64_MAX, PAUSE_BYTES);
}

static void what_was_written_early_is_sent_after_the_handshake(void **state)
{
    char got[8];

    (void)state;
    user.act = write_early;
    script_is(IO_WANT_READ, IO_OK);
    (void)connect_out(true);
    net_fixture_settle(&f);
    assert_int_equal(user.n_events, 1);
    assert_int_equal(recv(peer, got, sizeof(got), 0), -1);
    peer_says(peer, "server's flight");
    net_fixture_settle(&f);
    assert_int_equal(net_user_count(&user, NET_EVENT_OPEN), 1);
    assert_int_equal(net_user_count(&user, VC_EVENT_WRITE_COMPLETE), 1);
    assert_int_equal(net_fixture_receive(&f, peer, got, 5), 5);
}

static void its_failure_after_an_early_open_is_an_error(void **state)
{
    (void)state;
    user.act = write_early;
    script_is(IO_ERROR, IO_ERROR);
    (void)connect_out(true);
    net_fixture_settle(&f);
    assert_int_equal(user.n_events, 2);
    assert_int_equal(net_user_last(&user), VC_EVENT_ERROR);
    assert_int_equal(script.n_destroyed, 1);
}

void net_handler_close_all(struct net_handler *nh);

static void its_user_is_told_when_the_thread_ends(void **state)
{
    (void)state;
    script_is(IO_WANT_READ, IO_WANT_READ);
    (void)connect_out(false);
    net_fixture_settle(&f);
    net_handler_close_all(f.nh);
    assert_int_equal(net_user_last(&user), NET_EVENT_OPEN_FAILED);
    assert_int_equal(user.failure, SP_SHUTTING_DOWN);
}

#define HANDLER_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
#define MOVE_TEST(name)    cmocka_unit_test_setup_teardown(name, setup_migration, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        HANDLER_TEST(a_handshake_is_stepped_when_what_it_wants_is_there),
        HANDLER_TEST(a_handshake_that_wants_to_write_waits_for_room_and_for_nothing_else),
        HANDLER_TEST(what_a_transport_holds_ready_starts_its_handshake),
        HANDLER_TEST(a_handshake_that_fails_ends_the_connection_cleanly),
        HANDLER_TEST(a_handshake_that_takes_too_long_is_cut),
        HANDLER_TEST(the_timeout_of_the_handshake_ends_with_it),
        MOVE_TEST(a_connection_moves_to_a_data_thread_when_its_handshake_is_over),
        MOVE_TEST(what_the_transport_read_ahead_moves_with_it),
        MOVE_TEST(a_peer_that_leaves_on_the_way_is_noticed_on_arrival),
        MOVE_TEST(a_connection_that_cannot_be_detached_is_closed),
        MOVE_TEST(one_on_its_way_when_everything_ends_is_not_lost),
        HANDLER_TEST(an_outgoing_handshake_begins_with_the_client),
        HANDLER_TEST(its_failure_is_told_to_who_waits),
        HANDLER_TEST(its_timeout_is_told_to_who_waits),
        HANDLER_TEST(what_was_written_early_is_sent_after_the_handshake),
        HANDLER_TEST(its_failure_after_an_early_open_is_an_error),
        HANDLER_TEST(its_user_is_told_when_the_thread_ends),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
