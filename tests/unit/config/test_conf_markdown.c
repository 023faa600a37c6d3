/* The reference as Markdown: nothing is left out, and what it links to is there. */
#include "config_rows.h"
#include "unit_test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char *printed(void)
{
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);

    assert_non_null(out);
    config_print_markdown(out);
    assert_int_equal(fclose(out), 0);
    return text;
}

static void assert_contains(const char *text, const char *part)
{
    if (strstr(text, part) == NULL)
        fail_msg("not in the reference: %s", part);
}

static void every_key_has_a_line(const struct conf_table *t, const char *text)
{
    for (size_t i = 0; i < t->n_rows; i++) {
        char cell[64];

        (void)snprintf(cell, sizeof(cell), "`%s`", t->rows[i].name);
        assert_contains(text, cell);
    }
}

static void keys_of_all_objects_are_printed(void **state)
{
    static const struct conf_table *const tables[] = {
        &conf_config_table,  &conf_accept_table, &conf_limits_table, &conf_bundle_table,
        &conf_backend_table, &conf_port_table,   &conf_route_table};
    char *text = printed();

    (void)state;
    for (size_t i = 0; i < SP_COUNT_OF(tables); i++)
        every_key_has_a_line(tables[i], text);
    free(text);
}

/* "](#portsaccept)" leads to "### /ports/\*\/accept" and the like. */
static bool has_heading(const char *text, const char *anchor, size_t len)
{
    for (const char *at = text; (at = strstr(at, "\n### ")) != NULL;) {
        char made[128];
        size_t n = 0;

        for (at += 5; *at != '\n' && n < sizeof(made); at++)
            if (strchr("/* ", *at) == NULL)
                made[n++] = *at;
        if (n == len && memcmp(made, anchor, n) == 0)
            return true;
    }
    return false;
}

static void every_link_has_its_heading(void **state)
{
    char *text = printed();
    int n = 0;

    (void)state;
    for (const char *at = text; (at = strstr(at, "](#")) != NULL; n++) {
        size_t len;

        at += 3;
        len = strcspn(at, ")");
        if (!has_heading(text, at, len))
            fail_msg("no heading for #%.*s", (int)len, at);
    }
    assert_true(n > 10);
    free(text);
}

static void a_row_says_value_default_and_condition(void **state)
{
    char *text = printed();

    (void)state;
    assert_contains(text, "| `max_head_bytes` | an integer from 1024 to 1048576 (bytes) | `32768` "
                          "| Of a request's head: the request line and all header fields. |\n");
    assert_contains(text, "| [`servers`](#backendsservers0) | a list of servers (at least 1) | "
                          "required | ");
    assert_contains(text, "| `path` | a path or \"-\" | standard error | ");
    assert_contains(text, "Only with `\"tls\": true`. |\n");
    assert_contains(text, "The keys are those of [/limits](#limits). |\n");
    assert_contains(text, "\"\\*.\" stands for one label.");
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_of_all_objects_are_printed),
        cmocka_unit_test(every_link_has_its_heading),
        cmocka_unit_test(a_row_says_value_default_and_condition),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
