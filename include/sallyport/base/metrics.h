/* What the program counts and measures. Each thread has a block of its own; readers add them up.
 *
 * One row of metrics_table.h adds a metric. The owner's update is a plain load and store, no locked
 * instruction. There are three types:
 *
 *   counter     only grows
 *   gauge       how many there are now on this thread; the sum is how many there are at all
 *   histogram   how often a value was so large, in steps of a factor of two
 *
 * What is counted on one thread and ends on another (open connections) is two counters, opened and
 * closed: nothing is ever taken back on another thread than it was counted on. */
#pragma once

#include <sallyport/base/err.h>
#include <sallyport/base/metrics_table.h>

#include <stdatomic.h>
#include <stdint.h>

/* Bucket i counts the values up to 2^i (and above 2^(i-1)), the last one all that are larger. */
#define METRIC_BUCKETS 16

struct metric_histogram {
    _Atomic uint64_t buckets[METRIC_BUCKETS];
    _Atomic uint64_t sum; /* of the values */
};

/* Words of 64 bits throughout: a reader may walk it by the rows. */
struct metrics {
#define X(name, unit, help) _Atomic uint64_t name;
    SP_COUNTERS(X)
    SP_GAUGES(X)
#undef X
#define X(name, unit, help) struct metric_histogram name;
    SP_HISTOGRAMS(X)
#undef X
    struct metrics *next; /* all registered, never unlinked: totals outlive their thread */
};

/* This thread's block. Threads that registered none share a spare one, on which a race may lose a
 * count but nothing else. */
extern _Thread_local struct metrics *metrics_mine;

#define METRIC_GET(m, name) atomic_load_explicit(&(m)->name, memory_order_relaxed)
#define METRIC_SET(name, now) \
    atomic_store_explicit(&metrics_mine->name, (uint64_t)(now), memory_order_relaxed)
#define METRIC_ADD(name, n)         METRIC_SET(name, METRIC_GET(metrics_mine, name) + (uint64_t)(n))
#define METRIC_INC(name)            METRIC_ADD(name, 1)
#define METRIC_OBSERVE(name, value) metric_histogram_add(&metrics_mine->name, (uint64_t)(value))

/* Owner thread. */
void metric_histogram_add(struct metric_histogram *h, uint64_t value);
/* The largest value that bucket i counts; UINT64_MAX: there is no limit. */
static inline uint64_t metric_bucket_limit(int i)
{
    return i == METRIC_BUCKETS - 1 ? UINT64_MAX : UINT64_C(1) << i;
}

/* Gives the calling thread a block of its own. */
enum sp_err metrics_register_thread(void) SP_MUST_CHECK;
/* Sums over all threads into *out (out->next is NULL). Any thread; each counter is exact, the set
 * is not one instant. */
void metrics_sum(struct metrics *out);

enum metric_type { METRIC_COUNTER, METRIC_GAUGE, METRIC_HISTOGRAM };

struct metric_row {
    const char *name, *unit, *help;
    enum metric_type type;
    size_t offset; /* into struct metrics */
};
extern const struct metric_row metric_rows[];
extern const size_t metric_row_count;

/* A counter's or gauge's value; of a histogram, how many values it has counted. */
uint64_t metric_value(const struct metrics *m, const struct metric_row *row);
/* NULL: the row is no histogram. */
const struct metric_histogram *metric_histogram_of(const struct metrics *m,
                                                   const struct metric_row *row);
