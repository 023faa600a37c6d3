/* A listener that goes on with the sockets of another. */
#include "accept_bed.h"

#include <netinet/tcp.h>

static int n_released;

static void count_release(void *user)
{
    n_released++;
    assert_ptr_equal(user, &n_released);
}

static struct net_accept *open_successor(struct net_accept *old, struct net_accept_options o)
{
    const char *why = "";
    struct net_accept *na;

    o.successor_of = old;
    na = net_processor_listen(&f.np, &o, &why);
    if (na == NULL)
        fail_msg("%s", why);
    return na;
}

static void close_told(void)
{
    for (int i = 0; i < n_told; i++) {
        net_fixture_use(&f, told_on[i]);
        if (!told[i]->closed)
            net_vc_do_io_close(told[i], VC_CLOSE_CLEAN);
    }
    turn_all();
    n_told = 0;
}

static void stop_and_forget(struct net_accept *na)
{
    close_told();
    stop_listener(na);
}

struct way {
    enum accept_mode mode;
    bool reuse_port;
};
static const struct way ways[] = {{ACCEPT_PER_THREAD, false},
                                  {ACCEPT_PER_THREAD, true},
                                  {ACCEPT_SINGLE, false},
                                  {ACCEPT_DEDICATED, false}};

static struct net_accept_options options_of(const struct way *way)
{
    struct net_accept_options o = options_for("127.0.0.1:0");

    o.accept.mode = way->mode;
    o.accept.reuse_port = way->reuse_port;
    o.accept.threads = 2;
    return o;
}

static void nobody_who_connects_meanwhile_is_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < SP_COUNT_OF(ways); i++) {
        for (size_t k = 0; k < SP_COUNT_OF(ways); k++) {
            struct net_accept_options o = options_of(&ways[i]);
            struct net_accept *old, *na;
            struct clients before, between, after;

            if (ways[i].reuse_port != ways[k].reuse_port)
                continue;
            old = open_listener(&o);
            clients_connect(&before, &old->bound, 3);
            o = options_of(&ways[k]);
            na = open_successor(old, o);
            assert_int_equal(endpoint_port(&na->bound), endpoint_port(&old->bound));
            clients_connect(&between, &na->bound, 3);
            net_accept_begin(na);
            stop_listener(old);
            clients_connect(&after, &na->bound, 3);
            until_told(9);
            stop_and_forget(na);
            clients_close(&before);
            clients_close(&between);
            clients_close(&after);
        }
    }
}

/* Each socket has its own queue: what waits in one of the old listener's is the new one's. */
static void who_waits_in_the_queue_is_served_by_the_successor(void **state)
{
    (void)state;
    for (size_t i = 0; i < 3; i++) { /* an accept thread would be faster than the test */
        struct net_accept_options o = options_of(&ways[i]);
        struct net_accept *old = open_listener(&o);
        struct net_accept *na = open_successor(old, o);
        struct clients c;

        clients_connect(&c, &old->bound, 6);
        net_accept_begin(na);
        stop_listener(old);
        until_told(6);
        for (int k = 0; k < 6; k++)
            assert_false(has_ended(c.fds[k]));
        stop_and_forget(na);
        clients_close(&c);
    }
}

static void one_that_never_begins_leaves_no_trace(void **state)
{
    (void)state;
    for (size_t i = 0; i < SP_COUNT_OF(ways); i++) {
        struct net_accept_options o = options_of(&ways[i]);
        struct net_accept *old = open_listener(&o);
        struct net_accept *na = open_successor(old, o);
        struct clients c;

        stop_listener(na);
        clients_connect(&c, &old->bound, 3);
        until_told(3);
        for (int k = 0; k < 3; k++)
            assert_ptr_equal(told[k]->accept, old);
        stop_and_forget(old);
        clients_close(&c);
    }
}

static void the_sockets_have_the_new_options_once_it_begins(void **state)
{
    struct net_accept_options o = options_for("127.0.0.1:0");
    struct net_accept *old, *na;
    int value = 0;
    socklen_t len = sizeof(value);

    (void)state;
    o.accept.tos = 16;
    o.accept.tcp_keepalive_s = 77;
    old = open_listener(&o);
    o.accept.tos = 0;
    o.accept.tcp_keepalive_s = 88;
    na = open_successor(old, o);
    assert_int_equal(getsockopt(old->fd, IPPROTO_TCP, TCP_KEEPIDLE, &value, &len), 0);
    assert_int_equal(value, 77);
    net_accept_begin(na);
    assert_int_equal(getsockopt(old->fd, IPPROTO_TCP, TCP_KEEPIDLE, &value, &len), 0);
    assert_int_equal(value, 88);
    assert_int_equal(getsockopt(old->fd, IPPROTO_IP, IP_TOS, &value, &len), 0);
    assert_int_equal(value, 0);
    stop_listener(old);
    stop_listener(na);
}

static void what_decides_how_a_socket_is_bound_cannot_change(void **state)
{
    struct net_accept_options o = options_for("127.0.0.1:0"), other = o;
    struct net_accept *old = open_listener(&o);
    const char *why = "";

    (void)state;
    other.successor_of = old;
    other.accept.reuse_port = true;
    assert_null(net_processor_listen(&f.np, &other, &why));
    assert_non_null(strstr(why, "reuse_port"));
    other.accept.reuse_port = false;
    other.accept.localhost_only = true;
    assert_null(net_processor_listen(&f.np, &other, &why));
    assert_non_null(strstr(why, "localhost_only"));
    stop_listener(old);
}

static void its_user_is_released_with_its_last_connection(void **state)
{
    struct net_accept_options o = options_for("127.0.0.1:0");
    struct net_accept *na;
    struct clients c;

    (void)state;
    n_released = 0;
    o.user = &n_released;
    o.release_user = count_release;
    na = open_listener(&o);
    clients_connect(&c, &na->bound, 1);
    until_told(1);
    stop_listener(na);
    assert_int_equal(n_released, 0);
    close_told();
    assert_int_equal(n_released, 1);
    clients_close(&c);
}

static void the_user_of_one_that_cannot_be_opened_stays_the_callers(void **state)
{
    struct net_accept_options o = options_for("127.0.0.1:0");
    struct net_accept *na = open_listener(&o);
    const char *why = "";

    (void)state;
    n_released = 0;
    o.endpoint = na->bound;
    o.user = &n_released;
    o.release_user = count_release;
    assert_null(net_processor_listen(&f.np, &o, &why));
    assert_non_null(strstr(why, "bind"));
    assert_int_equal(n_released, 0);
    stop_listener(na);
}

#define ACCEPT_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ACCEPT_TEST(nobody_who_connects_meanwhile_is_refused),
        ACCEPT_TEST(who_waits_in_the_queue_is_served_by_the_successor),
        ACCEPT_TEST(one_that_never_begins_leaves_no_trace),
        ACCEPT_TEST(the_sockets_have_the_new_options_once_it_begins),
        ACCEPT_TEST(what_decides_how_a_socket_is_bound_cannot_change),
        ACCEPT_TEST(its_user_is_released_with_its_last_connection),
        ACCEPT_TEST(the_user_of_one_that_cannot_be_opened_stays_the_callers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
