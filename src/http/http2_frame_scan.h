/* Reads the headers of HTTP/2 frames as they pass (RFC 9113 4.1), and of payloads nothing but the
 * length of the padding: enough to count what a peer sends, whatever is made of it later.
 *
 * Bytes come in any pieces. Nothing is checked: what is malformed has a type and a length all the
 * same, and who reads it properly refuses it. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Types and flags as the scan reads them; numbers of RFC 9113 6 and RFC 9218 7. */
enum http2_frame_type {
    HTTP2_FRAME_DATA = 0x00,
    HTTP2_FRAME_HEADERS = 0x01,
    HTTP2_FRAME_PRIORITY = 0x02,
    HTTP2_FRAME_RST_STREAM = 0x03,
    HTTP2_FRAME_SETTINGS = 0x04,
    HTTP2_FRAME_PING = 0x06,
    HTTP2_FRAME_WINDOW_UPDATE = 0x08,
    HTTP2_FRAME_CONTINUATION = 0x09,
    HTTP2_FRAME_PRIORITY_UPDATE = 0x10,
};
enum http2_frame_flag {
    HTTP2_FLAG_ACK = 0x01,
    HTTP2_FLAG_END_STREAM = 0x01,
    HTTP2_FLAG_END_HEADERS = 0x04,
    HTTP2_FLAG_PADDED = 0x08,
    HTTP2_FLAG_PRIORITY = 0x20,
};

struct http2_frame {
    uint8_t type, flags;
    uint32_t length;  /* of the payload */
    uint32_t content; /* of it: neither padding nor priority fields; 0 where those exceed it */
};

enum { HTTP2_FRAME_HEAD_BYTES = 9, HTTP2_CLIENT_PREFACE_BYTES = 24 };

struct http2_frame_scan {
    uint8_t head[HTTP2_FRAME_HEAD_BYTES];
    uint8_t have;  /* bytes of it that have arrived */
    uint32_t skip; /* bytes of the preface or of a payload that are still to pass */
};

/* `preface`: the bytes begin with the client's preface (RFC 9113 3.4). */
void http2_frame_scan_init(struct http2_frame_scan *s, bool preface);

/* How many of the n bytes belong to what is known already; they are passed. */
size_t http2_frame_scan_pass(struct http2_frame_scan *s, size_t n);

/* Goes on with a frame's header where `pass` left nothing to pass: *used says how many of the n
 * bytes it took. True: it is whole, *frame describes it, and the payload is to be passed. False:
 * all n bytes were used. */
bool http2_frame_scan_head(struct http2_frame_scan *s, const uint8_t *bytes, size_t n, size_t *used,
                           struct http2_frame *frame);
