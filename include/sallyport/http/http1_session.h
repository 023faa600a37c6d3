/* HTTP/1.1 facing a client: one connection, its requests one after the other (RFC 9112).
 *
 * Owns the connection. Reads heads, gives each to the port's service as a server-side stream, sends
 * the answer with the framing that fits the client (chunked, length, or until close for HTTP/1.0),
 * pipelined requests in order, one at a time. Closes on its own: idle timeout, drain, protocol
 * error (after its answer, lingering so that the client can read it), EOF. */
#pragma once

#include <sallyport/http/http_port.h>

/* Takes the connection over, whose accept->options.user is a struct http_port, and `first`: bytes
 * that were read already (moved, NULL: none). SP_NOMEM: not taken. Thread: the connection's. */
enum sp_err http1_session_start(struct net_vconnection *vc, struct iobuf *first) SP_MUST_CHECK;
