/* The table of errors: each row can be logged, counted and shown. */
#include "unit_test.h"

#include <sallyport/http/http_error.h>

#include <ctype.h>
#include <string.h>

static void each_error_has_a_label_of_its_own_and_a_sentence(void **state)
{
    (void)state;
    for (unsigned e = 1; e < HTTP_ERROR_COUNT; e++) {
        const char *label = http_error_label((enum http_error)e);
        const char *text = http_error_text((enum http_error)e);

        for (const char *c = label; *c != '\0'; c++)
            assert_true(islower((unsigned char)*c) || *c == '_');
        assert_int_equal(text[strlen(text) - 1], '.');
        for (unsigned other = 0; other < e; other++)
            assert_string_not_equal(label, http_error_label((enum http_error)other));
    }
}

static void each_status_is_an_error_status_or_nobody_is_told(void **state)
{
    (void)state;
    for (unsigned e = 0; e < HTTP_ERROR_COUNT; e++) {
        uint16_t status = http_error_status((enum http_error)e);

        if (status != 0)
            assert_in_range(status, 400, 599);
    }
    assert_int_equal(http_error_status(HTTP_ERROR_BAD_HOST), 400);
    assert_int_equal(http_error_status(HTTP_ERROR_UPSTREAM_TIMEOUT), 504);
    assert_int_equal(http_error_status(HTTP_ERROR_CLIENT_CLOSED), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_error_has_a_label_of_its_own_and_a_sentence),
        cmocka_unit_test(each_status_is_an_error_status_or_nobody_is_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
