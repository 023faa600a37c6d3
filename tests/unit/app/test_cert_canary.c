#include "cert_canary.h"
#include "unit_test.h"

static void a_new_one_is_judged_by_the_old_one(void **state)
{
    static const struct {
        struct cert_canary_use use;
        enum cert_verdict verdict;
    } cases[] = {
        {{0, 0, 0, 0}, CERT_VERDICT_WAIT},
        {{0, 2, 1000, 0}, CERT_VERDICT_WAIT}, /* a handful is nothing */
        {{6, 3, 1000, 0}, CERT_VERDICT_WAIT}, /* among so few neither */
        {{7, 3, 1000, 0}, CERT_VERDICT_BACK},
        {{0, 10, 0, 0}, CERT_VERDICT_BACK},      /* nobody got the old one */
        {{100, 5, 1000, 0}, CERT_VERDICT_WAIT},  /* 47 per mille */
        {{100, 6, 1000, 0}, CERT_VERDICT_BACK},  /* 56 per mille */
        {{100, 6, 900, 100}, CERT_VERDICT_WAIT}, /* they failed before */
        {{700, 300, 700, 300}, CERT_VERDICT_WAIT},
        {{600, 400, 700, 300}, CERT_VERDICT_BACK},
    };

    (void)state;
    for (size_t i = 0; i < SP_COUNT_OF(cases); i++)
        assert_int_equal(cert_canary_judge(&cases[i].use), cases[i].verdict);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(a_new_one_is_judged_by_the_old_one)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
