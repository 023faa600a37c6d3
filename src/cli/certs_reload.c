/* sallyport certs reload: what changed, with both certificates, and what was refused and why. */
#include "certs_verbs.h"
#include "shown.h"

#include <stdlib.h>
#include <string.h>

#define DAY_S 86400

/* ---- Problems ---- */

/* "error: bundle shop: /etc/shop.pem: what is wrong", or "error: port 443: ..." */
static void tell_problems(const json_t *answer)
{
    const json_t *problem;
    char line[1024];
    size_t i;

    json_array_foreach(json_object_get(answer, "problems"), i, problem)
    {
        const char *file = json_string_value(json_object_get(problem, "file"));
        bool of_port = json_object_get(problem, "port") != NULL;

        (void)snprintf(line, sizeof(line), "%s: %s %s: %s%s%s", certs_text(problem, "level"),
                       of_port ? "port" : "bundle",
                       certs_text(problem, of_port ? "port" : "bundle"), file == NULL ? "" : file,
                       file == NULL ? "" : ": ", certs_text(problem, "text"));
        (void)fprintf(stderr, "%s\n", show_plain(line));
    }
}

/* ---- Changes ---- */

static void show_side(const char *what, const json_t *certificate)
{
    char date[CERTS_DATE];

    (void)printf("    %-4s  expires %s  serial %s\n          sha256 %s\n", what,
                 certs_date(certificate, "not_after", date), certs_text(certificate, "serial"),
                 certs_text(certificate, "fingerprint"));
}

static bool is_same(const json_t *old, const json_t *new)
{
    return old != NULL && json_equal(json_object_get(old, "fingerprint"),
                                     json_object_get(new, "fingerprint")) == 1;
}

static void show_pair(const json_t *pair)
{
    const json_t *old = json_object_get(pair, "old"), *new = json_object_get(pair, "new");

    (void)printf("  %s%s\n", certs_text(new == NULL ? old : new, "key"),
                 new == NULL         ? ": gone"
                 : old == NULL       ? ": additional"
                 : is_same(old, new) ? ": the same certificate, read anew"
                                     : "");
    if (old != NULL && !is_same(old, new))
        show_side("old", old);
    if (new != NULL)
        show_side(is_same(old, new) ? "" : "new", new);
}

static void show_bundle(const json_t *bundle)
{
    const json_t *pair;
    size_t i;

    (void)printf("%s: %s\n", certs_text(bundle, "bundle"), certs_text(bundle, "outcome"));
    json_array_foreach(json_object_get(bundle, "certificates"), i, pair) show_pair(pair);
}

static long long count(const json_t *answer, const char *name)
{
    return json_integer_value(json_object_get(answer, name));
}

static int judge(const json_t *answer)
{
    return count(answer, "refused") + count(answer, "client_auth_refused") > 0 ? EXIT_REFUSED
                                                                               : EXIT_DONE;
}

static void show_sum(const struct certs_asking *a, const json_t *answer)
{
    bool would = a->dry_run;

    (void)printf("%s%lld %s, %lld %s, %lld %s (%.1f ms)\n", would ? "dry run: " : "",
                 count(answer, "changed"), would ? "would change" : "changed",
                 count(answer, "kept"), would ? "stay as they are" : "as before",
                 count(answer, "refused"), would ? "would be refused" : "refused",
                 json_number_value(json_object_get(answer, "took_ms")));
}

static int show(const struct certs_asking *a, const json_t *answer)
{
    const json_t *bundle;
    size_t i;

    json_array_foreach(json_object_get(answer, "bundles"), i, bundle) show_bundle(bundle);
    (void)fflush(stdout); /* before what stands on the other stream */
    tell_problems(answer);
    show_sum(a, answer);
    if (count(answer, "client_auth_changed") > 0) {
        (void)printf("certificates of clients: rules of %lld ports %s\n",
                     count(answer, "client_auth_changed"),
                     json_is_true(json_object_get(answer, "dry_run")) ? "would change" : "changed");
    }
    if (json_is_true(json_object_get(answer, "canary")))
        (void)printf("canary: %s%s of the handshakes are served with what changed\n", a->canary,
                     strchr(a->canary, '%') == NULL ? "%" : "");
    return judge(answer);
}

/* "5", "0.5%", "100%": more than nothing, at most all. */
static bool is_share(const char *text)
{
    size_t digits = strspn(text, "0123456789"), behind = digits;
    char *end;

    if (text[behind] == '.')
        behind += 1 + strspn(text + behind + 1, "0123456789");
    if (digits == 0 || (strcmp(text + behind, "%") != 0 && text[behind] != '\0'))
        return false;
    double percent = strtod(text, &end);
    return percent >= 0.01 && percent <= 100;
}

/* "90", "90s", "5m", "1h", in seconds; 0: none of them, or more than a day. */
static uint32_t seconds_of(const char *text)
{
    size_t digits = strspn(text, "0123456789");
    const char *unit = text + digits;
    unsigned long n = strtoul(text, NULL, 10);
    uint32_t seconds = *unit == 'm' ? 60 : *unit == 'h' ? 3600 : 1;

    if (digits == 0 || digits > 6 || n > DAY_S / seconds)
        return 0;
    if (*unit != '\0' && (strchr("smh", *unit) == NULL || unit[1] != '\0'))
        return 0;
    return (uint32_t)n * seconds;
}

/* EXIT_DONE, or what was wrong was told. */
static int add_canary(const struct certs_asking *a, struct certs_path *path)
{
    char seconds[16];

    if (a->canary == NULL) {
        return a->canary_for == NULL
                   ? EXIT_DONE
                   : command_misused(&command_certs, "reload: --canary-for goes with --canary");
    }
    if (!is_share(a->canary))
        return command_misused(
            &command_certs, "reload: --canary takes a share such as \"5%%\", from 0.01%% to 100%%");
    certs_path_add(path, "canary", a->canary);
    if (a->canary_for == NULL)
        return EXIT_DONE;
    if (seconds_of(a->canary_for) == 0) {
        return command_misused(
            &command_certs,
            "reload: --canary-for takes a time such as \"60s\" or \"5m\", up to a day");
    }
    (void)snprintf(seconds, sizeof(seconds), "%u", seconds_of(a->canary_for));
    certs_path_add(path, "canary_s", seconds);
    return EXIT_DONE;
}

int certs_reload(const struct certs_asking *a)
{
    struct certs_path path = certs_path_of("/certs/reload");
    int status = add_canary(a, &path);

    if (status != EXIT_DONE)
        return status;

    for (int i = 0; i < a->n_words; i++)
        certs_path_add(&path, "bundle", a->words[i]);
    if (a->partial)
        certs_path_add(&path, "partial", NULL);
    if (a->dry_run)
        certs_path_add(&path, "dry_run", NULL);
    return certs_ask(
        a,
        &(struct certs_call){
            .method = "POST", .path = &path, .show = show, .judge = judge, .tell = tell_problems});
}
