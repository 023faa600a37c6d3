/* What a peer has used of each allowance, and what gives it back.
 *
 * A budget is one point in time: when everything that was used will have come back. Using a unit
 * moves it on by the time that a unit takes to come back, useful work moves it back, and there is
 * no room left when it lies further ahead than the whole allowance takes. So time passing costs
 * nothing, and nothing is lost to rounding however often it is asked. */
#include "http2_budget.h"

#include <sallyport/base/clock.h>
#include <sallyport/base/log.h>
#include <sallyport/base/metrics.h>
#include <sallyport/net/net_vconnection.h>

#include <inttypes.h>

#define REFILL_NS (INT64_C(1000000) * HTTP2_BUDGET_REFILL_MS)

enum {
    TINY_FRAME_BYTES = 32,
    STARVED_FRAME_BYTES = 256,
    FIELD_OVERHEAD_BYTES = 32, /* RFC 9113 6.5.2 */
};

static const struct row {
    const char *name;
    uint32_t per_request, per_frame, bytes;
} rows[HTTP2_BUDGET_COUNT] = {
#define X(id, key, def, most, unit, per_request, per_frame, bytes, help) \
    [HTTP2_BUDGET_##id] = {#key, per_request, per_frame, bytes},
    HTTP2_BUDGETS(X)
#undef X
};

const char *http2_budget_name(enum http2_budget_id id)
{
    return rows[id].name;
}

void http2_budget_init(struct http2_budget *b, const struct http2_budgets_conf *conf,
                       enum http2_budget_peer peer)
{
    *b = (struct http2_budget){
        .conf = conf,
        .factor = peer == HTTP2_BUDGET_SERVER ? HTTP2_BUDGET_SERVER_FACTOR : 1,
        .over = HTTP2_BUDGET_COUNT,
    };
    http2_frame_scan_init(&b->scan, peer == HTTP2_BUDGET_CLIENT);
}

/* ---- Accounts ---- */

static int64_t allowance_of(const struct http2_budget *b, enum http2_budget_id id)
{
    return (int64_t)b->conf->allowance[id] * b->factor;
}

/* How long one unit takes to come back; 0: the budget is off. */
static int64_t unit_ns(const struct http2_budget *b, enum http2_budget_id id)
{
    int64_t allowance = allowance_of(b, id);

    if (allowance == 0)
        return 0;
    return allowance < REFILL_NS ? REFILL_NS / allowance : 1;
}

/* That of one header block does not come back with time: a new block begins with all of it. */
static int64_t time_of(enum http2_budget_id id, int64_t now_ms)
{
    return id == HTTP2_BUDGET_CONTINUATIONS ? 0 : now_ms * 1000000;
}

bool http2_budget_charge(struct http2_budget *b, enum http2_budget_id id, uint32_t n,
                         int64_t now_ms)
{
    int64_t unit = unit_ns(b, id), now = time_of(id, now_ms), most = allowance_of(b, id) + 1;
    int64_t units = n < most ? n : most; /* more cannot fit: keeps the product small */
    int64_t *owed = &b->owed_until_ns[id];

    if (unit == 0)
        return true;
    if (*owed < now)
        *owed = now;
    if (*owed - now <= REFILL_NS) /* what is far over already need not grow */
        *owed += units * unit;
    if (*owed - now <= REFILL_NS)
        return true;
    if (!http2_budget_exceeded(b))
        b->over = (uint8_t)id;
    return false;
}

static void give_back_ns(struct http2_budget *b, enum http2_budget_id id, int64_t ns)
{
    int64_t *owed = &b->owed_until_ns[id];

    *owed = *owed > ns ? *owed - ns : 0;
}

void http2_budget_request_done(struct http2_budget *b)
{
    for (unsigned id = 0; id < HTTP2_BUDGET_COUNT; id++)
        if (rows[id].per_request != 0 && b->owed_until_ns[id] != 0)
            give_back_ns(b, id, unit_ns(b, id) * rows[id].per_request);
}

static void bytes_passed(struct http2_budget *b, size_t n)
{
    for (unsigned id = 0; id < HTTP2_BUDGET_COUNT; id++)
        if (rows[id].bytes != 0 && b->owed_until_ns[id] != 0)
            give_back_ns(b, id, unit_ns(b, id) * (int64_t)n / rows[id].bytes);
}

static void frame_sent(struct http2_budget *b)
{
    for (unsigned id = 0; id < HTTP2_BUDGET_COUNT; id++)
        if (rows[id].per_frame != 0 && b->owed_until_ns[id] != 0)
            give_back_ns(b, id, unit_ns(b, id) * rows[id].per_frame);
}

/* ---- What arrives ---- */

/* Charges a frame for what its type costs. */
static void charge_type(struct http2_budget *b, const struct http2_frame *f, int64_t now_ms)
{
    bool ack = (f->flags & HTTP2_FLAG_ACK) != 0;

    switch (f->type) {
    case HTTP2_FRAME_DATA:
        bytes_passed(b, f->content);
        if (f->content == 0 && (f->flags & HTTP2_FLAG_END_STREAM) == 0)
            http2_budget_charge(b, HTTP2_BUDGET_EMPTY_DATA, 1, now_ms);
        break;
    case HTTP2_FRAME_HEADERS:
        b->owed_until_ns[HTTP2_BUDGET_CONTINUATIONS] = 0;
        http2_budget_charge(b, HTTP2_BUDGET_HEADER_BYTES, f->content, now_ms);
        if (f->content == 0 && (f->flags & HTTP2_FLAG_END_HEADERS) == 0)
            http2_budget_charge(b, HTTP2_BUDGET_EMPTY_HEADERS, 1, now_ms);
        break;
    case HTTP2_FRAME_CONTINUATION:
        http2_budget_charge(b, HTTP2_BUDGET_CONTINUATIONS, 1, now_ms);
        http2_budget_charge(b, HTTP2_BUDGET_HEADER_BYTES, f->content, now_ms);
        if (f->content == 0)
            http2_budget_charge(b, HTTP2_BUDGET_EMPTY_HEADERS, 1, now_ms);
        break;
    case HTTP2_FRAME_PRIORITY:
    case HTTP2_FRAME_PRIORITY_UPDATE:
        http2_budget_charge(b, HTTP2_BUDGET_PRIORITIES, 1, now_ms);
        break;
    case HTTP2_FRAME_RST_STREAM:
        http2_budget_charge(b, HTTP2_BUDGET_RAPID_RESETS, 1, now_ms);
        break;
    case HTTP2_FRAME_SETTINGS:
        http2_budget_charge(b, HTTP2_BUDGET_SETTINGS, ack ? 0 : 1, now_ms);
        break;
    case HTTP2_FRAME_PING: http2_budget_charge(b, HTTP2_BUDGET_PINGS, ack ? 0 : 1, now_ms); break;
    case HTTP2_FRAME_WINDOW_UPDATE:
        http2_budget_charge(b, HTTP2_BUDGET_WINDOW_UPDATES, 1, now_ms);
        break;
    default: break; /* whatever it is, it may be tiny */
    }
}

/* False: there was no room for it. */
static bool charge_frame(struct http2_budget *b, const struct http2_frame *f, int64_t now_ms)
{
    charge_type(b, f, now_ms);
    if (f->content < TINY_FRAME_BYTES)
        http2_budget_charge(b, HTTP2_BUDGET_TINY_FRAMES, 1, now_ms);
    return !http2_budget_exceeded(b);
}

size_t http2_budget_feed(struct http2_budget *b, const uint8_t *bytes, size_t n, int64_t now_ms)
{
    size_t at = 0, used = 0;
    struct http2_frame frame;

    if (http2_budget_exceeded(b))
        return 0;
    for (;;) {
        at += http2_frame_scan_pass(&b->scan, n - at);
        if (at == n || !http2_frame_scan_head(&b->scan, bytes + at, n - at, &used, &frame))
            return n;
        if (!charge_frame(b, &frame, now_ms))
            return at;
        at += used;
    }
}

/* ---- What the session tells ---- */

/* RFC 9113 7. An error of ours or of the other side, or the end of an exchange that the peer has
 * nothing to do with. REFUSED_STREAM is the peer's: it opened more than it was told it may. */
static bool is_our_own(uint32_t error_code)
{
    enum { NO_ERROR = 0x0, INTERNAL_ERROR = 0x2, CANCEL = 0x8, CONNECT_ERROR = 0xa };

    return error_code == NO_ERROR || error_code == INTERNAL_ERROR || error_code == CANCEL ||
           error_code == CONNECT_ERROR;
}

bool http2_budget_reset_sent(struct http2_budget *b, uint32_t error_code, int64_t now_ms)
{
    if (is_our_own(error_code))
        return true;
    return http2_budget_charge(b, HTTP2_BUDGET_PROVOKED_RESETS, 1, now_ms);
}

bool http2_budget_field(struct http2_budget *b, size_t name_len, size_t value_len, int64_t now_ms)
{
    size_t bytes = name_len + value_len + FIELD_OVERHEAD_BYTES;

    return http2_budget_charge(b, HTTP2_BUDGET_HEADER_BYTES,
                               bytes < UINT32_MAX ? (uint32_t)bytes : UINT32_MAX, now_ms);
}

bool http2_budget_is_starved(size_t n, size_t queued, size_t window)
{
    return n < STARVED_FRAME_BYTES && queued > n && window <= n;
}

bool http2_budget_data_sent(struct http2_budget *b, size_t n, bool starved, int64_t now_ms)
{
    bytes_passed(b, n);
    if (starved)
        return http2_budget_charge(b, HTTP2_BUDGET_STARVED_FRAMES, 1, now_ms);
    frame_sent(b);
    return true;
}

/* ---- The end ---- */

static void count(enum http2_budget_id id)
{
    switch (id) {
#define X(id_, key, ...) \
    case HTTP2_BUDGET_##id_: METRIC_INC(http2_over_##key); break;
        HTTP2_BUDGETS(X)
#undef X
    case HTTP2_BUDGET_COUNT: break;
    }
}

void http2_budget_report(const struct http2_budget *b, const struct net_vconnection *vc)
{
    static struct log_limiter limiters[HTTP2_BUDGET_COUNT]; /* one flood does not hide another */
    char address[ENDPOINT_TEXT_MAX];
    enum http2_budget_id id = b->over;

    if (!http2_budget_exceeded(b))
        return;
    count(id);
    if (!LOG_ENABLED(HTTP, WARN))
        return;
    log_write_limited(&limiters[id], LOG_SUBJECT_HTTP, LOG_LEVEL_WARN,
                      "vc=%" PRIu64 " peer=%s reason=%s allowance=%" PRId64
                      " http2 connection ended: too much of this",
                      vc->id, ip_endpoint_format_address(&vc->client, address, sizeof(address)),
                      http2_budget_name(id), allowance_of(b, id));
}
