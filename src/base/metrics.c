/* The list of all threads' metrics, and their sums.
 *
 * A block is pushed once and never unlinked: readers walk the list without a lock, and what a
 * thread counted stays in the totals after its end. */
#include <sallyport/base/metrics.h>

#include <stdlib.h>

typedef _Atomic uint64_t metric_word;

/* For threads that registered no block. It is the oldest of the list, so it is summed as well. */
static struct metrics spare;
static _Atomic(struct metrics *) newest = &spare;

_Thread_local struct metrics *metrics_mine = &spare;

const struct metric_row metric_rows[] = {
#define ROW(name, unit, help, type) {#name, unit, help, type, offsetof(struct metrics, name)},
#define X(name, unit, help)         ROW(name, unit, help, METRIC_COUNTER)
    SP_COUNTERS(X)
#undef X
#define X(name, unit, help) ROW(name, unit, help, METRIC_GAUGE)
        SP_GAUGES(X)
#undef X
#define X(name, unit, help) ROW(name, unit, help, METRIC_HISTOGRAM)
            SP_HISTOGRAMS(X)
#undef X
#undef ROW
};
const size_t metric_row_count = SP_COUNT_OF(metric_rows);

enum sp_err metrics_register_thread(void)
{
    struct metrics *mine;

    if (metrics_mine != &spare)
        return SP_OK;
    mine = calloc(1, sizeof(*mine));
    if (mine == NULL)
        return SP_NOMEM;
    mine->next = atomic_load_explicit(&newest, memory_order_relaxed);
    while (!atomic_compare_exchange_weak_explicit(&newest, &mine->next, mine, memory_order_release,
                                                  memory_order_relaxed))
        ;
    metrics_mine = mine;
    return SP_OK;
}

static uint64_t load(const metric_word *word)
{
    return atomic_load_explicit(word, memory_order_relaxed);
}

static void add(metric_word *word, uint64_t n)
{
    atomic_store_explicit(word, load(word) + n, memory_order_relaxed);
}

void metric_histogram_add(struct metric_histogram *h, uint64_t value)
{
    int i = value <= 1 ? 0 : 64 - __builtin_clzll(value - 1);

    add(&h->buckets[i < METRIC_BUCKETS ? i : METRIC_BUCKETS - 1], 1);
    add(&h->sum, value);
}

/* A walk over the words and not the X-macros: one loop in place of one load and add a metric. */
void metrics_sum(struct metrics *out)
{
    metric_word *sums = (metric_word *)(void *)out;

    out->next = NULL;
    for (size_t i = 0; i < offsetof(struct metrics, next) / sizeof(metric_word); i++) {
        struct metrics *m = atomic_load_explicit(&newest, memory_order_acquire);
        uint64_t sum = 0;

        for (; m != NULL; m = m->next)
            sum += load((metric_word *)(void *)m + i);
        atomic_store_explicit(&sums[i], sum, memory_order_relaxed);
    }
}

static const void *at(const struct metrics *m, const struct metric_row *row)
{
    return (const char *)m + row->offset;
}

const struct metric_histogram *metric_histogram_of(const struct metrics *m,
                                                   const struct metric_row *row)
{
    return row->type == METRIC_HISTOGRAM ? at(m, row) : NULL;
}

uint64_t metric_value(const struct metrics *m, const struct metric_row *row)
{
    const struct metric_histogram *h = metric_histogram_of(m, row);
    uint64_t n = 0;

    if (h == NULL)
        return load(at(m, row));
    for (int i = 0; i < METRIC_BUCKETS; i++)
        n += load(&h->buckets[i]);
    return n;
}
