/* WebSocket's key and proof. */
#include "websocket.h"

#include "field_named.h"
#include "request_id.h"

#include <sallyport/http/http_syntax.h>

enum { SHA1_BLOCK = 64, SHA1_LEN = 20 };

bool websocket_is(struct view protocol)
{
    return view_eq_nocase(protocol, VIEW("websocket"));
}

const struct http_field *websocket_key(const struct http_fields *fields)
{
    return http_field_named(fields, VIEW("sec-websocket-key"));
}

const struct http_field *websocket_proof(const struct http_fields *fields)
{
    return http_field_named(fields, VIEW("sec-websocket-accept"));
}

/* RFC 4648 4. */
static void put_base64(char *to, const unsigned char *p, size_t len)
{
    static const char digits[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=";

    for (size_t i = 0; i < len; i += 3) {
        unsigned bits = (unsigned)p[i] << 16;

        bits |= i + 1 < len ? (unsigned)p[i + 1] << 8 : 0;
        bits |= i + 2 < len ? p[i + 2] : 0;
        *to++ = digits[bits >> 18 & 63];
        *to++ = digits[bits >> 12 & 63];
        *to++ = digits[i + 1 < len ? bits >> 6 & 63 : 64];
        *to++ = digits[i + 2 < len ? bits & 63 : 64];
    }
}

void websocket_key_make(char key[WEBSOCKET_KEY_LEN])
{
    const uint64_t random[2] = {request_id_random(), request_id_random()};
    unsigned char bytes[sizeof(random)];

    memcpy(bytes, random, sizeof(bytes));
    put_base64(key, bytes, sizeof(bytes));
}

/* ---- SHA-1 (FIPS 180-4 6.1), of two blocks: what RFC 6455 uses it for needs no strength, and this
 * layer links no cryptography ---- */

static uint32_t rotate(uint32_t x, unsigned n)
{
    return x << n | x >> (32 - n);
}

static uint32_t mix(unsigned t, uint32_t b, uint32_t c, uint32_t d)
{
    if (t < 20)
        return ((b & c) | (~b & d)) + 0x5a827999;
    if (t < 40)
        return (b ^ c ^ d) + 0x6ed9eba1;
    if (t < 60)
        return ((b & c) | (b & d) | (c & d)) + 0x8f1bbcdc;
    return (b ^ c ^ d) + 0xca62c1d6;
}

static void sha1_block(uint32_t hash[5], const unsigned char *p)
{
    uint32_t w[80], a = hash[0], b = hash[1], c = hash[2], d = hash[3], e = hash[4];

    for (unsigned t = 0; t < 16; t++, p += 4)
        w[t] = (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
    for (unsigned t = 16; t < 80; t++)
        w[t] = rotate(w[t - 3] ^ w[t - 8] ^ w[t - 14] ^ w[t - 16], 1);
    for (unsigned t = 0; t < 80; t++) {
        uint32_t next = rotate(a, 5) + mix(t, b, c, d) + e + w[t];

        e = d;
        d = c;
        c = rotate(b, 30);
        b = a;
        a = next;
    }
    hash[0] += a;
    hash[1] += b;
    hash[2] += c;
    hash[3] += d;
    hash[4] += e;
}

bool websocket_proof_make(struct view key, char proof[WEBSOCKET_PROOF_LEN])
{
    static const char guid[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"; /* RFC 6455 1.3 */
    uint32_t hash[5] = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0};
    unsigned char text[2 * SHA1_BLOCK] = {0}, digest[SHA1_LEN];
    const size_t len = WEBSOCKET_KEY_LEN + sizeof(guid) - 1;

    if (key.len != WEBSOCKET_KEY_LEN)
        return false;
    memcpy(text, key.p, WEBSOCKET_KEY_LEN);
    memcpy(text + WEBSOCKET_KEY_LEN, guid, sizeof(guid) - 1);
    text[len] = 0x80;
    text[sizeof(text) - 2] = (unsigned char)(len * 8 >> 8);
    text[sizeof(text) - 1] = (unsigned char)(len * 8);
    sha1_block(hash, text);
    sha1_block(hash, text + SHA1_BLOCK);
    for (size_t i = 0; i < SHA1_LEN; i++)
        digest[i] = (unsigned char)(hash[i / 4] >> (24 - 8 * (i % 4)));
    put_base64(proof, digest, sizeof(digest));
    return true;
}
