/* What the tests of listeners share: a listener's user, its clients, and the system calls that can
 * be made to fail. One program includes this once: accept4(2) and epoll_ctl(2) are defined here. */
#pragma once

#include "net_fixture.h"
#include "unit_test.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <string.h>
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

static inline int accepted(struct continuation *c, int event, void *data)
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

static inline int told_on_thread(const struct ethread *t)
{
    int n = 0;

    for (int i = 0; i < n_told; i++)
        n += told_on[i] == t;
    return n;
}

/* ---- Fixture ---- */

static inline struct ethread *net_thread(int i)
{
    return f.ep->groups[f.core->et_net].threads[i];
}

static inline void open_core(struct net_core_options *options)
{
    options->default_inactivity_ms = 300 * 1000;
    options->handshake_budget_ns = INT64_MAX;
    epoll_adds_fail = 0;
    net_fixture_open(&f, options);
    continuation_init(&on_accept, "on_accept", accepted);
    n_told = n_failed = n_wrong = 0;
    accept_errno = accept_min_fd = n_accept_calls = 0;
}

static inline int setup(void **state)
{
    struct net_core_options options = {.n_net_threads = 3};

    (void)state;
    open_core(&options);
    return 0;
}

static inline int setup_two_at_most(void **state)
{
    struct net_core_options options = {.n_net_threads = 1, .throttle.max_connections = 2};

    (void)state;
    open_core(&options);
    return 0;
}

static inline int teardown(void **state)
{
    (void)state;
    net_fixture_close(&f);
    return n_wrong == 0 ? 0 : -1;
}

static inline struct net_accept_options options_for(const char *where)
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

static inline struct net_accept *open_listener(const struct net_accept_options *options)
{
    const char *why = "";
    struct net_accept *na = net_processor_main_accept(&f.np, options, &why);

    if (na == NULL)
        fail_msg("%s", why);
    return na;
}

static inline void turn_all(void)
{
    for (int i = 0; i < f.ep->groups[f.core->et_net].n; i++) {
        net_fixture_use(&f, net_thread(i));
        net_fixture_settle(&f);
    }
    net_fixture_use(&f, net_thread(0));
}

/* Its last reference of ours; what it has accepted keeps it. */
static inline void stop_listener(struct net_accept *na)
{
    net_accept_stop(na);
    turn_all();
    net_accept_unref(na);
}

static inline void until_told(int n)
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

static inline void clients_connect(struct clients *c, const struct endpoint *to, int n)
{
    for (c->n = 0; c->n < n; c->n++)
        c->fds[c->n] = loopback_connect(to);
}

static inline void clients_close(struct clients *c)
{
    for (int i = 0; i < c->n; i++)
        (void)close(c->fds[i]);
    c->n = 0;
}

static inline bool is_refused(const struct endpoint *to)
{
    int fd = socket(to->sa.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int rc = connect(fd, &to->sa, to->len);
    int error_number = errno;

    (void)close(fd);
    return rc != 0 && error_number == ECONNREFUSED;
}

static inline bool has_ended(int fd)
{
    char byte;
    ssize_t n = recv(fd, &byte, 1, MSG_DONTWAIT);

    return n == 0 || (n < 0 && errno == ECONNRESET);
}
