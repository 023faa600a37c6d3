/* Names with other letters than ASCII's. */
#include "idn.h"
#include "unit_test.h"

#include <sallyport/base/compiler.h>

#include <string.h>

static void names_become_what_travels(void **state)
{
    static const struct {
        const char *name, *ascii;
    } rows[] = {
        {"shop.example", "shop.example"},
        {"bücher.example", "xn--bcher-kva.example"},
        {"BÜCHER.example", "xn--bcher-kva.example"},
        {"bu\xcc\x88"
         "cher.example",
         "xn--bcher-kva.example"}, /* a combining diaeresis */
        {"faß.de", "xn--fa-hia.de"},
        {"例え.テスト", "xn--r8jz45g.xn--zckzah"},
        {"пример.испытание", "xn--e1afmkfd.xn--80akhbyknj4f"},
    };
    const char *why;
    char got[256];

    (void)state;
    for (size_t i = 0; i < SP_COUNT_OF(rows); i++) {
        assert_true(idn_to_ascii(view_of(rows[i].name), got, sizeof(got), &why));
        assert_string_equal(got, rows[i].ascii);
    }
}

static void what_is_no_name_is_refused_with_a_reason(void **state)
{
    static const char *const rows[] = {"b\xfcr.example", "\xc3", "\xe2\x82", "-ü.example"};
    char got[32], label[3 * 64 + 1] = "";
    const char *why;

    (void)state;
    for (size_t i = 0; i < SP_COUNT_OF(rows); i++) {
        why = NULL;
        assert_false(idn_to_ascii(view_of(rows[i]), got, sizeof(got), &why));
        assert_non_null(why);
    }
    assert_true(idn_to_ascii(VIEW("bücher.example"), got, sizeof("xn--bcher-kva.example"), &why));
    assert_false(
        idn_to_ascii(VIEW("bücher.example"), got, sizeof("xn--bcher-kva.example") - 1, &why));
    for (int i = 0; i < 64; i++)
        memcpy(label + 3 * i, "例", 4);
    assert_false(idn_to_ascii(view_of(label), got, sizeof(got), &why));
}

static void ascii_is_not_international(void **state)
{
    (void)state;
    assert_false(idn_is_international(VIEW("shop.example")));
    assert_true(idn_is_international(VIEW("bücher.example")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_become_what_travels),
        cmocka_unit_test(what_is_no_name_is_refused_with_a_reason),
        cmocka_unit_test(ascii_is_not_international),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
