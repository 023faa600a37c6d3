/* What the handshakes of one thread are doing now, and what became of those before: for whoever
 * shows it to people. Any thread may ask; each number is exact, the set is not one instant. */
#pragma once

#include <sallyport/base/metrics.h>

#include <stdbool.h>
#include <stdint.h>

struct ethread;
struct net_core;

/* What no counter says; the thread writes it at the end of each turn. */
struct handshake_now {
    atomic_uint open;                  /* connections in their handshake */
    atomic_uint waiting;               /* of these, for their turn */
    _Atomic int64_t oldest_arrived_us; /* of those that wait, monotonic; 0: nobody waits */
    atomic_bool overloaded;
    atomic_int nice;           /* scheduling weight, of a thread for handshakes alone */
    _Atomic int64_t budget_ns; /* of a turn */
};

struct handshake_stats {
    uint32_t open, waiting; /* now */
    int64_t oldest_wait_ms; /* of those that wait; 0: nobody does */
    bool overloaded;        /* now: they come faster than they can be served */
    bool accept_paused;     /* now: as many are open or waiting as may */
    int nice;
    int64_t budget_us;
    uint64_t full, resumed, failed;
    uint64_t full_us, resumed_us; /* CPU time of those that completed */
    uint64_t dropped_late, dropped_gone, shed;
    uint64_t refused_at_once, refused_rate; /* counted on the thread that accepted them */
    uint64_t accept_pauses, accept_pause_ms;
    uint64_t overloads, floor_raises;
    /* How long from accept; buckets as in metrics.h. */
    uint64_t served_after_ms[METRIC_BUCKETS], dropped_after_ms[METRIC_BUCKETS];
};

/* False: the thread has no sockets, or has not started; *out is untouched. */
bool handshake_stats_read(struct net_core *core, struct ethread *t, struct handshake_stats *out);
