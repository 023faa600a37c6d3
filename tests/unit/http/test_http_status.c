/* Reason phrases. */
#include "unit_test.h"

#include <sallyport/http/http_error.h>
#include <sallyport/http/http_message.h>

static void known_statuses_have_a_reason(void **state)
{
    (void)state;
    assert_string_equal(http_status_reason(200), "OK");
    assert_string_equal(http_status_reason(404), "Not Found");
    assert_string_equal(http_status_reason(431), "Request Header Fields Too Large");
}

static void unknown_statuses_have_an_empty_one(void **state)
{
    (void)state;
    assert_string_equal(http_status_reason(0), "");
    assert_string_equal(http_status_reason(299), "");
    assert_string_equal(http_status_reason(1000), "");
}

static void each_status_that_this_program_sends_has_a_reason(void **state)
{
    (void)state;
    for (unsigned e = 0; e < HTTP_ERROR_COUNT; e++) {
        uint16_t status = http_error_status((enum http_error)e);

        if (status != 0)
            assert_int_not_equal(http_status_reason(status)[0], '\0');
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_statuses_have_a_reason),
        cmocka_unit_test(unknown_statuses_have_an_empty_one),
        cmocka_unit_test(each_status_that_this_program_sends_has_a_reason),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
