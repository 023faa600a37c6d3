/* Redirects and fixed answers. */
#include "failing_alloc.h"
#include "redirect.h"
#include "unit_test.h"

static struct arena arena;
static struct http_head request, head;
static struct iobuf body;

static int setup(void **state)
{
    (void)state;
    arena_init(&arena);
    iobuf_init(&body);
    request = (struct http_head){.version = HTTP_VERSION_1_1,
                                 .method = HTTP_METHOD_GET,
                                 .authority = VIEW("shop.example:8080"),
                                 .path = VIEW("/a/b?c=d")};
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    iobuf_clear(&body);
    arena_fini(&arena);
    iobuf_thread_fini();
    return 0;
}

static const char *value_of(enum http_field_id id)
{
    const struct http_field *field = http_fields_get(&head.fields, id);
    struct view copy;

    if (field == NULL)
        return "";
    copy = arena_copy(&arena, field->value);
    return copy.p;
}

static void the_port_redirect_keeps_host_and_path(void **state)
{
    (void)state;
    assert_int_equal(redirect_to_port(443, &request, &arena, &head), HTTP_ERROR_NONE);
    assert_int_equal(head.status, 308);
    assert_string_equal(value_of(HTTP_FIELD_LOCATION), "https://shop.example/a/b?c=d");
    assert_string_not_equal(value_of(HTTP_FIELD_DATE), "");
    assert_int_equal(head.body, HTTP_BODY_LENGTH);
    assert_int_equal(head.content_length, 0);
    assert_int_equal(redirect_to_port(8443, &request, &arena, &head), HTTP_ERROR_NONE);
    assert_string_equal(value_of(HTTP_FIELD_LOCATION), "https://shop.example:8443/a/b?c=d");
}

static void an_ipv6_host_keeps_its_brackets(void **state)
{
    (void)state;
    request.authority = VIEW("[2001:db8::1]:8080");
    assert_int_equal(redirect_to_port(8443, &request, &arena, &head), HTTP_ERROR_NONE);
    assert_string_equal(value_of(HTTP_FIELD_LOCATION), "https://[2001:db8::1]:8443/a/b?c=d");
}

static void without_a_host_there_is_nowhere_to_go(void **state)
{
    struct route_conf route = {.status = 302, .location = VIEW("https://{host}/")};

    (void)state;
    request.authority = VIEW("");
    assert_int_equal(redirect_to_port(443, &request, &arena, &head), HTTP_ERROR_BAD_HOST);
    assert_int_equal(redirect_route(&route, &request, &arena, &head), HTTP_ERROR_BAD_HOST);
    route.location = VIEW("/elsewhere");
    assert_int_equal(redirect_route(&route, &request, &arena, &head), HTTP_ERROR_NONE);
}

static void the_holes_of_a_location_are_filled(void **state)
{
    struct route_conf route = {.status = 301,
                               .location = VIEW("https://www.{host}/old{path}#{host}{x}{")};

    (void)state;
    assert_int_equal(redirect_route(&route, &request, &arena, &head), HTTP_ERROR_NONE);
    assert_int_equal(head.status, 301);
    assert_string_equal(value_of(HTTP_FIELD_LOCATION),
                        "https://www.shop.example/old/a/b?c=d#shop.example{x}{");
}

static void what_the_request_says_is_not_filled_again(void **state)
{
    struct route_conf route = {.status = 302, .location = VIEW("https://x.example{path}")};

    (void)state;
    request.path = VIEW("/{host}{path}");
    assert_int_equal(redirect_route(&route, &request, &arena, &head), HTTP_ERROR_NONE);
    assert_string_equal(value_of(HTTP_FIELD_LOCATION), "https://x.example/{host}{path}");
}

static void the_asterisk_becomes_the_root(void **state)
{
    (void)state;
    request.path = VIEW("*");
    assert_int_equal(redirect_to_port(443, &request, &arena, &head), HTTP_ERROR_NONE);
    assert_string_equal(value_of(HTTP_FIELD_LOCATION), "https://shop.example/");
}

static void a_line_end_never_gets_into_a_location(void **state)
{
    static const struct view bad_paths[] = {VIEW_INIT("/a\r\nset-cookie: x"), VIEW_INIT("/a\nb"),
                                            VIEW_INIT("/a b"), VIEW_INIT("relative")};
    static const struct view bad_hosts[] = {VIEW_INIT("a\r\nb"), VIEW_INIT("user@evil.example"),
                                            VIEW_INIT("a/b"), VIEW_INIT("[::1")};

    (void)state;
    for (size_t i = 0; i < SP_COUNT_OF(bad_paths); i++) {
        request.path = bad_paths[i];
        assert_int_equal(redirect_to_port(443, &request, &arena, &head), HTTP_ERROR_BAD_TARGET);
    }
    request.path = VIEW("/");
    for (size_t i = 0; i < SP_COUNT_OF(bad_hosts); i++) {
        request.authority = bad_hosts[i];
        assert_int_equal(redirect_to_port(443, &request, &arena, &head), HTTP_ERROR_BAD_HOST);
    }
}

static void a_path_of_two_slashes_does_not_lead_to_another_host(void **state)
{
    struct route_conf route = {.status = 302, .location = VIEW("{path}")};

    (void)state;
    request.path = VIEW("//evil.example/x");
    assert_int_equal(redirect_route(&route, &request, &arena, &head), HTTP_ERROR_NONE);
    assert_string_equal(value_of(HTTP_FIELD_LOCATION), "/evil.example/x");
    route.location = VIEW("//cdn.example{path}");
    assert_int_equal(redirect_route(&route, &request, &arena, &head), HTTP_ERROR_NONE);
    assert_string_equal(value_of(HTTP_FIELD_LOCATION), "//cdn.example//evil.example/x");
}

static void a_fixed_answer_has_status_fields_and_text(void **state)
{
    struct header_conf headers[] = {{VIEW_INIT("X-Why"), VIEW_INIT("because")},
                                    {VIEW_INIT("Connection"), VIEW_INIT("close")},
                                    {VIEW_INIT("Content-Length"), VIEW_INIT("99")},
                                    {VIEW_INIT("Transfer-Encoding"), VIEW_INIT("chunked")}};
    struct route_conf route = {.action = ROUTE_RESPOND,
                               .status = 403,
                               .headers = headers,
                               .n_headers = SP_COUNT_OF(headers),
                               .text = VIEW("no\n")};

    (void)state;
    assert_int_equal(respond_route(&route, &arena, &head, &body), HTTP_ERROR_NONE);
    assert_int_equal(head.status, 403);
    assert_int_equal(head.content_length, 3);
    assert_int_equal(body.len, 3);
    assert_string_equal(value_of(HTTP_FIELD_CONTENT_TYPE), "text/plain; charset=utf-8");
    assert_int_equal(head.fields.n, 3); /* X-Why, Date, Content-Type */
}

static void a_configured_type_is_kept(void **state)
{
    struct header_conf header = {VIEW_INIT("content-type"), VIEW_INIT("application/json")};
    struct route_conf route = {
        .status = 200, .headers = &header, .n_headers = 1, .text = VIEW("{}")};

    (void)state;
    assert_int_equal(respond_route(&route, &arena, &head, &body), HTTP_ERROR_NONE);
    assert_string_equal(value_of(HTTP_FIELD_CONTENT_TYPE), "application/json");
    assert_int_equal(head.fields.n, 2);
}

static void a_204_has_no_body_whatever_the_text(void **state)
{
    struct route_conf route = {.status = 204, .text = VIEW("x")};

    (void)state;
    assert_int_equal(respond_route(&route, &arena, &head, &body), HTTP_ERROR_NONE);
    assert_int_equal(head.body, HTTP_BODY_NONE);
    assert_int_equal(body.len, 0);
}

static void answers_survive_each_failed_allocation(void **state)
{
    struct route_conf redirected = {.status = 302, .location = VIEW("https://{host}{path}")};
    struct route_conf fixed = {.status = 200, .text = VIEW("hello")};

    (void)state;
    for (unsigned nth = 0;; nth++) {
        struct arena own;
        enum http_error errors[3];
        bool hit, failed = false;

        arena_init(&own);
        failing_alloc_arm(nth);
        errors[0] = redirect_to_port(443, &request, &own, &head);
        errors[1] = redirect_route(&redirected, &request, &own, &head);
        errors[2] = respond_route(&fixed, &own, &head, &body);
        hit = failing_alloc_hit();
        iobuf_clear(&body);
        iobuf_thread_fini();
        arena_fini(&own);
        assert_int_equal(failing_alloc_live(), 0);
        for (int i = 0; i < 3; i++) {
            assert_true(errors[i] == HTTP_ERROR_NONE || errors[i] == HTTP_ERROR_NOMEM);
            failed = failed || errors[i] == HTTP_ERROR_NOMEM;
        }
        assert_int_equal(failed, hit);
        if (!hit)
            return;
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_port_redirect_keeps_host_and_path),
        TEST(an_ipv6_host_keeps_its_brackets),
        TEST(without_a_host_there_is_nowhere_to_go),
        TEST(the_holes_of_a_location_are_filled),
        TEST(what_the_request_says_is_not_filled_again),
        TEST(the_asterisk_becomes_the_root),
        TEST(a_line_end_never_gets_into_a_location),
        TEST(a_path_of_two_slashes_does_not_lead_to_another_host),
        TEST(a_fixed_answer_has_status_fields_and_text),
        TEST(a_configured_type_is_kept),
        TEST(a_204_has_no_body_whatever_the_text),
        TEST(answers_survive_each_failed_allocation),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
