/* Field blocks that are read: RFC 9113 section 8, RFC 8441. */
#include "failing_alloc.h"
#include "http2_block.h"
#include "http2_fields.h"
#include "unit_test.h"

#define assert_view(actual, expected)                           \
    do {                                                        \
        struct view got_ = (actual), want_ = view_of(expected); \
        assert_int_equal(got_.len, want_.len);                  \
        assert_memory_equal(got_.p, want_.p, want_.len);        \
    } while (0)

static const struct http2_fields_limits limits = {
    .max_head_bytes = 4096,
    .max_trailer_bytes = 1024,
    .max_target_bytes = 100,
    .max_fields = 20,
};

/* The arena of the running test; teardown ends it. */
static struct arena arena;

static int arena_setup(void **state)
{
    (void)state;
    arena_init(&arena);
    return 0;
}

static int arena_teardown(void **state)
{
    (void)state;
    arena_fini(&arena);
    return 0;
}

enum stream_end { GOES_ON, ENDS };

static enum http_error read_request(const char *block, enum stream_end end, struct http_head *head)
{
    struct http2_fields_reader r;

    http2_fields_begin(&r, HTTP2_SECTION_REQUEST, &limits, &arena);
    (void)feed_block(&r, block);
    return http2_fields_request(&r, end == ENDS, head);
}

static struct http_head request(const char *block, enum stream_end end)
{
    struct http_head head;

    assert_int_equal(read_request(block, end, &head), HTTP_ERROR_NONE);
    return head;
}

static enum http_error refusal(const char *block, enum stream_end end)
{
    struct http_head head;

    return read_request(block, end, &head);
}

#define GET_LINES             \
    ":method: GET\n"          \
    ":scheme: https\n"        \
    ":authority: a.example\n" \
    ":path: /x?y=1\n"
#define POST_LINES            \
    ":method: POST\n"         \
    ":scheme: https\n"        \
    ":authority: a.example\n" \
    ":path: /x\n"
#define TUNNEL_LINES          \
    ":method: CONNECT\n"      \
    ":protocol: websocket\n"  \
    ":scheme: https\n"        \
    ":authority: a.example\n" \
    ":path: /chat\n"

/* ---- Requests that are understood ---- */

static void a_request_is_understood(void **state)
{
    struct http_head head = request(GET_LINES "user-agent: curl/8\nx-own: 1\nx-empty: \n", ENDS);

    (void)state;
    assert_int_equal(head.version, HTTP_VERSION_2);
    assert_int_equal(head.method, HTTP_METHOD_GET);
    assert_view(head.method_text, "GET");
    assert_view(head.scheme, "https");
    assert_view(head.authority, "a.example");
    assert_view(head.path, "/x?y=1");
    assert_int_equal(head.body, HTTP_BODY_NONE);
    assert_true(head.keep_alive);
    assert_int_equal(head.fields.n, 3);
    assert_int_equal(head.fields.v[0].id, HTTP_FIELD_USER_AGENT);
    assert_view(head.fields.v[0].name, "user-agent");
    assert_view(head.fields.v[0].value, "curl/8");
    assert_view(head.fields.v[1].name, "x-own");
    assert_view(head.fields.v[1].value, "1");
    assert_view(head.fields.v[2].name, "x-empty");
    assert_int_equal(head.fields.v[2].value.len, 0);
}

static void the_end_of_the_stream_tells_whether_there_is_a_body(void **state)
{
    (void)state;
    assert_int_equal(request(POST_LINES, ENDS).body, HTTP_BODY_NONE);
    assert_int_equal(request(POST_LINES, GOES_ON).body, HTTP_BODY_UNSIZED);
}

static void a_length_is_taken_with_and_without_bytes(void **state)
{
    struct http_head head = request(POST_LINES "content-length: 12\n", GOES_ON);

    (void)state;
    assert_int_equal(head.body, HTTP_BODY_LENGTH);
    assert_int_equal(head.content_length, 12);
    head = request(POST_LINES "content-length: 0\n", ENDS);
    assert_int_equal(head.body, HTTP_BODY_LENGTH);
    assert_int_equal(head.content_length, 0);
}

static void host_may_stand_for_authority_and_beside_it(void **state)
{
    (void)state;
    assert_view(
        request(":method: GET\n:scheme: https\n:path: /\nhost: b.example:8443\n", ENDS).authority,
        "b.example:8443");
    assert_view(request(GET_LINES "host: A.example\n", ENDS).authority, "A.example");
}

static void an_asterisk_is_for_options(void **state)
{
    (void)state;
    assert_view(request(":method: OPTIONS\n:scheme: https\n:authority: a\n:path: *\n", ENDS).path,
                "*");
    assert_int_equal(refusal(":method: GET\n:scheme: https\n:authority: a\n:path: *\n", ENDS),
                     HTTP_ERROR_BAD_TARGET);
}

static void a_continue_is_expected_only_for_a_body(void **state)
{
    (void)state;
    assert_true(request(POST_LINES "expect: 100-continue\n", GOES_ON).expect_continue);
    assert_false(request(POST_LINES "expect: 100-continue\n", ENDS).expect_continue);
    assert_int_equal(refusal(POST_LINES "expect: tea\n", GOES_ON), HTTP_ERROR_EXPECTATION);
}

static void te_may_ask_for_trailers_alone(void **state)
{
    struct http_head head = request(GET_LINES "te: trailers\n", ENDS);

    (void)state;
    assert_true(http_fields_has(&head.fields, HTTP_FIELD_TE));
    assert_int_equal(refusal(GET_LINES "te: gzip\n", ENDS), HTTP_ERROR_CONNECTION_FIELD);
    assert_int_equal(refusal(GET_LINES "te: trailers, gzip\n", ENDS), HTTP_ERROR_CONNECTION_FIELD);
}

static void cookie_crumbs_stay_apart_until_they_are_passed_on(void **state)
{
    struct http_head head = request(GET_LINES "cookie: a=1\ncookie: b=2\n", ENDS);

    (void)state;
    assert_int_equal(head.fields.n, 2);
}

static void a_field_that_must_not_be_indexed_is_remembered(void **state)
{
    struct http2_fields_reader r;

    (void)state;
    http2_fields_begin(&r, HTTP2_SECTION_REQUEST, &limits, &arena);
    assert_int_equal(feed_block(&r, GET_LINES), HTTP_ERROR_NONE);
    assert_int_equal(http2_fields_add(&r, VIEW("authorization"), VIEW("Basic x"), true),
                     HTTP_ERROR_NONE);
    assert_int_equal(http2_fields_add(&r, VIEW("accept"), VIEW("*/*"), false), HTTP_ERROR_NONE);
    assert_true(r.fields.v[0].never_indexed);
    assert_false(r.fields.v[1].never_indexed);
}

/* ---- Tunnels ---- */

static void an_extended_connect_is_an_upgrade_in_the_model(void **state)
{
    struct http_head head = request(TUNNEL_LINES "sec-websocket-version: 13\n", GOES_ON);

    (void)state;
    assert_int_equal(head.method, HTTP_METHOD_GET);
    assert_view(head.method_text, "GET");
    assert_view(head.protocol, "websocket");
    assert_view(head.path, "/chat");
    assert_int_equal(head.body, HTTP_BODY_NONE);
    assert_int_equal(head.fields.n, 1);
}

static void tunnels_that_are_not_taken(void **state)
{
#define TUNNEL(protocol) \
    ":method: CONNECT\n:protocol: " protocol "\n:scheme: https\n:authority: a\n:path: /\n"
    (void)state;
    assert_int_equal(refusal(TUNNEL("h2c"), GOES_ON), HTTP_ERROR_METHOD_UNSUPPORTED);
    assert_int_equal(refusal(TUNNEL("connect-udp"), GOES_ON), HTTP_ERROR_METHOD_UNSUPPORTED);
    assert_int_equal(refusal(TUNNEL("TLS/1.2"), GOES_ON), HTTP_ERROR_METHOD_UNSUPPORTED);
    assert_int_equal(refusal(TUNNEL("a b"), GOES_ON), HTTP_ERROR_BAD_UPGRADE);
    assert_int_equal(refusal(TUNNEL("a, b"), GOES_ON), HTTP_ERROR_BAD_UPGRADE);
    assert_int_equal(refusal(TUNNEL_LINES, ENDS), HTTP_ERROR_BAD_UPGRADE);
    assert_int_equal(refusal(TUNNEL_LINES "content-length: 0\n", GOES_ON),
                     HTTP_ERROR_BAD_CONTENT_LENGTH);
    assert_int_equal(refusal(":method: CONNECT\n:authority: a:443\n", GOES_ON),
                     HTTP_ERROR_METHOD_UNSUPPORTED);
}

/* ---- Requests that are refused ---- */

static const struct refused {
    const char *block;
    enum http_error why;
} refused[] = {
    /* Pseudo-header fields: 8.3, 8.3.1, 8.5 */
    {":scheme: https\n:authority: a\n:path: /\n", HTTP_ERROR_BAD_PSEUDO_FIELD},
    {":method: GET\n:authority: a\n:path: /\n", HTTP_ERROR_BAD_PSEUDO_FIELD},
    {":method: GET\n:scheme: https\n:authority: a\n", HTTP_ERROR_BAD_PSEUDO_FIELD},
    {GET_LINES ":path: /x?y=1\n", HTTP_ERROR_BAD_PSEUDO_FIELD},
    {GET_LINES ":method: GET\n", HTTP_ERROR_BAD_PSEUDO_FIELD},
    {GET_LINES ":status: 200\n", HTTP_ERROR_BAD_PSEUDO_FIELD},
    {GET_LINES ":unknown: 1\n", HTTP_ERROR_BAD_PSEUDO_FIELD},
    {GET_LINES ":protocol: websocket\n", HTTP_ERROR_BAD_PSEUDO_FIELD},
    {":method: GET\nx: 1\n:scheme: https\n:authority: a\n:path: /\n", HTTP_ERROR_BAD_PSEUDO_FIELD},
    {":method: GET\n:scheme: https\n:authority: \n:path: /\n", HTTP_ERROR_BAD_PSEUDO_FIELD},
    {":method: GET\n:scheme: https\n:authority: a\n:path: \n", HTTP_ERROR_BAD_PSEUDO_FIELD},
    {":method: CONNECT\n:scheme: https\n:authority: a\n:path: /\n", HTTP_ERROR_BAD_PSEUDO_FIELD},
    {":method: CONNECT\n", HTTP_ERROR_BAD_PSEUDO_FIELD},
    {":method: CONNECT\n:protocol: websocket\n:authority: a\n", HTTP_ERROR_BAD_PSEUDO_FIELD},
    /* What they say */
    {":method: G T\n:scheme: https\n:authority: a\n:path: /\n", HTTP_ERROR_BAD_METHOD},
    {":method: GET / HTTP/1.1\\r\\nx: y\n:scheme: https\n:authority: a\n:path: /\n",
     HTTP_ERROR_BAD_METHOD},
    {":method: ANETHODOFMORETHANTHIRTYTWOLETTERS\n:scheme: https\n:authority: a\n:path: /\n",
     HTTP_ERROR_METHOD_UNSUPPORTED},
    {":method: GET\n:scheme: ftp\n:authority: a\n:path: /\n", HTTP_ERROR_BAD_TARGET},
    {":method: GET\n:scheme: https://b/?\n:authority: a\n:path: /\n", HTTP_ERROR_BAD_TARGET},
    {":method: GET\n:scheme: https\n:authority: a\n:path: x\n", HTTP_ERROR_BAD_TARGET},
    {":method: GET\n:scheme: https\n:authority: a\n:path: http://b/\n", HTTP_ERROR_BAD_TARGET},
    {":method: GET\n:scheme: https\n:authority: a\n:path: /a b\n", HTTP_ERROR_BAD_TARGET},
    {":method: GET\n:scheme: https\n:authority: a\n:path: / HTTP/1.1\\r\\nx: y\n",
     HTTP_ERROR_BAD_TARGET},
    {":method: GET\n:scheme: https\n:authority: a\n:path: /#x\n", HTTP_ERROR_BAD_TARGET},
    {":method: GET\n:scheme: https\n:authority: u:p@a\n:path: /\n", HTTP_ERROR_BAD_HOST},
    {":method: GET\n:scheme: https\n:authority: a/b\n:path: /\n", HTTP_ERROR_BAD_HOST},
    {":method: GET\n:scheme: https\n:path: /\n", HTTP_ERROR_BAD_HOST},
    {":method: GET\n:scheme: https\n:path: /\nhost: a\nhost: a\n", HTTP_ERROR_BAD_HOST},
    {GET_LINES "host: b.example\n", HTTP_ERROR_BAD_HOST},
    {GET_LINES "host: \n", HTTP_ERROR_BAD_HOST},
    /* Names and values: 8.2.1 */
    {GET_LINES "X-Own: 1\n", HTTP_ERROR_BAD_FIELD_NAME},
    {GET_LINES "x own: 1\n", HTTP_ERROR_BAD_FIELD_NAME},
    {GET_LINES "x\r: 1\n", HTTP_ERROR_BAD_FIELD_NAME},
    {GET_LINES "x\x80: 1\n", HTTP_ERROR_BAD_FIELD_NAME},
    {GET_LINES "x: a\\rb\n", HTTP_ERROR_BAD_FIELD_VALUE},
    {GET_LINES "x: a\\nb\n", HTTP_ERROR_BAD_FIELD_VALUE},
    {GET_LINES "x: a\\0b\n", HTTP_ERROR_BAD_FIELD_VALUE},
    {GET_LINES "x: a\x01\n", HTTP_ERROR_BAD_FIELD_VALUE},
    {GET_LINES "x:  a\n", HTTP_ERROR_BAD_FIELD_VALUE},
    {GET_LINES "x: a \n", HTTP_ERROR_BAD_FIELD_VALUE},
    {GET_LINES "x: a\t\n", HTTP_ERROR_BAD_FIELD_VALUE},
    /* Fields of the connection: 8.2.2 */
    {GET_LINES "connection: close\n", HTTP_ERROR_CONNECTION_FIELD},
    {GET_LINES "proxy-connection: close\n", HTTP_ERROR_CONNECTION_FIELD},
    {GET_LINES "keep-alive: 1\n", HTTP_ERROR_CONNECTION_FIELD},
    {GET_LINES "transfer-encoding: chunked\n", HTTP_ERROR_CONNECTION_FIELD},
    {GET_LINES "upgrade: websocket\n", HTTP_ERROR_CONNECTION_FIELD},
    /* Lengths: 8.1.1 */
    {GET_LINES "content-length: 1\n", HTTP_ERROR_BAD_CONTENT_LENGTH},
    {GET_LINES "content-length: 0\ncontent-length: 0\n", HTTP_ERROR_BAD_CONTENT_LENGTH},
    {GET_LINES "content-length: 0, 0\n", HTTP_ERROR_BAD_CONTENT_LENGTH},
    {GET_LINES "content-length: +0\n", HTTP_ERROR_BAD_CONTENT_LENGTH},
    {GET_LINES "content-length: \n", HTTP_ERROR_BAD_CONTENT_LENGTH},
};

static void what_has_no_meaning_or_two_is_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < SP_COUNT_OF(refused); i++) {
        enum http_error error = refusal(refused[i].block, ENDS);

        if (error != refused[i].why)
            print_error("block %zu: %s", i, refused[i].block);
        assert_string_equal(http_error_label(error), http_error_label(refused[i].why));
        assert_int_equal(http2_fields_is_malformed(error),
                         refused[i].why != HTTP_ERROR_METHOD_UNSUPPORTED);
    }
}

static void an_empty_name_is_no_name(void **state)
{
    struct http2_fields_reader r;

    (void)state;
    http2_fields_begin(&r, HTTP2_SECTION_REQUEST, &limits, &arena);
    assert_int_equal(http2_fields_add(&r, VIEW(""), VIEW("x"), false), HTTP_ERROR_BAD_FIELD_NAME);
    assert_int_equal(http2_fields_add(&r, VIEW("x"), VIEW("x"), false), HTTP_ERROR_BAD_FIELD_NAME);
}

/* ---- Limits ---- */

static void a_limit_leaves_the_method_known(void **state)
{
    char block[600] = ":method: HEAD\n:scheme: https\n:authority: a\n:path: /";
    struct http_head head;
    size_t len = strlen(block);

    (void)state;
    memset(block + len, 'x', limits.max_target_bytes);
    memcpy(block + len + limits.max_target_bytes, "\n", 2);
    assert_int_equal(read_request(block, ENDS, &head), HTTP_ERROR_URI_TOO_LONG);
    assert_int_equal(head.method, HTTP_METHOD_HEAD);
    assert_false(http2_fields_is_malformed(HTTP_ERROR_URI_TOO_LONG));
}

static void more_fields_than_allowed_are_refused(void **state)
{
    struct http2_fields_reader r;
    struct http_head head;

    (void)state;
    http2_fields_begin(&r, HTTP2_SECTION_REQUEST, &limits, &arena);
    assert_int_equal(feed_block(&r, GET_LINES), HTTP_ERROR_NONE);
    for (uint32_t i = 0; i < limits.max_fields; i++)
        assert_int_equal(http2_fields_add(&r, VIEW("x"), VIEW(""), false), HTTP_ERROR_NONE);
    assert_int_equal(http2_fields_request(&r, true, &head), HTTP_ERROR_NONE);
    assert_int_equal(http2_fields_add(&r, VIEW("x"), VIEW(""), false), HTTP_ERROR_TOO_MANY_FIELDS);
    assert_int_equal(http2_fields_request(&r, true, &head), HTTP_ERROR_TOO_MANY_FIELDS);
    assert_int_equal(head.method, HTTP_METHOD_GET);
}

/* RFC 9113 10.5.1: 32 bytes are added for each field, so that many empty ones are not free. */
static void bytes_are_counted_as_the_setting_counts_them(void **state)
{
    struct http2_fields_limits tight = limits;
    struct http2_fields_reader r;

    (void)state;
    tight.max_head_bytes = 2 * 32 + 7 + 3 + 1 + 4;
    http2_fields_begin(&r, HTTP2_SECTION_REQUEST, &tight, &arena);
    assert_int_equal(http2_fields_add(&r, VIEW(":method"), VIEW("GET"), false), HTTP_ERROR_NONE);
    assert_int_equal(http2_fields_add(&r, VIEW("x"), VIEW("1234"), false), HTTP_ERROR_NONE);
    tight.max_head_bytes--;
    http2_fields_begin(&r, HTTP2_SECTION_REQUEST, &tight, &arena);
    assert_int_equal(http2_fields_add(&r, VIEW(":method"), VIEW("GET"), false), HTTP_ERROR_NONE);
    assert_int_equal(http2_fields_add(&r, VIEW("x"), VIEW("1234"), false),
                     HTTP_ERROR_HEAD_TOO_LARGE);
}

/* ---- Responses ---- */

static enum http_error read_response(const char *block, const struct http_head *asked,
                                     enum stream_end end, struct http_head *head)
{
    struct http2_fields_reader r;

    http2_fields_begin(&r, HTTP2_SECTION_RESPONSE, &limits, &arena);
    (void)feed_block(&r, block);
    return http2_fields_response(&r, asked, end == ENDS, head);
}

static const struct http_head asked_get = {.method = HTTP_METHOD_GET};
static const struct http_head asked_head = {.method = HTTP_METHOD_HEAD};
static const struct http_head asked_tunnel = {
    .method = HTTP_METHOD_GET,
    .protocol = VIEW_INIT("websocket"),
};

static void responses_and_how_their_bodies_end(void **state)
{
    static const struct {
        const char *block;
        const struct http_head *asked;
        enum stream_end end;
        uint16_t status;
        enum http_body_kind body;
        uint64_t length;
    } cases[] = {
        {":status: 200\n", &asked_get, GOES_ON, 200, HTTP_BODY_UNSIZED, 0},
        {":status: 200\ngrpc-status: 5\n", &asked_get, ENDS, 200, HTTP_BODY_NONE, 0},
        {":status: 200\ncontent-length: 7\n", &asked_get, GOES_ON, 200, HTTP_BODY_LENGTH, 7},
        {":status: 200\ncontent-length: 0\n", &asked_get, ENDS, 200, HTTP_BODY_LENGTH, 0},
        {":status: 200\ncontent-length: 7\n", &asked_head, ENDS, 200, HTTP_BODY_NONE, 0},
        {":status: 200\n", &asked_head, GOES_ON, 200, HTTP_BODY_NONE, 0},
        {":status: 304\ncontent-length: 7\n", &asked_get, ENDS, 304, HTTP_BODY_NONE, 0},
        {":status: 204\n", &asked_get, ENDS, 204, HTTP_BODY_NONE, 0},
        {":status: 103\nlink: </a>\n", &asked_get, GOES_ON, 103, HTTP_BODY_NONE, 0},
        {":status: 200\n", &asked_tunnel, GOES_ON, 101, HTTP_BODY_TUNNEL, 0},
        {":status: 201\n", &asked_tunnel, GOES_ON, 101, HTTP_BODY_TUNNEL, 0},
        {":status: 403\n", &asked_tunnel, GOES_ON, 403, HTTP_BODY_UNSIZED, 0},
        {":status: 403\n", &asked_tunnel, ENDS, 403, HTTP_BODY_NONE, 0},
    };

    (void)state;
    for (size_t i = 0; i < SP_COUNT_OF(cases); i++) {
        struct http_head head;

        assert_int_equal(read_response(cases[i].block, cases[i].asked, cases[i].end, &head),
                         HTTP_ERROR_NONE);
        assert_int_equal(head.status, cases[i].status);
        assert_int_equal(head.body, cases[i].body);
        assert_int_equal(head.content_length, cases[i].length);
    }
}

static void responses_that_are_refused(void **state)
{
    static const struct {
        const char *block;
        const struct http_head *asked;
        enum stream_end end;
    } cases[] = {
        {"server: x\n", &asked_get, ENDS},
        {":status: 20\n", &asked_get, ENDS},
        {":status: 2000\n", &asked_get, ENDS},
        {":status: 2x0\n", &asked_get, ENDS},
        {":status: 099\n", &asked_get, ENDS},
        {":status: 600\n", &asked_get, ENDS},
        {":status: 101\n", &asked_get, GOES_ON},
        {":status: 200\n:status: 200\n", &asked_get, ENDS},
        {":status: 200\n:path: /\n", &asked_get, ENDS},
        {"server: x\n:status: 200\n", &asked_get, ENDS},
        {":status: 100\n", &asked_get, ENDS},
        {":status: 103\ncontent-length: 3\n", &asked_get, GOES_ON},
        {":status: 204\ncontent-length: 3\n", &asked_get, ENDS},
        {":status: 200\ncontent-length: 3\n", &asked_get, ENDS},
        {":status: 200\ncontent-length: 3\ncontent-length: 3\n", &asked_get, GOES_ON},
        {":status: 200\nconnection: close\n", &asked_get, ENDS},
        {":status: 200\ntransfer-encoding: chunked\n", &asked_get, GOES_ON},
        {":status: 200\nX-Own: 1\n", &asked_get, ENDS},
        {":status: 200\nx: a\\r\\nb\n", &asked_get, ENDS},
        {":status: 200\n", &asked_tunnel, ENDS},
    };

    (void)state;
    for (size_t i = 0; i < SP_COUNT_OF(cases); i++) {
        struct http_head head;

        assert_int_equal(read_response(cases[i].block, cases[i].asked, cases[i].end, &head),
                         HTTP_ERROR_UPSTREAM_BAD_RESPONSE);
    }
}

static void a_response_over_the_limits_says_so(void **state)
{
    struct http2_fields_limits tight = {.max_head_bytes = 50, .max_fields = 1};
    struct http2_fields_reader r;
    struct http_head head;

    (void)state;
    http2_fields_begin(&r, HTTP2_SECTION_RESPONSE, &tight, &arena);
    (void)feed_block(&r, ":status: 200\nserver: x\n");
    assert_int_equal(http2_fields_response(&r, &asked_get, true, &head),
                     HTTP_ERROR_UPSTREAM_HEAD_TOO_LARGE);
}

/* ---- Trailers ---- */

static enum http_error read_trailers(enum http2_section section, const char *block,
                                     struct http_fields *out)
{
    struct http2_fields_reader r;

    http2_fields_begin(&r, section, &limits, &arena);
    (void)feed_block(&r, block);
    return http2_fields_trailers(&r, out);
}

static void trailers_are_fields_alone(void **state)
{
    struct http_fields out;

    (void)state;
    assert_int_equal(
        read_trailers(HTTP2_SECTION_RESPONSE_TRAILERS, "grpc-status: 0\ngrpc-message: \n", &out),
        HTTP_ERROR_NONE);
    assert_int_equal(out.n, 2);
    assert_int_equal(read_trailers(HTTP2_SECTION_RESPONSE_TRAILERS, ":status: 200\n", &out),
                     HTTP_ERROR_UPSTREAM_BAD_RESPONSE);
    assert_int_equal(read_trailers(HTTP2_SECTION_REQUEST_TRAILERS, ":path: /\n", &out),
                     HTTP_ERROR_BAD_TRAILER);
    assert_int_equal(read_trailers(HTTP2_SECTION_REQUEST_TRAILERS, "X: 1\n", &out),
                     HTTP_ERROR_BAD_TRAILER);
}

static void trailers_that_come_too_late_to_be_believed(void **state)
{
    struct http_fields out;

    (void)state;
    assert_int_equal(
        read_trailers(HTTP2_SECTION_REQUEST_TRAILERS, "x: 1\nauthorization: y\n", &out),
        HTTP_ERROR_BAD_TRAILER);
    assert_int_equal(read_trailers(HTTP2_SECTION_RESPONSE_TRAILERS, "x: 1\nset-cookie: y\n", &out),
                     HTTP_ERROR_NONE);
    assert_int_equal(out.n, 1);
    assert_view(out.v[0].name, "x");
}

/* ---- Memory ---- */

static void each_allocation_may_fail(void **state)
{
    (void)state;
    for (unsigned nth = 0;; nth++) {
        struct http_head head;
        enum http_error error;

        failing_alloc_arm(nth);
        error = read_request(GET_LINES "x-own: 1\nuser-agent: y\n", ENDS, &head);
        if (!failing_alloc_hit()) {
            assert_int_equal(error, HTTP_ERROR_NONE);
            return;
        }
        assert_int_equal(error, HTTP_ERROR_NOMEM);
        arena_fini(&arena);
    }
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, arena_setup, arena_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_request_is_understood),
        TEST(the_end_of_the_stream_tells_whether_there_is_a_body),
        TEST(a_length_is_taken_with_and_without_bytes),
        TEST(host_may_stand_for_authority_and_beside_it),
        TEST(an_asterisk_is_for_options),
        TEST(a_continue_is_expected_only_for_a_body),
        TEST(te_may_ask_for_trailers_alone),
        TEST(cookie_crumbs_stay_apart_until_they_are_passed_on),
        TEST(a_field_that_must_not_be_indexed_is_remembered),
        TEST(an_extended_connect_is_an_upgrade_in_the_model),
        TEST(tunnels_that_are_not_taken),
        TEST(what_has_no_meaning_or_two_is_refused),
        TEST(an_empty_name_is_no_name),
        TEST(a_limit_leaves_the_method_known),
        TEST(more_fields_than_allowed_are_refused),
        TEST(bytes_are_counted_as_the_setting_counts_them),
        TEST(responses_and_how_their_bodies_end),
        TEST(responses_that_are_refused),
        TEST(a_response_over_the_limits_says_so),
        TEST(trailers_are_fields_alone),
        TEST(trailers_that_come_too_late_to_be_believed),
        TEST(each_allocation_may_fail),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
