/* sallyport certs list: a row for each certificate, the first to expire at the top. */
#include "certs_verbs.h"
#include "shown.h"
#include "table.h"

#include <stdlib.h>
#include <string.h>

struct row {
    const json_t *bundle, *certificate;
};

static int64_t days_left(const json_t *certificate)
{
    return json_integer_value(json_object_get(certificate, "days_left"));
}

/* Times are written so that their text has their order. */
static int by_expiry(const void *a, const void *b)
{
    const struct row *x = a, *y = b;
    int order =
        strcmp(certs_text(x->certificate, "not_after"), certs_text(y->certificate, "not_after"));

    return order != 0 ? order
                      : strcmp(certs_text(x->bundle, "bundle"), certs_text(y->bundle, "bundle"));
}

/* ---- Cells ---- */

static void add_name(struct table *t, const json_t *bundle)
{
    const json_t *names = json_object_get(bundle, "names");
    const char *first = json_string_value(json_array_get(names, 0));
    size_t more = json_array_size(names) > 1 ? json_array_size(names) - 1 : 0;

    if (more > 0)
        table_cell(t, "%s +%zu", first == NULL ? "-" : first, more);
    else
        table_cell(t, "%s", first == NULL ? "-" : first);
}

/* Its common name, or its organisation; a comma inside has a backslash before it (RFC 2253 2.4). */
static struct view part_of_name(const char *name, struct view key)
{
    const char *p = name;

    while (*p != '\0') {
        const char *end = p;

        while (*end != '\0' && (*end != ',' || (end > p && end[-1] == '\\')))
            end++;
        if (view_starts_with(view_of(p), key))
            return (struct view){p + key.len, (size_t)(end - p) - key.len};
        p = *end == '\0' ? end : end + 1;
    }
    return (struct view){NULL, 0};
}

static void add_issuer(struct table *t, const json_t *certificate)
{
    const char *issuer = certs_text(certificate, "issuer");
    struct view shown = part_of_name(issuer, VIEW("CN="));

    if (shown.len == 0)
        shown = part_of_name(issuer, VIEW("O="));
    if (shown.len == 0)
        shown = view_of(issuer);
    table_cell(t, VIEW_FMT, VIEW_ARG(shown));
}

/* How old a good one is; otherwise what is the matter. */
static void add_staple(struct table *t, const json_t *certificate)
{
    const json_t *staple = json_object_get(certificate, "staple");
    const char *state = certs_text(staple, "state");
    json_int_t age_s = json_integer_value(json_object_get(staple, "age_s"));
    struct shown age;

    if (strcmp(state, "good") == 0)
        table_cell(t, "%s", show_duration(&age, age_s < 0 ? 0 : (uint64_t)age_s * 1000));
    else
        table_cell(t, "%s", strcmp(state, "none") == 0 ? "-" : state);
}

static void add_last_used(struct table *t, const json_t *bundle)
{
    const char *at = certs_text(bundle, "last_used");

    if (strlen(at) > 19) /* to the second */
        table_cell(t, "%.10s %.8s", at, at + 11);
    else
        table_cell(t, "%s", at);
}

static enum table_tint tint_of(const json_t *certificate)
{
    if (json_is_true(json_object_get(certificate, "expired")))
        return TABLE_RED;
    return json_is_true(json_object_get(certificate, "expires_soon")) ? TABLE_YELLOW : TABLE_PLAIN;
}

static void add_row(struct table *t, const struct row *r)
{
    char date[CERTS_DATE];

    t->tint = tint_of(r->certificate);
    add_name(t, r->bundle);
    table_cell(t, "%s", certs_text(r->bundle, "bundle"));
    table_cell(t, "%s", certs_text(r->certificate, "key"));
    add_issuer(t, r->certificate);
    table_cell(t, "%s", certs_date(r->certificate, "not_after", date));
    table_cell(t, "%lld", (long long)days_left(r->certificate));
    add_staple(t, r->certificate);
    add_last_used(t, r->bundle);
    table_cell(t, "%lld", (long long)json_integer_value(json_object_get(r->bundle, "handshakes")));
}

/* ---- The whole ---- */

static size_t count_rows(const json_t *bundles)
{
    const json_t *bundle;
    size_t i, n = 0;

    json_array_foreach(bundles, i, bundle) n +=
        json_array_size(json_object_get(bundle, "certificates"));
    return n;
}

static size_t collect_rows(const json_t *bundles, struct row *rows)
{
    const json_t *bundle, *certificate;
    size_t i, k, n = 0;

    json_array_foreach(bundles, i, bundle)
    {
        json_array_foreach(json_object_get(bundle, "certificates"), k, certificate) rows[n++] =
            (struct row){bundle, certificate};
    }
    return n;
}

static int show(const struct certs_asking *a, const json_t *answer)
{
    const json_t *bundles = json_object_get(answer, "bundles");
    size_t n = count_rows(bundles);
    struct row *rows = calloc(n + 1, sizeof(*rows));
    struct table t;

    (void)a;
    if (rows == NULL) {
        (void)fputs("sallyport certs: out of memory\n", stderr);
        return EXIT_REFUSED;
    }
    n = collect_rows(bundles, rows);
    qsort(rows, n, sizeof(*rows), by_expiry);
    table_init(&t, "NAME|BUNDLE|KEY|ISSUER|EXPIRES|>DAYS|STAPLE|LAST USED|>HANDSHAKES");
    t.coloured = table_may_colour(stdout);
    for (size_t i = 0; i < n; i++)
        add_row(&t, &rows[i]);
    table_print(&t, stdout);
    free(rows);
    return EXIT_DONE;
}

int certs_list(const struct certs_asking *a)
{
    struct certs_path path = certs_path_of("/certs");

    if (a->n_words > 0)
        return command_misused(&command_certs, "list: \"%s\" is one argument too many",
                               a->words[0]);
    return certs_ask(a, &(struct certs_call){.path = &path, .show = show});
}
