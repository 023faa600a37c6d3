/* Authorities and revocation lists from files: what is refused, in which words, what is shared; and
 * what backends are told of who was verified by them. */
#include "client_identity.h"
#include "client_trust.h"
#include "failing_alloc.h"
#include "tls_certs.h"

#include <sallyport/base/metrics.h>

#include <openssl/err.h>

enum { HOUR_S = 3600, DAY_S = 24 * HOUR_S };

static struct bed {
    struct test_folder folder;
    EVP_PKEY *root_key, *key;
    X509 *root, *leaf;
    struct client_auth_conf conf;
    struct cert_problems problems;
    struct cert_reporter reporter;
    struct cert_load load;
} bed;

static X509 *authority(const char *name, EVP_PKEY *key, int days_to)
{
    return cert_new(
        &(struct cert_recipe){
            .common_name = name, .days_from = -10, .days_to = days_to, .ca = true},
        key);
}

static X509 *issued(const char *name, bool ca)
{
    return cert_new(&(struct cert_recipe){.common_name = name,
                                          .days_from = -1,
                                          .days_to = 30,
                                          .issuer = bed.root,
                                          .issuer_key = bed.root_key,
                                          .ca = ca},
                    bed.key);
}

/* A list of `issuer`, with one serial number on it unless it is NULL. */
static X509_CRL *list_new(X509 *issuer, EVP_PKEY *key, long from_s, long to_s, X509 *revoked)
{
    X509_CRL *list = X509_CRL_new();
    ASN1_TIME *time = ASN1_TIME_new();

    assert_non_null(list);
    assert_non_null(time);
    (void)X509_CRL_set_version(list, X509_CRL_VERSION_2);
    (void)X509_CRL_set_issuer_name(list, X509_get_subject_name(issuer));
    (void)X509_gmtime_adj(time, from_s);
    (void)X509_CRL_set1_lastUpdate(list, time);
    (void)X509_gmtime_adj(time, to_s);
    (void)X509_CRL_set1_nextUpdate(list, time);
    if (revoked != NULL) {
        X509_REVOKED *entry = X509_REVOKED_new();

        (void)X509_gmtime_adj(time, -DAY_S);
        (void)X509_REVOKED_set_revocationDate(entry, time);
        (void)X509_REVOKED_set_serialNumber(entry, X509_get_serialNumber(revoked));
        assert_int_equal(X509_CRL_add0_revoked(list, entry), 1);
    }
    assert_true(X509_CRL_sign(list, key, EVP_sha256()) > 0);
    ASN1_TIME_free(time);
    return list;
}

static void list_write(X509_CRL *list, const char *mode)
{
    FILE *f = fopen(bed.conf.crl_file.p, mode);

    assert_non_null(f);
    assert_int_equal(PEM_write_X509_CRL(f, list), 1);
    assert_int_equal(fclose(f), 0);
    X509_CRL_free(list);
}

static void use_list(X509 *revoked)
{
    bed.conf.crl_file = folder_file(&bed.folder, "crl.pem");
    list_write(list_new(bed.root, bed.root_key, -HOUR_S, DAY_S, revoked), "w");
}

static int setup(void **state)
{
    (void)state;
    memset(&bed, 0, sizeof(bed));
    folder_make(&bed.folder);
    cert_problems_init(&bed.problems);
    bed.reporter = (struct cert_reporter){cert_problems_keep, &bed.problems};
    bed.load = (struct cert_load){.reporter = &bed.reporter};
    bed.root_key = key_new(KEY_EC);
    bed.key = key_new(KEY_EC);
    bed.root = authority("root", bed.root_key, 30);
    bed.leaf = issued("ada", false);
    bed.conf = (struct client_auth_conf){.given = true,
                                         .mode = CLIENT_AUTH_REQUIRE,
                                         .ca_file = folder_file(&bed.folder, "ca.pem"),
                                         .depth = 3,
                                         .forward = CLIENT_AUTH_CERT,
                                         .max_forward_bytes = 16384};
    pem_write_cert(bed.conf.ca_file, bed.root, "w");
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    X509_free(bed.leaf);
    X509_free(bed.root);
    EVP_PKEY_free(bed.key);
    EVP_PKEY_free(bed.root_key);
    cert_problems_fini(&bed.problems);
    folder_remove(&bed.folder);
    assert_int_equal(ERR_peek_error(), 0);
    return 0;
}

static struct client_trust *loaded(void)
{
    struct client_trust *trust = client_trust_load(&bed.conf, &bed.load);

    assert_non_null(trust);
    return trust;
}

/* The only problem, and whether it is one that refuses. */
static void assert_told(const char *words, bool warning)
{
    assert_int_equal(bed.problems.n, 1);
    assert_int_equal(bed.problems.v[0].warning, warning);
    if (strstr(bed.problems.v[0].text.p, words) == NULL)
        fail_msg("told \"" VIEW_FMT "\"", VIEW_ARG(bed.problems.v[0].text));
}

static void assert_refused(const char *words)
{
    assert_null(client_trust_load(&bed.conf, &bed.load));
    assert_int_equal(bed.load.n_errors, 1);
    assert_told(words, false);
}

/* What a handshake would say of a certificate. */
static int verify(const struct client_trust *trust, X509 *cert, STACK_OF(X509) * sent)
{
    X509_STORE_CTX *ctx = X509_STORE_CTX_new();
    int error;

    assert_non_null(ctx);
    assert_int_equal(X509_STORE_CTX_init(ctx, trust->store, cert, sent), 1);
    assert_int_equal(X509_STORE_CTX_set_default(ctx, "ssl_client"), 1);
    error = X509_verify_cert(ctx) == 1 ? X509_V_OK : X509_STORE_CTX_get_error(ctx);
    X509_STORE_CTX_free(ctx);
    ERR_clear_error();
    return error;
}

/* ---- Authorities ---- */

static void an_authority_vouches_for_its_own(void **state)
{
    struct client_trust *trust = loaded();
    EVP_PKEY *key = key_new(KEY_EC);
    X509 *stranger = authority("stranger", key, 30);

    (void)state;
    assert_int_equal(bed.problems.n, 0);
    assert_int_equal(verify(trust, bed.leaf, NULL), X509_V_OK);
    assert_int_not_equal(verify(trust, stranger, NULL), X509_V_OK);
    assert_int_equal(sk_X509_NAME_num(trust->names), 1);
    X509_free(stranger);
    EVP_PKEY_free(key);
    client_trust_unref(trust);
}

static void files_without_authorities_are_refused(void **state)
{
    static const struct {
        const char *text, *words;
    } bad[] = {
        {"", "is empty"},
        {"hello\n", "holds no certificate in PEM form"},
        {"0\202\001", "is DER, not PEM"},
        {"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
         "certificate 1 cannot be read"},
    };

    (void)state;
    for (size_t i = 0; i < SP_COUNT_OF(bad); i++) {
        text_write(bed.conf.ca_file, bad[i].text);
        assert_refused(bad[i].words);
        cert_problems_fini(&bed.problems);
        bed.load.n_errors = 0;
    }
    bed.conf.ca_file = folder_file(&bed.folder, "missing.pem");
    assert_refused("cannot be opened: No such file or directory");
}

static void what_is_no_authority_is_refused(void **state)
{
    (void)state;
    pem_write_cert(bed.conf.ca_file, bed.leaf, "a");
    assert_refused("certificate 2 (\"CN=ada\") is no authority");
}

static void a_repeated_or_expired_authority_is_a_warning(void **state)
{
    X509 *old = authority("old", bed.key, -1);
    struct client_trust *trust;

    (void)state;
    pem_write_cert(bed.conf.ca_file, bed.root, "a");
    trust = loaded();
    assert_told("certificate 2 (\"CN=root\") is in the file twice", true);
    client_trust_unref(trust);
    cert_problems_fini(&bed.problems);
    pem_write_cert(bed.conf.ca_file, bed.root, "w");
    pem_write_cert(bed.conf.ca_file, old, "a");
    trust = loaded();
    assert_told("the authority \"CN=old\" has expired", true);
    client_trust_unref(trust);
    X509_free(old);
}

/* ---- Revocation lists ---- */

static void who_is_on_the_list_is_out(void **state)
{
    X509 *other = issued("other", false);
    struct client_trust *trust;

    (void)state;
    use_list(other);
    trust = loaded();
    assert_int_equal(bed.problems.n, 0);
    assert_int_equal(verify(trust, bed.leaf, NULL), X509_V_OK);
    assert_int_equal(verify(trust, other, NULL), X509_V_ERR_CERT_REVOKED);
    X509_free(other);
    client_trust_unref(trust);
}

static void a_list_has_to_be_signed_by_its_authority(void **state)
{
    X509 *namesake = authority("root", bed.key, 30), *stranger = authority("stranger", bed.key, 30);

    (void)state;
    use_list(NULL);
    list_write(list_new(stranger, bed.key, -HOUR_S, DAY_S, NULL), "w");
    assert_refused("list 1 is of \"CN=stranger\", which is not in \"ca_file\"");
    cert_problems_fini(&bed.problems);
    bed.load.n_errors = 0;
    list_write(list_new(namesake, bed.key, -HOUR_S, DAY_S, NULL), "w");
    assert_refused(
        "list 1 claims to be of \"CN=root\", whose key in \"ca_file\" has not signed it");
    X509_free(namesake);
    X509_free(stranger);
}

static void a_list_that_is_out_of_date_is_refused_where_another_one_serves(void **state)
{
    struct client_trust *trust;

    (void)state;
    use_list(NULL);
    list_write(list_new(bed.root, bed.root_key, -(long)2 * DAY_S, -DAY_S, NULL), "w");
    bed.load.refuse_expired = true;
    assert_refused("list 1 (of \"CN=root\") has expired; the next one was due at");
    cert_problems_fini(&bed.problems);
    bed.load.refuse_expired = false;
    trust = loaded();
    assert_told("all clients of that authority are refused", true);
    assert_int_equal(trust->good_until_s, 0);
    assert_int_equal(verify(trust, bed.leaf, NULL), X509_V_ERR_CRL_HAS_EXPIRED);
    client_trust_unref(trust);
}

static void an_authority_without_a_list_is_told(void **state)
{
    EVP_PKEY *key = key_new(KEY_EC);
    X509 *second = authority("second", key, 30);
    struct client_trust *trust;

    (void)state;
    pem_write_cert(bed.conf.ca_file, second, "a");
    use_list(NULL);
    trust = loaded();
    assert_told("has no list of \"CN=second\"", true);
    X509_free(second);
    EVP_PKEY_free(key);
    client_trust_unref(trust);
}

static void a_revoked_authority_is_left_out(void **state)
{
    X509 *below = issued("below", true);
    X509 *leaf = cert_new(&(struct cert_recipe){.common_name = "leaf",
                                                .days_from = -1,
                                                .days_to = 30,
                                                .issuer = below,
                                                .issuer_key = bed.key},
                          bed.key);
    struct client_trust *trust;

    (void)state;
    pem_write_cert(bed.conf.ca_file, below, "a");
    use_list(below);
    trust = loaded();
    assert_int_equal(sk_X509_NAME_num(trust->names), 1);
    assert_true(bed.problems.n >= 1);
    assert_non_null(strstr(bed.problems.v[0].text.p, "was revoked by the one above it"));
    assert_int_not_equal(verify(trust, leaf, NULL), X509_V_OK);
    X509_free(leaf);
    X509_free(below);
    client_trust_unref(trust);
}

static void lists_that_are_none_are_refused(void **state)
{
    (void)state;
    bed.conf.crl_file = bed.conf.ca_file;
    assert_refused("holds no revocation list in PEM form");
}

/* ---- Sharing ---- */

static void the_same_is_read_once(void **state)
{
    struct client_trust *first = loaded(), *second = loaded(), *third;
    uint64_t policy = first->policy;

    (void)state;
    assert_ptr_equal(first, second);
    client_trust_unref(second);
    pem_write_cert(bed.conf.ca_file, bed.root, "a"); /* other bytes */
    third = loaded();
    assert_ptr_not_equal(first, third);
    assert_true(third->policy == policy);
    assert_memory_not_equal(first->digest, third->digest, sizeof(first->digest));
    client_trust_unref(first);
    bed.conf.mode = CLIENT_AUTH_OPTIONAL;
    second = loaded();
    assert_ptr_not_equal(second, third);
    assert_true(second->policy != policy);
    assert_memory_not_equal(second->digest, third->digest, sizeof(second->digest));
    client_trust_unref(second);
    client_trust_unref(third);
}

/* ---- What backends are told ---- */

static struct client_identity *identity_of(const struct client_trust *trust, STACK_OF(X509) * chain)
{
    enum sp_err err;
    struct client_identity *identity = client_identity_new(trust, bed.leaf, chain, &err);

    assert_non_null(identity);
    assert_int_equal(err, SP_OK);
    return identity;
}

/* The bytes of a byte sequence, RFC 8941 3.3.5. */
static size_t decoded(struct view value, unsigned char *dst)
{
    int n;

    assert_true(value.len > 2 && value.p[0] == ':' && value.p[value.len - 1] == ':');
    n = EVP_DecodeBlock(dst, (const unsigned char *)value.p + 1, (int)value.len - 2);
    assert_true(n > 0);
    return (size_t)n - (value.p[value.len - 2] == '=') - (value.p[value.len - 3] == '=');
}

static void a_certificate_is_told_in_full(void **state)
{
    struct client_trust *trust = loaded();
    struct client_identity *identity = identity_of(trust, NULL);
    unsigned char bytes[2048], *der = NULL;
    int len = i2d_X509(bed.leaf, &der);

    (void)state;
    assert_int_equal(decoded(identity->cert, bytes), len);
    assert_memory_equal(bytes, der, (size_t)len);
    assert_int_equal(identity->chain.len, 0);
    assert_int_equal(identity->fingerprint.len, 64);
    assert_true(view_eq(identity->subject, VIEW("CN=ada")));
    OPENSSL_free(der);
    client_identity_unref(identity);
    client_trust_unref(trust);
}

static void a_chain_is_a_list_without_the_first(void **state)
{
    STACK_OF(X509) *chain = sk_X509_new_null();
    struct client_identity *identity;
    struct client_trust *trust;
    unsigned char bytes[2048], *der = NULL;
    size_t comma;
    int len = i2d_X509(bed.root, &der);

    (void)state;
    bed.conf.forward |= CLIENT_AUTH_CHAIN;
    trust = loaded();
    (void)sk_X509_push(chain, bed.leaf);
    (void)sk_X509_push(chain, bed.root);
    (void)sk_X509_push(chain, bed.root);
    identity = identity_of(trust, chain);
    comma = (size_t)((const char *)memchr(identity->chain.p, ',', identity->chain.len) -
                     identity->chain.p);
    assert_int_equal(decoded(view_head(identity->chain, comma), bytes), len);
    assert_memory_equal(bytes, der, (size_t)len);
    assert_int_equal(identity->chain.p[comma + 1], ' ');
    assert_true(view_eq(view_from(identity->chain, comma + 2), view_head(identity->chain, comma)));
    OPENSSL_free(der);
    sk_X509_free(chain);
    client_identity_unref(identity);
    client_trust_unref(trust);
}

static void what_does_not_fit_is_not_told(void **state)
{
    STACK_OF(X509) *chain = sk_X509_new_null();
    struct client_identity *identity;
    struct client_trust *trust;
    struct metrics before, after;
    enum sp_err err;

    (void)state;
    bed.conf.forward |= CLIENT_AUTH_CHAIN;
    bed.conf.max_forward_bytes = 700;
    trust = loaded();
    for (int i = 0; i < 3; i++)
        (void)sk_X509_push(chain, bed.leaf);
    metrics_sum(&before);
    identity = identity_of(trust, chain);
    metrics_sum(&after);
    assert_int_equal(identity->chain.len, 0);
    assert_true(identity->cert.len > 0);
    assert_int_equal(after.tls_certificate_chains_omitted - before.tls_certificate_chains_omitted,
                     1);
    client_identity_unref(identity);
    trust->max_forward_bytes = 100;
    assert_null(client_identity_new(trust, bed.leaf, NULL, &err));
    assert_int_equal(err, SP_LIMIT);
    sk_X509_free(chain);
    client_trust_unref(trust);
}

static void a_name_holds_nothing_but_printable_ascii(void **state)
{
    static const char name[] = "a\r\nX-Evil: 1\x01\x7f\xc3\xa4\"\\, b";
    struct client_identity *identity;
    struct client_trust *trust;

    (void)state;
    bed.conf.forward = CLIENT_AUTH_SUBJECT;
    trust = loaded();
    X509_free(bed.leaf);
    bed.leaf = issued(name, false);
    identity = identity_of(trust, NULL);
    assert_true(identity->subject.len > 10);
    for (size_t i = 0; i < identity->subject.len; i++)
        assert_in_range((unsigned char)identity->subject.p[i], 0x20, 0x7e);
    client_identity_unref(identity);
    client_trust_unref(trust);
}

/* ---- Out of memory ---- */

static void a_load_survives_each_failed_allocation(void **state)
{
    (void)state;
    use_list(bed.leaf);
    for (unsigned nth = 0;; nth++) {
        struct client_trust *trust;

        failing_alloc_arm(nth);
        trust = client_trust_load(&bed.conf, &bed.load);
        if (!failing_alloc_hit()) {
            assert_non_null(trust);
            client_trust_unref(trust);
            return;
        }
        client_trust_unref(trust);
        assert_int_equal(ERR_peek_error(), 0);
        cert_problems_fini(&bed.problems);
    }
}

static void an_identity_survives_each_failed_allocation(void **state)
{
    STACK_OF(X509) *chain = sk_X509_new_null();
    struct client_trust *trust;

    (void)state;
    bed.conf.forward = CLIENT_AUTH_CERT | CLIENT_AUTH_CHAIN | CLIENT_AUTH_SUBJECT;
    trust = loaded();
    (void)sk_X509_push(chain, bed.leaf);
    (void)sk_X509_push(chain, bed.root);
    for (unsigned nth = 0;; nth++) {
        struct client_identity *identity;
        enum sp_err err;

        failing_alloc_arm(nth);
        identity = client_identity_new(trust, bed.leaf, chain, &err);
        if (!failing_alloc_hit()) {
            assert_non_null(identity);
            client_identity_unref(identity);
            break;
        }
        assert_int_equal(err, identity == NULL ? SP_NOMEM : SP_OK);
        if (identity != NULL) /* whole all the same */
            assert_true(identity->cert.len > 0 && identity->chain.len > 0);
        client_identity_unref(identity);
        assert_int_equal(ERR_peek_error(), 0);
    }
    sk_X509_free(chain);
    client_trust_unref(trust);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(an_authority_vouches_for_its_own),
        TEST(files_without_authorities_are_refused),
        TEST(what_is_no_authority_is_refused),
        TEST(a_repeated_or_expired_authority_is_a_warning),
        TEST(who_is_on_the_list_is_out),
        TEST(a_list_has_to_be_signed_by_its_authority),
        TEST(a_list_that_is_out_of_date_is_refused_where_another_one_serves),
        TEST(an_authority_without_a_list_is_told),
        TEST(a_revoked_authority_is_left_out),
        TEST(lists_that_are_none_are_refused),
        TEST(the_same_is_read_once),
        TEST(a_certificate_is_told_in_full),
        TEST(a_chain_is_a_list_without_the_first),
        TEST(what_does_not_fit_is_not_told),
        TEST(a_name_holds_nothing_but_printable_ascii),
        TEST(a_load_survives_each_failed_allocation),
        TEST(an_identity_survives_each_failed_allocation),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
