/* How long the next record may be. A record can be decrypted only when all of it is there: while
 * the congestion window is small, a long one waits for further round trips; later a long one costs
 * less. A send that fits one record is never split: the first flight of ten segments (RFC 6928)
 * takes it. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define TLS_RECORD_MAX ((size_t)16384) /* RFC 8446 5.1 */

struct tls_pacing {
    int64_t last_ms;     /* of the last send */
    uint32_t sent_bytes; /* since the connection was cold; stops counting once warm */
};

/* The longest payload of the records of a send of `total` bytes, as things are now. */
size_t tls_pacing_limit(struct tls_pacing *p, size_t total, int64_t now_ms);
/* n bytes of it became a record; the limit for the next one. */
size_t tls_pacing_sent(struct tls_pacing *p, size_t n, size_t limit);
