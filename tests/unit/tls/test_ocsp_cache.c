#include "failing_alloc.h"
#include "tls_certs.h"

#include <sallyport/base/clock.h>
#include <sallyport/tls/ocsp_cache.h>

#include <errno.h>
#include <sys/stat.h>

static const uint8_t one[OCSP_FINGERPRINT_BYTES] = {0x01, 0xab};
static const uint8_t two[OCSP_FINGERPRINT_BYTES] = {0x02};
#define FILE_OF_ONE "01ab000000000000000000000000000000000000000000000000000000000000.der"

static int setup(void **state)
{
    struct test_folder *f = malloc(sizeof(*f));

    assert_non_null(f);
    folder_make(f);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    folder_remove(*state);
    free(*state);
    return 0;
}

#define FOLDER struct view folder = view_of(((struct test_folder *)*state)->path)

static void assert_read(struct view folder, const uint8_t *fingerprint, const char *text)
{
    struct view got;

    assert_int_equal(ocsp_cache_read(folder, fingerprint, 100, &got), SP_OK);
    assert_true(view_eq(got, view_of(text)));
    free((void *)(uintptr_t)got.p);
}

static bool exists(void **state, const char *name)
{
    struct stat st;

    return stat(folder_file(*state, name).p, &st) == 0;
}

static void what_is_written_is_read(void **state)
{
    FOLDER;
    struct view got;

    assert_int_equal(ocsp_cache_read(folder, one, 100, &got), SP_NOT_FOUND);
    assert_int_equal(ocsp_cache_write(folder, one, VIEW("first")), SP_OK);
    assert_int_equal(ocsp_cache_write(folder, two, VIEW("second")), SP_OK);
    assert_read(folder, one, "first");
    assert_int_equal(ocsp_cache_write(folder, one, VIEW("next")), SP_OK);
    assert_read(folder, one, "next");
    assert_read(folder, two, "second");
    assert_true(exists(state, FILE_OF_ONE));
}

static void only_the_owner_may_look(void **state)
{
    FOLDER;
    struct stat st;

    assert_int_equal(ocsp_cache_write(folder, one, VIEW("first")), SP_OK);
    assert_int_equal(stat(folder_file(*state, FILE_OF_ONE).p, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
}

static void the_folder_is_made_when_it_is_needed(void **state)
{
    struct view deep = folder_file(*state, "a/b");

    assert_int_equal(ocsp_cache_write(deep, one, VIEW("first")), SP_OK);
    assert_read(deep, one, "first");
    assert_int_equal(unlink(folder_file(*state, "a/b/" FILE_OF_ONE).p), 0);
    assert_int_equal(rmdir(deep.p), 0);
    assert_int_equal(rmdir(folder_file(*state, "a").p), 0);
}

static void what_is_too_large_is_not_read(void **state)
{
    FOLDER;
    struct view got;

    assert_int_equal(ocsp_cache_write(folder, one, VIEW("12345")), SP_OK);
    assert_int_equal(ocsp_cache_read(folder, one, 4, &got), SP_LIMIT);
    assert_int_equal(ocsp_cache_read(folder, one, 5, &got), SP_OK);
    free((void *)(uintptr_t)got.p);
}

static void where_no_folder_can_be_nothing_is_lost(void **state)
{
    struct view got, file = folder_file(*state, "file"), below = folder_file(*state, "file/cache");

    text_write(file, "x");
    errno = 0;
    assert_int_equal(ocsp_cache_write(below, one, VIEW("first")), SP_SYSCALL);
    assert_int_equal(errno, ENOTDIR);
    assert_int_equal(ocsp_cache_read(below, one, 100, &got), SP_SYSCALL);
    assert_int_equal(ocsp_cache_write((struct view){NULL, 0}, one, VIEW("x")), SP_SYSCALL);
}

static bool only_two(void *arg, const uint8_t *fingerprint)
{
    (void)arg;
    return memcmp(fingerprint, two, sizeof(two)) == 0;
}

static void what_nobody_uses_is_swept(void **state)
{
    FOLDER;
    struct view got;

    assert_int_equal(ocsp_cache_write(folder, one, VIEW("first")), SP_OK);
    assert_int_equal(ocsp_cache_write(folder, two, VIEW("second")), SP_OK);
    text_write(folder_file(*state, "notes.der"), "not ours");
    text_write(folder_file(*state, "01abz" FILE_OF_ONE), "not ours");
    assert_int_equal(ocsp_cache_sweep(folder, 1000, only_two, NULL), 0); /* too young */
    assert_int_equal(ocsp_cache_sweep(folder, clock_wall_ms() + 5000, only_two, NULL), 1);
    assert_int_equal(ocsp_cache_read(folder, one, 100, &got), SP_NOT_FOUND);
    assert_read(folder, two, "second");
    assert_true(exists(state, "notes.der"));
    assert_true(exists(state, "01abz" FILE_OF_ONE));
}

static void it_is_given_to_another_user(void **state)
{
    FOLDER;

    assert_int_equal(ocsp_cache_write(folder, one, VIEW("first")), SP_OK);
    assert_int_equal(ocsp_cache_give(folder, getuid(), getgid()), SP_OK);
    assert_int_equal(ocsp_cache_give(folder_file(*state, "none"), getuid(), getgid()), SP_SYSCALL);
}

static void a_failed_allocation_is_told(void **state)
{
    FOLDER;
    struct view got;
    enum sp_err err;

    assert_int_equal(ocsp_cache_write(folder, one, VIEW("first")), SP_OK);
    failing_alloc_arm(0);
    err = ocsp_cache_read(folder, one, 100, &got);
    assert_true(failing_alloc_hit());
    assert_int_equal(err, SP_NOMEM);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_is_written_is_read),
        TEST(only_the_owner_may_look),
        TEST(the_folder_is_made_when_it_is_needed),
        TEST(what_is_too_large_is_not_read),
        TEST(where_no_folder_can_be_nothing_is_lost),
        TEST(what_nobody_uses_is_swept),
        TEST(it_is_given_to_another_user),
        TEST(a_failed_allocation_is_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
