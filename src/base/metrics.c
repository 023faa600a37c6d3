/* The list of all threads' counters, and their sums.
 *
 * A block is pushed once and never unlinked: readers walk the list without a lock, and what a
 * thread counted stays in the totals after its end. */
#include <sallyport/base/metrics.h>

#include <stdlib.h>

/* For threads that registered no block. It is the oldest of the list, so it is summed as well. */
static struct metrics spare;
static _Atomic(struct metrics *) newest = &spare;

_Thread_local struct metrics *metrics_mine = &spare;

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

/* A walk over the rows and not the X-macro: one loop in place of one load and add a counter. */
static _Atomic uint64_t *counter_of(struct metrics *m, const struct metric_row *row)
{
    return (_Atomic uint64_t *)(void *)((char *)m + row->offset);
}

void metrics_sum(struct metrics *out)
{
    out->next = NULL;
    for (size_t i = 0; i < metric_row_count; i++) {
        struct metrics *m = atomic_load_explicit(&newest, memory_order_acquire);
        uint64_t sum = 0;

        for (; m != NULL; m = m->next)
            sum += atomic_load_explicit(counter_of(m, &metric_rows[i]), memory_order_relaxed);
        atomic_store_explicit(counter_of(out, &metric_rows[i]), sum, memory_order_relaxed);
    }
}

const struct metric_row metric_rows[] = {
#define X(name, unit, help) {#name, unit, help, offsetof(struct metrics, name)},
    SP_COUNTERS(X)
#undef X
};
const size_t metric_row_count = SP_COUNT_OF(metric_rows);
