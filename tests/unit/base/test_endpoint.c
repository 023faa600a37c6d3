/* Addresses to and from text: what is read, what is refused, and what comes out again. */
#include "unit_test.h"

#include <sallyport/base/endpoint.h>

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

static struct endpoint parsed(const char *text)
{
    struct endpoint e;

    assert_int_equal(endpoint_parse(view_of(text), &e), SP_OK);
    return e;
}

static union ip_endpoint ip_of(const char *text)
{
    struct endpoint e = parsed(text);
    union ip_endpoint ip;

    ip_endpoint_of(&e.sa, &ip);
    return ip;
}

static void what_is_parsed_is_formatted_as_it_was(void **state)
{
    static const char *const texts[] = {
        "127.0.0.1:80", "0.0.0.0:0",         "255.255.255.255:65535",  "[::1]:8443",
        "[::]:443",     "[2001:db8::1]:443", "[::ffff:192.0.2.1]:443", "unix:/run/backend.sock",
    };
    char text[ENDPOINT_TEXT_MAX];

    (void)state;
    for (size_t i = 0; i < SP_COUNT_OF(texts); i++) {
        struct endpoint e = parsed(texts[i]);

        assert_string_equal(endpoint_format(&e, text, sizeof(text)), texts[i]);
    }
}

static void what_is_not_an_address_is_refused_and_the_output_untouched(void **state)
{
    static const struct view texts[] = {
        {NULL, 0},
        VIEW_INIT(""),
        VIEW_INIT(":"),
        VIEW_INIT(":80"),
        VIEW_INIT("127.0.0.1"),
        VIEW_INIT("127.0.0.1:"),
        VIEW_INIT("127.0.0.1:+80"),
        VIEW_INIT("127.0.0.1:-1"),
        VIEW_INIT("127.0.0.1: 80"),
        VIEW_INIT("127.0.0.1:80 "),
        VIEW_INIT(" 127.0.0.1:80"),
        VIEW_INIT("127.0.0.1:080"),
        VIEW_INIT("127.0.0.1:65536"),
        VIEW_INIT("127.0.0.1:99999999999999999999"),
        VIEW_INIT("127.0.0.1:80\0"),
        VIEW_INIT("127.0.0.1\0:80"),
        VIEW_INIT("127.0.0.1:0x50"),
        VIEW_INIT("127.1:80"),
        VIEW_INIT("127.0.0.256:80"),
        VIEW_INIT("localhost:80"),
        VIEW_INIT("*:80"),
        VIEW_INIT("::1:80"),
        VIEW_INIT("[::1]"),
        VIEW_INIT("[::1]80"),
        VIEW_INIT("[::1:80"),
        VIEW_INIT("::1]:80"),
        VIEW_INIT("[]:80"),
        VIEW_INIT("[:80"),
        VIEW_INIT("[::1]x:80"),
        VIEW_INIT("[127.0.0.1]:80"),
        VIEW_INIT("[fe80::1%lo]:80"),
        VIEW_INIT("[1:2:3:4:5:6:7:8:9]:80"),
        VIEW_INIT("unix:"),
        VIEW_INIT("unix:relative"),
        VIEW_INIT("unix:/a\0b"),
        VIEW_INIT("UNIX:/a"),
    };

    (void)state;
    for (size_t i = 0; i < SP_COUNT_OF(texts); i++) {
        struct endpoint e = {.len = 77};

        assert_int_equal(endpoint_parse(texts[i], &e), SP_INVALID);
        assert_int_equal(e.len, 77);
    }
}

static void a_unix_path_fills_sun_path_with_its_nul_and_no_more(void **state)
{
    char text[5 + sizeof(((struct sockaddr_un *)0)->sun_path) + 1] = "unix:/";
    char out[ENDPOINT_TEXT_MAX];
    struct endpoint e;

    (void)state;
    memset(text + 6, 'x', sizeof(text) - 7);
    assert_int_equal(endpoint_parse(view_of(text), &e), SP_INVALID);
    text[sizeof(text) - 2] = '\0';
    e = parsed(text);
    assert_int_equal(e.len, sizeof(struct sockaddr_un));
    assert_int_equal(e.un.sun_path[sizeof(e.un.sun_path) - 1], '\0');
    assert_string_equal(endpoint_format(&e, out, sizeof(out)), text);
}

static void a_path_that_the_kernel_did_not_terminate_is_formatted(void **state)
{
    char out[ENDPOINT_TEXT_MAX];
    struct endpoint e = {.un = {.sun_family = AF_UNIX}, .len = sizeof(struct sockaddr_un)};

    (void)state;
    memset(e.un.sun_path, 'x', sizeof(e.un.sun_path));
    assert_int_equal(strlen(endpoint_format(&e, out, sizeof(out))), 5 + sizeof(e.un.sun_path));
    e.len = sizeof(sa_family_t); /* unnamed */
    assert_string_equal(endpoint_format(&e, out, sizeof(out)), "unix:");
    e.len = 0;
    assert_string_equal(endpoint_format(&e, out, sizeof(out)), "-");
}

static void ports_are_read_in_host_order(void **state)
{
    struct endpoint e = parsed("192.0.2.1:8443"), none = {0};
    union ip_endpoint ip = ip_of("[2001:db8::1]:443");

    (void)state;
    assert_int_equal(endpoint_port(&e), 8443);
    assert_int_equal(endpoint_port(&none), 0);
    assert_int_equal(ip_endpoint_port(&ip), 443);
    e = parsed("unix:/run/a");
    assert_int_equal(endpoint_port(&e), 0);
    ip = ip_of("192.0.2.1:80");
    assert_int_equal(ip_endpoint_port(&ip), 80);
}

static void an_ip_endpoint_takes_ip_and_forgets_unix(void **state)
{
    char out[ENDPOINT_TEXT_MAX];
    union ip_endpoint ip = ip_of("192.0.2.1:80");

    (void)state;
    assert_string_equal(ip_endpoint_format(&ip, out, sizeof(out)), "192.0.2.1:80");
    ip = ip_of("[2001:db8::1]:443");
    assert_string_equal(ip_endpoint_format(&ip, out, sizeof(out)), "[2001:db8::1]:443");
    ip = ip_of("unix:/run/a");
    assert_int_equal(ip.sa.sa_family, AF_UNSPEC);
    assert_string_equal(ip_endpoint_format(&ip, out, sizeof(out)), "-");
    assert_string_equal(ip_endpoint_format_address(&ip, out, sizeof(out)), "-");
    assert_int_equal(ip_endpoint_port(&ip), 0);
}

static void a_mapped_one_is_shown_as_ipv4_with_its_port(void **state)
{
    struct endpoint e;
    union ip_endpoint ip;
    char text[ENDPOINT_TEXT_MAX];

    (void)state;
    assert_int_equal(endpoint_parse(VIEW("[::ffff:192.0.2.7]:8443"), &e), SP_OK);
    ip_endpoint_of(&e.sa, &ip);
    assert_string_equal(ip_endpoint_format(&ip, text, sizeof(text)), "192.0.2.7:8443");
}

static void an_address_without_port_shows_a_mapped_one_as_ipv4(void **state)
{
    char out[ENDPOINT_TEXT_MAX];
    union ip_endpoint ip = ip_of("192.0.2.1:80");

    (void)state;
    assert_string_equal(ip_endpoint_format_address(&ip, out, sizeof(out)), "192.0.2.1");
    ip = ip_of("[::ffff:192.0.2.1]:80");
    assert_string_equal(ip_endpoint_format_address(&ip, out, sizeof(out)), "192.0.2.1");
    ip = ip_of("[2001:db8::1]:80");
    assert_string_equal(ip_endpoint_format_address(&ip, out, sizeof(out)), "2001:db8::1");
}

static void an_ip_endpoint_is_small(void **state)
{
    (void)state;
    assert_true(sizeof(union ip_endpoint) <= 32);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_parsed_is_formatted_as_it_was),
        cmocka_unit_test(what_is_not_an_address_is_refused_and_the_output_untouched),
        cmocka_unit_test(a_unix_path_fills_sun_path_with_its_nul_and_no_more),
        cmocka_unit_test(a_path_that_the_kernel_did_not_terminate_is_formatted),
        cmocka_unit_test(ports_are_read_in_host_order),
        cmocka_unit_test(an_ip_endpoint_takes_ip_and_forgets_unix),
        cmocka_unit_test(a_mapped_one_is_shown_as_ipv4_with_its_port),
        cmocka_unit_test(an_address_without_port_shows_a_mapped_one_as_ipv4),
        cmocka_unit_test(an_ip_endpoint_is_small),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
