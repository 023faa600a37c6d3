/* The sink: whole lines in order from many threads, drops counted and told, rotation, and targets
 * that fail or hang. */
#include "failing_alloc.h"
#include "unit_test.h"

#include <sallyport/base/log_sink.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* ---- A folder for each test ---- */

static char folder[64], file_path[96], rotated_path[96];

static int setup(void **state)
{
    (void)state;
    (void)snprintf(folder, sizeof(folder), "/tmp/sallyport-test-XXXXXX");
    if (mkdtemp(folder) == NULL)
        return -1;
    (void)snprintf(file_path, sizeof(file_path), "%s/log", folder);
    (void)snprintf(rotated_path, sizeof(rotated_path), "%s/log.1", folder);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    (void)unlink(file_path);
    (void)unlink(rotated_path);
    return rmdir(folder);
}

static struct log_sink *open_sink(size_t cap_bytes)
{
    const struct log_sink_options options = {
        .path = file_path, .cap_bytes = cap_bytes, .label = "test"};
    struct log_sink *sink = NULL;

    assert_int_equal(log_sink_open(&options, &sink), SP_OK);
    return sink;
}

/* The whole of it, terminated; the caller frees it. */
static char *read_all(int fd)
{
    size_t len = 0, cap = 1 << 16;
    char *text = malloc(cap + 1);
    ssize_t n;

    assert_non_null(text);
    while ((n = read(fd, text + len, cap - len)) > 0) {
        len += (size_t)n;
        if (len == cap) {
            char *longer = realloc(text, 2 * cap + 1);

            assert_non_null(longer);
            text = longer;
            cap *= 2;
        }
    }
    (void)close(fd);
    text[len] = '\0';
    return text;
}

static char *read_file(const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    assert_true(fd >= 0);
    return read_all(fd);
}

static void assert_file_holds(const char *path, const char *expected)
{
    char *text = read_file(path);

    assert_string_equal(text, expected);
    free(text);
}

/* The writer counts on its own thread: waits until it has. */
static void wait_for_dropped(const struct log_sink *sink, uint64_t n)
{
    const struct timespec ms = {.tv_nsec = 1000000};

    for (int i = 0; i < 10000 && log_sink_dropped(sink) < n; i++)
        (void)nanosleep(&ms, NULL);
    assert_int_equal(log_sink_dropped(sink), n);
}

/* ---- One thread ---- */

static void lines_reach_the_file_in_order_and_are_appended(void **state)
{
    struct log_sink *sink = open_sink(0);
    struct stat st;

    (void)state;
    log_sink_write(sink, VIEW("one"));
    log_sink_write(sink, (struct view){NULL, 0});
    log_sink_write(sink, VIEW("three"));
    log_sink_close(sink);
    sink = open_sink(0);
    log_sink_write(sink, VIEW("four"));
    assert_int_equal(log_sink_dropped(sink), 0);
    log_sink_close(sink);
    assert_file_holds(file_path, "one\n\nthree\nfour\n");
    assert_int_equal(stat(file_path, &st), 0);
    assert_int_equal(st.st_mode & 0137, 0); /* nobody else reads it, whatever the umask */
}

static void no_sink_is_accepted_everywhere(void **state)
{
    (void)state;
    log_sink_write(NULL, VIEW("nowhere"));
    log_sink_reopen(NULL);
    assert_int_equal(log_sink_dropped(NULL), 0);
    log_sink_close(NULL);
}

static void a_line_longer_than_can_be_written_whole_is_dropped(void **state)
{
    static char bytes[65536];
    const size_t longest = sizeof(bytes) - 160 - 1;
    struct log_sink *sink = open_sink(0);
    char *text;

    (void)state;
    memset(bytes, 'x', sizeof(bytes));
    log_sink_write(sink, (struct view){bytes, longest});
    log_sink_write(sink, (struct view){bytes, longest + 1});
    assert_int_equal(log_sink_dropped(sink), 1);
    log_sink_close(sink);
    text = read_file(file_path);
    assert_int_equal(strspn(text, "x"), longest);
    assert_non_null(strstr(text, " warn test dropped_lines=1\n"));
    free(text);
}

static void a_sink_that_cannot_open_says_why(void **state)
{
    const struct log_sink_options options = {.path = "/nonexistent/log"};
    struct log_sink *sink = NULL;

    (void)state;
    errno = 0;
    assert_int_equal(log_sink_open(&options, &sink), SP_SYSCALL);
    assert_int_equal(errno, ENOENT);
    assert_null(sink);
}

static void opening_survives_each_failed_allocation(void **state)
{
    const struct log_sink_options options = {.path = file_path};

    (void)state;
    for (unsigned nth = 0;; nth++) {
        struct log_sink *sink = NULL;

        failing_alloc_arm(nth);
        enum sp_err err = log_sink_open(&options, &sink);
        if (!failing_alloc_hit()) {
            assert_int_equal(err, SP_OK);
            log_sink_close(sink);
            assert_int_equal(failing_alloc_live(), 0);
            return;
        }
        assert_int_equal(err, SP_NOMEM);
        assert_null(sink);
        assert_int_equal(failing_alloc_live(), 0);
    }
}

/* ---- Rotation ---- */

static void after_a_reopen_lines_go_to_the_new_file(void **state)
{
    struct log_sink *sink = open_sink(0);

    (void)state;
    assert_int_equal(rename(file_path, rotated_path), 0);
    log_sink_reopen(sink);
    log_sink_write(sink, VIEW("new"));
    log_sink_close(sink);
    assert_file_holds(file_path, "new\n");
    assert_file_holds(rotated_path, "");
}

static void a_reopen_that_fails_keeps_the_old_file(void **state)
{
    struct log_sink *sink = open_sink(0);
    char *text;

    (void)state;
    assert_int_equal(rename(file_path, rotated_path), 0);
    assert_int_equal(mkdir(file_path, 0700), 0); /* a folder cannot be written to */
    log_sink_reopen(sink);
    log_sink_write(sink, VIEW("old"));
    log_sink_close(sink);
    assert_int_equal(rmdir(file_path), 0);
    text = read_file(rotated_path);
    assert_non_null(strstr(text, " error test reopen=failed errno=21\n"));
    assert_non_null(strstr(text, "old\n"));
    free(text);
}

/* ---- Many threads ---- */

enum { N_THREADS = 4, N_LINES = 5000 };

struct producer {
    struct log_sink *sink;
    int id;
    pthread_t thread;
};

static void *produce(void *arg)
{
    const struct producer *p = arg;

    for (int i = 0; i < N_LINES; i++) {
        char line[64];
        int len = snprintf(line, sizeof(line), "t=%d i=%d %.*s", p->id, i, i % 23,
                           "abcdefghijklmnopqrstuvw");

        log_sink_write(p->sink, (struct view){line, (size_t)len});
    }
    return NULL;
}

static void run_producers(struct log_sink *sink)
{
    struct producer producers[N_THREADS];

    for (int i = 0; i < N_THREADS; i++) {
        producers[i] = (struct producer){.sink = sink, .id = i};
        assert_int_equal(pthread_create(&producers[i].thread, NULL, produce, &producers[i]), 0);
    }
    for (int i = 0; i < N_THREADS; i++)
        assert_int_equal(pthread_join(producers[i].thread, NULL), 0);
}

struct tally {
    int n_lines;
    uint64_t announced; /* dropped lines that notices told of */
};

/* Each line must be whole and behind the one before of the same thread. */
static struct tally check_lines(char *text)
{
    struct tally tally = {0};
    long last[N_THREADS];
    char *rest = text, *line;

    memset(last, 0xff, sizeof(last)); /* -1 */
    while ((line = strsep(&rest, "\n")) != NULL && rest != NULL) {
        const char *notice = strstr(line, " warn test dropped_lines=");
        long id, i;
        char *end;

        if (notice != NULL) {
            tally.announced += strtoul(strchr(notice, '=') + 1, NULL, 10);
            continue;
        }
        assert_true(strncmp(line, "t=", 2) == 0);
        id = strtol(line + 2, &end, 10);
        assert_true(strncmp(end, " i=", 3) == 0);
        i = strtol(end + 3, &end, 10);
        assert_in_range(id, 0, N_THREADS - 1);
        assert_true(i > last[id]);
        last[id] = i;
        assert_int_equal(*end, ' ');
        assert_int_equal(strlen(end + 1), i % 23);
        assert_memory_equal(end + 1, "abcdefghijklmnopqrstuvw", (size_t)i % 23);
        tally.n_lines++;
    }
    return tally;
}

static void lines_of_several_threads_stay_whole_and_in_their_order(void **state)
{
    struct log_sink *sink = open_sink(0);
    struct tally tally;
    char *text;

    (void)state;
    run_producers(sink);
    assert_int_equal(log_sink_dropped(sink), 0);
    log_sink_close(sink);
    text = read_file(file_path);
    tally = check_lines(text);
    assert_int_equal(tally.n_lines, N_THREADS * N_LINES);
    assert_int_equal(tally.announced, 0);
    free(text);
}

static void when_the_queue_overflows_each_dropped_line_is_told_of(void **state)
{
    struct log_sink *sink = open_sink(1); /* the least there is */
    uint64_t dropped;
    struct tally tally;
    char *text;

    (void)state;
    run_producers(sink);
    dropped = log_sink_dropped(sink);
    log_sink_close(sink);
    text = read_file(file_path);
    tally = check_lines(text);
    assert_true(dropped > 0);
    assert_int_equal(tally.announced, dropped);
    assert_int_equal((uint64_t)tally.n_lines + tally.announced, N_THREADS * N_LINES);
    free(text);
}

/* ---- Targets that fail or hang: a FIFO, whose reader is the test ---- */

static int open_fifo_reader(void)
{
    int fd = open(file_path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);

    assert_true(fd >= 0);
    return fd;
}

static void lines_that_cannot_be_written_are_dropped_and_told_of(void **state)
{
    struct log_sink *sink;
    char *text;
    int reader;

    (void)state;
    assert_int_equal(mkfifo(file_path, 0600), 0);
    reader = open_fifo_reader();
    sink = open_sink(0);
    (void)close(reader); /* from now on a write fails, and the signal must not end the program */
    log_sink_write(sink, VIEW("lost"));
    log_sink_write(sink, VIEW("lost"));
    wait_for_dropped(sink, 2);
    log_sink_write(sink, VIEW("lost with the notice of the first two"));
    wait_for_dropped(sink, 3);
    reader = open_fifo_reader();
    log_sink_write(sink, VIEW("back"));
    log_sink_close(sink);
    text = read_all(reader);
    assert_non_null(strstr(text, " warn test dropped_lines=3\nback\n"));
    assert_null(strstr(text, "lost"));
    free(text);
}

/* Of this process, for the files that it writes. */
static void limit_file_size(rlim_t bytes)
{
    struct rlimit limit;

    assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
    limit.rlim_cur = bytes < limit.rlim_max ? bytes : limit.rlim_max;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

static void a_line_broken_off_does_not_run_into_the_next(void **state)
{
    struct log_sink *sink = open_sink(0);
    char *text;

    (void)state;
    limit_file_size(10); /* as a full disk would: a short write, then errors */
    log_sink_write(sink, VIEW("12345"));
    log_sink_write(sink, VIEW("6789 broken off"));
    wait_for_dropped(sink, 1);
    limit_file_size(RLIM_INFINITY);
    log_sink_write(sink, VIEW("next"));
    log_sink_close(sink);
    text = read_file(file_path);
    assert_true(view_starts_with(view_of(text), VIEW("12345\n6789\n2")));
    assert_non_null(strstr(text, " warn test dropped_lines=1\nnext\n"));
    free(text);
}

/* Never reads, and is open to the end of the program: the writer that is left behind must stay in
 * its write(2). */
static int idle_reader;

/* Until not a byte more goes in, so that the next write(2) hangs. */
static void fill_fifo(void)
{
    int fd = open(file_path, O_WRONLY | O_NONBLOCK | O_CLOEXEC);

    assert_true(fd >= 0);
    while (write(fd, "#", 1) == 1)
        ;
    assert_int_equal(errno, EAGAIN);
    (void)close(fd);
}

static void a_target_that_hangs_holds_nobody_and_close_gives_up_on_it(void **state)
{
    struct timespec before, after;
    struct log_sink *sink;

    (void)state;
    assert_int_equal(mkfifo(file_path, 0600), 0);
    idle_reader = open_fifo_reader();
    fill_fifo();
    sink = open_sink(4096);
    while (log_sink_dropped(sink) < 100)
        log_sink_write(sink, VIEW("a line that will never get anywhere"));
    (void)clock_gettime(CLOCK_MONOTONIC, &before);
    log_sink_close(sink);
    (void)clock_gettime(CLOCK_MONOTONIC, &after);
    assert_in_range(after.tv_sec - before.tv_sec, 1, 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(lines_reach_the_file_in_order_and_are_appended, setup,
                                        teardown),
        cmocka_unit_test(no_sink_is_accepted_everywhere),
        cmocka_unit_test_setup_teardown(a_line_longer_than_can_be_written_whole_is_dropped, setup,
                                        teardown),
        cmocka_unit_test(a_sink_that_cannot_open_says_why),
        cmocka_unit_test_setup_teardown(opening_survives_each_failed_allocation, setup, teardown),
        cmocka_unit_test_setup_teardown(after_a_reopen_lines_go_to_the_new_file, setup, teardown),
        cmocka_unit_test_setup_teardown(a_reopen_that_fails_keeps_the_old_file, setup, teardown),
        cmocka_unit_test_setup_teardown(lines_of_several_threads_stay_whole_and_in_their_order,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(when_the_queue_overflows_each_dropped_line_is_told_of,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(lines_that_cannot_be_written_are_dropped_and_told_of, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_line_broken_off_does_not_run_into_the_next, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_target_that_hangs_holds_nobody_and_close_gives_up_on_it,
                                        setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
