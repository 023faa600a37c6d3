/* Bytes that a connection must keep between two steps: received and not yet decrypted, or encrypted
 * and not yet taken by the socket. Exactly as large as what it holds, and no memory when empty. */
#pragma once

#include <sallyport/base/err.h>

#include <stddef.h>
#include <stdint.h>

struct tls_spill {
    uint8_t *data; /* owned; NULL when empty */
    size_t pos, len;
};

static inline size_t tls_spill_left(const struct tls_spill *s)
{
    return s->len - s->pos;
}
/* Adds a copy behind what is left. SP_NOMEM: unchanged. */
enum sp_err tls_spill_append(struct tls_spill *s, const uint8_t *data, size_t n) SP_MUST_CHECK;
/* n <= left. */
void tls_spill_consume(struct tls_spill *s, size_t n);
void tls_spill_clear(struct tls_spill *s);
