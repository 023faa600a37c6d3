#include "cert_set_internal.h"
#include "failing_alloc.h"
#include "tls_certs.h"

#include <openssl/err.h>

#include <sys/stat.h>

enum { N = 4 };

struct bed {
    struct test_folder folder;
    struct cert_conf certs[N];
    struct bundle_conf bundles[N];
    struct cert_problems problems;
    struct cert_reporter reporter;
};

static int setup(void **state)
{
    static const char *const names[N] = {"a", "b", "c", "d"};
    struct bed *bed = calloc(1, sizeof(*bed));

    assert_non_null(bed);
    folder_make(&bed->folder);
    cert_problems_init(&bed->problems);
    bed->reporter = (struct cert_reporter){cert_problems_keep, &bed->problems};
    for (int i = 0; i < N; i++) {
        char alt[32];

        (void)snprintf(alt, sizeof(alt), "DNS:%s.example", names[i]);
        bed->certs[i] = cert_files_make(&bed->folder, names[i], KEY_EC, alt);
        bed->bundles[i] =
            (struct bundle_conf){.name = view_of(names[i]), .certs = &bed->certs[i], .n_certs = 1};
    }
    *state = bed;
    return 0;
}

static int teardown(void **state)
{
    struct bed *bed = *state;

    cert_problems_fini(&bed->problems);
    folder_remove(&bed->folder);
    free(bed);
    ERR_clear_error();
    return 0;
}

static struct cert_set_options options_of(const struct bed *bed, const struct cert_set *old)
{
    return (struct cert_set_options){.bundles = bed->bundles,
                                     .n_bundles = N,
                                     .old = old,
                                     .look = CERT_LOOK_FILES,
                                     .reporter = &bed->reporter};
}

static struct cert_set *load(const struct cert_set_options *options)
{
    enum sp_err err;
    struct cert_set *set = cert_set_load(options, &err);

    assert_non_null(set);
    assert_int_equal(err, SP_OK);
    return set;
}

static struct cert_set *load_all(const struct bed *bed, const struct cert_set *old)
{
    const struct cert_set_options options = options_of(bed, old);

    return load(&options);
}

/* Another certificate and key in the files of bundle i. */
static void replace(struct bed *bed, int i)
{
    char alt[32];

    (void)snprintf(alt, sizeof(alt), "DNS:%s.example", bed->bundles[i].name.p);
    (void)cert_files_make(&bed->folder, bed->bundles[i].name.p, KEY_EC, alt);
}

static void assert_outcomes(const struct cert_set *set, const enum cert_outcome expected[N])
{
    assert_int_equal(cert_set_n(set), N);
    for (uint32_t i = 0; i < N; i++)
        assert_int_equal(cert_set_outcome(set, i), expected[i]);
}

static void unrefs(struct cert_set *a, struct cert_set *b)
{
    cert_set_unref(a);
    cert_set_unref(b);
}

static void what_did_not_change_is_the_same_object(void **state)
{
    struct bed *bed = *state;
    struct cert_set *first = load_all(bed, NULL), *second;

    assert_outcomes(first, (enum cert_outcome[]){CERT_ADDED, CERT_ADDED, CERT_ADDED, CERT_ADDED});
    replace(bed, 2);
    second = load_all(bed, first);
    assert_outcomes(second, (enum cert_outcome[]){CERT_KEPT, CERT_KEPT, CERT_CHANGED, CERT_KEPT});
    assert_ptr_equal(cert_set_at(first, 0), cert_set_at(second, 0));
    assert_ptr_not_equal(cert_set_at(first, 2), cert_set_at(second, 2));
    assert_true(cert_set_differs(second, first));
    unrefs(first, second);
}

static void nothing_differs_when_nothing_changed(void **state)
{
    struct bed *bed = *state;
    struct cert_set *first = load_all(bed, NULL), *second = load_all(bed, first);

    assert_outcomes(second, (enum cert_outcome[]){CERT_KEPT, CERT_KEPT, CERT_KEPT, CERT_KEPT});
    assert_false(cert_set_differs(second, first));
    unrefs(first, second);
}

static void only_the_named_ones_are_looked_at(void **state)
{
    struct bed *bed = *state;
    const struct view only[] = {VIEW_INIT("d"), VIEW_INIT("nobody")};
    struct cert_set *first = load_all(bed, NULL), *second;
    struct cert_set_options options = options_of(bed, first);

    for (int i = 0; i < N; i++)
        replace(bed, i);
    options.only = only;
    options.n_only = SP_COUNT_OF(only);
    second = load(&options);
    assert_outcomes(second, (enum cert_outcome[]){CERT_KEPT, CERT_KEPT, CERT_KEPT, CERT_CHANGED});
    unrefs(first, second);
}

static void files_are_not_looked_at_for_settings(void **state)
{
    struct bed *bed = *state;
    struct view names[] = {VIEW_INIT("given.example")};
    struct cert_set *first = load_all(bed, NULL), *second;
    struct cert_set_options options = options_of(bed, first);

    replace(bed, 0);
    bed->bundles[1].names = names;
    bed->bundles[1].n_names = 1;
    options.look = CERT_LOOK_SETTINGS;
    second = load(&options);
    assert_outcomes(second, (enum cert_outcome[]){CERT_KEPT, CERT_CHANGED, CERT_KEPT, CERT_KEPT});
    assert_true(view_eq(cert_bundle_host(cert_set_at(second, 1), 0), VIEW("given.example")));
    unrefs(first, second);
}

static void one_bad_bundle_keeps_everything_as_it_is(void **state)
{
    struct bed *bed = *state;
    struct cert_set *first = load_all(bed, NULL);
    const struct cert_set_options options = options_of(bed, first);
    enum sp_err err;

    replace(bed, 0);
    text_write(bed->certs[3].chain, "no certificate\n");
    assert_null(cert_set_load(&options, &err));
    assert_int_equal(err, SP_INVALID);
    assert_true(bed->problems.n_errors > 0);
    assert_true(view_eq(bed->problems.v[0].bundle, VIEW("d")));
    cert_set_unref(first);
}

static void a_partial_load_takes_the_good_ones(void **state)
{
    struct bed *bed = *state;
    struct cert_set *first = load_all(bed, NULL), *second;
    struct cert_set_options options = options_of(bed, first);

    replace(bed, 0);
    text_write(bed->certs[3].chain, "no certificate\n");
    options.partial = true;
    second = load(&options);
    assert_outcomes(second, (enum cert_outcome[]){CERT_CHANGED, CERT_KEPT, CERT_KEPT, CERT_FAILED});
    assert_ptr_equal(cert_set_at(first, 3), cert_set_at(second, 3));
    assert_true(bed->problems.n_errors > 0);

    /* What failed is not forgotten: the old one has the old files' stamps. */
    struct cert_set *third;
    replace(bed, 3);
    third = load_all(bed, second);
    assert_outcomes(third, (enum cert_outcome[]){CERT_KEPT, CERT_KEPT, CERT_KEPT, CERT_CHANGED});
    cert_set_unref(third);
    unrefs(first, second);
}

static void a_new_bundle_has_nothing_to_fall_back_on(void **state)
{
    struct bed *bed = *state;
    struct cert_set_options options = options_of(bed, NULL);
    enum sp_err err;

    text_write(bed->certs[1].key, "no key\n");
    options.partial = true;
    assert_null(cert_set_load(&options, &err));
    assert_int_equal(err, SP_INVALID);
}

static void counts_go_on_in_the_next_one(void **state)
{
    struct bed *bed = *state;
    struct cert_set *first = load_all(bed, NULL), *second;

    cert_bundle_count(cert_set_at(first, 1), CERT_HANDSHAKE_FULL);
    cert_bundle_count(cert_set_at(first, 1), CERT_HANDSHAKE_RESUMED);
    cert_bundle_count(cert_set_at(first, 1), CERT_HANDSHAKE_FAILED);
    replace(bed, 1);
    second = load_all(bed, first);
    cert_bundle_count(cert_set_at(second, 1), CERT_HANDSHAKE_FULL);
    assert_int_equal(cert_bundle_use(cert_set_at(second, 1)).handshakes, 3);
    assert_int_equal(cert_bundle_use(cert_set_at(second, 1)).full, 2);
    assert_int_equal(cert_bundle_use(cert_set_at(second, 1)).failed, 1);
    assert_int_equal(cert_bundle_own_use(cert_set_at(second, 1)).handshakes, 1);
    assert_true(cert_bundle_use(cert_set_at(second, 1)).last_ms > 0);
    unrefs(first, second);
}

static void a_bundle_describes_itself(void **state)
{
    struct bed *bed = *state;
    struct cert_set *set = load_all(bed, NULL);
    const struct cert_bundle *b = cert_set_find(set, VIEW("b"));
    struct cert_info info;

    assert_non_null(b);
    assert_null(cert_set_find(set, VIEW("e")));
    cert_bundle_describe(b, 0, &info);
    assert_string_equal(info.key, "ECDSA P-256");
    assert_int_equal(strlen(info.fingerprint), 64);
    assert_true(strlen(info.serial) > 0);
    assert_string_equal(info.subject, "CN=b");
    assert_true(info.not_before_s < info.not_after_s);
    assert_int_equal(cert_bundle_not_after_s(b), info.not_after_s);
    assert_int_equal(cert_bundle_n_names(b), 1);
    assert_true(view_eq(cert_bundle_host(b, 0), VIEW("b.example")));
    cert_set_unref(set);
}

/* More than one thread's share, so that threads are started. */
static void many_are_read_and_told_in_order(void **state)
{
    enum { MANY = 300 };
    static struct bundle_conf bundles[MANY];
    static char names[MANY][16];
    struct bed *bed = *state;
    struct cert_conf missing = {.chain = folder_file(&bed->folder, "no.pem"),
                                .key = folder_file(&bed->folder, "no.key")};
    struct cert_set_options options = options_of(bed, NULL);
    enum sp_err err;

    for (int i = 0; i < MANY; i++) {
        (void)snprintf(names[i], sizeof(names[i]), "n%d", i);
        bundles[i] = (struct bundle_conf){.name = view_of(names[i]),
                                          .certs = i % 100 == 50 ? &missing : bed->certs,
                                          .n_certs = 1};
    }
    options.bundles = bundles;
    options.n_bundles = MANY;
    assert_null(cert_set_load(&options, &err));
    assert_int_equal(err, SP_INVALID);
    assert_int_equal(bed->problems.n_errors, 6); /* two files each */
    assert_true(view_eq(bed->problems.v[0].bundle, VIEW("n50")));
    for (uint32_t i = 1; i < bed->problems.n; i++)
        assert_true(atoi(bed->problems.v[i - 1].bundle.p + 1) <=
                    atoi(bed->problems.v[i].bundle.p + 1));
    bundles[50].certs = bundles[150].certs = bundles[250].certs = bed->certs;
    struct cert_set *set = load(&options);
    assert_int_equal(cert_set_n(set), MANY);
    assert_non_null(cert_set_find(set, VIEW("n299")));
    cert_set_unref(set);
}

static void a_reload_survives_each_failed_allocation(void **state)
{
    struct bed *bed = *state;
    struct cert_set *first = load_all(bed, NULL);
    const struct cert_set_options options = options_of(bed, first);
    enum sp_err err;

    replace(bed, 1);
    for (unsigned nth = 0;; nth++) {
        struct cert_set *next;

        failing_alloc_arm(nth);
        next = cert_set_load(&options, &err);
        if (!failing_alloc_hit()) {
            assert_non_null(next);
            unrefs(first, next);
            return;
        }
        if (next == NULL)
            assert_true(err == SP_NOMEM || err == SP_INVALID);
        cert_set_unref(next);
        assert_int_equal(ERR_peek_error(), 0);
    }
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(what_did_not_change_is_the_same_object),
        TEST(nothing_differs_when_nothing_changed),
        TEST(only_the_named_ones_are_looked_at),
        TEST(files_are_not_looked_at_for_settings),
        TEST(one_bad_bundle_keeps_everything_as_it_is),
        TEST(a_partial_load_takes_the_good_ones),
        TEST(a_new_bundle_has_nothing_to_fall_back_on),
        TEST(counts_go_on_in_the_next_one),
        TEST(a_bundle_describes_itself),
        TEST(many_are_read_and_told_in_order),
        TEST(a_reload_survives_each_failed_allocation),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
