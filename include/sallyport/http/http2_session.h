/* HTTP/2 facing a client: one connection, many requests at a time (RFC 9113).
 *
 * Owns the connection. Gives each request to the port's service as a server-side stream and sends
 * the answers in the order that the client's priorities give (RFC 9218). Ends on its own: idle
 * timeout, drain (two GOAWAYs, so that no request is lost), budget exceeded, protocol error, EOF.
 */
#pragma once

#include <sallyport/http/http_port.h>

/* Takes the connection over, whose accept->options.user is a struct http_port, and `first`: bytes
 * that were read already (moved, NULL: none). SP_NOMEM: not taken. Thread: the connection's. */
enum sp_err http2_session_start(struct net_vconnection *vc, struct iobuf *first) SP_MUST_CHECK;
