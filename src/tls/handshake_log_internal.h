/* How handshakes get into the log. */
#pragma once

#include <sallyport/base/compiler.h>
#include <sallyport/tls/handshake_log.h>

/* A ClientHello that is kept while its handshake goes on: the handshake message without record
 * headers, cut. */
struct kept_hello {
    size_t len;
    uint8_t bytes[];
};
/* `records`: a ClientHello as it was received. NULL: out of memory, or there is none; the handshake
 * goes on without. */
struct kept_hello *kept_hello_new(struct view records);

/* `failure` without number and hello; `hello` is taken over (NULL: none). */
void handshake_log_add(const struct handshake_failure *failure, struct kept_hello *hello);
