#include "ticket_ring.h"

#define WIPED INT64_MIN /* stamp of a slot that holds no key: nobody opens under zeroes */

/* Release stores of the words: who sees one of them sees the odd number too. */
static void slot_write(struct ticket_slot *s, const union ticket_key *key)
{
    unsigned sequence = atomic_load_explicit(&s->sequence, memory_order_relaxed);

    atomic_store_explicit(&s->sequence, sequence + 1, memory_order_relaxed);
    for (size_t i = 0; i < SP_COUNT_OF(s->words); i++)
        atomic_store_explicit(&s->words[i], key->words[i], memory_order_release);
    atomic_store_explicit(&s->sequence, sequence + 2, memory_order_release);
}

void ticket_ring_put(struct ticket_ring *ring, unsigned slot, const union ticket_key *key)
{
    SP_ASSERT(key->stamp != WIPED);
    slot_write(&ring->slots[slot % TICKET_RING_SLOTS], key);
}

void ticket_ring_wipe(struct ticket_ring *ring, unsigned slot)
{
    static const union ticket_key nothing = {.stamp = WIPED};

    slot_write(&ring->slots[slot % TICKET_RING_SLOTS], &nothing);
}

/* Acquire loads of the words: the sequence number is looked at again only after them. */
bool ticket_ring_get(struct ticket_ring *ring, unsigned slot, union ticket_key *key)
{
    struct ticket_slot *s = &ring->slots[slot % TICKET_RING_SLOTS];
    unsigned sequence = atomic_load_explicit(&s->sequence, memory_order_acquire);

    if (sequence == 0 || (sequence & 1) != 0)
        return false; /* never used, or changing */
    for (size_t i = 0; i < SP_COUNT_OF(s->words); i++)
        key->words[i] = atomic_load_explicit(&s->words[i], memory_order_acquire);
    return atomic_load_explicit(&s->sequence, memory_order_relaxed) == sequence &&
           key->stamp != WIPED;
}
