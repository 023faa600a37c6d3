/* The queue of bytes: its rules one by one, out of memory, and a random walk against an array. */
#include "failing_alloc.h"
#include "unit_test.h"

#include <sallyport/base/iobuf.h>

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define MANY_IOV 256

/* ---- Helpers ---- */

static char pattern_byte(size_t i)
{
    return (char)(i * 31 + i / 251);
}

static void fill_pattern(char *dst, size_t n, size_t from)
{
    for (size_t i = 0; i < n; i++)
        dst[i] = pattern_byte(from + i);
}

static void append_text(struct iobuf *b, const char *text)
{
    assert_int_equal(iobuf_append_view(b, view_of(text)), SP_OK);
}

/* Pieces that the whole queue has. */
static int n_pieces(const struct iobuf *b)
{
    struct iovec iov[MANY_IOV];

    return iobuf_peek(b, iov, MANY_IOV, SIZE_MAX);
}

static void assert_holds(const struct iobuf *b, const char *bytes, size_t n)
{
    struct iovec iov[MANY_IOV];
    int count = iobuf_peek(b, iov, MANY_IOV, SIZE_MAX);
    size_t seen = 0;

    assert_int_equal(b->len, n);
    for (int i = 0; i < count; i++) {
        assert_true(iov[i].iov_len > 0);
        assert_true(seen + iov[i].iov_len <= n);
        assert_memory_equal(iov[i].iov_base, bytes + seen, iov[i].iov_len);
        seen += iov[i].iov_len;
    }
    assert_int_equal(seen, n);
}

static void assert_holds_text(const struct iobuf *b, const char *text)
{
    assert_holds(b, text, strlen(text));
}

static void assert_no_blocks_in_use(void)
{
    struct iobuf_usage usage = iobuf_usage();

    assert_int_equal(usage.small_blocks, 0);
    assert_int_equal(usage.large_blocks, 0);
}

/* ---- Append, peek, consume ---- */

static void an_empty_queue_holds_no_block(void **state)
{
    struct iobuf b;
    struct iovec iov;

    (void)state;
    iobuf_init(&b);
    assert_int_equal(iobuf_append(&b, NULL, 0), SP_OK);
    assert_int_equal(b.len, 0);
    assert_int_equal(iobuf_first(&b).len, 0);
    assert_int_equal(iobuf_peek(&b, &iov, 1, SIZE_MAX), 0);
    iobuf_consume(&b, 0);
    assert_no_blocks_in_use();
}

static void bytes_come_out_in_the_order_they_went_in(void **state)
{
    struct iobuf b;

    (void)state;
    iobuf_init(&b);
    append_text(&b, "GET / HTTP/1.1\r\n");
    append_text(&b, "Host: a\r\n");
    assert_holds_text(&b, "GET / HTTP/1.1\r\nHost: a\r\n");
    iobuf_consume(&b, 16);
    assert_holds_text(&b, "Host: a\r\n");
    iobuf_consume(&b, 9);
    assert_holds_text(&b, "");
    assert_no_blocks_in_use();
}

static void one_byte_appends_fill_blocks_without_gaps(void **state)
{
    enum { N = 10000 };
    static char expected[N];
    struct iobuf b;

    (void)state;
    fill_pattern(expected, N, 0);
    iobuf_init(&b);
    for (size_t i = 0; i < N; i++)
        assert_int_equal(iobuf_append(&b, &expected[i], 1), SP_OK);
    assert_holds(&b, expected, N);
    assert_int_equal(n_pieces(&b), 3); /* 4096 + 4096 + 1808 */
    assert_int_equal(iobuf_usage().small_blocks, 3);
    iobuf_clear(&b);
    assert_no_blocks_in_use();
}

static void a_long_append_takes_large_blocks_and_a_small_one_for_the_rest(void **state)
{
    const size_t n = 2 * IOBUF_LARGE_BYTES + 100;
    char *expected = malloc(n);
    struct iobuf b;

    (void)state;
    assert_non_null(expected);
    fill_pattern(expected, n, 0);
    iobuf_init(&b);
    assert_int_equal(iobuf_append(&b, expected, n), SP_OK);
    assert_holds(&b, expected, n);
    assert_int_equal(iobuf_usage().large_blocks, 2);
    assert_int_equal(iobuf_usage().small_blocks, 1);
    iobuf_clear(&b);
    assert_no_blocks_in_use();
    free(expected);
}

static void peek_respects_the_limit_and_the_count(void **state)
{
    static char expected[3 * 4096];
    struct iobuf b;
    struct iovec iov[3];

    (void)state;
    iobuf_init(&b);
    for (int i = 0; i < 3; i++)
        assert_int_equal(iobuf_append(&b, expected, 4096), SP_OK);
    assert_int_equal(iobuf_peek(&b, iov, 3, 4097), 2);
    assert_int_equal(iov[0].iov_len, 4096);
    assert_int_equal(iov[1].iov_len, 1);
    assert_int_equal(iobuf_peek(&b, iov, 1, SIZE_MAX), 1);
    assert_int_equal(iobuf_peek(&b, iov, 3, 0), 0);
    assert_int_equal(iobuf_peek(&b, iov, 0, SIZE_MAX), 0);
    iobuf_clear(&b);
}

/* ---- Reserve and commit ---- */

static void two_tls_records_fill_one_large_block(void **state)
{
    struct iobuf b;
    struct iovec iov[4];

    (void)state;
    iobuf_init(&b);
    assert_int_equal(iobuf_reserve(&b, (size_t)2 * 16384, iov, 4), 1);
    assert_int_equal(iov[0].iov_len, 32768);
    memset(iov[0].iov_base, 'r', 16384);
    iobuf_commit(&b, 16384);
    assert_int_equal(iobuf_reserve(&b, 16384, iov, 4), 1);
    assert_int_equal(iov[0].iov_len, 16384);
    memset(iov[0].iov_base, 'r', 16384);
    iobuf_commit(&b, 16384);
    assert_int_equal(n_pieces(&b), 1);
    assert_int_equal(iobuf_usage().large_blocks, 1);
    iobuf_clear(&b);
    assert_no_blocks_in_use();
}

static void committing_nothing_leaves_no_trace(void **state)
{
    struct iobuf b;
    struct iovec iov[4];

    (void)state;
    iobuf_init(&b);
    assert_int_equal(iobuf_reserve(&b, 40000, iov, 4), 2);
    iobuf_commit(&b, 0);
    assert_no_blocks_in_use();

    append_text(&b, "abc");
    assert_int_equal(iobuf_reserve(&b, 100, iov, 4), 1);
    iobuf_commit(&b, 0);
    append_text(&b, "def"); /* the room is usable again */
    assert_int_equal(n_pieces(&b), 1);
    assert_holds_text(&b, "abcdef");
    iobuf_clear(&b);
}

static void a_commit_across_pieces_keeps_the_order(void **state)
{
    enum { WANT = 3000 + 2000 };
    static char expected[1500 + WANT];
    struct iobuf b;
    struct iovec iov[4];
    size_t done = 1500;

    (void)state;
    fill_pattern(expected, sizeof(expected), 0);
    iobuf_init(&b);
    assert_int_equal(iobuf_append(&b, expected, done), SP_OK);
    assert_int_equal(iobuf_reserve(&b, WANT, iov, 4), 2);
    assert_int_equal(iov[0].iov_len, 4096 - 1500);
    assert_int_equal(iov[0].iov_len + iov[1].iov_len, WANT);
    for (int i = 0; i < 2; i++) {
        memcpy(iov[i].iov_base, expected + done, iov[i].iov_len);
        done += iov[i].iov_len;
    }
    iobuf_commit(&b, WANT - 10);
    assert_holds(&b, expected, sizeof(expected) - 10);
    iobuf_clear(&b);
    assert_no_blocks_in_use();
}

static void short_room_at_the_tail_is_passed_over_unless_it_is_enough(void **state)
{
    static char bytes[4000];
    struct iobuf b;
    struct iovec iov[4];

    (void)state;
    iobuf_init(&b);
    assert_int_equal(iobuf_append(&b, bytes, sizeof(bytes)), SP_OK); /* 96 left */
    assert_int_equal(iobuf_reserve(&b, 2000, iov, 4), 1);
    assert_int_equal(iov[0].iov_len, 2000);
    assert_int_equal(iobuf_usage().small_blocks, 2);
    iobuf_commit(&b, 0);
    assert_int_equal(iobuf_reserve(&b, 96, iov, 4), 1);
    assert_int_equal(iobuf_usage().small_blocks, 1);
    iobuf_commit(&b, 96);
    assert_int_equal(n_pieces(&b), 1);
    iobuf_clear(&b);
}

static void a_reservation_is_cut_to_the_pieces_allowed(void **state)
{
    struct iobuf b;
    struct iovec iov[8];

    (void)state;
    iobuf_init(&b);
    assert_int_equal(iobuf_reserve(&b, 100000, iov, 1), 1);
    assert_int_equal(iov[0].iov_len, IOBUF_LARGE_BYTES);
    iobuf_commit(&b, 0);
    assert_int_equal(iobuf_reserve(&b, 1000000, iov, 8), 4);
    iobuf_clear(&b); /* gives an open reservation back too */
    assert_no_blocks_in_use();
}

static void reserved_room_survives_what_happens_to_the_queue_meanwhile(void **state)
{
    struct iobuf b, other;
    struct iovec iov[1];

    (void)state;
    iobuf_init(&b);
    iobuf_init(&other);
    append_text(&b, "abc");
    assert_int_equal(iobuf_reserve(&b, 3, iov, 1), 1);
    memcpy(iov[0].iov_base, "def", 3);
    iobuf_move_all(&other, &b);
    append_text(&other, "XYZ"); /* must not land in the reserved room */
    iobuf_commit(&b, 3);
    assert_holds_text(&b, "def");
    assert_holds_text(&other, "abcXYZ");
    iobuf_clear(&b);
    iobuf_clear(&other);
    assert_no_blocks_in_use();
}

/* ---- Move ---- */

static void a_move_that_splits_a_segment_shares_the_block(void **state)
{
    struct iobuf a, b;

    (void)state;
    iobuf_init(&a);
    iobuf_init(&b);
    append_text(&a, "headbody");
    assert_int_equal(iobuf_move(&b, &a, 4), SP_OK);
    assert_int_equal(iobuf_usage().small_blocks, 1);
    assert_holds_text(&b, "head");
    assert_holds_text(&a, "body");
    append_text(&b, "-more"); /* the room behind "head" is taken by "body" */
    append_text(&a, "-more"); /* that behind "body" is free */
    assert_holds_text(&b, "head-more");
    assert_holds_text(&a, "body-more");
    assert_int_equal(n_pieces(&b), 2);
    assert_int_equal(n_pieces(&a), 1);
    iobuf_clear(&b);
    assert_holds_text(&a, "body-more");
    iobuf_clear(&a);
    assert_no_blocks_in_use();
}

static void pieces_moved_one_byte_at_a_time_join_up_again(void **state)
{
    struct iobuf a, b;

    (void)state;
    iobuf_init(&a);
    iobuf_init(&b);
    append_text(&a, "0123456789");
    while (a.len > 0)
        assert_int_equal(iobuf_move(&b, &a, 1), SP_OK);
    assert_holds_text(&b, "0123456789");
    assert_int_equal(n_pieces(&b), 1);
    iobuf_clear(&b);
    assert_no_blocks_in_use();
}

static void moving_all_or_nothing_needs_no_memory(void **state)
{
    static char bytes[10000];
    struct iobuf a, b;

    (void)state;
    iobuf_init(&a);
    iobuf_init(&b);
    assert_int_equal(iobuf_append(&a, bytes, sizeof(bytes)), SP_OK);
    iobuf_thread_fini();
    failing_alloc_arm(0);
    assert_int_equal(iobuf_move(&b, &a, 0), SP_OK);
    assert_int_equal(iobuf_move(&b, &a, sizeof(bytes)), SP_OK);
    iobuf_move_all(&a, &b);
    iobuf_move_all(&a, &b); /* of an empty queue */
    assert_false(failing_alloc_hit());
    assert_holds(&a, bytes, sizeof(bytes));
    assert_holds(&b, bytes, 0);
    iobuf_clear(&a);
    assert_no_blocks_in_use();
}

/* ---- Pullup and pin ---- */

static void pullup_of_contiguous_bytes_copies_nothing(void **state)
{
    struct iobuf b;
    struct view v;
    const char *before;

    (void)state;
    iobuf_init(&b);
    assert_int_equal(iobuf_pullup(&b, 0, &v), SP_OK);
    assert_int_equal(v.len, 0);
    append_text(&b, "0123456789");
    before = iobuf_first(&b).p;
    assert_int_equal(iobuf_pullup(&b, 7, &v), SP_OK);
    assert_ptr_equal(v.p, before);
    assert_int_equal(v.len, 7);
    iobuf_clear(&b);
}

static void pullup_joins_pieces_of_any_total(void **state)
{
    static const size_t totals[] = {2, 4096, 4097, 32768, 32769, 70000};
    char *expected = malloc(70000);

    (void)state;
    assert_non_null(expected);
    fill_pattern(expected, 70000, 0);
    for (size_t i = 0; i < SP_COUNT_OF(totals); i++) {
        struct iobuf b, one;
        struct view v;

        /* A first piece of one byte, then the others. */
        iobuf_init(&b);
        iobuf_init(&one);
        assert_int_equal(iobuf_append(&b, expected, 1), SP_OK);
        assert_int_equal(iobuf_append(&one, expected + 1, 70000 - 1), SP_OK);
        iobuf_move_all(&b, &one);
        assert_int_equal(iobuf_pullup(&b, totals[i], &v), SP_OK);
        assert_int_equal(v.len, totals[i]);
        assert_memory_equal(v.p, expected, v.len);
        assert_holds(&b, expected, 70000);
        iobuf_clear(&b);
        assert_no_blocks_in_use();
    }
    free(expected);
}

static void a_pulled_up_block_of_odd_size_counts_by_its_size(void **state)
{
    static char bytes[70000];
    struct iobuf b;
    struct view v;

    (void)state;
    iobuf_init(&b);
    assert_int_equal(iobuf_append(&b, bytes, sizeof(bytes)), SP_OK);
    assert_int_equal(iobuf_pullup(&b, sizeof(bytes), &v), SP_OK);
    assert_int_equal(iobuf_usage().large_blocks, 3); /* 98304 bytes */
    assert_int_equal(iobuf_usage().small_blocks, 0);
    append_text(&b, "goes into its room");
    assert_int_equal(n_pieces(&b), 1);
    iobuf_clear(&b);
    assert_no_blocks_in_use();
}

static void a_pin_keeps_views_after_their_bytes_were_consumed(void **state)
{
    struct iobuf b;
    struct iobuf_block *pin;
    struct view v;

    (void)state;
    iobuf_init(&b);
    append_text(&b, "Host: example.org");
    assert_int_equal(iobuf_pullup(&b, b.len, &v), SP_OK);
    pin = iobuf_pin(&b);
    iobuf_consume(&b, b.len);
    append_text(&b, "the next message");
    assert_true(view_eq(v, VIEW("Host: example.org")));
    iobuf_clear(&b);
    assert_int_equal(iobuf_usage().small_blocks, 1);
    iobuf_unpin(pin);
    iobuf_unpin(NULL);
    assert_no_blocks_in_use();
}

/* ---- Out of memory ---- */

/* Two queues of known content, so that each step can be compared with it. */
struct oom_fixture {
    struct iobuf a, b;
};

static char oom_bytes[40000];

static void oom_begin(struct oom_fixture *f, unsigned nth)
{
    iobuf_init(&f->a);
    iobuf_init(&f->b);
    for (int i = 0; i < 2; i++) { /* two pieces: 4096, and 904 more in a block of its own */
        struct iobuf *q = i == 0 ? &f->a : &f->b;

        assert_int_equal(iobuf_append(q, oom_bytes, 4096), SP_OK);
        assert_int_equal(iobuf_append(q, oom_bytes + 4096, 904), SP_OK);
    }
    iobuf_thread_fini(); /* so that each need is an allocation */
    failing_alloc_arm(nth);
}

static void oom_end(struct oom_fixture *f)
{
    iobuf_clear(&f->a);
    iobuf_clear(&f->b);
    iobuf_thread_fini();
    assert_no_blocks_in_use();
}

static void an_append_that_fails_appends_nothing(void **state)
{
    (void)state;
    fill_pattern(oom_bytes, sizeof(oom_bytes), 0);
    for (unsigned nth = 0;; nth++) {
        struct oom_fixture f;

        oom_begin(&f, nth);
        enum sp_err err = iobuf_append(&f.a, oom_bytes + 5000, sizeof(oom_bytes) - 5000);
        if (!failing_alloc_hit()) {
            assert_int_equal(err, SP_OK);
            assert_holds(&f.a, oom_bytes, sizeof(oom_bytes));
            oom_end(&f);
            return;
        }
        assert_int_equal(err, SP_NOMEM);
        assert_holds(&f.a, oom_bytes, 5000);
        oom_end(&f);
    }
}

static void a_move_that_fails_changes_neither_queue(void **state)
{
    (void)state;
    fill_pattern(oom_bytes, sizeof(oom_bytes), 0);
    for (unsigned nth = 0;; nth++) {
        struct oom_fixture f;

        oom_begin(&f, nth);
        enum sp_err err = iobuf_move(&f.b, &f.a, 4500);
        if (!failing_alloc_hit()) {
            assert_int_equal(err, SP_OK);
            assert_int_equal(f.b.len, 9500);
            assert_holds(&f.a, oom_bytes + 4500, 500);
            oom_end(&f);
            return;
        }
        assert_int_equal(err, SP_NOMEM);
        assert_holds(&f.a, oom_bytes, 5000);
        assert_holds(&f.b, oom_bytes, 5000);
        oom_end(&f);
    }
}

static void a_pullup_that_fails_changes_nothing(void **state)
{
    (void)state;
    fill_pattern(oom_bytes, sizeof(oom_bytes), 0);
    for (unsigned nth = 0;; nth++) {
        struct oom_fixture f;
        struct view v = VIEW("untouched");

        oom_begin(&f, nth);
        enum sp_err err = iobuf_pullup(&f.a, 4500, &v);
        if (!failing_alloc_hit()) {
            assert_int_equal(err, SP_OK);
            assert_holds(&f.a, oom_bytes, 5000);
            oom_end(&f);
            return;
        }
        assert_int_equal(err, SP_NOMEM);
        assert_true(view_eq(v, VIEW("untouched")));
        assert_holds(&f.a, oom_bytes, 5000);
        oom_end(&f);
    }
}

static void a_reserve_short_of_memory_gives_what_there_is(void **state)
{
    (void)state;
    fill_pattern(oom_bytes, sizeof(oom_bytes), 0);
    for (unsigned nth = 0;; nth++) {
        struct oom_fixture f;
        struct iovec iov[4];

        oom_begin(&f, nth);
        int n = iobuf_reserve(&f.a, 40000, iov, 4);
        bool hit = failing_alloc_hit();
        assert_in_range(n, 0, 3);
        iobuf_commit(&f.a, 0);
        assert_holds(&f.a, oom_bytes, 5000);
        oom_end(&f);
        if (!hit) {
            assert_int_equal(n, 3);
            return;
        }
    }
}

static void the_thread_gives_all_its_pooled_memory_back(void **state)
{
    struct iobuf b;

    (void)state;
    iobuf_thread_fini();
    failing_alloc_arm(1000000);
    iobuf_init(&b);
    for (int i = 0; i < 10; i++)
        assert_int_equal(iobuf_append(&b, oom_bytes, sizeof(oom_bytes)), SP_OK);
    iobuf_clear(&b);
    iobuf_thread_fini();
    assert_false(failing_alloc_hit());
    assert_int_equal(failing_alloc_live(), 0);
}

/* ---- Threads ---- */

static void *finish_queue(void *arg)
{
    iobuf_clear(arg);
    iobuf_thread_fini();
    return NULL;
}

static void a_queue_handed_to_another_thread_is_released_there(void **state)
{
    struct iobuf b;
    pthread_t thread;

    (void)state;
    iobuf_init(&b);
    assert_int_equal(iobuf_append(&b, oom_bytes, sizeof(oom_bytes)), SP_OK);
    assert_int_equal(pthread_create(&thread, NULL, finish_queue, &b), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_no_blocks_in_use();
}

/* ---- Against a plain byte array ---- */

#define MODEL_QUEUES 3
#define MODEL_CAP    ((size_t)200000)

struct model_queue {
    struct iobuf b;
    char bytes[MODEL_CAP];
    size_t len;
};

struct model {
    struct model_queue queues[MODEL_QUEUES];
    uint64_t random;
    size_t position; /* in the pattern: each byte that enters is the next of it */
    struct iobuf_block *pin;
    struct view pinned; /* what the pin keeps */
    char pinned_bytes[64];
};

static size_t model_random(struct model *m, size_t below)
{
    m->random ^= m->random << 13;
    m->random ^= m->random >> 7;
    m->random ^= m->random << 17;
    return (size_t)(m->random % below);
}

/* Lengths that matter: around nothing, around the edges of blocks, and any. */
static size_t model_length(struct model *m, size_t max)
{
    static const size_t edges[] = {0, 1, 2, 1023, 1024, 4095, 4096, 4097, 16384, 32768, 32769};
    size_t n;

    if (max == 0)
        return 0;
    n = model_random(m, 2) == 0 ? edges[model_random(m, SP_COUNT_OF(edges))]
                                : model_random(m, model_random(m, 4) == 0 ? max + 1 : 600);
    return n < max ? n : max;
}

/* The next n bytes of the pattern, put at the end of the model; the caller queues them. */
static const char *model_enter(struct model *m, struct model_queue *q, size_t n)
{
    char *at = q->bytes + q->len;

    fill_pattern(at, n, m->position);
    m->position += n;
    q->len += n;
    return at;
}

static void model_leave(struct model_queue *q, size_t n)
{
    memmove(q->bytes, q->bytes + n, q->len - n);
    q->len -= n;
}

static void model_append(struct model *m, struct model_queue *q)
{
    size_t n = model_length(m, MODEL_CAP - q->len);

    assert_int_equal(iobuf_append(&q->b, model_enter(m, q, n), n), SP_OK);
}

static void model_reserve(struct model *m, struct model_queue *q)
{
    struct iovec iov[4];
    size_t room = 0, n, left, want = model_length(m, MODEL_CAP - q->len);
    int count = iobuf_reserve(&q->b, want, iov, 1 + (int)model_random(m, 4));
    const char *from;

    for (int i = 0; i < count; i++)
        room += iov[i].iov_len;
    assert_true(room <= want && (room > 0 || want == 0));
    n = model_random(m, room + 1);
    from = model_enter(m, q, n);
    left = n;
    for (int i = 0; i < count; i++) { /* the part behind n is scribbled on: it must not matter */
        size_t k = left < iov[i].iov_len ? left : iov[i].iov_len;

        memset(iov[i].iov_base, '#', iov[i].iov_len);
        memcpy(iov[i].iov_base, from, k);
        from += k;
        left -= k;
    }
    iobuf_commit(&q->b, n);
}

static void model_consume(struct model *m, struct model_queue *q)
{
    size_t n = model_length(m, q->len);

    iobuf_consume(&q->b, n);
    model_leave(q, n);
}

static void model_move(struct model *m, struct model_queue *q)
{
    struct model_queue *to = &m->queues[((size_t)(q - m->queues) + 1) % MODEL_QUEUES];
    size_t n = model_length(m, q->len < MODEL_CAP - to->len ? q->len : MODEL_CAP - to->len);

    if (n == q->len)
        iobuf_move_all(&to->b, &q->b);
    else
        assert_int_equal(iobuf_move(&to->b, &q->b, n), SP_OK);
    memcpy(to->bytes + to->len, q->bytes, n);
    to->len += n;
    model_leave(q, n);
}

static void model_pullup(struct model *m, struct model_queue *q)
{
    size_t n = model_length(m, q->len);
    struct view v;

    assert_int_equal(iobuf_pullup(&q->b, n, &v), SP_OK);
    assert_int_equal(v.len, n);
    if (n > 0)
        assert_memory_equal(v.p, q->bytes, n);
}

static void model_pin(struct model *m, struct model_queue *q)
{
    if (m->pin != NULL)
        assert_memory_equal(m->pinned.p, m->pinned_bytes, m->pinned.len);
    iobuf_unpin(m->pin);
    m->pin = NULL;
    if (q->len == 0)
        return;
    m->pin = iobuf_pin(&q->b);
    m->pinned = view_head(iobuf_first(&q->b), sizeof(m->pinned_bytes));
    memcpy(m->pinned_bytes, m->pinned.p, m->pinned.len);
}

static void model_run(struct model *m, unsigned steps)
{
    static void (*const ops[])(struct model *, struct model_queue *) = {
        model_append, model_reserve, model_reserve, model_consume,
        model_move,   model_move,    model_pullup,  model_pin,
    };

    for (unsigned i = 0; i < steps; i++) {
        struct model_queue *q = &m->queues[model_random(m, MODEL_QUEUES)];

        ops[model_random(m, SP_COUNT_OF(ops))](m, q);
        for (int k = 0; k < MODEL_QUEUES; k++)
            assert_int_equal(m->queues[k].b.len, m->queues[k].len);
        if (i % 16 == 0)
            assert_holds(&q->b, q->bytes, q->len);
        if (i % 512 == 511) {
            iobuf_clear(&q->b);
            q->len = 0;
        }
    }
}

static void random_operations_agree_with_a_plain_byte_array(void **state)
{
    struct model *m = calloc(1, sizeof(*m));

    (void)state;
    assert_non_null(m);
    for (uint64_t seed = 1; seed <= 6; seed++) {
        m->random = seed * 0x9e3779b97f4a7c15u;
        for (int k = 0; k < MODEL_QUEUES; k++) {
            iobuf_init(&m->queues[k].b);
            m->queues[k].len = 0;
        }
        model_run(m, 4000);
        iobuf_unpin(m->pin);
        m->pin = NULL;
        for (int k = 0; k < MODEL_QUEUES; k++)
            iobuf_clear(&m->queues[k].b);
        assert_no_blocks_in_use();
    }
    free(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_queue_holds_no_block),
        cmocka_unit_test(bytes_come_out_in_the_order_they_went_in),
        cmocka_unit_test(one_byte_appends_fill_blocks_without_gaps),
        cmocka_unit_test(a_long_append_takes_large_blocks_and_a_small_one_for_the_rest),
        cmocka_unit_test(peek_respects_the_limit_and_the_count),
        cmocka_unit_test(two_tls_records_fill_one_large_block),
        cmocka_unit_test(committing_nothing_leaves_no_trace),
        cmocka_unit_test(a_commit_across_pieces_keeps_the_order),
        cmocka_unit_test(short_room_at_the_tail_is_passed_over_unless_it_is_enough),
        cmocka_unit_test(a_reservation_is_cut_to_the_pieces_allowed),
        cmocka_unit_test(reserved_room_survives_what_happens_to_the_queue_meanwhile),
        cmocka_unit_test(a_move_that_splits_a_segment_shares_the_block),
        cmocka_unit_test(pieces_moved_one_byte_at_a_time_join_up_again),
        cmocka_unit_test(moving_all_or_nothing_needs_no_memory),
        cmocka_unit_test(pullup_of_contiguous_bytes_copies_nothing),
        cmocka_unit_test(pullup_joins_pieces_of_any_total),
        cmocka_unit_test(a_pulled_up_block_of_odd_size_counts_by_its_size),
        cmocka_unit_test(a_pin_keeps_views_after_their_bytes_were_consumed),
        cmocka_unit_test(an_append_that_fails_appends_nothing),
        cmocka_unit_test(a_move_that_fails_changes_neither_queue),
        cmocka_unit_test(a_pullup_that_fails_changes_nothing),
        cmocka_unit_test(a_reserve_short_of_memory_gives_what_there_is),
        cmocka_unit_test(the_thread_gives_all_its_pooled_memory_back),
        cmocka_unit_test(a_queue_handed_to_another_thread_is_released_there),
        cmocka_unit_test(random_operations_agree_with_a_plain_byte_array),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
