/* JSON as it is written. */
#include "unit_test.h"

#include <sallyport/app/json_writer.h>

#include <stdlib.h>

static char *text;
static size_t len;

static struct json_writer open_writer(void)
{
    FILE *out = open_memstream(&text, &len);

    assert_non_null(out);
    return json_writer_to(out);
}

static void assert_written(struct json_writer *j, const char *expected)
{
    assert_int_equal(fclose(j->out), 0);
    assert_string_equal(text, expected);
    free(text);
}

static void write_all(struct json_writer *j)
{
    json_object(j, NULL);
    json_text(j, "a \"b\"", VIEW("\xff"));
    json_array(j, "list");
    json_number(j, NULL, UINT64_MAX);
    json_signed(j, NULL, -1);
    json_object(j, NULL);
    json_end(j);
    json_array(j, NULL);
    json_end(j);
    json_end(j);
    json_key(j, VIEW("k"));
    json_bool(j, NULL, true);
    json_string(j, "none", NULL);
    json_decimal(j, "d", 1.5);
    json_time(j, "t", 1);
    json_end(j);
}

static void members_are_indented_and_separated(void **state)
{
    struct json_writer j = open_writer();

    (void)state;
    write_all(&j);
    assert_written(&j, "{\n"
                       "  \"a \\\"b\\\"\": \"\\u00ff\",\n"
                       "  \"list\": [\n"
                       "    18446744073709551615,\n"
                       "    -1,\n"
                       "    {},\n"
                       "    []\n"
                       "  ],\n"
                       "  \"k\": true,\n"
                       "  \"none\": null,\n"
                       "  \"d\": 1.500,\n"
                       "  \"t\": \"1970-01-01T00:00:00.001Z\"\n"
                       "}\n");
}

static void compact_is_one_line(void **state)
{
    struct json_writer j = open_writer();

    (void)state;
    j.compact = true;
    write_all(&j);
    assert_written(&j,
                   "{\"a \\\"b\\\"\":\"\\u00ff\",\"list\":[18446744073709551615,-1,{},[]],"
                   "\"k\":true,\"none\":null,\"d\":1.500,\"t\":\"1970-01-01T00:00:00.001Z\"}\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(members_are_indented_and_separated),
        cmocka_unit_test(compact_is_one_line),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
