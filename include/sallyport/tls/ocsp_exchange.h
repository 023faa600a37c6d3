/* Asking an OCSP responder over HTTP (RFC 6960 appendix A): one request, one response, one
 * connection. What the response says is not looked at here. For threads that may block. */
#pragma once

#include <sallyport/tls/ocsp.h>

#include <stddef.h>

#define OCSP_HOST_MAX 256
#define OCSP_PATH_MAX 1024

/* Where a responder is. */
struct ocsp_url {
    char host[OCSP_HOST_MAX]; /* a name, or an address without brackets */
    uint16_t port;
    char path[OCSP_PATH_MAX]; /* "/..." with the query */
};
/* False: no http:// URL, or a part of it is too long. */
bool ocsp_url_parse(struct view url, struct ocsp_url *out) SP_MUST_CHECK;

struct ocsp_exchange {
    int fd; /* a connected socket that does not block; it stays the caller's */
    const struct ocsp_url *url;
    struct view request; /* in DER */
    int64_t deadline_ms; /* monotonic, for everything */
    int cancel_fd;       /* readable: give up */
    size_t response_max; /* bytes */
    bool post;           /* never GET, which is what short requests are sent with (RFC 5019 5) */
};
/* STAPLE_GOOD: *response is of malloc(3), the caller's. STAPLE_TIMEOUT, STAPLE_HTTP,
 * STAPLE_TOO_LARGE, STAPLE_NOMEM, STAPLE_STOPPED: *response is untouched. Peer-controlled input. */
enum ocsp_outcome ocsp_exchange_run(const struct ocsp_exchange *x, struct view *response)
    SP_MUST_CHECK;

/* Until `fd` is ready for `events` of poll(2). STAPLE_GOOD: it is; STAPLE_TIMEOUT, STAPLE_STOPPED.
 */
enum ocsp_outcome ocsp_wait(int fd, short events, int64_t deadline_ms, int cancel_fd) SP_MUST_CHECK;
