/* How many threads of each kind. */
#include "threads_plan.h"
#include "unit_test.h"

static struct threads_plan plan(bool tls, struct threads_conf threads, unsigned cores)
{
    struct port_conf ports[] = {{.tls = false}, {.tls = tls}};
    struct config config = {.ports = ports, .n_ports = 2, .threads = threads};

    return threads_plan(&config, cores);
}

static void auto_is_one_thread_a_core(void **state)
{
    struct threads_conf conf = {
        .net = THREADS_AUTO, .ssl = THREADS_AUTO, .task = 2, .ssl_nice = 10};
    struct threads_plan p = plan(true, conf, 6);

    (void)state;
    assert_int_equal(p.net, 6);
    assert_int_equal(p.ssl, 6);
    assert_int_equal(p.task, 2);
    assert_int_equal(p.ssl_nice, 10);
}

static void numbers_hold_whatever_the_machine_has(void **state)
{
    struct threads_plan p = plan(true, (struct threads_conf){.net = 3, .ssl = 0, .task = 1}, 64);

    (void)state;
    assert_int_equal(p.net, 3);
    assert_int_equal(p.ssl, 0);
}

static void without_a_tls_port_nobody_waits_for_handshakes(void **state)
{
    struct threads_plan p = plan(false, (struct threads_conf){.net = 1, .ssl = 4, .task = 1}, 64);

    (void)state;
    assert_int_equal(p.ssl, 0);
}

static void there_is_always_a_core(void **state)
{
    (void)state;
    assert_true(threads_plan_cores() >= 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(auto_is_one_thread_a_core),
        cmocka_unit_test(numbers_hold_whatever_the_machine_has),
        cmocka_unit_test(without_a_tls_port_nobody_waits_for_handshakes),
        cmocka_unit_test(there_is_always_a_core),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
