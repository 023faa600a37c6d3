#include "ticket_register.h"

#include <openssl/err.h>
#include <openssl/rand.h>

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

/* A word has the bits of 32 tickets in its lower half; the upper half says which 32, of those that
 * share it: the round. Both change together, so a late use never marks another round's ticket, nor
 * is a bit forgotten while its round lasts. */
#define BITS 32U

struct ticket_register {
    uint64_t instance; /* random: a restart is another register */
    atomic_uint_fast64_t next;
    uint32_t n_words;
    _Atomic uint64_t words[];
};

static uint32_t round_of(const struct ticket_register *r, uint64_t serial)
{
    return (uint32_t)(serial / BITS / r->n_words) + 1; /* 0: nobody was here yet */
}

static _Atomic uint64_t *word_of(struct ticket_register *r, uint64_t serial)
{
    return &r->words[serial / BITS % r->n_words];
}

struct ticket_register *ticket_register_new(uint32_t n)
{
    uint32_t n_words = n / BITS + 2; /* the newest and the oldest are whole only now and then */
    struct ticket_register *r = calloc(1, sizeof(*r) + n_words * sizeof(r->words[0]));

    if (r == NULL)
        return NULL;
    r->n_words = n_words;
    if (RAND_bytes((unsigned char *)&r->instance, sizeof(r->instance)) == 1)
        return r;
    ERR_clear_error();
    free(r);
    return NULL;
}

void ticket_register_free(struct ticket_register *r)
{
    free(r);
}

/* The first of a word's tickets clears it of the round before. */
static void begin_round(_Atomic uint64_t *word, uint32_t round)
{
    uint64_t now = atomic_load_explicit(word, memory_order_relaxed);

    while ((uint32_t)(now >> 32) < round &&
           !atomic_compare_exchange_weak_explicit(word, &now, (uint64_t)round << 32,
                                                  memory_order_relaxed, memory_order_relaxed)) {
    }
}

struct ticket_stamp ticket_register_issue(struct ticket_register *r)
{
    uint64_t serial = atomic_fetch_add_explicit(&r->next, 1, memory_order_relaxed);
    struct ticket_stamp stamp;

    begin_round(word_of(r, serial), round_of(r, serial));
    memcpy(stamp.bytes, &r->instance, sizeof(r->instance));
    memcpy(stamp.bytes + sizeof(r->instance), &serial, sizeof(serial));
    return stamp;
}

static enum ticket_take take(struct ticket_register *r, uint64_t serial)
{
    _Atomic uint64_t *word = word_of(r, serial);
    uint32_t round = round_of(r, serial);
    uint64_t bit = (uint64_t)1 << serial % BITS;
    uint64_t now = atomic_load_explicit(word, memory_order_relaxed);

    do {
        if ((uint32_t)(now >> 32) != round)
            return TICKET_FORGOTTEN;
        if ((now & bit) != 0)
            return TICKET_USED;
    } while (!atomic_compare_exchange_weak_explicit(word, &now, now | bit, memory_order_relaxed,
                                                    memory_order_relaxed));
    return TICKET_TAKEN;
}

enum ticket_take ticket_register_take(struct ticket_register *r, const void *stamp, size_t len)
{
    uint64_t words[2];

    _Static_assert(sizeof(words) == TICKET_STAMP_BYTES, "instance and serial");
    if (len != sizeof(words))
        return TICKET_FOREIGN;
    memcpy(words, stamp, sizeof(words));
    if (words[0] != r->instance || words[1] >= atomic_load_explicit(&r->next, memory_order_relaxed))
        return TICKET_FOREIGN;
    return take(r, words[1]);
}
