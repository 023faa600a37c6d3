#include "cert_bundle.h"
#include "cert_stores.h"
#include "failing_alloc.h"
#include "tls_certs.h"

#include <openssl/err.h>

#include <sys/stat.h>

/* What a load said, a line each: "bundle|file name|text", "warning: " before a warning. */
struct report {
    char text[8192];
    size_t len;
    unsigned n_errors;
};

static void take_problem(void *arg, const struct cert_problem *problem)
{
    struct report *report = arg;
    const char *slash =
        problem->file.len == 0 ? NULL : memrchr(problem->file.p, '/', problem->file.len);
    struct view file = slash == NULL
                           ? problem->file
                           : view_from(problem->file, (size_t)(slash + 1 - problem->file.p));
    int n =
        snprintf(report->text + report->len, sizeof(report->text) - report->len,
                 "%s" VIEW_FMT "|" VIEW_FMT "|" VIEW_FMT "\n", problem->warning ? "warning: " : "",
                 VIEW_ARG(problem->bundle), VIEW_ARG(file), VIEW_ARG(problem->text));

    assert_true(n > 0 && (size_t)n < sizeof(report->text) - report->len);
    report->len += (size_t)n;
    report->n_errors += !problem->warning;
}

static int setup(void **state)
{
    struct test_folder *f = malloc(sizeof(*f));

    assert_non_null(f);
    folder_make(f);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    folder_remove(*state);
    free(*state);
    ERR_clear_error();
    return 0;
}

static struct cert_store *load(const struct tls_port_conf *conf, struct report *report,
                               enum sp_err *err)
{
    const struct cert_reporter reporter = {.report = take_problem, .arg = report};

    *report = (struct report){0};
    return store_make(conf, &reporter, err);
}

/* One bundle, "shop", of the certificates given. */
static struct cert_store *load_bundle(struct cert_conf *certs, uint32_t n, struct report *report,
                                      enum sp_err *err)
{
    const struct bundle_conf bundle = {.name = VIEW("shop"), .certs = certs, .n_certs = n};
    const struct bundle_conf *list[] = {&bundle};
    const struct tls_port_conf conf = {.bundles = list, .n_bundles = 1};

    return load(&conf, report, err);
}

/* It must be refused, and the report must hold the line. */
static void assert_refused(struct cert_conf *certs, uint32_t n, const char *line)
{
    struct report report;
    enum sp_err err;

    assert_null(load_bundle(certs, n, &report, &err));
    assert_int_equal(err, SP_INVALID);
    assert_true(report.n_errors > 0);
    if (strstr(report.text, line) == NULL)
        fail_msg("\"%s\" is not in:\n%s", line, report.text);
    assert_int_equal(ERR_peek_error(), 0);
}

static void assert_warned(struct cert_conf *certs, uint32_t n, const char *line)
{
    struct report report;
    enum sp_err err;
    struct cert_store *store = load_bundle(certs, n, &report, &err);

    assert_non_null(store);
    if (strstr(report.text, line) == NULL)
        fail_msg("\"%s\" is not in:\n%s", line, report.text);
    cert_store_unref(store);
}

static void assert_bundle(const struct cert_store *store, const char *name, const char *bundle)
{
    const struct cert_bundle *bundle_found = cert_store_match(store, view_of(name)).bundle;
    struct view found =
        bundle_found == NULL ? (struct view){NULL, 0} : cert_bundle_name(bundle_found);

    if (!view_eq(found, view_of(bundle)))
        fail_msg("%s leads to " VIEW_FMT, name, VIEW_ARG(found));
}

static void names_lead_to_bundles(void **state)
{
    struct cert_conf certs[] = {
        cert_files_make(*state, "shop", KEY_EC, "DNS:Shop.Example,DNS:*.shop.example"),
        cert_files_make(*state, "api", KEY_EC, "DNS:api.shop.example,DNS:api.example"),
        cert_files_make(*state, "other", KEY_EC, "DNS:ignored.example"),
    };
    struct view other_names[] = {VIEW_INIT("other.example"), VIEW_INIT("*.other.example")};
    const struct bundle_conf bundles[] = {
        {.name = VIEW_INIT("shop"), .certs = &certs[0], .n_certs = 1},
        {.name = VIEW_INIT("api"), .certs = &certs[1], .n_certs = 1},
        {.name = VIEW_INIT("other"),
         .certs = &certs[2],
         .n_certs = 1,
         .names = other_names,
         .n_names = 2},
    };
    const struct bundle_conf *list[] = {&bundles[0], &bundles[1], &bundles[2]};
    struct tls_port_conf conf = {.bundles = list, .n_bundles = 3, .default_bundle = &bundles[1]};
    struct report report;
    enum sp_err err;
    struct cert_store *store = load(&conf, &report, &err);

    assert_non_null(store);
    assert_bundle(store, "shop.example", "shop");
    assert_bundle(store, "SHOP.EXAMPLE.", "shop"); /* the root's dot, RFC 6066 3 has none */
    assert_bundle(store, "www.shop.example", "shop");
    assert_bundle(store, "api.shop.example", "api"); /* exact before wildcard */
    assert_bundle(store, "a.b.shop.example", "api"); /* one label only: the default */
    assert_bundle(store, "other.example", "other");
    assert_bundle(store, "x.other.example", "other");
    assert_bundle(store, "ignored.example", "api"); /* the configuration names the names */
    assert_bundle(store, "", "api");
    assert_bundle(store, "*.shop.example", "api"); /* no host name */
    assert_bundle(store, "shop\\example", "api");
    cert_store_unref(store);

    conf.strict_sni = true;
    store = load(&conf, &report, &err);
    assert_non_null(store);
    assert_bundle(store, "api.example", "api");
    assert_bundle(store, "unknown.example", "");
    assert_bundle(store, "*.shop.example", "");
    assert_bundle(store, "", "api");
    cert_store_unref(store);
}

static void the_default_bundle_may_stand_beside_the_list(void **state)
{
    struct cert_conf certs[] = {cert_files_make(*state, "a", KEY_EC, "DNS:a.example"),
                                cert_files_make(*state, "b", KEY_EC, "DNS:b.example")};
    const struct bundle_conf bundles[] = {
        {.name = VIEW_INIT("a"), .certs = &certs[0], .n_certs = 1},
        {.name = VIEW_INIT("b"), .certs = &certs[1], .n_certs = 1}};
    const struct bundle_conf *list[] = {&bundles[0]};
    const struct tls_port_conf conf = {
        .bundles = list, .n_bundles = 1, .default_bundle = &bundles[1]};
    struct report report;
    enum sp_err err;
    struct cert_store *store = load(&conf, &report, &err);

    assert_non_null(store);
    assert_bundle(store, "a.example", "a");
    assert_bundle(store, "", "b");
    cert_store_unref(store);
}

static void missing_files_are_both_told(void **state)
{
    struct cert_conf conf = {.chain = folder_file(*state, "no.pem"),
                             .key = folder_file(*state, "no.key")};

    assert_refused(&conf, 1,
                   "shop|no.pem|cannot be opened: No such file or directory\n"
                   "shop|no.key|cannot be opened: No such file or directory\n");
}

static void every_bad_bundle_is_told(void **state)
{
    struct cert_conf certs[] = {
        {.chain = folder_file(*state, "a.pem"), .key = folder_file(*state, "a.key")},
        cert_files_make(*state, "good", KEY_EC, "DNS:good.example"),
        {.chain = folder_file(*state, "b.pem"), .key = folder_file(*state, "b.key")},
    };
    const struct bundle_conf bundles[] = {
        {.name = VIEW_INIT("first"), .certs = &certs[0], .n_certs = 2},
        {.name = VIEW_INIT("second"), .certs = &certs[2], .n_certs = 1}};
    const struct bundle_conf *list[] = {&bundles[0], &bundles[1]};
    const struct tls_port_conf conf = {.bundles = list, .n_bundles = 2};
    struct report report;
    enum sp_err err;

    assert_null(load(&conf, &report, &err));
    assert_int_equal(report.n_errors, 4);
    assert_non_null(strstr(report.text, "first|a.pem|"));
    assert_non_null(strstr(report.text, "second|b.key|"));
}

static void a_file_without_certificates_is_told(void **state)
{
    struct cert_conf conf = cert_files_make(*state, "shop", KEY_EC, "DNS:a.example");

    text_write(conf.chain, "nothing to see here\n");
    assert_refused(&conf, 1, "shop|shop.pem|holds no certificate in PEM form");
    text_write(conf.key, "nothing to see here\n");
    assert_refused(&conf, 1, "shop|shop.key|holds no private key in PEM form");
}

static void a_damaged_certificate_is_told_with_its_place(void **state)
{
    struct cert_conf conf = cert_files_make(*state, "shop", KEY_EC, "DNS:a.example");
    FILE *f = fopen(conf.chain.p, "a");

    (void)fputs("-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n", f);
    assert_int_equal(fclose(f), 0);
    assert_refused(&conf, 1, "shop|shop.pem|certificate 2 cannot be read: ");
}

static void a_key_of_another_certificate_is_told(void **state)
{
    struct cert_conf a = cert_files_make(*state, "a", KEY_EC, "DNS:a.example");
    struct cert_conf b = cert_files_make(*state, "b", KEY_EC, "DNS:b.example");

    a.key = b.key;
    assert_refused(&a, 1, "shop|b.key|does not belong to the certificate in ");
}

static void a_leaf_that_is_not_first_is_told(void **state)
{
    EVP_PKEY *ca_key = key_new(KEY_EC), *key = key_new(KEY_EC);
    X509 *ca = cert_new(&(struct cert_recipe){"CA", NULL, -1, 30, NULL, NULL, true}, ca_key);
    X509 *leaf =
        cert_new(&(struct cert_recipe){"leaf", "DNS:a.example", -1, 30, ca, ca_key, false}, key);
    struct cert_conf conf = {.chain = folder_file(*state, "c.pem"),
                             .key = folder_file(*state, "c.key")};

    pem_write_key(conf.key, key);
    pem_write_cert(conf.chain, ca, "w");
    pem_write_cert(conf.chain, leaf, "a");
    assert_refused(&conf, 1, "shop|c.pem|the key belongs to certificate 2 of the file");

    pem_write_cert(conf.chain, leaf, "w");
    assert_warned(&conf, 1, "warning: shop|c.pem|holds no intermediate certificate");
    pem_write_cert(conf.chain, leaf, "a");
    assert_warned(&conf, 1, "warning: shop|c.pem|certificate 2 of the file did not issue");
    pem_write_cert(conf.chain, leaf, "w");
    pem_write_cert(conf.chain, ca, "a");
    struct report report;
    enum sp_err err;
    struct cert_store *store = load_bundle(&conf, 1, &report, &err);
    assert_non_null(store);
    assert_string_equal(report.text, "");
    cert_store_unref(store);

    X509_free(ca);
    X509_free(leaf);
    EVP_PKEY_free(ca_key);
    EVP_PKEY_free(key);
}

static void an_encrypted_key_is_told_and_nobody_is_asked(void **state)
{
    struct cert_conf conf = cert_files_make(*state, "shop", KEY_EC, "DNS:a.example");
    EVP_PKEY *key = key_new(KEY_EC);
    FILE *f = fopen(conf.key.p, "w");

    assert_int_equal(PEM_write_PKCS8PrivateKey(f, key, EVP_aes_128_cbc(), "secret", 6, NULL, NULL),
                     1);
    assert_int_equal(fclose(f), 0);
    EVP_PKEY_free(key);
    assert_refused(&conf, 1, "shop|shop.key|the key is encrypted; it must be stored without");
}

static void a_second_key_of_a_type_is_told(void **state)
{
    struct cert_conf certs[] = {cert_files_make(*state, "a", KEY_EC, "DNS:a.example"),
                                cert_files_make(*state, "r", KEY_RSA, "DNS:a.example"),
                                cert_files_make(*state, "b", KEY_EC, "DNS:a.example")};

    assert_refused(certs, 3, "shop|b.key|is the bundle's second key of type EC");
    assert_warned(certs, 2, "");
}

static void a_key_that_is_too_short_is_told(void **state)
{
    struct cert_conf conf = {.chain = folder_file(*state, "w.pem"),
                             .key = folder_file(*state, "w.key")};
    EVP_PKEY *key = EVP_RSA_gen(1024);
    X509 *cert =
        cert_new(&(struct cert_recipe){"weak", "DNS:a.example", -1, 30, NULL, NULL, false}, key);

    pem_write_key(conf.key, key);
    pem_write_cert(conf.chain, cert, "w");
    assert_refused(&conf, 1, "shop|w.pem|cannot be used: ee key too small");
    X509_free(cert);
    EVP_PKEY_free(key);
}

static void dates_are_told(void **state)
{
    static const struct {
        int from, to;
        const char *line;
    } cases[] = {
        {-30, -1, "warning: shop|d.pem|the certificate has expired: it was valid until 2"},
        {1, 30, "warning: shop|d.pem|the certificate is not valid yet: it will be from 2"}};

    for (size_t i = 0; i < SP_COUNT_OF(cases); i++) {
        struct cert_conf conf = {.chain = folder_file(*state, "d.pem"),
                                 .key = folder_file(*state, "d.key")};
        EVP_PKEY *key = key_new(KEY_EC);
        X509 *cert = cert_new(&(struct cert_recipe){"dated", "DNS:a.example", cases[i].from,
                                                    cases[i].to, NULL, NULL, false},
                              key);

        pem_write_key(conf.key, key);
        pem_write_cert(conf.chain, cert, "w");
        assert_warned(&conf, 1, cases[i].line);
        X509_free(cert);
        EVP_PKEY_free(key);
    }
}

static void names_that_are_none_or_doubled_are_told(void **state)
{
    struct cert_conf certs[] = {
        cert_files_make(*state, "a", KEY_EC, "DNS:a.example,DNS:w*.example,DNS:*"),
        cert_files_make(*state, "b", KEY_EC, "DNS:A.example"),
        cert_files_make(*state, "c", KEY_EC, NULL)};
    const struct bundle_conf bundles[] = {
        {.name = VIEW_INIT("first"), .certs = &certs[0], .n_certs = 1},
        {.name = VIEW_INIT("second"), .certs = &certs[1], .n_certs = 1},
        {.name = VIEW_INIT("third"), .certs = &certs[2], .n_certs = 1}};
    const struct bundle_conf *list[] = {&bundles[0], &bundles[1], &bundles[2]};
    const struct tls_port_conf conf = {.bundles = list, .n_bundles = 3};
    struct report report;
    enum sp_err err;
    struct cert_store *store = load(&conf, &report, &err);

    assert_non_null(store);
    assert_non_null(strstr(report.text, "first||\"w*.example\" is no host name"));
    assert_non_null(strstr(report.text, "first||\"*\" is no host name"));
    assert_non_null(strstr(
        report.text, "second||\"a.example\" is served by bundle \"first\", which comes first"));
    assert_non_null(strstr(report.text, "third||no certificate has a DNS name"));
    assert_bundle(store, "a.example", "first");
    cert_store_unref(store);
}

static void many_names_are_all_found(void **state)
{
    enum { N = 500 };
    static struct view names[N];
    static char text[N][24];
    struct cert_conf cert = cert_files_make(*state, "many", KEY_EC, "DNS:a.example");
    const struct bundle_conf bundles[] = {
        {.name = VIEW_INIT("none"), .certs = &cert, .n_certs = 1},
        {.name = VIEW_INIT("many"), .certs = &cert, .n_certs = 1, .names = names, .n_names = N}};
    const struct bundle_conf *list[] = {&bundles[0], &bundles[1]};
    const struct tls_port_conf conf = {.bundles = list, .n_bundles = 2};
    struct report report;
    enum sp_err err;

    for (int i = 0; i < N; i++) {
        (void)snprintf(text[i], sizeof(text[i]), "%sn%d.example", i % 3 == 0 ? "*." : "",
                       i * 7919 % N);
        names[i] = view_of(text[i]);
    }
    struct cert_store *store = load(&conf, &report, &err);
    assert_non_null(store);
    for (int i = 0; i < N; i++) {
        char name[sizeof(text[i])];

        memcpy(name, text[i], sizeof(name));
        if (name[0] == '*')
            name[0] = 'x';
        assert_bundle(store, name, "many");
    }
    assert_bundle(store, "n501.example", "none");
    cert_store_unref(store);
}

/* Ours and, through the hooks set in main(), OpenSSL's. */
static void a_load_survives_each_failed_allocation(void **state)
{
    struct cert_conf conf = cert_files_make(*state, "shop", KEY_EC, "DNS:a.example");
    struct report report;
    enum sp_err err;
    unsigned step = 1;

    cert_store_unref(load_bundle(&conf, 1, &report, &err)); /* what OpenSSL makes only once */
    for (unsigned nth = 0;; nth += step) {
        struct cert_store *store;

        failing_alloc_arm(nth);
        store = load_bundle(&conf, 1, &report, &err);
        if (!failing_alloc_hit()) {
            assert_non_null(store);
            cert_store_unref(store);
            return;
        }
        if (store == NULL)
            assert_true(err == SP_NOMEM || err == SP_INVALID || err == SP_TLS_INTERNAL);
        cert_store_unref(store); /* a failure that OpenSSL could do without */
        assert_int_equal(ERR_peek_error(), 0);
        step = nth < 200 ? 1 : 7;
    }
}

static void *hooked_malloc(size_t size, const char *file, int line)
{
    (void)file;
    (void)line;
    return malloc(size);
}

static void *hooked_realloc(void *p, size_t size, const char *file, int line)
{
    (void)file;
    (void)line;
    return realloc(p, size);
}

static void hooked_free(void *p, const char *file, int line)
{
    (void)file;
    (void)line;
    free(p);
}

int main(void)
{
#define WITH_FOLDER(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        WITH_FOLDER(names_lead_to_bundles),
        WITH_FOLDER(the_default_bundle_may_stand_beside_the_list),
        WITH_FOLDER(missing_files_are_both_told),
        WITH_FOLDER(every_bad_bundle_is_told),
        WITH_FOLDER(a_file_without_certificates_is_told),
        WITH_FOLDER(a_damaged_certificate_is_told_with_its_place),
        WITH_FOLDER(a_key_of_another_certificate_is_told),
        WITH_FOLDER(a_leaf_that_is_not_first_is_told),
        WITH_FOLDER(an_encrypted_key_is_told_and_nobody_is_asked),
        WITH_FOLDER(a_second_key_of_a_type_is_told),
        WITH_FOLDER(a_key_that_is_too_short_is_told),
        WITH_FOLDER(dates_are_told),
        WITH_FOLDER(names_that_are_none_or_doubled_are_told),
        WITH_FOLDER(many_names_are_all_found),
        WITH_FOLDER(a_load_survives_each_failed_allocation),
    };

    if (CRYPTO_set_mem_functions(hooked_malloc, hooked_realloc, hooked_free) != 1)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
