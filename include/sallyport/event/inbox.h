/* How a thread is told something by another: a lock-free list of embedded items, any number of
 * senders, one taker. Sending allocates nothing and never waits. */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

struct inbox_item;
struct ethread;
/* Runs on the receiving thread, which owns the item from here on. */
typedef void (*inbox_fn)(struct inbox_item *item, struct ethread *thread);

struct inbox_item {
    struct inbox_item *next;
    inbox_fn fn;
};

struct inbox {
    _Atomic(struct inbox_item *) head; /* newest first */
};

static inline void inbox_init(struct inbox *in)
{
    atomic_init(&in->head, NULL);
}
/* True when it was empty: the receiver must be woken. */
bool inbox_push(struct inbox *in, struct inbox_item *item);
/* Takes everything, oldest first; NULL when empty. Receiver only. */
struct inbox_item *inbox_take_all(struct inbox *in);
static inline bool inbox_is_empty(const struct inbox *in)
{
    return atomic_load_explicit(&in->head, memory_order_relaxed) == NULL;
}
