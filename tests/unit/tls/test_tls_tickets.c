#include "tls_tickets.h"
#include "unit_test.h"

#include <sallyport/base/clock.h>

#include <openssl/core_names.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>

#define HOUR_MS ((int64_t)3600 * 1000)
#define WEEK_MS (168 * HOUR_MS)

static _Atomic int64_t now_ms;

static int64_t fake_mono_ns(void)
{
    return now_ms * 1000000;
}

static int64_t fake_wall_ms(void)
{
    return now_ms;
}

static int setup(void **state)
{
    static const struct clock_source fake = {.mono_ns = fake_mono_ns, .wall_ms = fake_wall_ms};

    (void)state;
    now_ms = 1000; /* just booted: the clock is younger than any ticket's life */
    clock_set_for_test(&fake);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    clock_set_for_test(NULL);
    return 0;
}

/* With random keys of its own. */
static struct tls_tickets *tickets_new(uint32_t lifetime_s)
{
    struct ticket_keys *keys = ticket_keys_new_own(lifetime_s);
    struct tls_tickets *t;

    assert_non_null(keys);
    t = tls_tickets_new(keys);
    ticket_keys_unref(keys);
    assert_non_null(t);
    return t;
}

struct ticket {
    unsigned char name[16], iv[16], sealed[64], tag[32];
    int sealed_len;
};

struct contexts {
    EVP_CIPHER_CTX *cipher;
    EVP_MAC_CTX *mac;
};

static struct contexts contexts_new(void)
{
    EVP_MAC *hmac = EVP_MAC_fetch(NULL, "HMAC", NULL);
    struct contexts c = {EVP_CIPHER_CTX_new(), EVP_MAC_CTX_new(hmac)};

    EVP_MAC_free(hmac);
    return c;
}

static void contexts_free(struct contexts *c)
{
    EVP_CIPHER_CTX_free(c->cipher);
    EVP_MAC_CTX_free(c->mac);
}

static void mac_of(struct contexts *c, const struct ticket *t, unsigned char *tag)
{
    size_t len;

    assert_int_equal(EVP_MAC_init(c->mac, NULL, 0, NULL), 1);
    assert_int_equal(EVP_MAC_update(c->mac, t->sealed, (size_t)t->sealed_len), 1);
    assert_int_equal(EVP_MAC_final(c->mac, tag, &len, 32), 1);
}

/* As OpenSSL does with what it is given. */
static struct ticket seal(struct tls_tickets *k)
{
    struct contexts c = contexts_new();
    struct ticket t = {0};
    struct tls_ticket_job job = {t.name, t.iv, c.cipher, c.mac, .seal = true};
    int n;

    assert_int_equal(tls_tickets_key(k, &job), 1);
    assert_int_equal(EVP_EncryptUpdate(c.cipher, t.sealed, &n, (const unsigned char *)"session", 7),
                     1);
    assert_int_equal(EVP_EncryptFinal_ex(c.cipher, t.sealed + n, &t.sealed_len), 1);
    t.sealed_len += n;
    mac_of(&c, &t, t.tag);
    contexts_free(&c);
    return t;
}

static int open_ticket(struct tls_tickets *k, struct ticket t, bool serves_once)
{
    struct contexts c = contexts_new();
    struct tls_ticket_job job = {t.name, t.iv, c.cipher, c.mac, .serves_once = serves_once};
    unsigned char tag[32], plain[64];
    int rc = tls_tickets_key(k, &job), n, rest;

    if (rc > 0) {
        mac_of(&c, &t, tag);
        assert_memory_equal(tag, t.tag, 32);
        assert_int_equal(EVP_DecryptUpdate(c.cipher, plain, &n, t.sealed, t.sealed_len), 1);
        assert_int_equal(EVP_DecryptFinal_ex(c.cipher, plain + n, &rest), 1);
        assert_int_equal(n + rest, 7);
        assert_memory_equal(plain, "session", 7);
    }
    contexts_free(&c);
    return rc;
}

static void opens_what_it_sealed(void **state)
{
    struct tls_tickets *k = tickets_new(3600);
    struct ticket t = seal(k);

    (void)state;
    assert_int_equal(open_ticket(k, t, false), 1);
    assert_int_equal(open_ticket(k, t, true), 2); /* a fresh one for the next time */
    tls_tickets_free(k);
}

static void a_ticket_of_strangers_is_not_opened(void **state)
{
    struct tls_tickets *k = tickets_new(3600), *other = tickets_new(3600);
    struct ticket t = seal(other), zeroes = {0};

    (void)state;
    assert_int_equal(open_ticket(k, t, false), 0);
    assert_int_equal(open_ticket(k, zeroes, false), 0);
    tls_tickets_free(k);
    tls_tickets_free(other);
}

static void a_ticket_survives_the_change_of_keys_and_not_its_own_life(void **state)
{
    struct tls_tickets *k = tickets_new(3600);
    struct ticket first = seal(k), second;

    (void)state;
    now_ms += HOUR_MS - 1;
    assert_memory_equal(seal(k).name, first.name, 16); /* the key seals for an hour */
    now_ms += 2;
    second = seal(k);
    assert_memory_not_equal(second.name, first.name, 16);
    assert_int_equal(open_ticket(k, first, false), 2); /* renewed under the new key */
    assert_int_equal(open_ticket(k, second, false), 1);
    now_ms += HOUR_MS;
    assert_int_equal(open_ticket(k, first, false), 0);
    assert_int_equal(open_ticket(k, second, false), 2); /* and its key seals no more */
    tls_tickets_free(k);
}

/* The longest life needs the most keys at once, and still none is overwritten while it is needed.
 */
static void a_week_of_tickets_stays_valid_for_a_week(void **state)
{
    enum { N = 40 };
    struct tls_tickets *k = tickets_new(7 * 24 * 3600);
    struct ticket tickets[N];
    int64_t made_ms[N];

    (void)state;
    for (int i = 0; i < N; i++) {
        tickets[i] = seal(k);
        made_ms[i] = now_ms;
        now_ms += 6 * HOUR_MS + 1;
        for (int j = 0; j <= i; j++)
            if (now_ms - made_ms[j] < WEEK_MS)
                assert_int_not_equal(open_ticket(k, tickets[j], false), 0);
    }
    assert_int_equal(open_ticket(k, tickets[0], false), 0);
    tls_tickets_free(k);
}

/* A wiped slot is no key of zeroes: right after boot its date would not save it. */
static void nobody_opens_under_a_wiped_key(void **state)
{
    struct tls_tickets *k = tickets_new(3600);
    struct ticket zeroes = {0};

    (void)state;
    (void)seal(k);
    now_ms += 3 * HOUR_MS;
    (void)seal(k); /* rotates and wipes the first */
    now_ms = 2000;
    assert_int_equal(open_ticket(k, zeroes, false), 0);
    tls_tickets_free(k);
}

/* What was sealed under keys that were taken away is not opened; what is sealed now has the new
 * ones. */
static void other_keys_take_over(void **state)
{
    struct tls_tickets *k = tickets_new(3600);
    struct ticket_keys *keys = ticket_keys_new_own(3600);
    struct ticket before = seal(k), after;

    (void)state;
    tls_tickets_set_keys(k, keys);
    ticket_keys_unref(keys);
    after = seal(k);
    assert_int_equal(open_ticket(k, before, false), 0);
    assert_int_equal(open_ticket(k, after, false), 1);
    tls_tickets_free(k);
}

static atomic_bool stop;

static void *seal_and_open(void *arg)
{
    while (!atomic_load(&stop)) {
        struct ticket t = seal(arg);

        (void)open_ticket(arg, t, false); /* what it opens is right: see open_ticket */
    }
    return NULL;
}

static void threads_seal_while_keys_change(void **state)
{
    struct tls_tickets *k = tickets_new(60);
    pthread_t threads[2];

    (void)state;
    atomic_store(&stop, false);
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, seal_and_open, k), 0);
    for (int i = 0; i < 200; i++) {
        now_ms += 61000;
        (void)seal(k);
        if (i % 20 == 0) {
            struct ticket_keys *keys = ticket_keys_new_own(60);

            tls_tickets_set_keys(k, keys);
            ticket_keys_unref(keys);
        }
    }
    atomic_store(&stop, true);
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    tls_tickets_free(k);
}

int main(void)
{
#define WITH_CLOCK(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        WITH_CLOCK(opens_what_it_sealed),
        WITH_CLOCK(a_ticket_of_strangers_is_not_opened),
        WITH_CLOCK(a_ticket_survives_the_change_of_keys_and_not_its_own_life),
        WITH_CLOCK(a_week_of_tickets_stays_valid_for_a_week),
        WITH_CLOCK(nobody_opens_under_a_wiped_key),
        WITH_CLOCK(other_keys_take_over),
        WITH_CLOCK(threads_seal_while_keys_change),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
