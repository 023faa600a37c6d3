/* Revisions on disk: what is added is read back, and whatever happens in between leaves the old one
 * or the new one. */
#include "failing_alloc.h"
#include "unit_test.h"

#include <sallyport/base/clock.h>
#include <sallyport/config/revisions.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define BELOW "/state/revisions"

struct store {
    char folder[64];
    struct revisions r;
};

static int run(const char *program, const char *a, const char *b)
{
    int status = -1;
    pid_t pid = fork();

    if (pid == 0) {
        (void)execlp(program, program, a, b, (char *)NULL);
        _exit(127);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return status;
}

static int set_up(void **state)
{
    struct store *s = calloc(1, sizeof(*s));

    assert_non_null(s);
    (void)snprintf(s->folder, sizeof(s->folder), "/tmp/sallyport-revisions-XXXXXX");
    assert_non_null(mkdtemp(s->folder));
    memcpy(s->folder + strlen(s->folder), BELOW, sizeof(BELOW));
    assert_true(revisions_init(&s->r, s->folder, 5));
    *state = s;
    return 0;
}

static int tear_down(void **state)
{
    struct store *s = *state;

    revisions_fini(&s->r);
    s->folder[strlen("/tmp/sallyport-revisions-XXXXXX")] = '\0';
    assert_int_equal(run("rm", "-rf", s->folder), 0);
    free(s);
    return 0;
}

static struct config_document *document_of(const char *text)
{
    struct config_problems problems;
    struct config_document *d;

    config_problems_init(&problems);
    d = config_document_parse(view_of(text), "/etc/s/test.json", "/etc/s", &problems);
    config_problems_fini(&problems);
    assert_non_null(d);
    return d;
}

static enum sp_err add(struct store *s, const char *text, uint64_t expected, uint64_t back_to,
                       uint64_t *number)
{
    struct config_document *d = document_of(text);
    enum sp_err err =
        revisions_add(&s->r,
                      &(struct revision_new){.document = d,
                                             .author = {1000, 77, VIEW("why \"so\"\n\xff\xc3\xa9")},
                                             .file_hash = 9,
                                             .expected = expected,
                                             .back_to = back_to,
                                             .confirm_by_ms = 123456},
                      number);

    config_document_unref(d);
    return err;
}

static uint64_t added(struct store *s, const char *text, uint64_t expected)
{
    uint64_t number = 0;

    assert_int_equal(add(s, text, expected, 0, &number), SP_OK);
    return number;
}

static void assert_text(struct store *s, uint64_t number, const char *text)
{
    struct config_document *d = NULL;
    struct revision_info info;

    assert_int_equal(revisions_read(&s->r, number, &info, &d), SP_OK);
    assert_string_equal(config_document_text(d).p, text);
    config_document_unref(d);
}

static struct revision_state state_of(struct store *s)
{
    struct revision_state state;

    assert_int_equal(revisions_state(&s->r, &state), SP_OK);
    return state;
}

static void an_empty_store_has_no_revision(void **state)
{
    struct store *s = *state;
    struct revision_info *list, info;
    size_t n = 9;

    assert_int_equal(state_of(s).current, 0);
    assert_int_equal(revisions_list(&s->r, &list, &n), SP_OK);
    assert_int_equal(n, 0);
    free(list);
    assert_int_equal(revisions_read(&s->r, 1, &info, NULL), SP_NOT_FOUND);
    assert_string_equal(s->r.why, "there is no revision 1");
    assert_int_not_equal(access(s->folder, F_OK), 0);
}

static void a_revision_is_read_back_as_it_was(void **state)
{
    struct store *s = *state;
    struct config_document *d;
    struct revision_info info;

    assert_int_equal(added(s, "{\"a\":   [1]}\n", 0), 1);
    assert_int_equal(added(s, "{\"a\": 2}", 1), 2);
    assert_int_equal(state_of(s).current, 2);
    assert_int_equal(state_of(s).back_to, 0);
    assert_int_equal(revisions_read(&s->r, 1, &info, &d), SP_OK);
    assert_string_equal(config_document_text(d).p, "{\"a\":   [1]}\n");
    assert_string_equal(config_document_name(d), "/etc/s/test.json");
    assert_string_equal(config_document_folder(d), "/etc/s");
    assert_int_equal(info.number, 1);
    assert_int_equal(info.base, 0);
    assert_int_equal(info.uid, 1000);
    assert_int_equal(info.pid, 77);
    assert_int_equal(info.file_hash, 9);
    assert_true(info.time_ms > 1600000000000);
    assert_string_equal(info.comment, "why \"so\" ?\xc3\xa9");
    config_document_unref(d);
    assert_text(s, 2, "{\"a\": 2}");
}

static void who_comes_second_is_refused(void **state)
{
    struct store *s = *state;
    uint64_t number = 0;

    (void)added(s, "{}", 0);
    (void)added(s, "{\"a\": 1}", 1);
    assert_int_equal(add(s, "{\"b\": 1}", 1, 0, &number), SP_LIMIT);
    assert_string_equal(s->r.why, "revision 2 is the current one, not 1");
    assert_int_equal(number, 0);
    assert_text(s, 2, "{\"a\": 1}");
    assert_int_equal(state_of(s).current, 2);
}

static void as_many_are_kept_as_asked_for(void **state)
{
    struct store *s = *state;
    struct revision_info *list;
    size_t n;

    for (uint64_t i = 0; i < 12; i++)
        (void)added(s, "{}", i);
    assert_int_equal(revisions_list(&s->r, &list, &n), SP_OK);
    assert_int_equal(n, 5);
    for (size_t i = 0; i < n; i++)
        assert_int_equal(list[i].number, 12 - i);
    free(list);
}

static void a_pending_revision_is_confirmed(void **state)
{
    struct store *s = *state;
    uint64_t number = 0;

    (void)added(s, "{}", 0);
    assert_int_equal(revisions_confirm(&s->r, 1), SP_NOT_FOUND);
    assert_int_equal(add(s, "{\"a\": 1}", 1, 1, &number), SP_OK);
    assert_int_equal(state_of(s).back_to, 1);
    assert_int_equal(state_of(s).confirm_by_ms, 123456);
    assert_int_equal(revisions_confirm(&s->r, 1), SP_LIMIT);
    assert_int_equal(revisions_confirm(&s->r, 2), SP_OK);
    assert_int_equal(state_of(s).current, 2);
    assert_int_equal(state_of(s).back_to, 0);
}

static void a_start_goes_back_from_what_was_not_confirmed(void **state)
{
    struct store *s = *state;
    struct revision_state settled;
    struct revision_info info;
    uint64_t number = 0;
    bool went_back = true;

    (void)added(s, "{\"a\": 1}", 0);
    assert_int_equal(revisions_settle(&s->r, &settled, &went_back), SP_OK);
    assert_false(went_back);
    assert_int_equal(settled.current, 1);
    assert_int_equal(add(s, "{\"a\": 2}", 1, 1, &number), SP_OK);
    assert_int_equal(revisions_settle(&s->r, &settled, &went_back), SP_OK);
    assert_true(went_back);
    assert_int_equal(settled.current, 3);
    assert_int_equal(settled.back_to, 0);
    assert_text(s, 3, "{\"a\": 1}");
    assert_int_equal(revisions_read(&s->r, 3, &info, NULL), SP_OK);
    assert_string_equal(info.comment, "back to revision 1: 2 had not been confirmed at a start");
}

/* Where it goes back to is kept, however old. */
static void what_it_may_go_back_to_is_kept(void **state)
{
    struct store *s = *state;
    struct revision_state settled;
    uint64_t number = 1;
    bool went_back;

    (void)added(s, "{\"first\": true}", 0);
    for (uint64_t i = 1; i < 10; i++)
        assert_int_equal(add(s, "{}", i, 1, &number), SP_OK);
    assert_int_equal(revisions_settle(&s->r, &settled, &went_back), SP_OK);
    assert_true(went_back);
    assert_text(s, 11, "{\"first\": true}");
}

static void put(struct store *s, const char *name, const char *text)
{
    char path[128];
    FILE *f;

    (void)snprintf(path, sizeof(path), "%s/%s", s->folder, name);
    f = fopen(path, "we");
    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
}

static void damage_is_told_and_left_out(void **state)
{
    static const char wrong_hash[] =
        "{\n  \"revision\": 2,\n  \"base\": 1,\n  \"time_ms\": 1,\n  \"uid\": 0,\n  \"pid\": 1,\n"
        "  \"hash\": \"0000000000000000\",\n  \"file_hash\": \"0000000000000000\",\n  \"comment\": "
        "\"\",\n  \"name\": \"x\",\n  \"folder\": \"/\",\n  \"document\": {}\n}\n";
    static const char *const damaged[] = {"", "{}", "{\n  \"document\": {}\n}\n",
                                          "{\n  \"revision\": 2,\n  \"document\": {}\n}\n",
                                          wrong_hash};
    struct store *s = *state;
    struct revision_info info;
    struct config_document *d;

    (void)added(s, "{}", 0);
    (void)added(s, "{}", 1);
    for (size_t i = 0; i < sizeof(damaged) / sizeof(damaged[0]); i++) {
        put(s, "00000002.json", damaged[i]);
        assert_int_equal(revisions_read(&s->r, 2, &info, &d), SP_INVALID);
        assert_string_equal(s->r.why, "revision 2 is damaged");
    }
    put(s, "00000002.json", "{");
    struct revision_info *list;
    size_t n;
    assert_int_equal(revisions_list(&s->r, &list, &n), SP_OK);
    assert_int_equal(n, 1);
    free(list);
    put(s, "current", "{}");
    struct revision_state found;
    assert_int_equal(revisions_state(&s->r, &found), SP_INVALID);
}

/* A disk that takes no more: a limit on the size of files does the same to write(2). */
static void a_write_that_fails_leaves_what_was(void **state)
{
    struct store *s = *state;
    struct rlimit before, small = {300, 0};
    char text[2000] = "{\"a\": \"";
    uint64_t number = 0;

    memset(text + 7, 'x', 1900);
    memcpy(text + 1907, "\"}", 3);
    (void)added(s, "{\"a\": 1}", 0);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    small.rlim_max = before.rlim_max;
    (void)signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    enum sp_err err = add(s, text, 1, 0, &number);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    (void)signal(SIGXFSZ, SIG_DFL);
    assert_int_equal(err, SP_SYSCALL);
    assert_non_null(strstr(s->r.why, "File too large"));
    assert_int_equal(state_of(s).current, 1);
    assert_text(s, 1, "{\"a\": 1}");
    assert_int_equal(added(s, text, 1), 2);
}

static void a_full_disk_leaves_what_was(void **state)
{
    struct store *s = *state;
    char text[8000] = "{\"a\": \"";
    uint64_t n = 0, last = 0;
    enum sp_err err = SP_OK;

    assert_int_equal(run("mkdir", "-p", s->folder), 0);
    if (mount("none", s->folder, "tmpfs", 0, "size=64k,mode=0700") != 0)
        skip(); /* needs root */
    memset(text + 7, 'x', 7900);
    memcpy(text + 7907, "\"}", 3);
    revisions_fini(&s->r);
    assert_true(revisions_init(&s->r, s->folder, 1000));
    while (err == SP_OK && last < 100) {
        err = add(s, text, last, 0, &n);
        if (err == SP_OK)
            last = n;
    }
    assert_int_equal(err, SP_SYSCALL);
    assert_non_null(strstr(s->r.why, strerror(ENOSPC))); /* NOLINT(concurrency-mt-unsafe) */
    assert_int_equal(state_of(s).current, last);
    assert_text(s, last, text);
    assert_int_equal(umount(s->folder), 0);
}

/* ---- Killed at any instant ---- */

#define KILLS 300

/* Applies one after the other, every second of them pending, until it is killed. */
static void apply_forever(struct store *s)
{
    char text[4096];

    for (;;) {
        struct revision_state now = state_of(s);
        uint64_t number;

        (void)snprintf(text, sizeof(text), "{\"follows\": %llu, \"fill\": \"%0*d\"}",
                       (unsigned long long)now.current, (int)(now.current % 37) * 100 + 1, 0);
        if (add(s, text, now.current, now.current % 2 == 0 ? 0 : now.current, &number) != SP_OK)
            _exit(3);
    }
}

/* The current revision is whole, and the one that its number says. */
static uint64_t check_whole(struct store *s, uint64_t at_least)
{
    struct revision_state now = state_of(s);
    struct config_document *d;
    struct revision_info info;
    char expected[64];

    assert_true(now.current >= at_least);
    if (now.current == 0)
        return 0;
    assert_int_equal(revisions_read(&s->r, now.current, &info, &d), SP_OK);
    (void)snprintf(expected, sizeof(expected), "{\"follows\": %llu,",
                   (unsigned long long)now.current - 1);
    assert_true(view_starts_with(config_document_text(d), view_of(expected)));
    config_document_unref(d);
    if (now.back_to != 0)
        assert_int_equal(revisions_read(&s->r, now.back_to, &info, NULL), SP_OK);
    return now.current;
}

/* Twice what an apply takes here, so that a kill falls into one. */
static int64_t window_ns(struct store *s)
{
    int64_t begin = clock_mono_ns();

    for (uint64_t i = 0; i < 4; i++) {
        char text[64];

        (void)snprintf(text, sizeof(text), "{\"follows\": %llu, \"fill\": 0}",
                       (unsigned long long)i);
        (void)added(s, text, i);
    }
    int64_t window = (clock_mono_ns() - begin) / 2;
    return window < 30000000 ? window : 30000000;
}

static void a_kill_at_any_instant_leaves_one_whole(void **state)
{
    struct store *s = *state;
    uint64_t window = (uint64_t)window_ns(s), current = 4;
    unsigned seed = 12345;

    for (unsigned i = 0; i < KILLS; i++) {
        pid_t pid = fork();
        int status;

        assert_true(pid >= 0);
        if (pid == 0)
            apply_forever(s);
        seed = seed * 1103515245U + 12345U;
        (void)nanosleep(&(struct timespec){.tv_nsec = (long)((seed >> 8) % window)}, NULL);
        assert_int_equal(kill(pid, SIGKILL), 0);
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFSIGNALED(status));
        current = check_whole(s, current);
    }
    assert_true(current > 4);
}

static void each_failed_allocation_is_survived(void **state)
{
    struct store *s = *state;
    struct config_document *d = document_of("{\"a\": [1, 2]}");
    uint64_t current = 0;

    for (unsigned nth = 0;; nth++) {
        struct revision_new new = {.document = d, .expected = current};
        struct revision_info *list = NULL, info;
        struct config_document *again = NULL;
        uint64_t number = 0;
        size_t n;

        failing_alloc_arm(nth);
        enum sp_err err = revisions_add(&s->r, &new, &number);
        if (err == SP_OK)
            err = revisions_read(&s->r, number, &info, &again);
        if (err == SP_OK)
            err = revisions_list(&s->r, &list, &n);
        config_document_unref(again);
        free(list);
        bool hit = failing_alloc_hit();
        assert_int_equal(failing_alloc_live(), 0);
        if (number != 0)
            current = number;
        if (!hit) {
            assert_int_equal(err, SP_OK);
            break;
        }
    }
    config_document_unref(d);
}

static void a_folder_is_given_to_who_goes_on_with_it(void **state)
{
    struct store *s = *state;
    struct stat st;

    assert_int_equal(revisions_give(&s->r, getuid(), getgid()), SP_OK);
    assert_int_equal(stat(s->folder, &st), 0);
    assert_int_equal(st.st_uid, getuid());
    (void)added(s, "{}", 0);
    assert_int_equal(revisions_give(&s->r, getuid(), getgid()), SP_OK);
}

static void a_folder_with_something_else_is_not_given_away(void **state)
{
    struct store *s = *state;
    char name[100];

    (void)added(s, "{}", 0);
    (void)snprintf(name, sizeof(name), "%s/passwd", s->folder);
    assert_int_equal(run("touch", name, NULL), 0);
    assert_int_equal(revisions_give(&s->r, getuid(), getgid()), SP_INVALID);
    assert_non_null(strstr(s->r.why, "holds something else: passwd"));
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_empty_store_has_no_revision),
        TEST(a_revision_is_read_back_as_it_was),
        TEST(who_comes_second_is_refused),
        TEST(as_many_are_kept_as_asked_for),
        TEST(a_pending_revision_is_confirmed),
        TEST(a_start_goes_back_from_what_was_not_confirmed),
        TEST(what_it_may_go_back_to_is_kept),
        TEST(damage_is_told_and_left_out),
        TEST(a_write_that_fails_leaves_what_was),
        TEST(a_full_disk_leaves_what_was),
        TEST(a_kill_at_any_instant_leaves_one_whole),
        TEST(a_folder_is_given_to_who_goes_on_with_it),
        TEST(a_folder_with_something_else_is_not_given_away),
        TEST(each_failed_allocation_is_survived),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
