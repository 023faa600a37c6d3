#include "tls_pacing.h"
#include "unit_test.h"

/* Sends `total` bytes and gives the number of records. */
static unsigned send_all(struct tls_pacing *p, size_t total, int64_t now_ms, size_t *longest)
{
    size_t limit = tls_pacing_limit(p, total, now_ms);
    unsigned n = 0;

    *longest = 0;
    while (total > 0) {
        size_t len = total < limit ? total : limit;

        assert_true(limit > 0 && limit <= TLS_RECORD_MAX);
        *longest = len > *longest ? len : *longest;
        total -= len;
        n++;
        limit = tls_pacing_sent(p, len, limit);
    }
    return n;
}

static void what_fits_one_record_is_never_split(void **state)
{
    struct tls_pacing p = {0};
    size_t longest;

    (void)state;
    assert_int_equal(send_all(&p, 1, 5000, &longest), 1);
    assert_int_equal(send_all(&p, TLS_RECORD_MAX, 5000, &longest), 1);
}

static void a_cold_connection_starts_with_short_records(void **state)
{
    struct tls_pacing p = {0};
    size_t longest;

    (void)state;
    (void)send_all(&p, TLS_RECORD_MAX + 1, 5000, &longest);
    assert_true(longest <= 1400);
    (void)send_all(&p, 40000, 5000, &longest);
    assert_true(longest > 1400 && longest <= 4200);
}

static void a_warm_connection_uses_full_records_until_it_was_silent(void **state)
{
    struct tls_pacing p = {0};
    size_t longest;

    (void)state;
    (void)send_all(&p, 100000, 5000, &longest);
    assert_int_equal(send_all(&p, 4 * TLS_RECORD_MAX, 5900, &longest), 4);
    assert_int_equal(send_all(&p, 4 * TLS_RECORD_MAX, 6900, &longest), 4);
    (void)send_all(&p, 17000, 8000, &longest);
    assert_true(longest <= 1400);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_fits_one_record_is_never_split),
        cmocka_unit_test(a_cold_connection_starts_with_short_records),
        cmocka_unit_test(a_warm_connection_uses_full_records_until_it_was_silent),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
