/* What good configurations become. */
#include "config_fixture.h"
#include "failing_alloc.h"

#include <pthread.h>
#include <unistd.h>

static const char *const rich =
    "{\"ports\": {"
    "  \"443\": {\"bundles\": [\"shop\", \"api\"], \"default_bundle\": \"api\", \"defer_accept\": "
    "5,"
    "    \"accept\": {\"backlog\": 64, \"unix_mode\": \"0600\"}, \"limits\": {\"max_fields\": 7}},"
    "  \"[::1]:8443\": {\"bundles\": [\"shop\"], \"preset\": \"modern\", \"strict_sni\": true},"
    "  \"unix:run/s.sock\": {\"tls\": false},"
    "  \"80\": {\"tls\": false, \"redirect_to_port\": 443}},"
    " \"bundles\": {"
    "  \"shop\": {\"certs\": [{\"chain\": \"s.pem\", \"key\": \"/k/s.key\"}],"
    "    \"names\": [\"Shop.Example.com\", \"*.shop.example.com\"]},"
    "  \"api\": {\"certs\": [{\"chain\": \"e.pem\", \"key\": \"e.key\"},"
    "                        {\"chain\": \"r.pem\", \"key\": \"r.key\"}]}},"
    " \"backends\": {\"app\": {\"servers\": [\"127.0.0.1:9001\", {\"address\": \"[::1]:9002\"},"
    "    \"App.internal:80\", \"unix:app.sock\"], \"retries\": 0}},"
    " \"limits\": {\"max_fields\": 50, \"max_head_bytes\": 2048},"
    " \"routes\": [{\"host\": \"SHOP.example.com\", \"path\": \"/a\", \"backend\": \"app\"},"
    "  {\"path\": \"/b\", \"redirect\": {\"location\": \"https://x{path}\"}},"
    "  {\"path\": \"/c\", \"redirect\": {\"status\": 302, \"location\": \"/\"}},"
    "  {\"respond\": {\"headers\": {\"A\": \"1\", \"//\": \"no field\", \"B\": \"2\"}, \"text\": "
    "\"hi\"}}],"
    " \"throttle\": {\"exempt\": [\"10.0.0.0/8\"]}, \"log\": {\"access\": {\"format\": \"json\","
    "  \"path\": \"a.log\"}}, \"threads\": {\"ssl\": 0}, \"user\": \"www\"}";

static void the_smallest_configuration_has_every_default(void **state)
{
    struct parsed *p = parse_good("{" PLAIN_PORT ", " TEXT_ROUTE "}");
    const struct config *c = p->config;
    const struct port_conf *port = &c->ports[0];

    (void)state;
    assert_view(c->file, "test.json");
    assert_int_equal(c->threads.net, THREADS_AUTO);
    assert_int_equal(c->threads.ssl, THREADS_AUTO);
    assert_int_equal(c->threads.task, 1);
    assert_int_equal(c->threads.ssl_nice, 19);
    assert_int_equal(c->handshake.budget_us, 250);
    assert_int_equal(c->throttle.accept_headroom_percent, 10);
    assert_int_equal(c->throttle.connect_headroom_percent, 10);
    assert_int_equal(c->throttle.default_inactivity_ms, 120000);
    assert_view(c->log.levels, "info");
    assert_int_equal(c->log.path.len, 0);
    assert_int_equal(c->log.access_path.len, 0);
    assert_int_equal(c->log.queue_bytes, 1048576);
    assert_true(c->forwarding.x_forwarded);
    assert_false(c->forwarding.forwarded);
    assert_int_equal(c->drain_timeout_ms, 30000);
    assert_int_equal(c->user.len, 0);
    assert_false(c->admin.socket_given);
    assert_int_equal(port->accept.mode, ACCEPT_PER_THREAD);
    assert_int_equal(port->accept.backlog, 511);
    assert_int_equal(port->accept.accepts_per_turn, 32);
    assert_int_equal(port->accept.fd, -1);
    assert_int_equal(port->accept.linger_s, -1);
    assert_int_equal(port->accept.unix_mode, 0660);
    assert_true(port->accept.tcp_nodelay);
    assert_int_equal(port->limits.max_head_bytes, 32768);
    assert_int_equal(port->limits.max_target_bytes, 8192);
    assert_int_equal(port->limits.max_fields, 100);
    assert_int_equal(port->limits.head_timeout_ms, 10000);
    assert_int_equal(port->limits.tunnel_timeout_ms, 3600000);
    assert_int_equal(port->limits.buffer_bytes, 65536);
    parsed_free(p);
}

static void control_socket_is_beside_the_file_unless_said(void **state)
{
    static const struct {
        const char *text, *path;
        bool given;
    } rows[] = {
        {"{}", "/etc/sallyport/run/sallyport.sock", false},
        {"{\"socket\": \"x.sock\"}", "/etc/sallyport/x.sock", true},
        {"{\"socket\": \"/run/x.sock\"}", "/run/x.sock", true},
        {"{\"socket\": \"off\"}", "", true},
    };
    char text[256];

    (void)state;
    for (size_t i = 0; i < SP_COUNT_OF(rows); i++) {
        (void)snprintf(text, sizeof(text), "{\"admin\": %s, " PLAIN_PORT ", " TEXT_ROUTE "}",
                       rows[i].text);
        struct parsed *p = parse_good(text);

        assert_view(p->config->admin.socket, rows[i].path);
        assert_int_equal(p->config->admin.socket_given, rows[i].given);
        parsed_free(p);
    }
}

static void ports_have_endpoints(void **state)
{
    struct parsed *p = parse_good(rich);
    const struct port_conf *ports = p->config->ports;
    static const char *const endpoints[] = {"[::]:443", "[::1]:8443",
                                            "unix:/etc/sallyport/run/s.sock", "[::]:80"};

    (void)state;
    assert_int_equal(p->config->n_ports, 4);
    for (unsigned i = 0; i < 4; i++) {
        char text[ENDPOINT_TEXT_MAX];

        assert_int_equal(ports[i].n_endpoints, 1);
        assert_string_equal(endpoint_format(ports[i].endpoints, text, sizeof(text)), endpoints[i]);
    }
    assert_true(ports[0].any_address);
    assert_false(ports[1].any_address);
    assert_view(ports[2].name, "unix:run/s.sock");
    assert_int_equal(ports[3].redirect_to_port, 443);
    assert_false(ports[3].tls);
    parsed_free(p);
}

static void ports_know_their_bundles(void **state)
{
    struct parsed *p = parse_good(rich);
    const struct config *c = p->config;
    const struct tls_port_conf *tls = &c->ports[0].tls_conf;

    (void)state;
    assert_true(c->ports[0].tls);
    assert_int_equal(tls->n_bundles, 2);
    assert_ptr_equal(tls->bundles[0], &c->bundles[0]);
    assert_ptr_equal(tls->bundles[1], &c->bundles[1]);
    assert_ptr_equal(tls->default_bundle, &c->bundles[1]);
    assert_ptr_equal(c->ports[1].tls_conf.default_bundle, &c->bundles[0]); /* the first */
    assert_int_equal(tls->alpn, ALPN_HTTP11 | ALPN_H2);
    assert_int_equal(tls->preset, TLS_PRESET_INTERMEDIATE);
    assert_int_equal(c->ports[1].tls_conf.preset, TLS_PRESET_MODERN);
    assert_true(c->ports[1].tls_conf.strict_sni);
    assert_true(tls->session_tickets);
    assert_int_equal(tls->handshake_timeout_ms, 10000);
    parsed_free(p);
}

static void bundles_have_resolved_paths_and_lower_case_names(void **state)
{
    struct parsed *p = parse_good(rich);
    const struct bundle_conf *b = p->config->bundles;

    (void)state;
    assert_int_equal(p->config->n_bundles, 2);
    assert_view(b[0].name, "shop");
    assert_view(b[0].certs[0].chain, "/etc/sallyport/s.pem");
    assert_view(b[0].certs[0].key, "/k/s.key");
    assert_int_equal(b[0].n_names, 2);
    assert_view(b[0].names[0], "shop.example.com");
    assert_int_equal(b[1].n_certs, 2);
    assert_int_equal(b[1].n_names, 0);
    assert_int_equal(b[0].certs[0].chain.p[b[0].certs[0].chain.len], '\0');
    parsed_free(p);
}

static void limits_of_a_port_stand_over_those_of_all(void **state)
{
    struct parsed *p = parse_good(rich);
    const struct port_conf *ports = p->config->ports;

    (void)state;
    assert_int_equal(p->config->limits.max_fields, 50);
    assert_int_equal(ports[0].limits.max_fields, 7);
    assert_int_equal(ports[0].limits.max_head_bytes, 2048);
    assert_int_equal(ports[1].limits.max_fields, 50);
    assert_int_equal(ports[1].limits.body_timeout_ms, 30000);
    parsed_free(p);
}

static void servers_are_addresses_names_or_sockets(void **state)
{
    struct parsed *p = parse_good(rich);
    const struct backend_conf *b = &p->config->backends[0];
    char text[ENDPOINT_TEXT_MAX];

    (void)state;
    assert_view(b->name, "app");
    assert_int_equal(b->n_servers, 4);
    assert_int_equal(b->retries, 0);
    assert_true(b->pass_host);
    assert_int_equal(b->connect_timeout_ms, 3000);
    assert_int_equal(b->keep_alive, 1024);
    assert_view(b->servers[0].name, "127.0.0.1:9001");
    assert_view(b->servers[0].host, "127.0.0.1");
    assert_int_equal(b->servers[0].port, 9001);
    assert_string_equal(endpoint_format(&b->servers[0].endpoint, text, sizeof(text)),
                        "127.0.0.1:9001");
    assert_view(b->servers[1].host, "::1");
    assert_int_equal(endpoint_port(&b->servers[1].endpoint), 9002);
    assert_view(b->servers[2].host, "App.internal");
    assert_int_equal(b->servers[2].port, 80);
    assert_int_equal(b->servers[2].endpoint.len, 0);
    assert_int_equal(b->servers[3].host.len, 0);
    assert_string_equal(endpoint_format(&b->servers[3].endpoint, text, sizeof(text)),
                        "unix:/etc/sallyport/app.sock");
    parsed_free(p);
}

static void routes_lead_to_one_of_three(void **state)
{
    struct parsed *p = parse_good(rich);
    const struct route_conf *r = p->config->routes;

    (void)state;
    assert_int_equal(p->config->n_routes, 4);
    assert_int_equal(r[0].action, ROUTE_BACKEND);
    assert_ptr_equal(r[0].backend, &p->config->backends[0]);
    assert_view(r[0].host, "shop.example.com");
    assert_view(r[0].path, "/a");
    assert_int_equal(r[1].action, ROUTE_REDIRECT);
    assert_int_equal(r[1].status, 308);
    assert_view(r[1].location, "https://x{path}");
    assert_int_equal(r[2].status, 302);
    assert_int_equal(r[3].action, ROUTE_RESPOND);
    assert_int_equal(r[3].status, 200);
    assert_int_equal(r[3].n_headers, 2);
    assert_view(r[3].headers[1].name, "B");
    assert_view(r[3].headers[1].value, "2");
    assert_view(r[3].text, "hi");
    parsed_free(p);
}

static void the_small_objects_are_read(void **state)
{
    struct parsed *p = parse_good(rich);
    const struct config *c = p->config;

    (void)state;
    assert_int_equal(c->threads.ssl, 0);
    assert_int_equal(c->throttle.n_exempt, 1);
    assert_true(c->log.access_json);
    assert_view(c->log.access_path, "/etc/sallyport/a.log");
    assert_view(c->user, "www");
    assert_int_equal(c->ports[0].accept.defer_accept_s, 5);
    assert_int_equal(c->ports[0].accept.unix_mode, 0600);
    parsed_free(p);
}

static void several_ports_may_be_chosen_by_the_system(void **state)
{
    struct parsed *p =
        parse_good("{\"ports\": {\"0\": {\"tls\": false}, \"[::]:0\": {\"tls\": false}, "
                   "\"127.0.0.1:0\": {\"tls\": false}}, " TEXT_ROUTE "}");

    (void)state;
    assert_int_equal(p->config->n_ports, 3);
    parsed_free(p);
}

static void a_redirecting_port_needs_no_routes(void **state)
{
    (void)state;
    parsed_free(parse_good("{\"ports\": {\"80\": {\"tls\": false, \"redirect_to_port\": 443}}}"));
}

static void a_relative_folder_counts_from_here(void **state)
{
    const char *text = "{\"ports\": {\"unix:x.sock\": {\"tls\": false}}, " TEXT_ROUTE
                       ", \"log\": {\"path\": \"l\"}}";
    char cwd[4096], expected[4200];
    struct config_problems problems;
    struct config *c;

    (void)state;
    assert_non_null(getcwd(cwd, sizeof(cwd)));
    for (unsigned i = 0; i < 2; i++) {
        config_problems_init(&problems);
        c = config_parse(view_of(text), "n", i == 0 ? "." : "sub", &problems);
        /* A build folder may lie too deep for a socket's path: only the path matters here. */
        if (c != NULL) {
            (void)snprintf(expected, sizeof(expected), "%s/%s", cwd, i == 0 ? "l" : "sub/l");
            assert_view(c->log.path, expected);
        }
        config_unref(c);
        config_problems_fini(&problems);
    }
}

static void references_keep_it_alive(void **state)
{
    struct parsed *p = parse_good(rich);
    struct config *other = config_ref(p->config);

    (void)state;
    config_unref(p->config);
    assert_view(other->ports[0].name, "443");
    parsed_free(p); /* drops the last one */
    config_unref(NULL);
}

static void *ref_and_unref(void *config)
{
    for (unsigned i = 0; i < 10000; i++)
        config_unref(config_ref(config));
    return NULL;
}

static void threads_may_count_at_once(void **state)
{
    struct parsed *p = parse_good(rich);
    pthread_t threads[4];

    (void)state;
    for (unsigned i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, ref_and_unref, p->config), 0);
    for (unsigned i = 0; i < 4; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    assert_int_equal(p->config->refs, 1);
    parsed_free(p);
}

/* Those of jansson's parser among them. */
static void survives_each_failed_allocation(const char *text, bool good)
{
    for (unsigned nth = 0;; nth++) {
        struct config_problems problems;
        struct config *c;
        bool hit;

        failing_alloc_arm(nth);
        config_problems_init(&problems);
        c = config_parse(view_of(text), "n", "/f", &problems);
        hit = failing_alloc_hit();
        if (hit) {
            assert_null(c);
            assert_int_equal(problems.n, 1);
            assert_view(problems.v[0].text, "out of memory");
        } else {
            assert_int_equal(c != NULL, good);
        }
        config_unref(c);
        config_problems_fini(&problems);
        assert_int_equal(failing_alloc_live(), 0);
        if (!hit)
            return;
    }
}

static void a_good_one_survives_each_failed_allocation(void **state)
{
    (void)state;
    survives_each_failed_allocation(rich, true);
}

static void a_bad_one_survives_each_failed_allocation(void **state)
{
    (void)state;
    survives_each_failed_allocation("{\"prots\": 1, \"ports\": {\"443\": {\"bundles\": [\"a\"]}},"
                                    " \"limits\": {\"max_fields\": 0}}",
                                    false);
    survives_each_failed_allocation("{\"ports\": }", false);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_smallest_configuration_has_every_default),
        cmocka_unit_test(control_socket_is_beside_the_file_unless_said),
        cmocka_unit_test(ports_have_endpoints),
        cmocka_unit_test(ports_know_their_bundles),
        cmocka_unit_test(bundles_have_resolved_paths_and_lower_case_names),
        cmocka_unit_test(limits_of_a_port_stand_over_those_of_all),
        cmocka_unit_test(servers_are_addresses_names_or_sockets),
        cmocka_unit_test(routes_lead_to_one_of_three),
        cmocka_unit_test(the_small_objects_are_read),
        cmocka_unit_test(several_ports_may_be_chosen_by_the_system),
        cmocka_unit_test(a_redirecting_port_needs_no_routes),
        cmocka_unit_test(a_relative_folder_counts_from_here),
        cmocka_unit_test(references_keep_it_alive),
        cmocka_unit_test(threads_may_count_at_once),
        cmocka_unit_test(a_good_one_survives_each_failed_allocation),
        cmocka_unit_test(a_bad_one_survives_each_failed_allocation),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
