/* A TLS 1.3 client (RFC 8446) that costs little: what it takes to flood a server from one core with
 * handshakes that the server cannot tell from others. It offers one suite (AES-128-GCM), one group
 * (X25519) with one key pair for the whole process, says the same ClientHello each time, and
 * believes the server everything: neither the certificate nor a signature is looked at. About a
 * fifth of what OpenSSL's client costs.
 *
 * Bytes in, bytes out; no socket. Thread: one. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    TLS13_SECRET = 32, /* SHA-256 */
    TLS13_IN_MAX = 16384 + 256 + 5,
    TLS13_OVERHEAD = 5 + 1 + 16 /* header, inner type, tag */
};

/* One direction's keys. */
struct tls13_keys {
    uint8_t key[16], iv[12];
    uint64_t n_records;
};

struct tls13_client {
    struct tls13_keys read, write;
    uint8_t handshake_secret[TLS13_SECRET], client_secret[TLS13_SECRET];
    uint32_t transcript[8 + 2 + 16 + 2]; /* SHA256_CTX */
    bool hello_done, secured;
};

/* The ClientHello record that all connections send; false when the library refuses. Once. */
bool tls13_client_prepare(const char *server_name);
/* Its bytes, as they go out. */
const uint8_t *tls13_client_hello(size_t *len);

void tls13_client_init(struct tls13_client *c);

enum tls13_event {
    TLS13_MORE,    /* the record is not whole yet: *used is 0 */
    TLS13_NOTHING, /* taken, nothing to tell: a ticket, a ChangeCipherSpec, a piece of the flight */
    TLS13_SECURED, /* the server's Finished: call tls13_client_finish() */
    TLS13_DATA,    /* *data, *data_len: inside `in`, decrypted in place */
    TLS13_FAILED   /* an alert, or nothing that we speak */
};
/* Takes one record from the front of `in`; *used is its length. */
enum tls13_event tls13_client_take(struct tls13_client *c, uint8_t *in, size_t len, size_t *used,
                                   uint8_t **data, size_t *data_len);
/* The client's Finished; afterwards both directions use their application keys. Returns its length,
 * 0 on failure. `out` holds at least 64 bytes. */
size_t tls13_client_finish(struct tls13_client *c, uint8_t *out);
/* A record of data; `out` holds len + TLS13_OVERHEAD bytes, len < 16384. 0 on failure. */
size_t tls13_client_seal(struct tls13_client *c, const void *data, size_t len, uint8_t *out);
/* close_notify; `out` holds 2 + TLS13_OVERHEAD bytes. 0 on failure. */
size_t tls13_client_bye(struct tls13_client *c, uint8_t *out);
