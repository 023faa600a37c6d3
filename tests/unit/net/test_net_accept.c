/* Listeners over loopback: the three modes, what throttles and errors do to them, and their end.
 * accept4(2) and epoll_ctl(2) stand here, so that a test can make them fail. */
#include "failing_alloc.h"
#include "net_fixture.h"
#include "unit_test.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define N_CLIENTS 12
#define MAX_TOLD  64 /* further ones are only counted */

static struct net_fixture f;

/* ---- accept4(2) ---- */

static atomic_int accept_errno;  /* the next call fails with it; 0: none */
static atomic_int accept_min_fd; /* descriptors come out at or above; 0: as they are */
static atomic_int n_accept_calls;

/* Under its own name: the system's declaration takes a kind of union that ISO C does not know. */
int fake_accept4(int fd, void *sa, socklen_t *len, int flags) __asm__("accept4");

int fake_accept4(int fd, void *sa, socklen_t *len, int flags)
{
    int error_number = atomic_exchange(&accept_errno, 0);
    int low, high;

    n_accept_calls++;
    if (error_number != 0) {
        errno = error_number;
        return -1;
    }
    low = (int)syscall(SYS_accept4, fd, sa, len, flags);
    if (low < 0 || accept_min_fd == 0)
        return low;
    high = fcntl(low, F_DUPFD_CLOEXEC, accept_min_fd);
    (void)close(low);
    return high;
}

/* ---- epoll_ctl(2) ---- */

static atomic_int epoll_adds_fail; /* so many of the next */

int epoll_ctl(int epoll_fd, int op, int fd, struct epoll_event *event)
{
    if (op == EPOLL_CTL_ADD && epoll_adds_fail > 0) {
        epoll_adds_fail--;
        errno = ENOMEM;
        return -1;
    }
    return (int)syscall(SYS_epoll_ctl, epoll_fd, op, fd, event);
}

/* ---- What the listeners' continuation is told, on several threads at once ---- */

static atomic_int n_told, n_failed, n_wrong;
static struct net_vconnection *told[MAX_TOLD];
static struct ethread *told_on[MAX_TOLD];
static struct continuation on_accept;

static int accepted(struct continuation *c, int event, void *data)
{
    (void)c;
    if (event == NET_EVENT_ACCEPT_FAILED) {
        n_failed++;
        return EVENT_DONE;
    }
    n_wrong += event != NET_EVENT_ACCEPT;
    if (n_told < MAX_TOLD) {
        told[n_told] = data;
        told_on[n_told] = this_ethread();
    }
    n_told++;
    return EVENT_DONE;
}

static int told_on_thread(const struct ethread *t)
{
    int n = 0;

    for (int i = 0; i < n_told; i++)
        n += told_on[i] == t;
    return n;
}

/* ---- Fixture ---- */

static struct ethread *net_thread(int i)
{
    return f.ep->groups[f.core->et_net].threads[i];
}

static void open_core(struct net_core_options *options)
{
    options->default_inactivity_ms = 300 * 1000;
    options->handshake_budget_ns = INT64_MAX;
    epoll_adds_fail = 0;
    net_fixture_open(&f, options);
    continuation_init(&on_accept, "on_accept", accepted);
    n_told = n_failed = n_wrong = 0;
    accept_errno = accept_min_fd = n_accept_calls = 0;
}

static int setup(void **state)
{
    struct net_core_options options = {.n_net_threads = 3};

    (void)state;
    open_core(&options);
    return 0;
}

static int setup_two_at_most(void **state)
{
    struct net_core_options options = {.n_net_threads = 1, .throttle.max_connections = 2};

    (void)state;
    open_core(&options);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    net_fixture_close(&f);
    return n_wrong == 0 ? 0 : -1;
}

static struct net_accept_options options_for(const char *where)
{
    struct net_accept_options o = {
        .accept = {.accepts_per_turn = 100,
                   .backlog = 64,
                   .fd = -1,
                   .linger_s = -1,
                   .threads = 1,
                   .unix_mode = 0600},
        .cont = &on_accept,
        .label = VIEW("test"),
    };

    assert_int_equal(endpoint_parse(view_of(where), &o.endpoint), SP_OK);
    return o;
}

static struct net_accept *open_listener(const struct net_accept_options *options)
{
    const char *why = "";
    struct net_accept *na = net_processor_main_accept(&f.np, options, &why);

    if (na == NULL)
        fail_msg("%s", why);
    return na;
}

static void turn_all(void)
{
    for (int i = 0; i < f.ep->groups[f.core->et_net].n; i++) {
        net_fixture_use(&f, net_thread(i));
        net_fixture_settle(&f);
    }
    net_fixture_use(&f, net_thread(0));
}

/* Its last reference of ours; what it has accepted keeps it. */
static void stop_listener(struct net_accept *na)
{
    net_accept_stop(na);
    turn_all();
    net_accept_unref(na);
}

static void until_told(int n)
{
    int64_t since_ms = net_fixture_real_ms();

    while (n_told < n) {
        turn_all();
        (void)sched_yield(); /* an accept thread may be at work */
        net_fixture_check_patience(since_ms, "accepted connections");
    }
}

struct clients {
    int fds[N_CLIENTS];
    int n;
};

static void clients_connect(struct clients *c, const struct endpoint *to, int n)
{
    for (c->n = 0; c->n < n; c->n++)
        c->fds[c->n] = loopback_connect(to);
}

static void clients_close(struct clients *c)
{
    for (int i = 0; i < c->n; i++)
        (void)close(c->fds[i]);
    c->n = 0;
}

static bool is_refused(const struct endpoint *to)
{
    int fd = socket(to->sa.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int rc = connect(fd, &to->sa, to->len);
    int error_number = errno;

    (void)close(fd);
    return rc != 0 && error_number == ECONNREFUSED;
}

static bool has_ended(int fd)
{
    char byte;
    ssize_t n = recv(fd, &byte, 1, MSG_DONTWAIT);

    return n == 0 || (n < 0 && errno == ECONNRESET);
}

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

static void a_want_of_descriptors_rests_the_listener_and_costs_an_idle_connection(void **state)
{
    struct net_accept_options o = options_for("127.0.0.1:0");
    struct net_accept *na;
    struct clients idle, c;

    (void)state;
    o.accept.mode = ACCEPT_SINGLE;
    na = open_listener(&o);
    clients_connect(&idle, &na->bound, 1);
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

static void a_broken_listener_is_told_once_and_closed(void **state)
{
    struct net_accept_options o = options_for("127.0.0.1:0");
    struct net_accept *na;
    struct clients c;

    (void)state;
    o.accept.mode = ACCEPT_SINGLE;
    na = open_listener(&o);
    clients_connect(&c, &na->bound, 1);
    accept_errno = EINVAL;
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
        accept_errno = EINVAL;
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

/* ---- The end ---- */

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

/* ---- Kinds of sockets ---- */

static char folder[64], socket_path[96];

static struct net_accept_options unix_options(void)
{
    struct net_accept_options o;
    char text[128];

    (void)snprintf(folder, sizeof(folder), "/tmp/net_accept_XXXXXX");
    assert_non_null(mkdtemp(folder));
    (void)snprintf(socket_path, sizeof(socket_path), "%s/socket", folder);
    (void)snprintf(text, sizeof(text), "unix:%s", socket_path);
    o = options_for(text);
    return o;
}

static void remove_folder(void)
{
    (void)unlink(socket_path);
    (void)rmdir(folder);
}

static void a_unix_socket_has_its_mode_and_serves(void **state)
{
    struct net_accept_options o = unix_options();
    struct net_accept *na;
    struct stat st;
    struct clients c;

    (void)state;
    o.accept.unix_mode = 0620;
    na = open_listener(&o);
    assert_int_equal(stat(socket_path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0620);
    clients_connect(&c, &na->bound, 2);
    until_told(2);
    assert_int_equal(told[0]->remote.sa.sa_family, AF_UNSPEC);
    clients_close(&c);
    stop_listener(na);
    remove_folder();
}

static void open_fails_with(const struct net_accept_options *o, const char *text)
{
    const char *why = "";

    assert_null(net_processor_main_accept(&f.np, o, &why));
    assert_non_null(strstr(why, text));
}

static void a_socket_file_in_use_is_left_alone_and_a_stale_one_replaced(void **state)
{
    struct net_accept_options o = unix_options();
    struct net_accept *na = open_listener(&o);
    int fd;

    (void)state;
    open_fails_with(&o, "bind: Address already in use");
    stop_listener(na);
    assert_int_equal(access(socket_path, F_OK), 0); /* the file stays, nobody listens */
    na = open_listener(&o);
    stop_listener(na);
    (void)unlink(socket_path);
    fd = open(socket_path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600); /* somebody's file */
    (void)close(fd);
    open_fails_with(&o, "bind: Address already in use");
    assert_int_equal(access(socket_path, F_OK), 0);
    remove_folder();
}

/* Another process listens and does not accept: asking whether it is there must not block. */
static void a_busy_socket_file_does_not_hold_up_the_start(void **state)
{
    struct net_accept_options o = unix_options();
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int waiting = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    (void)state;
    assert_int_equal(bind(fd, &o.endpoint.sa, o.endpoint.len), 0);
    assert_int_equal(listen(fd, 0), 0);
    assert_int_equal(connect(waiting, &o.endpoint.sa, o.endpoint.len), 0);
    open_fails_with(&o, "bind: Address already in use");
    (void)close(waiting);
    (void)close(fd);
    remove_folder();
}

static void an_owner_that_does_not_exist_is_an_error(void **state)
{
    struct net_accept_options o = unix_options();

    (void)state;
    o.accept.unix_owner = VIEW("no-such-user-here");
    open_fails_with(&o, "owner of the socket file");
    o.accept.unix_owner = VIEW(":no-such-group-here");
    open_fails_with(&o, "owner of the socket file");
    o.accept.unix_owner = VIEW("");
    stop_listener(open_listener(&o));
    remove_folder();
}

static void a_listening_descriptor_is_taken_over_and_stays_its_givers(void **state)
{
    struct net_accept_options o = options_for("127.0.0.1:0");
    struct endpoint bound;
    struct net_accept *na;
    struct clients c;
    int given = loopback_listen(8, &bound);

    (void)state;
    o.accept.fd = given;
    o.accept.reuse_port = true; /* cannot apply: there is one socket */
    na = open_listener(&o);
    assert_int_equal(endpoint_port(&na->bound), endpoint_port(&bound));
    clients_connect(&c, &bound, 2);
    until_told(2);
    clients_close(&c);
    stop_listener(na);
    clients_connect(&c, &bound, 1); /* the giver's still listens */
    clients_close(&c);
    (void)close(given);
}

static void a_descriptor_that_does_not_listen_is_refused(void **state)
{
    struct net_accept_options o = options_for("127.0.0.1:0");
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    (void)state;
    o.accept.fd = fd;
    open_fails_with(&o, "not a listening socket");
    (void)close(fd);
    o.accept.fd = 1000000;
    open_fails_with(&o, "not a listening socket");
}

static bool have_ipv6(void)
{
    struct endpoint e;
    int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool have =
        fd >= 0 && endpoint_parse(VIEW("[::1]:0"), &e) == SP_OK && bind(fd, &e.sa, e.len) == 0;

    if (fd >= 0)
        (void)close(fd);
    return have;
}

static struct endpoint with_port_of(const char *address, const struct endpoint *from)
{
    struct endpoint e;

    assert_int_equal(endpoint_parse(view_of(address), &e), SP_OK);
    if (e.sa.sa_family == AF_INET)
        e.in.sin_port = from->in6.sin6_port;
    else
        e.in6.sin6_port = from->in6.sin6_port;
    return e;
}

static void the_unspecified_address_serves_both_families(void **state)
{
    struct net_accept_options o = options_for("[::]:0");
    struct endpoint v4, v6;
    struct clients c;
    struct net_accept *na;
    char text[ENDPOINT_TEXT_MAX];

    (void)state;
    if (!have_ipv6())
        skip();
    na = open_listener(&o);
    v4 = with_port_of("127.0.0.1:0", &na->bound);
    v6 = with_port_of("[::1]:0", &na->bound);
    clients_connect(&c, &v4, 1);
    until_told(1);
    assert_string_equal(ip_endpoint_format_address(&told[0]->remote, text, sizeof(text)),
                        "127.0.0.1");
    clients_close(&c);
    clients_connect(&c, &v6, 1);
    until_told(2);
    assert_string_equal(ip_endpoint_format_address(&told[1]->remote, text, sizeof(text)), "::1");
    clients_close(&c);
    stop_listener(na);
}

static void an_ipv6_address_serves_its_own_family_only(void **state)
{
    struct net_accept_options o = options_for("[::1]:0");
    struct endpoint v4;
    struct net_accept *na;

    (void)state;
    if (!have_ipv6())
        skip();
    na = open_listener(&o);
    v4 = with_port_of("127.0.0.1:0", &na->bound);
    assert_true(is_refused(&v4));
    stop_listener(na);
}

static void localhost_only_is_just_that(void **state)
{
    struct net_accept_options o = options_for("0.0.0.0:0");
    struct net_accept *na;
    char text[ENDPOINT_TEXT_MAX];

    (void)state;
    o.accept.localhost_only = true;
    na = open_listener(&o);
    assert_memory_equal(endpoint_format(&na->bound, text, sizeof(text)), "127.0.0.1:", 10);
    stop_listener(na);
}

static void an_address_in_use_is_told_by_name(void **state)
{
    struct net_accept_options o = options_for("127.0.0.1:0");
    struct net_accept *na = open_listener(&o);

    (void)state;
    o.endpoint = na->bound;
    open_fails_with(&o, "bind: Address already in use");
    stop_listener(na);
}

/* ---- What runs out ---- */

static void opening_survives_each_failed_allocation(void **state)
{
    static const enum accept_mode modes[] = {ACCEPT_PER_THREAD, ACCEPT_SINGLE, ACCEPT_DEDICATED};

    (void)state;
    for (size_t i = 0; i < SP_COUNT_OF(modes); i++) {
        for (unsigned nth = 0;; nth++) {
            struct net_accept_options o = options_for("127.0.0.1:0");
            const char *why = "";
            struct net_accept *na;
            bool hit;

            o.accept.mode = modes[i];
            failing_alloc_arm(nth);
            na = net_processor_main_accept(&f.np, &o, &why);
            hit = failing_alloc_hit();
            if (na != NULL) {
                stop_listener(na);
                if (!hit)
                    break;
            } else {
                assert_true(hit);
                assert_non_null(strstr(why, "memory"));
                turn_all();
            }
        }
    }
}

static void a_listener_that_cannot_be_polled_is_tried_again(void **state)
{
    struct net_accept_options o = options_for("127.0.0.1:0");
    struct net_accept *na;
    struct clients c;

    (void)state;
    o.accept.mode = ACCEPT_SINGLE;
    na = open_listener(&o);
    epoll_adds_fail = 3;
    turn_all();
    assert_int_equal(epoll_adds_fail, 2);
    clients_connect(&c, &na->bound, 1);
    for (int i = 0; i < 3; i++)
        net_fixture_pass_ms(&f, 20);
    until_told(1);
    clients_close(&c);
    stop_listener(na);
}

static void a_connection_that_cannot_be_polled_is_closed_and_not_counted(void **state)
{
    struct net_accept_options o = options_for("127.0.0.1:0");
    struct net_accept *na = open_listener(&o);
    struct clients c;

    (void)state;
    turn_all();
    clients_connect(&c, &na->bound, 1);
    epoll_adds_fail = 1;
    turn_all();
    assert_int_equal(n_told, 0);
    assert_true(has_ended(c.fds[0]));
    assert_int_equal(net_throttle_state(f.core->throttle).connections, 0);
    clients_close(&c);
    stop_listener(na);
}

static void a_connection_without_memory_is_closed_and_not_counted(void **state)
{
    struct net_accept_options o = options_for("127.0.0.1:0");
    struct net_accept *na = open_listener(&o);
    struct clients c;

    (void)state;
    turn_all();
    clients_connect(&c, &na->bound, 1);
    failing_alloc_arm(0);
    net_fixture_settle(&f);
    assert_true(failing_alloc_hit());
    assert_int_equal(n_told, 0);
    assert_true(has_ended(c.fds[0]));
    assert_int_equal(net_throttle_state(f.core->throttle).connections, 0);
    clients_close(&c);
    clients_connect(&c, &na->bound, 1);
    until_told(1);
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
        ACCEPT_TEST(a_broken_listener_is_told_once_and_closed),
        ACCEPT_TEST(a_listener_that_every_thread_finds_broken_is_told_once),
        ACCEPT_TEST(every_thread_accepts_for_itself),
        ACCEPT_TEST(with_reuse_port_every_thread_has_a_socket_of_its_own),
        ACCEPT_TEST(a_single_thread_accepts_for_all),
        ACCEPT_TEST(accept_threads_accept_for_all),
        ACCEPT_TEST(a_turn_accepts_no_more_than_its_bound),
        ACCEPT_TEST(an_accepted_connection_knows_both_ends),
        LIMIT_TEST(at_the_total_accepting_pauses_and_goes_on_when_there_is_room, two_at_most),
        LIMIT_TEST(a_backdoor_is_open_when_all_else_is_full, two_at_most),
        LIMIT_TEST(who_has_too_many_is_turned_away_at_once, one_per_address),
        LIMIT_TEST(when_descriptors_run_low_accepting_rests, few_descriptors),
        ACCEPT_TEST(a_stopped_listener_refuses_and_its_connections_go_on),
        ACCEPT_TEST(who_had_connected_before_the_stop_is_still_served),
        LIMIT_TEST(a_listener_can_be_stopped_while_it_rests, two_at_most),
        ACCEPT_TEST(a_listener_can_be_stopped_before_its_threads_heard_of_it),
        ACCEPT_TEST(a_listener_can_be_stopped_by_the_connection_that_it_made),
        ACCEPT_TEST(a_unix_socket_has_its_mode_and_serves),
        ACCEPT_TEST(a_socket_file_in_use_is_left_alone_and_a_stale_one_replaced),
        ACCEPT_TEST(a_busy_socket_file_does_not_hold_up_the_start),
        ACCEPT_TEST(an_owner_that_does_not_exist_is_an_error),
        ACCEPT_TEST(a_listening_descriptor_is_taken_over_and_stays_its_givers),
        ACCEPT_TEST(a_descriptor_that_does_not_listen_is_refused),
        ACCEPT_TEST(the_unspecified_address_serves_both_families),
        ACCEPT_TEST(an_ipv6_address_serves_its_own_family_only),
        ACCEPT_TEST(localhost_only_is_just_that),
        ACCEPT_TEST(an_address_in_use_is_told_by_name),
        ACCEPT_TEST(opening_survives_each_failed_allocation),
        ACCEPT_TEST(a_listener_that_cannot_be_polled_is_tried_again),
        ACCEPT_TEST(a_connection_that_cannot_be_polled_is_closed_and_not_counted),
        ACCEPT_TEST(a_connection_without_memory_is_closed_and_not_counted),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
