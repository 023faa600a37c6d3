#include "cert_file.h"
#include "cert_report.h"
#include "failing_alloc.h"
#include "tls_certs.h"

#include <fcntl.h>
#include <sys/stat.h>

static struct cert_load load_to(struct report *report, struct cert_reporter *reporter)
{
    *report = (struct report){0};
    *reporter = (struct cert_reporter){.report = report_take, .arg = report};
    return (struct cert_load){.reporter = reporter, .bundle = VIEW("shop")};
}

static void assert_read_fails(struct view path, size_t max_bytes, const char *line)
{
    struct report report;
    struct cert_reporter reporter;
    struct cert_load load = load_to(&report, &reporter);
    struct cert_file file;

    assert_false(cert_file_read(&file, path, max_bytes, &load));
    assert_null(file.bytes);
    assert_int_equal(load.n_errors, 1);
    report_assert_has(&report, line);
}

static void the_stamp_belongs_to_the_bytes(void **state)
{
    struct view path = folder_file(*state, "a.pem");
    struct report report;
    struct cert_reporter reporter;
    struct cert_load load = load_to(&report, &reporter);
    struct cert_file file;
    struct file_stamp stamp;

    text_write(path, "some text");
    assert_true(cert_file_read(&file, path, 100, &load));
    assert_true(view_eq(cert_file_view(&file), VIEW("some text")));
    assert_int_equal(file.bytes[file.len], '\0');
    file_stamp_take(path, &stamp);
    assert_true(file_stamp_eq(&stamp, &file.stamp));
    assert_int_equal(stamp.size_bytes, 9);
    assert_int_equal(unlinkat(AT_FDCWD, path.p, 0), 0);
    text_write(path, "some text");
    file_stamp_take(path, &stamp);
    assert_false(file_stamp_eq(&stamp, &file.stamp));
    cert_file_fini(&file);
    assert_null(file.bytes);
}

static void a_link_is_followed_and_its_change_is_seen(void **state)
{
    struct view a = folder_file(*state, "a"), b = folder_file(*state, "b");
    struct view link = folder_file(*state, "link");
    struct file_stamp first, second;

    text_write(a, "same");
    text_write(b, "same");
    assert_int_equal(symlink(a.p, link.p), 0);
    file_stamp_take(link, &first);
    assert_int_equal(unlinkat(AT_FDCWD, link.p, 0), 0);
    assert_int_equal(symlink(b.p, link.p), 0);
    file_stamp_take(link, &second);
    assert_int_not_equal(first.inode, second.inode);
    assert_false(file_stamp_eq(&first, &second));
}

static void what_is_not_there_has_no_stamp(void **state)
{
    static const struct file_stamp none;
    struct file_stamp stamp;

    file_stamp_take(folder_file(*state, "no.pem"), &stamp);
    assert_true(file_stamp_eq(&stamp, &none));
    file_stamp_take(VIEW(""), &stamp);
    assert_true(file_stamp_eq(&stamp, &none));
    assert_read_fails(folder_file(*state, "no.pem"), 100,
                      "shop|no.pem|cannot be opened: No such file or directory\n");
    assert_read_fails(VIEW(""), 100, "shop||the path is empty or too long\n");
}

static void only_regular_files_of_a_size_are_read(void **state)
{
    struct view pipe = folder_file(*state, "pipe"), large = folder_file(*state, "large");
    const struct test_folder *folder = *state;

    assert_int_equal(mkfifo(pipe.p, 0600), 0);
    assert_read_fails(pipe, 100, "shop|pipe|is a pipe, no regular file\n");
    assert_read_fails(view_of(folder->path), 100, "is a directory, no regular file\n");
    text_write(large, "0123456789");
    assert_read_fails(large, 9, "shop|large|has 10 bytes; at most 9 are read\n");
}

static void whoever_may_not_read_is_named(void **state)
{
    struct view path = folder_file(*state, "secret");

    text_write(path, "x");
    assert_int_equal(chmod(path.p, 0), 0);
    if (geteuid() == 0) /* who may read everything */
        return;
    assert_read_fails(path, 100, "shop|secret|cannot be opened: Permission denied for ");
}

static void no_memory_is_told(void **state)
{
    struct view path = folder_file(*state, "a");
    struct report report;
    struct cert_reporter reporter;
    struct cert_load load = load_to(&report, &reporter);
    struct cert_file file;

    text_write(path, "x");
    failing_alloc_arm(0);
    assert_false(cert_file_read(&file, path, 100, &load));
    assert_true(failing_alloc_hit());
    assert_true(load.nomem);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_FOLDER(the_stamp_belongs_to_the_bytes),
        WITH_FOLDER(a_link_is_followed_and_its_change_is_seen),
        WITH_FOLDER(what_is_not_there_has_no_stamp),
        WITH_FOLDER(only_regular_files_of_a_size_are_read),
        WITH_FOLDER(whoever_may_not_read_is_named),
        WITH_FOLDER(no_memory_is_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
