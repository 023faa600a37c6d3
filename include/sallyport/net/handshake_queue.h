/* Admission: which waiting handshake is worth its cryptography next. One per thread that runs
 * handshakes; its net_handler owns it.
 *
 * A handshake waits here from the moment at which its next step would cost a signature, until it is
 * taken or dropped. While the oldest has waited less than the target, first come is first served.
 * Past the target the thread is overloaded, and a queue that stayed fair would serve everybody too
 * late: the newest are taken first, whoever waited longer than the bound is dropped, and what could
 * be served neither now nor soon is refused before it costs anything. Resumptions go before full
 * handshakes, as they cost a fifth of one and belong to users who were here before.
 *
 * Accepting stops while the queue is full and starts again when it has fallen to half: the rest of
 * a burst waits in the kernel's backlog. When that lasts, newcomers are refused instead
 * (handshake_shed.h). */
#pragma once

#include <sallyport/base/list.h>

#include <stdbool.h>
#include <stdint.h>

enum handshake_kind { HANDSHAKE_RESUMED, HANDSHAKE_FULL, HANDSHAKE_KINDS };

/* Embedded in the connection. */
struct handshake_entry {
    struct list link;
    int64_t arrived_us; /* monotonic: when the connection was accepted */
    enum handshake_kind kind;
};

struct handshake_queue_options {
    uint32_t max_waiting;   /* accept pauses here; >= 2 */
    uint32_t max_open;      /* ...and with so many connections in their handshake at all; >= 2 */
    int64_t target_wait_us; /* oldest first below, newest first above */
    int64_t max_wait_us;    /* whoever waited longer is dropped */
    int64_t shed_after_us;  /* see handshake_shed.h; 0: never */
};

struct handshake_queue {
    struct handshake_queue_options options;
    struct list waiting[HANDSHAKE_KINDS]; /* oldest first */
    uint32_t n;
    bool overloaded; /* newest first */
    bool full;       /* until n has fallen to half of max_waiting */
};

void handshake_queue_init(struct handshake_queue *q, const struct handshake_queue_options *options);
static inline void handshake_entry_init(struct handshake_entry *e, int64_t arrived_us)
{
    list_init(&e->link);
    e->arrived_us = arrived_us;
    e->kind = HANDSHAKE_FULL;
}

void handshake_queue_push(struct handshake_queue *q, struct handshake_entry *e,
                          enum handshake_kind kind);
/* Harmless when it is not queued. */
void handshake_queue_remove(struct handshake_queue *q, struct handshake_entry *e);
/* One that has waited past max_wait_us, out of the queue; NULL when there is none. The caller drops
 * it. Call until NULL before handshake_queue_pop(). */
struct handshake_entry *handshake_queue_pop_stale(struct handshake_queue *q, int64_t now_us);
/* The next one to serve, out of the queue; NULL when it is empty. Notes whether the thread is
 * overloaded. */
struct handshake_entry *handshake_queue_pop(struct handshake_queue *q, int64_t now_us);
/* When the oldest arrived; 0 when empty. */
int64_t handshake_queue_oldest_us(const struct handshake_queue *q);
/* How long the oldest has waited; 0 when empty. */
int64_t handshake_queue_wait_us(const struct handshake_queue *q, int64_t now_us);
