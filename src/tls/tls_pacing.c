#include "tls_pacing.h"

/* One segment: 1500 less IPv6, TCP with timestamps, record header, nonce and tag of TLS 1.2, less
 * eight for PPPoE. Then three; warm after 64 KB, cold again after a second of silence (RFC 5681 4.1
 * shrinks the window after a retransmission timeout of idleness). */
#define ONE_SEGMENT    ((size_t)1390)
#define THREE_SEGMENTS ((size_t)4180)
#define STARTED_BYTES  16384U
#define WARM_BYTES     65536U
#define COLD_AFTER_MS  1000

static size_t limit_of(const struct tls_pacing *p)
{
    if (p->sent_bytes >= WARM_BYTES)
        return TLS_RECORD_MAX;
    return p->sent_bytes >= STARTED_BYTES ? THREE_SEGMENTS : ONE_SEGMENT;
}

size_t tls_pacing_limit(struct tls_pacing *p, size_t total, int64_t now_ms)
{
    if (now_ms - p->last_ms > COLD_AFTER_MS)
        p->sent_bytes = 0;
    p->last_ms = now_ms;
    return total <= TLS_RECORD_MAX ? TLS_RECORD_MAX : limit_of(p);
}

size_t tls_pacing_sent(struct tls_pacing *p, size_t n, size_t limit)
{
    if (p->sent_bytes >= WARM_BYTES)
        return TLS_RECORD_MAX;
    p->sent_bytes += (uint32_t)n;
    return limit == TLS_RECORD_MAX ? limit : limit_of(p);
}
