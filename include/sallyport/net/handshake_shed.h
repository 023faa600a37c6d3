/* What a thread does about handshakes that keep coming faster than it can serve them: the excess is
 * refused as it arrives.
 *
 * A queue absorbs a burst. When it does not get shorter for `after`, the load is more than the
 * thread can bear, and a queue only makes everybody wait before most are dropped anyway. From then
 * on a newcomer is let in when those before it are few (64), or will be served within twice the
 * target wait and fit into the queue, and else reset at once: that costs little beside a handshake,
 * and the client knows, can try another machine, and does not stand in the kernel's backlog until
 * it has given up. So accepting goes on, however full the queue is. How long one takes is measured
 * while the queue is never empty. It ends when nobody had to be refused for a second.
 *
 * One per thread that runs handshakes; its net_handler owns it. `refuses` may be asked by any
 * thread. */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct handshake_queue_options;

struct handshake_shed {
    int64_t after_us;      /* 0: never */
    int64_t target_us;     /* of the queue; a newcomer may expect to wait twice as long */
    uint32_t max_waiting;  /* of the queue */
    int64_t late_since_us; /* the oldest has waited past the target ever since; 0: it has not */
    int64_t served_us;     /* when the last one was served; 0: nobody waited then */
    int64_t each_us;       /* from one served to the next, a moving average */
    bool on;
    int64_t needed_us;    /* when it last kept somebody away, or could have */
    atomic_bool refusing; /* on, and the queue is as long as it may be */
};

void handshake_shed_init(struct handshake_shed *s, const struct handshake_queue_options *options);
/* Other settings; what was learned stays. */
void handshake_shed_set(struct handshake_shed *s, const struct handshake_queue_options *options);
/* One of the queue got its turn; `left` are those that still wait. */
void handshake_shed_served(struct handshake_shed *s, uint32_t left, int64_t now_us);
/* After each change of the queue that a newcomer should know of, and once a turn: `n` wait, the
 * oldest for wait_us. */
void handshake_shed_note(struct handshake_shed *s, uint32_t n, int64_t wait_us, int64_t now_us);
/* So many may come when n wait; UINT32_MAX: nobody is counted. */
uint32_t handshake_shed_room(const struct handshake_shed *s, uint32_t n);
/* Is a newcomer refused? */
static inline bool handshake_shed_refuses(const struct handshake_shed *s)
{
    return atomic_load_explicit(&s->refusing, memory_order_relaxed);
}
