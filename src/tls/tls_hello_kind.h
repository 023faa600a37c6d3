/* Reads just enough of a ClientHello to tell what its handshake will cost. Pure; peer-controlled
 * input, and only a hint: whoever lies about a ticket gets his turn sooner and no more than that.
 */
#pragma once

#include <sallyport/base/view.h>

enum tls_hello_kind {
    TLS_HELLO_MORE,    /* its first record is not whole yet */
    TLS_HELLO_FULL,    /* a full handshake, or nothing that can be told */
    TLS_HELLO_RESUMES, /* offers a pre-shared key (RFC 8446 4.2.11) or a ticket (RFC 5077 3.2) */
};

/* `bytes` begin with a handshake record. */
enum tls_hello_kind tls_hello_kind(struct view bytes);
