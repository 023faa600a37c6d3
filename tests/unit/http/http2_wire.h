/* HTTP/2 on the wire, for tests: frames are written byte by byte and read back as words.
 *
 *     wire_head(1, WIRE_END_STREAM, ":method GET", ":path /", NULL);
 *     wire_data(1, 0, "text");
 *     heard()   "SETTINGS WINDOW(0,4128769) HEADERS(1,:status=200) DATA(1,4,END)"
 *
 * One client at a time: HPACK's tables are kept here. */
#pragma once

#include "fake_vc.h"
#include "unit_test.h"

#include <nghttp2/nghttp2.h>

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define WIRE_END_STREAM  0x1U
#define WIRE_END_HEADERS 0x4U
#define WIRE_ACK         0x1U
#define WIRE_MAX_FIELDS  64

static struct {
    struct fake_peer *peer;
    nghttp2_hd_deflater *deflater;
    nghttp2_hd_inflater *inflater;
    size_t read; /* of what the peer got */
    char log[65536];
    size_t n_data; /* payload bytes of DATA since wire_open() */
    bool holds;    /* what is said is kept for wire_say() */
    uint8_t held[262144];
    size_t n_held;
} wire;

static inline void wire_open(struct fake_peer *peer)
{
    wire.peer = peer;
    wire.read = wire.n_data = wire.n_held = 0;
    wire.holds = false;
    assert_int_equal(nghttp2_hd_deflate_new(&wire.deflater, 4096), 0);
    assert_int_equal(nghttp2_hd_inflate_new(&wire.inflater), 0);
}

static inline void wire_close(void)
{
    nghttp2_hd_deflate_del(wire.deflater);
    nghttp2_hd_inflate_del(wire.inflater);
    wire.deflater = NULL;
    wire.inflater = NULL;
}

/* ---- Saying ---- */

static inline void wire_bytes(const void *bytes, size_t n)
{
    if (!wire.holds) {
        fake_peer_says_bytes(wire.peer, bytes, n);
        return;
    }
    assert_true(wire.n_held + n <= sizeof(wire.held));
    memcpy(wire.held + wire.n_held, bytes, n);
    wire.n_held += n;
}

static inline void wire_put32(uint8_t *to, uint32_t n)
{
    to[0] = (uint8_t)(n >> 24);
    to[1] = (uint8_t)(n >> 16);
    to[2] = (uint8_t)(n >> 8);
    to[3] = (uint8_t)n;
}

static inline void wire_frame_head(size_t n, unsigned type, unsigned flags, uint32_t id)
{
    uint8_t head[9] = {(uint8_t)(n >> 16), (uint8_t)(n >> 8), (uint8_t)n, (uint8_t)type,
                       (uint8_t)flags};

    wire_put32(head + 5, id);
    wire_bytes(head, sizeof(head));
}

static inline void wire_frame(unsigned type, unsigned flags, uint32_t id, const void *payload,
                              size_t n)
{
    wire_frame_head(n, type, flags, id);
    if (n > 0)
        wire_bytes(payload, n);
}

static inline void wire_preface(void)
{
    wire_bytes(NGHTTP2_CLIENT_MAGIC, NGHTTP2_CLIENT_MAGIC_LEN);
}

static inline void wire_setting(uint16_t id, uint32_t value)
{
    uint8_t payload[6] = {(uint8_t)(id >> 8), (uint8_t)id};

    wire_put32(payload + 2, value);
    wire_frame(NGHTTP2_SETTINGS, 0, 0, payload, sizeof(payload));
}

static inline void wire_window(uint32_t id, uint32_t n)
{
    uint8_t payload[4];

    wire_put32(payload, n);
    wire_frame(NGHTTP2_WINDOW_UPDATE, 0, id, payload, sizeof(payload));
}

static inline void wire_reset(uint32_t id, uint32_t code)
{
    uint8_t payload[4];

    wire_put32(payload, code);
    wire_frame(NGHTTP2_RST_STREAM, 0, id, payload, sizeof(payload));
}

static inline void wire_data(uint32_t id, unsigned flags, const char *text)
{
    wire_frame(NGHTTP2_DATA, flags, id, text, strlen(text));
}

static inline void wire_zeros(uint32_t id, unsigned flags, size_t n)
{
    static const uint8_t zeros[16384];

    do {
        size_t piece = n < sizeof(zeros) ? n : sizeof(zeros);

        n -= piece;
        wire_frame(NGHTTP2_DATA, n == 0 ? flags : 0, id, zeros, piece);
    } while (n > 0);
}

/* Fields as "name value". */
static inline size_t wire_block(uint8_t *to, size_t cap, const char *const *fields, size_t n)
{
    nghttp2_nv nv[WIRE_MAX_FIELDS];
    ssize_t len;

    assert_true(n <= WIRE_MAX_FIELDS);
    for (size_t i = 0; i < n; i++) {
        const char *space = strchr(fields[i], ' ');

        assert_non_null(space);
        nv[i] = (nghttp2_nv){.name = (uint8_t *)(uintptr_t)fields[i],
                             .namelen = (size_t)(space - fields[i]),
                             .value = (uint8_t *)(uintptr_t)(space + 1),
                             .valuelen = strlen(space + 1)};
    }
    len = nghttp2_hd_deflate_hd(wire.deflater, to, cap, nv, n);
    assert_true(len >= 0);
    return (size_t)len;
}

/* Ends with NULL. */
static inline void wire_head(uint32_t id, unsigned flags, ...)
{
    const char *fields[WIRE_MAX_FIELDS];
    uint8_t block[65536];
    size_t n = 0;
    va_list ap;

    va_start(ap, flags);
    for (const char *f = va_arg(ap, const char *); f != NULL; f = va_arg(ap, const char *))
        fields[n++] = f;
    va_end(ap);
    wire_frame(NGHTTP2_HEADERS, flags | WIRE_END_HEADERS, id, block,
               wire_block(block, sizeof(block), fields, n));
}

static inline void wire_get(uint32_t id, const char *path)
{
    char field[1024];

    assert_true(snprintf(field, sizeof(field), ":path %s", path) > 0);
    wire_head(id, WIRE_END_STREAM, ":method GET", ":scheme https", ":authority a.test", field,
              NULL);
}

static inline void wire_post(uint32_t id, const char *path, const char *length)
{
    char field[1024], content_length[64];

    assert_true(snprintf(field, sizeof(field), ":path %s", path) > 0);
    assert_true(snprintf(content_length, sizeof(content_length), "content-length %s",
                         length == NULL ? "" : length) > 0);
    wire_head(id, 0, ":method POST", ":scheme https", ":authority a.test", field,
              length == NULL ? NULL : content_length, NULL);
}

/* ---- Hearing ---- */

static inline void wire_note(const char *fmt, ...) SP_PRINTF(1, 2);
static inline void wire_note(const char *fmt, ...)
{
    size_t n = strlen(wire.log);
    va_list ap;
    int len;

    va_start(ap, fmt);
    len = vsnprintf(wire.log + n, sizeof(wire.log) - n, fmt, ap);
    va_end(ap);
    assert_true(len >= 0 && (size_t)len < sizeof(wire.log) - n);
}

static inline void wire_read_block(const uint8_t *block, size_t n)
{
    for (;;) {
        nghttp2_nv nv;
        int flags = 0;
        ssize_t used = nghttp2_hd_inflate_hd2(wire.inflater, &nv, &flags, block, n, 1);

        assert_true(used >= 0);
        block += used;
        n -= (size_t)used;
        if ((flags & NGHTTP2_HD_INFLATE_EMIT) != 0)
            wire_note(",%.*s=%.*s", (int)nv.namelen, (char *)nv.name, (int)nv.valuelen,
                      (char *)nv.value);
        if ((flags & NGHTTP2_HD_INFLATE_FINAL) != 0)
            break;
    }
    nghttp2_hd_inflate_end_headers(wire.inflater);
}

static inline uint32_t wire_get32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static inline void wire_read_frame(unsigned type, unsigned flags, uint32_t id, const uint8_t *p,
                                   size_t n)
{
    bool end = (flags & WIRE_END_STREAM) != 0;

    if (wire.log[0] != '\0')
        wire_note(" ");
    switch (type) {
    case NGHTTP2_DATA:
        wire.n_data += n;
        wire_note("DATA(%u,%zu%s)", id, n, end ? ",END" : "");
        break;
    case NGHTTP2_HEADERS:
        wire_note("HEADERS(%u", id);
        wire_read_block(p, n);
        wire_note("%s)", end ? ",END" : "");
        break;
    case NGHTTP2_RST_STREAM:
        wire_note("RST(%u,%s)", id, nghttp2_http2_strerror(wire_get32(p)));
        break;
    case NGHTTP2_SETTINGS: wire_note("SETTINGS%s", end ? "+ACK" : ""); break;
    case NGHTTP2_PING: wire_note("PING%s", end ? "+ACK" : ""); break;
    case NGHTTP2_GOAWAY:
        wire_note("GOAWAY(%u,%s%s%.*s)", wire_get32(p), nghttp2_http2_strerror(wire_get32(p + 4)),
                  n > 8 ? "," : "", (int)(n - 8), (const char *)p + 8);
        break;
    case NGHTTP2_WINDOW_UPDATE: wire_note("WINDOW(%u,%u)", id, wire_get32(p)); break;
    default: wire_note("?%u", type); break;
    }
}

/* The frames that came since the last time, as words. */
static inline const char *wire_heard(void)
{
    wire.log[0] = '\0';
    while (wire.peer->n_got - wire.read >= 9) {
        const uint8_t *p = (const uint8_t *)wire.peer->got + wire.read;
        size_t n = (size_t)p[0] << 16 | (size_t)p[1] << 8 | p[2];

        if (wire.peer->n_got - wire.read < 9 + n)
            break;
        wire_read_frame(p[3], p[4], wire_get32(p + 5), p + 9, n);
        wire.read += 9 + n;
    }
    return wire.log;
}
