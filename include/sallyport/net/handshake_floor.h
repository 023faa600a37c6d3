/* The least share of a core that handshakes get while some wait, however busy the data is: else a
 * busy server would let nobody new in.
 *
 * Looked at over windows of time in which handshakes waited. A thread of its own that got less CPU
 * than that raises its scheduling weight, never above that of the data threads, and lowers it again
 * when less is enough; where data and handshakes share a loop, the handshakes' budget of a turn
 * grows and shrinks instead. Data threads know nothing of it.
 *
 * A process may lower a thread's weight at will, but raise it again only as root or within
 * RLIMIT_NICE. One that may not starts with as much weight as the floor takes against one data
 * thread on the same core, and stays there. Weights count inside the process's own cgroup, and need
 * none.
 *
 * Thread: the handler's. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct ethread;

#define HANDSHAKE_NICE_MAX 19

struct handshake_floor {
    uint32_t percent;       /* of a core; 0: off */
    int64_t base_budget_ns; /* what the configuration says */
    int base_nice;
    bool own_thread;
    bool fixed;       /* the weight cannot be raised again */
    bool busy;        /* handshakes have waited since began_ns */
    int64_t began_ns; /* monotonic */
    int64_t began_used_ns;
    int64_t wall_ns, used_ns; /* of the window so far, only while some waited */
    int64_t looked_ns;        /* when it was last judged */
    int64_t spent_ns;         /* in handshakes since ever, where a loop is shared */
    int nice;                 /* now */
    int64_t budget_ns;        /* now */
};

/* For a loop that data has as well (own_thread false), or for a thread of its own. */
void handshake_floor_init(struct handshake_floor *f, uint32_t percent, bool own_thread, int nice,
                          int64_t budget_ns);
/* Other settings, on the thread; weight or budget follow with the next window. */
void handshake_floor_set(struct handshake_floor *f, uint32_t percent, int64_t budget_ns);
/* On the thread, before its first turn: takes on its weight. */
void handshake_floor_start(struct handshake_floor *f, struct ethread *t);
/* Before and after the handshakes of a turn that has some: how long they took, and whether some are
 * left for the next one. */
void handshake_floor_before(struct handshake_floor *f);
void handshake_floor_after(struct handshake_floor *f, struct ethread *t, int64_t spent_ns,
                           bool some_left);

/* A turn without any. */
void handshake_floor_idle(struct handshake_floor *f);

/* The arithmetic. What weight gives `percent` where `nice` gave used/wall: never below 0 or above
 * base_nice. */
int handshake_floor_nice(int nice, int base_nice, uint32_t percent, int64_t used_ns,
                         int64_t wall_ns);
int64_t handshake_floor_budget_ns(int64_t budget_ns, int64_t base_budget_ns, uint32_t percent,
                                  int64_t used_ns, int64_t wall_ns);
