/* A ring of slots. Who adds one takes the next number, and with it the slot; a slot that somebody
 * is at (a reader, or a writer a whole ring ahead) is left alone, and the failure is not kept:
 * threads with connections never wait. Readers do, for as long as a copy takes. */
#include "handshake_log_internal.h"

#include <sallyport/base/clock.h>
#include <sallyport/base/metrics.h>

#include <sched.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#define RECORD_HEADER_BYTES 5

struct slot {
    atomic_flag busy;
    uint64_t number; /* 0: empty */
    struct kept_hello *hello;
    unsigned char rest[offsetof(struct handshake_failure, hello_len)]; /* of the failure */
};

static struct slot slots[HANDSHAKE_LOG_ENTRIES];
static atomic_uint_least64_t n_failures;

/* ---- A ClientHello ---- */

static size_t payload_len(struct view records)
{
    return (size_t)(uint8_t)records.p[3] << 8 | (uint8_t)records.p[4];
}

struct kept_hello *kept_hello_new(struct view records)
{
    struct kept_hello *hello;
    size_t cap = records.len < HANDSHAKE_LOG_HELLO_BYTES ? records.len : HANDSHAKE_LOG_HELLO_BYTES;

    if (records.len <= RECORD_HEADER_BYTES)
        return NULL;
    hello = malloc(sizeof(*hello) + cap);
    if (hello == NULL)
        return NULL;
    hello->len = 0;
    while (records.len > RECORD_HEADER_BYTES && hello->len < cap) {
        struct view payload =
            view_head(view_from(records, RECORD_HEADER_BYTES), payload_len(records));

        records = view_from(records, RECORD_HEADER_BYTES + payload.len);
        payload = view_head(payload, cap - hello->len);
        if (payload.len > 0)
            memcpy(hello->bytes + hello->len, payload.p, payload.len);
        hello->len += payload.len;
    }
    return hello;
}

/* ---- The ring ---- */

static struct slot *slot_of(uint64_t number)
{
    return &slots[(number - 1) % HANDSHAKE_LOG_ENTRIES];
}

static bool try_enter(struct slot *slot)
{
    return !atomic_flag_test_and_set_explicit(&slot->busy, memory_order_acquire);
}

static void leave(struct slot *slot)
{
    atomic_flag_clear_explicit(&slot->busy, memory_order_release);
}

void handshake_log_add(const struct handshake_failure *failure, struct kept_hello *hello)
{
    uint64_t number = atomic_fetch_add_explicit(&n_failures, 1, memory_order_relaxed) + 1;
    struct slot *slot = slot_of(number);
    struct kept_hello *old = hello;

    if (try_enter(slot)) {
        if (slot->number < number) {
            old = slot->hello;
            slot->number = number;
            slot->hello = hello;
            memcpy(slot->rest, failure, sizeof(slot->rest));
        }
        leave(slot);
    }
    free(old);
}

static void copy_out(const struct slot *slot, struct handshake_failure *out)
{
    memcpy(out, slot->rest, sizeof(slot->rest));
    out->number = slot->number;
    out->hello_len = slot->hello == NULL ? 0 : slot->hello->len;
    if (out->hello_len > 0)
        memcpy(out->hello, slot->hello->bytes, out->hello_len);
}

/* False: it is not there (any more, or yet). */
static bool read_slot(uint64_t number, struct handshake_failure *out)
{
    struct slot *slot = slot_of(number);
    bool found;

    while (!try_enter(slot))
        (void)sched_yield(); /* for as long as a copy takes */
    found = slot->number == number;
    if (found)
        copy_out(slot, out);
    leave(slot);
    return found;
}

uint64_t handshake_log_last(void)
{
    return atomic_load_explicit(&n_failures, memory_order_relaxed);
}

bool handshake_log_next(uint64_t after, struct handshake_failure *out)
{
    uint64_t last = handshake_log_last();
    uint64_t number = last > HANDSHAKE_LOG_ENTRIES ? last - HANDSHAKE_LOG_ENTRIES : 0;

    for (number = number > after ? number : after; number < last; number++)
        if (read_slot(number + 1, out))
            return true;
    return false;
}
