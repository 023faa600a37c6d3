/* Connections over loopback TCP: what is read and written, and what their user is told. */
#include "failing_alloc.h"
#include "vc_bed.h"

#include <errno.h>

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
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
