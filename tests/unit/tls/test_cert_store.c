#include "cert_bundle.h"
#include "cert_report.h"
#include "cert_stores.h"
#include "failing_alloc.h"
#include "openssl_alloc.h"
#include "tls_certs.h"

#include <openssl/err.h>

#include <sys/stat.h>

static struct cert_store *load(const struct tls_port_conf *conf, struct report *report,
                               enum sp_err *err)
{
    const struct cert_reporter reporter = {.report = report_take, .arg = report};

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

static void a_second_key_of_a_type_is_told(void **state)
{
    struct cert_conf certs[] = {cert_files_make(*state, "a", KEY_EC, "DNS:a.example"),
                                cert_files_make(*state, "r", KEY_RSA, "DNS:a.example"),
                                cert_files_make(*state, "b", KEY_EC, "DNS:a.example")};

    assert_refused(certs, 3, "shop|b.key|is the bundle's second key of type EC");
    assert_warned(certs, 2, "");
}

static void names_that_are_none_or_doubled_are_told(void **state)
{
    struct cert_conf certs[] = {
        cert_files_make(*state, "a", KEY_EC, "DNS:a.example,DNS:w*.example,DNS:*"),
        cert_files_make(*state, "b", KEY_EC, "DNS:A.example"),
        cert_files_make(*state, "c", KEY_EC, "IP:192.0.2.1")};
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_FOLDER(names_lead_to_bundles),
        WITH_FOLDER(the_default_bundle_may_stand_beside_the_list),
        WITH_FOLDER(missing_files_are_both_told),
        WITH_FOLDER(every_bad_bundle_is_told),
        WITH_FOLDER(a_second_key_of_a_type_is_told),
        WITH_FOLDER(names_that_are_none_or_doubled_are_told),
        WITH_FOLDER(many_names_are_all_found),
        WITH_FOLDER(a_load_survives_each_failed_allocation),
    };

    if (!openssl_take_allocator())
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
