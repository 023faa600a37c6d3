/* Tells TLS from plain HTTP from anything else. */
#include "tls_first_bytes.h"

#define RECORD_HANDSHAKE 0x16 /* RFC 8446 5.1 */
/* Methods are tokens without a bound (RFC 9110 9.1); those in use have 3 to 17 capital letters
 * ("PRI" of the HTTP/2 preface to "UPDATEREDIRECTREF"). */
#define METHOD_MIN       3
#define METHOD_MAX       (TLS_FIRST_BYTES_MAX - 1)

enum tls_first_bytes tls_first_bytes(struct view bytes)
{
    size_t n = 0;

    if (bytes.len == 0)
        return TLS_FIRST_MORE;
    if ((unsigned char)bytes.p[0] == RECORD_HANDSHAKE)
        return TLS_FIRST_HELLO;
    while (n < bytes.len && n <= METHOD_MAX && bytes.p[n] >= 'A' && bytes.p[n] <= 'Z')
        n++;
    if (n > METHOD_MAX)
        return TLS_FIRST_OTHER;
    if (n == bytes.len)
        return TLS_FIRST_MORE;
    return n >= METHOD_MIN && bytes.p[n] == ' ' ? TLS_FIRST_HTTP : TLS_FIRST_OTHER;
}
