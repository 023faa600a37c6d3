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

static void each_row_names_its_metric(void **state)
{
    size_t end = 0;

    (void)state;
    assert_true(metric_row_count > 0);
    for (size_t i = 0; i < metric_row_count; i++) {
        const struct metric_row *row = &metric_rows[i];

        assert_int_equal(row->offset, end); /* no gap, so that all words are summed */
        assert_true(strlen(row->unit) > 0 && strlen(row->help) > 0);
        if (strcmp(row->name, "http_upgrades") == 0)
            assert_int_equal(row->offset, offsetof(struct metrics, http_upgrades));
        end += row->type == METRIC_HISTOGRAM ? sizeof(struct metric_histogram) : sizeof(uint64_t);
    }
    assert_int_equal(offsetof(struct metrics, next), end);
}

static const struct metric_row *row_named(const char *name)
{
    for (size_t i = 0; i < metric_row_count; i++)
        if (strcmp(metric_rows[i].name, name) == 0)
            return &metric_rows[i];
    fail_msg("no metric %s", name);
    return NULL;
}

static void a_histogram_counts_by_powers_of_two(void **state)
{
    const uint64_t values[] = {0, 1, 2, 3, 4, 5, 16384, 16385, UINT64_MAX / 2};
    const uint64_t expected[METRIC_BUCKETS] = {2, 1, 2, 1, [14] = 1, [15] = 2};
    struct metric_histogram h = {0};

    (void)state;
    for (size_t i = 0; i < SP_COUNT_OF(values); i++)
        metric_histogram_add(&h, values[i]);
    for (int i = 0; i < METRIC_BUCKETS; i++)
        assert_int_equal(h.buckets[i], expected[i]);
    assert_int_equal(metric_bucket_limit(0), 1);
    assert_int_equal(metric_bucket_limit(14), 16384);
    assert_true(metric_bucket_limit(15) == UINT64_MAX);
}

static void every_type_can_be_read_by_its_row(void **state)
{
    const struct metric_row *histogram = row_named("tls_handshake_wait_ms");
    struct metrics before, after;

    (void)state;
    metrics_sum(&before);
    METRIC_SET(tls_handshakes_waiting, 7);
    METRIC_OBSERVE(tls_handshake_wait_ms, 3);
    METRIC_OBSERVE(tls_handshake_wait_ms, 300);
    metrics_sum(&after);
    assert_int_equal(metric_value(&after, row_named("tls_handshakes_waiting")), 7);
    assert_int_equal(metric_value(&after, histogram) - metric_value(&before, histogram), 2);
    assert_int_equal(metric_histogram_of(&after, histogram)->buckets[9] -
                         metric_histogram_of(&before, histogram)->buckets[9],
                     1);
    assert_null(metric_histogram_of(&after, row_named("tls_handshakes_waiting")));
    METRIC_SET(tls_handshakes_waiting, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_unregistered_thread_counts_on_the_spare_block),
        cmocka_unit_test(counts_of_registered_threads_are_exact_and_outlive_them),
        cmocka_unit_test(registering_survives_a_failed_allocation_and_happens_once),
        cmocka_unit_test(each_row_names_its_metric),
        cmocka_unit_test(a_histogram_counts_by_powers_of_two),
        cmocka_unit_test(every_type_can_be_read_by_its_row),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
