#include "failing_alloc.h"
#include "ocsp_world.h"

#define WORLD struct ocsp_world *w = *state

static void the_certificate_says_whom_to_ask(void **state)
{
    WORLD;

    /* the one over https is passed over */
    assert_string_equal(w->subject.url, WORLD_URL);
    assert_ptr_equal(w->subject.issuer, w->ca);
    assert_false(w->subject.must_staple);
}

static void must_staple_is_seen(void **state)
{
    WORLD;
    struct ocsp_subject s;
    X509 *leaf = world_cert(w, "must", w->leaf_key);

    cert_extend(leaf, NID_tlsfeature, "status_request", w->ca_key);
    assert_true(ocsp_subject_init(&s, leaf, w->chain));
    assert_true(s.must_staple);
    ocsp_subject_fini(&s);
    X509_free(leaf);

    leaf = world_cert(w, "other feature", w->leaf_key);
    cert_extend(leaf, NID_tlsfeature, "status_request_v2", w->ca_key);
    assert_true(ocsp_subject_init(&s, leaf, w->chain));
    assert_false(s.must_staple);
    ocsp_subject_fini(&s);
    X509_free(leaf);
}

static void without_a_url_or_an_issuer_there_is_none(void **state)
{
    WORLD;
    struct ocsp_subject s;

    assert_true(ocsp_subject_init(&s, w->responder, w->chain));
    assert_null(s.url);
    assert_ptr_equal(s.issuer, w->ca);
    ocsp_subject_fini(&s);
    assert_true(ocsp_subject_init(&s, w->leaf, NULL));
    assert_null(s.issuer);
    ocsp_subject_fini(&s);
}

/* A URL ends up in the head of a request. */
static void a_url_that_is_none_is_not_used(void **state)
{
    WORLD;
    static const char *const urls[] = {"OCSP;URI:ldap://ocsp.example/",
                                       "OCSP;URI:http://ocsp.example/a b",
                                       "OCSP;URI:http://ocsp.example/\r\nX: y"};

    for (size_t i = 0; i < SP_COUNT_OF(urls); i++) {
        X509 *leaf = world_cert(w, "url", w->leaf_key);
        struct ocsp_subject s;

        cert_extend(leaf, NID_info_access, urls[i], w->ca_key);
        assert_true(ocsp_subject_init(&s, leaf, w->chain));
        assert_null(s.url);
        ocsp_subject_fini(&s);
        X509_free(leaf);
    }
}

static void the_fingerprint_is_that_of_the_certificate(void **state)
{
    WORLD;
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned len;

    assert_int_equal(X509_digest(w->leaf, EVP_sha256(), digest, &len), 1);
    assert_memory_equal(w->subject.fingerprint, digest, OCSP_FINGERPRINT_BYTES);
}

static void a_request_asks_about_the_certificate(void **state)
{
    WORLD;
    struct view der = ocsp_subject_request(&w->subject);
    const unsigned char *p = (const unsigned char *)der.p;
    OCSP_REQUEST *request = d2i_OCSP_REQUEST(NULL, &p, (long)der.len);

    assert_non_null(request);
    assert_int_equal(OCSP_request_onereq_count(request), 1);
    assert_true(
        ocsp_subject_is(&w->subject, OCSP_onereq_get0_id(OCSP_request_onereq_get0(request, 0))));
    assert_int_equal(OCSP_REQUEST_get_ext_count(request), 0); /* no nonce */
    OCSP_REQUEST_free(request);
    free((void *)(uintptr_t)der.p);
}

static void failed_allocations_are_told(void **state)
{
    WORLD;
    struct ocsp_subject s;
    bool ok;

    failing_alloc_arm(0);
    ok = ocsp_subject_init(&s, w->leaf, w->chain);
    assert_true(failing_alloc_hit());
    assert_false(ok);
    ocsp_subject_fini(&s);
    failing_alloc_arm(0);
    assert_null(ocsp_subject_request(&w->subject).p);
    assert_true(failing_alloc_hit());
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, world_setup, world_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_certificate_says_whom_to_ask),
        TEST(must_staple_is_seen),
        TEST(without_a_url_or_an_issuer_there_is_none),
        TEST(a_url_that_is_none_is_not_used),
        TEST(the_fingerprint_is_that_of_the_certificate),
        TEST(a_request_asks_about_the_certificate),
        TEST(failed_allocations_are_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
