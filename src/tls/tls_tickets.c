#include "tls_tickets.h"

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/rand.h>

#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define IV_BYTES 16

struct tls_tickets {
    EVP_CIPHER *cipher;  /* owned; fetched once, a fetch takes a lock of OpenSSL's */
    atomic_uint readers; /* threads that are between looking at `keys` and holding them */
    _Atomic(struct ticket_keys *) keys; /* owned reference */
};

struct tls_tickets *tls_tickets_new(struct ticket_keys *keys)
{
    struct tls_tickets *t = calloc(1, sizeof(*t));

    if (t == NULL)
        return NULL;
    t->cipher = EVP_CIPHER_fetch(NULL, "AES-256-CBC", NULL);
    if (t->cipher == NULL) {
        ERR_clear_error();
        free(t);
        return NULL;
    }
    atomic_init(&t->keys, ticket_keys_ref(keys));
    return t;
}

void tls_tickets_free(struct tls_tickets *t)
{
    if (t == NULL)
        return;
    ticket_keys_unref(atomic_load_explicit(&t->keys, memory_order_relaxed));
    EVP_CIPHER_free(t->cipher);
    free(t);
}

/* As ssl_port_store(): a reader announces itself, looks, takes its reference and leaves; the writer
 * waits for readers. All of it sequentially consistent. */
static struct ticket_keys *keys_of(struct tls_tickets *t)
{
    struct ticket_keys *keys;

    atomic_fetch_add(&t->readers, 1);
    keys = ticket_keys_ref(atomic_load(&t->keys));
    atomic_fetch_sub(&t->readers, 1);
    return keys;
}

void tls_tickets_set_keys(struct tls_tickets *t, struct ticket_keys *keys)
{
    struct ticket_keys *old = atomic_exchange(&t->keys, ticket_keys_ref(keys));

    while (atomic_load(&t->readers) != 0)
        (void)sched_yield();
    ticket_keys_unref(old);
}

static bool set_key(const struct tls_tickets *t, union ticket_key *key,
                    const struct tls_ticket_job *job)
{
    static char digest[] = "SHA256";
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, key->mac, sizeof(key->mac)),
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
        OSSL_PARAM_construct_end(),
    };

    return EVP_CipherInit_ex(job->cipher, t->cipher, NULL, key->aes, job->iv, job->seal) == 1 &&
           EVP_MAC_CTX_set_params(job->mac, params) == 1;
}

static int seal(const struct tls_tickets *t, struct ticket_keys *keys, union ticket_key *key,
                const struct tls_ticket_job *job)
{
    if (!ticket_keys_seal(keys, key) || RAND_bytes(job->iv, IV_BYTES) != 1)
        return -1;
    memcpy(job->name, key->name, TICKET_NAME_BYTES);
    return set_key(t, key, job) ? 1 : -1;
}

static int open_sealed(const struct tls_tickets *t, struct ticket_keys *keys, union ticket_key *key,
                       struct tls_ticket_job *job)
{
    job->use = ticket_keys_open(keys, job->name, key);
    if (job->use < TICKET_OLD)
        return 0;
    if (!set_key(t, key, job))
        return -1;
    return job->use == TICKET_CURRENT && !job->serves_once ? 1 : 2;
}

int tls_tickets_key(struct tls_tickets *t, struct tls_ticket_job *job)
{
    struct ticket_keys *keys = keys_of(t);
    union ticket_key key;
    int rc = job->seal ? seal(t, keys, &key, job) : open_sealed(t, keys, &key, job);

    OPENSSL_cleanse(&key, sizeof(key));
    ticket_keys_unref(keys);
    return rc;
}
