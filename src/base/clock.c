/* The clocks, and the place where a test puts others. */
#include <sallyport/base/clock.h>

#include <stddef.h>
#include <time.h>

#define NS_PER_S  INT64_C(1000000000)
#define NS_PER_MS INT64_C(1000000)

/* The kernel keeps these clocks for every process: reading them cannot fail. */
static int64_t read_ns(clockid_t id)
{
    struct timespec ts;

    (void)clock_gettime(id, &ts);
    return (int64_t)ts.tv_sec * NS_PER_S + (int64_t)ts.tv_nsec;
}

static int64_t real_mono_ns(void)
{
    return read_ns(CLOCK_MONOTONIC);
}

static int64_t real_wall_ms(void)
{
    return read_ns(CLOCK_REALTIME) / NS_PER_MS;
}

static int64_t real_thread_cpu_ns(void)
{
    return read_ns(CLOCK_THREAD_CPUTIME_ID);
}

static const struct clock_source real_clocks = {
    .mono_ns = real_mono_ns, .wall_ms = real_wall_ms, .thread_cpu_ns = real_thread_cpu_ns};
static const struct clock_source *clocks = &real_clocks;

int64_t clock_mono_ns(void)
{
    return clocks->mono_ns();
}

int64_t clock_mono_ms(void)
{
    return clocks->mono_ns() / NS_PER_MS;
}

int64_t clock_wall_ms(void)
{
    return clocks->wall_ms();
}

int64_t clock_thread_cpu_ns(void)
{
    return clocks->thread_cpu_ns != NULL ? clocks->thread_cpu_ns() : clocks->mono_ns();
}

void clock_set_for_test(const struct clock_source *source)
{
    clocks = source != NULL ? source : &real_clocks;
}
