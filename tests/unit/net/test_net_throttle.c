/* Limits on connections: in total, per address, by descriptors, by memory; one thread and several.
 */
#include "failing_alloc.h"
#include "unit_test.h"

#include <sallyport/base/log.h>
#include <sallyport/base/metrics.h>
#include <sallyport/net/net_throttle.h>

#include <arpa/inet.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

static int setup(void **state)
{
    (void)state;
    (void)log_set_levels(VIEW("error")); /* refusals are the point here */
    return 0;
}

static struct net_throttle *throttle_of(struct net_throttle_options options)
{
    struct net_throttle *t = net_throttle_new(&options);

    assert_non_null(t);
    return t;
}

static union ip_endpoint address(const char *text)
{
    union ip_endpoint e = {.sa.sa_family = AF_INET};

    if (inet_pton(AF_INET, text, &e.in.sin_addr) == 1)
        return e;
    memset(&e, 0, sizeof(e));
    e.sa.sa_family = AF_INET6;
    assert_int_equal(inet_pton(AF_INET6, text, &e.in6.sin6_addr), 1);
    return e;
}

static union ip_endpoint numbered(uint32_t n)
{
    union ip_endpoint e = {.sa.sa_family = AF_INET};

    e.in.sin_addr.s_addr = htonl(0x0a000000 + n);
    return e;
}

static bool admits(struct net_throttle *t, const char *text)
{
    union ip_endpoint peer = address(text);

    return net_throttle_admit(t, &peer) == SP_OK;
}

static void release(struct net_throttle *t, const char *text)
{
    union ip_endpoint peer = address(text);

    net_throttle_release(t, &peer);
}

static uint64_t counted(size_t offset)
{
    struct metrics sum;

    metrics_sum(&sum);
    return atomic_load((_Atomic uint64_t *)(void *)((char *)&sum + offset));
}

#define COUNTED(name) counted(offsetof(struct metrics, name))

static void the_total_is_a_bound(void **state)
{
    struct net_throttle *t = throttle_of((struct net_throttle_options){.max_connections = 2});
    uint64_t before = COUNTED(net_throttled_total);

    (void)state;
    assert_true(net_throttle_accepting(t));
    assert_true(admits(t, "192.0.2.1"));
    assert_true(admits(t, "192.0.2.2"));
    assert_false(net_throttle_accepting(t));
    assert_false(admits(t, "192.0.2.3"));
    assert_int_equal(COUNTED(net_throttled_total) - before, 1);
    assert_int_equal(net_throttle_state(t).connections, 2);
    release(t, "192.0.2.1");
    assert_true(net_throttle_accepting(t));
    assert_true(admits(t, "192.0.2.3"));
    net_throttle_free(t);
}

static void without_a_total_the_descriptors_set_it(void **state)
{
    struct net_throttle *t;
    struct rlimit before, few;

    (void)state;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    few = before;
    few.rlim_cur = 1000;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
    t = throttle_of((struct net_throttle_options){.accept_headroom_percent = 10,
                                                  .connect_headroom_percent = 5});
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    /* Half of what accept may use: a connection may need another one to a backend. */
    assert_int_equal(net_throttle_state(t).max_connections, 450);
    assert_int_equal(net_throttle_state(t).max_outgoing, 950);
    assert_int_equal(net_throttle_fd_level(t, 969), FD_OK);
    assert_int_equal(net_throttle_fd_level(t, 970), FD_EMERGENCY);
    assert_int_equal(net_throttle_fd_level(t, 989), FD_EMERGENCY);
    assert_int_equal(net_throttle_fd_level(t, 990), FD_HYPER_EMERGENCY);
    assert_int_equal(net_throttle_pause_ms(t, 970), 1);
    assert_int_equal(net_throttle_pause_ms(t, 979), 100);
    assert_int_equal(net_throttle_pause_ms(t, 999), 900);
    assert_int_equal(net_throttle_pause_ms(t, 100000), 1000);
    net_throttle_free(t);
}

static void each_address_has_its_own_bound(void **state)
{
    struct net_throttle *t = throttle_of(
        (struct net_throttle_options){.max_connections = 100, .max_connections_per_address = 2});
    uint64_t before = COUNTED(net_throttled_per_address);

    (void)state;
    assert_true(admits(t, "192.0.2.1"));
    assert_true(admits(t, "192.0.2.1"));
    assert_false(admits(t, "192.0.2.1"));
    assert_int_equal(COUNTED(net_throttled_per_address) - before, 1);
    assert_int_equal(net_throttle_state(t).connections, 2); /* the refused one is not counted */
    assert_true(admits(t, "192.0.2.2"));
    release(t, "192.0.2.1");
    assert_true(admits(t, "192.0.2.1"));
    assert_false(admits(t, "192.0.2.1"));
    net_throttle_free(t);
}

static void an_ipv6_network_of_64_bits_is_one_address(void **state)
{
    struct net_throttle *t = throttle_of(
        (struct net_throttle_options){.max_connections = 100, .max_connections_per_address = 2});

    (void)state;
    assert_true(admits(t, "2001:db8:1:2::1"));
    assert_true(admits(t, "2001:db8:1:2:ffff:ffff:ffff:ffff"));
    assert_false(admits(t, "2001:db8:1:2:3::"));
    assert_true(admits(t, "2001:db8:1:3::1"));
    net_throttle_free(t);
}

static void a_mapped_ipv4_address_is_that_ipv4_address(void **state)
{
    struct net_throttle *t = throttle_of(
        (struct net_throttle_options){.max_connections = 100, .max_connections_per_address = 2});

    (void)state;
    assert_true(admits(t, "192.0.2.1"));
    assert_true(admits(t, "::ffff:192.0.2.1"));
    assert_false(admits(t, "::ffff:192.0.2.1"));
    assert_true(admits(t, "::ffff:192.0.2.2")); /* and not all of IPv4 */
    release(t, "::ffff:192.0.2.1");
    assert_true(admits(t, "192.0.2.1"));
    net_throttle_free(t);
}

static void the_exempt_count_in_total_only(void **state)
{
    struct cidr exempt[2];
    struct net_throttle *t;

    (void)state;
    assert_int_equal(cidr_parse(VIEW("10.0.0.0/8"), &exempt[0]), SP_OK);
    assert_int_equal(cidr_parse(VIEW("2001:db8::/32"), &exempt[1]), SP_OK);
    t = throttle_of((struct net_throttle_options){
        .max_connections = 8, .max_connections_per_address = 1, .exempt = exempt, .n_exempt = 2});
    memset(exempt, 0, sizeof(exempt)); /* the throttle has its own */
    for (int i = 0; i < 3; i++) {
        assert_true(admits(t, "10.1.2.3"));
        assert_true(admits(t, "2001:db8::1"));
    }
    assert_true(admits(t, "192.0.2.1"));
    assert_false(admits(t, "192.0.2.1"));
    assert_true(admits(t, "::ffff:10.0.0.1"));
    assert_false(admits(t, "10.1.2.3")); /* eight in all */
    net_throttle_free(t);
}

static void a_peer_without_an_address_counts_in_total_only(void **state)
{
    struct net_throttle *t = throttle_of(
        (struct net_throttle_options){.max_connections = 3, .max_connections_per_address = 1});
    union ip_endpoint unix_peer = {.sa.sa_family = AF_UNSPEC};

    (void)state;
    for (int i = 0; i < 3; i++)
        assert_int_equal(net_throttle_admit(t, &unix_peer), SP_OK);
    assert_int_equal(net_throttle_admit(t, &unix_peer), SP_THROTTLED);
    net_throttle_release(t, &unix_peer);
    assert_int_equal(net_throttle_state(t).connections, 2);
    net_throttle_free(t);
}

/* Many addresses meet in the table and are put aside. When those in front of them leave, the count
 * that was put aside still holds. */
static void a_count_is_found_again_when_others_have_left(void **state)
{
    enum { N = 30000 };
    struct net_throttle *t = throttle_of(
        (struct net_throttle_options){.max_connections = 10 * N, .max_connections_per_address = 2});

    (void)state;
    for (uint32_t i = 0; i < N; i++) {
        union ip_endpoint peer = numbered(i);

        assert_int_equal(net_throttle_admit(t, &peer), SP_OK);
    }
    for (uint32_t i = 0; i < N / 2; i++) {
        union ip_endpoint peer = numbered(i);

        net_throttle_release(t, &peer);
    }
    for (uint32_t i = N / 2; i < N; i++) {
        union ip_endpoint peer = numbered(i);

        assert_int_equal(net_throttle_admit(t, &peer), SP_OK);
        assert_int_equal(net_throttle_admit(t, &peer), SP_THROTTLED);
        net_throttle_release(t, &peer);
        net_throttle_release(t, &peer);
    }
    assert_int_equal(net_throttle_state(t).connections, 0);
    net_throttle_free(t);
}

static void what_is_given_back_can_be_had_again(void **state)
{
    struct net_throttle *t = throttle_of(
        (struct net_throttle_options){.max_connections = 100, .max_connections_per_address = 3});

    (void)state;
    for (uint32_t round = 0; round < 3; round++) {
        for (uint32_t i = 0; i < 200000; i++) { /* more addresses than the table has places */
            union ip_endpoint peer = numbered(i);

            assert_int_equal(net_throttle_admit(t, &peer), SP_OK);
            net_throttle_release(t, &peer);
        }
    }
    for (int i = 0; i < 3; i++)
        assert_true(admits(t, "10.0.0.5"));
    assert_false(admits(t, "10.0.0.5"));
    net_throttle_free(t);
}

static void above_the_memory_ceiling_nobody_is_let_in(void **state)
{
    struct net_throttle *t = throttle_of(
        (struct net_throttle_options){.max_connections = 10, .memory_ceiling_bytes = 1000});
    struct net_throttle *unbounded =
        throttle_of((struct net_throttle_options){.max_connections = 10});

    (void)state;
    net_throttle_set_memory(t, 1001);
    assert_false(admits(t, "192.0.2.1"));
    assert_int_equal(net_throttle_state(t).connections, 0);
    net_throttle_set_memory(t, 1000);
    assert_true(admits(t, "192.0.2.1"));
    net_throttle_sample_memory(t); /* this process has more than 1000 bytes */
    assert_false(admits(t, "192.0.2.1"));
    net_throttle_set_memory(unbounded, UINT64_MAX);
    net_throttle_sample_memory(unbounded);
    assert_true(admits(unbounded, "192.0.2.1"));
    net_throttle_free(t);
    net_throttle_free(unbounded);
}

static void outgoing_connections_have_their_own_bound(void **state)
{
    struct net_throttle *t;
    struct rlimit before, few;

    (void)state;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    few = before;
    few.rlim_cur = 100;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
    t = throttle_of((struct net_throttle_options){.connect_headroom_percent = 98});
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    assert_int_equal(net_throttle_connect(t), SP_OK);
    assert_int_equal(net_throttle_connect(t), SP_OK);
    assert_int_equal(net_throttle_connect(t), SP_THROTTLED);
    assert_int_equal(net_throttle_state(t).outgoing, 2);
    net_throttle_connect_done(t);
    assert_int_equal(net_throttle_connect(t), SP_OK);
    net_throttle_free(t);
}

/* ---- Several threads ---- */

#define N_THREADS   4
#define N_ROUNDS    20000
#define PER_ADDRESS 3

static struct net_throttle *shared;
static atomic_int together; /* connections of the one address that are let in at this moment */
static atomic_int most_together, n_refused;

static void *come_and_go(void *arg)
{
    union ip_endpoint same = address("192.0.2.1");

    for (uint32_t i = 0; i < N_ROUNDS; i++) {
        union ip_endpoint other = numbered(i * N_THREADS + *(const uint32_t *)arg);

        if (net_throttle_admit(shared, &same) == SP_OK) {
            int now = ++together, most = most_together;

            while (now > most && !atomic_compare_exchange_weak(&most_together, &most, now))
                ;
            if (net_throttle_admit(shared, &other) == SP_OK)
                net_throttle_release(shared, &other);
            together--;
            net_throttle_release(shared, &same);
        } else {
            n_refused++;
        }
    }
    return NULL;
}

static void threads_never_let_in_more_than_the_bound(void **state)
{
    pthread_t tids[N_THREADS];
    uint32_t ids[N_THREADS];
    union ip_endpoint same = address("192.0.2.1");

    (void)state;
    together = most_together = n_refused = 0;
    shared = throttle_of((struct net_throttle_options){.max_connections = 1000,
                                                       .max_connections_per_address = PER_ADDRESS});
    for (uint32_t i = 0; i < N_THREADS; i++) {
        ids[i] = i;
        assert_int_equal(pthread_create(&tids[i], NULL, come_and_go, &ids[i]), 0);
    }
    for (int i = 0; i < N_THREADS; i++)
        assert_int_equal(pthread_join(tids[i], NULL), 0);
    assert_true(most_together <= PER_ADDRESS);
    assert_int_equal(net_throttle_state(shared).connections, 0);
    for (int i = 0; i < PER_ADDRESS; i++) /* nothing was lost either */
        assert_int_equal(net_throttle_admit(shared, &same), SP_OK);
    assert_int_equal(net_throttle_admit(shared, &same), SP_THROTTLED);
    net_throttle_free(shared);
}

static void making_one_survives_each_failed_allocation(void **state)
{
    struct cidr exempt = {.prefix_bits = 0};
    const struct net_throttle_options options = {
        .max_connections_per_address = 1, .exempt = &exempt, .n_exempt = 1};

    (void)state;
    for (unsigned nth = 0;; nth++) {
        struct net_throttle *t;

        failing_alloc_arm(nth);
        t = net_throttle_new(&options);
        net_throttle_free(t);
        assert_int_equal(failing_alloc_live(), 0);
        if (!failing_alloc_hit()) {
            assert_non_null(t);
            return;
        }
        assert_null(t);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_total_is_a_bound),
        cmocka_unit_test(without_a_total_the_descriptors_set_it),
        cmocka_unit_test(each_address_has_its_own_bound),
        cmocka_unit_test(an_ipv6_network_of_64_bits_is_one_address),
        cmocka_unit_test(a_mapped_ipv4_address_is_that_ipv4_address),
        cmocka_unit_test(the_exempt_count_in_total_only),
        cmocka_unit_test(a_peer_without_an_address_counts_in_total_only),
        cmocka_unit_test(a_count_is_found_again_when_others_have_left),
        cmocka_unit_test(what_is_given_back_can_be_had_again),
        cmocka_unit_test(above_the_memory_ceiling_nobody_is_let_in),
        cmocka_unit_test(outgoing_connections_have_their_own_bound),
        cmocka_unit_test(threads_never_let_in_more_than_the_bound),
        cmocka_unit_test(making_one_survives_each_failed_allocation),
    };

    return cmocka_run_group_tests(tests, setup, NULL);
}
