/* Finding a command, and its options. */
#include "command.h"
#include "unit_test.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Runs `call` with standard error (fd 2) in a file, whose text comes back. */
static const char *told(void (*call)(void))
{
    static char text[4096];
    FILE *file = tmpfile();
    int saved = dup(STDERR_FILENO);

    assert_non_null(file);
    (void)fflush(stderr);
    assert_true(dup2(fileno(file), STDERR_FILENO) >= 0);
    call();
    (void)fflush(stderr);
    assert_true(dup2(saved, STDERR_FILENO) >= 0);
    (void)close(saved);
    rewind(file);
    size_t n = fread(text, 1, sizeof(text) - 1, file);
    text[n] = '\0';
    (void)fclose(file);
    return text;
}

static const struct command *chosen(const char *word)
{
    char program[] = "sallyport", copy[32];
    char *argv[] = {program, copy, NULL};

    (void)snprintf(copy, sizeof(copy), "%s", word);
    return command_chosen(2, argv);
}

static void each_command_is_found_by_its_name(void **state)
{
    (void)state;
    for (size_t i = 0; i < n_commands; i++)
        assert_ptr_equal(chosen(commands[i]->name), commands[i]);
    assert_ptr_equal(chosen("--version"), &command_version);
    assert_ptr_equal(chosen("--help"), &command_help);
}

static void choose_a_typing_error(void)
{
    assert_null(chosen("chekc"));
}

static void choose_nothing(void)
{
    char program[] = "sallyport";
    char *argv[] = {program, NULL};

    assert_null(command_chosen(1, argv));
}

static void an_unknown_command_names_the_nearest(void **state)
{
    const char *text = told(choose_a_typing_error);

    (void)state;
    assert_non_null(strstr(text, "did you mean \"check\"?"));
    assert_non_null(strstr(text, "usage: sallyport COMMAND"));
}

static void no_command_tells_the_usage(void **state)
{
    (void)state;
    assert_non_null(strstr(told(choose_nothing), "usage: sallyport COMMAND"));
}

static void a_number_is_digits_within_its_range(void **state)
{
    uint32_t n = 7;

    (void)state;
    assert_true(option_number("65535", 0, 65535, &n));
    assert_int_equal(n, 65535);
    assert_true(option_number("0", 0, 65535, &n));
    assert_false(option_number("65536", 0, 65535, &n));
    assert_false(option_number("0", 1, 65535, &n));
    assert_false(option_number("", 0, 65535, &n));
    assert_false(option_number("-1", 0, 65535, &n));
    assert_false(option_number("1 ", 0, 65535, &n));
    assert_false(option_number("99999999999999999999", 0, UINT32_MAX, &n));
    assert_int_equal(n, 0);
}

static const struct option longs[] = {{"json", no_argument, NULL, 'j'},
                                      {"config", required_argument, NULL, 'c'},
                                      OPTION_ROW_HELP,
                                      {0}};
static char *given[8];
static int n_given, letter_got;

static void next(void)
{
    letter_got = option_next(&command_check, n_given, given, "jc:", longs);
}

static int option_of(const char *word, const char *second)
{
    static char name[] = "check", first_copy[32], second_copy[32];

    (void)snprintf(first_copy, sizeof(first_copy), "%s", word);
    (void)snprintf(second_copy, sizeof(second_copy), "%s", second == NULL ? "" : second);
    given[0] = name;
    given[1] = first_copy;
    given[2] = second == NULL ? NULL : second_copy;
    given[3] = NULL;
    n_given = second == NULL ? 2 : 3;
    option_rewind();
    next();
    return letter_got;
}

static void options_are_taken_short_and_long(void **state)
{
    (void)state;
    assert_int_equal(option_of("-j", NULL), 'j');
    assert_int_equal(option_of("--json", NULL), 'j');
    assert_int_equal(option_of("--config", "file"), 'c');
    assert_string_equal(optarg, "file");
    assert_int_equal(option_of("--config=other", NULL), 'c');
    assert_string_equal(optarg, "other");
    assert_int_equal(option_of("word", NULL), OPTION_END);
}

static void take_unknown_long(void)
{
    letter_got = option_of("--jsno", NULL);
}

static void take_unknown_short(void)
{
    letter_got = option_of("-x", NULL);
}

static void take_long_without_value(void)
{
    letter_got = option_of("--config", NULL);
}

static void a_mistake_is_told_with_the_usage(void **state)
{
    (void)state;
    assert_non_null(strstr(told(take_unknown_long), "--jsno is not an option\nusage: sallyport "));
    assert_int_equal(letter_got, OPTION_MISUSED);
    assert_non_null(strstr(told(take_unknown_short), "-x is not an option"));
    assert_int_equal(letter_got, OPTION_MISUSED);
    assert_non_null(strstr(told(take_long_without_value), "--config needs a value"));
    assert_int_equal(letter_got, OPTION_MISUSED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_command_is_found_by_its_name),
        cmocka_unit_test(an_unknown_command_names_the_nearest),
        cmocka_unit_test(no_command_tells_the_usage),
        cmocka_unit_test(a_number_is_digits_within_its_range),
        cmocka_unit_test(options_are_taken_short_and_long),
        cmocka_unit_test(a_mistake_is_told_with_the_usage),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
