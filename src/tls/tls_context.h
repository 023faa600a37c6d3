/* The one place where an SSL_CTX is made: versions, suites, groups, callbacks. A port's holds no
 * certificate: those come from the cert store during the handshake, so that a port needs one
 * context whatever number of bundles it has, and a reload makes none. */
#pragma once

#include <sallyport/config/config.h>

#include <openssl/ssl.h>

/* NULL: out of memory or refused by the library; the reason is in OpenSSL's queue. `conf` is read
 * during the call only. */
SSL_CTX *tls_context_new(const struct tls_port_conf *conf) SP_MUST_CHECK;
/* Towards servers; whom to trust, and for what name, is set by ssl_client.c. NULL: likewise. */
SSL_CTX *tls_client_context_new(enum tls_preset preset) SP_MUST_CHECK;
