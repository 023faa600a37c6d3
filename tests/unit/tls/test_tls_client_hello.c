#include "tls_client_hello.h"
#include "unit_test.h"

#include <sallyport/config/config.h>

static void assert_sni(const char *extension, size_t len, const char *name)
{
    struct view found = tls_sni_of((struct view){extension, len});

    assert_true(view_eq(found, view_of(name)));
}

static void finds_the_host_name(void **state)
{
    (void)state;
    assert_sni("\x00\x0c\x00\x00\x09"
               "a.example",
               14, "a.example");
}

static void malformed_extensions_hold_no_name(void **state)
{
    static const char good[] = "\x00\x0c\x00\x00\x09"
                               "a.example";

    (void)state;
    for (size_t len = 0; len < sizeof(good) - 1; len++)
        assert_sni(good, len, "");
    assert_sni("\x00\x0c\x01\x00\x09"
               "a.example",
               14, ""); /* another NameType */
    assert_sni("\x00\x0c\x00\x00\x0a"
               "a.example",
               14, ""); /* longer than the list */
    assert_sni("\x00\x0d\x00\x00\x09"
               "a.example",
               14, "");                        /* longer than the extension */
    assert_sni("\x00\x03\x00\x00\x00", 5, ""); /* an empty name */
}

static void assert_chosen(unsigned bits, const char *offer, size_t len, const char *chosen)
{
    assert_true(view_eq(tls_alpn_choose(bits, (struct view){offer, len}), view_of(chosen)));
}

static void alpn_takes_whole_names_only(void **state)
{
    (void)state;
    assert_chosen(ALPN_H2 | ALPN_HTTP11, "\x08http/1.1\x02h2", 12, "h2");
    assert_chosen(ALPN_HTTP11, "\x02h2\x08http/1.1", 12, "http/1.1");
    assert_chosen(ALPN_H2, "\x03h2c", 4, "");
    assert_chosen(ALPN_H2, "\x05\x02h2xx", 6, "");
    assert_chosen(ALPN_HTTP11, "\x08http/1", 7, "");
    assert_chosen(ALPN_HTTP11, "", 0, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_the_host_name),
        cmocka_unit_test(malformed_extensions_hold_no_name),
        cmocka_unit_test(alpn_takes_whole_names_only),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
