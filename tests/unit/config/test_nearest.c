#include "config_fixture.h"

#include <sallyport/config/nearest.h>

static const char *nearest_of(const char *meant, const char *a, const char *b)
{
    struct nearest n;

    nearest_init(&n, view_of(meant));
    nearest_offer(&n, view_of(a));
    nearest_offer(&n, view_of(b));
    return n.best.p;
}

static void one_slip_is_forgiven(void **state)
{
    (void)state;
    assert_string_equal(nearest_of("bakend", "bundles", "backend"), "backend"); /* left out */
    assert_string_equal(nearest_of("portts", "routes", "ports"), "ports");      /* too many */
    assert_string_equal(nearest_of("toutes", "ports", "routes"), "routes");     /* another */
    assert_string_equal(nearest_of("orutes", "ports", "routes"), "routes");     /* swapped */
    assert_string_equal(nearest_of("TLS", "alpn", "tls"), "tls");               /* case */
    assert_string_equal(nearest_of("sni", "ssl", "sni"), "sni");
}

static void other_words_are_not_suggested(void **state)
{
    (void)state;
    assert_null(nearest_of("host", "path", "text"));
    assert_null(nearest_of("admin", "ports", "user"));
    assert_null(nearest_of("x", "ab", "fd"));
    assert_null(nearest_of("", "a", "b"));
}

static void the_nearest_of_several_wins(void **state)
{
    (void)state;
    assert_string_equal(nearest_of("keep_alive_timeout", "keep_alive", "keep_alive_timeout_ms"),
                        "keep_alive_timeout_ms");
    assert_string_equal(nearest_of("body_timeout", "body_timeout_ms", "head_timeout"),
                        "body_timeout_ms");
}

static void a_beginning_is_enough(void **state)
{
    (void)state;
    assert_string_equal(nearest_of("addr", "weight", "address"), "address");
    assert_string_equal(nearest_of("max_head", "max_fields", "max_head_bytes"), "max_head_bytes");
    assert_null(nearest_of("add", "weight", "address"));
}

static void very_long_names_are_left_alone(void **state)
{
    char name[200];

    (void)state;
    memset(name, 'a', sizeof(name) - 1);
    name[sizeof(name) - 1] = '\0';
    assert_null(nearest_of(name, name + 1, "b"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_slip_is_forgiven),
        cmocka_unit_test(other_words_are_not_suggested),
        cmocka_unit_test(the_nearest_of_several_wins),
        cmocka_unit_test(a_beginning_is_enough),
        cmocka_unit_test(very_long_names_are_left_alone),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
