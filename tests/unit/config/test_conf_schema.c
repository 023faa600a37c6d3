/* The schema is what is checked in, and keys are explained. */
#include "config_rows.h"
#include "failing_alloc.h"
#include "unit_test.h"

#include <sallyport/config/schema.h>

#include <stdio.h>
#include <stdlib.h>

static char *schema(void)
{
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);

    assert_non_null(out);
    assert_true(config_print_schema(out));
    assert_int_equal(fclose(out), 0);
    return text;
}

static char *read_file(const char *path)
{
    FILE *in = fopen(path, "re");
    char *text = calloc(1, 1 << 20);

    assert_non_null(text);
    if (in == NULL)
        return text;
    assert_true(fread(text, 1, (1 << 20) - 1, in) > 0);
    assert_int_equal(fclose(in), 0);
    return text;
}

/* Otherwise: sallyport config schema > conf/sallyport.schema.json */
static void the_schema_is_the_one_in_conf(void **state)
{
    char *now = schema(), *checked_in = read_file(SALLYPORT_SOURCE "/conf/sallyport.schema.json");

    (void)state;
    assert_string_equal(checked_in, now);
    free(now);
    free(checked_in);
}

static void each_failed_allocation_of_the_schema_is_survived(void **state)
{
    FILE *null = fopen("/dev/null", "we");

    (void)state;
    assert_non_null(null);
    for (unsigned nth = 0;; nth++) {
        failing_alloc_arm(nth);
        bool ok = config_print_schema(null);
        bool hit = failing_alloc_hit();
        assert_int_equal(failing_alloc_live(), 0);
        if (!hit) {
            assert_true(ok);
            break;
        }
        assert_false(ok);
    }
    assert_int_equal(fclose(null), 0);
}

static bool explain(const char *key, char **text, struct view *nearest)
{
    size_t len = 0;
    FILE *out = open_memstream(text, &len);

    assert_non_null(out);
    bool found = config_explain(view_of(key), out, nearest);
    assert_int_equal(fclose(out), 0);
    return found;
}

static void a_key_is_explained(void **state)
{
    static const struct {
        const char *key, *begins;
    } examples[] = {
        {"/ports/443/strict_sni",
         "/ports/*/strict_sni\n    true or false; default: false; only with \"tls\": true\n"
         "    Refuse a name that no bundle has (alert unrecognized_name) instead of the default\n"
         "    bundle.\n    A change touches: settings of a port, for connections accepted from "
         "then "
         "on.\n"},
        {"strict_sni", "/ports/*/strict_sni\n"},
        {"/routes/3/backend", "/routes/0/backend\n"},
        {"/routes", "/routes/0\n"},
        {"/routes/0", "/routes/0\n"},
        {"/ports/80/limits/max_fields", "/ports/*/limits/max_fields\n"},
        {"max_fields", "/limits/max_fields\n"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(examples) / sizeof(examples[0]); i++) {
        struct view nearest;
        char *text;

        assert_true(explain(examples[i].key, &text, &nearest));
        assert_true(view_starts_with(view_of(text), view_of(examples[i].begins)));
        free(text);
    }
}

static void an_unknown_key_has_a_nearest_one(void **state)
{
    struct view nearest;
    char *text;

    (void)state;
    assert_false(explain("/ports/443/stric_sni", &text, &nearest));
    assert_true(view_eq(nearest, VIEW("strict_sni")));
    free(text);
    assert_false(explain("bakends", &text, &nearest));
    assert_true(view_eq(nearest, VIEW("backends")));
    free(text);
    assert_false(explain("", &text, &nearest));
    assert_true(view_eq(nearest, VIEW("")));
    free(text);
}

/* A schema names an object by its noun. */
static void check_nouns(const struct conf_table *t, const struct conf_table **seen, size_t *n)
{
    for (size_t i = 0; i < *n; i++) {
        if (seen[i] == t)
            return;
        assert_string_not_equal(seen[i]->noun, t->noun);
    }
    assert_true(*n < 64);
    seen[(*n)++] = t;
    for (size_t i = 0; i < t->n_rows; i++)
        if (t->rows[i].type == CONF_OBJECT || t->rows[i].type == CONF_LIST ||
            t->rows[i].type == CONF_MAP)
            check_nouns(t->rows[i].table, seen, n);
}

static void no_two_tables_have_the_same_noun(void **state)
{
    const struct conf_table *seen[64];
    size_t n = 0;

    (void)state;
    check_nouns(&conf_config_table, seen, &n);
}

static void every_key_at_the_top_says_what_it_touches(void **state)
{
    (void)state;
    for (size_t i = 0; i < conf_config_table.n_rows; i++) {
        const struct conf_row *row = &conf_config_table.rows[i];

        assert_int_not_equal(row->touches, CONF_TOUCHES_AS_ABOVE);
        assert_true((row->type == CONF_MAP) == (row->opens != CONF_TOUCHES_AS_ABOVE));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_schema_is_the_one_in_conf),
        cmocka_unit_test(each_failed_allocation_of_the_schema_is_survived),
        cmocka_unit_test(a_key_is_explained),
        cmocka_unit_test(an_unknown_key_has_a_nearest_one),
        cmocka_unit_test(no_two_tables_have_the_same_noun),
        cmocka_unit_test(every_key_at_the_top_says_what_it_touches),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
