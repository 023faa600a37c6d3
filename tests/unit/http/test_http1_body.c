#include "failing_alloc.h"
#include "http1_body.h"
#include "unit_test.h"

static const struct http1_limits limits = {
    .max_head_bytes = 64, .max_fields = 4, .max_trailer_bytes = 32};

/* What came out of a body. */
struct taken {
    enum http1_body_event last; /* but MORE */
    enum http_error error;
    char bytes[256];
    size_t n;
    char trailer[32];
    size_t left; /* in the queue, behind it */
    unsigned n_events;
};

static struct arena arena;
static struct iobuf in;

static int setup(void **state)
{
    (void)state;
    arena_init(&arena);
    iobuf_init(&in);
    return 0;
}

static int teardown(void **state)
{
    struct iobuf_usage usage;

    (void)state;
    iobuf_clear(&in);
    arena_fini(&arena);
    usage = iobuf_usage();
    assert_int_equal(usage.small_blocks + usage.large_blocks, 0);
    iobuf_thread_fini();
    return 0;
}

/* False: more bytes are needed, or the body is over. */
static bool take_once(struct http1_body *b, struct taken *out)
{
    struct http1_body_piece piece = {0};
    enum http1_body_event event;

    if (b->ended)
        return false;
    event = http1_body_take(b, &in, &limits, &arena, &piece);
    if (event == HTTP1_BODY_MORE)
        return false;
    out->last = event;
    out->error = piece.error;
    out->n_events++;
    while (piece.data.len > 0) {
        struct view v = iobuf_first(&piece.data);

        assert_true(out->n + v.len < sizeof(out->bytes));
        memcpy(out->bytes + out->n, v.p, v.len);
        out->n += v.len;
        iobuf_consume(&piece.data, v.len);
    }
    if (piece.trailers.n > 0) {
        assert_true(piece.trailers.v[0].value.len < sizeof(out->trailer));
        memcpy(out->trailer, piece.trailers.v[0].value.p, piece.trailers.v[0].value.len);
    }
    return event == HTTP1_BODY_DATA;
}

/* `text` arrives `step` bytes at a time. */
static struct taken feed(bool is_request, enum http_body_kind kind, uint64_t length,
                         const char *text, size_t step)
{
    struct http1_body body;
    struct taken out = {0};
    size_t len = strlen(text);

    http1_body_init(&body, is_request, kind, length);
    for (size_t at = 0; at < len && out.last != HTTP1_BODY_ERROR; at += step) {
        size_t n = len - at < step ? len - at : step;

        assert_int_equal(iobuf_append(&in, text + at, n), SP_OK);
        while (take_once(&body, &out))
            ;
    }
    out.left = in.len;
    iobuf_clear(&in);
    return out;
}

static void a_length_is_taken_to_the_byte(void **state)
{
    (void)state;
    for (size_t step = 1; step <= 12; step++) {
        struct taken t = feed(true, HTTP_BODY_LENGTH, 5, "helloGET / ", step);

        assert_int_equal(t.last, HTTP1_BODY_END);
        assert_string_equal(t.bytes, "hello");
        assert_int_equal(t.left, 6);
    }
}

static void less_than_the_length_is_no_end(void **state)
{
    struct taken t = feed(true, HTTP_BODY_LENGTH, 6, "hello", 2);

    (void)state;
    assert_int_equal(t.last, HTTP1_BODY_DATA);
    assert_string_equal(t.bytes, "hello");
}

static void no_body_and_length_zero_have_ended_at_once(void **state)
{
    struct http1_body body;

    (void)state;
    http1_body_init(&body, true, HTTP_BODY_NONE, 0);
    assert_true(body.ended);
    http1_body_init(&body, true, HTTP_BODY_LENGTH, 0);
    assert_true(body.ended);
    http1_body_init(&body, true, HTTP_BODY_UNSIZED, 0);
    assert_false(body.ended);
}

static void chunk_framing_is_gone_however_it_arrives(void **state)
{
    static const char text[] = "5\r\nhello\r\n1;ext=\"a\"\r\n \r\n005\r\nworld\r\n0\r\n\r\nnext";

    (void)state;
    for (size_t step = 1; step <= sizeof(text); step++) {
        struct taken t = feed(true, HTTP_BODY_UNSIZED, 0, text, step);

        assert_int_equal(t.last, HTTP1_BODY_END);
        assert_string_equal(t.bytes, "hello world");
        assert_int_equal(t.left, 4);
    }
}

static void chunks_that_are_there_come_in_one_piece(void **state)
{
    struct taken t = feed(true, HTTP_BODY_UNSIZED, 0, "1\r\na\r\n1\r\nb\r\n1\r\nc\r\n", 100);

    (void)state;
    assert_string_equal(t.bytes, "abc");
    assert_int_equal(t.n_events, 1);
}

static void trailers_come_with_the_end(void **state)
{
    static const char text[] = "3\r\nabc\r\n0\r\nX-Sum: 42\r\n\r\nnext";

    (void)state;
    for (size_t step = 1; step <= sizeof(text); step++) {
        struct taken t = feed(true, HTTP_BODY_UNSIZED, 0, text, step);

        assert_int_equal(t.last, HTTP1_BODY_TRAILERS);
        assert_string_equal(t.bytes, "abc");
        assert_string_equal(t.trailer, "42");
        assert_int_equal(t.left, 4);
    }
}

static void forbidden_trailers_end_a_request_and_are_dropped_from_a_response(void **state)
{
    static const char text[] = "0\r\nContent-Length: 1\r\n\r\n";
    struct taken request = feed(true, HTTP_BODY_UNSIZED, 0, text, 100);
    struct taken response = feed(false, HTTP_BODY_UNSIZED, 0, text, 100);

    (void)state;
    assert_int_equal(request.last, HTTP1_BODY_ERROR);
    assert_int_equal(request.error, HTTP_ERROR_BAD_TRAILER);
    assert_int_equal(response.last, HTTP1_BODY_END);
}

static void malformed_framing_is_an_error(void **state)
{
    static const struct {
        const char *text;
        enum http_error error;
    } cases[] = {
        {"x\r\n", HTTP_ERROR_BAD_CHUNK},
        {"-1\r\n", HTTP_ERROR_BAD_CHUNK},
        {"1 \r\na\r\n", HTTP_ERROR_BAD_CHUNK},
        {"1\r\nab\r\n", HTTP_ERROR_BAD_CHUNK},
        {"1\na\n", HTTP_ERROR_BAD_CHUNK},
        {"0\r\nbad trailer: 1\r\n\r\n", HTTP_ERROR_BAD_TRAILER},
        {"0\r\nX-A: 0123456789012345678901234567890123456789\r\n\r\n", HTTP_ERROR_HEAD_TOO_LARGE},
    };

    (void)state;
    for (size_t i = 0; i < SP_COUNT_OF(cases); i++)
        for (size_t step = 1; step <= 64; step += 7) {
            struct taken t = feed(true, HTTP_BODY_UNSIZED, 0, cases[i].text, step);

            assert_int_equal(t.last, HTTP1_BODY_ERROR);
            assert_int_equal(t.error, cases[i].error);
        }
}

static void no_truncation_of_a_chunked_body_is_an_end(void **state)
{
    static const char text[] = "5\r\nhello\r\n0\r\nT: v\r\n\r\n";

    (void)state;
    for (size_t n = 1; n + 1 < sizeof(text); n++) {
        char cut[sizeof(text)] = {0};
        struct taken t;

        memcpy(cut, text, n);
        t = feed(true, HTTP_BODY_UNSIZED, 0, cut, 100);
        assert_true(t.last == HTTP1_BODY_MORE || t.last == HTTP1_BODY_DATA);
    }
}

static void what_ends_with_the_stream_takes_everything(void **state)
{
    struct http1_body body;
    struct taken t = feed(false, HTTP_BODY_TO_CLOSE, 0, "0\r\n\r\nHTTP/1.1 200 OK\r\n\r\n", 3);

    (void)state;
    assert_string_equal(t.bytes, "0\r\n\r\nHTTP/1.1 200 OK\r\n\r\n");
    assert_int_equal(t.last, HTTP1_BODY_DATA);
    http1_body_init(&body, false, HTTP_BODY_TUNNEL, 0);
    assert_true(http1_body_ends_with_stream(&body));
    http1_body_init(&body, false, HTTP_BODY_LENGTH, 3);
    assert_false(http1_body_ends_with_stream(&body));
}

static void large_ranges_are_moved_without_a_copy(void **state)
{
    static char bytes[IOBUF_LARGE_BYTES];
    struct http1_body_piece piece = {0};
    struct http1_body body;
    const char *at;

    (void)state;
    http1_body_init(&body, true, HTTP_BODY_LENGTH, sizeof(bytes));
    assert_int_equal(iobuf_append(&in, bytes, sizeof(bytes)), SP_OK);
    at = iobuf_first(&in).p;
    assert_int_equal(http1_body_take(&body, &in, &limits, &arena, &piece), HTTP1_BODY_END);
    assert_ptr_equal(iobuf_first(&piece.data).p, at);
    iobuf_clear(&piece.data);
}

static void a_head_is_found_across_blocks(void **state)
{
    static const char text[] = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    struct http1_head_scan scan = {0};
    struct iobuf first, second;
    enum http_error error;
    struct view head;

    (void)state;
    iobuf_init(&first);
    iobuf_init(&second);
    assert_int_equal(iobuf_append(&first, text, 20), SP_OK);
    assert_int_equal(iobuf_append(&second, text + 20, sizeof(text) - 1 - 20), SP_OK);
    iobuf_move_all(&in, &first);
    assert_int_equal(http1_find_head(&scan, &in, &limits, &head, &error), HTTP1_SCAN_MORE);
    iobuf_move_all(&in, &second);
    assert_int_equal(http1_find_head(&scan, &in, &limits, &head, &error), HTTP1_SCAN_DONE);
    assert_true(view_eq(head, (struct view){text, sizeof(text) - 1}));
    assert_int_equal(in.len, head.len);
}

static void each_failed_allocation_is_an_error_and_leaks_nothing(void **state)
{
    (void)state;
    for (unsigned nth = 0;; nth++) {
        struct http1_body_piece piece = {0};
        struct http1_body body;
        enum http1_body_event event;

        http1_body_init(&body, true, HTTP_BODY_UNSIZED, 0);
        assert_int_equal(iobuf_append(&in, "3\r\nabc\r\n0\r\nT: v\r\n\r\n", 20), SP_OK);
        failing_alloc_arm(nth);
        event = http1_body_take(&body, &in, &limits, &arena, &piece);
        if (!failing_alloc_hit()) {
            assert_int_equal(event, HTTP1_BODY_TRAILERS);
            iobuf_clear(&piece.data);
            return;
        }
        assert_int_equal(event, HTTP1_BODY_ERROR);
        assert_int_equal(piece.error, HTTP_ERROR_NOMEM);
        iobuf_clear(&piece.data);
        iobuf_clear(&in);
        arena_fini(&arena);
        iobuf_thread_fini();
    }
}

#define body_test(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        body_test(a_length_is_taken_to_the_byte),
        body_test(less_than_the_length_is_no_end),
        body_test(no_body_and_length_zero_have_ended_at_once),
        body_test(chunk_framing_is_gone_however_it_arrives),
        body_test(chunks_that_are_there_come_in_one_piece),
        body_test(trailers_come_with_the_end),
        body_test(forbidden_trailers_end_a_request_and_are_dropped_from_a_response),
        body_test(malformed_framing_is_an_error),
        body_test(no_truncation_of_a_chunked_body_is_an_end),
        body_test(what_ends_with_the_stream_takes_everything),
        body_test(large_ranges_are_moved_without_a_copy),
        body_test(a_head_is_found_across_blocks),
        body_test(each_failed_allocation_is_an_error_and_leaks_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
