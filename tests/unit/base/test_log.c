/* Log lines: their form, their levels, their limits. Standard error is read back through a pipe. */
#include "unit_test.h"

#include <sallyport/base/clock.h>
#include <sallyport/base/log.h>
#include <sallyport/base/log_sink.h>

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* ---- A clock that stands still, and a standard error that can be read ---- */

static int64_t now_wall_ms, now_mono_ms;

static int64_t fake_mono_ns(void)
{
    return now_mono_ms * 1000000;
}

static int64_t fake_wall_ms(void)
{
    return now_wall_ms;
}

static int saved_stderr = -1, captured_fd = -1;

static int setup(void **state)
{
    static const struct clock_source clocks = {.mono_ns = fake_mono_ns, .wall_ms = fake_wall_ms};
    int fds[2];

    (void)state;
    if (pipe2(fds, O_CLOEXEC | O_NONBLOCK) != 0)
        return -1;
    saved_stderr = dup(STDERR_FILENO);
    (void)dup2(fds[1], STDERR_FILENO);
    (void)close(fds[1]);
    captured_fd = fds[0];
    now_wall_ms = INT64_C(1795407000123);
    now_mono_ms = 1000;
    clock_set_for_test(&clocks);
    return log_set_levels(VIEW("info")) ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    (void)dup2(saved_stderr, STDERR_FILENO);
    (void)close(saved_stderr);
    (void)close(captured_fd);
    clock_set_for_test(NULL);
    log_set_sink(NULL);
    return 0;
}

/* What was written to standard error since the last call. */
static const char *captured(void)
{
    static char text[8192];
    ssize_t n = read(captured_fd, text, sizeof(text) - 1);

    text[n > 0 ? n : 0] = '\0';
    return text;
}

/* ---- Lines ---- */

static void a_line_has_time_level_subject_and_text(void **state)
{
    (void)state;
    LOG_WARN(TLS, "vc=%d err=%s", 17, "tls_version");
    assert_string_equal(captured(), "2026-11-23T04:10:00.123Z warn tls vc=17 err=tls_version\n");
}

static void dates_are_those_of_the_calendar(void **state)
{
    static const struct {
        int64_t s;
        const char *text;
    } dates[] = {
        {0, "1970-01-01T00:00:00"},          {951782399, "2000-02-28T23:59:59"},
        {951782400, "2000-02-29T00:00:00"},  {951868800, "2000-03-01T00:00:00"},
        {1709164800, "2024-02-29T00:00:00"}, {1735689599, "2024-12-31T23:59:59"},
        {1735689600, "2025-01-01T00:00:00"}, {4107542400, "2100-03-01T00:00:00"},
    };

    (void)state;
    for (size_t i = 0; i < SP_COUNT_OF(dates); i++) {
        now_wall_ms = dates[i].s * 1000 + 7;
        LOG_INFO(APP, "x");
        char expected[64];
        (void)snprintf(expected, sizeof(expected), "%s.007Z info app x\n", dates[i].text);
        assert_string_equal(captured(), expected);
    }
}

static void a_line_too_long_is_cut_and_stays_one_line(void **state)
{
    static char text[5000];
    const char *line;
    size_t len;

    (void)state;
    memset(text, 'x', sizeof(text) - 1);
    LOG_ERROR(HTTP, "%s", text);
    line = captured();
    len = strlen(line);
    assert_in_range(len, 2000, 2048);
    assert_string_equal(line + len - 5, "x...\n");
    assert_ptr_equal(strchr(line, '\n'), line + len - 1);
}

static void control_bytes_cannot_forge_a_line(void **state)
{
    (void)state;
    LOG_INFO(HTTP, "path=%s", "/a\r\n2026 error\x7f\x1b[31m");
    assert_string_equal(captured(),
                        "2026-11-23T04:10:00.123Z info http path=/a  2026 error  [31m\n");
}

static void logging_leaves_errno_as_it_was(void **state)
{
    (void)state;
    (void)close(STDERR_FILENO); /* the write fails */
    errno = ECONNRESET;
    LOG_INFO(NET, "x");
    assert_int_equal(errno, ECONNRESET);
}

static void a_sink_takes_the_place_of_standard_error(void **state)
{
    struct log_sink_options options = {.label = "test"}; /* which writes there, too */
    struct log_sink *sink;

    (void)state;
    assert_int_equal(log_sink_open(&options, &sink), SP_OK);
    log_set_sink(sink);
    LOG_INFO(APP, "through the sink");
    log_set_sink(NULL);
    log_sink_close(sink);
    assert_string_equal(captured(), "2026-11-23T04:10:00.123Z info app through the sink\n");
}

/* ---- Limits ---- */

static void log_a_limited_line(int i)
{
    LOG_LIMITED(NET, WARN, "i=%d", i);
}

static int lines_in(const char *text)
{
    int n = 0;

    for (; *text != '\0'; text++)
        n += *text == '\n';
    return n;
}

static void a_place_that_repeats_is_limited_and_tells_what_it_left_out(void **state)
{
    const char *text;

    (void)state;
    for (int i = 0; i < 25; i++)
        log_a_limited_line(i);
    text = captured();
    assert_int_equal(lines_in(text), LOG_BURST);
    assert_null(strstr(text, "suppressed"));
    now_mono_ms += 1000;
    log_a_limited_line(25);
    assert_string_equal(captured(), "2026-11-23T04:10:00.123Z warn net i=25 suppressed=15\n");
    log_a_limited_line(26);
    assert_string_equal(captured(), "2026-11-23T04:10:00.123Z warn net i=26\n");
}

static void the_count_of_suppressed_lines_survives_a_cut(void **state)
{
    static struct log_limiter limiter;
    static char text[5000];
    const char *line;

    (void)state;
    memset(text, 'x', sizeof(text) - 1);
    now_mono_ms = 5000;
    atomic_store(&limiter.suppressed, UINT32_MAX);
    log_write_limited(&limiter, LOG_SUBJECT_UPSTREAM, LOG_LEVEL_ERROR, "%s", text);
    line = captured();
    assert_true(strlen(line) <= 2048);
    assert_non_null(strstr(line, "xxx... suppressed=4294967295\n"));
}

/* ---- Levels ---- */

static void a_line_below_its_subjects_level_is_not_formatted(void **state)
{
    int evaluated = 0;

    (void)state;
    LOG_DEBUG(TLS, "%d", ++evaluated);
    LOG_LIMITED(TLS, DEBUG, "%d", ++evaluated);
    assert_int_equal(evaluated, 0);
    assert_string_equal(captured(), "");
}

static void a_spec_sets_a_default_and_exceptions(void **state)
{
    (void)state;
    assert_true(log_set_levels(VIEW("warn,tls=debug,net=trace")));
    assert_false(LOG_ENABLED(APP, INFO));
    assert_true(LOG_ENABLED(APP, WARN));
    assert_true(LOG_ENABLED(TLS, DEBUG));
    assert_false(LOG_ENABLED(TLS, TRACE));
    assert_true(LOG_ENABLED(NET, TRACE));
    assert_true(log_set_levels(VIEW("error")));
    assert_false(LOG_ENABLED(NET, WARN));
    assert_true(log_set_levels(VIEW("dns=debug")));
    assert_true(LOG_ENABLED(NET, INFO));
    assert_false(LOG_ENABLED(NET, DEBUG));
    assert_true(LOG_ENABLED(DNS, DEBUG));
}

static void a_spec_not_understood_changes_nothing(void **state)
{
    static const struct view specs[] = {
        {NULL, 0},
        VIEW_INIT(""),
        VIEW_INIT(","),
        VIEW_INIT("loud"),
        VIEW_INIT("WARN"),
        VIEW_INIT("warn,"),
        VIEW_INIT(",warn"),
        VIEW_INIT("warn,error"),
        VIEW_INIT("warn,tls"),
        VIEW_INIT("warn,tls="),
        VIEW_INIT("warn,=debug"),
        VIEW_INIT("warn,tls=debug=trace"),
        VIEW_INIT("warn,smtp=debug"),
        VIEW_INIT("warn, tls=debug"),
        VIEW_INIT("tls=debug,warn"),
        VIEW_INIT("warn,tls=debug,net=loud"),
    };

    (void)state;
    assert_true(log_set_levels(VIEW("error,http=trace")));
    for (size_t i = 0; i < SP_COUNT_OF(specs); i++) {
        assert_false(log_set_levels(specs[i]));
        assert_true(LOG_ENABLED(HTTP, TRACE));
        assert_false(LOG_ENABLED(TLS, WARN));
    }
}

/* ---- Peer bytes ---- */

static void assert_escaped(size_t cap, struct view bytes, const char *expected)
{
    char dst[64];

    memset(dst, 'Z', sizeof(dst));
    assert_ptr_equal(log_escape(dst, cap, bytes), dst);
    assert_string_equal(dst, expected);
    for (size_t i = cap; i < sizeof(dst); i++)
        assert_int_equal(dst[i], 'Z');
}

static void peer_bytes_are_printable_or_hex(void **state)
{
    (void)state;
    assert_escaped(64, VIEW("GET /~a \"b\""), "GET /~a \"b\"");
    assert_escaped(64, VIEW("a\r\n\0\x7f\xff"), "a\\x0d\\x0a\\x00\\x7f\\xff");
    assert_escaped(64, (struct view){NULL, 0}, "");
}

static void long_peer_bytes_are_cut_between_escapes(void **state)
{
    (void)state;
    assert_escaped(8, VIEW("1234567"), "1234567");
    assert_escaped(8, VIEW("12345678"), "1234...");
    assert_escaped(8, VIEW("\1"), "\\x01");
    assert_escaped(8, VIEW("abc\1"), "abc\\x01");
    assert_escaped(8, VIEW("\1\2"), "\\x01...");
    assert_escaped(8, VIEW("a\1\2"), "a...");
    assert_escaped(12, VIEW("a\1\2\3"), "a\\x01...");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_line_has_time_level_subject_and_text, setup, teardown),
        cmocka_unit_test_setup_teardown(dates_are_those_of_the_calendar, setup, teardown),
        cmocka_unit_test_setup_teardown(a_line_too_long_is_cut_and_stays_one_line, setup, teardown),
        cmocka_unit_test_setup_teardown(control_bytes_cannot_forge_a_line, setup, teardown),
        cmocka_unit_test_setup_teardown(logging_leaves_errno_as_it_was, setup, teardown),
        cmocka_unit_test_setup_teardown(a_sink_takes_the_place_of_standard_error, setup, teardown),
        cmocka_unit_test_setup_teardown(a_place_that_repeats_is_limited_and_tells_what_it_left_out,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(the_count_of_suppressed_lines_survives_a_cut, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_line_below_its_subjects_level_is_not_formatted, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_spec_sets_a_default_and_exceptions, setup, teardown),
        cmocka_unit_test_setup_teardown(a_spec_not_understood_changes_nothing, setup, teardown),
        cmocka_unit_test(peer_bytes_are_printable_or_hex),
        cmocka_unit_test(long_peer_bytes_are_cut_between_escapes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
