/* What a client's first bytes say before any TLS library sees them. Pure; peer-controlled input. */
#pragma once

#include <sallyport/base/view.h>

enum tls_first_bytes {
    TLS_FIRST_MORE,  /* not to be told yet */
    TLS_FIRST_HELLO, /* a TLS handshake record */
    TLS_FIRST_HTTP,  /* a plain HTTP request line */
    TLS_FIRST_OTHER,
};

/* At most this many bytes are needed for an answer other than MORE. */
#define TLS_FIRST_BYTES_MAX 18

enum tls_first_bytes tls_first_bytes(struct view bytes);
