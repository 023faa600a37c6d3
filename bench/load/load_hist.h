/* Latencies of an open-loop run: a log-linear histogram, 64 steps an octave (1.6 % wide), from 1 us
 * to over an hour. One thread. */
#pragma once

#include <stdint.h>

#define LOAD_HIST_STEPS   64
#define LOAD_HIST_OCTAVES 32

struct load_hist {
    uint64_t count, sum_us, max_us;
    uint64_t bins[LOAD_HIST_OCTAVES * LOAD_HIST_STEPS];
};

void load_hist_add(struct load_hist *h, int64_t us);
/* `share` of 0..1; 0 with nothing recorded. */
double load_hist_quantile_ms(const struct load_hist *h, double share);
