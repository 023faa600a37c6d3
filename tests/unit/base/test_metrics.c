/* Counters of threads and their sums. The counters of a process only grow, so each test looks at
 * differences. */
#include "failing_alloc.h"
#include "unit_test.h"

#include <sallyport/base/metrics.h>

#include <pthread.h>
#include <string.h>

static uint64_t sum_of_accepted(void)
{
    struct metrics sum;

    metrics_sum(&sum);
    assert_null(sum.next);
    return METRIC_GET(&sum, net_accepted);
}

static void an_unregistered_thread_counts_on_the_spare_block(void **state)
{
    uint64_t before = sum_of_accepted();

    (void)state;
    METRIC_INC(net_accepted);
    METRIC_ADD(net_accepted, 41);
    assert_int_equal(sum_of_accepted() - before, 42);
}

static void *count_alone(void *arg)
{
    enum sp_err err = metrics_register_thread();

    (void)arg;
    for (int i = 0; i < 100000; i++)
        METRIC_INC(net_accepted);
    return err == SP_OK ? NULL : (void *)metrics_mine;
}

static void counts_of_registered_threads_are_exact_and_outlive_them(void **state)
{
    uint64_t before = sum_of_accepted(), last = before;
    pthread_t threads[4];

    (void)state;
    for (size_t i = 0; i < SP_COUNT_OF(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, count_alone, NULL), 0);
    for (int i = 0; i < 1000; i++) { /* while they count, a reader sees no step back */
        uint64_t now = sum_of_accepted();

        assert_true(now >= last);
        last = now;
    }
    for (size_t i = 0; i < SP_COUNT_OF(threads); i++) {
        void *failed = NULL;

        assert_int_equal(pthread_join(threads[i], &failed), 0);
        assert_null(failed);
    }
    assert_int_equal(sum_of_accepted() - before, 400000);
}

static void registering_survives_a_failed_allocation_and_happens_once(void **state)
{
    struct metrics *spare = metrics_mine, *mine;

    (void)state;
    failing_alloc_arm(0);
    assert_int_equal(metrics_register_thread(), SP_NOMEM);
    assert_true(failing_alloc_hit());
    assert_ptr_equal(metrics_mine, spare);
    METRIC_INC(net_accepted);

    assert_int_equal(metrics_register_thread(), SP_OK);
    mine = metrics_mine;
    assert_ptr_not_equal(mine, spare);
    assert_int_equal(metrics_register_thread(), SP_OK);
    assert_ptr_equal(metrics_mine, mine);
}

static void each_row_names_its_counter(void **state)
{
    struct metrics m;

    (void)state;
    memset(&m, 0, sizeof(m));
    assert_true(metric_row_count > 0);
    for (size_t i = 0; i < metric_row_count; i++) {
        assert_int_equal(metric_rows[i].offset, i * sizeof(uint64_t));
        assert_true(strlen(metric_rows[i].unit) > 0 && strlen(metric_rows[i].help) > 0);
        if (strcmp(metric_rows[i].name, "http_upgrades") == 0)
            assert_int_equal(metric_rows[i].offset, offsetof(struct metrics, http_upgrades));
    }
    assert_int_equal(offsetof(struct metrics, next), metric_row_count * sizeof(uint64_t));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_unregistered_thread_counts_on_the_spare_block),
        cmocka_unit_test(counts_of_registered_threads_are_exact_and_outlive_them),
        cmocka_unit_test(registering_survives_a_failed_allocation_and_happens_once),
        cmocka_unit_test(each_row_names_its_counter),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
