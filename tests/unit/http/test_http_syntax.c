/* Character classes and small grammars, against plain definitions of them. */
#include "unit_test.h"

#include <sallyport/http/http_syntax.h>

#include <ctype.h>

static void token_characters_are_those_of_rfc_9110(void **state)
{
    (void)state;
    for (int c = 0; c < 256; c++) {
        char byte = (char)c;
        bool tchar = c < 0x80 && c != 0 && (isalnum(c) || strchr("!#$%&'*+-.^_`|~", c) != NULL);

        assert_int_equal(http_is_token((struct view){&byte, 1}), tchar);
    }
    assert_true(http_is_token(VIEW("a-Z_09")));
    assert_false(http_is_token(VIEW("a b")));
    assert_false(http_is_token(VIEW("")));
}

static void path_and_query_characters_are_as_documented(void **state)
{
    (void)state;
    for (int c = 0; c < 256; c++) {
        char path[] = {'/', (char)c}, query[] = {'/', '?', (char)c};
        bool visible = c > 0x20 && c < 0x7f;

        assert_int_equal(http_is_path((struct view){path, 2}),
                         visible && strchr("#\"<>\\", c) == NULL);
        assert_int_equal(http_is_path((struct view){query, 3}), visible && c != '#');
    }
    assert_false(http_is_path(VIEW("")));
    assert_false(http_is_path(VIEW("a")));
    assert_false(http_is_path(VIEW("?a")));
    assert_true(http_is_path(VIEW("//")));
}

static void host_characters_are_the_unreserved_ones(void **state)
{
    (void)state;
    for (int c = 0; c < 256; c++) {
        char byte = (char)c;
        bool unreserved = c < 0x80 && c != 0 && (isalnum(c) || strchr("-._~", c) != NULL);

        assert_int_equal(http_is_authority((struct view){&byte, 1}), unreserved);
    }
}

static void a_nul_does_not_hide_the_rest_of_an_address(void **state)
{
    (void)state;
    assert_true(http_is_authority(VIEW("[::1]")));
    assert_false(http_is_authority(VIEW("[::1\0]")));
    assert_false(http_is_authority(VIEW("[::1\0x]:80")));
}

static void field_values_hold_no_controls_but_htab(void **state)
{
    (void)state;
    for (int c = 0; c < 256; c++) {
        bool allowed = c == '\t' || (c >= 0x20 && c != 0x7f);

        /* Each place in and around a word of eight bytes. */
        for (size_t at = 0; at < 20; at++) {
            char value[20] = "aaaaaaaaaaaaaaaaaaa";

            value[19] = '\x80';
            value[at] = (char)c;
            assert_int_equal(http_is_field_value((struct view){value, sizeof(value)}), allowed);
        }
    }
    assert_true(http_is_field_value(VIEW("")));
    assert_true(http_is_field_value((struct view){NULL, 0}));
}

static void controls_are_found_where_they_are(void **state)
{
    (void)state;
    for (size_t len = 0; len <= 20; len++) {
        for (size_t from = 0; from <= len; from++) {
            for (size_t at = from; at <= len; at++) {
                char bytes[21];

                memset(bytes, 'a', sizeof(bytes));
                bytes[at] = '\n'; /* just behind the view when at == len */
                assert_int_equal(http_find_control((struct view){bytes, len}, from), at);
            }
        }
    }
}

static void blanks_are_trimmed_at_both_ends(void **state)
{
    (void)state;
    assert_true(view_eq(http_trim(VIEW(" \t a b \t")), VIEW("a b")));
    assert_true(view_eq(http_trim(VIEW(" \t")), VIEW("")));
    assert_true(view_eq(http_trim((struct view){NULL, 0}), VIEW("")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(token_characters_are_those_of_rfc_9110),
        cmocka_unit_test(path_and_query_characters_are_as_documented),
        cmocka_unit_test(host_characters_are_the_unreserved_ones),
        cmocka_unit_test(a_nul_does_not_hide_the_rest_of_an_address),
        cmocka_unit_test(field_values_hold_no_controls_but_htab),
        cmocka_unit_test(controls_are_found_where_they_are),
        cmocka_unit_test(blanks_are_trimmed_at_both_ends),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
