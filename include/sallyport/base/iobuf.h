/* A queue of bytes over reference-counted blocks: what a VIO reads into and writes from, and what
 * carries a body from one connection to another without copying.
 *
 * Bytes are appended at the tail and consumed at the head. A range can be moved to another queue;
 * both then share the block and neither copies. A consumed block goes back to the thread's pool at
 * once, so an idle connection's empty queue holds no memory at all.
 *
 * Thread: a queue and every queue that it shares blocks with belong to one thread. Blocks may be
 * released on another thread than the one that took them only together with their queue. */
#pragma once

#include <sallyport/base/compiler.h>
#include <sallyport/base/err.h>
#include <sallyport/base/view.h>

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

/* Room of the two kinds of block. A small one takes a request head, a large one two full TLS
 * records. */
#define IOBUF_SMALL_BYTES ((size_t)4096)
#define IOBUF_LARGE_BYTES ((size_t)32768)

struct iobuf_block;
struct iobuf_seg;

struct iobuf {
    struct iobuf_seg *head, *tail; /* NULL when empty; owned */
    struct iobuf_seg *reserved;    /* writable room behind tail, between reserve and commit */
    size_t len;                    /* bytes queued */
};

void iobuf_init(struct iobuf *b);
/* Releases everything. The queue stays usable. */
void iobuf_clear(struct iobuf *b);

/* Copies n bytes to the tail. SP_NOMEM: nothing was appended. */
enum sp_err iobuf_append(struct iobuf *b, const void *data, size_t n) SP_MUST_CHECK;
static inline enum sp_err iobuf_append_view(struct iobuf *b, struct view v)
{
    return iobuf_append(b, v.p, v.len);
}

/* Up to max_iov (at most 4) pieces of writable room at the tail, `want` bytes in all at the most
 * (a piece is never longer than a block), for recv or SSL_read. Returns the count, 0 when out of
 * memory. Follow with iobuf_commit(), with 0 too. */
int iobuf_reserve(struct iobuf *b, size_t want, struct iovec *iov, int max_iov) SP_MUST_CHECK;
/* The first n bytes of the room just reserved are now queued; the rest is released. */
void iobuf_commit(struct iobuf *b, size_t n);

/* The queued bytes from the head on as at most max_iov pieces and at most `limit` bytes. Returns
 * the count. Valid until the next change of the queue. */
int iobuf_peek(const struct iobuf *b, struct iovec *iov, int max_iov, size_t limit);
/* The first contiguous piece; empty when the queue is. */
struct view iobuf_first(const struct iobuf *b);
/* Drops n bytes (n <= len) at the head. */
void iobuf_consume(struct iobuf *b, size_t n);

/* Moves the first n bytes (n <= src->len) to the tail of dst, sharing the blocks. SP_NOMEM: both
 * queues are as they were. */
enum sp_err iobuf_move(struct iobuf *dst, struct iobuf *src, size_t n) SP_MUST_CHECK;
/* Moves everything; cannot fail. */
void iobuf_move_all(struct iobuf *dst, struct iobuf *src);

/* Makes the first n bytes (n <= len) contiguous and gives them out; copies only if they are not.
 * SP_NOMEM: unchanged. The view is valid until those bytes are consumed or a longer pullup copies
 * them elsewhere; with a pin, longer. */
enum sp_err iobuf_pullup(struct iobuf *b, size_t n, struct view *out) SP_MUST_CHECK;

/* Keeps the block that holds the head of the queue (b->len > 0), so that views into it outlive
 * iobuf_consume(). Never fails. Give it back with iobuf_unpin(). */
struct iobuf_block *iobuf_pin(const struct iobuf *b);
/* NULL is accepted. */
void iobuf_unpin(struct iobuf_block *block);

/* Frees this thread's pooled blocks: at thread end, and around a test that counts allocations. */
void iobuf_thread_fini(void);
/* Blocks in use by the whole process, for tests and the memory gauge. */
struct iobuf_usage {
    /* Handed out and not yet released. A longer block (see pullup) counts as several large ones. */
    uint64_t small_blocks, large_blocks;
};
struct iobuf_usage iobuf_usage(void);
