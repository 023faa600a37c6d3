/* The counters as lines of the log. */
#include "metrics_log.h"

#include <sallyport/base/metrics.h>

#include <inttypes.h>

static uint64_t value_of(const struct metrics *sum, const struct metric_row *row)
{
    const void *at = (const char *)sum + row->offset;

    return atomic_load_explicit((const _Atomic uint64_t *)at, memory_order_relaxed);
}

void metrics_log(enum log_level level)
{
    struct metrics sum;

    if (level < atomic_load_explicit(&log_threshold[LOG_SUBJECT_APP], memory_order_relaxed))
        return;
    metrics_sum(&sum);
    for (size_t i = 0; i < metric_row_count; i++) {
        uint64_t value = value_of(&sum, &metric_rows[i]);

        if (value != 0)
            log_write(LOG_SUBJECT_APP, level, "metric %s=%" PRIu64, metric_rows[i].name, value);
    }
}
