/* Documents: reading and changing them by pointers and patches, and how they are laid out. */
#include "failing_alloc.h"
#include "unit_test.h"

#include <sallyport/config/document.h>

#include <stdio.h>
#include <stdlib.h>

static struct config_document *parse(const char *text)
{
    struct config_problems problems;
    struct config_document *d;

    config_problems_init(&problems);
    d = config_document_parse(view_of(text), "test.json", "/etc/sallyport", &problems);
    config_problems_fini(&problems);
    assert_non_null(d);
    return d;
}

/* The value at a pointer on one line: line breaks and the spaces behind them gone. */
static char *flat(const struct config_document *d, const char *pointer)
{
    struct config_edit_problem problem;
    struct arena arena;
    struct view text;
    size_t len = 0;

    arena_init(&arena);
    if (!config_document_get(d, view_of(pointer), &arena, &text, &problem)) {
        arena_fini(&arena);
        return NULL;
    }
    char *copy = calloc(1, text.len + 1);
    assert_non_null(copy);
    for (size_t i = 0; i < text.len; i++) {
        if (text.p[i] == '\n')
            while (i + 1 < text.len && text.p[i + 1] == ' ')
                i++;
        else
            copy[len++] = text.p[i];
    }
    arena_fini(&arena);
    return copy;
}

static void assert_says(const struct config_document *d, const char *expected)
{
    char *found = flat(d, "");
    struct config_document *e = parse(expected);
    char *canonical = flat(e, "");

    assert_string_equal(found, canonical);
    free(found);
    free(canonical);
    config_document_unref(e);
}

struct example {
    const char *before, *patch;
    const char *after; /* NULL: refused... */
    enum config_edit_status status;
    const char *why; /* ...saying this */
};

static void check_examples(enum config_edit how, const struct example *v, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct config_document *d = parse(v[i].before);
        struct config_edit_problem problem;
        struct config_document *e =
            config_document_edit(d, how, VIEW(""), view_of(v[i].patch), &problem);

        assert_int_equal(problem.status, v[i].status);
        if (v[i].after != NULL) {
            assert_non_null(e);
            assert_says(e, v[i].after);
        } else {
            assert_null(e);
            assert_string_equal(problem.text, v[i].why);
        }
        config_document_unref(e);
        config_document_unref(d);
    }
}

/* clang-format off */
/* What RFC 6902 appendix A shows, A.1 to A.16 without A.13 (the same key twice in an operation is
 * refused by the parser, as everywhere). */
static const struct example patches[] = {
    {"{\"foo\": \"bar\"}", "[{\"op\": \"add\", \"path\": \"/baz\", \"value\": \"qux\"}]",
     "{\"foo\": \"bar\", \"baz\": \"qux\"}", 0, NULL},
    {"{\"foo\": [\"bar\", \"baz\"]}", "[{\"op\": \"add\", \"path\": \"/foo/1\", \"value\": \"qux\"}]",
     "{\"foo\": [\"bar\", \"qux\", \"baz\"]}", 0, NULL},
    {"{\"baz\": \"qux\", \"foo\": \"bar\"}", "[{\"op\": \"remove\", \"path\": \"/baz\"}]",
     "{\"foo\": \"bar\"}", 0, NULL},
    {"{\"foo\": [\"bar\", \"qux\", \"baz\"]}", "[{\"op\": \"remove\", \"path\": \"/foo/1\"}]",
     "{\"foo\": [\"bar\", \"baz\"]}", 0, NULL},
    {"{\"baz\": \"qux\", \"foo\": \"bar\"}", "[{\"op\": \"replace\", \"path\": \"/baz\", \"value\": \"boo\"}]",
     "{\"baz\": \"boo\", \"foo\": \"bar\"}", 0, NULL},
    {"{\"foo\": {\"bar\": \"baz\", \"waldo\": \"fred\"}, \"qux\": {\"corge\": \"grault\"}}",
     "[{\"op\": \"move\", \"from\": \"/foo/waldo\", \"path\": \"/qux/thud\"}]",
     "{\"foo\": {\"bar\": \"baz\"}, \"qux\": {\"corge\": \"grault\", \"thud\": \"fred\"}}", 0, NULL},
    {"{\"foo\": [\"all\", \"grass\", \"cows\", \"eat\"]}",
     "[{\"op\": \"move\", \"from\": \"/foo/1\", \"path\": \"/foo/3\"}]",
     "{\"foo\": [\"all\", \"cows\", \"eat\", \"grass\"]}", 0, NULL},
    {"{\"baz\": \"qux\", \"foo\": [\"a\", 2, \"c\"]}",
     "[{\"op\": \"test\", \"path\": \"/baz\", \"value\": \"qux\"}, {\"op\": \"test\", \"path\": \"/foo/1\", \"value\": 2}]",
     "{\"baz\": \"qux\", \"foo\": [\"a\", 2, \"c\"]}", 0, NULL},
    {"{\"baz\": \"qux\"}", "[{\"op\": \"test\", \"path\": \"/baz\", \"value\": \"bar\"}]",
     NULL, CONFIG_EDIT_TEST, "operation 0 (\"test\"): the value at \"/baz\" is another one"},
    {"{\"foo\": \"bar\"}", "[{\"op\": \"add\", \"path\": \"/child\", \"value\": {\"grandchild\": {}}}]",
     "{\"foo\": \"bar\", \"child\": {\"grandchild\": {}}}", 0, NULL},
    {"{\"foo\": \"bar\"}", "[{\"op\": \"add\", \"path\": \"/baz\", \"value\": \"qux\", \"xyz\": 123}]",
     "{\"foo\": \"bar\", \"baz\": \"qux\"}", 0, NULL},
    {"{\"foo\": \"bar\"}", "[{\"op\": \"add\", \"path\": \"/baz/bat\", \"value\": \"qux\"}]",
     NULL, CONFIG_EDIT_NOT_FOUND, "operation 0 (\"add\"): nothing is at \"/baz/bat\": no key \"baz\""},
    {"{\"/\": 9, \"~1\": 10}", "[{\"op\": \"test\", \"path\": \"/~01\", \"value\": 10}]",
     "{\"/\": 9, \"~1\": 10}", 0, NULL},
    {"{\"/\": 9, \"~1\": 10}", "[{\"op\": \"test\", \"path\": \"/~01\", \"value\": \"10\"}]",
     NULL, CONFIG_EDIT_TEST, "operation 0 (\"test\"): the value at \"/~01\" is another one"},
    {"{\"foo\": [\"bar\"]}", "[{\"op\": \"add\", \"path\": \"/foo/-\", \"value\": [\"abc\", \"def\"]}]",
     "{\"foo\": [\"bar\", [\"abc\", \"def\"]]}", 0, NULL},
    /* What else its text says. */
    {"{\"a\": 1}", "[{\"op\": \"add\", \"path\": \"\", \"value\": {\"b\": 2}}]", "{\"b\": 2}", 0, NULL},
    {"{\"a\": 1}", "[{\"op\": \"add\", \"path\": \"/a\", \"value\": null}]", "{\"a\": null}", 0, NULL},
    {"{\"a\": {\"b\": 1}}", "[{\"op\": \"copy\", \"from\": \"/a\", \"path\": \"/c\"}, {\"op\": \"replace\", \"path\": \"/a/b\", \"value\": 2}]",
     "{\"a\": {\"b\": 2}, \"c\": {\"b\": 1}}", 0, NULL},
    {"{\"a\": 1}", "[{\"op\": \"copy\", \"from\": \"\", \"path\": \"/b\"}]", "{\"a\": 1, \"b\": {\"a\": 1}}", 0, NULL},
    {"{\"a\": 1}", "[{\"op\": \"move\", \"from\": \"/a\", \"path\": \"/a\"}]", "{\"a\": 1}", 0, NULL},
    {"{\"a\": 1.0, \"b\": {\"x\": 1, \"y\": 2}}",
     "[{\"op\": \"test\", \"path\": \"/a\", \"value\": 1}, {\"op\": \"test\", \"path\": \"/b\", \"value\": {\"y\": 2, \"x\": 1}}]",
     "{\"a\": 1.0, \"b\": {\"x\": 1, \"y\": 2}}", 0, NULL},
    {"{\"a\": 1}", "[]", "{\"a\": 1}", 0, NULL},
    /* Whole or not at all, and with a reason. */
    {"{\"a\": 1}", "[{\"op\": \"remove\", \"path\": \"/a\"}, {\"op\": \"remove\", \"path\": \"/a\"}]",
     NULL, CONFIG_EDIT_NOT_FOUND, "operation 1 (\"remove\"): nothing is at \"/a\": no key \"a\""},
    {"{\"routes\": [1]}", "[{\"op\": \"replace\", \"path\": \"/routes/1\", \"value\": 2}]",
     NULL, CONFIG_EDIT_NOT_FOUND, "operation 0 (\"replace\"): nothing is at \"/routes/1\": in \"/routes\" the list has 1 elements, and no \"1\""},
    {"{\"routes\": [1]}", "[{\"op\": \"add\", \"path\": \"/routes/2\", \"value\": 2}]",
     NULL, CONFIG_EDIT_NOT_FOUND, "operation 0 (\"add\"): nothing is at \"/routes/2\": in \"/routes\" the list has 1 elements, and no \"2\""},
    {"{\"routes\": [1]}", "[{\"op\": \"remove\", \"path\": \"/rotues/0\"}]",
     NULL, CONFIG_EDIT_NOT_FOUND, "operation 0 (\"remove\"): nothing is at \"/rotues/0\": no key \"rotues\"; did you mean \"routes\"?"},
    {"{\"a\": 1}", "[{\"op\": \"add\", \"path\": \"/a/b\", \"value\": 2}]",
     NULL, CONFIG_EDIT_NOT_FOUND, "operation 0 (\"add\"): nothing is at \"/a/b\": in \"/a\" there is no object and no list"},
    {"{\"a\": {}}", "[{\"op\": \"move\", \"from\": \"/a\", \"path\": \"/a/b\"}]",
     NULL, CONFIG_EDIT_MALFORMED, "operation 0 (\"move\"): a value cannot be moved into itself"},
    {"{\"a\": 1}", "[{\"op\": \"remove\", \"path\": \"\"}]",
     NULL, CONFIG_EDIT_MALFORMED, "operation 0 (\"remove\"): the whole cannot be removed"},
    {"{\"a\": 1}", "[{\"op\": \"spam\", \"path\": \"/a\"}]",
     NULL, CONFIG_EDIT_MALFORMED, "operation 0 (\"spam\"): \"op\" has to be one of add, remove, replace, move, copy and test"},
    {"{\"a\": 1}", "[{\"op\": \"add\", \"path\": \"/a\"}]",
     NULL, CONFIG_EDIT_MALFORMED, "operation 0 (\"add\"): \"value\" has to be there"},
    {"{\"a\": 1}", "[{\"op\": \"remove\"}]",
     NULL, CONFIG_EDIT_MALFORMED, "operation 0 (\"remove\"): \"path\" has to be there, and a string"},
    {"{\"a\": 1}", "[{\"op\": \"copy\", \"path\": \"/a\"}]",
     NULL, CONFIG_EDIT_MALFORMED, "operation 0 (\"copy\"): \"from\" has to be there, and a string"},
    {"{\"a\": 1}", "[{\"op\": \"remove\", \"path\": \"a\"}]",
     NULL, CONFIG_EDIT_MALFORMED, "operation 0 (\"remove\"): not a JSON pointer (RFC 6901): \"a\""},
    {"{\"a\": 1}", "[1]",
     NULL, CONFIG_EDIT_MALFORMED, "operation 0: \"op\" has to be one of add, remove, replace, move, copy and test"},
    {"{\"a\": 1}", "{}",
     NULL, CONFIG_EDIT_MALFORMED, "a JSON Patch is a list of operations (RFC 6902)"},
    {"{\"a\": 1}", "[",
     NULL, CONFIG_EDIT_MALFORMED, "']' expected near end of file"},
};

/* The table of RFC 7396 appendix A, as far as its originals are objects or lists. */
static const struct example merges[] = {
    {"{\"a\":\"b\"}", "{\"a\":\"c\"}", "{\"a\":\"c\"}", 0, NULL},
    {"{\"a\":\"b\"}", "{\"b\":\"c\"}", "{\"a\":\"b\",\"b\":\"c\"}", 0, NULL},
    {"{\"a\":\"b\"}", "{\"a\":null}", "{}", 0, NULL},
    {"{\"a\":\"b\",\"b\":\"c\"}", "{\"a\":null}", "{\"b\":\"c\"}", 0, NULL},
    {"{\"a\":[\"b\"]}", "{\"a\":\"c\"}", "{\"a\":\"c\"}", 0, NULL},
    {"{\"a\":\"c\"}", "{\"a\":[\"b\"]}", "{\"a\":[\"b\"]}", 0, NULL},
    {"{\"a\":{\"b\":\"c\"}}", "{\"a\":{\"b\":\"d\",\"c\":null}}", "{\"a\":{\"b\":\"d\"}}", 0, NULL},
    {"{\"a\":[{\"b\":\"c\"}]}", "{\"a\":[1]}", "{\"a\":[1]}", 0, NULL},
    {"[\"a\",\"b\"]", "[\"c\",\"d\"]", "[\"c\",\"d\"]", 0, NULL},
    {"{\"a\":\"b\"}", "[\"c\"]", "[\"c\"]", 0, NULL},
    {"{\"e\":null}", "{\"a\":1}", "{\"e\":null,\"a\":1}", 0, NULL},
    {"[1,2]", "{\"a\":\"b\",\"c\":null}", "{\"a\":\"b\"}", 0, NULL},
    {"{}", "{\"a\":{\"bb\":{\"ccc\":null}}}", "{\"a\":{\"bb\":{}}}", 0, NULL},
    {"{}", "{", NULL, CONFIG_EDIT_MALFORMED, "string or '}' expected near end of file"},
};
/* clang-format on */

static void json_patch_does_what_rfc_6902_shows(void **state)
{
    (void)state;
    check_examples(CONFIG_EDIT_PATCH, patches, sizeof(patches) / sizeof(patches[0]));
}

static void merge_patch_does_what_rfc_7396_shows(void **state)
{
    (void)state;
    check_examples(CONFIG_EDIT_MERGE, merges, sizeof(merges) / sizeof(merges[0]));
}

/* RFC 6901 5. */
static void pointers_lead_where_rfc_6901_shows(void **state)
{
    static const struct {
        const char *pointer, *value;
    } examples[] = {
        {"/foo", "[\"bar\", \"baz\"]"},
        {"/foo/0", "\"bar\""},
        {"/", "0"},
        {"/a~1b", "1"},
        {"/c%d", "2"},
        {"/e^f", "3"},
        {"/g|h", "4"},
        {"/i\\j", "5"},
        {"/k\"l", "6"},
        {"/ ", "7"},
        {"/m~0n", "8"},
        {"/foo/-", NULL},
        {"/foo/01", NULL},
        {"/foo/2", NULL},
        {"/none", NULL},
        {"foo", NULL},
        {"/m~2n", NULL},
        {"/m~", NULL},
        {"/foo/0/x", NULL},
    };
    struct config_document *d =
        parse("{\"foo\": [\"bar\", \"baz\"], \"\": 0, \"a/b\": 1, \"c%d\": 2, \"e^f\": 3, "
              "\"g|h\": 4, \"i\\\\j\": 5, \"k\\\"l\": 6, \" \": 7, \"m~n\": 8}");

    (void)state;
    for (size_t i = 0; i < sizeof(examples) / sizeof(examples[0]); i++) {
        char *value = flat(d, examples[i].pointer);

        if (examples[i].value == NULL)
            assert_null(value);
        else
            assert_string_equal(value, examples[i].value);
        free(value);
    }
    config_document_unref(d);
}

static void a_long_key_is_found(void **state)
{
    char text[1000], pointer[600];
    struct config_document *d;

    (void)state;
    memset(pointer, 'k', sizeof(pointer));
    pointer[0] = '/';
    pointer[500] = '\0';
    (void)snprintf(text, sizeof(text), "{\"x\": 1, \"%s\": 2}", pointer + 1);
    d = parse(text);
    char *value = flat(d, pointer);
    assert_string_equal(value, "2");
    free(value);
    config_document_unref(d);
}

static struct config_document *edit(struct config_document *d, enum config_edit how,
                                    const char *pointer, const char *value)
{
    struct config_edit_problem problem;
    struct config_document *e =
        config_document_edit(d, how, view_of(pointer), view_of(value), &problem);

    config_document_unref(d);
    return e;
}

static void set_replaces_adds_and_appends(void **state)
{
    struct config_document *d = parse("{\"a\": [1, 2]}");

    (void)state;
    d = edit(d, CONFIG_EDIT_SET, "/a/0", "\"one\"");
    d = edit(d, CONFIG_EDIT_SET, "/a/-", "3");
    d = edit(d, CONFIG_EDIT_SET, "/b", "{\"c\": true}");
    d = edit(d, CONFIG_EDIT_SET, "/b/c", "false");
    assert_says(d, "{\"a\": [\"one\", 2, 3], \"b\": {\"c\": false}}");
    d = edit(d, CONFIG_EDIT_REMOVE, "/a/1", "");
    d = edit(d, CONFIG_EDIT_REMOVE, "/b", "");
    assert_says(d, "{\"a\": [\"one\", 3]}");
    assert_null(edit(d, CONFIG_EDIT_SET, "/x/y", "1"));
}

static void patches_work_below_a_pointer(void **state)
{
    struct config_document *d =
        parse("{\"a\": {\"b\": {\"c\": 1, \"d\": 2}}, \"l\": [{\"x\": 1}]}");

    (void)state;
    d = edit(d, CONFIG_EDIT_MERGE, "/a/b", "{\"c\": null, \"e\": 3}");
    d = edit(d, CONFIG_EDIT_PATCH, "/l/0",
             "[{\"op\": \"test\", \"path\": \"/x\", \"value\": 1},"
             " {\"op\": \"add\", \"path\": \"\", \"value\": 9}]");
    assert_says(d, "{\"a\": {\"b\": {\"d\": 2, \"e\": 3}}, \"l\": [9]}");
    config_document_unref(d);
}

static void a_change_leaves_the_document_alone(void **state)
{
    struct config_document *d = parse("{\"a\": {\"b\": 1}}");
    struct config_edit_problem problem;
    struct config_document *e = config_document_edit(
        d, CONFIG_EDIT_PATCH, VIEW(""),
        VIEW("[{\"op\": \"replace\", \"path\": \"/a/b\", \"value\": 2}]"), &problem);

    (void)state;
    assert_says(d, "{\"a\": {\"b\": 1}}");
    assert_says(e, "{\"a\": {\"b\": 2}}");
    assert_int_not_equal(config_document_hash(d), config_document_hash(e));
    config_document_unref(d);
    assert_says(e, "{\"a\": {\"b\": 2}}");
    assert_string_equal(config_document_name(e), "test.json");
    assert_string_equal(config_document_folder(e), "/etc/sallyport");
    config_document_unref(e);
}

/* Each copy doubles the document: sixty would not fit into any machine. */
static void a_patch_cannot_grow_without_bound(void **state)
{
    struct config_document *d = parse("{\"a\": [1, 2, 3, 4]}");
    struct config_edit_problem problem;
    char patch[8192] = "[";
    size_t len = 1;

    (void)state;
    for (int i = 0; i < 60; i++)
        len += (size_t)snprintf(patch + len, sizeof(patch) - len,
                                "%s{\"op\": \"copy\", \"from\": \"/a\", \"path\": \"/a/-\"}",
                                i == 0 ? "" : ",");
    (void)snprintf(patch + len, sizeof(patch) - len, "]");
    assert_null(config_document_edit(d, CONFIG_EDIT_PATCH, VIEW(""), view_of(patch), &problem));
    assert_int_equal(problem.status, CONFIG_EDIT_TOO_LARGE);
    config_document_unref(d);
}

static void nesting_has_a_bound(void **state)
{
    struct config_document *d = parse("{}");
    struct config_edit_problem problem;
    char value[1001];

    (void)state;
    memset(value, '[', 500);
    memset(value + 500, ']', 500);
    value[1000] = '\0';
    assert_null(config_document_edit(d, CONFIG_EDIT_SET, VIEW("/a"), view_of(value), &problem));
    assert_int_equal(problem.status, CONFIG_EDIT_TOO_LARGE);
    assert_string_equal(problem.text, "nested more than 200 deep");
    config_document_unref(d);
}

static void a_changed_document_is_laid_out_for_people(void **state)
{
    static const char *const expected =
        "{\n"
        "  \"//\": \"why\",\n"
        "  \"ports\": {\n"
        "    \"443\": { \"bundles\": [\"shop\", \"api\"], \"defer_accept\": 5 },\n"
        "    \"80\": { \"tls\": false, \"redirect_to_port\": 443 }\n"
        "  },\n"
        "  \"bundles\": {\n"
        "    \"shop\": {\n"
        "      \"certs\": [\n"
        "        { \"chain\": \"certs/shop-ecdsa.pem\", \"key\": \"certs/shop-ecdsa.key\" },\n"
        "        { \"chain\": \"certs/shop-rsa.pem\", \"key\": \"certs/shop-rsa.key\" }\n"
        "      ]\n"
        "    }\n"
        "  },\n"
        "  \"empty\": {},\n"
        "  \"none\": [],\n"
        "  \"text\": \"a \\\"b\\\" \\\\ \\n\\t\\u0001 \xc3\xa9\",\n"
        "  \"routes\": [\n"
        "    { \"host\": \"shop.example.com\", \"backend\": \"app\" },\n"
        "    { \"backend\": \"app\" }\n"
        "  ],\n"
        "  \"numbers\": [1, -2, 1.5, 2.0, 1e+300, true, false, null]\n"
        "}\n";
    struct config_document *d = parse(expected), *e;
    struct config_edit_problem problem;

    (void)state;
    e = config_document_edit(d, CONFIG_EDIT_PATCH, VIEW(""), VIEW("[]"), &problem);
    assert_non_null(e);
    assert_string_equal(config_document_text(e).p, expected);
    assert_int_equal(config_document_hash(d), config_document_hash(e));
    config_document_unref(d);
    config_document_unref(e);
}

static void layout_does_not_change_the_hash(void **state)
{
    struct config_document *d = parse("{\"a\":1,\"b\":[ ]}"),
                           *e = parse("{ \"a\" : 1,\n\"b\": []}");

    (void)state;
    assert_int_equal(config_document_hash(d), config_document_hash(e));
    assert_string_equal(config_document_text(d).p, "{\"a\":1,\"b\":[ ]}");
    config_document_unref(d);
    config_document_unref(e);
}

static void a_document_is_read_as_a_configuration(void **state)
{
    struct config_document *d =
        parse("{\"ports\": {\"80\": {\"tls\": false}}, \"routes\": [{\"respond\": {}}]}");
    struct config_problems problems;
    struct config *c;

    (void)state;
    config_problems_init(&problems);
    c = config_of_document(d, &problems);
    assert_non_null(c);
    assert_ptr_equal(c->document, d);
    assert_int_equal(c->n_ports, 1);
    config_unref(c);
    d = edit(d, CONFIG_EDIT_SET, "/ports/80/defer_accept", "-7");
    assert_null(config_of_document(d, &problems));
    assert_int_equal(problems.n_errors, 1);
    assert_string_equal(problems.v[0].pointer.p, "/ports/80/defer_accept");
    assert_int_equal(problems.v[0].line, 2);
    config_problems_fini(&problems);
    config_document_unref(d);
}

static void each_failed_allocation_of_a_change_is_survived(void **state)
{
    static const enum config_edit hows[] = {CONFIG_EDIT_SET, CONFIG_EDIT_REMOVE, CONFIG_EDIT_PATCH,
                                            CONFIG_EDIT_MERGE};
    static const char *const values[] = {
        "{\"x\": [1, \"two\"]}", "",
        ("[{\"op\": \"copy\", \"from\": \"/a\", \"path\": \"/b\"},"
         " {\"op\": \"move\", \"from\": \"/a/c\", \"path\": \"/l/0\"}]"),
        "{\"a\": {\"c\": null}}"};
    struct config_document *d = parse("{\"a\": {\"c\": \"text\"}, \"l\": [1, 2.5]}");

    (void)state;
    for (size_t i = 0; i < 4; i++) {
        const char *at = i < 2 ? "/a" : "";

        for (unsigned nth = 0;; nth++) {
            struct config_edit_problem problem;

            failing_alloc_arm(nth);
            struct config_document *e =
                config_document_edit(d, hows[i], view_of(at), view_of(values[i]), &problem);
            bool hit = failing_alloc_hit();
            assert_true(hit ? e == NULL && problem.status == CONFIG_EDIT_NOMEM : e != NULL);
            config_document_unref(e);
            assert_int_equal(failing_alloc_live(), 0);
            if (!hit)
                break;
        }
    }
    config_document_unref(d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(json_patch_does_what_rfc_6902_shows),
        cmocka_unit_test(merge_patch_does_what_rfc_7396_shows),
        cmocka_unit_test(pointers_lead_where_rfc_6901_shows),
        cmocka_unit_test(a_long_key_is_found),
        cmocka_unit_test(set_replaces_adds_and_appends),
        cmocka_unit_test(patches_work_below_a_pointer),
        cmocka_unit_test(a_change_leaves_the_document_alone),
        cmocka_unit_test(a_patch_cannot_grow_without_bound),
        cmocka_unit_test(nesting_has_a_bound),
        cmocka_unit_test(a_changed_document_is_laid_out_for_people),
        cmocka_unit_test(layout_does_not_change_the_hash),
        cmocka_unit_test(a_document_is_read_as_a_configuration),
        cmocka_unit_test(each_failed_allocation_of_a_change_is_survived),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
