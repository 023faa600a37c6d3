/* The last handshakes that failed, of all threads: who it was, what they offered, why it failed.
 * For whoever shows it to people (client_hello.h reads what was offered).
 *
 * Kept as they came (4 MiB at the most) and taken apart by who asks; a thread that adds one never
 * waits. Who connects and leaves without a byte is not in it (health checks are many).
 *
 *     for (uint64_t n = 0; handshake_log_next(n, &f); n = f.number) ... */
#pragma once

#include <sallyport/base/endpoint.h>
#include <sallyport/base/err.h>
#include <sallyport/base/view.h>

#include <stdbool.h>
#include <stdint.h>

#define HANDSHAKE_LOG_ENTRIES     1000
#define HANDSHAKE_LOG_HELLO_BYTES 4096 /* what is kept of a ClientHello */
#define HANDSHAKE_LOG_PORT_BYTES  48
#define HANDSHAKE_LOG_CERT_BYTES  128

struct handshake_failure {
    uint64_t number; /* 1, 2, 3... in the process */
    int64_t wall_ms; /* when it had failed */
    uint64_t vc_id;
    union ip_endpoint peer;
    enum sp_err err;
    const char *reason; /* the library's words, static; NULL: none but those of err */
    int alert_sent;     /* AlertDescription; -1: none */
    int alert_received;
    uint32_t wait_us, crypto_us; /* from accept to the first cryptography; CPU time of that */
    char port[HANDSHAKE_LOG_PORT_BYTES];        /* as in the configuration, cut to what fits */
    char certificate[HANDSHAKE_LOG_CERT_BYTES]; /* subject of a client's that was refused, cut
                                                   likewise; "": none */
    size_t hello_len;                           /* 0: no whole ClientHello had come */
    uint8_t hello[HANDSHAKE_LOG_HELLO_BYTES];   /* the handshake message, cut to what fits */
};

/* The oldest one after that number which is still kept. False: there is none; *out is untouched.
 * Any thread that may block for an instant. */
bool handshake_log_next(uint64_t after, struct handshake_failure *out);
/* The number of the newest one; 0: none yet. */
uint64_t handshake_log_last(void);
