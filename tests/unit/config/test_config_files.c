/* Reading files; and every file in conf/ is one that the program takes without a word. */
#include "config_fixture.h"
#include "failing_alloc.h"

#include <glob.h>
#include <unistd.h>

/* The top of the source tree: this file's path without "/tests/unit/config/...". */
static void source_path(char *dst, size_t cap, const char *below)
{
    const char *end = strstr(__FILE__, "tests/unit/config/");

    assert_non_null(end);
    (void)snprintf(dst, cap, "%.*s%s", (int)(end - __FILE__), __FILE__, below);
}

static struct parsed *load(const char *path)
{
    struct parsed *p = calloc(1, sizeof(*p));

    assert_non_null(p);
    config_problems_init(&p->problems);
    p->config = config_load(path, &p->problems);
    return p;
}

static void assert_loads_without_a_word(const char *path)
{
    struct parsed *p = load(path);

    config_problems_print(&p->problems, stderr);
    assert_non_null(p->config);
    assert_int_equal(p->problems.n, 0);
    assert_view(p->config->file, path);
    parsed_free(p);
}

static size_t load_all(const char *below)
{
    char pattern[4096];
    glob_t found;
    size_t n;

    source_path(pattern, sizeof(pattern), below);
    assert_int_equal(glob(pattern, 0, NULL, &found), 0);
    for (size_t i = n = 0; i < found.gl_pathc; i++) {
        if (strstr(found.gl_pathv[i], ".schema.json") != NULL)
            continue; /* says what the others look like */
        assert_loads_without_a_word(found.gl_pathv[i]);
        n++;
    }
    globfree(&found);
    return n;
}

static void every_file_in_conf_loads_without_a_word(void **state)
{
    (void)state;
    assert_true(load_all("conf/*.json") >= 1);
    assert_true(load_all("conf/examples/*.json") >= 4);
}

static void the_quickstart_is_a_front_door_on_8443(void **state)
{
    char path[4096], chain[4096];
    struct parsed *p;

    (void)state;
    source_path(path, sizeof(path), "conf/quickstart.json");
    p = load(path);
    assert_non_null(p->config);
    assert_int_equal(p->config->n_ports, 2);
    assert_int_equal(endpoint_port(p->config->ports[0].endpoints), 8443);
    assert_true(p->config->ports[0].tls);
    assert_int_equal(p->config->ports[1].redirect_to_port, 8443);
    assert_int_equal(p->config->bundles[0].n_certs, 2);
    source_path(chain, sizeof(chain), "conf/../certs/localhost-ecdsa.pem");
    assert_view(p->config->bundles[0].certs[0].chain, chain);
    assert_int_equal(p->config->routes[0].action, ROUTE_RESPOND);
    assert_int_equal(p->config->backends[0].servers[0].port, 9001);
    assert_view(p->config->log.access_path, "-");
    parsed_free(p);
}

static void assert_load_fails(const char *path, const char *line)
{
    struct parsed *p = load(path);
    char *lines = problem_lines(&p->problems);

    assert_null(p->config);
    assert_string_equal(lines, line);
    free(lines);
    parsed_free(p);
}

static void files_that_cannot_be_read_say_why(void **state)
{
    (void)state;
    assert_load_fails("/nowhere/x.json",
                      "/nowhere/x.json: cannot open the file: No such file or directory\n");
    assert_load_fails("/", "/: cannot read the file: Is a directory\n");
    assert_load_fails("/dev/null", "/dev/null:1:1: '[' or '{' expected near end of file\n");
}

static void a_huge_file_is_refused(void **state)
{
    char path[] = "/tmp/config-XXXXXX", line[200];
    int fd = mkstemp(path);

    (void)state;
    assert_true(fd >= 0);
    assert_int_equal(ftruncate(fd, 64 * 1024 * 1024 + 1), 0); /* a hole: no disk is used */
    (void)snprintf(line, sizeof(line), "%s: the file is larger than 64 MiB\n", path);
    assert_load_fails(path, line);
    assert_int_equal(close(fd), 0);
    assert_int_equal(unlink(path), 0);
}

static void a_pipe_can_be_read(void **state)
{
    static const char text[] = "{" PLAIN_PORT ", " TEXT_ROUTE "}";
    char path[64];
    int fds[2];

    (void)state;
    assert_int_equal(pipe(fds), 0);
    assert_int_equal(write(fds[1], text, sizeof(text) - 1), sizeof(text) - 1);
    assert_int_equal(close(fds[1]), 0);
    (void)snprintf(path, sizeof(path), "/dev/fd/%d", fds[0]);
    assert_loads_without_a_word(path);
    assert_int_equal(close(fds[0]), 0);
}

static void a_load_survives_each_failed_allocation(void **state)
{
    char path[4096];

    (void)state;
    source_path(path, sizeof(path), "conf/quickstart.json");
    for (unsigned nth = 0;; nth++) {
        struct config_problems problems;
        struct config *c;
        bool hit;

        config_problems_init(&problems);
        failing_alloc_arm(nth);
        c = config_load(path, &problems);
        hit = failing_alloc_hit();
        assert_int_equal(c == NULL, hit);
        if (hit)
            assert_view(problems.v[0].text, "out of memory");
        config_unref(c);
        config_problems_fini(&problems);
        assert_int_equal(failing_alloc_live(), 0);
        if (!hit)
            return;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_file_in_conf_loads_without_a_word),
        cmocka_unit_test(the_quickstart_is_a_front_door_on_8443),
        cmocka_unit_test(files_that_cannot_be_read_say_why),
        cmocka_unit_test(a_huge_file_is_refused),
        cmocka_unit_test(a_pipe_can_be_read),
        cmocka_unit_test(a_load_survives_each_failed_allocation),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
