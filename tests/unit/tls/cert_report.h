/* What a load of certificates said, a line each: "bundle|file name|text", "warning: " before a
 * warning; and a folder for each test. */
#pragma once

#include "tls_certs.h"

#include <sallyport/tls/cert_problem.h>

#include <openssl/err.h>

struct report {
    char text[8192];
    size_t len;
    unsigned n_errors;
};

static inline void report_take(void *arg, const struct cert_problem *problem)
{
    struct report *report = arg;
    const char *slash =
        problem->file.len == 0 ? NULL : memrchr(problem->file.p, '/', problem->file.len);
    struct view file = slash == NULL
                           ? problem->file
                           : view_from(problem->file, (size_t)(slash + 1 - problem->file.p));
    int n =
        snprintf(report->text + report->len, sizeof(report->text) - report->len,
                 "%s" VIEW_FMT "|" VIEW_FMT "|" VIEW_FMT "\n", problem->warning ? "warning: " : "",
                 VIEW_ARG(problem->bundle), VIEW_ARG(file), VIEW_ARG(problem->text));

    assert_true(n > 0 && (size_t)n < sizeof(report->text) - report->len);
    report->len += (size_t)n;
    report->n_errors += !problem->warning;
}

static inline void report_assert_has(const struct report *report, const char *line)
{
    if (strstr(report->text, line) == NULL)
        fail_msg("\"%s\" is not in:\n%s", line, report->text);
}

static inline int folder_setup(void **state)
{
    struct test_folder *f = malloc(sizeof(*f));

    assert_non_null(f);
    folder_make(f);
    *state = f;
    return 0;
}

static inline int folder_teardown(void **state)
{
    folder_remove(*state);
    free(*state);
    ERR_clear_error();
    return 0;
}

#define WITH_FOLDER(f) cmocka_unit_test_setup_teardown(f, folder_setup, folder_teardown)
