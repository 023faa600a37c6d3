/* Whose turn it is, with certificates of a test and a clock of its own. */
#include "failing_alloc.h"
#include "ocsp_plan.h"
#include "ocsp_table.h"
#include "unit_test.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define N_CERTS 4
#define NOW_MS  (INT64_C(1795435500) * 1000)

struct bed {
    char folder[64];
    char paths[N_CERTS][2][128];
    struct cert_conf certs[N_CERTS];
    struct bundle_conf bundles[N_CERTS];
    char names[N_CERTS][16];
    struct cert_set *set;
    struct ocsp_conf conf;
    struct ocsp_table table;
    struct ocsp_now now;
};

static void extend(X509 *cert, int nid, const char *value)
{
    X509V3_CTX ctx;
    X509_EXTENSION *ext;

    X509V3_set_ctx(&ctx, cert, cert, NULL, NULL, 0);
    ext = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
    assert_non_null(ext);
    assert_int_equal(X509_add_ext(cert, ext, -1), 1);
    X509_EXTENSION_free(ext);
}

struct made {
    X509 *cert;
    EVP_PKEY *key;
};

/* `issuer` NULL: signs itself. */
static struct made make(const char *name, const struct made *issuer, const char *url, bool must)
{
    static long serial;
    struct made m = {X509_new(), EVP_EC_gen("P-256")};
    X509_NAME *subject = X509_get_subject_name(m.cert);

    (void)X509_set_version(m.cert, X509_VERSION_3);
    (void)ASN1_INTEGER_set(X509_get_serialNumber(m.cert), ++serial);
    (void)X509_gmtime_adj(X509_getm_notBefore(m.cert), -86400);
    (void)X509_gmtime_adj(X509_getm_notAfter(m.cert), 30 * 86400);
    (void)X509_set_pubkey(m.cert, m.key);
    (void)X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, (const unsigned char *)name, -1,
                                     -1, 0);
    (void)X509_set_issuer_name(m.cert,
                               issuer == NULL ? subject : X509_get_subject_name(issuer->cert));
    if (issuer != NULL)
        extend(m.cert, NID_subject_alt_name, "DNS:x.example");
    if (url != NULL)
        extend(m.cert, NID_info_access, url);
    if (must)
        extend(m.cert, NID_tlsfeature, "status_request");
    assert_true(X509_sign(m.cert, issuer == NULL ? m.key : issuer->key, EVP_sha256()) > 0);
    return m;
}

static void made_free(struct made *m)
{
    X509_free(m->cert);
    EVP_PKEY_free(m->key);
}

static void write_files(struct bed *bed, int i, const struct made *leaf, const struct made *root)
{
    char folder[sizeof(bed->folder)];
    FILE *f;

    memcpy(folder, bed->folder, sizeof(folder));
    (void)snprintf(bed->names[i], sizeof(bed->names[i]), "b%d", i);
    (void)snprintf(bed->paths[i][0], sizeof(bed->paths[i][0]), "%s/%d.pem", folder, i);
    (void)snprintf(bed->paths[i][1], sizeof(bed->paths[i][1]), "%s/%d.key", folder, i);
    f = fopen(bed->paths[i][0], "w");
    assert_non_null(f);
    (void)PEM_write_X509(f, leaf->cert);
    (void)PEM_write_X509(f, root->cert);
    (void)fclose(f);
    f = fopen(bed->paths[i][1], "w");
    assert_non_null(f);
    (void)PEM_write_PrivateKey(f, leaf->key, NULL, NULL, 0, NULL, NULL);
    (void)fclose(f);
    bed->certs[i] =
        (struct cert_conf){.chain = view_of(bed->paths[i][0]), .key = view_of(bed->paths[i][1])};
    bed->bundles[i] =
        (struct bundle_conf){.name = view_of(bed->names[i]), .certs = &bed->certs[i], .n_certs = 1};
}

static void ignore_problem(void *arg, const struct cert_problem *problem)
{
    (void)arg;
    (void)problem;
}

static struct cert_set *load(struct bed *bed, uint32_t n, const struct cert_set *old)
{
    const struct cert_reporter reporter = {.report = ignore_problem};
    enum sp_err err;
    struct cert_set *set = cert_set_load(&(struct cert_set_options){.bundles = bed->bundles,
                                                                    .n_bundles = n,
                                                                    .old = old,
                                                                    .look = CERT_LOOK_FILES,
                                                                    .reporter = &reporter},
                                         &err);

    assert_non_null(set);
    return set;
}

/* 0 and 1 ask one responder, 2 another and must have a staple, 3 nobody. */
static int setup(void **state)
{
    static const char *const urls[N_CERTS] = {"OCSP;URI:http://one.example/a",
                                              "OCSP;URI:http://one.example/b",
                                              "OCSP;URI:http://two.example/", NULL};
    struct bed *bed = calloc(1, sizeof(*bed));
    struct made root = make("root", NULL, NULL, false);

    assert_non_null(bed);
    (void)snprintf(bed->folder, sizeof(bed->folder), "/tmp/sallyport-ocsp-XXXXXX");
    assert_non_null(mkdtemp(bed->folder));
    for (int i = 0; i < N_CERTS; i++) {
        struct made leaf = make("leaf", &root, urls[i], i == 2);

        write_files(bed, i, &leaf, &root);
        made_free(&leaf);
    }
    made_free(&root);
    bed->set = load(bed, N_CERTS, NULL);
    bed->conf = (struct ocsp_conf){.fetch = true};
    bed->now = (struct ocsp_now){.wall_ms = NOW_MS, .mono_ms = 1000000};
    assert_true(ocsp_table_init(&bed->table));
    *state = bed;
    return 0;
}

static int teardown(void **state)
{
    struct bed *bed = *state;

    ocsp_table_fini(&bed->table);
    cert_set_unref(bed->set);
    for (int i = 0; i < N_CERTS; i++) {
        (void)unlink(bed->paths[i][0]);
        (void)unlink(bed->paths[i][1]);
    }
    assert_int_equal(rmdir(bed->folder), 0);
    free(bed);
    return 0;
}

#define BED struct bed *bed = *state

static bool follow(struct bed *bed, const struct cert_set *set)
{
    return ocsp_table_follow(&bed->table,
                             &(struct ocsp_follow){.conf = &bed->conf,
                                                   .sets = (const struct cert_set *const[]){set},
                                                   .n_sets = 1},
                             &bed->now);
}

static struct ocsp_slot *slot_of(const struct bed *bed, uint32_t i)
{
    return cert_bundle_ocsp(cert_set_at(bed->set, i), 0);
}

/* Takes the next one; its slot. */
static struct ocsp_settled take(struct bed *bed)
{
    const struct ocsp_entry *e = ocsp_table_take(&bed->table, &bed->now);
    struct ocsp_settled taken = {.slot = NULL};

    if (e != NULL) {
        taken.slot = e->slots[0];
        taken.host = e->host;
    }
    return taken;
}

static struct ocsp_entry *settle(struct bed *bed, struct ocsp_settled what,
                                 enum ocsp_outcome outcome)
{
    what.outcome = outcome;
    return ocsp_table_settle(&bed->table, &what, &bed->now);
}

static void who_must_have_a_staple_comes_first(void **state)
{
    BED;
    struct ocsp_settled first;

    assert_true(follow(bed, bed->set));
    assert_int_equal(bed->table.n, N_CERTS);
    first = take(bed);
    assert_ptr_equal(first.slot, slot_of(bed, 2));
    assert_non_null(take(bed).slot);
    assert_non_null(take(bed).slot);
    assert_null(take(bed).slot); /* the last one has nobody to ask */
}

static void without_fetching_nobody_is_asked(void **state)
{
    BED;

    bed->conf.fetch = false;
    assert_true(follow(bed, bed->set));
    assert_null(take(bed).slot);
    assert_int_equal(ocsp_table_wait_ms(&bed->table, &bed->now), OCSP_NEVER);
}

static void another_responder_is_asked_about_all(void **state)
{
    BED;

    bed->conf.responder = VIEW("http://all.example/");
    assert_true(follow(bed, bed->set));
    for (int i = 0; i < N_CERTS; i++)
        assert_non_null(take(bed).slot);
}

static void who_failed_rests(void **state)
{
    BED;
    struct ocsp_settled first;
    const struct ocsp_entry *e;

    assert_true(follow(bed, bed->set));
    first = take(bed);
    e = settle(bed, first, STAPLE_MALFORMED);
    assert_int_equal(ocsp_entry_wait_ms(e, &bed->now), OCSP_RETRY_MIN_MS);
    assert_ptr_not_equal(take(bed).slot, first.slot);
    assert_ptr_not_equal(take(bed).slot, first.slot);
    assert_null(take(bed).slot);
    assert_int_equal(ocsp_table_wait_ms(&bed->table, &bed->now), OCSP_RETRY_MIN_MS);
    bed->now.mono_ms += OCSP_RETRY_MIN_MS;
    assert_ptr_equal(take(bed).slot, first.slot);
}

static void a_responder_that_does_not_answer_rests_with_all_its_certificates(void **state)
{
    BED;
    struct ocsp_settled one;

    assert_true(follow(bed, bed->set));
    (void)take(bed); /* the one of another responder */
    one = take(bed);
    (void)settle(bed, one, STAPLE_TIMEOUT);
    assert_null(take(bed).slot);
    bed->now.mono_ms += OCSP_RETRY_MIN_MS;
    one = take(bed); /* one of the two, and only one at a time */
    assert_non_null(one.slot);
    assert_null(take(bed).slot);
    (void)settle(bed, one, STAPLE_UNKNOWN); /* that is an answer: the other one's turn */
    assert_non_null(take(bed).slot);
}

static void the_same_certificate_is_asked_about_once(void **state)
{
    BED;
    struct cert_set *again = load(bed, N_CERTS, NULL);
    const struct cert_set *sets[] = {bed->set, again, bed->set};

    assert_true(ocsp_table_follow(
        &bed->table, &(struct ocsp_follow){.conf = &bed->conf, .sets = sets, .n_sets = 3},
        &bed->now));
    assert_int_equal(bed->table.n, N_CERTS);
    assert_int_equal(bed->table.n_slots, 2 * N_CERTS);
    cert_set_unref(again);
}

static void what_is_known_goes_along(void **state)
{
    BED;
    struct cert_set *next;
    struct ocsp_settled first;
    const struct ocsp_entry *e;

    assert_true(follow(bed, bed->set));
    first = take(bed);
    (void)settle(bed, first, STAPLE_CONNECT);
    next = load(bed, N_CERTS, NULL); /* other objects of the same certificates */
    assert_true(follow(bed, next));
    e = ocsp_table_find(&bed->table, slot_of(bed, 2));
    assert_non_null(e);
    assert_ptr_not_equal(e->slots[0], slot_of(bed, 2));
    assert_int_equal(e->failures, 1);
    assert_int_equal(ocsp_entry_wait_ms(e, &bed->now), OCSP_RETRY_MIN_MS);
    assert_int_equal(ocsp_slot_state(e->slots[0]).last, STAPLE_CONNECT);
    assert_true(follow(bed, NULL));
    cert_set_unref(next);
}

static void an_answer_for_one_that_is_gone_is_dropped(void **state)
{
    BED;
    struct ocsp_settled first;

    assert_true(follow(bed, bed->set));
    first = take(bed);
    (void)ocsp_slot_ref(first.slot);
    assert_true(follow(bed, NULL));
    assert_int_equal(bed->table.n, 0);
    assert_null(settle(bed, first, STAPLE_TIMEOUT));
    assert_false(ocsp_table_has(&bed->table, ocsp_slot_fingerprint(first.slot)));
    ocsp_slot_unref(first.slot);
}

static void totals_tell_who_lacks_what(void **state)
{
    BED;
    struct ocsp_totals totals;

    assert_true(follow(bed, bed->set));
    totals = ocsp_table_totals(&bed->table, &bed->now);
    assert_int_equal(totals.all, N_CERTS);
    assert_int_equal(totals.good, 0);
    assert_int_equal(totals.must_staple_missing, 1);
}

static void failed_allocations_leave_the_table_as_it_was(void **state)
{
    BED;
    bool hit = true;

    for (unsigned n = 0; hit && n < 100; n++) {
        bool ok;

        failing_alloc_arm(n);
        ok = follow(bed, bed->set);
        hit = failing_alloc_hit();
        assert_int_equal(ok, !hit);
        assert_int_equal(bed->table.n, hit ? 0 : N_CERTS);
    }
    assert_false(hit);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(who_must_have_a_staple_comes_first),
        TEST(without_fetching_nobody_is_asked),
        TEST(another_responder_is_asked_about_all),
        TEST(who_failed_rests),
        TEST(a_responder_that_does_not_answer_rests_with_all_its_certificates),
        TEST(the_same_certificate_is_asked_about_once),
        TEST(what_is_known_goes_along),
        TEST(an_answer_for_one_that_is_gone_is_dropped),
        TEST(totals_tell_who_lacks_what),
        TEST(failed_allocations_leave_the_table_as_it_was),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
