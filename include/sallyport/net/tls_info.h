/* What layers above may know about a connection's TLS: plain values, so that they need no OpenSSL.
 */
#pragma once

#include <sallyport/base/view.h>

#include <stdbool.h>
#include <stdint.h>

struct tls_info {
    const char *version; /* "TLSv1.3"; static */
    const char *cipher;  /* "TLS_AES_128_GCM_SHA256"; static */
    struct view sni;     /* empty: none; valid while the connection is open */
    struct view alpn;    /* "http/1.1", "h2"; empty: none; likewise */
    struct view bundle;  /* the bundle that served it; likewise */
    bool resumed;
    bool early;            /* used before the handshake is over */
    uint32_t handshake_us; /* CPU time of the handshake steps */
    uint32_t wait_us;      /* accept to the first step */
};
