/* The ring of failed handshakes by itself, and what a real one leaves in it. */
#include "handshake_log_internal.h"
#include "tls_pair.h"

#include <sallyport/tls/client_hello.h>

#include <pthread.h>
#include <stdlib.h>

static void add(uint64_t vc_id, const char *hello)
{
    const struct handshake_failure f = {.vc_id = vc_id, .err = SP_TLS_ALERT};
    char records[128] = "\x16\x03\x01\0";
    size_t len = strlen(hello);

    records[4] = (char)len;
    memcpy(records + 5, hello, len);
    handshake_log_add(&f, kept_hello_new((struct view){records, 5 + len}));
}

static void failures_come_out_in_their_order(void **state)
{
    uint64_t before = handshake_log_last();
    struct handshake_failure f;

    (void)state;
    add(100, "hello");
    add(101, "");
    assert_int_equal(handshake_log_last(), before + 2);
    assert_true(handshake_log_next(before, &f));
    assert_int_equal(f.number, before + 1);
    assert_int_equal(f.vc_id, 100);
    assert_int_equal(f.hello_len, 5);
    assert_memory_equal(f.hello, "hello", 5);
    assert_true(handshake_log_next(f.number, &f));
    assert_int_equal(f.vc_id, 101);
    assert_int_equal(f.hello_len, 0);
    assert_false(handshake_log_next(f.number, &f));
}

static void the_last_thousand_are_kept(void **state)
{
    uint64_t before = handshake_log_last(), n = 0;
    struct handshake_failure f = {.number = before};

    (void)state;
    for (unsigned i = 0; i < HANDSHAKE_LOG_ENTRIES + 10; i++)
        add(i, "x");
    while (handshake_log_next(f.number, &f)) {
        assert_int_equal(f.vc_id, n + 10);
        n++;
    }
    assert_int_equal(n, HANDSHAKE_LOG_ENTRIES);
}

static void a_hello_in_several_records_is_one_message(void **state)
{
    struct kept_hello *hello = kept_hello_new(VIEW("\x16\x03\x01\0\x03"
                                                   "abc"
                                                   "\x16\x03\x01\0\x02"
                                                   "de"
                                                   "\x16\x03\x01\0\x09"
                                                   "f"));

    (void)state;
    assert_non_null(hello);
    assert_int_equal(hello->len, 6);
    assert_memory_equal(hello->bytes, "abcdef", 6);
    free(hello);
}

static void of_a_long_hello_the_beginning_is_kept(void **state)
{
    static char records[5 + 9000] = "\x16\x03\x01\x23\x28";
    struct kept_hello *hello = kept_hello_new((struct view){records, sizeof(records)});

    (void)state;
    assert_non_null(hello);
    assert_int_equal(hello->len, HANDSHAKE_LOG_HELLO_BYTES);
    free(hello);
    assert_null(kept_hello_new(VIEW("\x16\x03")));
    assert_null(kept_hello_new((struct view){NULL, 0}));
}

/* ---- Threads ---- */

static atomic_bool stop;

static void *writes(void *arg)
{
    (void)arg;
    for (unsigned i = 0; i < 20000; i++)
        add(i, "hello");
    return NULL;
}

static void *reads(void *arg)
{
    struct handshake_failure f = {0};

    while (!atomic_load(&stop)) {
        uint64_t last = f.number;

        if (handshake_log_next(last, &f) && (f.number <= last || f.hello_len != 5))
            return arg; /* out of order, or half of one and half of another */
    }
    return NULL;
}

static void threads_do_not_disturb_each_other(void **state)
{
    pthread_t writers[3], reader;
    void *failed;
    uint64_t before = handshake_log_last();

    for (unsigned i = 0; i < HANDSHAKE_LOG_ENTRIES; i++)
        add(i, "hello");
    atomic_store(&stop, false);
    assert_int_equal(pthread_create(&reader, NULL, reads, state), 0);
    for (size_t i = 0; i < SP_COUNT_OF(writers); i++)
        assert_int_equal(pthread_create(&writers[i], NULL, writes, NULL), 0);
    for (size_t i = 0; i < SP_COUNT_OF(writers); i++)
        (void)pthread_join(writers[i], NULL);
    atomic_store(&stop, true);
    (void)pthread_join(reader, &failed);
    assert_null(failed);
    assert_int_equal(handshake_log_last() - before, HANDSHAKE_LOG_ENTRIES + 3 * 20000);
}

/* ---- Handshakes ---- */

static void a_handshake_that_fails_is_kept_with_what_was_offered(void **state)
{
    struct tls_bed *bed = *state;
    uint64_t before = handshake_log_last();
    struct handshake_failure f;
    struct client_hello h;
    struct view protocol;
    struct tls_pair pair;
    char ja4[CLIENT_HELLO_JA4_BYTES];

    pair_init(&pair, bed);
    client_asks_for(pair.client, "shop.example");
    assert_int_equal(SSL_set_alpn_protos(pair.client, (const unsigned char *)"\x06spdy/3", 7), 0);
    assert_false(pair_handshake(&pair));
    assert_true(handshake_log_next(before, &f));
    assert_int_equal(f.vc_id, pair.vc->id);
    assert_int_equal(f.err, SP_TLS_ALPN);
    assert_int_equal(f.alert_sent, 120);
    assert_int_equal(f.alert_received, -1);
    assert_string_equal(f.port, "test");
    assert_true(client_hello_parse((struct view){(const char *)f.hello, f.hello_len}, &h));
    assert_true(view_eq(h.sni, VIEW("shop.example")));
    assert_true(client_hello_protocol(&h.alpn, &protocol) && view_eq(protocol, VIEW("spdy/3")));
    client_hello_ja4(&h, ja4);
    assert_memory_equal(ja4, "t13d", 4);
    pair_fini(&pair);
}

static void one_that_the_client_gives_up_later_is_kept_too(void **state)
{
    struct tls_bed *bed = *state;
    uint64_t before = handshake_log_last();
    struct handshake_failure f;
    struct client_hello h;
    struct tls_pair pair;

    pair_init(&pair, bed);
    client_asks_for(pair.client, "shop.example");
    SSL_set_verify(pair.client, SSL_VERIFY_PEER, NULL); /* nobody is trusted */
    assert_false(pair_handshake(&pair));
    (void)pair_advance(&pair);
    assert_true(handshake_log_next(before, &f));
    assert_int_equal(f.err, SP_TLS_ALERT);
    assert_int_equal(f.alert_received, 48);
    assert_true(client_hello_parse((struct view){(const char *)f.hello, f.hello_len}, &h));
    assert_true(view_eq(h.sni, VIEW("shop.example")));
    pair_fini(&pair);
}

static void one_that_waits_in_vain_for_its_turn_is_kept_too(void **state)
{
    struct tls_bed *bed = *state;
    uint64_t before = handshake_log_last();
    struct handshake_failure f;
    struct tls_pair pair;

    pair_init(&pair, bed);
    pair.vc->turn_granted = false;
    (void)SSL_do_handshake(pair.client);
    assert_int_equal(pair_advance(&pair).status, IO_WANT_TURN);
    pair.vc->err = SP_TLS_TIMEOUT; /* as the net layer drops it */
    pair_close_server(&pair, VC_CLOSE_ABORT);
    assert_true(handshake_log_next(before, &f));
    assert_int_equal(f.err, SP_TLS_TIMEOUT);
    assert_true(f.hello_len > 100);
    assert_int_equal(f.crypto_us, 0);
    pair_fini(&pair);
}

static void good_ones_and_silent_ones_leave_nothing(void **state)
{
    struct tls_bed *bed = *state;
    uint64_t before = handshake_log_last();
    struct tls_pair pair;

    pair_init_open(&pair, bed);
    pair_fini(&pair);
    pair_init(&pair, bed);
    pair_close_client(&pair);
    (void)pair_advance(&pair);
    pair_fini(&pair);
    assert_int_equal(handshake_log_last(), before);
}

static void good_ones_are_counted_by_what_they_agreed_on(void **state)
{
    struct tls_bed *bed = *state;
    struct metrics before, after;
    struct tls_pair pair;
    char p384[] = "P-384"; /* the macro casts const away */

    metrics_sum(&before);
    pair_init(&pair, bed);
    assert_int_equal(SSL_set1_groups_list(pair.client, p384), 1);
    assert_int_equal(SSL_set_ciphersuites(pair.client, "TLS_AES_256_GCM_SHA384"), 1);
    assert_true(pair_handshake(&pair));
    pair_fini(&pair);
    pair_init(&pair, bed);
    (void)SSL_set_max_proto_version(pair.client, TLS1_2_VERSION);
    assert_true(pair_handshake(&pair));
    pair_fini(&pair);
    metrics_sum(&after);
    assert_int_equal(after.tls_version_1_3 - before.tls_version_1_3, 1);
    assert_int_equal(after.tls_version_1_2 - before.tls_version_1_2, 1);
    assert_int_equal(after.tls_group_p384 - before.tls_group_p384, 1);
    assert_int_equal(after.tls_group_other, before.tls_group_other);
    assert_true(after.tls_cipher_aes_256_gcm > before.tls_cipher_aes_256_gcm);
}

#define BED_TEST(name) cmocka_unit_test_setup_teardown(name, bed_setup, bed_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(failures_come_out_in_their_order),
        cmocka_unit_test(the_last_thousand_are_kept),
        cmocka_unit_test(a_hello_in_several_records_is_one_message),
        cmocka_unit_test(of_a_long_hello_the_beginning_is_kept),
        cmocka_unit_test(threads_do_not_disturb_each_other),
        BED_TEST(a_handshake_that_fails_is_kept_with_what_was_offered),
        BED_TEST(one_that_the_client_gives_up_later_is_kept_too),
        BED_TEST(one_that_waits_in_vain_for_its_turn_is_kept_too),
        BED_TEST(good_ones_and_silent_ones_leave_nothing),
        BED_TEST(good_ones_are_counted_by_what_they_agreed_on),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
