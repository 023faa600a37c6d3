/* Request bodies as the origin reads them. */
#include "origin_body.h"
#include "unit_test.h"

#include <string.h>

struct fixture {
    struct origin_body body;
    struct iobuf in, out;
    struct arena arena;
    enum http_error error;
};

static void setup(struct fixture *f, enum http_body_kind kind, uint64_t length)
{
    const struct http_head head = {.body = kind, .content_length = length};

    iobuf_init(&f->in);
    iobuf_init(&f->out);
    arena_init(&f->arena);
    f->error = HTTP_ERROR_NONE;
    origin_body_init(&f->body, &head, true);
}

static void teardown(struct fixture *f)
{
    iobuf_clear(&f->in);
    iobuf_clear(&f->out);
    arena_fini(&f->arena);
    iobuf_thread_fini();
}

/* Gives `bytes` in pieces; the last result. */
static enum origin_body_step feed(struct fixture *f, struct view bytes, size_t piece)
{
    enum origin_body_step step = ORIGIN_BODY_MORE;

    for (size_t at = 0; at < bytes.len; at += piece) {
        assert_int_equal(iobuf_append_view(&f->in, view_head(view_from(bytes, at), piece)), SP_OK);
        do
            step = origin_body_next(&f->body, &f->in, &f->out, &f->arena, &f->error);
        while (step == ORIGIN_BODY_DATA);
        if (step == ORIGIN_BODY_ERROR)
            break;
    }
    return step;
}

static void fnv_sums_as_its_authors_say(void **state)
{
    (void)state;
    assert_int_equal(fnv1a64(FNV1A64_START, VIEW("")), UINT64_C(0xcbf29ce484222325));
    assert_int_equal(fnv1a64(FNV1A64_START, VIEW("a")), UINT64_C(0xaf63dc4c8601ec8c));
    assert_int_equal(fnv1a64(FNV1A64_START, VIEW("foobar")), UINT64_C(0x85944171f73967e8));
}

static void a_message_without_content_has_ended_at_once(void **state)
{
    struct fixture f;

    (void)state;
    setup(&f, HTTP_BODY_NONE, 0);
    assert_true(f.body.ended);
    teardown(&f);
    setup(&f, HTTP_BODY_LENGTH, 0);
    assert_true(f.body.ended);
    teardown(&f);
}

static void a_length_ends_where_it_says_and_leaves_the_rest(void **state)
{
    struct fixture f;

    (void)state;
    setup(&f, HTTP_BODY_LENGTH, 6);
    assert_int_equal(feed(&f, VIEW("foobarGET"), 9), ORIGIN_BODY_ENDED);
    assert_int_equal(f.body.bytes, 6);
    assert_int_equal(f.body.checksum, UINT64_C(0x85944171f73967e8));
    assert_int_equal(f.out.len, 6);
    assert_int_equal(f.in.len, 3);
    teardown(&f);
}

static void chunks_with_trailers_come_in_any_pieces(void **state)
{
    const struct view text = VIEW("3\r\nfoo\r\n3;x=y\r\nbar\r\n0\r\nX-One: 1\r\nX-Two: 2\r\n\r\n");

    (void)state;
    for (size_t piece = 1; piece <= text.len; piece++) {
        struct fixture f;

        setup(&f, HTTP_BODY_UNSIZED, 0);
        assert_int_equal(feed(&f, text, piece), ORIGIN_BODY_ENDED);
        assert_int_equal(f.body.checksum, UINT64_C(0x85944171f73967e8));
        assert_true(view_eq(f.body.trailers, VIEW("X-One: 1\r\nX-Two: 2\r\n\r\n")));
        assert_int_equal(f.in.len, 0);
        teardown(&f);
    }
}

static void a_truncated_body_never_ends(void **state)
{
    const struct view text = VIEW("3\r\nfoo\r\n0\r\nX-One: 1\r\n\r\n");

    (void)state;
    for (size_t len = 1; len < text.len; len++) {
        struct fixture f;

        setup(&f, HTTP_BODY_UNSIZED, 0);
        assert_int_equal(feed(&f, view_head(text, len), len), ORIGIN_BODY_MORE);
        teardown(&f);
    }
}

static void malformed_chunks_are_an_error(void **state)
{
    struct fixture f;

    (void)state;
    setup(&f, HTTP_BODY_UNSIZED, 0);
    assert_int_equal(feed(&f, VIEW("3\r\nfooX"), 7), ORIGIN_BODY_ERROR);
    assert_int_equal(f.error, HTTP_ERROR_BAD_CHUNK);
    teardown(&f);
}

static void a_body_in_many_small_blocks_is_summed_whole(void **state)
{
    struct fixture f;
    uint64_t expected = FNV1A64_START;

    (void)state;
    setup(&f, HTTP_BODY_LENGTH, 100);
    for (int i = 0; i < 100; i++) { /* one segment each */
        struct iobuf one;

        iobuf_init(&one);
        assert_int_equal(iobuf_append(&one, "x", 1), SP_OK);
        iobuf_move_all(&f.in, &one);
        expected = fnv1a64(expected, VIEW("x"));
    }
    enum origin_body_step step;
    do
        step = origin_body_next(&f.body, &f.in, &f.out, &f.arena, &f.error);
    while (step == ORIGIN_BODY_DATA);
    assert_int_equal(step, ORIGIN_BODY_ENDED);
    assert_int_equal(f.body.bytes, 100);
    assert_int_equal(f.body.checksum, expected);
    teardown(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fnv_sums_as_its_authors_say),
        cmocka_unit_test(a_message_without_content_has_ended_at_once),
        cmocka_unit_test(a_length_ends_where_it_says_and_leaves_the_rest),
        cmocka_unit_test(chunks_with_trailers_come_in_any_pieces),
        cmocka_unit_test(a_truncated_body_never_ends),
        cmocka_unit_test(malformed_chunks_are_an_error),
        cmocka_unit_test(a_body_in_many_small_blocks_is_summed_whole),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
