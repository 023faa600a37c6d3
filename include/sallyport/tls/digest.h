/* Digests for those who need one and know no OpenSSL. Any thread. */
#pragma once

#include <sallyport/base/compiler.h>
#include <sallyport/base/err.h>
#include <sallyport/base/view.h>

#include <stdint.h>

#define TLS_SHA1_BYTES 20

/* For the one protocol that asks for it without relying on it: the handshake of WebSocket (RFC 6455
 * 4.2.2). SP_TLS_INTERNAL: the library refuses (a FIPS-only provider). */
enum sp_err tls_sha1(struct view data, uint8_t out[TLS_SHA1_BYTES]) SP_MUST_CHECK;
