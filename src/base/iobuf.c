/* A queue of bytes: a chain of segments, each a range of a reference-counted block.
 *
 *     iobuf   head ------------> seg [0, 300) --> seg [0, 4096)   tail
 *                                 |                |
 *     blocks              used: 1500 of 4096    used: 4096 of 4096
 *                                 |
 *     another iobuf  head --> seg [300, 1500)     moved there, not copied
 *
 * What stays true, and what the functions below rely on:
 *  - `len` is the sum of the segments from head to tail, and no segment there is empty.
 *  - A byte of a block belongs to at most one segment, of any queue. All of them lie below `used`.
 *    So at most one segment ends at `used`, and it alone may grow into the room behind it, whoever
 *    else shares the lower part of the block.
 *  - Room that is reserved is claimed at once (`used` moves up) and what is not committed is given
 *    back, so that nothing that happens to the queue in between can hand it out twice.
 *  - Neighbours in a queue are never two touching ranges of one block: those are merged.
 *  - A block's `refs` counts its segments, reserved ones too, and its pins.
 *
 * Blocks and segments come from free lists of the thread. Counts are not atomic: see the header. */
#include <sallyport/base/iobuf.h>

#include <stdalign.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

/* How many free ones a thread keeps: at most 3 MiB of blocks. A sanitizer wants to see each one
 * freed, so there nothing is kept. */
#ifdef SALLYPORT_SANITIZED
enum { KEEP_SMALL = 0, KEEP_LARGE = 0, KEEP_SEGS = 0 };
#else
enum { KEEP_SMALL = 256, KEEP_LARGE = 64, KEEP_SEGS = 1024 };
#endif

/* Shorter room at the tail is not worth an iovec and a short recv(2) of its own. */
#define WORTHWHILE_ROOM_BYTES ((size_t)1024)
#define RESERVE_MAX_PIECES    4

struct iobuf_block {
    size_t refs;
    size_t cap;  /* of data: one of the two sizes, or for a pullup a multiple of the large one */
    size_t used; /* [0, used) was claimed by segments; [used, cap) by nobody */
    struct iobuf_block *next_free;
    char data[];
};

struct iobuf_seg {
    struct iobuf_seg *next;
    struct iobuf_block *block; /* shared: holds one reference */
    size_t start, end;         /* into block->data */
};

_Static_assert(IOBUF_LARGE_BYTES == (size_t)2 * 16384, "a large block holds two full TLS records");

/* ---- The thread's free lists, and the count of what is out of them ---- */

struct block_pool {
    struct iobuf_block *free; /* owned */
    unsigned n_free, max_free;
};

static _Thread_local struct {
    struct block_pool small, large;
    struct iobuf_seg *free_segs; /* owned */
    unsigned n_free_segs, max_free_segs;
} pool = {.small.max_free = KEEP_SMALL, .large.max_free = KEEP_LARGE, .max_free_segs = KEEP_SEGS};

/* A locked add costs little while its line stays in the core's cache. So each thread counts on a
 * line that it shares with nobody, unless there are more than N_STRIPES threads. One stripe may go
 * below zero (taken here, released there); the sum does not. */
#define N_STRIPES 16
static struct usage_stripe {
    alignas(64) _Atomic uint64_t small_blocks;
    _Atomic uint64_t large_blocks;
} stripes[N_STRIPES];
static _Atomic unsigned next_stripe;
static _Thread_local struct usage_stripe *my_stripe;

/* `sign` is 1 for taken, UINT64_MAX (that is -1) for released. */
static void usage_add(size_t cap, uint64_t sign)
{
    if (SP_UNLIKELY(my_stripe == NULL)) {
        unsigned mine = atomic_fetch_add_explicit(&next_stripe, 1, memory_order_relaxed);
        my_stripe = &stripes[mine % N_STRIPES];
    }
    if (cap == IOBUF_SMALL_BYTES)
        atomic_fetch_add_explicit(&my_stripe->small_blocks, sign, memory_order_relaxed);
    else /* a long one counts as the large ones that it is as big as */
        atomic_fetch_add_explicit(&my_stripe->large_blocks, sign * (cap / IOBUF_LARGE_BYTES),
                                  memory_order_relaxed);
}

/* NULL for a block of a size of its own. */
static struct block_pool *block_pool_for(size_t cap)
{
    if (cap == IOBUF_SMALL_BYTES)
        return &pool.small;
    return cap == IOBUF_LARGE_BYTES ? &pool.large : NULL;
}

/* With one reference, the caller's; NULL when out of memory. */
static struct iobuf_block *block_new(size_t cap)
{
    struct block_pool *from = block_pool_for(cap);
    struct iobuf_block *block;

    if (from != NULL && from->free != NULL) {
        block = from->free;
        from->free = block->next_free;
        from->n_free--;
    } else {
        block = malloc(sizeof(*block) + cap);
        if (block == NULL)
            return NULL;
    }
    block->refs = 1;
    block->cap = cap;
    block->used = 0;
    block->next_free = NULL;
    usage_add(cap, 1);
    return block;
}

static void block_unref(struct iobuf_block *block)
{
    struct block_pool *to = block_pool_for(block->cap);

    SP_ASSERT(block->refs > 0);
    if (--block->refs > 0)
        return;
    usage_add(block->cap, UINT64_MAX);
    if (to == NULL || to->n_free >= to->max_free) {
        free(block);
        return;
    }
    block->next_free = to->free;
    to->free = block;
    to->n_free++;
}

/* Takes the caller's reference to `block`, but not on NULL (out of memory). */
static struct iobuf_seg *seg_new(struct iobuf_block *block, size_t start, size_t end)
{
    struct iobuf_seg *seg = pool.free_segs;

    if (seg != NULL) {
        pool.free_segs = seg->next;
        pool.n_free_segs--;
    } else {
        seg = malloc(sizeof(*seg));
        if (seg == NULL)
            return NULL;
    }
    *seg = (struct iobuf_seg){.block = block, .start = start, .end = end};
    return seg;
}

static void seg_free(struct iobuf_seg *seg)
{
    block_unref(seg->block);
    if (pool.n_free_segs >= pool.max_free_segs) {
        free(seg);
        return;
    }
    seg->next = pool.free_segs;
    pool.free_segs = seg;
    pool.n_free_segs++;
}

static void block_pool_clear(struct block_pool *p)
{
    struct iobuf_block *block;

    while ((block = p->free) != NULL) {
        p->free = block->next_free;
        free(block);
    }
    p->n_free = 0;
}

void iobuf_thread_fini(void)
{
    struct iobuf_seg *seg;

    block_pool_clear(&pool.small);
    block_pool_clear(&pool.large);
    while ((seg = pool.free_segs) != NULL) {
        pool.free_segs = seg->next;
        free(seg);
    }
    pool.n_free_segs = 0;
}

struct iobuf_usage iobuf_usage(void)
{
    struct iobuf_usage sum = {0};

    for (size_t i = 0; i < N_STRIPES; i++) {
        sum.small_blocks += atomic_load_explicit(&stripes[i].small_blocks, memory_order_relaxed);
        sum.large_blocks += atomic_load_explicit(&stripes[i].large_blocks, memory_order_relaxed);
    }
    /* Read while others count, a release may be seen before its take. */
    if ((int64_t)sum.small_blocks < 0)
        sum.small_blocks = 0;
    if ((int64_t)sum.large_blocks < 0)
        sum.large_blocks = 0;
    return sum;
}

/* ---- Segments ---- */

static size_t min_size(size_t a, size_t b)
{
    return a < b ? a : b;
}

static size_t seg_len(const struct iobuf_seg *seg)
{
    return seg->end - seg->start;
}

static char *seg_data(const struct iobuf_seg *seg)
{
    return seg->block->data + seg->start;
}

/* Claims up to `want` bytes of the block's room as a segment. Takes the caller's reference, but
 * not on NULL (out of memory). */
static struct iobuf_seg *seg_claim(struct iobuf_block *block, size_t want)
{
    size_t n = min_size(block->cap - block->used, want);
    struct iobuf_seg *seg = seg_new(block, block->used, block->used + n);

    if (seg != NULL)
        block->used += n;
    return seg;
}

/* Up to `want` bytes in a fresh block, of the kind that suits. NULL when out of memory. */
static struct iobuf_seg *seg_in_new_block(size_t want)
{
    struct iobuf_block *block =
        block_new(want <= IOBUF_SMALL_BYTES ? IOBUF_SMALL_BYTES : IOBUF_LARGE_BYTES);
    struct iobuf_seg *seg;

    if (block == NULL)
        return NULL;
    seg = seg_claim(block, want);
    if (seg == NULL)
        block_unref(block);
    return seg;
}

static void seg_chain_free(struct iobuf_seg *chain)
{
    while (chain != NULL) {
        struct iobuf_seg *next = chain->next;

        seg_free(chain);
        chain = next;
    }
}

/* n bytes in fresh blocks. False when out of memory: nothing was taken. */
static bool seg_chain_new(size_t n, struct iobuf_seg **out)
{
    struct iobuf_seg *chain = NULL, **link = &chain;

    while (n > 0) {
        *link = seg_in_new_block(n);
        if (*link == NULL) {
            seg_chain_free(chain);
            return false;
        }
        n -= seg_len(*link);
        link = &(*link)->next;
    }
    *out = chain;
    return true;
}

/* Takes the segment over, at the tail. */
static void push_seg(struct iobuf *b, struct iobuf_seg *seg)
{
    struct iobuf_seg *tail = b->tail;

    b->len += seg_len(seg);
    if (tail != NULL && tail->block == seg->block && tail->end == seg->start) {
        tail->end = seg->end;
        seg_free(seg);
        return;
    }
    seg->next = NULL;
    if (tail == NULL)
        b->head = seg;
    else
        tail->next = seg;
    b->tail = seg;
}

/* Gives the head to the caller; the queue must have one. */
static struct iobuf_seg *pop_seg(struct iobuf *b)
{
    struct iobuf_seg *seg = b->head;

    b->head = seg->next;
    if (b->head == NULL)
        b->tail = NULL;
    b->len -= seg_len(seg);
    seg->next = NULL;
    return seg;
}

/* Bytes that the tail may grow by in its block. */
static size_t tail_room(const struct iobuf *b)
{
    const struct iobuf_seg *tail = b->tail;

    if (tail == NULL || tail->end != tail->block->used)
        return 0;
    return tail->block->cap - tail->block->used;
}

/* ---- The queue ---- */

void iobuf_init(struct iobuf *b)
{
    *b = (struct iobuf){0};
}

void iobuf_clear(struct iobuf *b)
{
    iobuf_commit(b, 0);
    iobuf_consume(b, b->len);
}

enum sp_err iobuf_append(struct iobuf *b, const void *data, size_t n)
{
    const char *from = data;
    size_t in_tail = min_size(tail_room(b), n);
    struct iobuf_seg *chain = NULL;

    if (!seg_chain_new(n - in_tail, &chain))
        return SP_NOMEM;
    if (in_tail > 0) {
        memcpy(b->tail->block->data + b->tail->end, from, in_tail);
        from += in_tail;
        b->tail->end += in_tail;
        b->tail->block->used += in_tail;
        b->len += in_tail;
    }
    while (chain != NULL) {
        struct iobuf_seg *seg = chain;

        chain = seg->next;
        memcpy(seg_data(seg), from, seg_len(seg));
        from += seg_len(seg);
        push_seg(b, seg);
    }
    return SP_OK;
}

/* Up to `want` bytes of the tail's own block. NULL if that is too little to bother with, or when
 * out of memory. */
static struct iobuf_seg *reserve_at_tail(struct iobuf *b, size_t want)
{
    size_t room = tail_room(b);
    struct iobuf_seg *seg;

    if (room < min_size(want, WORTHWHILE_ROOM_BYTES))
        return NULL;
    seg = seg_claim(b->tail->block, want);
    if (seg != NULL)
        seg->block->refs++;
    return seg;
}

int iobuf_reserve(struct iobuf *b, size_t want, struct iovec *iov, int max_iov)
{
    struct iobuf_seg **link = &b->reserved;
    int n = 0;

    SP_ASSERT(b->reserved == NULL);
    if (max_iov > RESERVE_MAX_PIECES)
        max_iov = RESERVE_MAX_PIECES;
    while (want > 0 && n < max_iov) {
        struct iobuf_seg *seg = n == 0 ? reserve_at_tail(b, want) : NULL;

        if (seg == NULL)
            seg = seg_in_new_block(want);
        if (seg == NULL)
            break;
        iov[n++] = (struct iovec){.iov_base = seg_data(seg), .iov_len = seg_len(seg)};
        want -= seg_len(seg);
        *link = seg;
        link = &seg->next;
    }
    return n;
}

void iobuf_commit(struct iobuf *b, size_t n)
{
    struct iobuf_seg *seg = b->reserved;

    b->reserved = NULL;
    while (seg != NULL) {
        struct iobuf_seg *next = seg->next;
        size_t filled = min_size(seg_len(seg), n);

        SP_ASSERT(seg->block->used == seg->end); /* nobody can claim behind a claim */
        n -= filled;
        seg->end = seg->block->used = seg->start + filled;
        if (filled > 0)
            push_seg(b, seg);
        else
            seg_free(seg);
        seg = next;
    }
    SP_ASSERT(n == 0);
}

int iobuf_peek(const struct iobuf *b, struct iovec *iov, int max_iov, size_t limit)
{
    int n = 0;

    for (struct iobuf_seg *seg = b->head; seg != NULL && n < max_iov && limit > 0;
         seg = seg->next) {
        size_t len = min_size(seg_len(seg), limit);

        iov[n++] = (struct iovec){.iov_base = seg_data(seg), .iov_len = len};
        limit -= len;
    }
    return n;
}

struct view iobuf_first(const struct iobuf *b)
{
    if (b->head == NULL)
        return (struct view){NULL, 0};
    return (struct view){seg_data(b->head), seg_len(b->head)};
}

void iobuf_consume(struct iobuf *b, size_t n)
{
    SP_ASSERT(n <= b->len);
    while (n > 0) {
        size_t len = seg_len(b->head);

        if (n < len) {
            b->head->start += n;
            b->len -= n;
            return;
        }
        seg_free(pop_seg(b));
        n -= len;
    }
}

enum sp_err iobuf_move(struct iobuf *dst, struct iobuf *src, size_t n)
{
    struct iobuf_seg *border = src->head, *front = NULL;

    SP_ASSERT(dst != src && n <= src->len);
    while (border != NULL && n >= seg_len(border)) {
        n -= seg_len(border);
        border = border->next;
    }
    /* n bytes of `border` go, the rest of it stays: the only thing here that can fail. */
    if (n > 0) {
        SP_ASSERT(border != NULL);
        front = seg_new(border->block, border->start, border->start + n);
        if (front == NULL)
            return SP_NOMEM;
        border->block->refs++;
    }
    while (src->head != border)
        push_seg(dst, pop_seg(src));
    if (front != NULL) {
        border->start += n;
        src->len -= n;
        push_seg(dst, front);
    }
    return SP_OK;
}

void iobuf_move_all(struct iobuf *dst, struct iobuf *src)
{
    SP_ASSERT(dst != src);
    if (src->head == NULL)
        return;
    push_seg(dst, pop_seg(src)); /* the only one that may touch dst's tail */
    if (src->head == NULL)
        return;
    dst->tail->next = src->head;
    dst->tail = src->tail;
    dst->len += src->len;
    src->head = src->tail = NULL;
    src->len = 0;
}

/* Room for n bytes in one piece: of the two usual sizes, or as many large ones as it takes. */
static size_t cap_for(size_t n)
{
    if (n <= IOBUF_SMALL_BYTES)
        return IOBUF_SMALL_BYTES;
    return (n + IOBUF_LARGE_BYTES - 1) / IOBUF_LARGE_BYTES * IOBUF_LARGE_BYTES;
}

/* Copies the first n bytes and puts the copy in their place. */
static enum sp_err copy_head(struct iobuf *b, size_t n)
{
    struct iobuf_block *block = block_new(cap_for(n));
    struct iobuf_seg *whole;

    if (block == NULL)
        return SP_NOMEM;
    whole = seg_claim(block, n);
    if (whole == NULL) {
        block_unref(block);
        return SP_NOMEM;
    }
    for (size_t copied = 0; copied < n;) {
        struct view first = view_head(iobuf_first(b), n - copied);

        SP_ASSERT(first.p != NULL);
        memcpy(block->data + copied, first.p, first.len);
        copied += first.len;
        iobuf_consume(b, first.len);
    }
    whole->next = b->head;
    b->head = whole;
    if (b->tail == NULL)
        b->tail = whole;
    b->len += n;
    return SP_OK;
}

enum sp_err iobuf_pullup(struct iobuf *b, size_t n, struct view *out)
{
    SP_ASSERT(n <= b->len);
    if (iobuf_first(b).len < n && copy_head(b, n) != SP_OK)
        return SP_NOMEM;
    *out = view_head(iobuf_first(b), n);
    return SP_OK;
}

struct iobuf_block *iobuf_pin(const struct iobuf *b)
{
    SP_ASSERT(b->head != NULL);
    b->head->block->refs++;
    return b->head->block;
}

void iobuf_unpin(struct iobuf_block *block)
{
    if (block != NULL)
        block_unref(block);
}
