/* What differs between two configurations, as changes and as effects. */
#include "config_fixture.h"
#include "failing_alloc.h"

#include <sallyport/config/diff.h>

#define BASE                                                                                     \
    "{\"ports\": {\"443\": {\"bundles\": [\"a\"]}, \"80\": {\"tls\": false}},"                   \
    " \"bundles\": {\"a\": {\"certs\": [{\"chain\": \"a.pem\", \"key\": \"a.key\"}]}},"          \
    " \"backends\": {\"x\": {\"servers\": [\"127.0.0.1:1\"]}, \"y\": {\"servers\": [\"h:2\"]}}," \
    " \"routes\": [{\"path\": \"/a\", \"backend\": \"x\"}, {\"path\": \"/b\", \"backend\": "     \
    "\"y\"},"                                                                                    \
    "  {\"backend\": \"x\"}],"                                                                   \
    " \"throttle\": {\"exempt\": [\"10.0.0.0/8\"]}}"

struct plan_of {
    const char *patch; /* of BASE */
    const char *text;
};

/* clang-format off */
static const struct plan_of plans[] = {
    {"[]", "no difference\n"},
    {"[{\"op\": \"replace\", \"path\": \"/routes/0/backend\", \"value\": \"y\"}]",
     "~ /routes/0/backend: \"x\" -> \"y\"\n"
     "touches:\n  routes: changed\n"},
    {"[{\"op\": \"add\", \"path\": \"/routes/0\", \"value\": {\"path\": \"/n\", \"respond\": {\"status\": 404}}}]",
     "+ /routes/0: { \"path\": \"/n\", \"respond\": { \"status\": 404 } }\n"
     "touches:\n  routes: changed\n"},
    {"[{\"op\": \"remove\", \"path\": \"/routes/0\"}, {\"op\": \"replace\", \"path\": \"/routes/1/backend\", \"value\": \"y\"}]",
     "- /routes/0: { \"path\": \"/a\", \"backend\": \"x\" }\n"
     "~ /routes/1/backend: \"x\" -> \"y\"\n"
     "touches:\n  routes: changed\n"},
    {"[{\"op\": \"add\", \"path\": \"/ports/8080\", \"value\": {\"tls\": false}}, {\"op\": \"remove\", \"path\": \"/ports/80\"}]",
     "+ /ports/8080: { \"tls\": false }\n"
     "- /ports/80: { \"tls\": false }\n"
     "touches:\n  listener 80: closed, its connections drained\n  listener 8080: opened\n"},
    {"[{\"op\": \"add\", \"path\": \"/ports/443/accept\", \"value\": {\"backlog\": 9, \"mode\": \"single\"}},"
     " {\"op\": \"add\", \"path\": \"/ports/443/strict_sni\", \"value\": true}]",
     "+ /ports/443/accept: { \"backlog\": 9, \"mode\": \"single\" }\n"
     "+ /ports/443/strict_sni: true\n"
     "touches:\n  listener 443: replaced (accept/mode, accept/backlog)\n  port 443: changed (strict_sni)\n"},
    /* An inherited limit: the ports are what it touches. */
    {"[{\"op\": \"add\", \"path\": \"/limits\", \"value\": {\"max_fields\": 7}},"
     " {\"op\": \"add\", \"path\": \"/ports/80/limits\", \"value\": {\"max_fields\": 100}}]",
     "+ /ports/80/limits: { \"max_fields\": 100 }\n"
     "+ /limits: { \"max_fields\": 7 }\n"
     "touches:\n  port 443: changed (limits/max_fields)\n"},
    {"[{\"op\": \"replace\", \"path\": \"/bundles/a/certs/0/key\", \"value\": \"b.key\"}]",
     "~ /bundles/a/certs/0/key: \"a.key\" -> \"b.key\"\n"
     "touches:\n  bundle a: changed (certs)\n"},
    {"[{\"op\": \"add\", \"path\": \"/backends/x/servers/-\", \"value\": \"127.0.0.1:3\"},"
     " {\"op\": \"add\", \"path\": \"/backends/y/retries\", \"value\": 2}]",
     "~ /backends/x/servers: [\"127.0.0.1:1\"] -> [\"127.0.0.1:1\", \"127.0.0.1:3\"]\n"
     "+ /backends/y/retries: 2\n"
     "touches:\n  backend x: changed (servers)\n  backend y: changed (retries)\n"},
    {"[{\"op\": \"add\", \"path\": \"/threads\", \"value\": {\"net\": 3}}, {\"op\": \"add\", \"path\": \"/log\", \"value\": {\"levels\": \"debug\"}}]",
     "+ /threads: { \"net\": 3 }\n+ /log: { \"levels\": \"debug\" }\n"
     "touches:\n  logs log: changed (levels)\n"
     "takes effect at the next start:\n  process threads: changed (net)\n"},
    {"[{\"op\": \"replace\", \"path\": \"/throttle/exempt\", \"value\": [\"10.0.0.0/9\"]}, {\"op\": \"add\", \"path\": \"/user\", \"value\": \"nobody\"}]",
     "~ /throttle/exempt: [\"10.0.0.0/8\"] -> [\"10.0.0.0/9\"]\n+ /user: \"nobody\"\n"
     "takes effect at the next start:\n  limits throttle: changed (exempt)\n  process user: changed\n"},
    /* Changes without effect. */
    {"[{\"op\": \"add\", \"path\": \"/drain_timeout_ms\", \"value\": 30000}, {\"op\": \"add\", \"path\": \"/ports/443///why\", \"value\": \"x\"}]",
     NULL},
    {"[{\"op\": \"add\", \"path\": \"/drain_timeout_ms\", \"value\": 30000}, {\"op\": \"add\", \"path\": \"/ports/443/~1~1 why\", \"value\": \"x\"}]",
     "+ /ports/443/~1~1 why: \"x\"\n+ /drain_timeout_ms: 30000\ntouches nothing that runs\n"},
};
/* clang-format on */

static struct config_document *patched(struct config_document *d, const char *patch)
{
    struct config_edit_problem problem;

    return config_document_edit(d, CONFIG_EDIT_PATCH, VIEW(""), view_of(patch), &problem);
}

static struct config *config_of(struct config_document *d)
{
    struct config_problems problems;
    struct config *c;

    config_problems_init(&problems);
    c = config_of_document(d, &problems);
    if (c == NULL)
        config_problems_print(&problems, stderr);
    config_problems_fini(&problems);
    assert_non_null(c);
    config_document_unref(d);
    return c;
}

static bool fill(struct config_plan *p, const struct config *from, const struct config *to)
{
    config_plan_init(p);
    return config_plan_changes(p, from->document, to->document) && config_plan_effects(p, from, to);
}

static char *printed(const struct config_plan *p, bool json)
{
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);

    assert_non_null(out);
    if (json)
        assert_true(config_plan_print_json(p, out));
    else
        config_plan_print(p, out);
    assert_int_equal(fclose(out), 0);
    return text;
}

static void a_plan_says_what_changes_and_what_that_touches(void **state)
{
    struct parsed *base = parse(BASE);

    (void)state;
    assert_non_null(base->config);
    for (size_t i = 0; i < sizeof(plans) / sizeof(plans[0]); i++) {
        struct config_document *d = patched(base->config->document, plans[i].patch);
        struct config_plan p;

        if (plans[i].text == NULL) {
            assert_null(d);
            continue;
        }
        assert_non_null(d);
        struct config *c = config_of(d);
        assert_true(fill(&p, base->config, c));
        char *text = printed(&p, false);
        assert_string_equal(text, plans[i].text);
        free(text);
        config_plan_fini(&p);
        config_unref(c);
    }
    parsed_free(base);
}

static void a_plan_is_json_for_programs(void **state)
{
    struct parsed *base = parse(BASE);
    struct config *c = config_of(patched(
        base->config->document,
        "[{\"op\": \"replace\", \"path\": \"/ports/80\", \"value\": {\"tls\": false, \"accept\": "
        "{\"fd\": 3}}}, {\"op\": \"add\", \"path\": \"/threads\", \"value\": {\"task\": 2}},"
        " {\"op\": \"remove\", \"path\": \"/throttle\"}]"));
    struct config_plan p;

    (void)state;
    assert_true(fill(&p, base->config, c));
    char *text = printed(&p, true);
    assert_string_equal(
        text, "{\"changes\": [{\"kind\": \"added\", \"pointer\": \"/ports/80/accept\", \"after\": "
              "{ \"fd\": 3 }}, {\"kind\": \"added\", \"pointer\": \"/threads\", \"after\": "
              "{ \"task\": 2 }}, {\"kind\": \"removed\", \"pointer\": \"/throttle\", \"before\": "
              "{ \"exempt\": [\"10.0.0.0/8\"] }}], \"effects\": [{\"part\": \"listener\", "
              "\"kind\": \"changed\", \"pointer\": \"/ports/80\", \"name\": \"80\", \"keys\": "
              "\"accept/fd\", \"restart\": false}, {\"part\": \"limits\", \"kind\": \"changed\", "
              "\"pointer\": \"/throttle\", \"name\": \"throttle\", \"keys\": \"exempt\", "
              "\"restart\": true}, {\"part\": \"process\", \"kind\": \"changed\", \"pointer\": "
              "\"/threads\", \"name\": \"threads\", \"keys\": \"task\", \"restart\": true}]}");
    free(text);
    config_plan_fini(&p);
    config_unref(c);
    parsed_free(base);
}

static void each_failed_allocation_of_a_plan_is_survived(void **state)
{
    struct parsed *base = parse(BASE);
    struct config *c = config_of(patched(
        base->config->document,
        "[{\"op\": \"remove\", \"path\": \"/routes/1\"}, {\"op\": \"add\", \"path\": \"/ports/81\","
        " \"value\": {\"tls\": false}}, {\"op\": \"add\", \"path\": \"/routes/0/host\", \"value\": "
        "\"h\"}, {\"op\": \"add\", \"path\": \"/ports/443/preset\", \"value\": \"modern\"}]"));

    (void)state;
    for (unsigned nth = 0;; nth++) {
        struct config_plan p;

        failing_alloc_arm(nth);
        bool ok = fill(&p, base->config, c);
        bool hit = failing_alloc_hit();
        assert_int_equal(ok, !hit);
        config_plan_fini(&p);
        assert_int_equal(failing_alloc_live(), 0);
        if (!hit)
            break;
    }
    config_unref(c);
    parsed_free(base);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_plan_says_what_changes_and_what_that_touches),
        cmocka_unit_test(a_plan_is_json_for_programs),
        cmocka_unit_test(each_failed_allocation_of_a_plan_is_survived),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
