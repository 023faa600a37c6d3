#include "net_fixture.h"

#include "unit_test.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* How long a condition may stay away before the test is given up. */
#define PATIENCE_MS 20000

static _Atomic int64_t fake_now_ms; /* accept threads of a test read it too */

static int64_t fake_mono_ns(void)
{
    return fake_now_ms * 1000000;
}

static int64_t fake_wall_ms(void)
{
    return INT64_C(1700000000000) + fake_now_ms;
}

void net_fixture_set_clock(int64_t now_ms)
{
    fake_now_ms = now_ms;
}

int64_t net_fixture_now_ms(void)
{
    return fake_now_ms;
}

static int count_fds(void)
{
    DIR *dir = opendir("/proc/self/fd");
    int n = 0;

    assert_non_null(dir);
    while (readdir(dir) != NULL) // NOLINT(concurrency-mt-unsafe)
        n++;
    (void)closedir(dir);
    return n;
}

static void listener_destroy(struct net_accept *na)
{
    (void)na; /* a field of the fixture */
}

static const struct net_accept_ops listener_ops = {.destroy = listener_destroy};

void net_fixture_open(struct net_fixture *f, const struct net_core_options *options)
{
    static const struct net_core_options defaults = {
        .n_net_threads = 1,
        .default_inactivity_ms = 300 * 1000,
        .handshake_budget_ns = INT64_MAX,
    };
    static const struct clock_source clock = {.mono_ns = fake_mono_ns, .wall_ms = fake_wall_ms};
    const struct net_accept_options listener = {.accept.linger_s = -1};

    net_fixture_set_clock(1000);
    clock_set_for_test(&clock);
    memset(f, 0, sizeof(*f));
    f->n_fds = count_fds();
    f->ep = event_processor_new();
    assert_non_null(f->ep);
    f->core = net_core_new(f->ep, options != NULL ? options : &defaults);
    assert_non_null(f->core);
    net_processor_init(&f->np, &tcp_net_processor_ops, f->core);
    net_accept_init(&f->listener, &listener_ops, &f->np, &listener);
    net_fixture_use(f, f->ep->groups[f->core->et_net].threads[0]);
}

void net_fixture_use(struct net_fixture *f, struct ethread *t)
{
    f->thread = t;
    f->nh = net_handler_of(f->core, t);
    ethread_adopt(t);
    ethread_refresh_now(t);
}

void net_fixture_close(struct net_fixture *f)
{
    ethread_adopt(NULL);
    event_processor_stop(f->ep); /* they never ran: does what each thread does when it ends */
    assert_int_equal(atomic_load(&f->listener.refs), 1);
    assert_int_equal(net_throttle_state(f->core->throttle).connections, 0);
    assert_int_equal(net_throttle_state(f->core->throttle).outgoing, 0);
    net_core_free(f->core);
    event_processor_free(f->ep);
    assert_int_equal(count_fds(), f->n_fds);
    iobuf_thread_fini();
    clock_set_for_test(NULL);
}

void net_fixture_turn(struct net_fixture *f)
{
    ethread_wake(f->thread);
    f->thread->turn(f->thread);
}

static bool is_busy(const struct net_fixture *f)
{
    struct pollfd pfd = {.fd = f->nh->pd.epoll_fd, .events = POLLIN};
    const struct list *lists[] = {
        &f->nh->read_ready,           &f->nh->write_ready,
        &f->nh->handshake_read_ready, &f->nh->handshake_write_ready,
        &f->nh->accept_ready,         &f->nh->closed,
    };

    for (size_t i = 0; i < SP_COUNT_OF(lists); i++)
        if (!list_is_empty(lists[i]))
            return true;
    return (f->nh->handshakes.n > 0 && !f->nh->paced) || ethread_wait_ms(f->thread) == 0 ||
           poll(&pfd, 1, 0) > 0;
}

void net_fixture_settle(struct net_fixture *f)
{
    int64_t since_ms = net_fixture_real_ms();

    do {
        net_fixture_turn(f);
        net_fixture_check_patience(since_ms, "nothing left to do");
    } while (is_busy(f));
}

void net_fixture_pass_ms(struct net_fixture *f, int64_t ms)
{
    fake_now_ms += ms;
    net_fixture_settle(f);
}

int64_t net_fixture_real_ms(void)
{
    struct timespec ts;

    (void)clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000 + (int64_t)ts.tv_nsec / 1000000;
}

void net_fixture_check_patience(int64_t since_ms, const char *condition)
{
    if (net_fixture_real_ms() - since_ms > PATIENCE_MS)
        fail_msg("waited in vain for: %s", condition);
}

/* ---- A user ---- */

static int user_handle(struct continuation *c, int event, void *data)
{
    struct net_user *u = container_of(c, struct net_user, super);

    if (u->n_events < NET_USER_EVENTS)
        u->events[u->n_events] = event;
    u->n_events++;
    if (event == NET_EVENT_ACCEPT || event == NET_EVENT_OPEN)
        u->vc = data;
    if (event == NET_EVENT_OPEN_FAILED) {
        const struct net_open_failure *failure = data;

        u->failure = failure->err;
        u->failure_errno = failure->error_number;
        u->vc = NULL;
    }
    if (u->act != NULL)
        u->act(u, event, data);
    if (event == u->close_on)
        net_user_close(u, u->how);
    return EVENT_CONT;
}

void net_user_init(struct net_user *u)
{
    memset(u, 0, sizeof(*u));
    continuation_init(&u->super, "net_user", user_handle);
    iobuf_init(&u->in);
    iobuf_init(&u->out);
}

void net_user_fini(struct net_user *u)
{
    iobuf_clear(&u->in);
    iobuf_clear(&u->out);
}

int net_user_count(const struct net_user *u, int event)
{
    int n = 0;

    for (int i = 0; i < u->n_events && i < NET_USER_EVENTS; i++)
        n += u->events[i] == event;
    return n;
}

int net_user_last(const struct net_user *u)
{
    assert_true(u->n_events <= NET_USER_EVENTS);
    return u->n_events == 0 ? EVENT_NONE : u->events[u->n_events - 1];
}

void net_user_forget(struct net_user *u)
{
    u->n_events = 0;
}

struct vio *net_user_read(struct net_user *u, int64_t nbytes, size_t pause_bytes)
{
    return net_vc_do_io_read(u->vc, &u->super, nbytes, &u->in, pause_bytes);
}

struct vio *net_user_write(struct net_user *u, int64_t nbytes, size_t low_water)
{
    return net_vc_do_io_write(u->vc, &u->super, nbytes, &u->out, low_water);
}

void net_user_say(struct net_user *u, const void *bytes, size_t n)
{
    assert_int_equal(iobuf_append(&u->out, bytes, n), SP_OK);
}

void net_user_close(struct net_user *u, enum vc_close how)
{
    struct net_vconnection *vc = u->vc;

    u->vc = NULL;
    net_vc_do_io_close(vc, how);
}

/* ---- Sockets ---- */

static void set_nonblocking(int fd)
{
    assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
}

int loopback_listen(int backlog, struct endpoint *bound)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    assert_int_equal(endpoint_parse(VIEW("127.0.0.1:0"), bound), SP_OK);
    assert_int_equal(bind(fd, &bound->sa, bound->len), 0);
    assert_int_equal(listen(fd, backlog), 0);
    assert_int_equal(getsockname(fd, &bound->sa, &bound->len), 0);
    return fd;
}

int loopback_connect(const struct endpoint *to)
{
    int fd = socket(to->sa.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    assert_int_equal(connect(fd, &to->sa, to->len), 0);
    set_nonblocking(fd);
    return fd;
}

void loopback_pair(int ends[2])
{
    struct endpoint bound;
    int listener = loopback_listen(1, &bound);

    ends[0] = loopback_connect(&bound);
    ends[1] = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    assert_true(ends[1] >= 0);
    (void)close(listener);
}

int net_fixture_connection(struct net_fixture *f, struct net_user *u)
{
    struct net_vconnection *vc;
    int ends[2];

    loopback_pair(ends);
    f->listener.options.cont = &u->super;
    vc = f->np.ops->allocate_vc(&f->np, net_accept_ref(&f->listener), ends[1]);
    assert_non_null(vc);
    net_vc_start(vc, f->thread);
    assert_ptr_equal(u->vc, vc);
    net_user_forget(u);
    return ends[0];
}

size_t net_fixture_receive(struct net_fixture *f, int fd, void *dst, size_t n)
{
    int64_t since_ms = net_fixture_real_ms();
    size_t at = 0;

    while (at < n) {
        ssize_t got = recv(fd, (char *)dst + at, n - at, 0);

        if (got == 0)
            break;
        if (got > 0) {
            at += (size_t)got;
            continue;
        }
        assert_int_equal(errno, EAGAIN);
        net_fixture_turn(f);
        net_fixture_check_patience(since_ms, "bytes for the peer");
    }
    return at;
}

bool net_fixture_ends_clean(struct net_fixture *f, int fd)
{
    int64_t since_ms = net_fixture_real_ms();
    char dropped[4096];

    for (;;) {
        ssize_t got = recv(fd, dropped, sizeof(dropped), 0);

        if (got == 0)
            return true;
        if (got < 0 && errno != EAGAIN) {
            assert_int_equal(errno, ECONNRESET);
            return false;
        }
        if (got < 0)
            net_fixture_turn(f);
        net_fixture_check_patience(since_ms, "the end of the stream");
    }
}
