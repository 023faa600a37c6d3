/* Counters that belong to a thread; readers add them up.
 *
 * One row of metrics_table.h adds a counter. The owner's increment is a plain load and store, no
 * locked instruction. Gauges are made of two counters (opened - closed), so that nothing is ever
 * decremented on another thread than it was incremented on. */
#pragma once

#include <sallyport/base/err.h>
#include <sallyport/base/metrics_table.h>

#include <stdatomic.h>
#include <stdint.h>

struct metrics {
#define X(name, unit, help) _Atomic uint64_t name;
    SP_COUNTERS(X)
#undef X
    struct metrics *next; /* all registered, never unlinked: totals outlive their thread */
};

/* This thread's block. Threads that registered none share a spare one, on which a race may lose a
 * count but nothing else. */
extern _Thread_local struct metrics *metrics_mine;

#define METRIC_GET(m, name) atomic_load_explicit(&(m)->name, memory_order_relaxed)
#define METRIC_ADD(name, n)                                                                    \
    atomic_store_explicit(&metrics_mine->name, METRIC_GET(metrics_mine, name) + (uint64_t)(n), \
                          memory_order_relaxed)
#define METRIC_INC(name) METRIC_ADD(name, 1)

/* Gives the calling thread a block of its own. */
enum sp_err metrics_register_thread(void) SP_MUST_CHECK;
/* Sums over all threads into *out (out->next is NULL). Any thread; each counter is exact, the set
 * is not one instant. */
void metrics_sum(struct metrics *out);

struct metric_row {
    const char *name, *unit, *help;
    size_t offset; /* into struct metrics */
};
extern const struct metric_row metric_rows[];
extern const size_t metric_row_count;
