/* What is spoken with the servers of a backend: protocol and TLS. */
#include "config_fixture.h"

/* A configuration with one backend, of which `rest` is the rest. */
#define BEFORE                                                                    \
    "{\"ports\": {\"80\": {\"tls\": false}}, \"routes\": [{\"backend\": \"a\"}]," \
    "\n\"backends\": {\"a\": {"
#define BACKEND(rest) BEFORE "\"servers\": [\"s:1\"]" rest "}}}"

struct wanted {
    const char *text;
    enum backend_protocol protocol;
    bool tls, verify;
};

static void protocol_and_tls_go_together(void **state)
{
    static const struct wanted cases[] = {
        {BACKEND(""), BACKEND_HTTP11, false, false},
        {BACKEND(", \"protocol\": \"http/1.1\""), BACKEND_HTTP11, false, false},
        {BACKEND(", \"tls\": false"), BACKEND_HTTP11, false, true},
        {BACKEND(", \"tls\": true"), BACKEND_HTTP11, true, true},
        {BACKEND(", \"tls\": {}"), BACKEND_HTTP11, true, true},
        {BACKEND(", \"tls\": {\"verify\": false}"), BACKEND_HTTP11, true, false},
        {BACKEND(", \"tls\": {\"enabled\": false}"), BACKEND_HTTP11, false, true},
        {BACKEND(", \"protocol\": \"h2\""), BACKEND_H2, true, true},
        {BACKEND(", \"protocol\": \"h2\", \"tls\": true"), BACKEND_H2, true, true},
        {BACKEND(", \"protocol\": \"h2\", \"tls\": {\"verify\": false}"), BACKEND_H2, true, false},
        {BACKEND(", \"protocol\": \"h2c\""), BACKEND_H2C, false, false},
        {BACKEND(", \"protocol\": \"h2c\", \"tls\": false"), BACKEND_H2C, false, true},
    };

    (void)state;
    for (size_t i = 0; i < SP_COUNT_OF(cases); i++) {
        struct parsed *p = parse_good(cases[i].text);
        const struct backend_conf *b = &p->config->backends[0];

        assert_int_equal(b->protocol, cases[i].protocol);
        assert_int_equal(b->tls.enabled, cases[i].tls);
        assert_int_equal(b->tls.verify, cases[i].verify);
        parsed_free(p);
    }
}

static void every_key_of_tls_is_read(void **state)
{
    struct parsed *p = parse_good(
        BACKEND(", \"tls\": {\"ca_file\": \"ca.pem\", \"server_name\": \"Shop.Test\", "
                "\"certificate\": \"/c.pem\", \"key\": \"k.pem\", \"preset\": \"modern\"}"));
    const struct tls_client_conf *tls = &p->config->backends[0].tls;

    (void)state;
    assert_view(tls->ca_file, "/etc/sallyport/ca.pem");
    assert_view(tls->server_name, "shop.test");
    assert_view(tls->certificate, "/c.pem");
    assert_view(tls->key, "/etc/sallyport/k.pem");
    assert_int_equal(tls->preset, TLS_PRESET_MODERN);
    parsed_free(p);
}

static void an_address_is_a_server_name_too(void **state)
{
    (void)state;
    parsed_free(parse_good(BACKEND(", \"tls\": {\"server_name\": \"::1\"}")));
    parsed_free(parse_good(BACKEND(", \"tls\": {\"server_name\": \"10.0.0.1\"}")));
}

static void a_unix_socket_needs_a_name_to_verify(void **state)
{
    (void)state;
    parsed_free(parse_good(BEFORE "\"servers\": [\"unix:/s\"], "
                                  "\"tls\": {\"server_name\": \"shop\"}}}}"));
    parsed_free(parse_good(BEFORE "\"servers\": [\"unix:/s\"], \"tls\": {\"verify\": false}}}}"));
    assert_problems(BEFORE "\"servers\": [\"s:1\", \"unix:/s\"], \"protocol\": \"h2\"}}}",
                    "test.json:2:39: /backends/a/servers/1: \"tls\" needs a \"server_name\": a "
                    "unix socket has no host to verify\n");
}

struct wrong {
    const char *text, *lines;
};

/* clang-format off */
static const struct wrong wrongs[] = {
    {BACKEND(", \"protocol\": \"http2\""),
     "2:52: /backends/a/protocol: expected \"http/1.1\", \"h2\" or \"h2c\", found \"http2\""},
    {BACKEND(", \"protocol\": \"h2\", \"tls\": false"),
     "2:65: /backends/a/tls: \"h2\" is HTTP/2 with TLS: without it, \"protocol\" is \"h2c\""},
    {BACKEND(", \"protocol\": \"h2c\", \"tls\": true"),
     "2:66: /backends/a/tls: \"h2c\" is HTTP/2 without TLS: with it, \"protocol\" is \"h2\""},
    {BACKEND(", \"tls\": 1"),
     "2:47: /backends/a/tls: expected true or false, found 1"},
    {BACKEND(", \"tls\": {\"verfy\": true}"),
     "2:48: /backends/a/tls/verfy: unknown key \"verfy\"; did you mean \"verify\"?"},
    {BACKEND(", \"tls\": {\"certificate\": \"c\"}"),
     "2:63: /backends/a/tls/certificate: needs \"key\" beside it"},
    {BACKEND(", \"tls\": {\"key\": \"c\"}"),
     "2:55: /backends/a/tls/key: needs \"certificate\" beside it"},
    {BACKEND(", \"tls\": {\"server_name\": \"shop:443\"}"),
     "2:63: /backends/a/tls/server_name: expected a host name or an address without port, found \"shop:443\""},
    {BACKEND(", \"tls\": {\"server_name\": \"\"}"),
     "2:63: /backends/a/tls/server_name: expected a host name or an address without port, found \"\""},
    {BACKEND(", \"tls\": {\"server_name\": \"10.0.0.0/8\"}"),
     "2:63: /backends/a/tls/server_name: expected a host name or an address without port, found \"10.0.0.0/8\""},
    {BACKEND(", \"tls\": {\"preset\": \"old\"}"),
     "2:58: /backends/a/tls/preset: expected \"intermediate\" or \"modern\", found \"old\""},
};
/* clang-format on */

static void what_contradicts_itself_is_told(void **state)
{
    (void)state;
    for (size_t i = 0; i < SP_COUNT_OF(wrongs); i++) {
        char expected[300];

        (void)snprintf(expected, sizeof(expected), "test.json:%s\n", wrongs[i].lines);
        assert_problems(wrongs[i].text, expected);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(protocol_and_tls_go_together),
        cmocka_unit_test(every_key_of_tls_is_read),
        cmocka_unit_test(an_address_is_a_server_name_too),
        cmocka_unit_test(a_unix_socket_needs_a_name_to_verify),
        cmocka_unit_test(what_contradicts_itself_is_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
