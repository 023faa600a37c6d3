#include "watch_pace.h"

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

void watch_pace_changed(struct watch_pace *p, int64_t now_ms)
{
    if (!p->pending)
        p->first_ms = now_ms;
    p->pending = true;
    p->last_ms = now_ms;
}

int64_t watch_pace_due_ms(const struct watch_pace *p)
{
    int64_t due_ms = p->failing ? p->retry_ms : WATCH_NEVER;

    if (p->pending)
        due_ms = least(due_ms, least(p->last_ms + WATCH_QUIET_MS, p->first_ms + WATCH_MAX_WAIT_MS));
    return due_ms;
}

bool watch_pace_looked(struct watch_pace *p, int64_t now_ms, bool good)
{
    int64_t give_up_ms;

    p->pending = false;
    if (good) {
        p->failing = false;
        return false;
    }
    if (!p->failing)
        p->failing_since_ms = now_ms;
    p->failing = true;
    give_up_ms = least(p->last_ms + WATCH_PATIENCE_MS, p->failing_since_ms + WATCH_GIVE_UP_MS);
    p->retry_ms = least(now_ms + WATCH_RETRY_MS, give_up_ms);
    if (now_ms < give_up_ms)
        return false;
    p->failing = false;
    return true;
}

void watch_pace_postpone(struct watch_pace *p, int64_t at_ms)
{
    p->pending = false;
    if (!p->failing)
        p->failing_since_ms = at_ms;
    p->failing = true;
    p->retry_ms = at_ms;
}
