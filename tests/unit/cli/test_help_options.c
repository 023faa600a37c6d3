/* Help texts taken apart, and that every command's is written so that it can be. */
#include "help_options.h"
#include "unit_test.h"

static struct help_option only(const char *text)
{
    struct view rest = view_of(text);
    struct help_option o;
    bool option;

    assert_true(help_next(&rest, &o, &option));
    assert_true(option);
    assert_false(help_next(&rest, &(struct help_option){0}, &option));
    return o;
}

static void assert_view(struct view v, const char *text)
{
    assert_int_equal(v.len, strlen(text));
    assert_memory_equal(v.p == NULL ? "" : v.p, text, v.len);
}

static void both_names_and_the_value_are_found(void **state)
{
    struct help_option o = only("  -s, --socket PATH   the control socket\n");

    (void)state;
    assert_view(o.short_name, "-s");
    assert_view(o.long_name, "--socket");
    assert_view(o.value, "PATH");
    assert_view(o.text, "-s, --socket PATH");
    assert_view(o.help, "the control socket");
}

static void long_name_may_stand_alone(void **state)
{
    struct help_option o = only("      --now           cut  it\n");

    (void)state;
    assert_view(o.short_name, "");
    assert_view(o.long_name, "--now");
    assert_view(o.value, "");
    assert_view(o.help, "cut  it");
}

static void argument_has_no_name(void **state)
{
    struct help_option o = only("  PORT                named as in the configuration\n");

    (void)state;
    assert_view(o.short_name, "");
    assert_view(o.long_name, "");
    assert_view(o.text, "PORT");
}

static void other_lines_are_no_options(void **state)
{
    static const char *const lines[] = {"\n", "Exit status: 0\n",
                                        "                      goes on -- here\n"};

    (void)state;
    for (size_t i = 0; i < SP_COUNT_OF(lines); i++) {
        struct view rest = view_of(lines[i]);
        struct help_option o;
        bool option = true;

        assert_true(help_next(&rest, &o, &option));
        assert_false(option);
        assert_int_equal(o.text.len, 0);
    }
}

/* Two blanks between an option and its help: otherwise its help would be part of its name. */
static void every_command_can_be_taken_apart(void **state)
{
    (void)state;
    for (size_t i = 0; i < n_commands; i++) {
        struct view rest = view_of(commands[i]->options);
        struct help_option o;
        bool option;

        while (help_next(&rest, &o, &option))
            if (option && (o.help.len == 0 || o.text.len > 32))
                fail_msg("sallyport %s: \"" VIEW_FMT "\"", commands[i]->name, VIEW_ARG(o.text));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_names_and_the_value_are_found),
        cmocka_unit_test(long_name_may_stand_alone),
        cmocka_unit_test(argument_has_no_name),
        cmocka_unit_test(other_lines_are_no_options),
        cmocka_unit_test(every_command_can_be_taken_apart),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
