/* Time, in three kinds: monotonic (timers, ages), wall (logs, certificates) and what the calling
 * thread has used of its processor (what work costs). Any thread. A test replaces them with
 * clock_set_for_test(). Loops cache what they read: see ethread_now_ms(). */
#pragma once

#include <stdint.h>

int64_t clock_mono_ns(void);
int64_t clock_mono_ms(void);
/* Since the epoch. */
int64_t clock_wall_ms(void);

/* A system call, unlike the others: about 0.2 us. */
int64_t clock_thread_cpu_ns(void);

/* NULL restores the real clocks. Not thread-safe: before threads start. */
struct clock_source {
    int64_t (*mono_ns)(void);
    int64_t (*wall_ms)(void);
    int64_t (*thread_cpu_ns)(void); /* NULL: mono_ns, as of a thread that never waits */
};
void clock_set_for_test(const struct clock_source *source);
