/* What a client that asks for the certificate's status is given, in the handshake itself. */
#include "cert_bundle.h"
#include "cert_store_internal.h"
#include "ocsp_slot.h"
#include "ocsp_world.h"
#include "tls_pair.h"

#define BED struct tls_bed *bed = *state

static uint64_t counted(size_t offset)
{
    return atomic_load((_Atomic uint64_t *)(void *)((char *)metrics_mine + offset));
}
#define COUNTED(name) counted(offsetof(struct metrics, name))

/* An authority for the bed's bundle "shop" instead of certificates that signed themselves. */
struct authority {
    struct ocsp_world *w;
    EVP_PKEY *rsa_key;
    X509 *rsa_leaf;
};

static void write_pair(const struct authority *a, const struct cert_conf *conf, X509 *leaf,
                       EVP_PKEY *key)
{
    pem_write_cert(conf->chain, leaf, "w");
    pem_write_cert(conf->chain, a->w->ca, "a");
    pem_write_key(conf->key, key);
}

static void authority_make(struct authority *a, struct tls_bed *bed)
{
    assert_int_equal(world_setup((void **)&a->w), 0);
    a->rsa_key = key_new(KEY_RSA);
    a->rsa_leaf = world_cert(a->w, "rsa", a->rsa_key);
    cert_extend(a->rsa_leaf, NID_subject_alt_name, "DNS:shop.example", a->w->ca_key);
    cert_extend(a->rsa_leaf, NID_tlsfeature, "status_request", a->w->ca_key);
    cert_extend(a->w->leaf, NID_subject_alt_name, "DNS:shop.example", a->w->ca_key);
    write_pair(a, &bed->certs[0], a->w->leaf, a->w->leaf_key);
    write_pair(a, &bed->certs[1], a->rsa_leaf, a->rsa_key);
    bed_reopen_port(bed);
}

static void authority_remove(struct authority *a)
{
    X509_free(a->rsa_leaf);
    EVP_PKEY_free(a->rsa_key);
    assert_int_equal(world_teardown((void **)&a->w), 0);
}

static struct ocsp_slot *slot_of(const struct tls_bed *bed, uint32_t pair)
{
    return cert_bundle_ocsp(cert_store_find(bed->store, VIEW("shop.example")), pair);
}

static void staple(const struct tls_bed *bed, const struct authority *a, uint32_t pair,
                   const struct ocsp_recipe *recipe, enum ocsp_outcome expected)
{
    struct view der = response_new(a->w, recipe);

    assert_int_equal(ocsp_slot_offer(slot_of(bed, pair), der, a->w->now_ms), expected);
    free((void *)(uintptr_t)der.p);
}

static void init_client(struct tls_pair *pair, struct tls_bed *bed, int version, const char *suites)
{
    pair_init(pair, bed);
    client_asks_for(pair->client, "shop.example");
    (void)SSL_set_max_proto_version(pair->client, version);
    (void)SSL_set_tlsext_status_type(pair->client, TLSEXT_STATUSTYPE_ocsp);
    if (suites != NULL)
        assert_int_equal(
            SSL_ctrl(pair->client, SSL_CTRL_SET_SIGALGS_LIST, 0, (void *)(uintptr_t)suites), 1);
}

/* The staple that the client was given, of OpenSSL's; NULL: none. */
static OCSP_RESPONSE *given(const struct tls_pair *pair)
{
    const unsigned char *p = NULL;
    long len = SSL_get_tlsext_status_ocsp_resp(pair->client, &p);

    return len <= 0 ? NULL : d2i_OCSP_RESPONSE(NULL, &p, len);
}

static bool is_about(const struct tls_pair *pair, const struct authority *a, X509 *leaf)
{
    OCSP_RESPONSE *response = given(pair);
    OCSP_BASICRESP *basic = response == NULL ? NULL : OCSP_response_get1_basic(response);
    OCSP_CERTID *id = OCSP_cert_to_id(EVP_sha1(), leaf, a->w->ca);
    bool is = basic != NULL && OCSP_resp_find(basic, id, -1) >= 0;

    OCSP_CERTID_free(id);
    OCSP_BASICRESP_free(basic);
    OCSP_RESPONSE_free(response);
    return is;
}

static void the_chosen_certificate_decides(struct tls_bed *bed, int version)
{
    struct authority a;
    struct tls_pair pair;
    uint64_t before = COUNTED(tls_ocsp_stapled);

    authority_make(&a, bed);
    staple(bed, &a, 0, &(struct ocsp_recipe){.about = a.w->leaf}, STAPLE_GOOD);
    staple(bed, &a, 1, &(struct ocsp_recipe){.about = a.rsa_leaf}, STAPLE_GOOD);
    init_client(&pair, bed, version, NULL);
    assert_true(pair_handshake(&pair));
    assert_true(is_about(&pair, &a, a.w->leaf));
    pair_fini(&pair);
    init_client(&pair, bed, version, "RSA-PSS+SHA256:RSA+SHA256");
    assert_true(pair_handshake(&pair));
    assert_true(is_about(&pair, &a, a.rsa_leaf));
    pair_fini(&pair);
    assert_int_equal(COUNTED(tls_ocsp_stapled) - before, 2);
    authority_remove(&a);
}

static void the_chosen_certificate_decides_in_tls13(void **state)
{
    the_chosen_certificate_decides(*state, TLS1_3_VERSION);
}

static void the_chosen_certificate_decides_in_tls12(void **state)
{
    the_chosen_certificate_decides(*state, TLS1_2_VERSION);
}

static void without_a_staple_the_handshake_is_as_any(void **state)
{
    BED;
    struct authority a;
    struct tls_pair pair;
    uint64_t unstapled = COUNTED(tls_ocsp_unstapled), must = COUNTED(tls_ocsp_must_staple_missing);

    authority_make(&a, bed);
    init_client(&pair, bed, TLS1_3_VERSION, NULL);
    assert_true(pair_handshake(&pair));
    assert_null(given(&pair));
    pair_fini(&pair);
    assert_int_equal(COUNTED(tls_ocsp_unstapled) - unstapled, 1);
    assert_int_equal(COUNTED(tls_ocsp_must_staple_missing) - must, 0);
    init_client(&pair, bed, TLS1_2_VERSION, "RSA-PSS+SHA256:RSA+SHA256");
    assert_true(pair_handshake(&pair));
    assert_null(given(&pair));
    pair_fini(&pair);
    assert_int_equal(COUNTED(tls_ocsp_must_staple_missing) - must, 1);
    authority_remove(&a);
}

static void revoked_is_not_stapled(void **state)
{
    BED;
    struct authority a;
    struct tls_pair pair;

    authority_make(&a, bed);
    staple(bed, &a, 0, &(struct ocsp_recipe){.status = V_OCSP_CERTSTATUS_REVOKED}, STAPLE_REVOKED);
    init_client(&pair, bed, TLS1_3_VERSION, NULL);
    assert_true(pair_handshake(&pair));
    assert_null(given(&pair));
    pair_fini(&pair);
    authority_remove(&a);
}

static void an_established_connection_holds_no_staple(void **state)
{
    BED;
    struct authority a;
    struct tls_pair pair;
    const unsigned char *p = NULL;

    authority_make(&a, bed);
    staple(bed, &a, 0, &(struct ocsp_recipe){0}, STAPLE_GOOD);
    init_client(&pair, bed, TLS1_3_VERSION, NULL);
    assert_true(pair_handshake(&pair));
    assert_true(SSL_get_tlsext_status_ocsp_resp(pair_ssl_vc(&pair)->ssl, &p) <= 0);
    assert_null(p);
    pair_fini(&pair);
    authority_remove(&a);
}

static void who_does_not_ask_is_given_nothing(void **state)
{
    BED;
    struct authority a;
    struct tls_pair pair;

    authority_make(&a, bed);
    staple(bed, &a, 0, &(struct ocsp_recipe){0}, STAPLE_GOOD);
    pair_init(&pair, bed);
    client_asks_for(pair.client, "shop.example");
    assert_true(pair_handshake(&pair));
    assert_null(given(&pair));
    pair_fini(&pair);
    authority_remove(&a);
}

static void who_issued_itself_has_no_place_for_one(void **state)
{
    BED;

    assert_null(slot_of(bed, 0));
    assert_null(slot_of(bed, 1));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, bed_setup, bed_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_chosen_certificate_decides_in_tls13),
        TEST(the_chosen_certificate_decides_in_tls12),
        TEST(without_a_staple_the_handshake_is_as_any),
        TEST(revoked_is_not_stapled),
        TEST(an_established_connection_holds_no_staple),
        TEST(who_does_not_ask_is_given_nothing),
        TEST(who_issued_itself_has_no_place_for_one),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
