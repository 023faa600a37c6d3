/* ${ENV:NAME} and ${FILE:path}: filled in where values are used, never where they are shown. */
#include "config_fixture.h"
#include "failing_alloc.h"

#include <sallyport/config/document.h>

#include <unistd.h>

#define PLAIN "\"ports\": {\"80\": {\"tls\": false}}"

static const char folder[] = "/tmp";
static char file[64];

static int set_up(void **state)
{
    int fd;

    (void)state;
    (void)snprintf(file, sizeof(file), "/tmp/sallyport-expand-XXXXXX");
    fd = mkstemp(file);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, "s3cret\r\n", 8), 8);
    assert_int_equal(close(fd), 0);
    assert_int_equal(setenv("SP_TEST_HOST", "127.0.0.1", 1), 0);
    assert_int_equal(setenv("SP_TEST_SECRET", "hunter2", 1), 0);
    assert_int_equal(setenv("SP_TEST_EMPTY", "", 1), 0);
    assert_int_equal(unsetenv("SP_TEST_NONE"), 0);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    return unlink(file);
}

static struct parsed *parse_here(const char *text)
{
    struct parsed *p = calloc(1, sizeof(*p));

    assert_non_null(p);
    config_problems_init(&p->problems);
    p->config = config_parse(view_of(text), "test.json", folder, &p->problems);
    return p;
}

/* What the text of an answer becomes. */
static void assert_means(const char *written, const char *meant)
{
    char text[512];

    (void)snprintf(text, sizeof(text),
                   "{" PLAIN ", \"routes\": [{\"respond\": {\"text\": \"%s\"}}]}", written);
    struct parsed *p = parse_here(text);
    assert_non_null(p->config);
    assert_int_equal(p->config->routes[0].text.len, strlen(meant));
    assert_memory_equal(p->config->routes[0].text.p, meant, strlen(meant));
    /* The document keeps what was written. */
    assert_non_null(strstr(config_document_text(p->config->document).p, written));
    parsed_free(p);
}

static void values_are_filled_in(void **state)
{
    char written[128];

    (void)state;
    assert_means("${ENV:SP_TEST_SECRET}", "hunter2");
    assert_means("a ${ENV:SP_TEST_HOST}:${ENV:SP_TEST_SECRET} b", "a 127.0.0.1:hunter2 b");
    assert_means("${ENV:SP_TEST_EMPTY}", "");
    assert_means("$${ENV:SP_TEST_SECRET}", "${ENV:SP_TEST_SECRET}");
    assert_means("$ {} $$ } $", "$ {} $$ } $");
    (void)snprintf(written, sizeof(written), "<${FILE:%s}>", file);
    assert_means(written, "<s3cret>");
    (void)snprintf(written, sizeof(written), "<${FILE:%s}>", file + strlen("/tmp/"));
    assert_means(written, "<s3cret>");
    /* What is filled in is not looked at again. */
    assert_int_equal(setenv("SP_TEST_SECRET", "${ENV:SP_TEST_HOST}", 1), 0);
    assert_means("${ENV:SP_TEST_SECRET}", "${ENV:SP_TEST_HOST}");
    assert_int_equal(setenv("SP_TEST_SECRET", "hunter2", 1), 0);
}

static void every_kind_of_value_can_be_filled_in(void **state)
{
    struct parsed *p;

    (void)state;
    assert_int_equal(setenv("SP_TEST_WORD", "json", 1), 0);
    assert_int_equal(setenv("SP_TEST_NAME", "app", 1), 0);
    p = parse_here(
        "{" PLAIN ", \"backends\": {\"app\": {\"servers\": [\"${ENV:SP_TEST_HOST}:81\", "
        "{\"address\": \"${ENV:SP_TEST_HOST}:82\"}]}}, \"routes\": [{\"backend\": "
        "\"${ENV:SP_TEST_NAME}\"}], \"log\": {\"access\": {\"path\": \"${ENV:SP_TEST_NAME}.log\","
        " \"format\": \"${ENV:SP_TEST_WORD}\"}}, \"throttle\": {\"exempt\": "
        "[\"${ENV:SP_TEST_HOST}/32\"]}}");
    assert_non_null(p->config);
    assert_string_equal(p->config->backends[0].servers[0].name.p, "127.0.0.1:81");
    assert_int_equal(p->config->backends[0].servers[1].port, 82);
    assert_ptr_equal(p->config->routes[0].backend, &p->config->backends[0]);
    assert_string_equal(p->config->log.access_path.p, "/tmp/app.log");
    assert_true(p->config->log.access_json);
    assert_int_equal(p->config->throttle.n_exempt, 1);
    parsed_free(p);
}

struct wrong {
    const char *text, *lines;
};

/* clang-format off */
static const struct wrong wrongs[] = {
    {"{" PLAIN ", \"routes\": [{\"respond\": {\"text\": \"${ENV:SP_TEST_NONE}\"}}]}",
     "/routes/0/respond/text: the environment variable SP_TEST_NONE is not set\n"},
    {"{" PLAIN ", \"routes\": [{\"respond\": {\"text\": \"${ENV:9}\"}}]}",
     "/routes/0/respond/text: expected the name of an environment variable in ${ENV:NAME}\n"},
    {"{" PLAIN ", \"routes\": [{\"respond\": {\"text\": \"${env:HOME}\"}}]}",
     "/routes/0/respond/text: expected ${ENV:NAME} or ${FILE:path} (and $${ for a \"${\" that means itself)\n"},
    {"{" PLAIN ", \"routes\": [{\"respond\": {\"text\": \"${ENV:HOME\"}}]}",
     "/routes/0/respond/text: expected ${ENV:NAME} or ${FILE:path} (and $${ for a \"${\" that means itself)\n"},
    {"{" PLAIN ", \"routes\": [{\"respond\": {\"text\": \"${FILE:}\"}}]}",
     "/routes/0/respond/text: expected a path in ${FILE:path}\n"},
    {"{" PLAIN ", \"routes\": [{\"respond\": {\"text\": \"${FILE:none/such}\"}}]}",
     "/routes/0/respond/text: cannot fill in /tmp/none/such: No such file or directory\n"},
    {"{" PLAIN ", \"routes\": [{\"respond\": {\"text\": \"${FILE:/dev/zero}\"}}]}",
     "/routes/0/respond/text: cannot fill in /dev/zero: not a regular file\n"},
    /* What is filled in is wrong: the message has what was written. */
    {"{" PLAIN ", \"routes\": [{\"path\": \"${ENV:SP_TEST_SECRET}\", \"respond\": {}}]}",
     "/routes/0/path: expected a path that begins with \"/\", without query, found \"${ENV:SP_TEST_SECRET}\"\n"},
    {"{" PLAIN ", \"routes\": [{\"backend\": \"${ENV:SP_TEST_SECRET}\"}]}",
     "/routes/0/backend: no backend is called \"${ENV:SP_TEST_SECRET}\"\n"},
    {"{" PLAIN ", \"backends\": {\"a\": {\"servers\": [\"${ENV:SP_TEST_SECRET}\", {\"address\": \"${ENV:SP_TEST_SECRET}\"}]}},"
     " \"routes\": [{\"backend\": \"a\"}]}",
     "/backends/a/servers/0: expected \"host:port\", \"[::1]:port\" or \"unix:/path\", found \"${ENV:SP_TEST_SECRET}\"\n"
     "/backends/a/servers/1: expected \"host:port\", \"[::1]:port\" or \"unix:/path\", found \"${ENV:SP_TEST_SECRET}\"\n"},
    {"{" PLAIN ", \"routes\": [{\"respond\": {}}], \"throttle\": {\"exempt\": [\"${ENV:SP_TEST_SECRET}\"], \"max_keep_alive\": \"${ENV:SP_TEST_SECRET}\"}}",
     "/throttle/exempt/0: expected a network such as \"10.0.0.0/8\" without host bits, or an address, found \"${ENV:SP_TEST_SECRET}\"\n"
     "/throttle/max_keep_alive: expected an integer from 0 to 100000000 (connections), found \"${ENV:SP_TEST_SECRET}\"\n"},
    /* One thing wrong is said once. */
    {"{" PLAIN ", \"routes\": [{\"backend\": \"${ENV:SP_TEST_NONE}\"}]}",
     "/routes/0/backend: the environment variable SP_TEST_NONE is not set\n"},
};
/* clang-format on */

/* The lines without "test.json:1:9: " in front. */
static char *lines_without_places(const struct config_problems *problems)
{
    char *lines = problem_lines(problems), *to = lines, *from = lines;

    while (*from != '\0') {
        char *end = strchr(from, '\n') + 1, *text = strchr(from, ' ') + 1;

        memmove(to, text, (size_t)(end - text));
        to += end - text;
        from = end;
    }
    *to = '\0';
    return lines;
}

static void what_cannot_be_filled_in_is_told_without_the_value(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(wrongs) / sizeof(wrongs[0]); i++) {
        struct parsed *p = parse_here(wrongs[i].text);
        char *lines = lines_without_places(&p->problems);

        assert_string_equal(lines, wrongs[i].lines);
        assert_null(strstr(lines, "hunter2"));
        free(lines);
        parsed_free(p);
    }
}

static void comments_are_left_alone(void **state)
{
    struct parsed *p =
        parse_here("{\"//\": \"${ENV:SP_TEST_NONE}\", " PLAIN ", \"routes\": [{\"respond\": {}}]}");

    (void)state;
    assert_non_null(p->config);
    parsed_free(p);
}

static void each_failed_allocation_is_survived(void **state)
{
    char text[1200];
    size_t len;

    (void)state;
    len = (size_t)snprintf(text, sizeof(text), "{" PLAIN ", \"routes\": [{\"respond\": {}}");
    for (int i = 0; i < 10; i++)
        len += (size_t)snprintf(text + len, sizeof(text) - len,
                                ", {\"host\": \"h\", \"respond\": {\"text\": \"x${FILE:%s}$${\"}}",
                                file);
    (void)snprintf(text + len, sizeof(text) - len, "]}");
    for (unsigned nth = 0;; nth++) {
        struct config_problems problems;

        failing_alloc_arm(nth);
        config_problems_init(&problems);
        struct config *c = config_parse(view_of(text), "test.json", "/", &problems);
        bool hit = failing_alloc_hit();
        assert_int_equal(c == NULL, hit);
        config_unref(c);
        config_problems_fini(&problems);
        assert_int_equal(failing_alloc_live(), 0);
        if (!hit)
            break;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_are_filled_in),
        cmocka_unit_test(every_kind_of_value_can_be_filled_in),
        cmocka_unit_test(what_cannot_be_filled_in_is_told_without_the_value),
        cmocka_unit_test(comments_are_left_alone),
        cmocka_unit_test(each_failed_allocation_is_survived),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
