/* One ring of keys, and three ways in which its next key comes about. */
#include "ticket_keys_internal.h"
#include "ticket_secret.h"

#include <sallyport/base/clock.h>
#include <sallyport/base/log.h>

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/rand.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A key of our own seals for its ticket's life, half a day at most. With the longest life, 7 days,
 * 15 are in use. */
#define SEAL_MAX_MS ((int64_t)12 * 3600 * 1000)

struct ticket_source {
    const char *kind;
    /* Should another key than this one seal? */
    bool (*is_due)(const struct ticket_keys *k, const union ticket_key *sealing);
    /* Makes it, and it is `current`. False: out of memory or of random bytes, and nothing has
     * changed. One thread at a time. */
    bool (*renew)(struct ticket_keys *k, unsigned current);
    bool (*has_expired)(const struct ticket_keys *k, const union ticket_key *key);
};

struct ticket_keys {
    atomic_uint refs;
    const struct ticket_source *source;
    int64_t lifetime_ms, seal_ms;
    struct ticket_secret secret; /* of derived ones */
    atomic_uint current;         /* slot that seals */
    atomic_bool renewing;        /* one thread makes the next key, the others go on with this one */
    struct ticket_ring ring;
};

static struct ticket_keys *keys_new(const struct ticket_source *source, uint32_t lifetime_s)
{
    struct ticket_keys *k = calloc(1, sizeof(*k));

    if (k == NULL)
        return NULL;
    atomic_init(&k->refs, 1);
    k->source = source;
    k->lifetime_ms = (int64_t)lifetime_s * 1000;
    k->seal_ms = k->lifetime_ms < SEAL_MAX_MS ? k->lifetime_ms : SEAL_MAX_MS;
    return k;
}

struct ticket_keys *ticket_keys_ref(struct ticket_keys *k)
{
    atomic_fetch_add_explicit(&k->refs, 1, memory_order_relaxed);
    return k;
}

void ticket_keys_unref(struct ticket_keys *k)
{
    if (k == NULL || atomic_fetch_sub_explicit(&k->refs, 1, memory_order_acq_rel) != 1)
        return;
    ticket_secret_fini(&k->secret);
    OPENSSL_cleanse(k, sizeof(*k));
    free(k);
}

/* ---- Our own: random, stamped with the monotonic time when they were made ---- */

static bool own_is_due(const struct ticket_keys *k, const union ticket_key *sealing)
{
    return clock_mono_ms() - sealing->stamp >= k->seal_ms;
}

static bool own_has_expired(const struct ticket_keys *k, const union ticket_key *key)
{
    return clock_mono_ms() - key->stamp > k->seal_ms + k->lifetime_ms;
}

static bool own_make(struct ticket_keys *k, unsigned slot)
{
    union ticket_key key;
    bool made = RAND_bytes(key.name, sizeof(key.name)) == 1 &&
                RAND_priv_bytes(key.aes, sizeof(key.aes)) == 1 &&
                RAND_priv_bytes(key.mac, sizeof(key.mac)) == 1;

    key.stamp = clock_mono_ms();
    if (made)
        ticket_ring_put(&k->ring, slot, &key);
    else
        ERR_clear_error();
    OPENSSL_cleanse(&key, sizeof(key));
    return made;
}

/* What no valid ticket needs any more is not kept. */
static void own_wipe_expired(struct ticket_keys *k)
{
    union ticket_key key;

    for (unsigned i = 0; i < TICKET_RING_SLOTS; i++) {
        if (ticket_ring_get(&k->ring, i, &key) && own_has_expired(k, &key))
            ticket_ring_wipe(&k->ring, i);
    }
    OPENSSL_cleanse(&key, sizeof(key));
}

static bool own_renew(struct ticket_keys *k, unsigned current)
{
    unsigned next = (current + 1) % TICKET_RING_SLOTS;

    if (!own_make(k, next))
        return false;
    atomic_store_explicit(&k->current, next, memory_order_release);
    own_wipe_expired(k);
    return true;
}

static const struct ticket_source own_source = {"random", own_is_due, own_renew, own_has_expired};

struct ticket_keys *ticket_keys_new_own(uint32_t lifetime_s)
{
    struct ticket_keys *k = keys_new(&own_source, lifetime_s);

    if (k == NULL || own_make(k, 0))
        return k;
    ticket_keys_unref(k);
    return NULL;
}

/* ---- Derived: stamped with their number, which is the time in periods ---- */

static int64_t number_now(void)
{
    return clock_wall_ms() / TICKET_PERIOD_MS;
}

static unsigned slot_of(int64_t number)
{
    return (unsigned)((uint64_t)number % TICKET_RING_SLOTS);
}

/* Those open that any valid ticket can have, given that no two clocks differ by more than a period:
 * 17 with the longest life. */
static bool is_in_use(const struct ticket_keys *k, int64_t number, int64_t now)
{
    int64_t back = (k->lifetime_ms + TICKET_PERIOD_MS - 1) / TICKET_PERIOD_MS + 1;

    return number >= now - back && number <= now + 1;
}

static bool derived_is_due(const struct ticket_keys *k, const union ticket_key *sealing)
{
    (void)k;
    return sealing->stamp != number_now();
}

static bool derived_has_expired(const struct ticket_keys *k, const union ticket_key *key)
{
    return !is_in_use(k, key->stamp, number_now());
}

/* The numbers that the slots have around `now`. */
static int64_t number_of(unsigned slot, int64_t now)
{
    return now + 1 - (int64_t)((slot_of(now + 1) - slot) % TICKET_RING_SLOTS);
}

/* Those that are there already are taken as they are. */
static bool derive(struct ticket_keys *k, unsigned slot, int64_t now, union ticket_key *key)
{
    int64_t number = number_of(slot, now);

    if (!is_in_use(k, number, now))
        return true;
    return (ticket_ring_get(&k->ring, slot, key) && key->stamp == number) ||
           ticket_secret_key(&k->secret, number, key);
}

/* The one that seals first: nobody shall find the old one gone. */
static void take_derived(struct ticket_keys *k, int64_t now, const union ticket_key *keys)
{
    unsigned seals = slot_of(now);

    ticket_ring_put(&k->ring, seals, &keys[seals]);
    atomic_store_explicit(&k->current, seals, memory_order_release);
    for (unsigned i = 0; i < TICKET_RING_SLOTS; i++) {
        if (!is_in_use(k, number_of(i, now), now))
            ticket_ring_wipe(&k->ring, i);
        else if (i != seals)
            ticket_ring_put(&k->ring, i, &keys[i]);
    }
}

/* All of them or none. */
static bool derived_renew(struct ticket_keys *k, unsigned current)
{
    union ticket_key keys[TICKET_RING_SLOTS];
    int64_t now = number_now();
    bool ok = true;

    (void)current;
    for (unsigned i = 0; ok && i < TICKET_RING_SLOTS; i++)
        ok = derive(k, i, now, &keys[i]);
    if (ok)
        take_derived(k, now, keys);
    OPENSSL_cleanse(keys, sizeof(keys));
    return ok;
}

static const struct ticket_source derived_source = {"derived", derived_is_due, derived_renew,
                                                    derived_has_expired};

struct ticket_keys *ticket_keys_new_derived(struct view secret, struct view label,
                                            uint32_t lifetime_s)
{
    struct ticket_keys *k = keys_new(&derived_source, lifetime_s);

    if (k == NULL || (ticket_secret_init(&k->secret, secret, label) && derived_renew(k, 0)))
        return k;
    ticket_keys_unref(k);
    return NULL;
}

/* ---- Listed in a file: replaced by whoever writes it ---- */

static bool never(const struct ticket_keys *k, const union ticket_key *key)
{
    (void)k;
    (void)key;
    return false;
}

static bool no_renewal(struct ticket_keys *k, unsigned current)
{
    (void)k;
    (void)current;
    return false;
}

static const struct ticket_source listed_source = {"listed", never, no_renewal, never};

struct ticket_keys *ticket_keys_new_listed(const struct ticket_key_list *list)
{
    struct ticket_keys *k = keys_new(&listed_source, 0);

    if (k == NULL)
        return NULL;
    for (unsigned i = 0; i < list->n; i++)
        ticket_ring_put(&k->ring, i, &list->keys[i]);
    return k;
}

/* ---- Sealing and opening ---- */

/* True: there is another key than `seen` in `current`. False: another thread is at it, or it failed
 * for want of memory or random bytes. */
static bool renew(struct ticket_keys *k, unsigned current, const union ticket_key *seen)
{
    union ticket_key key;
    bool renewed;

    if (atomic_exchange_explicit(&k->renewing, true, memory_order_acquire))
        return false;
    renewed = atomic_load_explicit(&k->current, memory_order_relaxed) != current ||
              !ticket_ring_get(&k->ring, current, &key) || key.stamp != seen->stamp ||
              k->source->renew(k, current);
    atomic_store_explicit(&k->renewing, false, memory_order_release);
    OPENSSL_cleanse(&key, sizeof(key));
    return renewed;
}

/* Never without a key for want of a fresh one: a ticket under an old one is a ticket that will not
 * be opened, no more. */
bool ticket_keys_seal(struct ticket_keys *k, union ticket_key *key)
{
    for (int attempt = 0; attempt < 3; attempt++) {
        unsigned current = atomic_load_explicit(&k->current, memory_order_acquire);

        if (!ticket_ring_get(&k->ring, current, key))
            continue; /* it changed while we looked */
        if (!k->source->is_due(k, key) || !renew(k, current, key))
            return true;
    }
    return ticket_ring_get(&k->ring, atomic_load_explicit(&k->current, memory_order_acquire), key);
}

static enum ticket_use look_up(struct ticket_keys *k, const uint8_t *name, union ticket_key *key)
{
    for (unsigned i = 0; i < TICKET_RING_SLOTS; i++) {
        if (!ticket_ring_get(&k->ring, i, key) || memcmp(key->name, name, TICKET_NAME_BYTES) != 0)
            continue;
        if (k->source->has_expired(k, key))
            return TICKET_EXPIRED;
        if (i != atomic_load_explicit(&k->current, memory_order_relaxed) ||
            k->source->is_due(k, key))
            return TICKET_OLD;
        return TICKET_CURRENT;
    }
    return TICKET_UNKNOWN;
}

/* A ticket of another machine may come before this one has sealed any in its period: the keys are
 * brought up to date, and looked at again. */
enum ticket_use ticket_keys_open(struct ticket_keys *k, const uint8_t name[TICKET_NAME_BYTES],
                                 union ticket_key *key)
{
    enum ticket_use use = look_up(k, name, key);

    if (use != TICKET_UNKNOWN || !ticket_keys_seal(k, key))
        return use;
    return look_up(k, name, key);
}

const char *ticket_keys_text(struct ticket_keys *k, char dst[TICKET_KEYS_TEXT_MAX])
{
    union ticket_key key = {.name = {0}};

    if (!ticket_keys_seal(k, &key))
        LOG_DEBUG(TLS, "ticket_keys=%s are changing", k->source->kind);
    (void)snprintf(dst, TICKET_KEYS_TEXT_MAX, "%s seals=%02x%02x%02x%02x", k->source->kind,
                   key.name[0], key.name[1], key.name[2], key.name[3]);
    OPENSSL_cleanse(&key, sizeof(key));
    return dst;
}
