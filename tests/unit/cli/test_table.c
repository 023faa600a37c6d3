/* What stands on a terminal. */
#include "failing_alloc.h"
#include "shown.h"
#include "table.h"
#include "unit_test.h"

#include <stdlib.h>
#include <string.h>

static char text[1024];

static void print(struct table *t)
{
    FILE *out = fmemopen(text, sizeof(text), "w");

    assert_non_null(out);
    table_print(t, out);
    (void)fclose(out);
}

static void columns_are_as_wide_as_what_stands_in_them(void **state)
{
    struct table t;

    (void)state;
    table_init(&t, "NAME|>N|STATE");
    table_cell(&t, "a");
    table_cell(&t, "%d", 12345);
    table_cell(&t, "up");
    table_cell(&t, "longer");
    table_cell(&t, "%d", 1);
    table_cell(&t, "down");
    print(&t);
    assert_string_equal(text, "NAME        N  STATE\n"
                              "a       12345  up\n"
                              "longer      1  down\n");
}

static void headings_alone_are_not_shown(void **state)
{
    struct table t;

    (void)state;
    text[0] = '\0';
    table_init(&t, "NAME|>N");
    print(&t);
    assert_string_equal(text, "");
}

static void rows_are_tinted_where_colours_are_welcome(void **state)
{
    (void)state;
    for (int coloured = 0; coloured < 2; coloured++) {
        struct table t;

        table_init(&t, "NAME|>N");
        t.coloured = coloured == 1;
        t.tint = TABLE_RED;
        table_cell(&t, "a");
        table_cell(&t, "10");
        t.tint = TABLE_PLAIN;
        table_cell(&t, "b");
        table_cell(&t, "2");
        print(&t);
        assert_string_equal(text, coloured == 0 ? "NAME   N\na     10\nb      2\n"
                                                : "NAME   N\n"
                                                  "\033[31ma   \033[0m  \033[31m10\033[0m\n"
                                                  "b      2\n");
    }
}

static void missing_memory_leaves_cells_empty(void **state)
{
    (void)state;
    for (unsigned nth = 0;; nth++) {
        struct table t;

        failing_alloc_arm(nth);
        table_init(&t, "NAME|>N");
        table_cell(&t, "a");
        table_cell(&t, "1");
        print(&t);
        bool hit = failing_alloc_hit();
        assert_int_equal(failing_alloc_live(), 0);
        if (!hit)
            return;
    }
}

static void quantities_are_read_easily(void **state)
{
    struct shown s;

    (void)state;
    assert_string_equal(show_bytes(&s, 0), "0 B");
    assert_string_equal(show_bytes(&s, 1023), "1023 B");
    assert_string_equal(show_bytes(&s, 1536), "1.5 KiB");
    assert_string_equal(show_bytes(&s, 1024 * 1024 - 1), "0.9 MiB");
    assert_string_equal(show_bytes(&s, UINT64_MAX), "15.9 EiB");
    assert_string_equal(show_duration(&s, 999), "999 ms");
    assert_string_equal(show_duration(&s, 1500), "1.5 s");
    assert_string_equal(show_duration(&s, 185 * 1000), "3 min 5 s");
    assert_string_equal(show_duration(&s, 7800 * 1000), "2 h 10 min");
    assert_string_equal(show_duration(&s, 100 * 3600 * 1000), "4 d 4 h");
}

static void names_of_strangers_move_no_cursor(void **state)
{
    char name[] = "a\x1b[2J\r\n\x7f\xc2\x9b"
                  "b\xc3\xa9\xc2";
    struct table t;

    (void)state;
    table_init(&t, "NAME");
    table_cell(&t, "%s", name);
    print(&t);
    assert_string_equal(text, "NAME\na?[2J?????b\xc3\xa9\xc2\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(columns_are_as_wide_as_what_stands_in_them),
        cmocka_unit_test(headings_alone_are_not_shown),
        cmocka_unit_test(rows_are_tinted_where_colours_are_welcome),
        cmocka_unit_test(missing_memory_leaves_cells_empty),
        cmocka_unit_test(quantities_are_read_easily),
        cmocka_unit_test(names_of_strangers_move_no_cursor),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
