/* A WebSocket that echoes (RFC 6455): messages come back frame by frame while they arrive, pings
 * are answered, and what breaks the framing ends it with 1002. Text is not checked for UTF-8. */
#include "origin_internal.h"

#include <sallyport/tls/digest.h>

#include <stdio.h>

enum { OP_CONTINUATION = 0, OP_TEXT = 1, OP_BINARY = 2, OP_CLOSE = 8, OP_PING = 9, OP_PONG = 10 };
#define FIN               0x80U
#define RESERVED          0x70U
#define MASKED            0x80U
#define CONTROL           0x08U
#define MAX_HEADER_BYTES  14U
#define MAX_CONTROL_BYTES 125U
#define KEY_BYTES         24U
#define CLOSE_PROTOCOL    "\x03\xea" /* 1002 */

struct frame {
    unsigned opcode;
    bool fin;
    uint64_t payload_bytes;
    size_t header_bytes;
    uint8_t mask[4];
};

enum frame_scan { FRAME_MORE, FRAME_DONE, FRAME_BAD };

static uint64_t big_endian(const unsigned char *p, size_t n)
{
    uint64_t value = 0;

    for (size_t i = 0; i < n; i++)
        value = value << 8 | p[i];
    return value;
}

/* Bytes of extended length behind the second byte (RFC 6455 5.2). */
static size_t length_bytes(unsigned length7)
{
    if (length7 == 127)
        return 8;
    return length7 == 126 ? 2 : 0;
}

static enum frame_scan frame_read(struct view bytes, struct frame *f)
{
    const unsigned char *p = (const unsigned char *)bytes.p;

    if (bytes.len < 2)
        return FRAME_MORE;
    if ((p[0] & RESERVED) != 0 || (p[1] & MASKED) == 0)
        return FRAME_BAD; /* no extension was agreed on; a client must mask, 5.1 */
    size_t extended = length_bytes(p[1] & 0x7fU);
    f->header_bytes = 2 + extended + 4;
    if (bytes.len < f->header_bytes)
        return FRAME_MORE;
    f->opcode = p[0] & 0x0fU;
    f->fin = (p[0] & FIN) != 0;
    f->payload_bytes = extended == 0 ? p[1] & 0x7fU : big_endian(p + 2, extended);
    memcpy(f->mask, p + 2 + extended, 4);
    return f->payload_bytes >> 63 != 0 ? FRAME_BAD : FRAME_DONE;
}

/* Which frames may follow (5.4, 5.5). */
static bool frame_fits(const struct origin_websocket *ws, const struct frame *f)
{
    switch (f->opcode) {
    case OP_CONTINUATION: return ws->in_message;
    case OP_TEXT:
    case OP_BINARY: return !ws->in_message;
    case OP_CLOSE:
    case OP_PING:
    case OP_PONG: return f->fin && f->payload_bytes <= MAX_CONTROL_BYTES;
    default: return false;
    }
}

static void send_header(struct origin_conn *c, unsigned opcode, bool fin, uint64_t n)
{
    unsigned char header[MAX_HEADER_BYTES] = {(unsigned char)(opcode | (fin ? FIN : 0))};
    size_t extended = n < 126 ? 0 : n < 65536 ? 2 : 8;

    header[1] = (unsigned char)(extended == 0 ? n : extended == 2 ? 126U : 127U);
    for (size_t i = 0; i < extended; i++)
        header[2 + i] = (unsigned char)(n >> (8 * (extended - 1 - i)));
    origin_raw(c, (struct view){(const char *)header, 2 + extended});
}

static void unmask(char *p, size_t n, const uint8_t mask[4], uint8_t *at)
{
    for (size_t i = 0; i < n; i++) {
        p[i] = (char)((unsigned char)p[i] ^ mask[*at]);
        *at = (*at + 1) & 3;
    }
}

/* Takes n bytes (at most 4096) of payload from `in`, unmasked. */
static struct view take_payload(struct origin_conn *c, char *dst, size_t n, const uint8_t mask[4],
                                uint8_t *at)
{
    size_t done = 0;

    while (done < n) {
        struct view piece = view_head(iobuf_first(&c->in), n - done);

        memcpy(dst + done, piece.p, piece.len);
        done += piece.len;
        iobuf_consume(&c->in, piece.len);
    }
    unmask(dst, n, mask, at);
    return (struct view){dst, n};
}

static void send_close(struct origin_conn *c, struct view payload)
{
    send_header(c, OP_CLOSE, true, payload.len);
    origin_raw(c, payload);
    c->websocket.closed = true;
}

/* A whole control frame stands at the head of `in`. */
static void control(struct origin_conn *c, const struct frame *f)
{
    char payload[MAX_CONTROL_BYTES];
    uint8_t at = 0;

    iobuf_consume(&c->in, f->header_bytes);
    struct view text = take_payload(c, payload, (size_t)f->payload_bytes, f->mask, &at);
    if (f->opcode == OP_CLOSE)
        send_close(c, view_head(text, 2)); /* the status comes back, 5.5.1 */
    if (f->opcode == OP_PING) {
        send_header(c, OP_PONG, true, text.len);
        origin_raw(c, text);
    }
}

static void data_begins(struct origin_conn *c, const struct frame *f)
{
    struct origin_websocket *ws = &c->websocket;

    iobuf_consume(&c->in, f->header_bytes);
    memcpy(ws->mask, f->mask, sizeof(ws->mask));
    ws->mask_at = 0;
    ws->left = f->payload_bytes;
    ws->in_message = !f->fin;
    send_header(c, f->opcode, f->fin, f->payload_bytes);
}

static void data_goes_on(struct origin_conn *c)
{
    struct origin_websocket *ws = &c->websocket;
    char piece[4096];
    size_t n = c->in.len < sizeof(piece) ? c->in.len : sizeof(piece);

    if (n > ws->left)
        n = (size_t)ws->left;
    ws->left -= n;
    origin_raw(c, take_payload(c, piece, n, ws->mask, &ws->mask_at));
}

/* The next frame, or a part of it. False: nothing more can be done now. */
static bool step(struct origin_conn *c)
{
    struct frame f;
    struct view bytes;
    size_t n = c->in.len < MAX_HEADER_BYTES ? c->in.len : MAX_HEADER_BYTES;

    if (c->websocket.closed || c->failed || c->in.len == 0 || c->out.len >= ORIGIN_OUT_BYTES)
        return false;
    if (c->websocket.left > 0) {
        data_goes_on(c);
        return true;
    }
    if (iobuf_pullup(&c->in, n, &bytes) != SP_OK) {
        c->failed = true;
        return false;
    }
    enum frame_scan scan = frame_read(bytes, &f);
    if (scan == FRAME_MORE)
        return false;
    if (scan == FRAME_BAD || !frame_fits(&c->websocket, &f)) {
        send_close(c, VIEW(CLOSE_PROTOCOL));
        return false;
    }
    if ((f.opcode & CONTROL) == 0) {
        data_begins(c, &f);
        return true;
    }
    if (c->in.len < f.header_bytes + f.payload_bytes)
        return false;
    control(c, &f);
    return true;
}

static bool websocket(struct origin_conn *c)
{
    while (step(c))
        ;
    if (c->websocket.closed)
        iobuf_clear(&c->in);
    return !c->websocket.closed;
}

/* RFC 4648 4. */
static void base64_of_sha1(const uint8_t digest[TLS_SHA1_BYTES], char out[29])
{
    static const char letters[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    uint8_t padded[21] = {0};

    memcpy(padded, digest, TLS_SHA1_BYTES);
    for (size_t i = 0; i < 7; i++) {
        uint32_t bits = (uint32_t)big_endian(padded + 3 * i, 3);

        for (size_t k = 0; k < 4; k++)
            out[4 * i + k] = letters[bits >> (18 - 6 * k) & 63];
    }
    out[27] = '=';
    out[28] = '\0';
}

static struct view field(const struct origin_conn *c, struct view name)
{
    for (uint32_t i = 0; i < c->head.fields.n; i++)
        if (view_eq_nocase(c->head.fields.v[i].name, name))
            return c->head.fields.v[i].value;
    return (struct view){NULL, 0};
}

/* RFC 6455 4.2.2. A key is 16 bytes in base64: 24 letters. */
static bool accept_of(struct view key, char out[29])
{
    static const struct view guid = VIEW_INIT("258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
    uint8_t digest[TLS_SHA1_BYTES];
    char text[KEY_BYTES + 36];

    if (key.len != KEY_BYTES)
        return false;
    memcpy(text, key.p, KEY_BYTES);
    memcpy(text + KEY_BYTES, guid.p, guid.len);
    if (tls_sha1((struct view){text, KEY_BYTES + guid.len}, digest) != SP_OK)
        return false;
    base64_of_sha1(digest, out);
    return true;
}

void origin_websocket_upgrade(struct origin_conn *c)
{
    char accept[29], text[160];

    if (!view_eq_nocase(c->head.protocol, VIEW("websocket")) ||
        !view_eq(field(c, VIEW("sec-websocket-version")), VIEW("13")) ||
        !accept_of(field(c, VIEW("sec-websocket-key")), accept)) {
        origin_reply_head(
            c, &(struct origin_reply){.status = 426,
                                      .fields = VIEW("Connection: upgrade\r\nUpgrade: websocket\r\n"
                                                     "Sec-WebSocket-Version: 13\r\n")});
        return;
    }
    int n = snprintf(text, sizeof(text),
                     "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\n"
                     "Upgrade: websocket\r\nSec-WebSocket-Accept: %s\r\n\r\n",
                     accept);
    origin_raw(c, (struct view){text, (size_t)n});
    c->websocket = (struct origin_websocket){0};
    c->answer.tunnel = websocket;
    c->answer.end = ORIGIN_TUNNEL;
}
