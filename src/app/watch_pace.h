/* When files that change are looked at: not in the middle of a change, and not for ever later. A
 * certificate and its key are replaced in two steps, a file is emptied before it is written; so
 * what cannot be used is tried again while something changes and for some seconds after, before
 * anybody is told. Pure: times are monotonic milliseconds. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define WATCH_QUIET_MS    150   /* without a change, after one */
#define WATCH_MAX_WAIT_MS 2000  /* although changes do not end */
#define WATCH_RETRY_MS    1000  /* of what could not be used */
#define WATCH_PATIENCE_MS 5000  /* for it to become whole, since the last change */
#define WATCH_GIVE_UP_MS  60000 /* ...and since it failed first */
#define WATCH_NEVER       INT64_MAX

struct watch_pace {
    bool pending, failing;
    int64_t first_ms, last_ms; /* pending: changes that were not looked at */
    int64_t failing_since_ms, retry_ms;
};

/* Something changed. */
void watch_pace_changed(struct watch_pace *p, int64_t now_ms);
/* When to look; WATCH_NEVER: not before something changes. */
int64_t watch_pace_due_ms(const struct watch_pace *p);
/* It was looked at. True: it could not be used, and there is no hope left: people are told, and it
 * is not looked at before something changes. */
bool watch_pace_looked(struct watch_pace *p, int64_t now_ms, bool good);
/* It could not be looked at: later. */
void watch_pace_postpone(struct watch_pace *p, int64_t at_ms);
