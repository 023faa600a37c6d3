#include <sallyport/net/handshake_queue.h>
#include <sallyport/net/handshake_shed.h>

/* An overload that refuses nobody for so long is over. */
#define CALM_US       1000000
/* Weight of the newest interval in the average. */
#define AVERAGE_OVER  16
/* Longer than this between two is no measure of what one takes. */
#define EACH_MAX_US   100000
#define EACH_AT_FIRST 1000
/* So few are no storm. They wait long where data leaves handshakes little of the core, or each
 * takes long: nobody is helped by being refused then. */
#define FEW           64

void handshake_shed_init(struct handshake_shed *s, const struct handshake_queue_options *options)
{
    *s = (struct handshake_shed){.each_us = EACH_AT_FIRST};
    atomic_init(&s->refusing, false);
    handshake_shed_set(s, options);
}

void handshake_shed_set(struct handshake_shed *s, const struct handshake_queue_options *options)
{
    s->after_us = options->shed_after_us;
    s->target_us = options->target_wait_us;
    s->max_waiting = options->max_waiting;
    if (s->after_us != 0)
        return;
    s->on = false;
    atomic_store_explicit(&s->refusing, false, memory_order_relaxed);
}

void handshake_shed_served(struct handshake_shed *s, uint32_t left, int64_t now_us)
{
    int64_t took_us = now_us - s->served_us;

    if (s->served_us != 0 && took_us <= EACH_MAX_US)
        s->each_us += (took_us - s->each_us) / AVERAGE_OVER;
    s->served_us = left > 0 ? now_us : 0;
}

/* So late for so long? */
static bool is_lasting(struct handshake_shed *s, int64_t wait_us, int64_t now_us)
{
    if (wait_us <= s->target_us)
        s->late_since_us = 0;
    else if (s->late_since_us == 0)
        s->late_since_us = now_us;
    return s->late_since_us != 0 && now_us - s->late_since_us >= s->after_us;
}

/* The queue is as long as it may be when so many wait. */
static uint32_t limit(const struct handshake_shed *s)
{
    uint32_t n = s->max_waiting;
    int64_t in_time = 2 * s->target_us / (s->each_us > 0 ? s->each_us : 1) + 1;

    if (in_time < n)
        n = (uint32_t)in_time;
    return n > FEW ? n : FEW + 1;
}

uint32_t handshake_shed_room(const struct handshake_shed *s, uint32_t n)
{
    uint32_t most;

    if (!s->on)
        return UINT32_MAX;
    most = limit(s);
    return n < most ? most - n : 0;
}

void handshake_shed_note(struct handshake_shed *s, uint32_t n, int64_t wait_us, int64_t now_us)
{
    bool long_enough;

    if (s->after_us == 0)
        return;
    long_enough = n >= limit(s);
    if (!s->on && is_lasting(s, wait_us, now_us)) {
        s->on = true;
        s->needed_us = now_us;
    }
    if (s->on && long_enough)
        s->needed_us = now_us;
    else if (s->on && now_us - s->needed_us >= CALM_US)
        s->on = false;
    if (handshake_shed_refuses(s) != (s->on && long_enough))
        atomic_store_explicit(&s->refusing, s->on && long_enough, memory_order_relaxed);
}
