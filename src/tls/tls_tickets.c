#include "tls_tickets.h"

#include <sallyport/base/clock.h>
#include <sallyport/base/log.h>

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/rand.h>

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

/* A key seals for its ticket's life, half a day at most. With the longest life, 7 days, 15 keys are
 * in use. */
#define SEAL_MAX_MS ((int64_t)12 * 3600 * 1000)
#define RING_SLOTS  16U
#define NAME_BYTES  16 /* fixed by OpenSSL */
#define IV_BYTES    16
#define WIPED       (INT64_MIN / 2) /* made_ms of a slot that holds no key: nobody opens under zeroes */

union key {
    struct {
        uint8_t name[NAME_BYTES];
        uint8_t aes[32];
        uint8_t mac[32];
        int64_t made_ms;
    };
    uint64_t words[11];
};
_Static_assert(sizeof(union key) == 11 * sizeof(uint64_t), "a key is whole words");

struct slot {
    atomic_uint sequence; /* odd: being written */
    _Atomic uint64_t words[11];
};

struct tls_tickets {
    EVP_CIPHER *cipher; /* owned; fetched once, a fetch takes a lock of OpenSSL's */
    int64_t lifetime_ms, seal_ms;
    atomic_uint current;  /* slot that seals */
    atomic_bool rotating; /* one thread makes the next key, the others go on with this one */
    struct slot ring[RING_SLOTS];
};

/* Release stores of the words: who sees one of them sees the odd number too. */
static void slot_write(struct slot *s, const union key *key)
{
    unsigned sequence = atomic_load_explicit(&s->sequence, memory_order_relaxed);

    atomic_store_explicit(&s->sequence, sequence + 1, memory_order_relaxed);
    for (size_t i = 0; i < SP_COUNT_OF(s->words); i++)
        atomic_store_explicit(&s->words[i], key->words[i], memory_order_release);
    atomic_store_explicit(&s->sequence, sequence + 2, memory_order_release);
}

/* Acquire loads of the words: the sequence number is looked at again only after them. */
static bool slot_read(struct slot *s, union key *key)
{
    unsigned sequence = atomic_load_explicit(&s->sequence, memory_order_acquire);

    if (sequence == 0 || (sequence & 1) != 0)
        return false; /* never used, or changing */
    for (size_t i = 0; i < SP_COUNT_OF(s->words); i++)
        key->words[i] = atomic_load_explicit(&s->words[i], memory_order_acquire);
    return atomic_load_explicit(&s->sequence, memory_order_relaxed) == sequence &&
           key->made_ms != WIPED;
}

static bool expired(const struct tls_tickets *k, const union key *key, int64_t now_ms)
{
    return now_ms - key->made_ms > k->seal_ms + k->lifetime_ms;
}

static bool key_make(struct slot *s, int64_t now_ms)
{
    union key key;
    bool made = RAND_bytes(key.name, sizeof(key.name)) == 1 &&
                RAND_priv_bytes(key.aes, sizeof(key.aes)) == 1 &&
                RAND_priv_bytes(key.mac, sizeof(key.mac)) == 1;

    key.made_ms = now_ms;
    if (made)
        slot_write(s, &key);
    else
        ERR_clear_error();
    OPENSSL_cleanse(&key, sizeof(key));
    return made;
}

/* What no valid ticket needs any more is not kept. */
static void wipe_expired(struct tls_tickets *k, int64_t now_ms)
{
    static const union key nothing = {.made_ms = WIPED};
    union key key;

    for (unsigned i = 0; i < RING_SLOTS; i++) {
        if (slot_read(&k->ring[i], &key) && expired(k, &key, now_ms))
            slot_write(&k->ring[i], &nothing);
    }
    OPENSSL_cleanse(&key, sizeof(key));
}

/* True: there is a newer key than `current`. False: another thread is at it, or there are no random
 * bytes. */
static bool rotate(struct tls_tickets *k, unsigned current, int64_t now_ms)
{
    unsigned next = (current + 1) % RING_SLOTS;
    bool newer;

    if (atomic_exchange_explicit(&k->rotating, true, memory_order_acquire))
        return false;
    newer = atomic_load_explicit(&k->current, memory_order_relaxed) != current;
    if (!newer && key_make(&k->ring[next], now_ms)) {
        atomic_store_explicit(&k->current, next, memory_order_release);
        wipe_expired(k, now_ms);
        LOG_DEBUG(TLS, "ticket_key=rotated slot=%u", next);
        newer = true;
    }
    atomic_store_explicit(&k->rotating, false, memory_order_release);
    return newer;
}

struct tls_tickets *tls_tickets_new(uint32_t lifetime_s)
{
    struct tls_tickets *k = calloc(1, sizeof(*k));

    if (k == NULL)
        return NULL;
    k->lifetime_ms = (int64_t)lifetime_s * 1000;
    k->seal_ms = k->lifetime_ms < SEAL_MAX_MS ? k->lifetime_ms : SEAL_MAX_MS;
    k->cipher = EVP_CIPHER_fetch(NULL, "AES-256-CBC", NULL);
    if (k->cipher == NULL || !key_make(&k->ring[0], clock_mono_ms())) {
        tls_tickets_free(k);
        ERR_clear_error();
        return NULL;
    }
    return k;
}

void tls_tickets_free(struct tls_tickets *k)
{
    if (k == NULL)
        return;
    EVP_CIPHER_free(k->cipher);
    OPENSSL_cleanse(k, sizeof(*k));
    free(k);
}

/* Never without a key for want of a fresh one: a ticket under an old one is a ticket that will not
 * be opened, no more. */
static bool key_for_sealing(struct tls_tickets *k, union key *key)
{
    int64_t now_ms = clock_mono_ms();

    for (int attempt = 0; attempt < 3; attempt++) {
        unsigned current = atomic_load_explicit(&k->current, memory_order_acquire);

        if (!slot_read(&k->ring[current], key))
            continue; /* the ring went all round while we looked */
        if (now_ms - key->made_ms < k->seal_ms || !rotate(k, current, now_ms))
            return true;
    }
    return slot_read(&k->ring[atomic_load_explicit(&k->current, memory_order_acquire)], key);
}

/* A ticket's key by name; *sealing: it is the one that seals now. */
static bool key_for_opening(struct tls_tickets *k, const unsigned char *name, union key *key,
                            bool *sealing)
{
    int64_t now_ms = clock_mono_ms();

    for (unsigned i = 0; i < RING_SLOTS; i++) {
        if (!slot_read(&k->ring[i], key) || memcmp(key->name, name, NAME_BYTES) != 0)
            continue;
        *sealing = i == atomic_load_explicit(&k->current, memory_order_relaxed);
        return !expired(k, key, now_ms);
    }
    return false;
}

static bool set_keys(const struct tls_tickets *k, union key *key, const struct tls_ticket_job *job)
{
    static char digest[] = "SHA256";
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, key->mac, sizeof(key->mac)),
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
        OSSL_PARAM_construct_end(),
    };

    return EVP_CipherInit_ex(job->cipher, k->cipher, NULL, key->aes, job->iv, job->seal) == 1 &&
           EVP_MAC_CTX_set_params(job->mac, params) == 1;
}

static int seal_key(struct tls_tickets *k, union key *key, const struct tls_ticket_job *job)
{
    if (!key_for_sealing(k, key) || RAND_bytes(job->iv, IV_BYTES) != 1)
        return -1;
    memcpy(job->name, key->name, NAME_BYTES);
    return set_keys(k, key, job) ? 1 : -1;
}

static int open_key(struct tls_tickets *k, union key *key, const struct tls_ticket_job *job)
{
    bool sealing;

    if (!key_for_opening(k, job->name, key, &sealing))
        return 0;
    if (!set_keys(k, key, job))
        return -1;
    return sealing && !job->serves_once ? 1 : 2;
}

int tls_tickets_key(struct tls_tickets *k, const struct tls_ticket_job *job)
{
    union key key;
    int rc = job->seal ? seal_key(k, &key, job) : open_key(k, &key, job);

    OPENSSL_cleanse(&key, sizeof(key));
    return rc;
}
