/* Time, in two kinds: monotonic (timers, ages) and wall (logs, certificates). Any thread.
 * A test replaces both with clock_set_for_test(). Loops cache what they read: see
 * ethread_now_ms(). */
#pragma once

#include <stdint.h>

int64_t clock_mono_ns(void);
int64_t clock_mono_ms(void);
/* Since the epoch. */
int64_t clock_wall_ms(void);

/* NULL restores the real clocks. Not thread-safe: before threads start. */
struct clock_source {
    int64_t (*mono_ns)(void);
    int64_t (*wall_ms)(void);
};
void clock_set_for_test(const struct clock_source *source);
