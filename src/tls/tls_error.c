#include "tls_error.h"

#include "tls_thread.h"

#include <openssl/err.h>
#include <openssl/sslerr.h>

static const struct {
    int reason;
    enum sp_err err;
} reasons[] = {
    {SSL_R_UNSUPPORTED_PROTOCOL, SP_TLS_VERSION},
    {SSL_R_UNSUPPORTED_SSL_VERSION, SP_TLS_VERSION},
    {SSL_R_UNKNOWN_PROTOCOL, SP_TLS_VERSION},
    {SSL_R_VERSION_TOO_LOW, SP_TLS_VERSION},
    {SSL_R_VERSION_TOO_HIGH, SP_TLS_VERSION},
    {SSL_R_WRONG_SSL_VERSION, SP_TLS_VERSION},
    {SSL_R_WRONG_VERSION_NUMBER, SP_TLS_VERSION},
    {SSL_R_INAPPROPRIATE_FALLBACK, SP_TLS_VERSION},
    {SSL_R_NO_PROTOCOLS_AVAILABLE, SP_TLS_VERSION},
    {SSL_R_NO_SHARED_CIPHER, SP_TLS_CIPHER},
    {SSL_R_NO_SHARED_GROUPS, SP_TLS_CIPHER},
    {SSL_R_NO_SHARED_SIGNATURE_ALGORITHMS, SP_TLS_CIPHER},
    {SSL_R_NO_SUITABLE_SIGNATURE_ALGORITHM, SP_TLS_CIPHER},
    {SSL_R_NO_SUITABLE_GROUPS, SP_TLS_CIPHER},
    {SSL_R_NO_SUITABLE_KEY_SHARE, SP_TLS_CIPHER},
    {SSL_R_NO_CIPHERS_SPECIFIED, SP_TLS_CIPHER},
    {SSL_R_NO_APPLICATION_PROTOCOL, SP_TLS_ALPN},
    {SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE, SP_TLS_CLIENT_CERT_MISSING},
    {SSL_R_HTTP_REQUEST, SP_TLS_PLAIN_HTTP},
    {SSL_R_HTTPS_PROXY_REQUEST, SP_TLS_PLAIN_HTTP},
    {SSL_R_UNEXPECTED_EOF_WHILE_READING, SP_TLS_TRUNCATED},
    {SSL_R_CALLBACK_FAILED, SP_TLS_INTERNAL},
    {SSL_R_CERT_CB_ERROR, SP_TLS_INTERNAL},
    {SSL_R_NO_CERTIFICATE_ASSIGNED, SP_TLS_INTERNAL},
};

enum sp_err tls_err_of_code(unsigned long code)
{
    int reason = ERR_GET_REASON(code);

    if (reason == ERR_R_MALLOC_FAILURE)
        return SP_NOMEM;
    if (ERR_GET_LIB(code) != ERR_LIB_SSL)
        return SP_TLS_INTERNAL;
    if (reason == SSL_R_TLSV1_ALERT_NO_APPLICATION_PROTOCOL)
        return SP_TLS_ALPN; /* said by the peer, to the same effect */
    if (reason > SSL_AD_REASON_OFFSET && reason < SSL_AD_REASON_OFFSET + 256)
        return SP_TLS_ALERT; /* the peer's, by its number */
    for (size_t i = 0; i < SP_COUNT_OF(reasons); i++)
        if (reasons[i].reason == reason)
            return reasons[i].err;
    return (reason & ERR_RFLAG_FATAL) != 0 ? SP_TLS_INTERNAL : SP_TLS_PROTOCOL;
}

/* The first entry of libssl says what the peer did; what libcrypto put before it ("bad decrypt") is
 * only how it was noticed. */
struct tls_failure tls_error_take(void)
{
    unsigned long code = ERR_get_error(), chosen = code;

    while (code != 0 && ERR_GET_LIB(chosen) != ERR_LIB_SSL) {
        code = ERR_get_error();
        if (code != 0 && ERR_GET_LIB(code) == ERR_LIB_SSL)
            chosen = code;
    }
    ERR_clear_error();
    if (chosen == 0)
        return (struct tls_failure){.err = SP_TLS_INTERNAL};
    return (struct tls_failure){.err = tls_err_of_code(chosen),
                                .reason = ERR_reason_error_string(chosen)};
}

static struct io_result broken(struct ssl_net_vconnection *vc, enum sp_err err)
{
    vc->broken = err;
    return IO_RESULT_ERROR(err);
}

struct io_result tls_result(struct tls_thread *t, const char **reason)
{
    struct ssl_net_vconnection *vc = t->vc;
    struct tls_failure failure;

    if (vc->broken != SP_OK) /* the socket failed, or a callback refused */
        return IO_RESULT_ERROR(vc->broken);
    switch (SSL_get_error(vc->ssl, 0)) {
    case SSL_ERROR_WANT_READ: return IO_RESULT_WANT(IO_WANT_READ);
    case SSL_ERROR_WANT_WRITE: return IO_RESULT_WANT(IO_WANT_WRITE);
    case SSL_ERROR_ZERO_RETURN: return IO_RESULT_EOF; /* close_notify, RFC 8446 6.1 */
    case SSL_ERROR_SYSCALL:
        if (t->in_eof)
            return broken(vc, t->in_err != SP_OK ? t->in_err : SP_TLS_TRUNCATED);
        break;
    default: break;
    }
    failure = tls_error_take();
    *reason = failure.reason;
    return broken(vc, failure.err);
}
