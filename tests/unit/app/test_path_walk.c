/* Places on the way that a path takes, in a folder of real files and links. */
#include "path_walk.h"
#include "unit_test.h"

#include <sallyport/base/compiler.h>

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char base[PATH_MAX];
static char text[65536];
static const char *known; /* a folder's name that is not looked at */

static char *at(const char *name)
{
    static char paths[4][PATH_MAX];
    static int next;
    char *path = paths[next++ % 4];

    (void)snprintf(path, PATH_MAX, "%.2000s/%s", base, name);
    return path;
}

static void make_file(const char *name)
{
    FILE *f = fopen(at(name), "w");

    assert_non_null(f);
    (void)fclose(f);
}

static void make_folder(const char *name)
{
    assert_int_equal(mkdir(at(name), 0700), 0);
}

static void make_link(const char *name, const char *target)
{
    assert_int_equal(symlink(target, at(name)), 0);
}

/* Only what is in the test's own folder, by its path from there. */
static void note(const char *what, const char *folder, const char *name)
{
    if (strncmp(folder, base, strlen(base)) != 0)
        return;
    const char *const parts[] = {what, folder + strlen(base), "/", name, " "};
    for (size_t i = 0; i < SP_COUNT_OF(parts); i++)
        (void)strncat(text, parts[i], sizeof(text) - 1 - strlen(text));
}

static bool on_enter(void *arg, const char *folder, const char *name)
{
    (void)arg;
    (void)folder;
    return known != NULL && strcmp(name, known) == 0;
}

static void on_found(void *arg, const char *folder, const char *name, enum path_kind kind)
{
    static const char *const kinds[] = {"d:", "l:", "f:", "-:"};

    (void)arg;
    note(kinds[kind], folder, name);
}

static const char *walk(const char *path, enum path_end expected)
{
    const struct path_walker walker = {.enter = on_enter, .found = on_found};

    text[0] = '\0';
    assert_int_equal(path_walk(view_of(path), &walker), expected);
    return text;
}

static int set_up(void **state)
{
    char template[] = "/tmp/path-walk-XXXXXX";

    (void)state;
    known = NULL;
    assert_non_null(mkdtemp(template));
    assert_non_null(realpath(template, base));
    return chdir(base);
}

static int tear_down(void **state)
{
    char command[PATH_MAX + 16];

    (void)state;
    assert_int_equal(chdir("/"), 0);
    (void)snprintf(command, sizeof(command), "rm -rf %s", base);
    return system(command); /* NOLINT: a name of our own */
}

static void kubernetes_has_two_links_and_a_folder_between(void **state)
{
    (void)state;
    make_folder("..v1");
    make_file("..v1/tls.crt");
    make_link("..data", "..v1");
    make_link("tls.crt", "..data/tls.crt");
    assert_string_equal(walk(at("tls.crt"), PATH_ENDS),
                        "l:/tls.crt l:/..data d:/..v1 f:/..v1/tls.crt ");
}

static void certbot_goes_up_and_down_again(void **state)
{
    (void)state;
    make_folder("live");
    make_folder("live/x");
    make_folder("archive");
    make_folder("archive/x");
    make_file("archive/x/chain1.pem");
    make_link("live/x/chain.pem", "../../archive/x/chain1.pem");
    assert_string_equal(walk(at("live/x/chain.pem"), PATH_ENDS),
                        "d:/live d:/live/x l:/live/x/chain.pem d:/archive d:/archive/x "
                        "f:/archive/x/chain1.pem ");
}

static void a_folder_may_be_a_link(void **state)
{
    (void)state;
    make_folder("v2");
    make_file("v2/key");
    make_link("current", at("v2"));
    assert_string_equal(walk(at("current//./key"), PATH_ENDS), "l:/current d:/v2 f:/v2/key ");
}

static void what_is_missing_ends_it(void **state)
{
    (void)state;
    make_file("file");
    make_link("nowhere", "gone/key");
    assert_string_equal(walk(at("none/key"), PATH_ENDS), "-:/none ");
    assert_string_equal(walk(at("file/key"), PATH_ENDS), "-:/file ");
    assert_string_equal(walk(at("nowhere"), PATH_ENDS), "l:/nowhere -:/gone ");
}

static void loops_end(void **state)
{
    (void)state;
    make_link("a", "b");
    make_link("b", "a");
    make_link("self", "self/x");
    (void)walk(at("a"), PATH_ENDS_IN_LOOP);
    (void)walk(at("self"), PATH_ENDS_IN_LOOP);
}

static void relative_paths_begin_in_the_working_folder(void **state)
{
    (void)state;
    make_folder("d");
    make_file("d/key");
    assert_string_equal(walk("d/key", PATH_ENDS), "d:/d f:/d/key ");
    assert_string_equal(walk("d/../d/key", PATH_ENDS), "d:/d d:/d f:/d/key ");
}

static void known_folders_are_not_looked_at(void **state)
{
    (void)state;
    make_folder("d");
    make_file("d/key");
    known = "d";
    assert_string_equal(walk(at("d/key"), PATH_ENDS), "f:/d/key ");
}

static void long_names_are_refused(void **state)
{
    static char name[3 * PATH_MAX];

    (void)state;
    memset(name, 'x', sizeof(name) - 1);
    (void)walk(name, PATH_TOO_LONG);
    name[NAME_MAX + 1] = '\0';
    (void)walk(name, PATH_TOO_LONG);
    for (size_t i = 1; i < sizeof(name) - 1; i += 2) {
        name[i - 1] = '/';
        name[i] = 'x';
    }
    (void)walk(name, PATH_TOO_LONG);
}

#define IN_A_FOLDER(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_A_FOLDER(kubernetes_has_two_links_and_a_folder_between),
        IN_A_FOLDER(certbot_goes_up_and_down_again),
        IN_A_FOLDER(a_folder_may_be_a_link),
        IN_A_FOLDER(what_is_missing_ends_it),
        IN_A_FOLDER(loops_end),
        IN_A_FOLDER(relative_paths_begin_in_the_working_folder),
        IN_A_FOLDER(known_folders_are_not_looked_at),
        IN_A_FOLDER(long_names_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
