#include "load_hist.h"

/* Here a value no longer fits the steps of its octave. */
#define FULL_OCTAVE (UINT64_C(2) * LOAD_HIST_STEPS)

static unsigned bin_of(uint64_t us)
{
    unsigned octave = 0;

    while (us >> octave >= FULL_OCTAVE && octave + 2 < LOAD_HIST_OCTAVES)
        octave++;
    if (us < LOAD_HIST_STEPS)
        return (unsigned)us;
    if (us >> octave >= FULL_OCTAVE)
        return LOAD_HIST_OCTAVES * LOAD_HIST_STEPS - 1;
    return (octave + 1) * LOAD_HIST_STEPS + (unsigned)((us >> octave) - LOAD_HIST_STEPS);
}

static double bin_ms(unsigned bin)
{
    unsigned octave = bin / LOAD_HIST_STEPS;
    uint64_t step = bin % LOAD_HIST_STEPS;

    if (octave == 0)
        return (double)step / 1000;
    return ((double)((step + LOAD_HIST_STEPS) << (octave - 1)) + 0.5) / 1000;
}

void load_hist_add(struct load_hist *h, int64_t us)
{
    uint64_t value = us < 0 ? 0 : (uint64_t)us;

    h->count++;
    h->sum_us += value;
    if (value > h->max_us)
        h->max_us = value;
    h->bins[bin_of(value)]++;
}

double load_hist_quantile_ms(const struct load_hist *h, double share)
{
    uint64_t rank = (uint64_t)(share * (double)h->count);
    uint64_t seen = 0;

    if (h->count == 0)
        return 0;
    for (unsigned bin = 0; bin < LOAD_HIST_OCTAVES * LOAD_HIST_STEPS; bin++) {
        seen += h->bins[bin];
        if (seen > rank)
            return bin_ms(bin);
    }
    return (double)h->max_us / 1000;
}
