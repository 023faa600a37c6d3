/* Timers of one loop, embedded in their owners: arming allocates nothing and cannot fail. A
 * hierarchical wheel of 4 levels of 256 slots with a resolution of 1 ms: arm, cancel and expiry
 * cost O(1), whatever is armed; times past the top (49 days) are clamped.
 *
 * Thread: the loop's. A callback may arm and cancel any timer, its own included, and free its
 * owner. */
#pragma once

#include <sallyport/base/list.h>

#include <stdbool.h>
#include <stdint.h>

struct timer;
typedef void (*timer_fn)(struct timer *t);

struct timer {
    struct list link;
    int64_t deadline_ms; /* monotonic */
    timer_fn fn;
};

#define TIMER_WHEEL_LEVELS 4
#define TIMER_WHEEL_BITS   8
#define TIMER_WHEEL_SLOTS  (1U << TIMER_WHEEL_BITS)

struct timer_wheel {
    int64_t now_ms; /* everything up to here has expired */
    struct list slots[TIMER_WHEEL_LEVELS][TIMER_WHEEL_SLOTS];
    struct list overdue; /* armed for a time that had come: for the next run */
    uint64_t occupied[TIMER_WHEEL_LEVELS][TIMER_WHEEL_SLOTS / 64]; /* may hold stale bits */
    uint64_t n_armed;
};

void timer_wheel_init(struct timer_wheel *w, int64_t now_ms);

static inline void timer_init(struct timer *t, timer_fn fn)
{
    list_init(&t->link);
    t->deadline_ms = 0;
    t->fn = fn;
}
static inline bool timer_is_armed(const struct timer *t)
{
    return list_is_linked(&t->link);
}
/* Arms or moves it; a deadline that has passed fires at the next run. */
void timer_arm(struct timer_wheel *w, struct timer *t, int64_t deadline_ms);
/* Harmless when not armed. */
void timer_cancel(struct timer_wheel *w, struct timer *t);
/* Calls what is due. Returns how many. */
unsigned timer_wheel_run(struct timer_wheel *w, int64_t now_ms);
/* Milliseconds until something may be due (never too late, possibly early), 0 when due,
 * -1 with nothing armed. */
int timer_wheel_wait_ms(const struct timer_wheel *w, int64_t now_ms);
