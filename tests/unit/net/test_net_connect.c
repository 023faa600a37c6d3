/* Outgoing connections over loopback: when their user is told what, and what is left behind when
 * they fail. */
#include "failing_alloc.h"
#include "net_fixture.h"
#include "unit_test.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define PAUSE_BYTES 65536

static struct net_fixture f;
static struct net_user user;
static struct endpoint bound;
static int listener, peer;

static int setup(void **state)
{
    (void)state;
    net_fixture_open(&f, NULL);
    net_user_init(&user);
    listener = loopback_listen(16, &bound);
    peer = -1;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    if (peer >= 0)
        (void)close(peer);
    if (listener >= 0)
        (void)close(listener);
    net_fixture_close(&f);
    net_user_fini(&user);
    return 0;
}

typedef struct net_vconnection *(*connect_fn)(struct net_processor *np,
                                              const struct net_connect_options *options,
                                              struct continuation *c, enum sp_err *err);

static struct net_vconnection *start_to(connect_fn connect, const struct endpoint *to,
                                        int64_t timeout_ms)
{
    const struct net_connect_options options = {
        .remote = *to, .timeout_ms = timeout_ms, .tcp_nodelay = true};
    int n_before = user.n_events;
    enum sp_err err = SP_INVALID;
    struct net_vconnection *vc = connect(&f.np, &options, &user.super, &err);

    assert_int_equal(err, SP_OK);
    assert_non_null(vc);
    assert_int_equal(user.n_events, n_before); /* never inside the call */
    assert_int_equal(net_throttle_state(f.core->throttle).outgoing, 1);
    return vc;
}

static struct net_vconnection *start(connect_fn connect)
{
    return start_to(connect, &bound, 5000);
}

static void take_peer(void)
{
    peer = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    assert_true(peer >= 0);
}

static void close_listener(void)
{
    (void)close(listener);
    listener = -1;
}

/* Nobody answers: the listener's queue is full and further SYNs are dropped. */
struct blackhole {
    struct endpoint bound;
    int listener;
    int fillers[8];
};

static void blackhole_open(struct blackhole *b)
{
    b->listener = loopback_listen(0, &b->bound);
    for (size_t i = 0; i < SP_COUNT_OF(b->fillers); i++) {
        b->fillers[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        (void)connect(b->fillers[i], &b->bound.sa, b->bound.len);
    }
}

static void blackhole_close(struct blackhole *b)
{
    for (size_t i = 0; i < SP_COUNT_OF(b->fillers); i++)
        (void)close(b->fillers[i]);
    (void)close(b->listener);
}

/* ---- connect_s ---- */

static void a_connection_is_told_when_it_stands_and_carries_bytes(void **state)
{
    struct net_vconnection *vc = start(net_processor_connect_s);
    char got[8];

    (void)state;
    assert_int_equal(vc->phase, VC_CONNECTING);
    net_fixture_settle(&f);
    assert_int_equal(user.n_events, 1);
    assert_int_equal(net_user_last(&user), NET_EVENT_OPEN);
    assert_ptr_equal(user.vc, vc);
    assert_int_equal(vc->phase, VC_OPEN);
    assert_int_equal(ip_endpoint_port(&vc->remote), endpoint_port(&bound));
    take_peer();
    net_user_say(&user, "ping", 4);
    (void)net_user_write(&user, INT64_MAX, 0);
    (void)net_user_read(&user, INT64_MAX, PAUSE_BYTES);
    assert_int_equal(net_fixture_receive(&f, peer, got, 4), 4);
    assert_int_equal(send(peer, "pong", 4, 0), 4);
    net_fixture_settle(&f);
    assert_int_equal(user.in.len, 4);
}

static void a_refusal_is_told_with_its_reason(void **state)
{
    (void)state;
    close_listener();
    (void)start(net_processor_connect_s);
    net_fixture_settle(&f);
    assert_int_equal(user.n_events, 1);
    assert_int_equal(net_user_last(&user), NET_EVENT_OPEN_FAILED);
    assert_int_equal(user.failure, SP_CONN_REFUSED);
    assert_int_equal(user.failure_errno, ECONNREFUSED);
    assert_int_equal(f.nh->n_open, 0);
}

static void a_connection_that_does_not_come_about_times_out(void **state)
{
    struct blackhole b;

    (void)state;
    blackhole_open(&b);
    (void)start_to(net_processor_connect_s, &b.bound, 3000);
    net_fixture_pass_ms(&f, 2999);
    assert_int_equal(user.n_events, 0);
    net_fixture_pass_ms(&f, 1);
    assert_int_equal(user.n_events, 1);
    assert_int_equal(net_user_last(&user), NET_EVENT_OPEN_FAILED);
    assert_int_equal(user.failure, SP_CONN_TIMEOUT);
    net_fixture_pass_ms(&f, 100000);
    assert_int_equal(user.n_events, 1);
    blackhole_close(&b);
}

static void without_a_timeout_the_default_inactivity_bounds_it(void **state)
{
    struct blackhole b;

    (void)state;
    blackhole_open(&b);
    (void)start_to(net_processor_connect_s, &b.bound, 0);
    net_fixture_pass_ms(&f, 299999);
    assert_int_equal(user.n_events, 0);
    net_fixture_pass_ms(&f, 1);
    assert_int_equal(user.failure, SP_CONN_TIMEOUT);
    blackhole_close(&b);
}

static void the_timeout_ends_with_the_connecting(void **state)
{
    (void)state;
    (void)start_to(net_processor_connect_s, &bound, 3000);
    net_fixture_settle(&f);
    take_peer();
    (void)net_user_read(&user, INT64_MAX, PAUSE_BYTES);
    net_fixture_pass_ms(&f, 10000);
    assert_int_equal(user.n_events, 1);
}

/* The peer accepted, spoke and left before the loop looked: one readiness for everything. */
static void what_the_server_says_first_is_not_lost(void **state)
{
    (void)state;
    (void)start(net_processor_connect_s);
    take_peer();
    assert_int_equal(send(peer, "220 hello", 9, 0), 9);
    net_fixture_settle(&f);
    assert_int_equal(net_user_last(&user), NET_EVENT_OPEN);
    (void)net_user_read(&user, INT64_MAX, PAUSE_BYTES);
    net_fixture_settle(&f);
    assert_int_equal(user.in.len, 9);
}

static void a_server_that_speaks_and_leaves_at_once_is_heard_to_the_end(void **state)
{
    (void)state;
    (void)start(net_processor_connect_s);
    take_peer();
    assert_int_equal(send(peer, "bye", 3, 0), 3);
    (void)close(peer);
    peer = -1;
    net_fixture_settle(&f);
    (void)net_user_read(&user, INT64_MAX, PAUSE_BYTES);
    net_fixture_settle(&f);
    assert_int_equal(user.in.len, 3);
    assert_int_equal(net_user_last(&user), VC_EVENT_EOS);
}

/* ---- connect_re ---- */

static void the_impatient_are_told_before_it_stands(void **state)
{
    struct blackhole b;

    (void)state;
    blackhole_open(&b);
    (void)start_to(net_processor_connect_re, &b.bound, 3000);
    net_fixture_settle(&f);
    assert_int_equal(user.n_events, 1);
    assert_int_equal(net_user_last(&user), NET_EVENT_OPEN);
    assert_int_equal(user.vc->phase, VC_CONNECTING);
    (void)net_user_read(&user, INT64_MAX, PAUSE_BYTES);
    net_fixture_pass_ms(&f, 3000);
    assert_int_equal(user.n_events, 2);
    assert_int_equal(net_user_last(&user), VC_EVENT_ERROR);
    assert_int_equal(f.nh->n_open, 0);
    blackhole_close(&b);
}

static void speak_at_once(struct net_user *u, int event, void *data)
{
    (void)data;
    if (event != NET_EVENT_OPEN)
        return;
    net_user_say(u, "early bird", 10);
    (void)net_user_write(u, 10, 0);
    (void)net_user_read(u, INT64_MAX, PAUSE_BYTES);
}

static void what_is_written_before_it_stands_is_sent_when_it_does(void **state)
{
    char got[16];

    (void)state;
    user.act = speak_at_once;
    (void)start(net_processor_connect_re);
    net_fixture_settle(&f);
    assert_int_equal(user.events[0], NET_EVENT_OPEN);
    assert_int_equal(net_user_count(&user, NET_EVENT_OPEN), 1);
    assert_int_equal(net_user_last(&user), VC_EVENT_WRITE_COMPLETE);
    take_peer();
    assert_int_equal(net_fixture_receive(&f, peer, got, 10), 10);
    assert_memory_equal(got, "early bird", 10);
}

static void a_refusal_after_an_early_open_is_an_error_of_the_connection(void **state)
{
    (void)state;
    close_listener();
    user.act = speak_at_once;
    (void)start(net_processor_connect_re);
    net_fixture_settle(&f);
    assert_int_equal(user.n_events, 2);
    assert_int_equal(user.events[0], NET_EVENT_OPEN);
    assert_int_equal(user.events[1], VC_EVENT_ERROR);
    assert_int_equal(f.nh->n_open, 0);
}

/* ---- Closing ---- */

static void a_pending_connection_can_be_closed_and_tells_nothing(void **state)
{
    static const connect_fn ways[] = {net_processor_connect_s, net_processor_connect_re};

    (void)state;
    for (size_t i = 0; i < SP_COUNT_OF(ways); i++) {
        net_vc_do_io_close(start(ways[i]), VC_CLOSE_ABORT);
        net_fixture_settle(&f);
        assert_int_equal(user.n_events, 0);
        assert_int_equal(f.nh->n_open, 0);
        assert_int_equal(net_throttle_state(f.core->throttle).outgoing, 0);
    }
}

static void close_in_failure(struct net_user *u, int event, void *data)
{
    const struct net_open_failure *failure = data;

    (void)u;
    if (event == NET_EVENT_OPEN_FAILED)
        net_vc_do_io_close(failure->vc, VC_CLOSE_ABORT);
}

static void a_close_inside_the_first_event_is_fine(void **state)
{
    (void)state;
    user.close_on = NET_EVENT_OPEN;
    (void)start(net_processor_connect_s);
    net_fixture_settle(&f);
    (void)start(net_processor_connect_re);
    net_fixture_settle(&f);
    close_listener();
    user.act = close_in_failure;
    (void)start(net_processor_connect_s);
    net_fixture_settle(&f);
    assert_int_equal(user.n_events, 3);
    assert_int_equal(net_user_last(&user), NET_EVENT_OPEN_FAILED);
}

/* ---- Where from, and where to ---- */

static void the_source_address_is_the_one_asked_for(void **state)
{
    struct net_connect_options options = {.remote = bound, .timeout_ms = 5000};
    struct endpoint seen = {.len = sizeof(seen.storage)};
    enum sp_err err;

    (void)state;
    assert_int_equal(endpoint_parse(VIEW("127.0.0.9:0"), &options.source), SP_OK);
    assert_non_null(net_processor_connect_s(&f.np, &options, &user.super, &err));
    net_fixture_settle(&f);
    assert_int_equal(net_user_last(&user), NET_EVENT_OPEN);
    peer = accept4(listener, &seen.sa, &seen.len, SOCK_CLOEXEC);
    assert_true(peer >= 0);
    assert_int_equal(ntohl(seen.in.sin_addr.s_addr), 0x7f000009);
}

static void a_source_address_of_somebody_else_starts_nothing(void **state)
{
    struct net_connect_options options = {.remote = bound, .timeout_ms = 5000};
    enum sp_err err = SP_OK;

    (void)state;
    assert_int_equal(endpoint_parse(VIEW("203.0.113.7:0"), &options.source), SP_OK);
    assert_null(net_processor_connect_s(&f.np, &options, &user.super, &err));
    assert_int_not_equal(err, SP_OK);
    net_fixture_settle(&f);
    assert_int_equal(user.n_events, 0);
}

static void an_address_that_cannot_be_reached_fails_once(void **state)
{
    struct endpoint to;
    struct net_connect_options options = {.timeout_ms = 1000};
    enum sp_err err = SP_OK;

    (void)state;
    assert_int_equal(endpoint_parse(VIEW("255.255.255.255:9"), &to), SP_OK);
    options.remote = to; /* TCP knows no broadcast: connect(2) fails at once */
    assert_null(net_processor_connect_re(&f.np, &options, &user.super, &err));
    assert_int_not_equal(err, SP_OK);
}

static void a_unix_socket_is_reached_too(void **state)
{
    char folder[] = "/tmp/net_connect_XXXXXX";
    struct endpoint to = {.un.sun_family = AF_UNIX, .len = sizeof(to.un)};
    int unix_listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    (void)state;
    assert_non_null(mkdtemp(folder));
    (void)snprintf(to.un.sun_path, sizeof(to.un.sun_path), "%s/s", folder);
    assert_int_equal(bind(unix_listener, &to.sa, to.len), 0);
    assert_int_equal(listen(unix_listener, 1), 0);
    (void)start_to(net_processor_connect_s, &to, 1000);
    net_fixture_settle(&f);
    assert_int_equal(net_user_last(&user), NET_EVENT_OPEN);
    (void)close(unix_listener);
    (void)unlink(to.un.sun_path);
    (void)rmdir(folder);
}

/* ---- What runs out ---- */

static void without_memory_nothing_is_started(void **state)
{
    const struct net_connect_options options = {.remote = bound, .timeout_ms = 5000};

    (void)state;
    for (unsigned nth = 0;; nth++) {
        struct net_vconnection *vc;
        enum sp_err err = SP_OK;

        failing_alloc_arm(nth);
        vc = net_processor_connect_s(&f.np, &options, &user.super, &err);
        if (!failing_alloc_hit()) {
            assert_non_null(vc);
            return;
        }
        assert_null(vc);
        assert_int_equal(err, SP_NOMEM);
        assert_int_equal(failing_alloc_live(), 0);
        assert_int_equal(net_throttle_state(f.core->throttle).outgoing, 0);
    }
}

static void without_descriptors_nothing_is_started(void **state)
{
    const struct net_connect_options options = {.remote = bound, .timeout_ms = 5000};
    struct rlimit before, none;
    enum sp_err err = SP_OK;

    (void)state;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    none = before;
    none.rlim_cur = 3;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    assert_null(net_processor_connect_s(&f.np, &options, &user.super, &err));
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    assert_int_equal(err, SP_NOFILE);
    assert_int_equal(net_throttle_state(f.core->throttle).outgoing, 0);
}

static void the_headroom_of_connect_bounds_what_is_open_at_once(void **state)
{
    struct net_connect_options options = {.remote = bound, .timeout_ms = 5000};
    struct net_vconnection *vcs[2];
    struct net_throttle *plenty = f.core->throttle;
    struct rlimit before, few;
    enum sp_err err;

    (void)state;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    few = before;
    few.rlim_cur = 200;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
    f.core->throttle =
        net_throttle_new(&(struct net_throttle_options){.connect_headroom_percent = 99});
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    for (int i = 0; i < 2; i++) {
        vcs[i] = net_processor_connect_s(&f.np, &options, &user.super, &err);
        assert_non_null(vcs[i]);
    }
    assert_null(net_processor_connect_s(&f.np, &options, &user.super, &err));
    assert_int_equal(err, SP_THROTTLED);
    net_vc_do_io_close(vcs[0], VC_CLOSE_ABORT);
    vcs[0] = net_processor_connect_s(&f.np, &options, &user.super, &err);
    assert_non_null(vcs[0]);
    for (int i = 0; i < 2; i++)
        net_vc_do_io_close(vcs[i], VC_CLOSE_ABORT);
    net_fixture_settle(&f);
    net_throttle_free(f.core->throttle);
    f.core->throttle = plenty;
}

/* ---- The thread ends ---- */

void net_handler_close_all(struct net_handler *nh);

static void a_thread_that_ends_tells_who_waits_for_a_connection(void **state)
{
    struct blackhole b;

    (void)state;
    blackhole_open(&b);
    (void)start_to(net_processor_connect_s, &b.bound, 3000);
    net_handler_close_all(f.nh);
    assert_int_equal(user.n_events, 1);
    assert_int_equal(net_user_last(&user), NET_EVENT_OPEN_FAILED);
    assert_int_equal(user.failure, SP_SHUTTING_DOWN);
    blackhole_close(&b);
}

/* Connected, and kept for later: nobody reads or writes. */
static void a_thread_that_ends_tells_the_owner_of_an_idle_connection(void **state)
{
    (void)state;
    (void)start(net_processor_connect_s);
    net_fixture_settle(&f);
    net_handler_close_all(f.nh);
    assert_int_equal(user.n_events, 2);
    assert_int_equal(net_user_last(&user), VC_EVENT_ERROR);
}

static void try_again(struct net_user *u, int event, void *data)
{
    const struct net_connect_options options = {.remote = bound, .timeout_ms = 5000};
    enum sp_err err = SP_OK;

    (void)event;
    (void)data;
    assert_true(u->n_events < 10);
    if (event == NET_EVENT_OPEN_FAILED)
        (void)!net_processor_connect_s(&f.np, &options, &u->super, &err);
    u->failure = err;
}

static void a_thread_that_ends_starts_no_connections(void **state)
{
    struct blackhole b;

    (void)state;
    blackhole_open(&b);
    user.act = try_again;
    (void)start_to(net_processor_connect_s, &b.bound, 3000);
    atomic_store(&f.thread->stopping, true);
    net_handler_close_all(f.nh);
    assert_int_equal(user.n_events, 1);
    assert_int_equal(user.failure, SP_SHUTTING_DOWN);
    blackhole_close(&b);
}

#define CONNECT_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CONNECT_TEST(a_connection_is_told_when_it_stands_and_carries_bytes),
        CONNECT_TEST(a_refusal_is_told_with_its_reason),
        CONNECT_TEST(a_connection_that_does_not_come_about_times_out),
        CONNECT_TEST(without_a_timeout_the_default_inactivity_bounds_it),
        CONNECT_TEST(the_timeout_ends_with_the_connecting),
        CONNECT_TEST(what_the_server_says_first_is_not_lost),
        CONNECT_TEST(a_server_that_speaks_and_leaves_at_once_is_heard_to_the_end),
        CONNECT_TEST(the_impatient_are_told_before_it_stands),
        CONNECT_TEST(what_is_written_before_it_stands_is_sent_when_it_does),
        CONNECT_TEST(a_refusal_after_an_early_open_is_an_error_of_the_connection),
        CONNECT_TEST(a_pending_connection_can_be_closed_and_tells_nothing),
        CONNECT_TEST(a_close_inside_the_first_event_is_fine),
        CONNECT_TEST(the_source_address_is_the_one_asked_for),
        CONNECT_TEST(a_source_address_of_somebody_else_starts_nothing),
        CONNECT_TEST(an_address_that_cannot_be_reached_fails_once),
        CONNECT_TEST(a_unix_socket_is_reached_too),
        CONNECT_TEST(without_memory_nothing_is_started),
        CONNECT_TEST(without_descriptors_nothing_is_started),
        CONNECT_TEST(the_headroom_of_connect_bounds_what_is_open_at_once),
        CONNECT_TEST(a_thread_that_ends_tells_who_waits_for_a_connection),
        CONNECT_TEST(a_thread_that_ends_tells_the_owner_of_an_idle_connection),
        CONNECT_TEST(a_thread_that_ends_starts_no_connections),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
