/* Chunked bodies: what is data, what is framing, what is refused. */
#include "http1_feed.h"
#include "unit_test.h"

struct decoded {
    enum http1_chunk_event last; /* MORE: the bytes ran out */
    enum http_error error;
    size_t used; /* bytes up to the end of the last chunk's size line, or all */
    size_t body_len;
    char body[4096];
};

/* Decodes with at most `step` bytes at hand each time. */
static struct decoded decode(struct view bytes, size_t step)
{
    struct decoded d = {.last = HTTP1_CHUNK_MORE};
    struct http1_chunked c;

    http1_chunked_init(&c);
    while (d.used < bytes.len) {
        size_t n = bytes.len - d.used < step ? bytes.len - d.used : step, skip = 0, data = 0;
        char *copy = feed_copy(view_head(view_from(bytes, d.used), n));

        d.last = http1_chunked_next(&c, (struct view){copy + 1, n}, &skip, &data, &d.error);
        if (d.last == HTTP1_CHUNK_DATA) {
            assert_true(data > 0 && skip + data <= n);
            memcpy(d.body + d.body_len, copy + 1 + skip, data);
            d.body_len += data;
        } else if (d.last == HTTP1_CHUNK_MORE) {
            assert_int_equal(skip, n);
        }
        free(copy);
        d.used += skip + data;
        if (d.last == HTTP1_CHUNK_TRAILERS || d.last == HTTP1_CHUNK_ERROR)
            break;
    }
    return d;
}

static void assert_body(struct view bytes, const char *body)
{
    for (size_t step = 1; step <= bytes.len; step++) {
        struct decoded d = decode(bytes, step);

        assert_int_equal(d.last, HTTP1_CHUNK_TRAILERS);
        assert_int_equal(d.body_len, strlen(body));
        assert_memory_equal(d.body, body, d.body_len);
        assert_memory_equal(bytes.p + d.used, "\r\n", 2);
    }
}

static void chunks_are_joined_however_they_arrive(void **state)
{
    (void)state;
    assert_body(VIEW("0\r\n\r\n"), "");
    assert_body(VIEW("5\r\nhello\r\n0\r\n\r\n"), "hello");
    assert_body(VIEW("1\r\na\r\n9\r\nbcdefghij\r\nA\r\n0123456789\r\n0\r\n\r\n"),
                "abcdefghij0123456789");
    assert_body(VIEW("00000005\r\n\r\n0\r\n\r\n000\r\n\r\n"), "\r\n0\r\n");
    assert_body(VIEW("0000000000000001\r\na\r\n0000000000000000\r\n\r\n"), "a");
}

static void extensions_are_skipped(void **state)
{
    (void)state;
    assert_body(VIEW("1;a=b;c=\"d;\t\xff\"\r\nx\r\n0;last\r\n\r\n"), "x");
    assert_body(VIEW("1;\r\nx\r\n0\r\n\r\n"), "x");
}

static void every_truncation_waits_for_more(void **state)
{
    struct view bytes = VIEW("5;a=b\r\nhello\r\n0\r\n");

    (void)state;
    for (size_t n = 0; n < bytes.len; n++) {
        struct decoded d = decode(view_head(bytes, n), 1);

        assert_int_not_equal(d.last, HTTP1_CHUNK_TRAILERS);
        assert_int_not_equal(d.last, HTTP1_CHUNK_ERROR);
    }
}

static void data_are_handed_out_as_they_come(void **state)
{
    struct http1_chunked c;
    enum http_error error = HTTP_ERROR_NONE;
    size_t skip = 0, data = 0;

    (void)state;
    http1_chunked_init(&c);
    assert_int_equal(http1_chunked_next(&c, VIEW("fFfff\r\nabc"), &skip, &data, &error),
                     HTTP1_CHUNK_DATA);
    assert_int_equal(skip, 7);
    assert_int_equal(data, 3);
    assert_int_equal(http1_chunked_next(&c, VIEW("0\r\n\r\n"), &skip, &data, &error),
                     HTTP1_CHUNK_DATA);
    assert_int_equal(skip, 0);
    assert_int_equal(data, 5);
    assert_true(c.left == 0xfffff - 8);
    assert_true(c.data_bytes == 8);
    assert_true(c.overhead_bytes == 7);
}

static void the_end_is_said_again_when_asked_again(void **state)
{
    struct http1_chunked c;
    enum http_error error = HTTP_ERROR_NONE;
    size_t skip = 0, data = 0;

    (void)state;
    http1_chunked_init(&c);
    assert_int_equal(http1_chunked_next(&c, VIEW("0\r\nA: b"), &skip, &data, &error),
                     HTTP1_CHUNK_TRAILERS);
    assert_int_equal(skip, 3);
    assert_int_equal(http1_chunked_next(&c, VIEW("A: b"), &skip, &data, &error),
                     HTTP1_CHUNK_TRAILERS);
    assert_int_equal(skip, 0);
}

/* The last byte is the one that is wrong. Bytes may hold NUL. */
#define BAD(literal)                 \
    {                                \
        literal, sizeof(literal) - 1 \
    }
static const struct view bad_chunks[] = {
    BAD("\r"),
    BAD("\n"),
    BAD(" "),
    BAD(";"),
    BAD("g"),
    BAD("-"),
    BAD("+"),
    BAD("\0"),
    BAD("0x"),
    BAD("5h"),
    BAD("5 "),
    BAD("5\t"),
    BAD("5\n"),
    BAD("5_"),
    BAD("5,"),
    BAD("5."),
    BAD("5\0"),
    BAD("5\xa0"),
    BAD("5\r\r"),
    BAD("5\r5"),
    BAD("5;a\n"),
    BAD("5;a\0"),
    BAD("5;a\x7f"),
    BAD("5;a\x0b"),
    BAD("5;a\rb"),
    BAD("5;a=\"\n"),
    BAD("5;a\r\r"),
    BAD("1\r\nab"),
    BAD("1\r\na\n"),
    BAD("1\r\na0"),
    BAD("1\r\na\r\r"),
    BAD("1\r\na\r0"),
    BAD("1\r\na\r\n\r"),
    BAD("1\r\na\r\n\n"),
    BAD("1\r\na\r\n "),
    BAD("1\r\na\r\n-"),
    BAD("8000000000000000"),
    BAD("ffffffffffffffff"),
    BAD("00000000000000001"),
    BAD("10000000000000005"),
    BAD("0\n"),
    BAD("0 "),
    BAD("0\r0"),
};

static void malformed_chunks_are_refused_at_the_first_wrong_byte(void **state)
{
    (void)state;
    for (size_t i = 0; i < SP_COUNT_OF(bad_chunks); i++) {
        for (size_t step = 1; step < 30; step += 7) {
            struct view good = view_head(bad_chunks[i], bad_chunks[i].len - 1);
            struct decoded d = decode(bad_chunks[i], step);

            assert_int_equal(d.last, HTTP1_CHUNK_ERROR);
            assert_int_equal(d.error, HTTP_ERROR_BAD_CHUNK);
            assert_int_not_equal(decode(good, step).last, HTTP1_CHUNK_ERROR);
        }
    }
}

static void the_largest_size_is_63_bits(void **state)
{
    struct http1_chunked c;
    enum http_error error = HTTP_ERROR_NONE;
    size_t skip = 0, data = 0;

    (void)state;
    http1_chunked_init(&c);
    assert_int_equal(http1_chunked_next(&c, VIEW("7fffffffffffffff\r\na"), &skip, &data, &error),
                     HTTP1_CHUNK_DATA);
    assert_true(c.left == INT64_MAX - 1);
}

static void an_error_is_final(void **state)
{
    struct http1_chunked c;
    enum http_error error = HTTP_ERROR_NONE;
    size_t skip = 0, data = 0;

    (void)state;
    http1_chunked_init(&c);
    assert_int_equal(http1_chunked_next(&c, VIEW("x"), &skip, &data, &error), HTTP1_CHUNK_ERROR);
    error = HTTP_ERROR_NONE;
    assert_int_equal(http1_chunked_next(&c, VIEW("0\r\n"), &skip, &data, &error),
                     HTTP1_CHUNK_ERROR);
    assert_int_equal(error, HTTP_ERROR_BAD_CHUNK);
}

static void a_size_line_has_at_most_256_bytes(void **state)
{
    char line[300];

    (void)state;
    memset(line, 'x', sizeof(line));
    memcpy(line, "0;", 2);
    memcpy(line + 254, "\r\n", 2);
    assert_int_equal(decode((struct view){line, 256}, 1).last, HTTP1_CHUNK_TRAILERS);
    memset(line + 254, 'x', 2);
    assert_int_equal(decode((struct view){line, 256}, 256).last, HTTP1_CHUNK_MORE);
    assert_int_equal(decode((struct view){line, 257}, 257).last, HTTP1_CHUNK_ERROR);
}

/* The error that `n` chunks like this one end with. */
static enum http_error repeat(struct view chunk, unsigned n)
{
    enum http_error error = HTTP_ERROR_NONE;
    struct http1_chunked c;

    http1_chunked_init(&c);
    for (unsigned i = 0; i < n; i++) {
        struct view rest = chunk;

        while (rest.len > 0) {
            size_t skip = 0, data = 0;

            if (http1_chunked_next(&c, rest, &skip, &data, &error) == HTTP1_CHUNK_ERROR)
                return error;
            rest = view_from(rest, skip + data);
        }
    }
    return HTTP_ERROR_NONE;
}

static void a_body_that_is_mostly_framing_is_refused(void **state)
{
    (void)state;
    assert_int_equal(repeat(VIEW("1\r\na\r\n"), 100000), HTTP_ERROR_NONE);
    assert_int_equal(repeat(VIEW("1;0123456789\r\na\r\n"), 100000), HTTP_ERROR_CHUNK_OVERHEAD);
    assert_int_equal(repeat(VIEW("1;0123456789\r\na\r\n"), 1000), HTTP_ERROR_NONE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(chunks_are_joined_however_they_arrive),
        cmocka_unit_test(extensions_are_skipped),
        cmocka_unit_test(every_truncation_waits_for_more),
        cmocka_unit_test(data_are_handed_out_as_they_come),
        cmocka_unit_test(the_end_is_said_again_when_asked_again),
        cmocka_unit_test(malformed_chunks_are_refused_at_the_first_wrong_byte),
        cmocka_unit_test(the_largest_size_is_63_bits),
        cmocka_unit_test(an_error_is_final),
        cmocka_unit_test(a_size_line_has_at_most_256_bytes),
        cmocka_unit_test(a_body_that_is_mostly_framing_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
