/* What a peer of an HTTP/2 connection may do before it is sent away: the table of budgets.
 *
 * A budget is an allowance of something that costs us more than it costs the peer. So much may be
 * done at once; what was used comes back with time, the whole allowance in HTTP2_BUDGET_REFILL_MS,
 * and with useful work. Honest peers stay far below: what they cause is in proportion to their
 * requests and bytes, and those pay it back.
 *
 * A row here is a configuration key, a default, a reason in the log and in GOAWAY's debug data, and
 * belongs to the counter "http2_over_<key>" (base/metrics_table.h). What counts against a budget,
 * and when, is src/http/http2_budget.c. */
#pragma once

#include <stdint.h>

#define HTTP2_BUDGET_REFILL_MS 10000

/* X(id, key, default, most, unit, per_request, per_frame, bytes, help)
 *
 *   default      the allowance; `most`: the largest that may be configured. 0 turns a budget off
 *   per_request  units that a request that was answered to its end gives back
 *   per_frame    units that a DATA frame sent to the peer gives back
 *   bytes        so many payload bytes, in either direction, give back one unit; 0: none do */
/* clang-format off */
#define HTTP2_BUDGETS(X)                                                                           \
    X(RAPID_RESETS, rapid_resets, 400, 1000000, "resets", 1, 0, 0,                                 \
      "Streams that the peer resets (rapid reset, CVE-2023-44487).")                               \
    X(PROVOKED_RESETS, provoked_resets, 200, 1000000, "resets", 1, 0, 0,                           \
      "Streams that the peer's mistakes make us reset (CVE-2025-8671).")                           \
    X(CONTINUATIONS, continuations, 8, 1000, "frames", 0, 0, 0,                                    \
      "CONTINUATION frames of one header block (CVE-2024-27316).")                                 \
    X(HEADER_BYTES, header_bytes, 8388608, 1 << 30, "bytes", 65536, 0, 0,                          \
      "Of header fields, as they came and once more as they were decoded, with 32 for each.")      \
    X(SETTINGS, settings, 100, 1000000, "frames", 0, 0, 0,                                         \
      "SETTINGS frames, each to be acknowledged.")                                                 \
    X(PINGS, pings, 200, 1000000, "frames", 1, 1, 65536,                                           \
      "PING frames, each to be answered.")                                                         \
    X(EMPTY_DATA, empty_data, 200, 1000000, "frames", 1, 0, 0,                                     \
      "DATA frames with nothing in them that end nothing.")                                        \
    X(EMPTY_HEADERS, empty_headers, 50, 1000000, "frames", 0, 0, 0,                                \
      "HEADERS and CONTINUATION frames without a byte of a header block.")                         \
    X(PRIORITIES, priorities, 1000, 1000000, "frames", 4, 0, 0,                                    \
      "PRIORITY and PRIORITY_UPDATE frames.")                                                      \
    X(WINDOW_UPDATES, window_updates, 2000, 10000000, "frames", 4, 2, 4096,                        \
      "WINDOW_UPDATE frames.")                                                                     \
    X(TINY_FRAMES, tiny_frames, 50000, 100000000, "frames", 8, 4, 32,                              \
      "Frames of any type with a payload below 32 bytes, padding not counted.")                    \
    X(STARVED_FRAMES, starved_frames, 400, 1000000, "frames", 0, 0, 16384,                         \
      "DATA frames below 256 bytes because the peer's window had no room for more.")               \
    X(STALLED_STREAMS, stalled_streams, 20, 1000000, "streams", 1, 0, 0,                           \
      "Streams that timed out because the peer did not open their window.")                        \
    X(ABANDONED_STREAMS, abandoned_streams, 20, 1000000, "streams", 1, 0, 0,                       \
      "Streams that timed out because the peer did not finish their request.")
/* clang-format on */

enum http2_budget_id {
#define X(id, ...) HTTP2_BUDGET_##id,
    HTTP2_BUDGETS(X)
#undef X
        HTTP2_BUDGET_COUNT
};

/* The allowances of a port. One array, so that a budget is addressed by its id. */
struct http2_budgets_conf {
    uint32_t allowance[HTTP2_BUDGET_COUNT]; /* 0: unlimited */
};
