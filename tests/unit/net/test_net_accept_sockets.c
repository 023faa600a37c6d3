/* Which sockets a listener is made of, and what happens when something runs out. */
#include "accept_bed.h"
#include "failing_alloc.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

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

#define ACCEPT_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
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
