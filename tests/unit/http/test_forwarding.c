/* What a backend is told about the client, and what a client cannot make it believe. */
#include "failing_alloc.h"
#include "forwarded_head.h"
#include "unit_test.h"

#include <stdio.h>

static struct cidr trusted[1];
static struct forwarding_conf conf;
static struct arena arena;
static struct http_head request;

static int setup(void **state)
{
    (void)state;
    arena_init(&arena);
    assert_int_equal(cidr_parse(VIEW("10.0.0.0/8"), &trusted[0]), SP_OK);
    conf = (struct forwarding_conf){.trusted = trusted,
                                    .n_trusted = 1,
                                    .forwarded = true,
                                    .x_forwarded = true,
                                    .request_id = true};
    request = (struct http_head){.version = HTTP_VERSION_1_1,
                                 .method = HTTP_METHOD_GET,
                                 .method_text = VIEW("GET"),
                                 .authority = VIEW("shop.example:8443"),
                                 .path = VIEW("/")};
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    arena_fini(&arena);
    return 0;
}

static void add(const char *name, const char *value)
{
    assert_int_equal(http_fields_add(&request.fields, &arena, http_field_id_of(view_of(name)),
                                     view_of(name), view_of(value)),
                     SP_OK);
}

static struct forwarding from(const char *address)
{
    struct forwarding f = {.conf = &conf, .port = 443, .tls = true};
    struct endpoint e;

    assert_int_equal(endpoint_parse(view_of(address), &e), SP_OK);
    ip_endpoint_of(&e.sa, &f.client);
    f.trusted = forwarding_trusts(&conf, &f.client);
    return f;
}

/* The values of all fields with this name in what the backend gets, joined by "|". */
static const char *sent(const struct forwarding *f, const char *name)
{
    static char text[512];
    struct http_head out;
    size_t len = 0;

    assert_int_equal(forwarded_request_make(f, &request, VIEW("0123456789abcdef"), &arena, &out),
                     HTTP_ERROR_NONE);
    text[0] = '\0';
    for (uint32_t i = 0; i < out.fields.n; i++)
        if (view_eq_nocase(out.fields.v[i].name, view_of(name)))
            len += (size_t)snprintf(text + len, sizeof(text) - len, "%s" VIEW_FMT,
                                    len == 0 ? "" : "|", VIEW_ARG(out.fields.v[i].value));
    return text;
}

static void a_stranger_is_described_and_not_believed(void **state)
{
    struct forwarding f = from("203.0.113.9:50000");

    (void)state;
    add("X-Forwarded-For", "1.2.3.4");
    add("x-forwarded-proto", "gopher");
    add("X-Forwarded-Host", "evil.example");
    add("X-Forwarded-Port", "1");
    add("Forwarded", "for=1.2.3.4");
    add("X-Request-Id", "mine");
    assert_string_equal(sent(&f, "x-forwarded-for"), "203.0.113.9");
    assert_string_equal(sent(&f, "x-forwarded-proto"), "https");
    assert_string_equal(sent(&f, "x-forwarded-host"), "shop.example:8443");
    assert_string_equal(sent(&f, "x-forwarded-port"), "443");
    assert_string_equal(sent(&f, "forwarded"),
                        "for=203.0.113.9;host=\"shop.example:8443\";proto=https");
    assert_string_equal(sent(&f, "x-request-id"), "0123456789abcdef");
}

static void a_trusted_peer_is_believed_and_added_to(void **state)
{
    struct forwarding f = from("10.1.2.3:50000");

    (void)state;
    f.tls = false;
    add("X-Forwarded-For", "1.2.3.4");
    add("X-Forwarded-For", "5.6.7.8");
    add("X-Forwarded-Proto", "https");
    add("X-Forwarded-Host", "first.example");
    add("Forwarded", "for=1.2.3.4");
    assert_string_equal(sent(&f, "x-forwarded-for"), "1.2.3.4, 5.6.7.8, 10.1.2.3");
    assert_string_equal(sent(&f, "x-forwarded-proto"), "https");
    assert_string_equal(sent(&f, "x-forwarded-host"), "first.example");
    assert_string_equal(sent(&f, "x-forwarded-port"), "443");
    assert_string_equal(sent(&f, "forwarded"),
                        "for=1.2.3.4, for=10.1.2.3;host=\"shop.example:8443\";proto=http");
}

static void ipv6_is_quoted_and_mapped_ipv4_is_ipv4(void **state)
{
    struct forwarding f = from("[2001:db8::1]:50000");

    (void)state;
    assert_string_equal(sent(&f, "x-forwarded-for"), "2001:db8::1");
    assert_string_equal(sent(&f, "forwarded"),
                        "for=\"[2001:db8::1]\";host=\"shop.example:8443\";proto=https");
    f = from("[::ffff:203.0.113.9]:50000");
    assert_string_equal(sent(&f, "x-forwarded-for"), "203.0.113.9");
}

static void an_unknown_peer_is_called_so(void **state)
{
    struct forwarding f = from("203.0.113.9:1");

    (void)state;
    f.client.sa.sa_family = AF_UNSPEC;
    f.port = 0;
    assert_string_equal(sent(&f, "x-forwarded-for"), "unknown");
    assert_string_equal(sent(&f, "x-forwarded-port"), "");
    assert_string_equal(sent(&f, "forwarded"),
                        "for=unknown;host=\"shop.example:8443\";proto=https");
}

static void names_with_underscores_do_not_get_past(void **state)
{
    struct forwarding f = from("10.1.2.3:50000");

    (void)state;
    add("X_Forwarded_For", "1.2.3.4");
    add("x-forwarded_proto", "gopher");
    add("X_Other", "kept");
    add("Proxy", "http://evil.example/");
    assert_string_equal(sent(&f, "X_Forwarded_For"), "");
    assert_string_equal(sent(&f, "x-forwarded_proto"), "");
    assert_string_equal(sent(&f, "proxy"), "");
    assert_string_equal(sent(&f, "x_other"), "kept");
}

static void connection_cannot_name_our_fields_away(void **state)
{
    struct forwarding f = from("10.1.2.3:50000");

    (void)state;
    add("Connection", "X-Forwarded-For, x-request-id, forwarded, close");
    add("X-Forwarded-For", "1.2.3.4");
    assert_string_equal(sent(&f, "x-forwarded-for"), "1.2.3.4, 10.1.2.3");
    assert_string_equal(sent(&f, "x-request-id"), "0123456789abcdef");
    assert_string_equal(sent(&f, "connection"), "");
}

static void what_is_not_sent_is_still_taken_from_strangers(void **state)
{
    struct forwarding f = from("203.0.113.9:50000");

    (void)state;
    conf.forwarded = conf.x_forwarded = conf.request_id = false;
    add("X-Forwarded-For", "1.2.3.4");
    add("Forwarded", "for=1.2.3.4");
    add("X-Request-Id", "mine");
    assert_string_equal(sent(&f, "x-forwarded-for"), "");
    assert_string_equal(sent(&f, "forwarded"), "");
    assert_string_equal(sent(&f, "x-request-id"), "");
    f = from("10.1.2.3:50000");
    assert_string_equal(sent(&f, "x-forwarded-for"), "1.2.3.4");
    assert_string_equal(sent(&f, "forwarded"), "for=1.2.3.4");
    assert_string_equal(sent(&f, "x-request-id"), "mine");
}

/* ---- The client's certificate ---- */

static struct client_identity shown = {.refs = 1,
                                       .subject = VIEW_INIT("CN=ada"),
                                       .fingerprint = VIEW_INIT("ab12"),
                                       .cert = VIEW_INIT(":TEVBRg==:"),
                                       .chain = VIEW_INIT(":Q0E=:, :Uk9PVA==:")};

#define CLIENT_CERT_NAMES                                                                  \
    "Client-Cert", "client-cert-chain", "X-Client-Cert-Verified", "X-Client-Cert-Subject", \
        "X-CLIENT-CERT-FINGERPRINT"

static void a_verified_certificate_is_told_as_it_was_asked_for(void **state)
{
    struct forwarding f = from("203.0.113.9:50000");

    (void)state;
    f.identity = &shown;
    shown.forward = CLIENT_AUTH_CERT | CLIENT_AUTH_CHAIN;
    assert_string_equal(sent(&f, "client-cert"), ":TEVBRg==:");
    assert_string_equal(sent(&f, "client-cert-chain"), ":Q0E=:, :Uk9PVA==:");
    assert_string_equal(sent(&f, "x-client-cert-verified"), "");
    assert_string_equal(sent(&f, "x-client-cert-subject"), "");
    assert_string_equal(sent(&f, "x-client-cert-fingerprint"), "");
    shown.forward = CLIENT_AUTH_VERIFIED | CLIENT_AUTH_SUBJECT | CLIENT_AUTH_FINGERPRINT;
    assert_string_equal(sent(&f, "x-client-cert-verified"), "SUCCESS");
    assert_string_equal(sent(&f, "x-client-cert-subject"), "CN=ada");
    assert_string_equal(sent(&f, "x-client-cert-fingerprint"), "ab12");
}

static void who_has_shown_no_certificate_is_told_of_in_one_field(void **state)
{
    struct client_identity none = {
        .refs = 1, .forward = CLIENT_AUTH_VERIFIED | CLIENT_AUTH_SUBJECT | CLIENT_AUTH_FINGERPRINT};
    struct forwarding f = from("203.0.113.9:50000");

    (void)state;
    f.identity = &none;
    assert_string_equal(sent(&f, "x-client-cert-verified"), "NONE");
    assert_string_equal(sent(&f, "x-client-cert-subject"), "");
    assert_string_equal(sent(&f, "x-client-cert-fingerprint"), "");
    assert_string_equal(sent(&f, "client-cert"), "");
}

/* Not even of a proxy that is trusted: where it is to be believed, it must say so itself. */
static void nobody_is_believed_about_certificates(void **state)
{
    static const char *const peers[] = {"203.0.113.9:50000", "10.1.2.3:50000"};
    static const char *const names[] = {CLIENT_CERT_NAMES,          "Client_Cert",
                                        "client_cert-chain",        "Client.Cert",
                                        "X_Client_Cert_Verified",   "x-client-cert_subject",
                                        "X-Client~Cert'Fingerprint"};

    (void)state;
    for (size_t i = 0; i < SP_COUNT_OF(names); i++)
        add(names[i], "forged");
    add("Client-Certificate", "kept");
    for (size_t k = 0; k < SP_COUNT_OF(peers); k++) {
        struct forwarding f = from(peers[k]);

        for (size_t i = 0; i < SP_COUNT_OF(names); i++)
            assert_string_equal(sent(&f, names[i]), "");
        assert_string_equal(sent(&f, "client-certificate"), "kept");
        f.identity = &shown;
        assert_string_equal(sent(&f, "client-cert"), ":TEVBRg==:");
    }
}

static void connection_cannot_name_the_certificate_away(void **state)
{
    struct forwarding f = from("203.0.113.9:50000");

    (void)state;
    f.identity = &shown;
    add("Connection", "client-cert, x-client-cert-verified, close");
    shown.forward = CLIENT_AUTH_CERT | CLIENT_AUTH_VERIFIED;
    assert_string_equal(sent(&f, "client-cert"), ":TEVBRg==:");
    assert_string_equal(sent(&f, "x-client-cert-verified"), "SUCCESS");
}

static void via_names_the_protocol_received(void **state)
{
    struct forwarding f = from("203.0.113.9:50000");

    (void)state;
    add("Via", "1.0 fred");
    assert_string_equal(sent(&f, "via"), "1.0 fred");
    conf.via = true;
    assert_string_equal(sent(&f, "via"), "1.0 fred|1.1 sallyport");
    request.version = HTTP_VERSION_2;
    assert_string_equal(sent(&f, "via"), "1.0 fred|2 sallyport");
    request.version = HTTP_VERSION_1_0;
    assert_string_equal(sent(&f, "via"), "1.0 fred|1.0 sallyport");
}

static void a_quote_in_the_authority_cannot_end_the_string(void **state)
{
    struct forwarding f = from("203.0.113.9:50000");

    (void)state;
    request.authority = VIEW("a\";for=1.2.3.4\\");
    assert_string_equal(sent(&f, "forwarded"),
                        "for=203.0.113.9;host=\"a;for=1.2.3.4\";proto=https");
}

static void request_ids_are_made_or_kept(void **state)
{
    struct forwarding f = from("203.0.113.9:50000");
    struct view first, second;

    (void)state;
    add("X-Request-Id", "abc-DEF_1.2");
    first = forwarding_request_id(&f, &request, &arena);
    second = forwarding_request_id(&f, &request, &arena);
    assert_int_equal(first.len, 32);
    assert_false(view_eq(first, second));
    for (size_t i = 0; i < first.len; i++)
        assert_non_null(strchr("0123456789abcdef", first.p[i]));
    f = from("10.1.2.3:50000");
    assert_true(view_eq(forwarding_request_id(&f, &request, &arena), VIEW("abc-DEF_1.2")));
    request.fields.v[0].value = VIEW("a<b");
    assert_int_equal(forwarding_request_id(&f, &request, &arena).len, 32);
}

static void hop_by_hop_fields_do_not_go_on(void **state)
{
    struct forwarding f = from("203.0.113.9:50000");

    (void)state;
    add("Connection", "keep-alive, X-Secret , Upgrade");
    add("Keep-Alive", "timeout=5");
    add("Proxy-Connection", "keep-alive");
    add("Transfer-Encoding", "chunked");
    add("Upgrade", "h2c");
    add("HTTP2-Settings", "AAMAAABkAAQCAAAAAAIAAAAA");
    add("X-Secret", "s");
    add("Content-Length", "0");
    add("TE", "gzip, trailers");
    add("Trailer", "X-Sum");
    add("X-Kept", "k");
    assert_string_equal(sent(&f, "connection"), "");
    assert_string_equal(sent(&f, "keep-alive"), "");
    assert_string_equal(sent(&f, "proxy-connection"), "");
    assert_string_equal(sent(&f, "transfer-encoding"), "");
    assert_string_equal(sent(&f, "upgrade"), "");
    assert_string_equal(sent(&f, "http2-settings"), "");
    assert_string_equal(sent(&f, "x-secret"), "");
    assert_string_equal(sent(&f, "content-length"), "");
    assert_string_equal(sent(&f, "te"), "trailers");
    assert_string_equal(sent(&f, "trailer"), "X-Sum");
    assert_string_equal(sent(&f, "x-kept"), "k");
}

static void a_connection_field_that_names_half_the_world_is_refused(void **state)
{
    struct forwarding f = from("203.0.113.9:50000");
    struct http_head out;

    (void)state;
    add("Connection", "a,b,c,d,e,f,g,h,i,j,k,l,m,n,o,p,q");
    assert_int_equal(forwarded_request_make(&f, &request, VIEW("id"), &arena, &out),
                     HTTP_ERROR_TOO_MANY_FIELDS);
}

static void te_without_trailers_ends_here(void **state)
{
    struct forwarding f = from("203.0.113.9:50000");

    (void)state;
    add("TE", "gzip;q=0.5");
    assert_string_equal(sent(&f, "te"), "");
}

static void expect_goes_on_only_when_it_can_be_met(void **state)
{
    struct forwarding f = from("203.0.113.9:50000");

    (void)state;
    add("Expect", "100-continue");
    assert_string_equal(sent(&f, "expect"), "");
    request.expect_continue = true;
    assert_string_equal(sent(&f, "expect"), "100-continue");
    request.version = HTTP_VERSION_1_0;
    assert_string_equal(sent(&f, "expect"), "");
}

static void cookies_in_pieces_are_joined(void **state)
{
    struct forwarding f = from("203.0.113.9:50000");

    (void)state;
    add("cookie", "a=1");
    assert_string_equal(sent(&f, "cookie"), "a=1");
    add("cookie", "b=2");
    add("cookie", "c=3");
    assert_string_equal(sent(&f, "cookie"), "a=1; b=2; c=3");
}

static void max_forwards_counts_down_for_options(void **state)
{
    struct forwarding f = from("203.0.113.9:50000");

    (void)state;
    add("Max-Forwards", "10");
    assert_string_equal(sent(&f, "max-forwards"), "10");
    assert_false(forwarded_request_ends_here(&request));
    request.method = HTTP_METHOD_OPTIONS;
    assert_string_equal(sent(&f, "max-forwards"), "9");
    assert_false(forwarded_request_ends_here(&request));
    request.fields.v[0].value = VIEW("0");
    assert_true(forwarded_request_ends_here(&request));
    request.fields.v[0].value = VIEW("99999999999999999999");
    assert_false(forwarded_request_ends_here(&request));
}

static void the_authority_is_the_clients_or_the_servers(void **state)
{
    struct backend_conf backend = {.pass_host = true};
    struct server_conf server = {.name = VIEW("127.0.0.1:9001"), .host = VIEW("127.0.0.1")};
    struct http_head out = {0};

    (void)state;
    forwarded_request_set_server(&out, &request, &backend, &server);
    assert_true(view_eq(out.authority, VIEW("shop.example:8443")));
    backend.pass_host = false;
    forwarded_request_set_server(&out, &request, &backend, &server);
    assert_true(view_eq(out.authority, VIEW("127.0.0.1:9001")));
    server = (struct server_conf){.name = VIEW("unix:/run/app")};
    forwarded_request_set_server(&out, &request, &backend, &server);
    assert_true(view_eq(out.authority, VIEW("localhost")));
}

static void making_a_head_survives_each_failed_allocation(void **state)
{
    struct forwarding f = from("10.1.2.3:50000");

    (void)state;
    conf.via = true;
    add("cookie", "a=1");
    add("cookie", "b=2");
    add("X-Forwarded-For", "1.2.3.4");
    add("TE", "trailers");
    for (unsigned nth = 0;; nth++) {
        struct arena own;
        struct http_head out;
        enum http_error error;
        bool hit;

        arena_init(&own);
        failing_alloc_arm(nth);
        error = forwarded_request_make(&f, &request, VIEW("id"), &own, &out);
        hit = failing_alloc_hit();
        arena_fini(&own);
        assert_int_equal(failing_alloc_live(), 0);
        assert_int_equal(error, hit ? HTTP_ERROR_NOMEM : HTTP_ERROR_NONE);
        if (!hit)
            return;
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_stranger_is_described_and_not_believed),
        TEST(a_trusted_peer_is_believed_and_added_to),
        TEST(ipv6_is_quoted_and_mapped_ipv4_is_ipv4),
        TEST(an_unknown_peer_is_called_so),
        TEST(names_with_underscores_do_not_get_past),
        TEST(connection_cannot_name_our_fields_away),
        TEST(what_is_not_sent_is_still_taken_from_strangers),
        TEST(a_verified_certificate_is_told_as_it_was_asked_for),
        TEST(who_has_shown_no_certificate_is_told_of_in_one_field),
        TEST(nobody_is_believed_about_certificates),
        TEST(connection_cannot_name_the_certificate_away),
        TEST(via_names_the_protocol_received),
        TEST(a_quote_in_the_authority_cannot_end_the_string),
        TEST(request_ids_are_made_or_kept),
        TEST(hop_by_hop_fields_do_not_go_on),
        TEST(a_connection_field_that_names_half_the_world_is_refused),
        TEST(te_without_trailers_ends_here),
        TEST(expect_goes_on_only_when_it_can_be_met),
        TEST(cookies_in_pieces_are_joined),
        TEST(max_forwards_counts_down_for_options),
        TEST(the_authority_is_the_clients_or_the_servers),
        TEST(making_a_head_survives_each_failed_allocation),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
