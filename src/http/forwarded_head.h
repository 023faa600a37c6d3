/* The head that leaves, made of the head that came in: hop-by-hop fields gone (RFC 9110 7.6.1),
 * framing told by body and content_length only, forwarding fields added. Nothing is copied but the
 * array of fields; views point into the head that came in, or into the arena. */
#pragma once

#include "forwarding.h"

#include <sallyport/http/http_error.h>

/* A request for a backend. Host comes from *out's authority; a request without one gets the
 * server's from forwarded_request_set_server(). The version stays the client's: whoever writes the
 * head says its own, but what a tunnel needs depends on both. TOO_MANY_FIELDS, NOMEM. */
enum http_error forwarded_request_make(const struct forwarding *f, const struct http_head *request,
                                       struct view request_id, struct arena *arena,
                                       struct http_head *out) SP_MUST_CHECK;
/* The authority as this server is to see it. */
void forwarded_request_set_server(struct http_head *out, const struct http_head *request,
                                  const struct backend_conf *backend,
                                  const struct server_conf *server);

/* A response for the client that sent `request`. HTTP_BODY_LENGTH in an answer to HEAD or a 304
 * announces a length; no body follows. The version stays the backend's. UPSTREAM_BAD_RESPONSE,
 * NOMEM. */
enum http_error forwarded_response_make(const struct http_head *response,
                                        const struct http_head *request, struct arena *arena,
                                        struct http_head *out) SP_MUST_CHECK;

/* RFC 9110 7.6.2: an OPTIONS with "Max-Forwards: 0" is answered here. */
bool forwarded_request_ends_here(const struct http_head *request);
