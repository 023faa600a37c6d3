#include "conf_kinds.h"
#include "config_fixture.h"

#include <sallyport/base/log.h>

static void assert_kind(const struct conf_kind *kind, const char *const *texts, bool ok)
{
    for (; *texts != NULL; texts++) {
        if (kind->ok(view_of(*texts)) != ok)
            print_error("%s: \"%s\"\n", kind->expects, *texts);
        assert_int_equal(kind->ok(view_of(*texts)), ok);
    }
}

#define ASSERT_TAKES(kind, ...) assert_kind(&(kind), (const char *const[]){__VA_ARGS__, NULL}, true)
#define ASSERT_REFUSES(kind, ...) \
    assert_kind(&(kind), (const char *const[]){__VA_ARGS__, NULL}, false)

static void host_patterns_are_names_with_at_most_one_star_in_front(void **state)
{
    char label[65];

    (void)state;
    memset(label, 'a', 64);
    label[64] = '\0';
    ASSERT_TAKES(conf_kind_host_pattern, "a", "localhost", "shop.example.com", "*.example.com",
                 "xn--bcher-kva.example", "a_b.example", "127.0.0.1", "Shop.Example.Com",
                 label + 1);
    ASSERT_REFUSES(conf_kind_host_pattern, "", ".", "a.", ".a", "a..b", "*", "*.", "*a.com",
                   "a.*.com", "*.*.com", "-a.com", "a-.com", "a b", "a:443", "[::1]",
                   "bücher.example", "https://a", label);
}

static void url_paths_have_no_query_and_nothing_invisible(void **state)
{
    (void)state;
    ASSERT_TAKES(conf_kind_url_path, "/", "/a", "/a/b%20c/", "/.well-known/x");
    ASSERT_REFUSES(conf_kind_url_path, "", "a", "/a?b", "/a#b", "/a b", "/a\tb", "/ä", "/a\x7f");
}

static void locations_are_paths_or_urls_with_known_braces(void **state)
{
    (void)state;
    ASSERT_TAKES(conf_kind_location, "/", "/x{path}", "https://a", "http://a/b?c#d",
                 "https://{host}{path}", "https://new.example.com{path}");
    ASSERT_REFUSES(conf_kind_location, "", "a", "ftp://a", "https://", "http://", "//", "//a",
                   "/{path}", "/{", "/}", "/{uri}", "/{path", "/{{path}}", "/a b",
                   "/a\r\nSet-Cookie: x");
}

static void field_names_are_tokens_and_values_have_no_controls(void **state)
{
    (void)state;
    ASSERT_TAKES(conf_kind_field_name, "X-A", "a", "!#$%&'*+-.^_`|~9");
    ASSERT_REFUSES(conf_kind_field_name, "", "a b", "a:", "a\n", "ä", "a(b)");
    ASSERT_TAKES(conf_kind_field_value, "", "x", "a b\tc", "ä");
    ASSERT_REFUSES(conf_kind_field_value, "a\r\nb", "a\n", " a", "a ", "\ta", "a\x01", "a\x7f");
}

static void owners_have_a_user_a_group_or_both(void **state)
{
    (void)state;
    ASSERT_TAKES(conf_kind_owner, "root", "www-data:adm", ":adm", "1000:1000");
    ASSERT_REFUSES(conf_kind_owner, "", ":", "a:", "a:b:c", "a b", ": ");
}

static void names_are_fit_for_logs_and_metrics(void **state)
{
    (void)state;
    ASSERT_TAKES(conf_kind_name, "a", "shop.example-1_b", "7");
    ASSERT_REFUSES(conf_kind_name, "", "a b", "a\"b", "ä", "a/b", "{x}");
}

/* What the configuration takes, the log takes; and the other way round. */
static void log_levels_are_those_of_the_log(void **state)
{
    static const char *const specs[] = {
        "info",
        "trace",
        "error",
        "warn,tls=debug",
        "warn,tls=debug,net=trace",
        "tls=debug",
        "",
        ",",
        "info,",
        ",info",
        "loud",
        "info,debug",
        "info,tls",
        "info,tls=",
        "info,tls=loud",
        "info,ssl=warn",
        "tls=debug,info",
        "tls=debug,net=info",
        "info=debug",
        "tls=debug=info",
        "INFO",
        "info, tls=debug",
        "=info",
        "info,=debug",
        "tls=debug,",
    };

    (void)state;
    for (size_t i = 0; i < SP_COUNT_OF(specs); i++) {
        if (conf_kind_log_levels.ok(view_of(specs[i])) != log_set_levels(view_of(specs[i])))
            print_error("\"%s\"\n", specs[i]);
        assert_int_equal(conf_kind_log_levels.ok(view_of(specs[i])),
                         log_set_levels(view_of(specs[i])));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(host_patterns_are_names_with_at_most_one_star_in_front),
        cmocka_unit_test(url_paths_have_no_query_and_nothing_invisible),
        cmocka_unit_test(locations_are_paths_or_urls_with_known_braces),
        cmocka_unit_test(field_names_are_tokens_and_values_have_no_controls),
        cmocka_unit_test(owners_have_a_user_a_group_or_both),
        cmocka_unit_test(names_are_fit_for_logs_and_metrics),
        cmocka_unit_test(log_levels_are_those_of_the_log),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
