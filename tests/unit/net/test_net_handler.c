/* The loop turn of a thread with sockets: its order, and the steps that move a transport's bytes.
 */
#include "failing_alloc.h"
#include "scripted_vc.h"

#include <fcntl.h>
#include <limits.h>

/* ---- The turn ---- */

static void note_inbox(struct inbox_item *item, struct ethread *t)
{
    (void)item;
    (void)t;
    note('i');
}

static void note_timer(struct timer *t)
{
    (void)t;
    note('t');
}

static void note_user(struct net_user *u, int event, void *data)
{
    (void)data;
    if (event == NET_EVENT_ACCEPT)
        note('a');
    if (event == VC_EVENT_WRITE_READY)
        note('w');
    if (event == VC_EVENT_READ_READY) {
        note('r');
        if (u->vc->ops == &fake_vc_ops)
            net_user_close(u, VC_CLOSE_CLEAN);
    }
}

static struct net_accept *open_listener(struct continuation *c)
{
    struct net_accept_options o = {
        .accept = {.accepts_per_turn = 10, .backlog = 8, .fd = -1, .linger_s = -1},
        .cont = c,
        .label = VIEW("test"),
    };
    const char *why = "";
    struct net_accept *na;

    assert_int_equal(endpoint_parse(VIEW("127.0.0.1:0"), &o.endpoint), SP_OK);
    na = net_processor_main_accept(&f.np, &o, &why);
    assert_non_null(na);
    return na;
}

/* Everything is ready at once: a reader that closes, a writer, a listener, a handshake, a timer and
 * an item from another thread. */
static void a_turn_has_its_order(void **state)
{
    struct inbox_item item = {.fn = note_inbox};
    struct net_user writer, accepter;
    struct net_accept *na;
    struct timer timer;
    int fds[4];

    (void)state;
    net_user_init(&writer);
    net_user_init(&accepter);
    user.act = writer.act = accepter.act = note_user;
    na = open_listener(&accepter.super);
    script_is(IO_OK, IO_WANT_READ); /* of the reader, then of the one that shakes hands */
    (void)accept_fake(&user, &fds[0]);
    peer_says(fds[0], "x");
    net_fixture_settle(&f);
    fds[1] = net_fixture_connection(&f, &writer);
    (void)accept_fake(&writer, &fds[2]);
    net_fixture_settle(&f);
    memset(trace, 0, sizeof(trace));

    (void)net_user_read(&user, INT64_MAX, PAUSE_BYTES);
    net_user_say(&writer, "abc", 3);
    (void)net_user_write(&writer, INT64_MAX, 0);
    fds[3] = loopback_connect(&na->bound);
    peer_says(fds[2], "x");
    timer_init(&timer, note_timer);
    timer_arm(&f.thread->wheel, &timer, net_fixture_now_ms());
    ethread_post(f.thread, &item);
    net_fixture_turn(&f);
    assert_string_equal(trace, "irwahtd");

    net_accept_stop(na);
    net_user_close(&writer, VC_CLOSE_CLEAN);
    net_user_close(&accepter, VC_CLOSE_CLEAN);
    net_fixture_settle(&f);
    net_accept_unref(na);
    for (size_t i = 0; i < SP_COUNT_OF(fds); i++)
        (void)close(fds[i]);
}

static void handshakes_within_a_budget_leave_data_its_turn(void **state)
{
    enum { N = 10 };
    struct net_user shakers[N];
    int fds[N];

    (void)state;
    f.nh->floor.budget_ns = 2 * 1000000;
    peer = net_fixture_connection(&f, &user);
    (void)net_user_read(&user, INT64_MAX, PAUSE_BYTES);
    script_is(IO_WANT_READ, IO_WANT_READ);
    script.step_costs_ms = 1;
    for (int i = 0; i < N; i++) {
        net_user_init(&shakers[i]);
        (void)accept_fake(&shakers[i], &fds[i]);
        peer_says(fds[i], "x");
    }
    for (int turn = 1; turn <= N / 2; turn++) {
        peer_says(peer, "d");
        net_fixture_turn(&f);
        assert_int_equal(script.n_steps, 2 * turn);
        assert_int_equal(user.in.len, turn);
    }
    net_fixture_settle(&f);
    assert_int_equal(script.n_steps, N);
    assert_int_equal(f.nh->n_handshakes, N);
    for (int i = 0; i < N; i++)
        (void)close(fds[i]);
}

static atomic_int n_woken;

static int wake_up(struct continuation *c, int event, void *data)
{
    (void)c;
    (void)event;
    (void)data;
    n_woken++;
    return EVENT_DONE;
}

/* Real threads: each sleeps in epoll_wait(2) with nothing to wait for. */
static void threads_that_sleep_are_woken_by_what_is_sent_to_them(void **state)
{
    struct event_processor *ep = event_processor_new();
    struct net_core *core = net_core_new(
        ep, &(struct net_core_options){.n_net_threads = 2, .handshake_budget_ns = 1000000});
    struct continuation c;

    (void)state;
    n_woken = 0;
    continuation_init(&c, "wake_up", wake_up);
    assert_non_null(core);
    assert_int_equal(event_processor_start(ep), SP_OK);
    for (int i = 1; i <= 200; i++) {
        assert_non_null(schedule_imm(ep, &c, core->et_net, EVENT_IMMEDIATE, NULL));
        if (i % 3 == 0)
            assert_non_null(schedule_in(ep, &c, 1, core->et_net, EVENT_INTERVAL, NULL));
        while (n_woken < i + i / 3)
            (void)sched_yield();
    }
    event_processor_stop(ep);
    net_core_free(core);
    event_processor_free(ep);
}

/* ---- Data over a transport ---- */

static void open_over_fake(void)
{
    enum sp_err detach = script.detach;

    script_is(IO_OK, IO_OK);
    script.detach = detach;
    (void)accept_fake(&user, &peer);
    peer_says(peer, "x");
    net_fixture_settle(&f);
    (void)net_user_read(&user, INT64_MAX, PAUSE_BYTES);
    net_fixture_settle(&f);
    assert_int_equal(user.in.len, 1);
    iobuf_clear(&user.in);
    net_user_forget(&user);
}

static void a_read_that_wants_to_write_goes_on_when_there_is_room(void **state)
{
    size_t stuffed;
    char byte;

    (void)state;
    open_over_fake();
    stuffed = stuff(user.vc->fd);
    net_user_say(&user, "abc", 3);
    (void)net_user_write(&user, INT64_MAX, 0);
    net_fixture_settle(&f); /* room is waited for already */
    script.recv_wants_write = 1;
    peer_says(peer, "?");
    net_fixture_settle(&f);
    assert_int_equal(script.recv_wants_write, 0);
    assert_int_equal(recv(user.vc->fd, &byte, 1, MSG_DONTWAIT), 1); /* the transport has it now */
    script.pending = true;
    net_fixture_settle(&f);
    assert_int_equal(user.in.len, 0);
    unstuff(peer, stuffed);
    NET_FIXTURE_UNTIL(&f, user.in.len == 7);
}

static void what_a_transport_holds_is_read_without_news_from_the_socket(void **state)
{
    (void)state;
    open_over_fake();
    (void)net_vc_do_io_read(user.vc, NULL, 0, NULL, 0);
    script.pending = true;
    net_fixture_settle(&f);
    (void)net_user_read(&user, INT64_MAX, PAUSE_BYTES);
    net_fixture_settle(&f);
    assert_int_equal(user.in.len, 7);
}

static void a_writer_is_told_when_the_transport_has_let_go_of_its_bytes(void **state)
{
    (void)state;
    open_over_fake();
    script.keeps_back = 5;
    script.flush_waits = true;
    net_user_say(&user, "abc", 3);
    (void)net_user_write(&user, 3, 0);
    net_vc_do_io_shutdown(user.vc, VC_SHUTDOWN_WRITE);
    net_fixture_turn(&f);
    assert_int_equal(user.n_events, 0);
    assert_false(user.vc->write_ended);
    script.flush_waits = false;
    net_fixture_settle(&f); /* room was there all the time */
    assert_int_equal(net_user_last(&user), VC_EVENT_WRITE_COMPLETE);
    assert_int_equal(user.n_events, 1);
    assert_true(user.vc->write_ended);
}

/* Nobody would ever say that there is room again. */
static void a_connection_that_cannot_wait_for_room_has_failed(void **state)
{
    (void)state;
    open_over_fake();
    (void)stuff(user.vc->fd);
    epoll_mods_fail = 1;
    net_user_say(&user, "abc", 3);
    (void)net_user_write(&user, INT64_MAX, 0);
    net_fixture_settle(&f);
    assert_int_equal(net_user_last(&user), VC_EVENT_ERROR);
}

static void a_handshake_that_cannot_wait_for_room_tries_again(void **state)
{
    struct net_vconnection *vc;
    size_t stuffed;

    (void)state;
    script_is(IO_WANT_WRITE, IO_WANT_WRITE);
    vc = accept_fake(&user, &peer);
    stuffed = stuff(vc->fd);
    peer_says(peer, "hello");
    epoll_mods_fail = 2;
    net_fixture_settle(&f);
    assert_int_equal(script.n_steps, 3);
    script_is(IO_OK, IO_OK);
    unstuff(peer, stuffed);
    NET_FIXTURE_UNTIL(&f, user.n_events == 1);
    (void)net_user_read(&user, INT64_MAX, PAUSE_BYTES);
    net_fixture_settle(&f);
    assert_int_equal(user.in.len, 5);
}

/* ---- What fails ---- */

static void a_descriptor_that_cannot_be_polled_is_discarded(void **state)
{
    int fd = open("/etc/passwd", O_RDONLY | O_CLOEXEC); /* a file: epoll_ctl(2) says EPERM */
    struct net_vconnection *vc =
        fake_np.ops->allocate_vc(&fake_np, net_accept_ref(&f.listener), fd);

    (void)state;
    net_vc_start(vc, f.thread);
    assert_int_equal(script.n_destroyed, 1);
    assert_int_equal(f.nh->n_open, 0);
}

static void making_the_threads_survives_each_failed_allocation(void **state)
{
    (void)state;
    for (unsigned nth = 0;; nth++) {
        struct event_processor *ep;
        struct net_core *core;

        failing_alloc_arm(nth);
        ep = event_processor_new();
        core = ep == NULL ? NULL : net_core_new(ep, &(struct net_core_options){.n_net_threads = 2});
        if (core != NULL)
            assert_int_equal(net_core_spawn(core, event_processor_register(ep, "ET_SSL"), 1, 0) ==
                                 SP_OK,
                             !failing_alloc_hit());
        net_core_free(core);
        event_processor_free(ep);
        assert_int_equal(failing_alloc_live(), 0);
        if (core != NULL && !failing_alloc_hit())
            return;
    }
}

#define HANDLER_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        HANDLER_TEST(a_turn_has_its_order),
        HANDLER_TEST(handshakes_within_a_budget_leave_data_its_turn),
        cmocka_unit_test(threads_that_sleep_are_woken_by_what_is_sent_to_them),
        HANDLER_TEST(a_read_that_wants_to_write_goes_on_when_there_is_room),
        HANDLER_TEST(what_a_transport_holds_is_read_without_news_from_the_socket),
        HANDLER_TEST(a_writer_is_told_when_the_transport_has_let_go_of_its_bytes),
        HANDLER_TEST(a_connection_that_cannot_wait_for_room_has_failed),
        HANDLER_TEST(a_handshake_that_cannot_wait_for_room_tries_again),
        HANDLER_TEST(a_descriptor_that_cannot_be_polled_is_discarded),
        cmocka_unit_test(making_the_threads_survives_each_failed_allocation),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
