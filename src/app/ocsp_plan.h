/* When a certificate's authority is asked again. Pure. */
#pragma once

#include <stdint.h>

#define OCSP_RETRY_MIN_MS   ((int64_t)2 * 1000)
#define OCSP_RETRY_MAX_MS   ((int64_t)3600 * 1000)
#define OCSP_REFRESH_MIN_MS ((int64_t)60 * 1000)

/* Wall clock, milliseconds, of the next fetch after a response that is good: at half of its life,
 * a little spread so that certificates of one age are not asked about all at once; of one that is
 * past that already, as responders hand out what they made a while ago, half of what is left. Not
 * at once again, whatever its dates. `random` is any number. */
int64_t ocsp_plan_refresh(int64_t this_update_ms, int64_t next_update_ms, int64_t now_ms,
                          uint32_t random);
/* How long to wait after the nth failure in a row (1 is the first): from seconds to an hour, each
 * time twice as long, up to a quarter less by chance. */
int64_t ocsp_plan_retry_ms(uint32_t failures, uint32_t random);
