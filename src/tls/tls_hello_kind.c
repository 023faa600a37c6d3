/* A walk over the lengths of a ClientHello (RFC 8446 4.1.2). Whatever does not add up is a full
 * handshake: OpenSSL says what is wrong with it. */
#include "tls_hello_kind.h"

#include <stdbool.h>
#include <stdint.h>

#define RECORD_HEADER_BYTES    5
#define RECORD_PAYLOAD_MAX     16384
#define HANDSHAKE_HEADER_BYTES 4
#define HANDSHAKE_CLIENT_HELLO 1
/* legacy_version and random */
#define HELLO_FIXED_BYTES      34

#define EXTENSION_SESSION_TICKET 35
#define EXTENSION_PRE_SHARED_KEY 41

static size_t u16_at(struct view v, size_t at)
{
    return (size_t)(uint8_t)v.p[at] << 8 | (uint8_t)v.p[at + 1];
}

/* Takes a vector with a length of `len_bytes` (1 or 2) from the front. False: it does not fit. */
static bool take_vector(struct view *rest, size_t len_bytes, struct view *out)
{
    size_t len;

    if (rest->len < len_bytes)
        return false;
    len = len_bytes == 1 ? (uint8_t)rest->p[0] : u16_at(*rest, 0);
    if (rest->len - len_bytes < len)
        return false;
    *out = view_head(view_from(*rest, len_bytes), len);
    *rest = view_from(*rest, len_bytes + len);
    return true;
}

static bool offers_resumption(struct view extensions)
{
    while (extensions.len >= 2) {
        size_t type = u16_at(extensions, 0);
        struct view body;

        extensions = view_from(extensions, 2);
        if (!take_vector(&extensions, 2, &body))
            return false;
        if ((type == EXTENSION_PRE_SHARED_KEY || type == EXTENSION_SESSION_TICKET) && body.len > 0)
            return true;
    }
    return false;
}

enum tls_hello_kind tls_hello_kind(struct view bytes)
{
    struct view rest, part, extensions;
    size_t record_len;

    if (bytes.len < RECORD_HEADER_BYTES)
        return TLS_HELLO_MORE;
    record_len = u16_at(bytes, 3);
    if (record_len > RECORD_PAYLOAD_MAX)
        return TLS_HELLO_FULL; /* no record: it is refused, not waited for */
    if (bytes.len - RECORD_HEADER_BYTES < record_len)
        return TLS_HELLO_MORE;
    rest = view_head(view_from(bytes, RECORD_HEADER_BYTES), record_len);
    if (rest.len < HANDSHAKE_HEADER_BYTES || rest.p[0] != HANDSHAKE_CLIENT_HELLO)
        return TLS_HELLO_FULL;
    rest = view_from(rest, HANDSHAKE_HEADER_BYTES + HELLO_FIXED_BYTES);
    if (!take_vector(&rest, 1, &part) || /* legacy_session_id */
        !take_vector(&rest, 2, &part) || /* cipher_suites */
        !take_vector(&rest, 1, &part) || /* legacy_compression_methods */
        !take_vector(&rest, 2, &extensions))
        return TLS_HELLO_FULL;
    return offers_resumption(extensions) ? TLS_HELLO_RESUMES : TLS_HELLO_FULL;
}
