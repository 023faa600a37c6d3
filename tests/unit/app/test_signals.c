/* Signals, one at a time. */
#include "signals.h"
#include "unit_test.h"

#include <signal.h>

static void a_signal_waits_until_it_is_taken(void **state)
{
    (void)state;
    signals_block();
    assert_int_equal(raise(SIGUSR1), 0);
    assert_int_equal(raise(SIGTERM), 0);
    int first = signals_wait(1000), second = signals_wait(1000);
    assert_int_equal(first + second, SIGUSR1 + SIGTERM);
    assert_int_equal(signals_wait(0), 0);
}

static void a_broken_pipe_is_no_signal(void **state)
{
    (void)state;
    signals_block();
    assert_int_equal(raise(SIGPIPE), 0);
    assert_int_equal(signals_wait(0), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_signal_waits_until_it_is_taken),
        cmocka_unit_test(a_broken_pipe_is_no_signal),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
