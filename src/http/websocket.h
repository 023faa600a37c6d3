/* The handshake of WebSocket in HTTP/1.1 (RFC 6455 4): a key in the request and a proof in the
 * answer that the server has understood it. HTTP/2 has neither (RFC 8441 5), so the HTTP/1.1 side
 * makes and checks them when the other one speaks HTTP/2. They guard nothing.
 *
 * Thread: any. Prefix: websocket_. */
#pragma once

#include <sallyport/http/http_message.h>

enum {
    WEBSOCKET_KEY_LEN = 24,   /* 16 bytes in base64 */
    WEBSOCKET_PROOF_LEN = 28, /* 20 bytes in base64 */
};

/* Is it this protocol that a request asks for? */
bool websocket_is(struct view protocol);
/* Sec-WebSocket-Key and Sec-WebSocket-Accept; NULL: not given. */
const struct http_field *websocket_key(const struct http_fields *fields);
const struct http_field *websocket_proof(const struct http_fields *fields);

/* A fresh key, not terminated. */
void websocket_key_make(char key[WEBSOCKET_KEY_LEN]);
/* What proves that the key was understood, not terminated. False: it is no key. */
bool websocket_proof_make(struct view key, char proof[WEBSOCKET_PROOF_LEN]);
