/* How problems are ordered, quoted and printed. */
#include "conf_problems.h"
#include "config_fixture.h"

static char *quote_of(const char *text, size_t offset)
{
    struct config_problems p;
    struct config_problem problem = {.line = 12};
    char *printed = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&printed, &len);

    assert_non_null(out);
    config_problems_init(&p);
    assert_true(conf_problem_quote(&p, &problem, view_of(text), offset));
    conf_problem_print_quote(&problem, out);
    config_problems_fini(&p);
    assert_int_equal(fclose(out), 0);
    return printed;
}

static void assert_quote(const char *text, size_t offset, const char *expected)
{
    char *printed = quote_of(text, offset);

    assert_string_equal(printed, expected);
    free(printed);
}

static void the_caret_is_under_the_place(void **state)
{
    (void)state;
    assert_quote("{\n  \"a\": 1,\n  \"b\": x\n}", 19,
                 "    12 |   \"b\": x\n"
                 "       |        ^\n");
    assert_quote("x", 0,
                 "    12 | x\n"
                 "       | ^\n");
}

static void tabs_stay_tabs_so_that_the_caret_fits(void **state)
{
    (void)state;
    assert_quote("\t\"a\":\tx", 6,
                 "    12 | \t\"a\":\tx\n"
                 "       | \t    \t^\n");
}

static void a_character_of_several_bytes_is_one_space(void **state)
{
    (void)state;
    assert_quote("\"ключ\": x", 12,
                 "    12 | \"ключ\": x\n"
                 "       |         ^\n");
}

static void the_end_of_a_dos_line_is_not_quoted(void **state)
{
    (void)state;
    assert_quote("{\r\n x\r\n}", 4,
                 "    12 |  x\n"
                 "       |  ^\n");
}

static void a_long_line_is_quoted_around_the_place(void **state)
{
    char text[301], expected[400];

    (void)state;
    memset(text, 'a', 300);
    text[150] = 'X';
    text[300] = '\0';
    (void)snprintf(expected, sizeof(expected), "    12 | %.100s\n       | %60s^\n", text + 90, "");
    assert_quote(text, 150, expected);
}

static void control_characters_do_not_reach_the_terminal(void **state)
{
    (void)state;
    assert_quote("\x1b[31m\x7f\xc2\x9bx", 8,
                 "    12 | ?[31m???x\n"
                 "       |         ^\n");
}

static void a_place_at_the_end_of_the_text_has_a_caret_too(void **state)
{
    (void)state;
    assert_quote("{", 1,
                 "    12 | {\n"
                 "       |  ^\n");
}

static void add(struct config_problems *p, const char *pointer, const char *text, bool warning)
{
    assert_true(conf_problems_add(p, &(struct config_problem){.pointer = view_of(pointer),
                                                              .text = view_of(text),
                                                              .warning = warning}));
}

static void problems_come_in_the_order_of_the_file_and_once(void **state)
{
    struct config_problems p;
    char *lines;

    (void)state;
    config_problems_init(&p);
    p.file = VIEW("x.json");
    add(&p, "/b", "second", false);
    add(&p, "/a", "first, again", false);
    add(&p, "/a", "first", true);
    add(&p, "/b", "second", false);
    add(&p, "", "whole", false);
    assert_int_equal(p.n_errors, 4);
    assert_true(conf_problems_locate(&p, VIEW("{\"a\": 1,\n\"b\": 2}")));
    lines = problem_lines(&p);
    assert_string_equal(lines, "x.json:1:1: whole\n"
                               "x.json:1:7: /a: warning: first\n"
                               "x.json:1:7: /a: first, again\n"
                               "x.json:2:6: /b: second\n");
    assert_int_equal(p.n, 4);
    assert_int_equal(p.n_errors, 3);
    free(lines);
    config_problems_fini(&p);
}

static void a_problem_of_the_whole_file_has_no_place(void **state)
{
    struct config_problems p;
    char *lines;

    (void)state;
    config_problems_init(&p);
    p.file = VIEW("x.json");
    add(&p, "", "cannot open\nit", false);
    lines = problem_lines(&p);
    assert_string_equal(lines, "x.json: cannot open?it\n");
    free(lines);
    config_problems_fini(&p);
}

static void out_of_memory_always_finds_room(void **state)
{
    struct config_problems p;

    (void)state;
    config_problems_init(&p);
    add(&p, "/a", "x", false);
    conf_problems_set_nomem(&p);
    assert_int_equal(p.n, 1);
    assert_int_equal(p.n_errors, 1);
    assert_view(p.v[0].text, "out of memory");
    add(&p, "/b", "y", false);
    assert_int_equal(p.n, 2);
    config_problems_fini(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_caret_is_under_the_place),
        cmocka_unit_test(tabs_stay_tabs_so_that_the_caret_fits),
        cmocka_unit_test(a_character_of_several_bytes_is_one_space),
        cmocka_unit_test(the_end_of_a_dos_line_is_not_quoted),
        cmocka_unit_test(a_long_line_is_quoted_around_the_place),
        cmocka_unit_test(control_characters_do_not_reach_the_terminal),
        cmocka_unit_test(a_place_at_the_end_of_the_text_has_a_caret_too),
        cmocka_unit_test(problems_come_in_the_order_of_the_file_and_once),
        cmocka_unit_test(a_problem_of_the_whole_file_has_no_place),
        cmocka_unit_test(out_of_memory_always_finds_room),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
