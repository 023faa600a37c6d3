/* How many descriptors are needed. */
#include "fd_limit.h"
#include "unit_test.h"

#include <sys/resource.h>

static void every_client_may_need_a_backend_connection_beside_it(void **state)
{
    const struct fd_demand none = {.n_listeners = 1, .n_threads = 1};
    struct fd_demand many = none;

    (void)state;
    many.max_connections = 30000;
    assert_int_equal(fd_limit_needed(&many) - fd_limit_needed(&none), 60000);
}

static void each_thread_may_have_a_socket_of_each_listener(void **state)
{
    const struct fd_demand one = {.n_listeners = 2, .n_threads = 1};
    const struct fd_demand two = {.n_listeners = 2, .n_threads = 2};

    (void)state;
    assert_true(fd_limit_needed(&two) >= fd_limit_needed(&one) + 2);
}

static void the_largest_configuration_does_not_overflow(void **state)
{
    const struct fd_demand all = {UINT32_MAX, UINT32_MAX, 1536};

    (void)state;
    assert_true(fd_limit_needed(&all) > (uint64_t)UINT32_MAX * 1536);
}

static void raising_ends_at_the_hard_limit(void **state)
{
    struct rlimit limit;

    (void)state;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    limit.rlim_cur = limit.rlim_max / 2;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    assert_int_equal(fd_limit_raise(), limit.rlim_max);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    assert_int_equal(limit.rlim_cur, limit.rlim_max);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_client_may_need_a_backend_connection_beside_it),
        cmocka_unit_test(each_thread_may_have_a_socket_of_each_listener),
        cmocka_unit_test(the_largest_configuration_does_not_overflow),
        cmocka_unit_test(raising_ends_at_the_hard_limit),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
