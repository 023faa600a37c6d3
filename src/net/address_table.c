#include "address_table.h"

#include <sallyport/base/compiler.h>

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#define SLOTS  (1U << 17) /* 1 MiB of words */
#define PROBES 16

enum sp_err address_table_init(struct address_table *t, unsigned value_bits)
{
    t->value_bits = value_bits;
    if (getrandom(t->key, sizeof(t->key), 0) != (ssize_t)sizeof(t->key))
        return SP_SYSCALL;
    t->slots = calloc(SLOTS, sizeof(*t->slots));
    return t->slots == NULL ? SP_NOMEM : SP_OK;
}

void address_table_fini(struct address_table *t)
{
    free(t->slots);
    t->slots = NULL;
}

bool address_table_knows(const union ip_endpoint *peer)
{
    return peer->sa.sa_family == AF_INET || peer->sa.sa_family == AF_INET6;
}

static uint64_t mix(uint64_t h, uint64_t word)
{
    h = (h ^ word) * UINT64_C(0x9E3779B97F4A7C15);
    return h ^ h >> 29;
}

/* Keyed, so that a client cannot choose addresses that meet in the table. */
static uint64_t hash_of(const struct address_table *t, const union ip_endpoint *peer)
{
    uint64_t words[2] = {0, 0};

    if (peer->sa.sa_family == AF_INET) {
        words[0] = peer->in.sin_addr.s_addr;
    } else if (IN6_IS_ADDR_V4MAPPED(&peer->in6.sin6_addr)) {
        uint32_t v4;

        memcpy(&v4, &peer->in6.sin6_addr.s6_addr[12], sizeof(v4));
        words[0] = v4;
    } else {
        memcpy(&words[0], &peer->in6.sin6_addr, 8);
        words[1] = 6;
    }
    return mix(mix(mix(mix(t->key[0], words[0]), words[1]), t->key[1]), t->key[0]);
}

/* One change that is tried. */
struct attempt {
    const struct address_table_ops *ops;
    const void *arg;
    uint64_t tag; /* never 0 */
    unsigned value_bits;
};

static uint64_t value_of(const struct attempt *a, uint64_t word)
{
    return word & ((UINT64_C(1) << a->value_bits) - 1);
}

/* Is the word at a place this address's (take_free: or may it become so)? */
static bool fits(const struct attempt *a, uint64_t word, bool take_free)
{
    bool over = a->ops->is_over(value_of(a, word), a->arg);

    return take_free ? over || word >> a->value_bits == a->tag
                     : !over && word >> a->value_bits == a->tag;
}

/* SP_NOT_FOUND: the place is another's. */
static enum sp_err change_slot(struct address_slot *slot, const struct attempt *a, bool take_free)
{
    uint64_t word = atomic_load_explicit(&slot->word, memory_order_relaxed);

    while (fits(a, word, take_free)) {
        uint64_t value = word >> a->value_bits == a->tag ? value_of(a, word) : 0;

        if (!a->ops->change(&value, a->arg))
            return SP_THROTTLED;
        if (atomic_compare_exchange_weak_explicit(&slot->word, &word,
                                                  a->tag << a->value_bits | value,
                                                  memory_order_relaxed, memory_order_relaxed))
            return SP_OK;
    }
    return SP_NOT_FOUND;
}

static enum sp_err change_among(struct address_table *t, uint64_t hash, const struct attempt *a,
                                bool take_free)
{
    enum sp_err err = SP_NOT_FOUND;

    for (unsigned probe = 0; probe < PROBES && err == SP_NOT_FOUND; probe++)
        err = change_slot(&t->slots[(hash + probe) % SLOTS], a, take_free);
    return err;
}

static struct attempt attempt_of(const struct address_table *t, uint64_t hash,
                                 const struct address_table_ops *ops, const void *arg)
{
    uint64_t tag = hash >> t->value_bits;

    return (struct attempt){ops, arg, tag == 0 ? 1 : tag, t->value_bits};
}

/* The address is looked for everywhere before a free place is taken: one in front of it may have
 * become free meanwhile. */
enum sp_err address_table_change(struct address_table *t, const union ip_endpoint *peer,
                                 const struct address_table_ops *ops, const void *arg)
{
    uint64_t hash = hash_of(t, peer);
    const struct attempt a = attempt_of(t, hash, ops, arg);
    enum sp_err err = change_among(t, hash, &a, false);

    if (err == SP_NOT_FOUND)
        err = change_among(t, hash, &a, true);
    return err == SP_THROTTLED ? err : SP_OK;
}

void address_table_change_known(struct address_table *t, const union ip_endpoint *peer,
                                const struct address_table_ops *ops, const void *arg)
{
    uint64_t hash = hash_of(t, peer);
    const struct attempt a = attempt_of(t, hash, ops, arg);

    (void)change_among(t, hash, &a, false);
}

/* ---- Counts ---- */

#define COUNT_MAX ((UINT64_C(1) << ADDRESS_COUNT_BITS) - 1)

static bool none(uint64_t count, const void *arg)
{
    (void)arg;
    return count == 0;
}

static bool one_more(uint64_t *count, const void *arg)
{
    uint32_t max = *(const uint32_t *)arg;

    if ((max != 0 && *count >= max) || *count == COUNT_MAX)
        return false;
    (*count)++;
    return true;
}

static bool one_less(uint64_t *count, const void *arg)
{
    (void)arg;
    (*count)--;
    return true;
}

enum sp_err address_table_take(struct address_table *t, const union ip_endpoint *peer, uint32_t max)
{
    static const struct address_table_ops take = {none, one_more};

    return address_table_change(t, peer, &take, &max);
}

void address_table_give_back(struct address_table *t, const union ip_endpoint *peer)
{
    static const struct address_table_ops give_back = {none, one_less};

    address_table_change_known(t, peer, &give_back, NULL);
}
