/* Access log lines. */
#include "access_log.h"
#include "http_date.h"
#include "unit_test.h"

#include <sallyport/base/metrics.h>
#include <sallyport/config/config.h>

#include <jansson.h>

static struct arena arena;
static struct http_head request;
static struct access_entry entry;
static char room[ACCESS_LOG_LINE_MAX];

static void add(enum http_field_id id, const char *value)
{
    assert_int_equal(
        http_fields_add(&request.fields, &arena, id, view_of(http_field_name(id)), view_of(value)),
        SP_OK);
}

static int setup(void **state)
{
    struct endpoint e;

    (void)state;
    arena_init(&arena);
    request = (struct http_head){.version = HTTP_VERSION_1_1,
                                 .method_text = VIEW("GET"),
                                 .authority = VIEW("shop.example"),
                                 .path = VIEW("/a?b=c")};
    add(HTTP_FIELD_USER_AGENT, "curl/8.5");
    assert_int_equal(endpoint_parse(VIEW("203.0.113.9:1234"), &e), SP_OK);
    entry = (struct access_entry){.wall_ms = INT64_C(1795407000123), /* 2026-11-23T04:10:00.123Z */
                                  .request = &request,
                                  .protocol = "HTTP/1.1",
                                  .tls_version = "TLSv1.3",
                                  .request_id = VIEW("0f3c"),
                                  .server = VIEW("127.0.0.1:9001"),
                                  .bytes_in = 7,
                                  .bytes_out = 5120,
                                  .duration_us = 1830,
                                  .upstream_us = 1422,
                                  .status = 200};
    ip_endpoint_of(&e.sa, &entry.client);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    arena_fini(&arena);
    return 0;
}

static const char *text_line(void)
{
    struct view line = access_log_format_text(&entry, room, sizeof(room) - 1);

    room[line.len] = '\0';
    return room;
}

/* The line as JSON, which it must be. */
static json_t *json_line(void)
{
    struct view line = access_log_format_json(&entry, room, sizeof(room));
    json_t *json = json_loadb(line.p, line.len, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, NULL);

    assert_non_null(json);
    assert_null(memchr(line.p, '\n', line.len));
    return json;
}

static void a_text_line_is_combined_and_more(void **state)
{
    (void)state;
    assert_string_equal(text_line(),
                        "203.0.113.9 - - [23/Nov/2026:04:10:00.123 +0000] \"GET /a?b=c HTTP/1.1\" "
                        "200 5120 \"-\" \"curl/8.5\" host=\"shop.example\" in=7 us=1830 "
                        "server=\"127.0.0.1:9001\" upstream_us=1422 tls=TLSv1.3 id=0f3c error=-");
}

static void who_has_shown_a_certificate_is_named(void **state)
{
    struct client_identity identity = {.refs = 1, .forward = CLIENT_AUTH_CERT};
    const char *line;
    json_t *json;

    (void)state;
    entry.identity = &identity;
    line = text_line();
    assert_null(strstr(line, "client_cert"));
    identity.subject = VIEW("CN=ada \"l\"");
    identity.fingerprint = VIEW("ab12");
    line = text_line();
    assert_non_null(
        strstr(line, " error=- client_cert=\"CN=ada \\x22l\\x22\" client_cert_sha256=ab12"));
    json = json_line();
    assert_string_equal(json_string_value(json_object_get(json, "client_cert")), "CN=ada \"l\"");
    assert_string_equal(json_string_value(json_object_get(json, "client_cert_sha256")), "ab12");
    json_decref(json);
}

static void a_request_without_a_server_says_so(void **state)
{
    (void)state;
    entry.server = VIEW("");
    entry.upstream_us = -1;
    entry.tls_version = NULL;
    entry.status = 0;
    entry.error = HTTP_ERROR_CLIENT_CLOSED;
    request.version = HTTP_VERSION_1_0;
    assert_string_equal(text_line(),
                        "203.0.113.9 - - [23/Nov/2026:04:10:00.123 +0000] \"GET /a?b=c HTTP/1.0\" "
                        "- 5120 \"-\" \"curl/8.5\" host=\"shop.example\" in=7 us=1830 "
                        "server=\"-\" upstream_us=- tls=- id=0f3c error=client_closed");
}

static void a_json_line_has_every_value(void **state)
{
    json_t *json;

    (void)state;
    add(HTTP_FIELD_REFERER, "https://x.example/");
    json = json_line();
    assert_string_equal(json_string_value(json_object_get(json, "time")),
                        "2026-11-23T04:10:00.123Z");
    assert_string_equal(json_string_value(json_object_get(json, "client")), "203.0.113.9");
    assert_string_equal(json_string_value(json_object_get(json, "method")), "GET");
    assert_string_equal(json_string_value(json_object_get(json, "host")), "shop.example");
    assert_string_equal(json_string_value(json_object_get(json, "path")), "/a?b=c");
    assert_string_equal(json_string_value(json_object_get(json, "protocol")), "HTTP/1.1");
    assert_string_equal(json_string_value(json_object_get(json, "referer")), "https://x.example/");
    assert_string_equal(json_string_value(json_object_get(json, "user_agent")), "curl/8.5");
    assert_int_equal(json_integer_value(json_object_get(json, "status")), 200);
    assert_int_equal(json_integer_value(json_object_get(json, "bytes_in")), 7);
    assert_int_equal(json_integer_value(json_object_get(json, "bytes_out")), 5120);
    assert_int_equal(json_integer_value(json_object_get(json, "duration_us")), 1830);
    assert_string_equal(json_string_value(json_object_get(json, "server")), "127.0.0.1:9001");
    assert_int_equal(json_integer_value(json_object_get(json, "upstream_us")), 1422);
    assert_string_equal(json_string_value(json_object_get(json, "tls")), "TLSv1.3");
    assert_string_equal(json_string_value(json_object_get(json, "request_id")), "0f3c");
    assert_true(json_is_null(json_object_get(json, "error")));
    json_decref(json);
}

static void a_request_that_was_never_read_has_a_line(void **state)
{
    json_t *json;

    (void)state;
    entry.request = NULL;
    entry.request_id = VIEW("");
    entry.error = HTTP_ERROR_BAD_REQUEST_LINE;
    entry.status = 400;
    assert_non_null(strstr(text_line(), "] \"-\" 400 5120 \"-\" \"-\" host=\"-\""));
    json = json_line();
    assert_true(json_is_null(json_object_get(json, "method")));
    assert_string_equal(json_string_value(json_object_get(json, "error")), "bad_request_line");
    json_decref(json);
}

static void no_byte_of_a_peer_leaves_its_quotes(void **state)
{
    char bytes[256];
    json_t *json;

    (void)state;
    for (int i = 0; i < 256; i++)
        bytes[i] = (char)i;
    request.path = (struct view){bytes, sizeof(bytes)};
    request.authority = VIEW("a\"\\\n");
    (void)text_line();
    for (const char *p = room; *p != '\0'; p++)
        assert_in_range((unsigned char)*p, 0x20, 0x7e);
    assert_non_null(strstr(room, "host=\"a\\x22\\x5c\\x0a\""));
    assert_non_null(strstr(room, "\"GET \\x00\\x01"));
    json = json_line();
    assert_string_equal(json_string_value(json_object_get(json, "host")), "a\"\\\n");
    json_decref(json);
}

static void a_line_of_the_longest_texts_is_whole(void **state)
{
    static char noise[20000];
    const char *text;
    json_t *json;

    (void)state;
    memset(noise, 0xff, sizeof(noise));
    noise[sizeof(noise) - 1] = '\0';
    request.path = request.authority = request.method_text = view_of(noise);
    entry.server = entry.request_id = view_of(noise);
    request.fields.n = 0;
    add(HTTP_FIELD_USER_AGENT, noise);
    add(HTTP_FIELD_REFERER, noise);
    text = text_line();
    assert_non_null(strstr(text, "...\" in=7"));
    assert_string_equal(text + strlen(text) - 7, "error=-");
    json = json_line();
    assert_int_equal(json_integer_value(json_object_get(json, "status")), 200);
    json_decref(json);
}

static void times_are_right_at_the_edges(void **state)
{
    char date[HTTP_DATE_LEN];

    (void)state;
    http_date_format(784111777, date);
    assert_memory_equal(date, "Sun, 06 Nov 1994 08:49:37 GMT", sizeof(date));
    http_date_format(0, date);
    assert_memory_equal(date, "Thu, 01 Jan 1970 00:00:00 GMT", sizeof(date));
    entry.wall_ms = 0;
    assert_non_null(strstr(text_line(), "[01/Jan/1970:00:00:00.000 +0000]"));
    entry.wall_ms = 999;
    assert_non_null(strstr(text_line(), "[01/Jan/1970:00:00:00.999 +0000]"));
}

/* A sink whose queue is too small for the line: what does not fit is counted, once. */
static void dropped_lines_are_counted(void **state)
{
    static char noise[8000];
    const struct log_sink_options options = {
        .path = "/dev/null", .cap_bytes = 4096, .label = "test"};
    struct view long_text = {noise, sizeof(noise)};
    struct access_log log = {0};
    struct metrics before, after;

    (void)state;
    memset(noise, 0xff, sizeof(noise));
    request.path = request.authority = entry.request_id = entry.server = long_text;
    add(HTTP_FIELD_REFERER, "");
    request.fields.v[1].value = long_text;
    assert_int_equal(log_sink_open(&options, &log.sink), SP_OK);
    metrics_sum(&before);
    for (int i = 0; i < 3; i++)
        access_log_write(&log, &entry);
    metrics_sum(&after);
    assert_int_equal(log_sink_dropped(log.sink), 3);
    assert_int_equal(after.access_log_dropped - before.access_log_dropped, 3);
    log_sink_close(log.sink);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_text_line_is_combined_and_more),
        TEST(a_request_without_a_server_says_so),
        TEST(a_json_line_has_every_value),
        TEST(a_request_that_was_never_read_has_a_line),
        TEST(no_byte_of_a_peer_leaves_its_quotes),
        TEST(a_line_of_the_longest_texts_is_whole),
        TEST(who_has_shown_a_certificate_is_named),
        TEST(times_are_right_at_the_edges),
        TEST(dropped_lines_are_counted),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
