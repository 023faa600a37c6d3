/* POST /certs/reload: the transaction of cert_reload.h, and what it changed. */
#include "admin_certs.h"
#include "cert_reload.h"
#include "server_internal.h"

#include <sallyport/base/clock.h>
#include <sallyport/config/nearest.h>

#include <string.h>

#define CANARY_MAX_S 86400

/* ---- What changed ---- */

/* "ECDSA P-256" and "ECDSA P-384" are of one type, of which a bundle has at most one. */
static bool is_same_type(const struct cert_info *a, const struct cert_info *b)
{
    size_t n = strcspn(a->key, " ");

    return n == strcspn(b->key, " ") && strncmp(a->key, b->key, n) == 0;
}

/* The certificate of `bundle` whose place this one has, or will have. */
static bool counterpart(const struct cert_bundle *bundle, const struct cert_info *of,
                        struct cert_info *out)
{
    for (uint32_t i = 0; bundle != NULL && i < cert_bundle_n_certs(bundle); i++) {
        cert_bundle_describe(bundle, i, out);
        if (is_same_type(of, out))
            return true;
    }
    return false;
}

static void write_side(struct json_writer *j, const char *name, const struct cert_info *info)
{
    json_object(j, name);
    admin_certs_write(j, info);
    json_end(j);
}

static void write_pair(struct json_writer *j, const struct cert_info *old,
                       const struct cert_info *new)
{
    json_object(j, NULL);
    if (old != NULL)
        write_side(j, "old", old);
    if (new != NULL)
        write_side(j, "new", new);
    json_end(j);
}

static void write_certificates(struct json_writer *j, const struct cert_bundle *before,
                               const struct cert_bundle *after)
{
    struct cert_info old, new;

    json_array(j, "certificates");
    for (uint32_t i = 0; i < cert_bundle_n_certs(after); i++) {
        cert_bundle_describe(after, i, &new);
        write_pair(j, counterpart(before, &new, &old) ? &old : NULL, &new);
    }
    for (uint32_t i = 0; before != NULL && i < cert_bundle_n_certs(before); i++) {
        cert_bundle_describe(before, i, &old);
        if (!counterpart(after, &old, &new))
            write_pair(j, &old, NULL);
    }
    json_end(j);
}

static void write_change(struct json_writer *j, const struct cert_reload_outcome *o, uint32_t i)
{
    static const char *const outcomes[] = {[CERT_KEPT] = "kept",
                                           [CERT_ADDED] = "added",
                                           [CERT_CHANGED] = "changed",
                                           [CERT_FAILED] = "refused"};
    const struct cert_bundle *bundle = cert_set_at(o->after, i);
    enum cert_outcome outcome = cert_set_outcome(o->after, i);

    json_object(j, NULL);
    json_text(j, "bundle", cert_bundle_name(bundle));
    json_string(j, "outcome", outcomes[outcome]);
    if (outcome != CERT_FAILED)
        write_certificates(j, cert_set_find(o->before, cert_bundle_name(bundle)), bundle);
    json_end(j);
}

static void write_changes(struct json_writer *j, const struct cert_reload_outcome *o)
{
    uint32_t n[CERT_FAILED + 1] = {0};

    json_array(j, "bundles");
    for (uint32_t i = 0; o->after != NULL && i < cert_set_n(o->after); i++) {
        n[cert_set_outcome(o->after, i)]++;
        if (cert_set_outcome(o->after, i) != CERT_KEPT)
            write_change(j, o, i);
    }
    json_end(j);
    if (o->after == NULL)
        return;
    json_number(j, "changed", n[CERT_CHANGED] + n[CERT_ADDED]);
    json_number(j, "kept", n[CERT_KEPT]);
    json_number(j, "refused", n[CERT_FAILED]);
    json_number(j, "client_auth_changed", cert_set_n_changed_rules(o->after, o->before));
    json_number(j, "client_auth_refused", cert_set_n_refused_ports(o->after));
}

static void write_problems(struct json_writer *j, const struct cert_problems *problems)
{
    json_array(j, "problems");
    for (uint32_t i = 0; i < problems->n; i++) {
        const struct cert_problem *p = &problems->v[i];

        json_object(j, NULL);
        json_string(j, "level", p->warning ? "warning" : "error");
        if (p->port.len > 0)
            json_text(j, "port", p->port);
        else
            json_text(j, "bundle", p->bundle);
        if (p->file.len > 0)
            json_text(j, "file", p->file);
        json_text(j, "text", p->text);
        json_end(j);
    }
    json_end(j);
}

/* ---- The answer ---- */

static void answer(struct admin_answer *a, const struct cert_reload_options *options,
                   const struct cert_reload_outcome *o, int64_t took_us)
{
    struct json_writer *j = &a->json;

    if (o->status == CERT_RELOAD_FAILED) {
        admin_problem(a, 503, "%s", sp_err_text(o->err));
        return;
    }
    if (o->status == CERT_RELOAD_REFUSED)
        admin_problem_begin(a, 422, "nothing has changed: there is something wrong");
    else
        json_object(j, NULL);
    json_bool(j, "swapped", o->swapped);
    json_bool(j, "dry_run", options->dry_run);
    json_bool(j, "canary", o->tried);
    json_decimal(j, "took_ms", (double)took_us / 1000);
    write_changes(j, o);
    write_problems(j, &o->problems);
    json_end(j);
}

/* ---- The request ---- */

static void refuse_bundle(struct admin_answer *a, struct view name, const struct cert_set *set)
{
    struct nearest near;

    nearest_init(&near, name);
    for (uint32_t i = 0; i < cert_set_n(set); i++)
        nearest_offer(&near, cert_bundle_name(cert_set_at(set, i)));
    admin_problem(a, 404, "no bundle \"" VIEW_FMT "\"%s" VIEW_FMT "%s", VIEW_ARG(name),
                  near.best.p == NULL ? "" : "; did you mean \"", VIEW_ARG(near.best),
                  near.best.p == NULL ? "" : "\"?");
}

/* The bundles that are meant. False: 404 or 503 was answered. */
static bool take_bundles(const struct admin_request *rq, struct admin_answer *a,
                         struct cert_reload_options *options)
{
    struct cert_set *set = server_certificates(rq->server);
    struct view rest = rq->query, name;
    struct view *names;
    uint32_t n = 0;
    bool ok = true;

    while (admin_request_query_next(rq, "bundle", &rest, &name))
        n++;
    names = arena_alloc(rq->arena, ((size_t)n + 1) * sizeof(*names));
    if (names == NULL)
        admin_problem(a, 503, "out of memory");
    rest = rq->query;
    for (uint32_t i = 0; names != NULL && ok && i < n; i++) {
        (void)admin_request_query_next(rq, "bundle", &rest, &names[i]);
        ok = cert_set_find(set, names[i]) != NULL;
        if (!ok)
            refuse_bundle(a, names[i], set);
    }
    cert_set_unref(set);
    options->bundles = names;
    options->n_bundles = n;
    return ok && names != NULL;
}

/* "5", "0.5", "5%": in SSL_PORT_WHOLE parts, at least one. */
static bool take_share(struct view text, uint32_t *share)
{
    uint32_t whole = 0, part = 0, unit = SSL_PORT_WHOLE / 100;
    size_t i = 0;

    for (; i < text.len && i < 4 && text.p[i] >= '0' && text.p[i] <= '9'; i++)
        whole = whole * 10 + (uint32_t)(text.p[i] - '0');
    if (i == 0)
        return false;
    if (i < text.len && text.p[i] == '.') {
        for (i++; i < text.len && text.p[i] >= '0' && text.p[i] <= '9'; i++) {
            unit /= 10;
            part += unit * (uint32_t)(text.p[i] - '0');
        }
    }
    if (i < text.len && text.p[i] == '%')
        i++;
    *share = whole * (SSL_PORT_WHOLE / 100) + part;
    return i == text.len && *share > 0 && *share <= SSL_PORT_WHOLE;
}

/* False: 400 was answered. */
static bool take_canary(const struct admin_request *rq, struct admin_answer *a,
                        struct cert_canary_options *canary)
{
    uint64_t for_s = CERT_CANARY_FOR_MS / 1000;
    struct view text;

    if (!admin_request_number(rq, a, "canary_s", 1, CANARY_MAX_S, &for_s))
        return false;
    canary->for_ms = (uint32_t)for_s * 1000;
    if (!admin_request_query(rq, "canary", &text) || take_share(text, &canary->share))
        return true;
    admin_problem(a, 400,
                  "canary: a share from 0.01 to 100 (percent) is expected, and this is \"" VIEW_FMT
                  "\"",
                  VIEW_ARG(text));
    return false;
}

void admin_certs_reload(const struct admin_request *rq, struct admin_answer *a)
{
    struct cert_reload_options options = {.partial = admin_request_flag(rq, "partial"),
                                          .dry_run = admin_request_flag(rq, "dry_run")};
    struct cert_reload_outcome o;
    int64_t began_ns = clock_mono_ns();

    if (!take_canary(rq, a, &options.canary) || !take_bundles(rq, a, &options))
        return;
    cert_reload_outcome_init(&o);
    cert_reload(rq->server, &options, &o);
    answer(a, &options, &o, (clock_mono_ns() - began_ns) / 1000);
    cert_reload_outcome_fini(&o);
}
