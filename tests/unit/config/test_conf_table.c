/* The engine, with a table of its own that has a row of every type; and what has to hold for the
 * rows of the real ones. */
#include "conf_reader.h"
#include "config_fixture.h"
#include "config_rows.h"

struct part {
    struct view name;
    uint32_t size;
};

struct thing {
    bool flag;
    uint16_t u16;
    uint32_t u32;
    uint64_t u64;
    int32_t i32;
    uint32_t choice;
    struct view text, file;
    uint32_t mode;
    enum { RED, GREEN } colour;
    uint32_t bits;
    struct view *words;
    uint32_t n_words;
    struct cidr *nets;
    uint32_t n_nets;
    struct part *parts;
    uint32_t n_parts;
    const struct part *favourite;
    const struct part **chosen;
    uint32_t n_chosen;
    struct part inner;
    struct part *list;
    uint32_t n_list;
    unsigned finished;
};

static void thing_finish(struct conf_reader *r, const struct conf_path *at, void *object)
{
    (void)r;
    assert_null(at);
    ((struct thing *)object)->finished++;
}

static const struct conf_word auto_word[] = {{"auto", UINT32_MAX, NULL}};
static const struct conf_word dash[] = {{"-", 0, NULL}};
static const struct conf_word colours[] = {{"red", RED, NULL}, {"green", GREEN, NULL}};
static const struct conf_word bits[] = {{"a", 1, NULL}, {"b", 2, NULL}, {"c", 4, "no c today"}};
static const int64_t evens[] = {2, 4, 6};

static bool is_short(struct view v)
{
    return v.len < 4;
}
static const struct conf_kind short_kind = {"a short text", is_short, true, NULL};

static const struct conf_row part_rows[] = {
    {CONF_ROW_INT(struct part, "size", size, 0, 9, 5, NULL, "Size.")},
};
static const struct conf_table part_table = {
    .noun = "part",
    CONF_ROWS(struct part, part_rows),
    .form = CONF_FORM_OBJECT_OR_FIRST,
};

/* clang-format off */
static const struct conf_row thing_rows[] = {
    {CONF_ROW_BOOL(struct thing, "flag", flag, true, "Flag.")},
    {CONF_ROW_INT(struct thing, "u16", u16, 1, 65535, 7, "ports", "Small.")},
    {CONF_ROW_INT(struct thing, "u32", u32, 0, UINT32_MAX, UINT32_MAX, NULL, "Word."),
        CONF_WORDS(auto_word)},
    {CONF_ROW_INT(struct thing, "u64", u64, 0, INT64_MAX, 0, "bytes", "Large.")},
    {CONF_ROW_INT(struct thing, "i32", i32, -5, 5, -1, NULL, "Signed.")},
    {CONF_ROW_INT(struct thing, "even", choice, 2, 6, 2, NULL, "Even."),
        .numbers = evens, .n_numbers = SP_COUNT_OF(evens)},
    {CONF_ROW_STRING(struct thing, "text", text, &short_kind, "Text."), .def_text = "abc"},
    {CONF_ROW_PATH(struct thing, "file", file, "File."), CONF_WORDS(dash)},
    {.name = "mode", .type = CONF_MODE, CONF_FIELD(struct thing, mode), .max = 0777, .def = 0640,
        .help = "Mode."},
    {CONF_ROW_ENUM(struct thing, "colour", colour, colours, GREEN, "Colour.")},
    {.name = "bits", .type = CONF_FLAGS, CONF_FIELD(struct thing, bits), CONF_WORDS(bits),
        .def = 3, .min = 1, .help = "Bits."},
    {CONF_ROW_MANY(struct thing, "words", CONF_STRINGS, words, n_words, "Words."),
        .kind = &short_kind, .max = 2},
    {CONF_ROW_MANY(struct thing, "nets", CONF_CIDRS, nets, n_nets, "Networks.")},
    {CONF_ROW_MANY(struct thing, "parts", CONF_MAP, parts, n_parts, "Parts."),
        .table = &part_table, .name_offset = offsetof(struct part, name)},
    {CONF_ROW_REF(struct thing, "favourite", favourite, "parts", &part_table, "Ref."),
        .only_with = "flag"},
    {CONF_ROW_MANY(struct thing, "chosen", CONF_REFS, chosen, n_chosen, "Refs."),
        .table = &part_table, .refers_to = "parts"},
    {CONF_ROW_OBJECT(struct thing, "inner", inner, &part_table, "Inner.")},
    {CONF_ROW_MANY(struct thing, "list", CONF_LIST, list, n_list, "List."),
        .table = &part_table, .min = 1},
};
/* clang-format on */
static const struct conf_table thing_table = {
    .noun = "thing",
    CONF_ROWS(struct thing, thing_rows),
    .finish = thing_finish,
};

struct reading {
    struct thing thing;
    struct arena arena;
    struct config_problems problems;
    char *lines;
};

static struct reading *read_thing(const char *text)
{
    struct reading *reading = calloc(1, sizeof(*reading));
    struct conf_reader r;
    json_t *json = json_loads(text, 0, NULL);

    assert_non_null(reading);
    assert_non_null(json);
    arena_init(&reading->arena);
    config_problems_init(&reading->problems);
    conf_reader_init(&r, &reading->problems, &reading->arena, VIEW("/folder"));
    conf_reader_read(&r, &thing_table, json, &reading->thing);
    assert_false(r.nomem);
    conf_reader_fini(&r);
    json_decref(json);
    reading->lines = problem_lines(&reading->problems);
    return reading;
}

static void reading_free(struct reading *reading)
{
    free(reading->lines);
    config_problems_fini(&reading->problems);
    arena_fini(&reading->arena);
    free(reading);
}

static struct reading *read_good(const char *text)
{
    struct reading *reading = read_thing(text);

    assert_string_equal(reading->lines, "");
    return reading;
}

/* The problem of {"key": value}, without its pointer. */
static void assert_refused(const char *key, const char *value, const char *problem)
{
    char text[200], line[300];
    struct reading *reading;

    (void)snprintf(text, sizeof(text), "{\"%s\": %s}", key, value);
    (void)snprintf(line, sizeof(line), ": /%s: %s\n", key, problem);
    reading = read_thing(text);
    assert_string_equal(reading->lines, line);
    reading_free(reading);
}

static void an_empty_object_has_every_default(void **state)
{
    struct reading *reading = read_good("{}");
    const struct thing *t = &reading->thing;

    (void)state;
    assert_true(t->flag);
    assert_int_equal(t->u16, 7);
    assert_int_equal(t->u32, UINT32_MAX);
    assert_int_equal(t->u64, 0);
    assert_int_equal(t->i32, -1);
    assert_int_equal(t->choice, 2);
    assert_view(t->text, "abc");
    assert_null(t->file.p);
    assert_int_equal(t->mode, 0640);
    assert_int_equal(t->colour, GREEN);
    assert_int_equal(t->bits, 3);
    assert_int_equal(t->n_words + t->n_nets + t->n_parts + t->n_chosen + t->n_list, 0);
    assert_null(t->favourite);
    assert_int_equal(t->inner.size, 5);
    assert_int_equal(t->finished, 1);
    reading_free(reading);
}

static void every_type_is_read(void **state)
{
    struct reading *reading = read_good(
        "{\"flag\": true, \"u16\": 65535, \"u32\": 4294967295, \"u64\": 9223372036854775807,"
        " \"i32\": -5, \"even\": 6, \"text\": \"ABc\", \"file\": \"x/y\", \"mode\": \"0777\","
        " \"colour\": \"red\", \"bits\": [\"b\"], \"words\": [\"x\", \"YZ\"],"
        " \"nets\": [\"10.0.0.0/8\", \"::1\"], \"parts\": {\"p\": {\"size\": 1}, \"q\": 2},"
        " \"favourite\": \"q\", \"chosen\": [\"q\", \"p\"], \"inner\": {\"size\": 9},"
        " \"list\": [{}, 3]}");
    const struct thing *t = &reading->thing;

    (void)state;
    assert_true(t->flag);
    assert_int_equal(t->u16, 65535);
    assert_int_equal(t->u32, UINT32_MAX);
    assert_int_equal(t->u64, INT64_MAX);
    assert_int_equal(t->i32, -5);
    assert_int_equal(t->choice, 6);
    assert_view(t->text, "abc"); /* the kind says lower case */
    assert_view(t->file, "/folder/x/y");
    assert_int_equal(t->mode, 0777);
    assert_int_equal(t->colour, RED);
    assert_int_equal(t->bits, 2);
    assert_int_equal(t->n_words, 2);
    assert_view(t->words[1], "yz");
    assert_int_equal(t->n_nets, 2);
    assert_int_equal(t->nets[1].prefix_bits, 128);
    assert_int_equal(t->n_parts, 2);
    assert_view(t->parts[0].name, "p");
    assert_int_equal(t->parts[1].size, 2);
    assert_ptr_equal(t->favourite, &t->parts[1]);
    assert_ptr_equal(t->chosen[0], &t->parts[1]);
    assert_ptr_equal(t->chosen[1], &t->parts[0]);
    assert_int_equal(t->inner.size, 9);
    assert_int_equal(t->n_list, 2);
    assert_int_equal(t->list[0].size, 5);
    assert_int_equal(t->list[1].size, 3);
    reading_free(reading);
}

static void words_stand_for_numbers_and_paths(void **state)
{
    struct reading *reading = read_good("{\"u32\": \"auto\", \"file\": \"-\"}");

    (void)state;
    assert_int_equal(reading->thing.u32, UINT32_MAX);
    assert_view(reading->thing.file, "-");
    reading_free(reading);
    reading = read_good("{\"file\": \"/abs\"}");
    assert_view(reading->thing.file, "/abs");
    reading_free(reading);
}

static void numbers_outside_the_range_are_refused(void **state)
{
    const char *u16 = "expected an integer from 1 to 65535 (ports), found ";
    char text[100];

    (void)state;
    for (size_t i = 0; i < 6; i++) {
        static const char *const wrong[] = {"0",   "65536", "-1", "9223372036854775807",
                                            "1.5", "7.0"};

        (void)snprintf(text, sizeof(text), "%s%s", u16, wrong[i]);
        assert_refused("u16", wrong[i], text);
    }
    assert_refused("i32", "-6", "expected an integer from -5 to 5, found -6");
    assert_refused("i32", "6", "expected an integer from -5 to 5, found 6");
    assert_refused("u32", "4294967296",
                   "expected an integer from 0 to 4294967295 or \"auto\", found 4294967296");
    assert_refused("u32", "\"aut\"",
                   "expected an integer from 0 to 4294967295 or \"auto\", found \"aut\"");
    assert_refused("u64", "-1", "expected an integer of at least 0 (bytes), found -1");
}

static void only_the_listed_numbers_are_taken(void **state)
{
    (void)state;
    assert_refused("even", "3", "expected 2, 4 or 6, found 3");
    assert_refused("even", "8", "expected 2, 4 or 6, found 8");
}

static void other_types_are_described(void **state)
{
    (void)state;
    assert_refused("flag", "1", "expected true or false, found 1");
    assert_refused("flag", "null", "expected true or false, found null");
    assert_refused("flag", "\"true\"", "expected true or false, found \"true\"");
    assert_refused("u16", "true", "expected an integer from 1 to 65535 (ports), found true");
    assert_refused("u16", "[1]", "expected an integer from 1 to 65535 (ports), found a list");
    assert_refused("u16", "{}",
                   "expected an integer from 1 to 65535 (ports), found an empty object");
    assert_refused("u16", "1e3", "expected an integer from 1 to 65535 (ports), found 1000.0");
    assert_refused("text", "false", "expected a short text, found false");
    assert_refused("inner", "[]", "expected an integer from 0 to 9, found an empty list");
    assert_refused("parts", "[]", "expected an object, found an empty list");
    assert_refused("list", "{\"a\": 1}", "expected a list of parts (at least 1), found an object");
}

static void strings_have_to_be_of_their_kind(void **state)
{
    (void)state;
    assert_refused("text", "\"long\"", "expected a short text, found \"long\"");
    assert_refused("text", "\"a\\\"\\n\\u0001\\\\b\"",
                   "expected a short text, found \"a\\\"\\n\\u0001\\\\b\"");
    assert_refused("file", "\"\"", "expected a path or \"-\", found \"\"");
    assert_refused("file", "5", "expected a path or \"-\", found 5");
}

static void a_long_string_is_cut_between_characters(void **state)
{
    (void)state;
    /* 59 letters, then a character of two bytes that would end behind the 60th. */
    assert_refused("text", "\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaéb\"",
                   "expected a short text, found "
                   "\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa...\"");
}

static void a_mode_is_an_octal_string(void **state)
{
    const char *expected = "expected permission bits as an octal string such as \"0660\", found ";
    static const char *const wrong[] = {"660",       "\"660\"",  "\"0\"",       "\"0888\"",
                                        "\"01777\"", "\"0o66\"", "\"00000777\""};
    char text[120];

    (void)state;
    for (size_t i = 0; i < SP_COUNT_OF(wrong); i++) {
        (void)snprintf(text, sizeof(text), "%s%s", expected, wrong[i]);
        assert_refused("mode", wrong[i], text);
    }
}

static void words_are_checked_and_refused_ones_say_why(void **state)
{
    struct reading *reading = read_thing("{\"bits\": [\"a\", \"c\", \"d\", 1]}");

    (void)state;
    assert_string_equal(reading->lines, ": /bits/1: no c today\n"
                                        ": /bits/2: expected \"a\" or \"b\", found \"d\"\n"
                                        ": /bits/3: expected \"a\" or \"b\", found 1\n");
    reading_free(reading);
    assert_refused("bits", "[]",
                   "expected a list (at least 1), each \"a\" or \"b\", found an empty "
                   "list");
    assert_refused("bits", "\"a\"",
                   "expected a list (at least 1), each \"a\" or \"b\", found \"a\"");
    assert_refused("colour", "\"Red\"", "expected \"red\" or \"green\", found \"Red\"");
}

static void every_element_of_a_list_is_checked(void **state)
{
    struct reading *reading = read_thing("{\"words\": [\"long\", 1], \"nets\": [\"10.0.0.1/8\", "
                                         "5], \"list\": [{\"size\": 10}, 11]}");

    (void)state;
    assert_string_equal(
        reading->lines,
        ": /words/0: expected a short text, found \"long\"\n"
        ": /words/1: expected a short text, found 1\n"
        ": /nets/0: expected a network such as \"10.0.0.0/8\" without host bits, or an address, "
        "found \"10.0.0.1/8\"\n"
        ": /nets/1: expected a network such as \"10.0.0.0/8\" without host bits, or an address, "
        "found 5\n"
        ": /list/0/size: expected an integer from 0 to 9, found 10\n"
        ": /list/1: expected an integer from 0 to 9, found 11\n");
    reading_free(reading);
    assert_refused("words", "[\"a\", \"b\", \"c\"]",
                   "expected a list (at most 2), each a short text, found a list");
}

static void unknown_names_are_answered_with_the_nearest(void **state)
{
    struct reading *reading =
        read_thing("{\"parts\": {\"wheel\": 1, \"door\": 2}, "
                   "\"favourite\": \"weel\", \"chosen\": [\"door\", \"x\", 4]}");

    (void)state;
    assert_string_equal(reading->lines,
                        ": /favourite: no part is called \"weel\"; did you mean \"wheel\"?\n"
                        ": /chosen/1: no part is called \"x\"\n"
                        ": /chosen/2: expected the name of a part, found 4\n");
    assert_int_equal(reading->thing.n_chosen, 3);
    assert_null(reading->thing.chosen[1]);
    reading_free(reading);
}

static void unknown_keys_are_answered_with_the_nearest(void **state)
{
    struct reading *reading = read_thing("{\"flga\": true, \"zebra\": 1, \"inner\": {\"sise\": 1}, "
                                         "\"a/b~c\": 2}");

    (void)state;
    assert_string_equal(reading->lines,
                        ": /inner/sise: unknown key \"sise\"; did you mean \"size\"?\n"
                        ": /flga: unknown key \"flga\"; did you mean \"flag\"?\n"
                        ": /zebra: unknown key \"zebra\"\n"
                        ": /a~1b~0c: unknown key \"a/b~c\"\n");
    for (uint32_t i = 0; i < reading->problems.n; i++)
        assert_true(reading->problems.v[i].at_key);
    reading_free(reading);
}

static void comments_are_allowed_in_every_object(void **state)
{
    struct reading *reading = read_good(
        "{\"//\": 1, \"// more\": [], \"parts\": {\"//\": \"no part\", \"p\": {\"//\": 2}},"
        " \"inner\": {\"//\": {}}, \"list\": [{\"//\": null}]}");

    (void)state;
    assert_int_equal(reading->thing.n_parts, 1);
    assert_view(reading->thing.parts[0].name, "p");
    reading_free(reading);
}

static void a_key_may_depend_on_a_flag(void **state)
{
    struct reading *reading =
        read_thing("{\"flag\": false, \"parts\": {\"p\": 1}, \"favourite\": \"p\"}");

    (void)state;
    assert_string_equal(reading->lines,
                        ": /favourite: \"favourite\" is only for a thing with \"flag\": true\n");
    reading_free(reading);
}

static void the_top_has_to_be_an_object(void **state)
{
    struct reading *reading = read_thing("[1]");

    (void)state;
    assert_string_equal(reading->lines, ": expected an object, found a list\n");
    reading_free(reading);
}

/* ---- The real rows ---- */

typedef void (*row_fn)(const struct conf_table *t, const struct conf_row *row);

static void for_each_row(const struct conf_table *t, row_fn fn)
{
    for (size_t i = 0; i < t->n_rows; i++) {
        const struct conf_row *row = &t->rows[i];

        fn(t, row);
        if (row->type == CONF_OBJECT || row->type == CONF_LIST || row->type == CONF_MAP)
            for_each_row(row->table, fn);
    }
}

static void check_help(const struct conf_table *t, const struct conf_row *row)
{
    assert_non_null(t->noun);
    assert_non_null(row->help);
    assert_int_equal(row->help[strlen(row->help) - 1], '.');
    assert_ptr_equal(conf_table_find(t, view_of(row->name)), row); /* no name twice */
}

static void every_row_has_help_and_a_name_of_its_own(void **state)
{
    (void)state;
    for_each_row(&conf_config_table, check_help);
}

static void check_range(const struct conf_table *t, const struct conf_row *row)
{
    (void)t;
    assert_true(row->offset + row->size <= t->size);
    if (row->type != CONF_INT)
        return;
    if (row->size == 2)
        assert_true(row->min >= 0 && row->max <= UINT16_MAX);
    if (row->size == 4)
        assert_true(row->min >= INT32_MIN && row->max <= (row->min < 0 ? INT32_MAX : UINT32_MAX));
    assert_true(row->size == 2 || row->size == 4 || row->size == 8);
    if (row->n_words == 0)
        assert_true(row->def >= row->min && row->def <= row->max);
}

static void every_range_fits_the_field_and_has_the_default_inside(void **state)
{
    (void)state;
    for_each_row(&conf_config_table, check_range);
}

static void check_target(const struct conf_table *t, const struct conf_row *row)
{
    const char *name = row->refers_to != NULL ? row->refers_to : row->inherits;
    const struct conf_row *target;

    if (row->only_with != NULL)
        assert_int_equal(conf_table_find(t, view_of(row->only_with))->type, CONF_BOOL);
    if (name == NULL)
        return;
    target = conf_table_find(&conf_config_table, view_of(name));
    assert_non_null(target);
    assert_ptr_equal(target->table, row->table);
    assert_int_equal(target->type, row->refers_to != NULL ? CONF_MAP : CONF_OBJECT);
    for (size_t i = 0; &conf_config_table.rows[i] != target; i++)
        assert_ptr_not_equal(conf_config_table.rows[i].table, t); /* read before it is needed */
}

static void what_rows_refer_to_is_there_and_read_before(void **state)
{
    (void)state;
    for_each_row(&conf_config_table, check_target);
}

static void the_reference_names_every_key(void **state)
{
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);

    (void)state;
    assert_non_null(out);
    config_print_reference(out);
    assert_int_equal(fclose(out), 0);
    assert_non_null(strstr(text, "\n/ports/*/accept/backlog\n"
                                 "    an integer from 1 to 65535 (connections); default: 511\n"));
    assert_non_null(strstr(text,
                           "\n/ports/*/alpn\n    a list (at least 1), each \"http/1.1\" or \"h2\"; "
                           "default: [\"http/1.1\", \"h2\"]; only with \"tls\": true\n"));
    assert_non_null(strstr(text, "\n/threads/net\n    an integer from 1 to 256 or \"auto\"; "
                                 "default: \"auto\"\n"));
    assert_non_null(strstr(text, "\n    permission bits as an octal string such as \"0660\"; "
                                 "default: \"0660\"\n"));
    assert_non_null(strstr(text, "\n    The keys are those of /limits.\n"));
    assert_non_null(strstr(text, "\n/admin/socket\n"));
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_object_has_every_default),
        cmocka_unit_test(every_type_is_read),
        cmocka_unit_test(words_stand_for_numbers_and_paths),
        cmocka_unit_test(numbers_outside_the_range_are_refused),
        cmocka_unit_test(only_the_listed_numbers_are_taken),
        cmocka_unit_test(other_types_are_described),
        cmocka_unit_test(strings_have_to_be_of_their_kind),
        cmocka_unit_test(a_long_string_is_cut_between_characters),
        cmocka_unit_test(a_mode_is_an_octal_string),
        cmocka_unit_test(words_are_checked_and_refused_ones_say_why),
        cmocka_unit_test(every_element_of_a_list_is_checked),
        cmocka_unit_test(unknown_names_are_answered_with_the_nearest),
        cmocka_unit_test(unknown_keys_are_answered_with_the_nearest),
        cmocka_unit_test(comments_are_allowed_in_every_object),
        cmocka_unit_test(a_key_may_depend_on_a_flag),
        cmocka_unit_test(the_top_has_to_be_an_object),
        cmocka_unit_test(every_row_has_help_and_a_name_of_its_own),
        cmocka_unit_test(every_range_fits_the_field_and_has_the_default_inside),
        cmocka_unit_test(what_rows_refer_to_is_there_and_read_before),
        cmocka_unit_test(the_reference_names_every_key),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
