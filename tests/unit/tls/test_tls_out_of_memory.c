/* A connection's whole life with one allocation failing, each in turn: ours and the library's, on
 * the server's side or the client's. Any of them may end the connection; none may end the process,
 * and the next connection is served. */
#include "failing_alloc.h"
#include "openssl_alloc.h"
#include "tls_pair.h"

static bool live_once(struct tls_bed *bed, unsigned nth, int version)
{
    struct tls_pair pair;
    struct io_result r;
    char buf[8];

    pair_init(&pair, bed);
    (void)SSL_set_max_proto_version(pair.client, version);
    failing_alloc_arm(nth);
    if (pair_handshake(&pair) && SSL_write(pair.client, "abcdef", 6) == 6) {
        (void)pair_recv(&pair, buf, 4); /* the rest is spilled */
        r = pair_recv(&pair, buf, 4);
        if (r.status == IO_OK)
            (void)pair_send(&pair, "x", 1);
        pair_close_server(&pair, VC_CLOSE_CLEAN);
    }
    bool failed = failing_alloc_hit();
    pair_fini(&pair);
    return failed;
}

static void lives(struct tls_bed *bed, int version)
{
    unsigned step = 1;

    assert_false(live_once(bed, UINT32_MAX, version)); /* what is made only once */
    for (unsigned nth = 0; live_once(bed, nth, version); nth += step)
        step = nth < 400 ? 1 : 3;
    assert_false(live_once(bed, UINT32_MAX, version));
}

static void each_failed_allocation_of_tls13_is_survived(void **state)
{
    lives(*state, TLS1_3_VERSION);
}

static void each_failed_allocation_of_tls12_is_survived(void **state)
{
    lives(*state, TLS1_2_VERSION);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(each_failed_allocation_of_tls13_is_survived, bed_setup,
                                        bed_teardown),
        cmocka_unit_test_setup_teardown(each_failed_allocation_of_tls12_is_survived, bed_setup,
                                        bed_teardown),
    };

    if (!openssl_take_allocator())
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
