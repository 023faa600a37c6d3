/* Foreign bytes in JSON and HTML. */
#include "unit_test.h"

#include <sallyport/app/text.h>

#include <stdio.h>
#include <string.h>

static const char *written(void (*write)(FILE *, struct view), struct view v)
{
    static char text[256];
    FILE *out = fmemopen(text, sizeof(text), "w");

    assert_non_null(out);
    write(out, v);
    (void)fclose(out);
    return text;
}

static void json_escapes_quotes_backslashes_and_controls(void **state)
{
    (void)state;
    assert_string_equal(written(text_json, VIEW("a\"b\\c\n\x01\x7f")),
                        "\"a\\\"b\\\\c\\n\\u0001\\u007f\"");
}

static void valid_utf8_passes_and_other_bytes_are_shown_by_number(void **state)
{
    (void)state;
    assert_string_equal(written(text_json, VIEW("\xc3\xa9\xe2\x82\xac")),
                        "\"\xc3\xa9\xe2\x82\xac\"");
    assert_string_equal(written(text_json, VIEW("\xff\xc3")), "\"\\u00ff\\u00c3\"");
    assert_string_equal(written(text_html, VIEW("\xe9")), "&#233;");
}

static void html_cannot_be_left_by_what_is_shown(void **state)
{
    (void)state;
    assert_string_equal(written(text_html, VIEW("<b a='\"'>&\x02")),
                        "&lt;b a=&#39;&quot;&#39;&gt;&amp; ");
}

static void overlong_forms_surrogates_and_cut_characters_are_not_utf8(void **state)
{
    (void)state;
    assert_int_equal(text_utf8_length(VIEW("\xc0\x80")), 0);
    assert_int_equal(text_utf8_length(VIEW("\xe0\x80\x80")), 0);
    assert_int_equal(text_utf8_length(VIEW("\xed\xa0\x80")), 0);
    assert_int_equal(text_utf8_length(VIEW("\xf4\x90\x80\x80")), 0);
    assert_int_equal(text_utf8_length(VIEW("\xe2\x82")), 0);
    assert_int_equal(text_utf8_length(VIEW("\xe2\x82\xac")), 3);
    assert_int_equal(text_utf8_length(VIEW("\xf0\x9f\x98\x80")), 4);
    assert_int_equal(text_utf8_length((struct view){NULL, 0}), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(json_escapes_quotes_backslashes_and_controls),
        cmocka_unit_test(valid_utf8_passes_and_other_bytes_are_shown_by_number),
        cmocka_unit_test(html_cannot_be_left_by_what_is_shown),
        cmocka_unit_test(overlong_forms_surrogates_and_cut_characters_are_not_utf8),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
