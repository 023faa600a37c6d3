/* The budgets of one HTTP/2 connection (the table and its sense: config/http2_budgets.h).
 *
 * The connection shows every byte that arrives before the protocol library gets it. Frames are
 * counted from their headers alone, whatever the library would make of them: nothing that it
 * ignores (frames of closed streams, blocks of refused ones, unknown types) escapes, and ours acts
 * before any limit of its own. What no frame header says is charged by the session.
 *
 *     ok = http2_budget_feed(&b, bytes, n, now_ms);   bytes that the library may have
 *     nghttp2_session_mem_recv(session, bytes, ok);
 *     if (http2_budget_exceeded(&b))
 *         GOAWAY(HTTP2_BUDGET_ERROR_CODE, debug data http2_budget_name(b.over));
 * http2_budget_report
 *
 * The library's own limits have to be looser (nghttp2_option_set_stream_reset_rate_limit,
 * _max_continuations, _max_outbound_ack), so that it is always a budget that acts, with its reason.
 *
 * Whole with init, nothing to free, no allocation. Thread: the connection's. */
#pragma once

#include "http2_frame_scan.h"

#include <sallyport/config/http2_budgets.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct net_vconnection;

#define HTTP2_BUDGET_ERROR_CODE 0x0b /* ENHANCE_YOUR_CALM, RFC 9113 7 */

/* Whom we talk to. A backend's connection carries the requests of many clients and belongs to the
 * operator: it may do HTTP2_BUDGET_SERVER_FACTOR times as much. */
enum http2_budget_peer { HTTP2_BUDGET_CLIENT, HTTP2_BUDGET_SERVER };
#define HTTP2_BUDGET_SERVER_FACTOR 10

struct http2_budget {
    const struct http2_budgets_conf *conf; /* borrowed; outlives the connection */
    uint32_t factor;
    uint8_t over; /* enum http2_budget_id; HTTP2_BUDGET_COUNT: none */
    struct http2_frame_scan scan;
    int64_t owed_until_ns[HTTP2_BUDGET_COUNT]; /* when all that was used will have come back */
};

/* `peer` HTTP2_BUDGET_CLIENT: the bytes begin with the client's preface (RFC 9113 3.4). */
void http2_budget_init(struct http2_budget *b, const struct http2_budgets_conf *conf,
                       enum http2_budget_peer peer);

/* Charges what the frames of these bytes cost. Returns how many of the bytes may be used: all of
 * them, or those before the frame that no budget had room for; then, and ever after, the connection
 * is over. Any split of the bytes charges the same. */
size_t http2_budget_feed(struct http2_budget *b, const uint8_t *bytes, size_t n, int64_t now_ms);

/* Charges n units. False: the budget had no room for them; the first one that had none stays. */
bool http2_budget_charge(struct http2_budget *b, enum http2_budget_id id, uint32_t n,
                         int64_t now_ms);

/* A RST_STREAM of ours was sent. Free of charge if it was for our own or the other side's sake. */
bool http2_budget_reset_sent(struct http2_budget *b, uint32_t error_code, int64_t now_ms);
/* A header field was decoded, kept or not. The block's own bytes are charged as they come: of
 * blocks on streams that are refused or closed, the library decodes all and tells nothing. */
bool http2_budget_field(struct http2_budget *b, size_t name_len, size_t value_len, int64_t now_ms);
/* A DATA frame with n bytes (below 2^24) was sent; `starved`: see http2_budget_is_starved. */
bool http2_budget_data_sent(struct http2_budget *b, size_t n, bool starved, int64_t now_ms);
/* Is a DATA frame of n bytes, with `queued` there to send and `window` the smaller of the two
 * windows, so small for the peer's sake alone? Such a frame is no progress of its stream either: a
 * send timeout must go on running over it. */
bool http2_budget_is_starved(size_t n, size_t queued, size_t window);
/* A request and its response went through whole. */
void http2_budget_request_done(struct http2_budget *b);

static inline bool http2_budget_exceeded(const struct http2_budget *b)
{
    return b->over != HTTP2_BUDGET_COUNT;
}
/* "rapid_resets": the configuration key, GOAWAY's debug data, the reason in the log. */
const char *http2_budget_name(enum http2_budget_id id);
/* Counts the budget that was exceeded and says so in the log. Once per connection. */
void http2_budget_report(const struct http2_budget *b, const struct net_vconnection *vc);
