/* The configuration and its revisions. What changes it answers with the plan of the change. */
#include "admin_route.h"
#include "server_apply.h"
#include "server_internal.h"

#include <inttypes.h>
#include <stdlib.h>

#define CONFIRM_MAX_MS (UINT64_C(24) * 3600 * 1000)

/* ---- Answering ---- */

static void answer_tag(struct server *s, struct admin_answer *a, const struct config_document *d)
{
    char tag[MANAGED_TAG_MAX];

    managed_config_tag(s, d, tag);
    admin_answer_field(a, "ETag", "\"%s\"", tag);
}

/* What is printed, as one value; `raw`: it is JSON already. */
static void answer_printed(struct admin_answer *a, const char *name, bool raw,
                           const struct config_plan *plan)
{
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);
    bool ok = out != NULL;

    if (ok && raw)
        ok = config_plan_print_json(plan, out);
    else if (ok)
        config_plan_print(plan, out);
    if (out != NULL && fclose(out) != 0)
        ok = false;
    if (!ok)
        json_null(&a->json, name);
    else if (raw)
        json_raw(&a->json, name, (struct view){text, len});
    else
        json_text(&a->json, name, (struct view){text, len});
    free(text);
}

static void answer_plan(struct admin_answer *a, const struct config_plan *plan)
{
    answer_printed(a, "plan", true, plan);
    answer_printed(a, "text", false, plan);
}

static void answer_problems(struct admin_answer *a, const struct config_problems *problems)
{
    json_array(&a->json, "problems");
    for (uint32_t i = 0; i < problems->n; i++) {
        const struct config_problem *p = &problems->v[i];

        json_object(&a->json, NULL);
        json_string(&a->json, "level", p->warning ? "warning" : "error");
        if (p->line > 0) {
            json_number(&a->json, "line", p->line);
            json_number(&a->json, "column", p->column);
        }
        json_text(&a->json, "pointer", p->pointer);
        json_text(&a->json, "text", p->text);
        json_end(&a->json);
    }
    json_end(&a->json);
}

static void answer_edit_problem(struct admin_answer *a, const struct config_edit_problem *p)
{
    static const unsigned statuses[] = {
        [CONFIG_EDIT_OK] = 500,        [CONFIG_EDIT_NOMEM] = 503, [CONFIG_EDIT_MALFORMED] = 400,
        [CONFIG_EDIT_NOT_FOUND] = 404, [CONFIG_EDIT_TEST] = 409,  [CONFIG_EDIT_TOO_LARGE] = 413,
    };

    admin_problem(a, statuses[p->status], "%s", p->text);
}

/* Why it did not come to anything (RFC 9457), with all that is wrong. */
static void answer_failure(struct server *s, struct admin_answer *a,
                           const struct managed_outcome *o)
{
    struct config *now;

    switch (o->status) {
    case MANAGED_EDIT: answer_edit_problem(a, &o->edit); return;
    case MANAGED_PENDING: admin_problem(a, 409, "%s", o->why); return;
    case MANAGED_FAILED: admin_problem(a, 507, "%s", o->why); return;
    case MANAGED_STALE:
        admin_problem(a, 412, "%s", o->why);
        now = server_config(s);
        answer_tag(s, a, now->document);
        config_unref(now);
        return;
    case MANAGED_REFUSED:
        admin_problem_begin(a, 422, "%s", o->why);
        answer_problems(a, &o->problems);
        json_end(&a->json);
        return;
    case MANAGED_OK: break;
    }
}

static void answer_change(struct server *s, struct admin_answer *a, const struct managed_outcome *o)
{
    struct config *now = server_config(s);

    answer_tag(s, a, now->document);
    config_unref(now);
    json_object(&a->json, NULL);
    json_number(&a->json, "revision", o->revision);
    json_bool(&a->json, "applied", o->applied);
    if (o->confirm_by_ms > 0)
        json_time(&a->json, "confirm_by", o->confirm_by_ms);
    json_number(&a->json, "connections", o->connections);
    answer_plan(a, &o->plan);
    answer_problems(a, &o->problems);
    json_end(&a->json);
}

/* ---- Asking ---- */

/* "90", "90s", "5m", "1h". */
static bool take_duration(struct view text, uint64_t *ms)
{
    uint64_t value = 0, unit_ms = 1000;
    size_t i = 0;

    for (; i < text.len && i < 7 && text.p[i] >= '0' && text.p[i] <= '9'; i++)
        value = value * 10 + (uint64_t)(text.p[i] - '0');
    if (i == 0 || text.len > i + 1)
        return false;
    if (i < text.len) {
        switch (text.p[i]) {
        case 's': break;
        case 'm': unit_ms = 60000; break;
        case 'h': unit_ms = 3600000; break;
        default: return false;
        }
    }
    *ms = value * unit_ms;
    return *ms > 0 && *ms <= CONFIRM_MAX_MS;
}

/* What every change takes. False: 400 was answered. */
static bool take_change(const struct admin_request *rq, struct admin_answer *a,
                        struct managed_change *change)
{
    struct view confirm, comment = change->author.comment;

    change->expected = admin_request_field(rq, "if-match");
    change->dry_run = admin_request_flag(rq, "dry_run");
    (void)admin_request_query(rq, "comment", &comment);
    change->author =
        (struct revision_author){.uid = rq->peer.uid, .pid = rq->peer.pid, .comment = comment};
    if (!admin_request_query(rq, "confirm", &confirm) ||
        take_duration(confirm, &change->confirm_ms))
        return true;
    admin_problem(a, 400,
                  "confirm: expected a time such as \"60s\", \"5m\" or \"1h\", up to a day");
    return false;
}

static void run_change(const struct admin_request *rq, struct admin_answer *a,
                       struct managed_change *change)
{
    struct managed_outcome o;

    if (!take_change(rq, a, change))
        return;
    managed_outcome_init(&o);
    managed_config_change(rq->server, change, &o);
    if (o.status == MANAGED_OK)
        answer_change(rq->server, a, &o);
    else
        answer_failure(rq->server, a, &o);
    managed_outcome_fini(&o);
}

/* ---- /config ---- */

static void get_config(const struct admin_request *rq, struct admin_answer *a)
{
    struct config *now = server_config(rq->server);
    struct config_edit_problem problem;
    struct view text;

    if (config_document_get(now->document, admin_request_part(rq, "pointer"), rq->arena, &text,
                            &problem)) {
        answer_tag(rq->server, a, now->document);
        (void)fprintf(a->out, VIEW_FMT "\n", VIEW_ARG(text));
    } else {
        answer_edit_problem(a, &problem);
    }
    config_unref(now);
}

struct edit {
    enum config_edit how;
    struct view pointer, value;
};

static struct config_document *make_edited(void *arg, const struct config_document *now,
                                           struct managed_outcome *o)
{
    const struct edit *e = arg;
    struct config_document *d = config_document_edit(now, e->how, e->pointer, e->value, &o->edit);

    if (d == NULL)
        o->status = MANAGED_EDIT;
    return d;
}

/* The whole is kept as it is written. */
static struct config_document *make_whole(void *arg, const struct config_document *now,
                                          struct managed_outcome *o)
{
    const struct edit *e = arg;
    struct config_document *d = config_document_parse(e->value, config_document_name(now),
                                                      config_document_folder(now), &o->problems);

    if (d == NULL) {
        o->status = MANAGED_REFUSED;
        (void)snprintf(o->why, sizeof(o->why), "this is not JSON");
    }
    return d;
}

static void change_config(const struct admin_request *rq, struct admin_answer *a,
                          enum config_edit how)
{
    struct edit e = {how, admin_request_part(rq, "pointer"), rq->body};
    bool whole = how == CONFIG_EDIT_SET && e.pointer.len == 0;
    struct managed_change change = {.make = whole ? make_whole : make_edited, .arg = &e};

    run_change(rq, a, &change);
}

static void put_config(const struct admin_request *rq, struct admin_answer *a)
{
    change_config(rq, a, CONFIG_EDIT_SET);
}

static void delete_config(const struct admin_request *rq, struct admin_answer *a)
{
    change_config(rq, a, CONFIG_EDIT_REMOVE);
}

static void patch_config(const struct admin_request *rq, struct admin_answer *a)
{
    struct view type = admin_request_field(rq, "content-type");

    if (view_eq_nocase(type, VIEW("application/json-patch+json"))) {
        change_config(rq, a, CONFIG_EDIT_PATCH);
    } else if (view_eq_nocase(type, VIEW("application/merge-patch+json"))) {
        change_config(rq, a, CONFIG_EDIT_MERGE);
    } else {
        admin_problem(a, 415,
                      "Content-Type: expected application/json-patch+json (RFC 6902) or "
                      "application/merge-patch+json (RFC 7396)");
    }
}

/* ---- Confirm, roll back ---- */

static void post_confirm(const struct admin_request *rq, struct admin_answer *a)
{
    struct managed_outcome o;

    managed_outcome_init(&o);
    managed_config_confirm(rq->server, &o);
    if (o.status == MANAGED_OK) {
        json_object(&a->json, NULL);
        json_number(&a->json, "revision", o.revision);
        json_end(&a->json);
    } else {
        answer_failure(rq->server, a, &o);
    }
    managed_outcome_fini(&o);
}

/* Calls of this thread alone: the store is opened anew each time. */
static bool open_revisions(const struct admin_request *rq, struct admin_answer *a,
                           struct revisions *r)
{
    if (revisions_init(r, rq->server->managed.revisions.folder, rq->server->managed.revisions.keep))
        return true;
    admin_problem(a, 503, "out of memory");
    return false;
}

/* Without a number: what is waited for is undone, or the last change. */
static uint64_t default_target(struct revisions *r, const struct revision_state *state)
{
    struct revision_info info;

    if (state->back_to != 0)
        return state->back_to;
    if (state->current == 0 || revisions_read(r, state->current, &info, NULL) != SP_OK)
        return 0;
    return info.base;
}

static void post_rollback(const struct admin_request *rq, struct admin_answer *a)
{
    struct revision_state state = managed_config_state(rq->server);
    struct managed_revision which;
    struct revisions r;

    if (!open_revisions(rq, a, &r))
        return;
    which = (struct managed_revision){&r, default_target(&r, &state)};
    struct managed_change change = {
        .make = managed_config_revision, .arg = &which, .undoes_pending = true};
    if (admin_request_number(rq, a, "to", 1, INT64_MAX, &which.number)) {
        char comment[64];

        (void)snprintf(comment, sizeof(comment), "back to revision %" PRIu64, which.number);
        change.author.comment = view_of(comment);
        if (which.number == 0)
            admin_problem(a, 409, "there is no earlier revision to go back to");
        else
            run_change(rq, a, &change);
    }
    revisions_fini(&r);
}

/* ---- Revisions ---- */

static void write_info(struct json_writer *j, const struct revision_info *info,
                       const struct revision_state *state)
{
    json_number(j, "revision", info->number);
    json_time(j, "time", info->time_ms);
    json_number(j, "uid", info->uid);
    json_signed(j, "pid", info->pid);
    json_string(j, "comment", info->comment);
    json_number(j, "base", info->base);
    json_bool(j, "current", info->number == state->current);
    if (info->number == state->current && state->back_to != 0)
        json_time(j, "confirm_by", state->confirm_by_ms);
}

static void fail_reading(struct admin_answer *a, const struct revisions *r, enum sp_err err)
{
    admin_problem(a, err == SP_NOT_FOUND ? 404 : 500, "%s", r->why);
}

static void get_revisions(const struct admin_request *rq, struct admin_answer *a)
{
    struct revision_state state = managed_config_state(rq->server);
    struct revision_info *list = NULL;
    struct revisions r;
    size_t n = 0;
    enum sp_err err;

    if (!open_revisions(rq, a, &r))
        return;
    err = revisions_list(&r, &list, &n);
    if (err != SP_OK) {
        fail_reading(a, &r, err);
    } else {
        json_object(&a->json, NULL);
        json_array(&a->json, "revisions");
        for (size_t i = 0; i < n; i++) {
            json_object(&a->json, NULL);
            write_info(&a->json, &list[i], &state);
            json_end(&a->json);
        }
        json_end(&a->json);
        json_end(&a->json);
    }
    free(list);
    revisions_fini(&r);
}

/* The number in the path. False: 404 was answered. */
static bool take_number(const struct admin_request *rq, struct admin_answer *a, const char *name,
                        uint64_t *number)
{
    struct view text = admin_request_part(rq, name);

    *number = 0;
    for (size_t i = 0; i < text.len && i < 18; i++) {
        if (text.p[i] < '0' || text.p[i] > '9')
            break;
        *number = *number * 10 + (uint64_t)(text.p[i] - '0');
        if (i + 1 == text.len && *number > 0)
            return true;
    }
    admin_problem(a, 404, "\"" VIEW_FMT "\" is no number of a revision", VIEW_ARG(text));
    return false;
}

/* NULL: it was answered why not. */
static struct config_document *read_revision(const struct admin_request *rq, struct admin_answer *a,
                                             uint64_t number, struct revision_info *info)
{
    struct config_document *d = NULL;
    struct revisions r;
    enum sp_err err;

    if (!open_revisions(rq, a, &r))
        return NULL;
    err = revisions_read(&r, number, info, &d);
    if (err != SP_OK)
        fail_reading(a, &r, err);
    revisions_fini(&r);
    return d;
}

static void get_revision(const struct admin_request *rq, struct admin_answer *a)
{
    struct revision_state state = managed_config_state(rq->server);
    struct revision_info info;
    struct config_document *d;
    uint64_t number;

    if (!take_number(rq, a, "number", &number))
        return;
    d = read_revision(rq, a, number, &info);
    if (d == NULL)
        return;
    json_object(&a->json, NULL);
    write_info(&a->json, &info, &state);
    json_raw(&a->json, "document", config_document_text(d));
    json_text(&a->json, "text", config_document_text(d));
    json_end(&a->json);
    config_document_unref(d);
}

/* ---- Differences ---- */

/* Of one that may be no good configuration any more there are changes without effects. */
static void answer_difference(struct admin_answer *a, struct config_document *from,
                              struct config_document *to)
{
    struct config_problems problems;
    struct config_plan plan;
    struct config *x, *y;
    bool ok;

    config_problems_init(&problems);
    config_plan_init(&plan);
    x = config_of_document(from, &problems);
    y = config_of_document(to, &problems);
    ok = config_plan_changes(&plan, from, to) &&
         (x == NULL || y == NULL || config_plan_effects(&plan, x, y));
    if (ok) {
        json_object(&a->json, NULL);
        json_bool(&a->json, "same", plan.n_changes == 0 && plan.n_effects == 0);
        answer_plan(a, &plan);
        json_end(&a->json);
    } else {
        admin_problem(a, 503, "out of memory");
    }
    config_unref(x);
    config_unref(y);
    config_plan_fini(&plan);
    config_problems_fini(&problems);
}

static void get_diff(const struct admin_request *rq, struct admin_answer *a)
{
    struct config_document *from, *to;
    struct revision_info info;
    uint64_t number, other;

    if (!take_number(rq, a, "number", &number) || !take_number(rq, a, "other", &other))
        return;
    from = read_revision(rq, a, number, &info);
    if (from == NULL)
        return;
    to = read_revision(rq, a, other, &info);
    if (to != NULL)
        answer_difference(a, from, to);
    config_document_unref(from);
    config_document_unref(to);
}

/* What would change if the file were applied. */
static void get_drift(const struct admin_request *rq, struct admin_answer *a)
{
    struct config *now = server_config(rq->server);
    struct config_problems problems;
    struct config_document *file;

    config_problems_init(&problems);
    file = config_document_load(config_document_name(now->document), &problems);
    if (file != NULL) {
        answer_difference(a, now->document, file);
    } else {
        admin_problem_begin(a, 422, "the file cannot be read: %s",
                            config_document_name(now->document));
        answer_problems(a, &problems);
        json_end(&a->json);
    }
    config_document_unref(file);
    config_problems_fini(&problems);
    config_unref(now);
}

/* ---- Rows ---- */

#define CHANGE_QUERY                                                                       \
    {"dry_run", "everything but the change: say what it would do"},                        \
        {"confirm", "undo it after that time (`60s`, `5m`, `1h`) unless it is confirmed"}, \
    {                                                                                      \
        "comment", "why, for the list of revisions"                                        \
    }

static const struct admin_parameter change_query[] = {CHANGE_QUERY};
static const struct admin_parameter rollback_query[] = {
    {"to", "the revision whose configuration is wanted; without it: the one before"}, CHANGE_QUERY};

/* clang-format off */
static const struct admin_route rows[] = {
    {HTTP_METHOD_GET, "/config/{pointer*}", get_config,
     .help = "The configuration that holds, or the value at a JSON pointer (RFC 6901) of it, as it "
             "was written. `ETag` names it."},
    {HTTP_METHOD_PUT, "/config/{pointer*}", put_config, ADMIN_BODY, ADMIN_QUERY(change_query),
     .help = "Another configuration, or another value at the pointer (`-` is the place behind the "
             "last element of a list). `If-Match`: only if this one holds still (412)."},
    {HTTP_METHOD_PATCH, "/config/{pointer*}", patch_config, ADMIN_BODY, ADMIN_QUERY(change_query),
     .help = "Several changes at once, all or none: `application/json-patch+json` (RFC 6902) or "
             "`application/merge-patch+json` (RFC 7396), of what is at the pointer."},
    {HTTP_METHOD_DELETE, "/config/{pointer*}", delete_config, ADMIN_QUERY(change_query),
     .help = "Without the value at the pointer."},
    {HTTP_METHOD_POST, "/config/confirm", post_confirm,
     .help = "What was applied with `confirm` stays."},
    {HTTP_METHOD_POST, "/config/rollback", post_rollback, ADMIN_QUERY(rollback_query),
     .help = "An earlier revision's configuration, as a new revision. Undoes what waits for its "
             "confirmation."},
    {HTTP_METHOD_GET, "/drift", get_drift,
     .help = "What differs between the configuration that holds and the file on disk."},
    {HTTP_METHOD_GET, "/revisions", get_revisions,
     .help = "The configurations that were applied and are kept, newest first."},
    {HTTP_METHOD_GET, "/revisions/{number}", get_revision,
     .help = "One of them, with its configuration."},
    {HTTP_METHOD_GET, "/revisions/{number}/diff/{other}", get_diff,
     .help = "What changed from the one to the other."},
};
/* clang-format on */
const struct admin_routes admin_config_routes = {"Configuration", ADMIN_ROWS(rows)};
