/* Configurations out of text, and what is wrong with them as lines. */
#pragma once

#include "unit_test.h"

#include <sallyport/config/config.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct parsed {
    struct config_problems problems;
    struct config *config; /* NULL: refused */
};

static inline struct parsed *parse(const char *text)
{
    struct parsed *p = calloc(1, sizeof(*p));

    assert_non_null(p);
    config_problems_init(&p->problems);
    p->config = config_parse(view_of(text), "test.json", "/etc/sallyport", &p->problems);
    return p;
}

static inline void parsed_free(struct parsed *p)
{
    config_unref(p->config);
    config_problems_fini(&p->problems);
    free(p);
}

/* The lines that config_problems_print() prints; the caller frees. */
static inline char *problem_lines(const struct config_problems *problems)
{
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);

    assert_non_null(out);
    config_problems_print(problems, out);
    assert_int_equal(fclose(out), 0);
    return text;
}

static inline void assert_problems(const char *text, const char *lines)
{
    struct parsed *p = parse(text);
    char *printed = problem_lines(&p->problems);

    assert_string_equal(printed, lines);
    free(printed);
    parsed_free(p);
}

/* A configuration without problems. */
static inline struct parsed *parse_good(const char *text)
{
    struct parsed *p = parse(text);

    if (p->config == NULL || p->problems.n > 0)
        config_problems_print(&p->problems, stderr);
    assert_non_null(p->config);
    assert_int_equal(p->problems.n, 0);
    return p;
}

static inline void assert_view(struct view v, const char *expected)
{
    assert_int_equal(v.len, strlen(expected));
    assert_memory_equal(v.p == NULL ? "" : v.p, expected, v.len);
}

/* The pieces of the smallest configurations. */
#define PLAIN_PORT "\"ports\": {\"80\": {\"tls\": false}}"
#define TEXT_ROUTE "\"routes\": [{\"respond\": {\"text\": \"x\"}}]"
