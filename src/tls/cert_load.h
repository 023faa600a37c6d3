/* Where the problems of a load go, and what reading certificates needs. One thread at a time. */
#pragma once

#include <sallyport/base/compiler.h>
#include <sallyport/tls/cert_problem.h>

#include <openssl/ssl.h>

#include <stdint.h>

struct bundle_conf;
struct key_decoder;
struct ocsp_conf;

struct cert_load {
    const struct cert_reporter *reporter;
    SSL_CTX *scratch;               /* tries each pair as a handshake would; borrowed */
    struct key_decoder *keys;       /* cert_key.h; borrowed, needed for keys only */
    struct view bundle;             /* that is being read */
    struct view port;               /* likewise; empty: a bundle */
    const struct bundle_conf *conf; /* likewise; NULL: no bundle */
    uint32_t n_errors;
    bool nomem;
    bool refuse_expired;          /* unless the bundle allows it */
    const struct ocsp_conf *ocsp; /* whose cache is read; borrowed; NULL: none */
};
void cert_load_error(struct cert_load *load, struct view file, const char *fmt, ...)
    SP_PRINTF(3, 4);
void cert_load_warn(struct cert_load *load, struct view file, const char *fmt, ...) SP_PRINTF(3, 4);
/* The same for everything: there is no memory. */
void cert_load_nomem(struct cert_load *load, struct view file);
/* What OpenSSL says about the call that has just failed; empties its queue. Static text. */
const char *cert_load_why(struct cert_load *load);
