/* The metrics as lines of the log; of a histogram, how many values it has counted. */
#include "metrics_log.h"

#include <sallyport/base/metrics.h>

#include <inttypes.h>

void metrics_log(enum log_level level)
{
    struct metrics sum;

    if (level < atomic_load_explicit(&log_threshold[LOG_SUBJECT_APP], memory_order_relaxed))
        return;
    metrics_sum(&sum);
    for (size_t i = 0; i < metric_row_count; i++) {
        uint64_t value = metric_value(&sum, &metric_rows[i]);

        if (value != 0)
            log_write(LOG_SUBJECT_APP, level, "metric %s=%" PRIu64, metric_rows[i].name, value);
    }
}
