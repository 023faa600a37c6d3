#include "failing_alloc.h"
#include "http1_writer.h"
#include "unit_test.h"

static struct arena arena;
static struct iobuf out, data;
static char text[256 * 1024];

static int setup(void **state)
{
    (void)state;
    arena_init(&arena);
    iobuf_init(&out);
    iobuf_init(&data);
    return 0;
}

static int teardown(void **state)
{
    struct iobuf_usage usage;

    (void)state;
    iobuf_clear(&out);
    iobuf_clear(&data);
    arena_fini(&arena);
    usage = iobuf_usage();
    assert_int_equal(usage.small_blocks + usage.large_blocks, 0);
    iobuf_thread_fini();
    return 0;
}

/* Everything that was written so far. */
static const char *written(void)
{
    size_t n = 0;

    while (out.len > 0) {
        struct view v = iobuf_first(&out);

        assert_true(n + v.len < sizeof(text));
        memcpy(text + n, v.p, v.len);
        n += v.len;
        iobuf_consume(&out, v.len);
    }
    text[n] = '\0';
    return text;
}

static struct http_head request_head(void)
{
    return (struct http_head){.method = HTTP_METHOD_GET,
                              .method_text = VIEW("GET"),
                              .path = VIEW("/x?y"),
                              .authority = VIEW("shop:8080")};
}

static struct http_head response_head(void)
{
    return (struct http_head){.status = 200};
}

static void add(struct http_head *head, enum http_field_id id, struct view name, struct view value)
{
    assert_int_equal(http_fields_add(&head->fields, &arena, id, name, value), SP_OK);
}

static const struct http1_head_plan no_plan;

static void a_request_begins_with_its_line_and_host(void **state)
{
    struct http_head head = request_head();

    (void)state;
    add(&head, HTTP_FIELD_OTHER, VIEW("X-One"), VIEW("1"));
    add(&head, HTTP_FIELD_HOST, VIEW("hOst"), VIEW("other"));
    add(&head, HTTP_FIELD_OTHER, VIEW("x-two"), VIEW(""));
    assert_int_equal(http1_write_head(&out, &head, &no_plan), SP_OK);
    assert_string_equal(written(), "GET /x?y HTTP/1.1\r\nHost: shop:8080\r\nX-One: 1\r\n"
                                   "x-two: \r\n\r\n");
}

static void a_request_without_authority_says_so(void **state)
{
    struct http_head head = request_head();

    (void)state;
    head.authority = VIEW("");
    assert_int_equal(http1_write_head(&out, &head, &no_plan), SP_OK);
    assert_string_equal(written(), "GET /x?y HTTP/1.1\r\nHost: \r\n\r\n");
}

static void a_response_has_its_own_reason_or_the_registered_one(void **state)
{
    struct http_head head = response_head();

    (void)state;
    assert_int_equal(http1_write_head(&out, &head, &no_plan), SP_OK);
    assert_string_equal(written(), "HTTP/1.1 200 OK\r\n\r\n");
    head.reason = VIEW("Very fine");
    assert_int_equal(http1_write_head(&out, &head, &no_plan), SP_OK);
    assert_string_equal(written(), "HTTP/1.1 200 Very fine\r\n\r\n");
    head = (struct http_head){.status = 299};
    assert_int_equal(http1_write_head(&out, &head, &no_plan), SP_OK);
    assert_string_equal(written(), "HTTP/1.1 299 \r\n\r\n");
}

static void the_plan_speaks_for_framing_and_connection(void **state)
{
    static const struct {
        struct http1_head_plan plan;
        const char *expected;
    } cases[] = {
        {{.framing = HTTP1_FRAMING_LENGTH, .says_length = true, .length = UINT64_MAX},
         "Content-Length: 18446744073709551615\r\n"},
        {{.framing = HTTP1_FRAMING_LENGTH, .says_length = true, .length = 0},
         "Content-Length: 0\r\n"},
        {{.framing = HTTP1_FRAMING_CHUNKED}, "Transfer-Encoding: chunked\r\n"},
        {{.connection = HTTP1_CONNECTION_CLOSE}, "Connection: close\r\n"},
        {{.connection = HTTP1_CONNECTION_KEEP_ALIVE}, "Connection: keep-alive\r\n"},
        {{.framing = HTTP1_FRAMING_RAW,
          .connection = HTTP1_CONNECTION_UPGRADE,
          .protocol = {"websocket", 9}},
         "Connection: Upgrade\r\nUpgrade: websocket\r\n"},
    };
    static const enum http_field_id given[] = {
        HTTP_FIELD_CONNECTION,        HTTP_FIELD_CONTENT_LENGTH, HTTP_FIELD_KEEP_ALIVE,
        HTTP_FIELD_TRANSFER_ENCODING, HTTP_FIELD_UPGRADE,        HTTP_FIELD_PROXY_CONNECTION,
        HTTP_FIELD_HTTP2_SETTINGS,
    };

    (void)state;
    for (size_t i = 0; i < SP_COUNT_OF(cases); i++) {
        struct http_head head = response_head();
        const char *rest;

        for (size_t j = 0; j < SP_COUNT_OF(given); j++)
            add(&head, given[j], view_of(http_field_name(given[j])), VIEW("smuggled"));
        assert_int_equal(http1_write_head(&out, &head, &cases[i].plan), SP_OK);
        rest = written() + strlen("HTTP/1.1 200 OK\r\n");
        assert_int_equal(strncmp(rest, cases[i].expected, strlen(cases[i].expected)), 0);
        assert_string_equal(rest + strlen(cases[i].expected), "\r\n");
    }
}

/* ---- Nothing breaks a line ---- */

static const struct view evil[] = {
    {"a\r\nX: b", 7}, {"a\nb", 3}, {"a\rb", 3}, {"a\0b", 3}, {"\x7f", 1}, {"\x01", 1},
};

static void no_control_character_gets_into_a_request(void **state)
{
    (void)state;
    for (size_t i = 0; i < SP_COUNT_OF(evil); i++) {
        struct http_head heads[6];
        struct view *parts[] = {&heads[0].method_text, &heads[1].path, &heads[2].authority};

        for (size_t j = 0; j < SP_COUNT_OF(heads); j++)
            heads[j] = request_head();
        for (size_t j = 0; j < SP_COUNT_OF(parts); j++)
            *parts[j] = evil[i];
        add(&heads[3], HTTP_FIELD_OTHER, evil[i], VIEW("v"));
        add(&heads[4], HTTP_FIELD_OTHER, VIEW("X"), evil[i]);
        heads[5] = response_head();
        heads[5].reason = evil[i];
        for (size_t j = 0; j < SP_COUNT_OF(heads); j++)
            assert_int_equal(http1_write_head(&out, &heads[j], &no_plan), SP_INVALID);
        assert_int_equal(out.len, 0);
    }
}

static void no_control_character_gets_into_upgrade_or_trailers(void **state)
{
    (void)state;
    for (size_t i = 0; i < SP_COUNT_OF(evil); i++) {
        const struct http1_head_plan plan = {.connection = HTTP1_CONNECTION_UPGRADE,
                                             .protocol = evil[i]};
        struct http1_writer w = {.framing = HTTP1_FRAMING_CHUNKED};
        struct http_head head = response_head();

        assert_int_equal(http1_write_head(&out, &head, &plan), SP_INVALID);
        add(&head, HTTP_FIELD_OTHER, VIEW("X"), evil[i]);
        assert_int_equal(http1_write_trailers(&w, &out, &head.fields), SP_INVALID);
        assert_int_equal(out.len, 0);
    }
}

static void what_would_change_the_request_line_is_refused(void **state)
{
    static const struct view paths[] = {{"", 0}, {"/a b", 4}, {"/ HTTP/1.1", 10}};
    struct http_head head = request_head();

    (void)state;
    for (size_t i = 0; i < SP_COUNT_OF(paths); i++) {
        head.path = paths[i];
        assert_int_equal(http1_write_head(&out, &head, &no_plan), SP_INVALID);
    }
    head = request_head();
    head.method_text = VIEW("GE T");
    assert_int_equal(http1_write_head(&out, &head, &no_plan), SP_INVALID);
    head = request_head();
    add(&head, HTTP_FIELD_OTHER, VIEW("Bad Name"), VIEW("v"));
    assert_int_equal(http1_write_head(&out, &head, &no_plan), SP_INVALID);
    head = (struct http_head){.status = 99};
    assert_int_equal(http1_write_head(&out, &head, &no_plan), SP_INVALID);
}

/* ---- Large heads ---- */

static void a_head_may_be_longer_than_the_blocks(void **state)
{
    static char value[100 * 1000];
    struct http_head head = response_head();
    const char *all;

    (void)state;
    memset(value, 'v', sizeof(value));
    for (int i = 0; i < 2; i++)
        add(&head, HTTP_FIELD_OTHER, VIEW("X"), (struct view){value, sizeof(value)});
    assert_int_equal(iobuf_append(&out, "before", 6), SP_OK);
    assert_int_equal(http1_write_head(&out, &head, &no_plan), SP_OK);
    all = written();
    assert_int_equal(strlen(all), 6 + 17 + 2 * (5 + sizeof(value)) + 2);
    assert_int_equal(strncmp(all, "beforeHTTP/1.1 200 OK\r\nX: vvv", 29), 0);
    assert_int_equal(strspn(all + 26, "v"), sizeof(value));
    assert_string_equal(all + strlen(all) - 5, "v\r\n\r\n");
}

/* ---- Bodies ---- */

static struct http1_writer writer_for(enum http1_framing framing, uint64_t length)
{
    const struct http1_head_plan plan = {.framing = framing, .length = length};
    struct http1_writer w;

    http1_writer_init(&w, &plan);
    return w;
}

static enum sp_err write_text(struct http1_writer *w, const char *s, bool end)
{
    enum sp_err err;

    assert_int_equal(iobuf_append(&data, s, strlen(s)), SP_OK);
    err = http1_write_body(w, &out, &data, end);
    assert_int_equal(data.len, 0);
    return err;
}

static void chunks_have_their_size_in_front(void **state)
{
    struct http1_writer w = writer_for(HTTP1_FRAMING_CHUNKED, 0);

    (void)state;
    assert_int_equal(write_text(&w, "hello", false), SP_OK);
    assert_int_equal(write_text(&w, "", false), SP_OK); /* would be the end, if it were written */
    assert_int_equal(write_text(&w, "0123456789abcdef", true), SP_OK);
    assert_string_equal(written(), "5\r\nhello\r\n10\r\n0123456789abcdef\r\n0\r\n\r\n");
}

static void a_length_is_kept(void **state)
{
    struct http1_writer w = writer_for(HTTP1_FRAMING_LENGTH, 5);

    (void)state;
    assert_int_equal(write_text(&w, "abc", false), SP_OK);
    assert_int_equal(write_text(&w, "def", false), SP_INVALID);
    assert_int_equal(write_text(&w, "", true), SP_INVALID);
    assert_int_equal(write_text(&w, "de", true), SP_OK);
    assert_string_equal(written(), "abcde");
}

static void where_no_body_belongs_none_is_written(void **state)
{
    struct http1_writer w = writer_for(HTTP1_FRAMING_NONE, 5);

    (void)state;
    assert_int_equal(write_text(&w, "abc", true), SP_OK);
    assert_int_equal(out.len, 0);
}

static void trailers_need_chunks(void **state)
{
    struct http1_writer chunked = writer_for(HTTP1_FRAMING_CHUNKED, 0);
    struct http1_writer raw = writer_for(HTTP1_FRAMING_RAW, 0);
    struct http1_writer length = writer_for(HTTP1_FRAMING_LENGTH, 1);
    struct http_head head = {0};

    (void)state;
    add(&head, HTTP_FIELD_OTHER, VIEW("A"), VIEW("1"));
    add(&head, HTTP_FIELD_CONTENT_LENGTH, VIEW("Content-Length"), VIEW("5"));
    assert_int_equal(http1_write_trailers(&raw, &out, &head.fields), SP_OK);
    assert_int_equal(http1_write_trailers(&length, &out, &head.fields), SP_INVALID);
    assert_int_equal(out.len, 0);
    assert_int_equal(http1_write_trailers(&chunked, &out, &head.fields), SP_OK);
    assert_string_equal(written(), "0\r\nA: 1\r\n\r\n");
}

static void long_ranges_are_moved_and_short_ones_copied(void **state)
{
    static char bytes[IOBUF_LARGE_BYTES];
    struct http1_writer w = writer_for(HTTP1_FRAMING_RAW, 0);
    const char *at;

    (void)state;
    assert_int_equal(iobuf_append(&data, bytes, sizeof(bytes)), SP_OK);
    at = iobuf_first(&data).p;
    assert_int_equal(http1_write_body(&w, &out, &data, false), SP_OK);
    assert_ptr_equal(iobuf_first(&out).p, at);
    iobuf_clear(&out);
    assert_int_equal(iobuf_append(&data, bytes, 10), SP_OK);
    at = iobuf_first(&data).p;
    assert_int_equal(http1_write_body(&w, &out, &data, false), SP_OK);
    assert_ptr_not_equal(iobuf_first(&out).p, at);
}

static void each_failed_allocation_is_told(void **state)
{
    (void)state;
    for (unsigned nth = 0;; nth++) {
        struct http1_writer w = writer_for(HTTP1_FRAMING_CHUNKED, 0);
        struct http_head head = request_head();
        enum sp_err err;

        assert_int_equal(iobuf_append(&data, text, 5000), SP_OK);
        failing_alloc_arm(nth);
        err = http1_write_head(&out, &head, &no_plan);
        if (err == SP_OK)
            err = http1_write_body(&w, &out, &data, true);
        if (!failing_alloc_hit()) {
            assert_int_equal(err, SP_OK);
            return;
        }
        assert_int_equal(err, SP_NOMEM);
        iobuf_clear(&out);
        iobuf_clear(&data);
        iobuf_thread_fini();
    }
}

#define writer_test(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        writer_test(a_request_begins_with_its_line_and_host),
        writer_test(a_request_without_authority_says_so),
        writer_test(a_response_has_its_own_reason_or_the_registered_one),
        writer_test(the_plan_speaks_for_framing_and_connection),
        writer_test(no_control_character_gets_into_a_request),
        writer_test(no_control_character_gets_into_upgrade_or_trailers),
        writer_test(what_would_change_the_request_line_is_refused),
        writer_test(a_head_may_be_longer_than_the_blocks),
        writer_test(chunks_have_their_size_in_front),
        writer_test(a_length_is_kept),
        writer_test(where_no_body_belongs_none_is_written),
        writer_test(trailers_need_chunks),
        writer_test(long_ranges_are_moved_and_short_ones_copied),
        writer_test(each_failed_allocation_is_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
