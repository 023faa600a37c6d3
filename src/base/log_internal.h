/* What log.c and log_sink.c share: how a line begins. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define LOG_TIME_BYTES 32

/* "2026-11-23T04:10:00.123Z", terminated; returns dst. Unlike gmtime_r(3) it takes no lock, so a
 * thread never waits here for one of lower priority. */
const char *log_format_time(char dst[LOG_TIME_BYTES], int64_t wall_ms);
