/* Digests. */
#include "unit_test.h"

#include <sallyport/tls/digest.h>

#include <string.h>

/* FIPS 180-2, appendix A.1. */
static void sha1_of_abc_is_the_published_one(void **state)
{
    static const uint8_t expected[TLS_SHA1_BYTES] = {0xa9, 0x99, 0x3e, 0x36, 0x47, 0x06, 0x81,
                                                     0x6a, 0xba, 0x3e, 0x25, 0x71, 0x78, 0x50,
                                                     0xc2, 0x6c, 0x9c, 0xd0, 0xd8, 0x9d};
    uint8_t digest[TLS_SHA1_BYTES];

    (void)state;
    assert_int_equal(tls_sha1(VIEW("abc"), digest), SP_OK);
    assert_memory_equal(digest, expected, sizeof(expected));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sha1_of_abc_is_the_published_one),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
