#include "json_locate.h"
#include "unit_test.h"

#include <stdlib.h>
#include <string.h>

static struct json_place find(const char *text, const char *pointer, bool at_key)
{
    struct json_place place = {.pointer = view_of(pointer), .at_key = at_key};

    json_locate(view_of(text), &place, 1);
    return place;
}

static void assert_value_at(const char *text, const char *pointer, unsigned line, unsigned column)
{
    struct json_place place = find(text, pointer, false);

    if (place.line != line || place.column != column)
        print_error("%s\n", pointer);
    assert_int_equal(place.line, line);
    assert_int_equal(place.column, column);
}

static void assert_key_at(const char *text, const char *pointer, unsigned line, unsigned column)
{
    struct json_place place = find(text, pointer, true);

    assert_int_equal(place.line, line);
    assert_int_equal(place.column, column);
}

static void the_whole_text_begins_at_its_first_value(void **state)
{
    (void)state;
    assert_value_at("{}", "", 1, 1);
    assert_value_at("\n  {}", "", 2, 3);
    assert_key_at("\n  {}", "", 2, 3);
}

static void members_are_found_by_value_and_by_key(void **state)
{
    const char *text = "{\n  \"a\": 1,\n  \"b\" :\n    true\n}";

    (void)state;
    assert_value_at(text, "/a", 2, 8);
    assert_key_at(text, "/a", 2, 3);
    assert_value_at(text, "/b", 4, 5);
    assert_key_at(text, "/b", 3, 3);
}

static void elements_of_nested_lists_are_found(void **state)
{
    const char *text = "{\"a\": [[], [1, [2, 3.5e1]], {\"b\": [null, \"x\"]}]}";

    (void)state;
    assert_value_at(text, "/a/0", 1, 8);
    assert_value_at(text, "/a/1", 1, 12);
    assert_value_at(text, "/a/1/0", 1, 13);
    assert_value_at(text, "/a/1/1/1", 1, 20);
    assert_value_at(text, "/a/2/b/1", 1, 42);
    assert_key_at(text, "/a/2/b", 1, 30);
}

static void the_tenth_element_is_not_the_first(void **state)
{
    const char *text = "[0,1,2,3,4,5,6,7,8,9,10,11]";

    (void)state;
    assert_value_at(text, "/1", 1, 4);
    assert_value_at(text, "/10", 1, 22);
    assert_value_at(text, "/11", 1, 25);
}

static void what_is_not_there_has_no_place(void **state)
{
    const char *text = "{\"a\": [1], \"b\": 2}";

    (void)state;
    assert_value_at(text, "/c", 0, 0);
    assert_value_at(text, "/a/1", 0, 0);
    assert_value_at(text, "/b/0", 0, 0);
    assert_value_at(text, "/a/0/x", 0, 0);
}

static void brackets_and_quotes_in_strings_are_skipped(void **state)
{
    (void)state;
    assert_value_at("{\"a\": \"}]{[\\\"\\\\\", \"b\": 1}", "/b", 1, 24);
    assert_value_at("[{\"x\": [\"]\"]}, \"\\\\\", 7]", "/2", 1, 22);
}

static void a_column_is_a_character_not_a_byte(void **state)
{
    (void)state;
    assert_value_at("{\"ключ\": 1, \"b\": 2}", "/b", 1, 18);
    assert_value_at("{\"\xf0\x9f\x94\x92\": 1}", "/\xf0\x9f\x94\x92", 1, 7);
    assert_value_at("{\t\"a\":\t1}", "/a", 1, 8);
}

static void escapes_in_keys_are_undone(void **state)
{
    (void)state;
    assert_value_at("{\"\\u0061\\n\": 1}", "/a\n", 1, 14);
    assert_value_at("{\"\\u00e9\": 1}", "/é", 1, 12);
    assert_value_at("{\"\\u20AC\": 1}", "/€", 1, 12);
    assert_value_at("{\"\\ud83d\\udd12\": 1}", "/\xf0\x9f\x94\x92", 1, 18);
    assert_value_at("{\"\\\"\\\\\\t\\b\\f\\r\": 1}", "/\"\\\t\b\f\r", 1, 18);
}

static void slashes_and_tildes_of_keys_are_escaped_in_pointers(void **state)
{
    const char *text = "{\"a/b\": 1, \"c~d\": 2, \"\\u002f\\/\": 3, \"a\": {\"b\": 4}}";

    (void)state;
    assert_value_at(text, "/a~1b", 1, 9);
    assert_value_at(text, "/c~0d", 1, 19);
    assert_value_at(text, "/~1~1", 1, 34);
    assert_value_at(text, "/a/b", 1, 48);
}

static void the_empty_key_is_a_key(void **state)
{
    (void)state;
    assert_value_at("{\"\": {\"\": 1}}", "/", 1, 6);
    assert_value_at("{\"\": {\"\": 1}}", "//", 1, 11);
    assert_value_at("{\"\": 1}", "", 1, 1);
}

static void carriage_returns_end_no_line(void **state)
{
    (void)state;
    assert_value_at("{\r\n  \"a\": 1,\r\n  \"b\": 2\r\n}\r\n", "/b", 3, 8);
}

static int by_id(const void *a, const void *b)
{
    const struct json_place *x = a, *y = b;

    return (x->id > y->id) - (x->id < y->id);
}

static void many_places_are_found_in_one_walk(void **state)
{
    const char *text = "{\"a\": {\"b\": 1, \"c\": [2, 3]},\n \"a-b\": 4,\n \"ab\": {\"b\": 5}}";
    struct json_place places[] = {
        {.pointer = VIEW("/ab/b"), .id = 0},  {.pointer = VIEW("/a"), .id = 1},
        {.pointer = VIEW("/a/c/1"), .id = 2}, {.pointer = VIEW("/a-b"), .id = 3},
        {.pointer = VIEW("/a/c"), .id = 4},   {.pointer = VIEW("/nowhere"), .id = 5},
        {.pointer = VIEW(""), .id = 6},       {.pointer = VIEW("/a/b"), .id = 7, .at_key = true},
        {.pointer = VIEW("/a/b"), .id = 8},
    };
    static const unsigned expected[][2] = {{3, 14}, {1, 7}, {1, 25}, {2, 9}, {1, 21},
                                           {0, 0},  {1, 1}, {1, 8},  {1, 13}};

    (void)state;
    json_locate(view_of(text), places, 9);
    qsort(places, 9, sizeof(places[0]), by_id);
    for (unsigned i = 0; i < 9; i++) {
        assert_int_equal(places[i].line, expected[i][0]);
        assert_int_equal(places[i].column, expected[i][1]);
    }
}

static void pointers_into_a_value_come_right_behind_it(void **state)
{
    (void)state;
    assert_true(json_pointer_compare(VIEW("/a"), VIEW("/a/b")) < 0);
    assert_true(json_pointer_compare(VIEW("/a/b"), VIEW("/a-")) < 0);
    assert_true(json_pointer_compare(VIEW("/a/z"), VIEW("/ab")) < 0);
    assert_int_equal(json_pointer_compare(VIEW("/a"), VIEW("/a")), 0);
}

/* A text that nobody checked must at least not be read past its end. */
static void every_truncation_is_walked_without_harm(void **state)
{
    const char *text = "{\"a\\u00e9\": [1, {\"b\": \"\\\"\"}], \"c\": {\"d\": [true, null]}}";

    (void)state;
    for (size_t len = 0; len <= strlen(text); len++) {
        char *copy = malloc(len > 0 ? len : 1); /* an overrun is seen by the sanitizer */
        struct json_place place = {.pointer = VIEW("/c/d/1")};

        assert_non_null(copy);
        memcpy(copy, text, len);
        json_locate((struct view){copy, len}, &place, 1);
        free(copy);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_whole_text_begins_at_its_first_value),
        cmocka_unit_test(members_are_found_by_value_and_by_key),
        cmocka_unit_test(elements_of_nested_lists_are_found),
        cmocka_unit_test(the_tenth_element_is_not_the_first),
        cmocka_unit_test(what_is_not_there_has_no_place),
        cmocka_unit_test(brackets_and_quotes_in_strings_are_skipped),
        cmocka_unit_test(a_column_is_a_character_not_a_byte),
        cmocka_unit_test(escapes_in_keys_are_undone),
        cmocka_unit_test(slashes_and_tildes_of_keys_are_escaped_in_pointers),
        cmocka_unit_test(the_empty_key_is_a_key),
        cmocka_unit_test(carriage_returns_end_no_line),
        cmocka_unit_test(many_places_are_found_in_one_walk),
        cmocka_unit_test(pointers_into_a_value_come_right_behind_it),
        cmocka_unit_test(every_truncation_is_walked_without_harm),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
