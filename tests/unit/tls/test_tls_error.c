#include "tls_error.h"
#include "unit_test.h"

#include <openssl/err.h>
#include <openssl/ssl.h>

#include <string.h>

static void reasons_have_their_rows(void **state)
{
    static const struct {
        int reason;
        enum sp_err err;
    } cases[] = {
        {SSL_R_UNSUPPORTED_PROTOCOL, SP_TLS_VERSION},
        {SSL_R_WRONG_VERSION_NUMBER, SP_TLS_VERSION},
        {SSL_R_NO_SHARED_CIPHER, SP_TLS_CIPHER},
        {SSL_R_NO_SUITABLE_SIGNATURE_ALGORITHM, SP_TLS_CIPHER},
        {SSL_R_NO_SUITABLE_KEY_SHARE, SP_TLS_CIPHER},
        {SSL_R_NO_APPLICATION_PROTOCOL, SP_TLS_ALPN},
        {SSL_R_HTTP_REQUEST, SP_TLS_PLAIN_HTTP},
        {SSL_R_SSLV3_ALERT_CERTIFICATE_UNKNOWN, SP_TLS_ALERT},
        {SSL_R_TLSV1_ALERT_UNKNOWN_CA, SP_TLS_ALERT},
        {SSL_R_DECRYPTION_FAILED_OR_BAD_RECORD_MAC, SP_TLS_PROTOCOL},
        {SSL_R_UNEXPECTED_MESSAGE, SP_TLS_PROTOCOL},
        {SSL_R_UNEXPECTED_EOF_WHILE_READING, SP_TLS_TRUNCATED},
        {ERR_R_INTERNAL_ERROR, SP_TLS_INTERNAL},
        {ERR_R_MALLOC_FAILURE, SP_NOMEM},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        assert_int_equal(tls_err_of_code(ERR_PACK(ERR_LIB_SSL, 0, cases[i].reason)), cases[i].err);
}

/* How it was noticed comes first, what the peer did comes after it. */
static void the_reason_of_libssl_is_the_one_that_is_told(void **state)
{
    struct tls_failure failure;

    (void)state;
    assert_int_equal(OPENSSL_init_ssl(OPENSSL_INIT_LOAD_SSL_STRINGS, NULL), 1); /* the texts */
    ERR_raise(ERR_LIB_EVP, ERR_R_INTERNAL_ERROR);
    ERR_raise(ERR_LIB_SSL, SSL_R_NO_SHARED_CIPHER);
    ERR_raise(ERR_LIB_SSL, ERR_R_INTERNAL_ERROR);
    failure = tls_error_take();
    assert_int_equal(failure.err, SP_TLS_CIPHER);
    assert_string_equal(failure.reason, "no shared cipher");
    assert_int_equal(ERR_peek_error(), 0);
}

static void an_empty_queue_gives_no_reason(void **state)
{
    (void)state;
    ERR_clear_error();
    assert_int_equal(tls_error_take().err, SP_TLS_INTERNAL);
    assert_null(tls_error_take().reason);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reasons_have_their_rows),
        cmocka_unit_test(the_reason_of_libssl_is_the_one_that_is_told),
        cmocka_unit_test(an_empty_queue_gives_no_reason),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
