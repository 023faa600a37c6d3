/* WebSocket's key and proof: RFC 6455 1.3 and 4.1. */
#include "unit_test.h"
#include "websocket.h"

static void the_proof_is_that_of_the_rfc(void **state)
{
    char proof[WEBSOCKET_PROOF_LEN];

    (void)state;
    assert_true(websocket_proof_make(VIEW("dGhlIHNhbXBsZSBub25jZQ=="), proof));
    assert_memory_equal(proof, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", sizeof(proof));
}

static void what_has_not_the_length_of_a_key_is_none(void **state)
{
    char proof[WEBSOCKET_PROOF_LEN];

    (void)state;
    assert_false(websocket_proof_make(VIEW(""), proof));
    assert_false(websocket_proof_make(VIEW("dGhlIHNhbXBsZSBub25jZQ"), proof));
}

static void keys_are_fresh_and_whole(void **state)
{
    char a[WEBSOCKET_KEY_LEN], b[WEBSOCKET_KEY_LEN];

    (void)state;
    websocket_key_make(a);
    websocket_key_make(b);
    assert_memory_not_equal(a, b, sizeof(a));
    assert_memory_equal(a + 22, "==", 2);
}

static void the_protocol_is_named_in_any_case(void **state)
{
    (void)state;
    assert_true(websocket_is(VIEW("WebSocket")));
    assert_false(websocket_is(VIEW("websocket/1")));
    assert_false(websocket_is(VIEW("")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_proof_is_that_of_the_rfc),
        cmocka_unit_test(what_has_not_the_length_of_a_key_is_none),
        cmocka_unit_test(keys_are_fresh_and_whole),
        cmocka_unit_test(the_protocol_is_named_in_any_case),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
