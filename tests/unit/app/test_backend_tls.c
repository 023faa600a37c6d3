/* What backends with TLS need, read from a configuration: who gets a client, and what is told. */
#include "backend_tls.h"
#include "failing_alloc.h"
#include "unit_test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MISSING "/nowhere/ca.pem"

struct told {
    unsigned n_errors, n_warnings;
    char pointer[128];
};

static void note(void *arg, const struct certificates_problem *p)
{
    struct told *told = arg;
    size_t n = p->pointer.len < sizeof(told->pointer) ? p->pointer.len : sizeof(told->pointer) - 1;

    if (p->warning) {
        told->n_warnings++;
        return;
    }
    told->n_errors++;
    memcpy(told->pointer, p->pointer.p, n);
    told->pointer[n] = '\0';
}

static struct config *parse(const char *backends)
{
    char text[2048];
    struct config_problems problems;
    struct config *config;

    (void)snprintf(text, sizeof(text),
                   "{\"ports\": {\"127.0.0.1:0\": {\"tls\": false}}, \"backends\": {%s},"
                   " \"routes\": [{\"backend\": \"a\"}, {\"path\": \"/b\", \"backend\": \"b\"}]}",
                   backends);
    config_problems_init(&problems);
    config = config_parse(view_of(text), "test", "/", &problems);
    if (config == NULL)
        config_problems_print(&problems, stderr);
    config_problems_fini(&problems);
    assert_non_null(config);
    return config;
}

/* Without files: nothing is verified. */
static const char two_and_one[] =
    "\"a\": {\"servers\": [\"127.0.0.1:1\", \"127.0.0.1:2\"], \"tls\": {\"verify\": false}},"
    "\"b\": {\"servers\": [\"127.0.0.1:3\"]}";

static void each_server_of_a_backend_with_tls_gets_a_client(void **state)
{
    struct config *config = parse(two_and_one);
    struct told told = {0};
    struct backend_tls tls;

    (void)state;
    assert_true(backend_tls_make(&tls, config, &(struct certificates_reporter){note, &told}));
    assert_int_equal(tls.n, 3);
    assert_non_null(tls.clients[0]);
    assert_non_null(tls.clients[1]);
    assert_ptr_not_equal(tls.clients[0], tls.clients[1]);
    assert_null(tls.clients[2]);
    assert_int_equal(told.n_errors + told.n_warnings, 0);
    backend_tls_fini(&tls);
    backend_tls_fini(&tls);
    config_unref(config);
}

static void what_is_wrong_with_a_backend_is_told_once(void **state)
{
    struct config *config =
        parse("\"a\": {\"servers\": [\"127.0.0.1:1\", \"127.0.0.1:2\"],"
              " \"tls\": {\"ca_file\": \"" MISSING "\"}},"
              "\"b\": {\"servers\": [\"127.0.0.1:3\"], \"tls\": {\"verify\": false}}");
    struct told told = {0};
    struct backend_tls tls;

    (void)state;
    assert_false(backend_tls_make(&tls, config, &(struct certificates_reporter){note, &told}));
    assert_int_equal(told.n_errors, 1);
    assert_string_equal(told.pointer, "/backends/a/tls/ca_file");
    assert_null(tls.clients);
    config_unref(config);
}

static void each_failed_allocation_is_told(void **state)
{
    struct config *config = parse(two_and_one);
    bool failed = true;

    (void)state;
    for (unsigned nth = 0; failed; nth++) {
        struct told told = {0};
        struct backend_tls tls;
        bool ok;

        failing_alloc_arm(nth);
        ok = backend_tls_make(&tls, config, &(struct certificates_reporter){note, &told});
        failed = failing_alloc_hit();
        assert_int_equal(ok, !failed);
        assert_int_equal(told.n_errors > 0, failed);
        if (ok)
            backend_tls_fini(&tls);
        assert_int_equal(failing_alloc_live(), 0);
    }
    config_unref(config);
}

static void a_pointer_that_is_too_long_is_cut(void **state)
{
    char dst[CERTIFICATES_POINTER_MAX], name[1000];
    struct view pointer;

    (void)state;
    memset(name, 'n', sizeof(name));
    pointer =
        certificates_pointer(dst, "/backends/", (struct view){name, sizeof(name)}, "/tls/", "key");
    assert_int_equal(pointer.len, CERTIFICATES_POINTER_MAX);
    pointer = certificates_pointer(dst, "/backends/", VIEW("b"), "/tls/", "key");
    assert_true(view_eq(pointer, VIEW("/backends/b/tls/key")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_server_of_a_backend_with_tls_gets_a_client),
        cmocka_unit_test(what_is_wrong_with_a_backend_is_told_once),
        cmocka_unit_test(each_failed_allocation_is_told),
        cmocka_unit_test(a_pointer_that_is_too_long_is_cut),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
