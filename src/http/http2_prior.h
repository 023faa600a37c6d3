/* Which protocol does a client speak where nothing was negotiated? HTTP/2 by prior knowledge begins
 * with a preface that is no HTTP/1.1 request (RFC 9113 3.3, 3.4), so the first bytes tell: mostly
 * the very first one.
 *
 * Thread: the connection's. */
#pragma once

#include <sallyport/net/net_vconnection.h>

/* `first`: what was read so far, to be moved. Takes the connection over. */
typedef void (*http2_prior_decided)(struct net_vconnection *vc, bool is_http2, struct iobuf *first);

/* Reads until it is known, at most `timeout_ms`, then calls `decided`; a client that says nothing
 * until then is closed. SP_NOMEM: the connection is still the caller's. */
enum sp_err http2_prior_start(struct net_vconnection *vc, int64_t timeout_ms,
                              http2_prior_decided decided) SP_MUST_CHECK;
