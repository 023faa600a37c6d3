/* The loop turn of a thread with sockets, and what a transport with a handshake makes of it. The
 * transport here does what its script says, over real sockets. */
#include "failing_alloc.h"
#include "net_fixture.h"
#include "unit_test.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define PAUSE_BYTES 65536
#define MAX_STEPS   8

static struct net_fixture f;
static struct net_user user;
static int peer;

/* epoll_ctl(2): so many of the next changes fail. */
static int epoll_mods_fail;

int epoll_ctl(int epoll_fd, int op, int fd, struct epoll_event *event)
{
    if (op == EPOLL_CTL_MOD && epoll_mods_fail > 0) {
        epoll_mods_fail--;
        errno = ENOMEM;
        return -1;
    }
    return (int)syscall(SYS_epoll_ctl, epoll_fd, op, fd, event);
}

/* What happened, a letter each. */
static char trace[64];

static void note(char what)
{
    size_t len = strlen(trace);

    if (len + 1 < sizeof(trace))
        trace[len] = what;
}

/* ---- A transport that does what it is told ---- */

struct fake_script {
    enum io_status advance[MAX_STEPS]; /* of each step; the last one goes on */
    int n_advance, n_steps;
    int64_t step_costs_ms; /* the clock goes on by so much in each */
    int recv_wants_write;  /* so many receives want to write first */
    bool pending;          /* has something although the socket is not readable */
    size_t keeps_back;     /* bytes of each send that only flush lets go */
    size_t kept;
    bool flush_waits; /* it cannot now */
    enum sp_err detach;
    int n_detached, n_destroyed;
    bool ended;
    enum vc_close how;
};

struct fake_vc {
    struct net_vconnection super;
    struct fake_script *script;
};

/* Those of the connections that are made next. */
static struct fake_script script;

static struct fake_script *script_of(const struct net_vconnection *vc)
{
    return container_of((struct net_vconnection *)(uintptr_t)vc, struct fake_vc, super)->script;
}

static struct io_result fake_advance(struct net_vconnection *vc)
{
    struct fake_script *s = script_of(vc);
    int at = s->n_steps < s->n_advance ? s->n_steps : s->n_advance - 1;
    char byte;

    note('h');
    s->n_steps++;
    net_fixture_set_clock(net_fixture_now_ms() + s->step_costs_ms);
    if (s->advance[at] == IO_WANT_TURN && vc->turn_granted)
        return (struct io_result){.status = IO_OK};
    if (s->advance[at] == IO_WANT_READ)
        while (recv(vc->fd, &byte, 1, MSG_DONTWAIT) > 0) /* what it waits for is gone */
            ;
    return (struct io_result){.status = s->advance[at],
                              .err = s->advance[at] == IO_ERROR ? SP_TLS_PROTOCOL : SP_OK};
}

static struct io_result fake_recv(struct net_vconnection *vc, const struct iovec *iov, int n_iov)
{
    struct fake_script *s = script_of(vc);

    if (s->recv_wants_write > 0) {
        s->recv_wants_write--;
        return IO_RESULT_WANT(IO_WANT_WRITE);
    }
    if (s->pending) {
        s->pending = false;
        memcpy(iov[0].iov_base, "pent up", 7);
        return (struct io_result){.status = IO_OK, .n = 7};
    }
    return net_vc_socket_recvv(vc, iov, n_iov);
}

static struct io_result fake_send(struct net_vconnection *vc, const struct iovec *iov, int n_iov)
{
    struct fake_script *s = script_of(vc);
    struct io_result r = net_vc_socket_sendv(vc, iov, n_iov);

    if (r.status == IO_OK)
        s->kept = s->keeps_back;
    return r;
}

static struct io_result fake_flush(struct net_vconnection *vc)
{
    struct fake_script *s = script_of(vc);

    if (s->kept > 0 && s->flush_waits)
        return IO_RESULT_WANT(IO_WANT_WRITE);
    s->kept = 0;
    return (struct io_result){.status = IO_OK};
}

static bool fake_pending(const struct net_vconnection *vc)
{
    return script_of(vc)->pending;
}

static void fake_shutdown_write(struct net_vconnection *vc)
{
    assert_int_equal(script_of(vc)->kept, 0);
    net_vc_default_shutdown_write(vc);
}

static void fake_close(struct net_vconnection *vc, enum vc_close how)
{
    script_of(vc)->ended = true;
    script_of(vc)->how = how;
}

static enum sp_err fake_detach(struct net_vconnection *vc)
{
    script_of(vc)->n_detached++;
    return script_of(vc)->detach;
}

static void fake_destroy(struct net_vconnection *vc)
{
    note('d');
    script_of(vc)->n_destroyed++;
    net_vc_fini(vc);
    free(container_of(vc, struct fake_vc, super));
}

static const struct net_vc_ops fake_vc_ops = {
    .name = "fake",
    .advance = fake_advance,
    .recv = fake_recv,
    .send = fake_send,
    .flush = fake_flush,
    .pending = fake_pending,
    .shutdown_write = fake_shutdown_write,
    .close = fake_close,
    .detach = fake_detach,
    .tls_info = net_vc_default_tls_info,
    .destroy = fake_destroy,
};

static int event_type; /* where the connections of the fake processor start */

static int fake_accept_event_type(const struct net_processor *np)
{
    (void)np;
    return event_type;
}

static struct net_vconnection *fake_allocate_vc(struct net_processor *np, struct net_accept *na,
                                                int fd)
{
    struct fake_vc *vc = calloc(1, sizeof(*vc));

    if (vc == NULL)
        return NULL;
    net_vc_init(&vc->super, &fake_vc_ops, np->core, fd);
    vc->script = &script;
    vc->super.phase = VC_HANDSHAKE;
    vc->super.accept = na;
    return &vc->super;
}

static const struct net_processor_ops fake_processor_ops = {
    .name = "fake",
    .accept_event_type = fake_accept_event_type,
    .allocate_vc = fake_allocate_vc,
};

static struct net_processor fake_np;

static void script_is(enum io_status first, enum io_status second)
{
    script = (struct fake_script){.advance = {first, second}, .n_advance = 2};
}

/* ---- Fixture ---- */

static int setup(void **state)
{
    (void)state;
    net_fixture_open(&f, NULL);
    net_processor_init(&fake_np, &fake_processor_ops, f.core);
    event_type = f.core->et_net;
    net_user_init(&user);
    memset(trace, 0, sizeof(trace));
    script = (struct fake_script){.n_advance = 1};
    peer = -1;
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

/* A connection that the fake processor accepted, on the thread that is in use. */
static struct net_vconnection *accept_fake(struct net_user *u, int *peer_fd)
{
    struct net_vconnection *vc;
    int ends[2];

    loopback_pair(ends);
    *peer_fd = ends[0];
    f.listener.options.cont = &u->super;
    vc = fake_np.ops->allocate_vc(&fake_np, net_accept_ref(&f.listener), ends[1]);
    assert_non_null(vc);
    net_vc_start(vc, f.thread);
    return vc;
}

static void peer_says(int fd, const char *text)
{
    assert_int_equal(send(fd, text, strlen(text), 0), strlen(text));
}

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
    f.nh->handshake_budget_ns = 2 * 1000000;
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

/* As much as the two sockets take. */
static size_t stuff(int fd)
{
    static const char bytes[65536];
    size_t total = 0;

    for (;;) {
        ssize_t n = send(fd, bytes, sizeof(bytes), MSG_DONTWAIT | MSG_NOSIGNAL);

        if (n < 0)
            return total;
        total += (size_t)n;
    }
}

static void unstuff(int fd, size_t n)
{
    static char bytes[65536];

    while (n > 0) {
        ssize_t got = recv(fd, bytes, sizeof(bytes), 0);

        if (got > 0)
            n -= (size_t)got;
        else
            (void)sched_yield();
    }
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

/* ---- Waiting for a turn ---- */

/* Two at least, or a handshake that is alone goes straight on. */
struct waiters {
    struct net_vconnection *vcs[3];
    int fds[3];
};

static void waiters_open(struct waiters *w)
{
    script_is(IO_WANT_TURN, IO_WANT_TURN);
    f.nh->handshake_budget_ns = 1000000;
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
#define MOVE_TEST(name)    cmocka_unit_test_setup_teardown(name, setup_migration, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        HANDLER_TEST(a_turn_has_its_order),
        HANDLER_TEST(handshakes_within_a_budget_leave_data_its_turn),
        cmocka_unit_test(threads_that_sleep_are_woken_by_what_is_sent_to_them),
        HANDLER_TEST(a_handshake_is_stepped_when_what_it_wants_is_there),
        HANDLER_TEST(a_handshake_that_wants_to_write_waits_for_room_and_for_nothing_else),
        HANDLER_TEST(what_a_transport_holds_ready_starts_its_handshake),
        HANDLER_TEST(a_handshake_that_fails_ends_the_connection_cleanly),
        HANDLER_TEST(a_handshake_that_takes_too_long_is_cut),
        HANDLER_TEST(the_timeout_of_the_handshake_ends_with_it),
        HANDLER_TEST(handshakes_have_their_turns_one_by_one),
        HANDLER_TEST(news_for_one_that_waits_changes_nothing),
        HANDLER_TEST(one_that_leaves_while_it_waits_costs_nothing),
        HANDLER_TEST(a_read_that_wants_to_write_goes_on_when_there_is_room),
        HANDLER_TEST(what_a_transport_holds_is_read_without_news_from_the_socket),
        HANDLER_TEST(a_writer_is_told_when_the_transport_has_let_go_of_its_bytes),
        HANDLER_TEST(a_connection_that_cannot_wait_for_room_has_failed),
        HANDLER_TEST(a_handshake_that_cannot_wait_for_room_tries_again),
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
        HANDLER_TEST(a_descriptor_that_cannot_be_polled_is_discarded),
        cmocka_unit_test(making_the_threads_survives_each_failed_allocation),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
