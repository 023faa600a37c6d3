#include "tls_hello_kind.h"
#include "unit_test.h"

#include <openssl/ssl.h>

/* A ClientHello as OpenSSL writes it, offering `session` when there is one. */
static size_t client_hello(int version, SSL_SESSION *session, char *out, size_t cap)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    SSL *ssl;
    BIO *wire = BIO_new(BIO_s_mem());
    int n;

    assert_non_null(ctx);
    assert_int_equal(SSL_CTX_set_max_proto_version(ctx, version), 1);
    ssl = SSL_new(ctx);
    assert_non_null(ssl);
    if (session != NULL)
        assert_int_equal(SSL_set_session(ssl, session), 1);
    SSL_set_bio(ssl, BIO_new(BIO_s_mem()), wire);
    SSL_set_connect_state(ssl);
    (void)SSL_do_handshake(ssl);
    n = BIO_read(wire, out, (int)cap);
    assert_true(n > 0);
    SSL_free(ssl);
    SSL_CTX_free(ctx);
    return (size_t)n;
}

static void a_fresh_hello_is_a_full_handshake(void **state)
{
    char hello[4096];
    size_t len = client_hello(TLS1_3_VERSION, NULL, hello, sizeof(hello));

    (void)state;
    assert_int_equal(tls_hello_kind((struct view){hello, len}), TLS_HELLO_FULL);
    len = client_hello(TLS1_2_VERSION, NULL, hello, sizeof(hello));
    assert_int_equal(tls_hello_kind((struct view){hello, len}), TLS_HELLO_FULL);
}

static void until_the_record_is_whole_it_is_not_told(void **state)
{
    char hello[4096];
    size_t len = client_hello(TLS1_3_VERSION, NULL, hello, sizeof(hello));

    (void)state;
    for (size_t n = 1; n < len; n++)
        assert_int_equal(tls_hello_kind((struct view){hello, n}), TLS_HELLO_MORE);
}

/* An empty ClientHello with one extension of one byte. */
static size_t hello_with_extension(unsigned char type, unsigned char body_len, char *out)
{
    static const unsigned char head[] = {0x16, 3, 1, 0, 50, 1, 0, 0, 46, 3, 3};
    size_t n = sizeof(head);

    memcpy(out, head, sizeof(head));
    memset(out + n, 0, 32); /* random */
    n += 32;
    out[n++] = 0; /* session id */
    out[n++] = 0; /* cipher suites */
    out[n++] = 2;
    out[n++] = 0x13;
    out[n++] = 0x01;
    out[n++] = 1; /* compression */
    out[n++] = 0;
    out[n++] = 0; /* extensions */
    out[n++] = (char)(4 + body_len);
    out[n++] = 0;
    out[n++] = (char)type;
    out[n++] = 0;
    out[n++] = (char)body_len;
    for (unsigned i = 0; i < body_len; i++)
        out[n++] = 'x';
    out[4] = (char)(n - 5);
    out[8] = (char)(n - 9);
    return n;
}

static void a_ticket_or_a_key_resumes(void **state)
{
    char hello[128];

    (void)state;
    assert_int_equal(tls_hello_kind((struct view){hello, hello_with_extension(41, 9, hello)}),
                     TLS_HELLO_RESUMES);
    assert_int_equal(tls_hello_kind((struct view){hello, hello_with_extension(35, 1, hello)}),
                     TLS_HELLO_RESUMES);
    /* An empty one only says that the client takes tickets. */
    assert_int_equal(tls_hello_kind((struct view){hello, hello_with_extension(35, 0, hello)}),
                     TLS_HELLO_FULL);
    assert_int_equal(tls_hello_kind((struct view){hello, hello_with_extension(10, 9, hello)}),
                     TLS_HELLO_FULL);
}

/* Every byte of a good one changed in turn: any answer will do, none may read outside. */
static void damage_is_harmless(void **state)
{
    char hello[128], damaged[128];
    size_t len = hello_with_extension(41, 9, hello);

    (void)state;
    for (size_t at = 0; at < len; at++) {
        for (int bit = 0; bit < 8; bit++) {
            char *exact = malloc(len);

            assert_non_null(exact);
            memcpy(damaged, hello, len);
            damaged[at] = (char)(damaged[at] ^ (1 << bit));
            memcpy(exact, damaged, len); /* of its own size, so that ASan sees a step outside */
            (void)tls_hello_kind((struct view){exact, len});
            free(exact);
        }
    }
    assert_int_equal(tls_hello_kind((struct view){"\x16\x03\x01\xff\xff", 5}), TLS_HELLO_FULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_fresh_hello_is_a_full_handshake),
        cmocka_unit_test(until_the_record_is_whole_it_is_not_told),
        cmocka_unit_test(a_ticket_or_a_key_resumes),
        cmocka_unit_test(damage_is_harmless),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
