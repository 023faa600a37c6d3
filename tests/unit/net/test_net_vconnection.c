/* Connections over loopback TCP, and what their user is told: progress, ends, errors, timeouts. */
#include "failing_alloc.h"
#include "net_fixture.h"
#include "unit_test.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

#define PAUSE_BYTES 65536

static struct net_fixture f;
static struct net_user user;
static int peer;

static int setup(void **state)
{
    (void)state;
    net_fixture_open(&f, NULL);
    net_user_init(&user);
    peer = net_fixture_connection(&f, &user);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    net_user_fini(&user);
    if (peer >= 0)
        (void)close(peer);
    net_fixture_close(&f);
    return iobuf_usage().small_blocks + iobuf_usage().large_blocks == 0 ? 0 : -1;
}

static void peer_says(const char *text)
{
    assert_int_equal(send(peer, text, strlen(text), 0), strlen(text));
}

static void peer_leaves(void)
{
    (void)close(peer);
    peer = -1;
}

static void peer_resets(int fd)
{
    const struct linger reset = {.l_onoff = 1, .l_linger = 0};

    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset)), 0);
    (void)close(fd);
    if (fd == peer)
        peer = -1;
}

static void assert_in(const char *text)
{
    struct view v = {0};

    assert_int_equal(user.in.len, strlen(text));
    assert_int_equal(iobuf_pullup(&user.in, user.in.len, &v), SP_OK);
    assert_memory_equal(v.p, text, v.len);
}

/* ---- Reading ---- */

static void what_arrives_is_appended_and_told(void **state)
{
    (void)state;
    (void)net_user_read(&user, INT64_MAX, PAUSE_BYTES);
    peer_says("abc");
    net_fixture_settle(&f);
    assert_int_equal(user.n_events, 1);
    assert_int_equal(net_user_last(&user), VC_EVENT_READ_READY);
    peer_says("defg");
    net_fixture_settle(&f);
    assert_int_equal(net_user_count(&user, VC_EVENT_READ_READY), 2);
    assert_in("abcdefg");
    assert_int_equal(user.vc->bytes_in, 7);
    assert_int_equal(user.vc->read.vio.ndone, 7);
}

static void what_had_arrived_before_the_read_is_found(void **state)
{
    (void)state;
    peer_says("early");
    net_fixture_settle(&f);
    assert_int_equal(user.n_events, 0);
    (void)net_user_read(&user, INT64_MAX, PAUSE_BYTES);
    net_fixture_turn(&f);
    assert_in("early");
}

static void a_read_of_n_bytes_completes_and_leaves_the_rest(void **state)
{
    (void)state;
    (void)net_user_read(&user, 4, PAUSE_BYTES);
    peer_says("abcdef");
    net_fixture_settle(&f);
    assert_int_equal(net_user_last(&user), VC_EVENT_READ_COMPLETE);
    assert_int_equal(user.n_events, 1);
    assert_in("abcd");
    iobuf_consume(&user.in, 4);
    (void)net_user_read(&user, INT64_MAX, PAUSE_BYTES); /* without news from the socket */
    net_fixture_settle(&f);
    assert_in("ef");
}

static void the_end_of_the_stream_comes_after_its_last_bytes(void **state)
{
    (void)state;
    (void)net_user_read(&user, INT64_MAX, PAUSE_BYTES);
    peer_says("last words");
    peer_leaves();
    net_fixture_settle(&f);
    assert_in("last words");
    assert_int_equal(net_user_last(&user), VC_EVENT_EOS);
    assert_int_equal(net_user_count(&user, VC_EVENT_EOS), 1);
    net_fixture_settle(&f);
    assert_int_equal(net_user_count(&user, VC_EVENT_EOS), 1);
}

static void an_end_that_comes_alone_is_told_too(void **state)
{
    (void)state;
    (void)net_user_read(&user, INT64_MAX, PAUSE_BYTES);
    peer_says("x");
    net_fixture_settle(&f);
    peer_leaves();
    net_fixture_settle(&f);
    assert_int_equal(net_user_last(&user), VC_EVENT_EOS);
}

static void a_reset_is_an_error_and_no_end(void **state)
{
    (void)state;
    (void)net_user_read(&user, INT64_MAX, PAUSE_BYTES);
    peer_resets(peer);
    net_fixture_settle(&f);
    assert_int_equal(net_user_count(&user, VC_EVENT_EOS), 0);
    assert_int_equal(net_user_count(&user, VC_EVENT_ERROR), 1);
    assert_int_equal(user.vc->err, SP_PEER_RESET);
}

static void a_reset_is_told_although_reading_is_paused(void **state)
{
    (void)state;
    (void)net_user_read(&user, INT64_MAX, 2);
    peer_says("abcd");
    net_fixture_settle(&f);
    assert_in("ab");
    peer_resets(peer);
    net_fixture_settle(&f);
    assert_int_equal(net_user_last(&user), VC_EVENT_ERROR);
    assert_int_equal(user.vc->err, SP_PEER_RESET);
}

static void a_reset_is_told_to_who_only_writes(void **state)
{
    (void)state;
    (void)net_user_write(&user, INT64_MAX, 0); /* nothing queued at the moment */
    peer_resets(peer);
    net_fixture_settle(&f);
    assert_int_equal(net_user_last(&user), VC_EVENT_ERROR);
    assert_int_equal(user.n_events, 1);
}

static void reading_pauses_at_the_mark_and_goes_on_when_reenabled(void **state)
{
    struct vio *vio = net_user_read(&user, INT64_MAX, 5);

    (void)state;
    peer_says("abcdefgh");
    net_fixture_settle(&f);
    assert_in("abcde");
    vio_reenable(vio); /* no room: nothing happens */
    net_fixture_settle(&f);
    assert_in("abcde");
    iobuf_consume(&user.in, 4);
    net_fixture_settle(&f); /* room, and nobody said so */
    assert_in("e");
    vio_reenable(vio);
    net_fixture_settle(&f);
    assert_in("efgh");
}

static void without_a_user_reading_stops(void **state)
{
    struct vio *vio = net_user_read(&user, INT64_MAX, PAUSE_BYTES);

    (void)state;
    (void)net_vc_do_io_read(user.vc, NULL, 0, NULL, 0);
    peer_says("abc");
    net_fixture_settle(&f);
    vio_reenable(vio);
    net_fixture_settle(&f);
    assert_int_equal(user.n_events, 0);
    (void)net_user_read(&user, INT64_MAX, PAUSE_BYTES);
    net_vc_do_io_shutdown(user.vc, VC_SHUTDOWN_READ);
    net_fixture_settle(&f);
    assert_int_equal(user.n_events, 0);
}

static void without_memory_a_read_fails_and_nothing_else(void **state)
{
    (void)state;
    (void)net_user_read(&user, INT64_MAX, PAUSE_BYTES);
    peer_says("abc");
    iobuf_thread_fini(); /* no block in store */
    failing_alloc_arm(0);
    net_fixture_settle(&f);
    assert_true(failing_alloc_hit());
    assert_int_equal(net_user_last(&user), VC_EVENT_ERROR);
    assert_int_equal(user.vc->err, SP_NOMEM);
}

static void a_flood_is_read_in_pieces_that_others_can_stand_between(void **state)
{
    static char flood[1 << 20];
    size_t sent = 0;

    (void)state;
    (void)net_user_read(&user, INT64_MAX, SIZE_MAX);
    while (sent < sizeof(flood)) {
        ssize_t n = send(peer, flood, sizeof(flood) - sent, 0);

        if (n > 0)
            sent += (size_t)n;
        net_fixture_turn(&f);
        assert_true(user.in.len <= sent);
    }
    NET_FIXTURE_UNTIL(&f, user.in.len == sizeof(flood));
    assert_int_equal(user.vc->bytes_in, sizeof(flood));
    assert_true(user.vc->read_size > 0); /* full reads made them longer */
}

/* ---- Writing ---- */

static void what_is_queued_is_sent_and_told_when_done(void **state)
{
    char got[16];

    (void)state;
    net_user_say(&user, "abc", 3);
    (void)net_user_write(&user, 3, 0);
    net_fixture_turn(&f);
    assert_int_equal(net_user_last(&user), VC_EVENT_WRITE_COMPLETE);
    assert_int_equal(user.n_events, 1);
    assert_int_equal(net_fixture_receive(&f, peer, got, 3), 3);
    assert_memory_equal(got, "abc", 3);
    assert_int_equal(user.vc->bytes_out, 3);
}

static void a_write_of_n_bytes_takes_no_more_from_the_buffer(void **state)
{
    char got[16];

    (void)state;
    net_user_say(&user, "abcdef", 6);
    (void)net_user_write(&user, 4, 0);
    net_fixture_settle(&f);
    assert_int_equal(net_user_last(&user), VC_EVENT_WRITE_COMPLETE);
    assert_int_equal(user.n_events, 1);
    assert_int_equal(user.out.len, 2);
    assert_int_equal(user.vc->write.vio.ndone, 4);
    assert_int_equal(net_fixture_receive(&f, peer, got, 4), 4);
    assert_int_equal(recv(peer, got, sizeof(got), 0), -1);
}

static void what_comes_later_is_sent_when_reenabled(void **state)
{
    struct vio *vio = net_user_write(&user, INT64_MAX, 0);
    char got[16];

    (void)state;
    net_fixture_settle(&f);
    assert_int_equal(user.n_events, 0);
    for (int i = 1; i <= 3; i++) {
        net_user_say(&user, "ab", 2);
        vio_reenable(vio);
        net_fixture_turn(&f);
        assert_int_equal(net_user_count(&user, VC_EVENT_WRITE_READY), i);
        assert_int_equal(net_fixture_receive(&f, peer, got, 2), 2);
    }
}

/* The sender's as small as the system allows. The receiver's is some segments of the loopback, or
 * it would open its window a probe at a time. */
static void small_socket_buffers(void)
{
    int smallest = 1, some = 65536;

    assert_int_equal(setsockopt(user.vc->fd, SOL_SOCKET, SO_SNDBUF, &smallest, sizeof(int)), 0);
    assert_int_equal(setsockopt(peer, SOL_SOCKET, SO_RCVBUF, &some, sizeof(int)), 0);
}

static unsigned char pattern_at(size_t i)
{
    return (unsigned char)(i * 7 + i / 251);
}

/* Queues bytes whose place can be told from their value. */
static void say_pattern(size_t n)
{
    static unsigned char bytes[512 * 1024];

    assert_true(n <= sizeof(bytes));
    for (size_t i = 0; i < n; i++)
        bytes[i] = pattern_at(i);
    net_user_say(&user, bytes, n);
}

static void assert_peer_gets_pattern(size_t n)
{
    static unsigned char got[512 * 1024];

    assert_int_equal(net_fixture_receive(&f, peer, got, n), n);
    for (size_t i = 0; i < n; i++)
        assert_int_equal(got[i], pattern_at(i));
}

static void a_socket_that_takes_little_gets_everything_in_the_end(void **state)
{
    (void)state;
    small_socket_buffers();
    say_pattern(300000);
    (void)net_user_write(&user, 300000, 0);
    net_fixture_settle(&f);
    assert_true(user.out.len > 100000);
    assert_int_equal(user.n_events, 0);
    assert_peer_gets_pattern(300000);
    NET_FIXTURE_UNTIL(&f, user.n_events > 0);
    assert_int_equal(net_user_last(&user), VC_EVENT_WRITE_COMPLETE);
    assert_int_equal(user.n_events, 1);
}

static void the_writer_is_told_at_its_low_water_mark(void **state)
{
    char got[4096];

    (void)state;
    small_socket_buffers();
    say_pattern(200000);
    (void)net_user_write(&user, INT64_MAX, 100000);
    while (net_user_count(&user, VC_EVENT_WRITE_READY) == 0) {
        assert_true(user.out.len > 100000);
        assert_true(net_fixture_receive(&f, peer, got, sizeof(got)) > 0);
        net_fixture_turn(&f);
    }
    assert_true(user.out.len <= 100000);
    assert_int_equal(net_user_last(&user), VC_EVENT_WRITE_READY);
}

static void writing_to_a_peer_that_is_gone_is_an_error(void **state)
{
    (void)state;
    small_socket_buffers();
    say_pattern(300000);
    (void)net_user_write(&user, INT64_MAX, 0);
    net_fixture_settle(&f);
    peer_leaves(); /* with bytes unread: a reset */
    net_fixture_settle(&f);
    assert_int_equal(net_user_last(&user), VC_EVENT_ERROR);
    assert_int_equal(net_user_count(&user, VC_EVENT_ERROR), 1);
    assert_int_equal(user.vc->err, SP_PEER_RESET);
}

/* ---- Shutting down ---- */

static void shutting_down_waits_for_what_is_queued(void **state)
{
    (void)state;
    small_socket_buffers();
    say_pattern(200000);
    (void)net_user_write(&user, INT64_MAX, 0);
    net_vc_do_io_shutdown(user.vc, VC_SHUTDOWN_WRITE);
    (void)net_user_read(&user, INT64_MAX, PAUSE_BYTES);
    assert_peer_gets_pattern(200000);
    assert_true(net_fixture_ends_clean(&f, peer));
    peer_says("and you?"); /* the other direction is still open */
    net_fixture_settle(&f);
    assert_in("and you?");
}

static void shutting_down_with_nothing_queued_is_at_once(void **state)
{
    (void)state;
    net_vc_do_io_shutdown(user.vc, VC_SHUTDOWN_WRITE);
    net_fixture_turn(&f);
    assert_true(net_fixture_ends_clean(&f, peer));
    net_vc_do_io_shutdown(user.vc, VC_SHUTDOWN_WRITE); /* twice is harmless */
    net_fixture_settle(&f);
}

/* What lies behind the n bytes asked for is not this transfer's, and the buffer may be gone. */
static void shutting_down_after_a_complete_write_does_not_wait_for_the_rest(void **state)
{
    (void)state;
    net_user_say(&user, "abcdef", 6);
    (void)net_user_write(&user, 4, 0);
    net_fixture_settle(&f);
    net_vc_do_io_shutdown(user.vc, VC_SHUTDOWN_WRITE);
    net_fixture_settle(&f); /* comes to rest */
    assert_true(net_fixture_ends_clean(&f, peer));
}

static void shutting_down_after_the_writer_let_go_does_not_wait_for_it(void **state)
{
    (void)state;
    small_socket_buffers();
    say_pattern(200000);
    (void)net_user_write(&user, INT64_MAX, 0);
    net_fixture_settle(&f);
    (void)net_vc_do_io_write(user.vc, NULL, 0, NULL, 0);
    net_vc_do_io_shutdown(user.vc, VC_SHUTDOWN_WRITE);
    net_fixture_settle(&f);
    assert_true(net_fixture_ends_clean(&f, peer));
}

static void an_abort_resets_and_a_clean_close_does_not(void **state)
{
    struct net_user second;
    int second_peer;

    (void)state;
    net_user_init(&second);
    second_peer = net_fixture_connection(&f, &second);
    net_user_close(&user, VC_CLOSE_ABORT);
    net_user_close(&second, VC_CLOSE_CLEAN);
    assert_false(net_fixture_ends_clean(&f, peer));
    assert_true(net_fixture_ends_clean(&f, second_peer));
    (void)close(second_peer);
    net_user_fini(&second);
}

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

/* ---- Timeouts ---- */

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

/* ---- Queues ---- */

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
        VC_TEST(what_arrives_is_appended_and_told),
        VC_TEST(what_had_arrived_before_the_read_is_found),
        VC_TEST(a_read_of_n_bytes_completes_and_leaves_the_rest),
        VC_TEST(the_end_of_the_stream_comes_after_its_last_bytes),
        VC_TEST(an_end_that_comes_alone_is_told_too),
        VC_TEST(a_reset_is_an_error_and_no_end),
        VC_TEST(a_reset_is_told_although_reading_is_paused),
        VC_TEST(a_reset_is_told_to_who_only_writes),
        VC_TEST(reading_pauses_at_the_mark_and_goes_on_when_reenabled),
        VC_TEST(without_a_user_reading_stops),
        VC_TEST(without_memory_a_read_fails_and_nothing_else),
        VC_TEST(a_flood_is_read_in_pieces_that_others_can_stand_between),
        VC_TEST(what_is_queued_is_sent_and_told_when_done),
        VC_TEST(a_write_of_n_bytes_takes_no_more_from_the_buffer),
        VC_TEST(what_comes_later_is_sent_when_reenabled),
        VC_TEST(a_socket_that_takes_little_gets_everything_in_the_end),
        VC_TEST(the_writer_is_told_at_its_low_water_mark),
        VC_TEST(writing_to_a_peer_that_is_gone_is_an_error),
        VC_TEST(shutting_down_waits_for_what_is_queued),
        VC_TEST(shutting_down_with_nothing_queued_is_at_once),
        VC_TEST(shutting_down_after_a_complete_write_does_not_wait_for_the_rest),
        VC_TEST(shutting_down_after_the_writer_let_go_does_not_wait_for_it),
        VC_TEST(an_abort_resets_and_a_clean_close_does_not),
        VC_TEST(a_close_inside_each_event_is_the_last_event),
        VC_TEST(a_close_inside_the_accept_event_is_fine),
        VC_TEST(connections_closed_by_another_of_the_same_batch_are_not_called),
        VC_TEST(closing_twice_is_harmless),
        VC_TEST(an_idle_connection_is_told_again_and_again),
        VC_TEST(progress_only_stamps_and_the_timer_looks_when_it_fires),
        VC_TEST(writing_is_activity_too),
        VC_TEST(a_shorter_timeout_takes_effect_at_once_and_none_cancels),
        VC_TEST(a_connection_that_nobody_gave_a_timeout_has_the_default_one),
        VC_TEST(an_idle_connection_without_a_user_is_closed),
        VC_TEST(the_active_timeout_comes_once_whatever_moves),
        VC_TEST(pressure_costs_the_longest_idle_first),
        VC_TEST(a_bound_on_idle_connections_evicts_when_it_is_passed),
        VC_TEST(an_evicted_connection_goes_even_if_its_user_does_not_close_it),
        VC_TEST(a_thread_that_ends_tells_its_users),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
