#include "ocsp_plan.h"

/* Of the life of a response. */
#define SPREAD_PERCENT 5

int64_t ocsp_plan_refresh(int64_t this_update_ms, int64_t next_update_ms, int64_t now_ms,
                          uint32_t random)
{
    int64_t life_ms = next_update_ms - this_update_ms, left_ms = next_update_ms - now_ms;
    int64_t spread_ms = life_ms * SPREAD_PERCENT / 100;
    int64_t at_ms = this_update_ms + life_ms / 2;

    if (spread_ms > 0)
        at_ms += (int64_t)(random % 1000) * spread_ms / 1000;
    if (at_ms <= now_ms)
        at_ms = now_ms + left_ms / 2;
    return at_ms < now_ms + OCSP_REFRESH_MIN_MS ? now_ms + OCSP_REFRESH_MIN_MS : at_ms;
}

int64_t ocsp_plan_retry_ms(uint32_t failures, uint32_t random)
{
    int64_t wait_ms = OCSP_RETRY_MIN_MS;

    for (uint32_t i = 1; i < failures && wait_ms < OCSP_RETRY_MAX_MS; i++)
        wait_ms *= 2;
    if (wait_ms > OCSP_RETRY_MAX_MS)
        wait_ms = OCSP_RETRY_MAX_MS;
    return wait_ms - (int64_t)(random % 1000) * (wait_ms / 4) / 1000;
}
