/* Names with other letters than ASCII's. */
#include "idn.h"
#include "unit_test.h"

#include <sallyport/base/compiler.h>

#include <string.h>

static void labels_become_punycode_each_for_itself(void **state)
{
    static const struct {
        const char *name, *ascii;
    } rows[] = {
        {"shop.example", "shop.example"},
        {"bücher.example", "xn--bcher-kva.example"},
        {"www.münchen.de", "www.xn--mnchen-3ya.de"},
        {"faß.de", "xn--fa-hia.de"},
        {"例え.テスト", "xn--r8jz45g.xn--zckzah"},
        {"пример.испытание.", "xn--e1afmkfd.xn--80akhbyknj4f."},
        {"☃.net", "xn--n3h.net"},
        {"💩.la", "xn--ls8h.la"},
        /* RFC 3492 7.1 (L) and (S) without its capitals */
        {"3年b組金八先生", "xn--3b-ww4c5e180e575a65lsy2b"},
        {"ليهمابتكلموشعربي؟", "xn--egbpdaj6bu4bxfgehfvwxn"},
    };
    char got[256];

    (void)state;
    for (size_t i = 0; i < SP_COUNT_OF(rows); i++) {
        assert_true(idn_to_ascii(view_of(rows[i].name), got, sizeof(got)));
        assert_string_equal(got, rows[i].ascii);
    }
}

static void what_is_no_utf_8_is_refused(void **state)
{
    static const char *const rows[] = {
        "b\xfc"
        "cher.example",
        "\xc3",
        "\xc3.example",
        "\xe2\x82",
        "\xc0\xaf",
        "\xed\xa0\x80",
        "\xf5\x80\x80\x80",
        "\xf4\x90\x80\x80",
        "\x80",
        "\xe0\x80\x80",
    };
    char got[256];

    (void)state;
    for (size_t i = 0; i < SP_COUNT_OF(rows); i++)
        assert_false(idn_to_ascii(view_of(rows[i]), got, sizeof(got)));
}

static void what_does_not_fit_is_refused(void **state)
{
    char got[32], label[3 * 64 + 1] = "";

    (void)state;
    assert_true(idn_to_ascii(VIEW("bücher.example"), got, sizeof("xn--bcher-kva.example")));
    assert_false(idn_to_ascii(VIEW("bücher.example"), got, sizeof("xn--bcher-kva.example") - 1));
    for (int i = 0; i < 64; i++)
        memcpy(label + 3 * i, "例", 4);
    assert_false(idn_to_ascii(view_of(label), got, sizeof(got)));
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
        cmocka_unit_test(labels_become_punycode_each_for_itself),
        cmocka_unit_test(what_is_no_utf_8_is_refused),
        cmocka_unit_test(what_does_not_fit_is_refused),
        cmocka_unit_test(ascii_is_not_international),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
