/* Ticket keys that any thread may read while one of them replaces a key. No lock: a slot is guarded
 * by a sequence number (odd while it is being written), and whoever finds it changing does without
 * that key. One writer at a time. */
#pragma once

#include <sallyport/base/compiler.h>

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define TICKET_RING_SLOTS 32U
#define TICKET_NAME_BYTES 16U /* fixed by OpenSSL */
#define TICKET_KEY_BYTES  80U

/* A key, in the order in which key files have it. */
union ticket_key {
    struct {
        uint8_t name[TICKET_NAME_BYTES]; /* in the clear at the head of each ticket */
        uint8_t mac[32];                 /* HMAC-SHA-256 */
        uint8_t aes[32];                 /* AES-256-CBC */
        int64_t stamp;                   /* whose meaning is the writer's own */
    };
    uint8_t bytes[TICKET_KEY_BYTES];
    uint64_t words[11];
};
_Static_assert(sizeof(union ticket_key) == TICKET_KEY_BYTES + 8, "a key is whole words");

struct ticket_slot {
    atomic_uint sequence;
    _Atomic uint64_t words[11];
};
/* Zeroed: empty. */
struct ticket_ring {
    struct ticket_slot slots[TICKET_RING_SLOTS];
};

void ticket_ring_put(struct ticket_ring *ring, unsigned slot, const union ticket_key *key);
void ticket_ring_wipe(struct ticket_ring *ring, unsigned slot);
/* False: there is no key, or it is changing at this moment. */
bool ticket_ring_get(struct ticket_ring *ring, unsigned slot, union ticket_key *key) SP_MUST_CHECK;
