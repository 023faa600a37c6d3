/* Asking a responder, from its URL to its response: the name is resolved where names are (on a data
 * thread, by c-ares, which nobody waits for in vain), everything else happens here. For threads
 * that may block. */
#pragma once

#include <sallyport/net/net_core.h>
#include <sallyport/tls/ocsp_exchange.h>

struct ocsp_ask {
    struct net_core *core; /* its data threads resolve names */
    struct view url;
    struct view request; /* in DER */
    uint32_t timeout_ms; /* for everything */
    size_t response_max; /* bytes */
    int cancel_fd;       /* readable: give up */
};
/* STAPLE_GOOD: *response is of malloc(3), the caller's, and nobody has looked at it. STAPLE_DNS,
 * STAPLE_CONNECT, and what ocsp_exchange_run() says: it is untouched. */
enum ocsp_outcome ocsp_responder_ask(const struct ocsp_ask *ask, struct view *response)
    SP_MUST_CHECK;
