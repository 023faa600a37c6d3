/* Each accept option is really set: read back from the listener and from a socket that it accepted.
 * setsockopt(2) stands here, so that a test can make it refuse. */
#include "net_internal.h"
#include "unit_test.h"

#include <sallyport/base/log.h>

#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* ---- setsockopt(2) ---- */

static int refused_option; /* at SOL_SOCKET; -1: none */
static int refused_above;  /* values */
static int n_refused;

int setsockopt(int fd, int level, int option, const void *value, socklen_t len)
{
    if (level == SOL_SOCKET && option == refused_option && *(const int *)value > refused_above) {
        n_refused++;
        errno = ENOBUFS;
        return -1;
    }
    return (int)syscall(SYS_setsockopt, fd, level, option, value, len);
}

static int setup(void **state)
{
    (void)state;
    refused_option = -1;
    n_refused = 0;
    (void)log_set_levels(VIEW("error"));
    return 0;
}

/* ---- A listener and one connection of it ---- */

static struct net_accept_options options_for(const char *where)
{
    struct net_accept_options o = {
        .accept = {.backlog = 8, .fd = -1, .linger_s = -1, .unix_mode = 0600},
        .label = VIEW("test"),
    };

    assert_int_equal(endpoint_parse(view_of(where), &o.endpoint), SP_OK);
    return o;
}

struct ends {
    int listener, client, accepted;
};

static struct ends open_ends(const struct net_accept_options *o)
{
    struct endpoint bound;
    const char *what = "";
    struct ends e = {.listener = net_socket_listen(o, false, &bound, &what)};

    if (e.listener < 0)
        fail_msg("%s: %s", what, strerrordesc_np(errno));
    e.client = socket(bound.sa.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(e.client, &bound.sa, bound.len), 0);
    if (o->accept.defer_accept_s != 0)
        assert_int_equal(send(e.client, "x", 1, 0), 1);
    assert_int_equal(fcntl(e.listener, F_SETFL, 0), 0); /* wait for it */
    e.accepted = accept(e.listener, NULL, NULL);
    assert_true(e.accepted >= 0);
    net_socket_tune_accepted(e.accepted, o);
    return e;
}

static void close_ends(const struct ends *e)
{
    (void)close(e->listener);
    (void)close(e->client);
    (void)close(e->accepted);
}

static int get_int(int fd, int level, int option)
{
    int value = -1;
    socklen_t len = sizeof(value);

    assert_int_equal(getsockopt(fd, level, option, &value, &len), 0);
    return value;
}

static void options_of_tcp_reach_the_accepted_socket(void **state)
{
    struct net_accept_options o = options_for("127.0.0.1:0");
    struct ends e;

    (void)state;
    o.accept.tcp_nodelay = true;
    o.accept.tcp_keepalive_s = 77;
    o.accept.notsent_lowat_bytes = 16384;
    e = open_ends(&o);
    assert_int_equal(get_int(e.accepted, IPPROTO_TCP, TCP_NODELAY), 1);
    assert_int_equal(get_int(e.accepted, SOL_SOCKET, SO_KEEPALIVE), 1);
    assert_int_equal(get_int(e.accepted, IPPROTO_TCP, TCP_KEEPIDLE), 77);
    assert_int_equal(get_int(e.accepted, IPPROTO_TCP, TCP_NOTSENT_LOWAT), 16384);
    close_ends(&e);
}

static void without_options_the_systems_defaults_stand(void **state)
{
    struct net_accept_options o = options_for("127.0.0.1:0");
    int plain = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct ends e = open_ends(&o);

    (void)state;
    assert_int_equal(get_int(e.accepted, IPPROTO_TCP, TCP_NODELAY), 0);
    assert_int_equal(get_int(e.accepted, SOL_SOCKET, SO_KEEPALIVE), 0);
    assert_int_equal(get_int(e.accepted, SOL_SOCKET, SO_LINGER), 0);
    assert_int_equal(get_int(e.listener, IPPROTO_IP, IP_TOS), 0);
    assert_int_equal(get_int(e.listener, SOL_SOCKET, SO_RCVBUF),
                     get_int(plain, SOL_SOCKET, SO_RCVBUF));
    assert_int_equal(get_int(e.listener, IPPROTO_TCP, TCP_DEFER_ACCEPT), 0);
    close_ends(&e);
    (void)close(plain);
}

static void buffer_sizes_are_inherited(void **state)
{
    struct net_accept_options o = options_for("127.0.0.1:0");
    struct ends e;

    (void)state;
    o.accept.recv_buffer_bytes = 50000;
    o.accept.send_buffer_bytes = 40000;
    e = open_ends(&o);
    assert_int_equal(get_int(e.listener, SOL_SOCKET, SO_RCVBUF), 2 * 50000); /* socket(7) */
    assert_int_equal(get_int(e.accepted, SOL_SOCKET, SO_RCVBUF), 2 * 50000);
    assert_int_equal(get_int(e.accepted, SOL_SOCKET, SO_SNDBUF), 2 * 40000);
    close_ends(&e);
}

static void a_buffer_that_is_refused_is_halved_until_it_is_taken(void **state)
{
    struct net_accept_options o = options_for("127.0.0.1:0");
    struct ends e;

    (void)state;
    refused_option = SO_RCVBUF;
    refused_above = 100000;
    o.accept.recv_buffer_bytes = 640000; /* 320000, 160000, 80000 */
    e = open_ends(&o);
    assert_int_equal(n_refused, 3);
    assert_int_equal(get_int(e.listener, SOL_SOCKET, SO_RCVBUF), 2 * 80000);
    close_ends(&e);
}

static void a_buffer_that_is_always_refused_is_left_as_it_is(void **state)
{
    struct net_accept_options o = options_for("127.0.0.1:0");
    struct ends e;

    (void)state;
    refused_option = SO_SNDBUF;
    refused_above = 0;
    o.accept.send_buffer_bytes = 640000;
    e = open_ends(&o);
    assert_in_range(n_refused, 5, 10);
    close_ends(&e);
}

static void linger_is_set_on_the_accepted_socket(void **state)
{
    struct net_accept_options o = options_for("127.0.0.1:0");
    struct linger linger = {0};
    socklen_t len = sizeof(linger);
    struct ends e;

    (void)state;
    o.accept.linger_s = 7;
    e = open_ends(&o);
    assert_int_equal(getsockopt(e.accepted, SOL_SOCKET, SO_LINGER, &linger, &len), 0);
    assert_int_equal(linger.l_onoff, 1);
    assert_int_equal(linger.l_linger, 7);
    close_ends(&e);
}

static void options_of_the_listener_are_set_on_it(void **state)
{
    struct net_accept_options o = options_for("127.0.0.1:0");
    struct ends e;

    (void)state;
    o.accept.defer_accept_s = 5;
    o.accept.fast_open = 16;
    o.accept.tos = 0x10;
    e = open_ends(&o);
    assert_true(get_int(e.listener, IPPROTO_TCP, TCP_DEFER_ACCEPT) >=
                5); /* in steps of the timer */
    assert_int_equal(get_int(e.listener, IPPROTO_TCP, TCP_FASTOPEN), 16);
    assert_int_equal(get_int(e.listener, IPPROTO_IP, IP_TOS), 0x10);
    assert_int_equal(get_int(e.accepted, IPPROTO_IP, IP_TOS), 0x10);
    assert_int_equal(get_int(e.listener, SOL_SOCKET, SO_REUSEADDR), 1);
    close_ends(&e);
}

/* The thread is not woken for who only connects. */
static void a_deferred_connection_is_accepted_with_its_first_bytes(void **state)
{
    struct net_accept_options o = options_for("127.0.0.1:0");
    struct endpoint bound;
    const char *what = "";
    int listener, client, accepted;

    (void)state;
    o.accept.defer_accept_s = 5;
    listener = net_socket_listen(&o, false, &bound, &what);
    client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(client, &bound.sa, bound.len), 0);
    assert_int_equal(accept(listener, NULL, NULL), -1);
    assert_int_equal(errno, EAGAIN);
    assert_int_equal(send(client, "hello", 5, 0), 5);
    accepted = accept(listener, NULL, NULL);
    assert_true(accepted >= 0);
    (void)close(accepted);
    (void)close(client);
    (void)close(listener);
}

static void congestion_control_is_chosen_by_name(void **state)
{
    struct net_accept_options o = options_for("127.0.0.1:0");
    char name[16] = "";
    socklen_t len = sizeof(name);
    struct ends e;

    (void)state;
    o.accept.congestion = VIEW("reno"); /* built into every kernel */
    e = open_ends(&o);
    assert_int_equal(getsockopt(e.accepted, IPPROTO_TCP, TCP_CONGESTION, name, &len), 0);
    assert_string_equal(name, "reno");
    close_ends(&e);
    o.accept.congestion = VIEW("no-such-thing"); /* a warning, and the system's own */
    e = open_ends(&o);
    close_ends(&e);
}

static void options_for_ipv6_are_ipv6s(void **state)
{
    struct net_accept_options o = options_for("[::1]:0");
    struct ends e;
    struct endpoint probe;
    int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);

    (void)state;
    if (fd < 0 || endpoint_parse(VIEW("[::1]:0"), &probe) != SP_OK ||
        bind(fd, &probe.sa, probe.len) != 0)
        skip();
    (void)close(fd);
    o.accept.tos = 0x20;
    o.accept.tcp_nodelay = true;
    e = open_ends(&o);
    assert_int_equal(get_int(e.listener, IPPROTO_IPV6, IPV6_TCLASS), 0x20);
    assert_int_equal(get_int(e.listener, IPPROTO_IPV6, IPV6_V6ONLY), 1);
    assert_int_equal(get_int(e.accepted, IPPROTO_TCP, TCP_NODELAY), 1);
    close_ends(&e);
}

static void privileged_options_are_set_where_the_user_may(void **state)
{
    struct net_accept_options o = options_for("127.0.0.1:0");
    struct ends e;

    (void)state;
    if (geteuid() != 0)
        skip();
    o.accept.mark = 42;
    o.accept.transparent = true;
    e = open_ends(&o);
    assert_int_equal(get_int(e.listener, SOL_SOCKET, SO_MARK), 42);
    assert_int_equal(get_int(e.listener, IPPROTO_IP, IP_TRANSPARENT), 1);
    close_ends(&e);
}

/* Nothing that means TCP is tried on a unix socket: it would warn at each start. */
static void a_unix_socket_takes_the_buffers_and_no_tcp_options(void **state)
{
    char path[] = "/tmp/net_socket_XXXXXX", text[64];
    struct net_accept_options o;
    struct ends e;

    (void)state;
    (void)close(mkstemp(path));
    (void)unlink(path);
    (void)snprintf(text, sizeof(text), "unix:%s", path);
    o = options_for(text);
    o.accept.tcp_nodelay = true;
    o.accept.tcp_keepalive_s = 10;
    o.accept.send_buffer_bytes = 30000;
    o.accept.defer_accept_s = 0;
    e = open_ends(&o);
    assert_int_equal(get_int(e.listener, SOL_SOCKET, SO_SNDBUF), 2 * 30000);
    assert_int_equal(get_int(e.listener, SOL_SOCKET, SO_KEEPALIVE), 0);
    close_ends(&e);
    (void)unlink(path);
}

static void sockets_do_not_block_and_do_not_leak_into_children(void **state)
{
    struct net_accept_options o = options_for("127.0.0.1:0");
    struct net_connect_options c = {.tcp_nodelay = true, .mark = 0};
    const char *what = "";
    int listener, client;

    (void)state;
    listener = net_socket_listen(&o, true, &c.remote, &what);
    assert_true(listener >= 0);
    assert_int_equal(get_int(listener, SOL_SOCKET, SO_REUSEPORT), 1);
    client = net_socket_connect(&c, &what);
    assert_true(client >= 0);
    assert_int_equal(get_int(client, IPPROTO_TCP, TCP_NODELAY), 1);
    for (int i = 0; i < 2; i++) {
        int fd = i == 0 ? listener : client;

        assert_int_equal(fcntl(fd, F_GETFL) & O_NONBLOCK, O_NONBLOCK);
        assert_int_equal(fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
    }
    (void)close(client);
    (void)close(listener);
}

/* Otherwise a proxy that names its source address has but 28,000 ports for all backends together.
 */
static void a_source_address_does_not_use_up_the_ports(void **state)
{
    struct net_accept_options o = options_for("127.0.0.1:0");
    struct net_connect_options c = {0};
    const char *what = "";
    int listener, client;

    (void)state;
    listener = net_socket_listen(&o, false, &c.remote, &what);
    assert_int_equal(endpoint_parse(VIEW("127.0.0.2:0"), &c.source), SP_OK);
    client = net_socket_connect(&c, &what);
    assert_true(client >= 0);
    assert_int_equal(get_int(client, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT), 1);
    (void)close(client);
    (void)close(listener);
}

static void what_failed_is_named_and_nothing_is_left_open(void **state)
{
    struct net_accept_options o = options_for("192.0.2.1:0"); /* nobody here has it */
    struct endpoint bound = {.len = 77};
    const char *what = "";
    int before = dup(0), after;

    (void)state;
    (void)close(before);
    assert_int_equal(net_socket_listen(&o, false, &bound, &what), -1);
    assert_string_equal(what, "bind");
    assert_int_equal(errno, EADDRNOTAVAIL);
    assert_int_equal(bound.len, 77);
    after = dup(0);
    (void)close(after);
    assert_int_equal(before, after);
}

#define SOCKET_TEST(name) cmocka_unit_test_setup(name, setup)

/* ---- Those who wait, refused together ---- */

static struct net_accept_options options_with_a_port(void)
{
    struct net_accept_options o = options_for("127.0.0.1:0");
    const char *what = "";
    int fd = net_socket_listen(&o, false, &o.endpoint, &what); /* finds one that is free */

    assert_true(fd >= 0);
    (void)close(fd);
    return o;
}

static int connect_to(const struct endpoint *e)
{
    int fd = socket(e->sa.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_int_equal(connect(fd, &e->sa, e->len), 0);
    return fd;
}

static bool is_reset(int fd)
{
    char byte;

    return recv(fd, &byte, 1, 0) < 0 && errno == ECONNRESET;
}

static void all_who_wait_are_reset_and_the_socket_goes_on(void **state)
{
    struct net_accept_options o = options_with_a_port();
    int fds[3], listener, accepted, late;
    struct endpoint bound;
    const char *what = "";

    (void)state;
    o.accept.tcp_nodelay = true;
    o.accept.tcp_keepalive_s = 77;
    o.accept.notsent_lowat_bytes = 16384;
    o.accept.fast_open = 5;
    o.accept.tos = 16;
    listener = net_socket_listen(&o, false, &bound, &what);
    assert_true(listener >= 0);
    assert_int_equal(net_socket_refuse_waiting(listener, &o), 0);
    for (int i = 0; i < 3; i++)
        fds[i] = connect_to(&bound);
    assert_int_equal(net_socket_refuse_waiting(listener, &o), 3);
    for (int i = 0; i < 3; i++) {
        assert_true(is_reset(fds[i]));
        (void)close(fds[i]);
    }
    assert_int_equal(get_int(listener, SOL_SOCKET, SO_REUSEADDR), 1);
    assert_int_equal(get_int(listener, IPPROTO_TCP, TCP_FASTOPEN), 5);
    late = connect_to(&bound);
    accepted = accept(listener, NULL, NULL);
    assert_true(accepted >= 0);
    assert_int_equal(get_int(accepted, IPPROTO_TCP, TCP_NODELAY), 1);
    assert_int_equal(get_int(accepted, IPPROTO_TCP, TCP_KEEPIDLE), 77);
    assert_int_equal(get_int(accepted, IPPROTO_TCP, TCP_NOTSENT_LOWAT), 16384);
    assert_int_equal(get_int(accepted, IPPROTO_IP, IP_TOS), 16);
    (void)close(late);
    (void)close(accepted);
    (void)close(listener);
}

/* Who could have the port while nobody listens must be as trusted as we are. */
static void only_where_nobody_else_could_take_the_port(void **state)
{
    struct net_accept_options o = options_for("127.0.0.1:443");
    unsigned first_free = 0;
    FILE *f = fopen("/proc/sys/net/ipv4/ip_unprivileged_port_start", "re");

    (void)state;
    assert_non_null(f);
    assert_int_equal(fscanf(f, "%u", &first_free), 1);
    (void)fclose(f);
    assert_int_equal(net_socket_can_refuse(&o), 443 < first_free);
    o.accept.fd = 3;
    assert_false(net_socket_can_refuse(&o));
    o = options_for("127.0.0.1:0");
    assert_false(net_socket_can_refuse(&o));
    o = options_for("127.0.0.1:65535");
    assert_int_equal(net_socket_can_refuse(&o), 65535 < first_free);
    o = options_for("unix:/tmp/sallyport-no-such.sock");
    assert_false(net_socket_can_refuse(&o));
}

static void a_socket_that_does_not_listen_at_this_moment_is_inherited(void **state)
{
    struct net_accept_options o = options_with_a_port();
    int listener, heir, client;
    struct endpoint bound;
    const char *what = "";

    (void)state;
    listener = net_socket_listen(&o, false, &bound, &what);
    assert_true(listener >= 0);
    assert_int_equal(shutdown(listener, SHUT_RD), 0);
    heir = net_socket_inherit(listener, &bound, &what);
    assert_true(heir >= 0);
    client = connect_to(&bound);
    (void)close(client);
    (void)close(heir);
    (void)close(listener);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SOCKET_TEST(options_of_tcp_reach_the_accepted_socket),
        SOCKET_TEST(without_options_the_systems_defaults_stand),
        SOCKET_TEST(buffer_sizes_are_inherited),
        SOCKET_TEST(a_buffer_that_is_refused_is_halved_until_it_is_taken),
        SOCKET_TEST(a_buffer_that_is_always_refused_is_left_as_it_is),
        SOCKET_TEST(linger_is_set_on_the_accepted_socket),
        SOCKET_TEST(options_of_the_listener_are_set_on_it),
        SOCKET_TEST(a_deferred_connection_is_accepted_with_its_first_bytes),
        SOCKET_TEST(congestion_control_is_chosen_by_name),
        SOCKET_TEST(options_for_ipv6_are_ipv6s),
        SOCKET_TEST(privileged_options_are_set_where_the_user_may),
        SOCKET_TEST(a_unix_socket_takes_the_buffers_and_no_tcp_options),
        SOCKET_TEST(sockets_do_not_block_and_do_not_leak_into_children),
        SOCKET_TEST(a_source_address_does_not_use_up_the_ports),
        SOCKET_TEST(all_who_wait_are_reset_and_the_socket_goes_on),
        SOCKET_TEST(only_where_nobody_else_could_take_the_port),
        SOCKET_TEST(a_socket_that_does_not_listen_at_this_moment_is_inherited),
        SOCKET_TEST(what_failed_is_named_and_nothing_is_left_open),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
