#include "managed_config.h"

#include "server_apply.h"
#include "server_internal.h"

#include <sallyport/base/clock.h>
#include <sallyport/base/log.h>

#include <inttypes.h>
#include <stdarg.h>
#include <unistd.h>

#define RETRY_MS 5000 /* going back did not work: again after so long */

void managed_outcome_init(struct managed_outcome *o)
{
    *o = (struct managed_outcome){0};
    config_problems_init(&o->problems);
    config_plan_init(&o->plan);
}

void managed_outcome_fini(struct managed_outcome *o)
{
    config_plan_fini(&o->plan);
    config_problems_fini(&o->problems);
}

SP_PRINTF(3, 4)
static bool fail(struct managed_outcome *o, enum managed_status status, const char *fmt, ...)
{
    va_list args;

    o->status = status;
    va_start(args, fmt);
    (void)vsnprintf(o->why, sizeof(o->why), fmt, args);
    va_end(args);
    return false;
}

/* ---- Which one holds ---- */

static void lock(struct server *s)
{
    (void)pthread_mutex_lock(&s->applying);
}

static void unlock(struct server *s)
{
    (void)pthread_mutex_unlock(&s->applying);
}

static void write_tag(const struct managed_config *m, const struct config_document *d,
                      char tag[MANAGED_TAG_MAX])
{
    (void)snprintf(tag, MANAGED_TAG_MAX, "%" PRIu64 "-%016" PRIx64, m->state.current,
                   config_document_hash(d));
}

void managed_config_tag(struct server *s, const struct config_document *d,
                        char tag[MANAGED_TAG_MAX])
{
    lock(s);
    write_tag(&s->managed, d, tag);
    unlock(s);
}

struct revision_state managed_config_state(struct server *s)
{
    struct revision_state state;

    lock(s);
    state = s->managed.state;
    unlock(s);
    return state;
}

/* RFC 9110 13.1.1: "*" is any, otherwise one of the quoted tags. */
static bool is_expected(const struct managed_config *m, const struct config_document *now,
                        struct view expected)
{
    char tag[MANAGED_TAG_MAX], quoted[MANAGED_TAG_MAX + 2];

    if (expected.len == 0 || view_eq(expected, VIEW("*")))
        return true;
    write_tag(m, now, tag);
    (void)snprintf(quoted, sizeof(quoted), "\"%s\"", tag);
    return memmem(expected.p, expected.len, quoted, strlen(quoted)) != NULL;
}

/* ---- A change ---- */

struct changing {
    struct server *server;
    struct managed_config *managed;
    const struct managed_change *change;
    struct managed_outcome *outcome;
    struct config *from, *to; /* owned references */
    struct server_apply *prepared;
    uint64_t going_back_to; /* 0, or: it undoes what was not confirmed */
};

static void report(void *arg, struct view pointer, struct view text, bool warning)
{
    struct changing *c = arg;

    config_problems_add(&c->outcome->problems, pointer, text, warning);
}

static bool make_document(struct changing *c)
{
    struct config_document *d = c->change->make(c->change->arg, c->from->document, c->outcome);

    if (d == NULL)
        return false;
    c->to = config_of_document(d, &c->outcome->problems);
    config_document_unref(d);
    if (c->to == NULL)
        return fail(c->outcome, MANAGED_REFUSED, "this is not a configuration that can run");
    return true;
}

static uint32_t connections_of(struct server *s, struct view port)
{
    for (uint32_t i = 0; i < s->n_ports; i++)
        if (view_eq(s->ports[i]->conf->name, port))
            return server_port_connections(s->ports[i]);
    return 0;
}

static bool plan(struct changing *c)
{
    struct config_plan *p = &c->outcome->plan;

    if (!config_plan_changes(p, c->from->document, c->to->document) ||
        !config_plan_effects(p, c->from, c->to))
        return fail(c->outcome, MANAGED_FAILED, "out of memory");
    server_lock(c->server);
    for (uint32_t i = 0; i < p->n_effects; i++)
        if (p->effects[i].part == CONFIG_PART_LISTENERS && p->effects[i].kind == CONFIG_REMOVED)
            c->outcome->connections += connections_of(c->server, p->effects[i].name);
    server_unlock(c->server);
    return true;
}

static bool prepare(struct changing *c)
{
    const struct server_apply_options options = {
        .reread_files = c->change->reread_files, .report = report, .arg = c};

    c->prepared = server_apply_prepare(c->server, c->to, &options);
    if (c->prepared == NULL)
        return fail(c->outcome, MANAGED_REFUSED, "it could not be applied; nothing has changed");
    return true;
}

/* ---- Recording ---- */

static bool fail_recording(struct changing *c)
{
    return fail(c->outcome, MANAGED_FAILED, "the revision cannot be recorded: %s",
                c->managed->revisions.why);
}

/* The first change: what ran before it is what it can be undone to. */
static bool record_first(struct changing *c)
{
    const struct revision_new new = {
        .document = c->from->document,
        .author = {.uid = geteuid(), .pid = getpid(), .comment = VIEW("as it was started")},
        .file_hash = config_document_hash(c->from->document)};

    if (c->managed->state.current != 0)
        return true;
    return revisions_add(&c->managed->revisions, &new, &c->managed->state.current) == SP_OK ||
           fail_recording(c);
}

/* Of the file as it is now. One that cannot be read, by the user that the process became perhaps,
 * is taken for what it was: a start that can read it finds out if it was changed. */
static uint64_t hash_of_file(const struct managed_config *m, const struct config *config)
{
    struct config_problems problems;
    uint64_t hash = m->file_hash;

    config_problems_init(&problems);
    struct config_document *d =
        config_document_load(config_document_name(config->document), &problems);
    if (d != NULL)
        hash = config_document_hash(d);
    config_document_unref(d);
    config_problems_fini(&problems);
    return hash;
}

static bool record(struct changing *c, int64_t confirm_by_ms)
{
    struct managed_config *m = c->managed;
    struct revision_new new = {.document = c->to->document,
                               .author = c->change->author,
                               .file_hash = hash_of_file(m, c->to)};
    uint64_t number;

    if (!record_first(c))
        return false;
    new.expected = m->state.current;
    new.back_to = confirm_by_ms == 0 ? 0 : m->state.current;
    new.confirm_by_ms = confirm_by_ms;
    if (revisions_add(&m->revisions, &new, &number) != SP_OK)
        return fail_recording(c);
    m->state = (struct revision_state){number, new.back_to, confirm_by_ms};
    return true;
}

/* ---- Applying ---- */

static bool set_timer(struct server *s, uint64_t in_ms)
{
    return schedule_in(s->ep, &s->managed.timer, (int64_t)in_ms, s->core->et_task, EVENT_INTERVAL,
                       NULL) != NULL;
}

/* Is there something to tell a revision of? Going back is, even to the same. */
static bool is_new(const struct changing *c)
{
    return c->outcome->plan.n_changes > 0 || c->outcome->plan.n_effects > 0 ||
           c->going_back_to != 0;
}

static bool is_recorded(const struct changing *c)
{
    return is_new(c) && (c->managed->state.current != 0 || !c->change->unrecorded);
}

static void log_applied(const struct changing *c)
{
    const struct managed_outcome *o = c->outcome;

    LOG_INFO(APP,
             "configuration applied revision=%" PRIu64 " changes=%u effects=%u uid=%u pid=%d "
             "confirm=%s",
             o->revision, o->plan.n_changes, o->plan.n_effects, (unsigned)c->change->author.uid,
             (int)c->change->author.pid, o->confirm_by_ms > 0 ? "awaited" : "no");
}

/* From here on only the disk and memory can fail, and the swap comes last. */
static bool apply(struct changing *c)
{
    uint64_t confirm_ms = c->change->confirm_ms;
    int64_t confirm_by_ms = confirm_ms == 0 ? 0 : clock_wall_ms() + (int64_t)confirm_ms;

    if (confirm_ms > 0 && !set_timer(c->server, confirm_ms))
        return fail(c->outcome, MANAGED_FAILED, "out of memory");
    if (is_recorded(c) && !record(c, confirm_by_ms))
        return false;
    server_apply_commit(c->prepared);
    c->prepared = NULL;
    c->outcome->applied = true;
    c->outcome->confirm_by_ms = confirm_by_ms;
    return true;
}

static bool run_locked(struct changing *c)
{
    struct managed_config *m = c->managed;

    if (!is_expected(m, c->from->document, c->change->expected))
        return fail(c->outcome, MANAGED_STALE, "another configuration holds than the one meant");
    if (m->state.back_to != c->going_back_to && !c->change->dry_run) {
        return fail(c->outcome, MANAGED_PENDING,
                    "revision %" PRIu64 " waits for its confirmation: confirm it, or roll back",
                    m->state.current);
    }
    if (!make_document(c) || !plan(c) || !prepare(c))
        return false;
    return c->change->dry_run || (!is_new(c) && !c->change->reread_files) || apply(c);
}

static void run(struct server *s, const struct managed_change *change, uint64_t going_back_to,
                struct managed_outcome *outcome)
{
    struct changing c = {.server = s,
                         .managed = &s->managed,
                         .change = change,
                         .outcome = outcome,
                         .from = server_config(s),
                         .going_back_to = going_back_to};
    bool ok = run_locked(&c);

    SP_ASSERT(ok == (outcome->status == MANAGED_OK));
    server_apply_abandon(c.prepared);
    outcome->revision = s->managed.state.current;
    if (outcome->applied)
        log_applied(&c);
    config_unref(c.to);
    config_unref(c.from);
}

/* Rolling back is how one gets out of waiting for a confirmation, too. */
void managed_config_change(struct server *s, const struct managed_change *change,
                           struct managed_outcome *outcome)
{
    lock(s);
    run(s, change, change->undoes_pending ? s->managed.state.back_to : 0, outcome);
    unlock(s);
}

/* ---- Confirming, and what happens without ---- */

void managed_config_confirm(struct server *s, struct managed_outcome *outcome)
{
    struct managed_config *m = &s->managed;
    enum sp_err err;

    lock(s);
    outcome->revision = m->state.current;
    if (m->state.back_to == 0) {
        (void)fail(outcome, MANAGED_PENDING, "nothing waits for a confirmation");
    } else {
        err = revisions_confirm(&m->revisions, m->state.current);
        if (err == SP_OK)
            m->state = (struct revision_state){.current = m->state.current};
        else
            (void)fail(outcome, MANAGED_FAILED, "the confirmation cannot be recorded: %s",
                       m->revisions.why);
    }
    unlock(s);
}

/* The document of a revision. */
struct config_document *managed_config_revision(void *arg, const struct config_document *now,
                                                struct managed_outcome *o)
{
    const struct managed_revision *which = arg;
    struct config_document *d = NULL;
    struct revision_info info;

    (void)now;
    if (revisions_read(which->revisions, which->number, &info, &d) == SP_OK)
        return d;
    (void)fail(o, MANAGED_EDIT, "%s", which->revisions->why);
    o->edit.status = CONFIG_EDIT_NOT_FOUND;
    (void)snprintf(o->edit.text, sizeof(o->edit.text), "%s", which->revisions->why);
    return NULL;
}

static void go_back(struct server *s)
{
    struct managed_config *m = &s->managed;
    struct managed_revision which = {&m->revisions, m->state.back_to};
    char comment[100];
    struct managed_outcome o;

    (void)snprintf(comment, sizeof(comment),
                   "back to revision %" PRIu64 ": %" PRIu64 " was not confirmed in time",
                   m->state.back_to, m->state.current);
    managed_outcome_init(&o);
    run(s,
        &(struct managed_change){
            .make = managed_config_revision,
            .arg = &which,
            .author = {.uid = geteuid(), .pid = getpid(), .comment = view_of(comment)}},
        m->state.back_to, &o);
    if (o.applied) {
        LOG_WARN(APP, "%s", comment);
    } else {
        LOG_ERROR(APP, "cannot go %s: %s; trying again", comment, o.why);
        (void)set_timer(s, RETRY_MS);
    }
    managed_outcome_fini(&o);
}

/* A timer of a confirmation that came finds nothing to do. One that comes before the time does so
 * again: it was an earlier confirmation's, or the two clocks differ, by their fraction of a
 * millisecond or because somebody has set the one on the wall. */
static int time_is_up(struct continuation *c, int event, void *data)
{
    struct server *s = container_of(c, struct server, managed.timer);
    const struct revision_state *state = &s->managed.state;
    int64_t left_ms;

    (void)event;
    (void)data;
    lock(s);
    left_ms = state->confirm_by_ms - clock_wall_ms();
    if (state->back_to != 0 && left_ms > 0)
        (void)set_timer(s, (uint64_t)left_ms);
    else if (state->back_to != 0)
        go_back(s);
    unlock(s);
    return EVENT_DONE;
}

/* ---- At a start ---- */

/* A revision instead of what the file says. */
static bool start_with(struct server *s, struct config_document *d, uint64_t number)
{
    struct config_problems problems;
    struct config *config;

    config_problems_init(&problems);
    config = config_of_document(d, &problems);
    if (config != NULL) {
        config_unref(s->config);
        s->config = config;
    } else {
        config_problems_print(&problems, stderr);
        (void)server_refuse(s, "revision %" PRIu64 " in " VIEW_FMT " is no good configuration",
                            number, VIEW_ARG(s->config->admin.state));
    }
    config_problems_fini(&problems);
    return config != NULL;
}

/* The file was changed since: it is what somebody wants now. */
static void record_file(struct server *s)
{
    struct managed_config *m = &s->managed;
    const struct revision_new new = {
        .document = s->config->document,
        .author = {.uid = geteuid(),
                   .pid = getpid(),
                   .comment = VIEW("the file was changed before a start")},
        .file_hash = config_document_hash(s->config->document),
        .expected = m->state.current};

    if (revisions_add(&m->revisions, &new, &m->state.current) != SP_OK)
        LOG_WARN(APP, "the revision cannot be recorded: %s", m->revisions.why);
}

static bool choose(struct server *s)
{
    struct managed_config *m = &s->managed;
    uint64_t file = config_document_hash(s->config->document);
    struct config_document *d = NULL;
    struct revision_info info;
    bool ok = true;

    m->file_hash = file;
    if (m->state.current == 0)
        return true;
    if (revisions_read(&m->revisions, m->state.current, &info, &d) != SP_OK)
        return server_refuse(s, "%s", m->revisions.why);
    if (info.hash != file && info.file_hash == file) {
        LOG_INFO(APP, "starting with revision=%" PRIu64 ", not with the file, which is older",
                 info.number);
        ok = start_with(s, d, info.number);
    } else if (info.hash != file) {
        record_file(s);
    }
    config_document_unref(d);
    return ok;
}

bool managed_config_open(struct server *s)
{
    struct managed_config *m = &s->managed;
    bool went_back = false;

    continuation_init(&m->timer, "config_confirm", time_is_up);
    if (!revisions_init(&m->revisions, s->config->admin.state.p, s->config->admin.keep_revisions))
        return server_refuse(s, "%s", sp_err_text(SP_NOMEM));
    if (revisions_settle(&m->revisions, &m->state, &went_back) != SP_OK)
        return server_refuse(s, "%s", m->revisions.why);
    if (went_back)
        LOG_WARN(APP, "the last configuration was not confirmed: back, as revision=%" PRIu64,
                 m->state.current);
    return choose(s);
}

void managed_config_close(struct server *s)
{
    revisions_fini(&s->managed.revisions);
}

void managed_config_give(struct server *s, uid_t uid, gid_t gid)
{
    struct revisions *r = &s->managed.revisions;

    if (revisions_give(r, uid, gid) != SP_OK)
        LOG_WARN(APP, "revisions cannot be kept by the user that the program becomes: %s", r->why);
}
