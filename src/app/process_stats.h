/* What the system says about this process. Reads /proc: not on a data thread. */
#pragma once

#include <stdint.h>

struct process_stats {
    uint64_t resident_bytes, virtual_bytes;
    uint64_t open_fds, max_fds;
    int64_t cpu_us; /* user and system */
};
/* What cannot be read is 0. */
void process_stats_read(struct process_stats *out);
