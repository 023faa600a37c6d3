#include "tls_first_bytes.h"
#include "unit_test.h"

static void tells_each_kind(void **state)
{
    static const struct {
        const char *bytes;
        size_t len;
        enum tls_first_bytes kind;
    } cases[] = {
        {"", 0, TLS_FIRST_MORE},
        {"\x16", 1, TLS_FIRST_HELLO},
        {"\x16\x03\x01\x02\x00", 5, TLS_FIRST_HELLO},
        {"GET / HTTP/1.1\r\n", 16, TLS_FIRST_HTTP},
        {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 24, TLS_FIRST_HTTP},
        {"OPTIONS * HTTP/1.1", 18, TLS_FIRST_HTTP},
        {"UPDATEREDIRECTREF /", 19, TLS_FIRST_HTTP},
        {"GE", 2, TLS_FIRST_MORE},
        {"GET", 3, TLS_FIRST_MORE},
        {"GET\t/", 5, TLS_FIRST_OTHER},
        {"get / HTTP/1.1", 14, TLS_FIRST_OTHER},
        {"A b", 3, TLS_FIRST_OTHER},
        {"ABCDEFGHIJKLMNOPQ", 17, TLS_FIRST_MORE},
        {"ABCDEFGHIJKLMNOPQR", 18, TLS_FIRST_OTHER},
        {"\x80\x2e\x01\x03\x01", 5, TLS_FIRST_OTHER},
        {"\x15\x03\x01\x00\x02", 5, TLS_FIRST_OTHER},
        {"\0", 1, TLS_FIRST_OTHER},
        {"SSH-2.0-OpenSSH", 15, TLS_FIRST_OTHER},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        assert_int_equal(tls_first_bytes((struct view){cases[i].bytes, cases[i].len}),
                         cases[i].kind);
}

/* More bytes never change an answer, and enough of them always give one. */
static void an_answer_stays(void **state)
{
    static const char request[] = "PROPFIND /a HTTP/1.1\r\nhost: a\r\n";
    enum tls_first_bytes last = TLS_FIRST_MORE;

    (void)state;
    for (size_t len = 0; len < sizeof(request); len++) {
        enum tls_first_bytes now = tls_first_bytes((struct view){request, len});

        assert_true(last == TLS_FIRST_MORE || now == last);
        assert_true(len < TLS_FIRST_BYTES_MAX || now != TLS_FIRST_MORE);
        last = now;
    }
    assert_int_equal(last, TLS_FIRST_HTTP);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tells_each_kind),
        cmocka_unit_test(an_answer_stays),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
