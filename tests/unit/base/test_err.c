/* The error list: labels fit for logs and metrics, and the rows that errno values go to. */
#include "unit_test.h"

#include <sallyport/base/err.h>

#include <ctype.h>
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

static void each_label_is_short_lower_case_and_unique(void **state)
{
    (void)state;
    for (int i = 0; i < SP_ERR_COUNT; i++) {
        const char *label = sp_err_label((enum sp_err)i);

        assert_in_range(strlen(label), 1, 24);
        for (const char *c = label; *c != '\0'; c++)
            assert_true(islower((unsigned char)*c) || *c == '_');
        for (int k = 0; k < i; k++)
            assert_string_not_equal(label, sp_err_label((enum sp_err)k));
        assert_true(strlen(sp_err_text((enum sp_err)i)) > 0);
    }
    assert_string_equal(sp_err_label(SP_OK), "ok");
    assert_string_equal(sp_err_label(SP_TLS_SNI), "tls_sni");
    assert_string_equal(sp_err_text(SP_NOMEM), "out of memory");
}

static void a_value_outside_the_list_has_a_name_too(void **state)
{
    (void)state;
    assert_string_equal(sp_err_label((enum sp_err)9999), "unknown");
    assert_true(strlen(sp_err_text(SP_ERR_COUNT)) > 0);
}

static void errno_goes_to_the_row_that_fits(void **state)
{
    (void)state;
    assert_int_equal(sp_err_of_errno(0), SP_OK);
    assert_int_equal(sp_err_of_errno(ENOMEM), SP_NOMEM);
    assert_int_equal(sp_err_of_errno(EMFILE), SP_NOFILE);
    assert_int_equal(sp_err_of_errno(ECONNREFUSED), SP_CONN_REFUSED);
    assert_int_equal(sp_err_of_errno(ENOENT), SP_CONN_REFUSED);
    assert_int_equal(sp_err_of_errno(EHOSTUNREACH), SP_CONN_UNREACHABLE);
    assert_int_equal(sp_err_of_errno(ETIMEDOUT), SP_CONN_TIMEOUT);
    assert_int_equal(sp_err_of_errno(EPIPE), SP_PEER_RESET);
    assert_int_equal(sp_err_of_errno(ECONNRESET), SP_PEER_RESET);
    assert_int_equal(sp_err_of_errno(EIO), SP_SYSCALL);
}

static void fail_an_assertion(int error_fd)
{
    const struct rlimit no_core = {0, 0};
    const struct sigaction by_default = {.sa_handler = SIG_DFL};

    (void)sigaction(SIGABRT, &by_default, NULL); /* cmocka's handler would go on with the tests */
    (void)setrlimit(RLIMIT_CORE, &no_core);
    (void)dup2(error_fd, STDERR_FILENO);
    sp_assert_failed("1 == 2", "some_file.c", 42);
}

static void a_broken_invariant_says_which_and_aborts(void **state)
{
    char text[200];
    int fds[2], status = 0;
    ssize_t n;
    pid_t child;

    (void)state;
    assert_int_equal(pipe(fds), 0);
    child = fork();
    assert_true(child >= 0);
    if (child == 0)
        fail_an_assertion(fds[1]);
    (void)close(fds[1]);
    n = read(fds[0], text, sizeof(text) - 1);
    (void)close(fds[0]);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    assert_true(n > 0);
    text[n] = '\0';
    assert_string_equal(text, "some_file.c:42: broken invariant: 1 == 2\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_label_is_short_lower_case_and_unique),
        cmocka_unit_test(a_value_outside_the_list_has_a_name_too),
        cmocka_unit_test(errno_goes_to_the_row_that_fits),
        cmocka_unit_test(a_broken_invariant_says_which_and_aborts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
