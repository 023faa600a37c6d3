#include "ocsp_updater.h"

#include "ocsp_responder.h"

#include <sallyport/base/log.h>
#include <sallyport/base/metrics.h>
#include <sallyport/tls/ocsp_cache.h>

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

/* Nobody sleeps longer: the wall clock may be set. */
#define SLEEP_MAX_MS   ((int64_t)60 * 1000)
/* Files that no certificate has any more are removed once a day, when they are a week old: who goes
 * back to an older configuration finds them. */
#define SWEEP_EVERY_MS ((int64_t)24 * 3600 * 1000)
#define SWEEP_FIRST_MS ((int64_t)60 * 1000)
#define SWEEP_AGE_MS   ((int64_t)7 * 24 * 3600 * 1000)

struct ocsp_updater {
    struct net_core *core;    /* borrowed */
    struct continuation cont; /* of every worker */
    int cancel_fd;            /* an eventfd; readable from the stop on */
    pthread_mutex_t lock;     /* of all that follows */
    pthread_cond_t changed;   /* something is due, or came of something, or it stops */
    struct ocsp_table table;
    struct config *config; /* owned reference; NULL: nothing to follow yet */
    int n_workers;
    int64_t sweep_at_ms; /* monotonic */
    bool stopping;
};

/* What a worker took, and what came of it. */
struct job {
    struct ocsp_slot *slot; /* owned reference */
    struct ocsp_host *host;
    struct config *config; /* owned reference */
    enum ocsp_outcome outcome;
};

static struct ocsp_now now_is(void)
{
    struct ocsp_now now = {.wall_ms = clock_wall_ms(), .mono_ms = clock_mono_ms()};

    if (getrandom(&now.random, sizeof(now.random), GRND_NONBLOCK) != sizeof(now.random))
        now.random = (uint32_t)now.mono_ms;
    return now;
}

static const struct ocsp_conf *conf_of(const struct config *config)
{
    return &config->certificates.ocsp;
}

/* ---- One certificate ---- */

static enum ocsp_outcome read_file(const struct job *job, struct view *der)
{
    enum sp_err err =
        ocsp_file_read(ocsp_slot_file(job->slot), conf_of(job->config)->max_response_bytes, der);

    if (err == SP_OK)
        return STAPLE_GOOD;
    return err == SP_NOMEM ? STAPLE_NOMEM : err == SP_LIMIT ? STAPLE_TOO_LARGE : STAPLE_FILE;
}

static struct view url_of(const struct job *job)
{
    const struct ocsp_conf *conf = conf_of(job->config);

    return conf->responder.len > 0 ? conf->responder : ocsp_slot_url(job->slot);
}

static enum ocsp_outcome fetch(const struct ocsp_updater *u, const struct job *job,
                               struct view *der)
{
    const struct ocsp_conf *conf = conf_of(job->config);
    struct view request = ocsp_slot_request(job->slot);
    enum ocsp_outcome outcome;

    if (request.p == NULL)
        return STAPLE_NOMEM;
    METRIC_INC(tls_ocsp_fetches);
    outcome = ocsp_responder_ask(&(struct ocsp_ask){.core = u->core,
                                                    .url = url_of(job),
                                                    .request = request,
                                                    .timeout_ms = conf->timeout_ms,
                                                    .response_max = conf->max_response_bytes,
                                                    .cancel_fd = u->cancel_fd},
                                 der);
    free((void *)(uintptr_t)request.p);
    return outcome;
}

static void keep(const struct job *job, struct view der)
{
    struct view cache = conf_of(job->config)->cache;

    if (cache.len == 0 || ocsp_slot_file(job->slot).len > 0)
        return;
    if (ocsp_cache_write(cache, ocsp_slot_fingerprint(job->slot), der) != SP_OK)
        LOG_LIMITED(TLS, WARN, "ocsp: a response cannot be kept in " VIEW_FMT ": %s",
                    VIEW_ARG(cache), strerrordesc_np(errno));
}

/* Without the lock. */
static void do_job(const struct ocsp_updater *u, struct job *job)
{
    struct view der = {NULL, 0};

    job->outcome = ocsp_slot_file(job->slot).len > 0 ? read_file(job, &der) : fetch(u, job, &der);
    if (job->outcome != STAPLE_GOOD)
        return;
    job->outcome = ocsp_slot_offer(job->slot, der, clock_wall_ms());
    if (job->outcome == STAPLE_GOOD || job->outcome == STAPLE_REVOKED)
        keep(job, der);
    free((void *)(uintptr_t)der.p);
}

/* ---- What is said of it ---- */

static void count(enum ocsp_outcome outcome)
{
    switch (outcome) {
    case STAPLE_GOOD: METRIC_INC(tls_ocsp_good); break;
    case STAPLE_REVOKED: METRIC_INC(tls_ocsp_revoked); break;
    case STAPLE_UNKNOWN: METRIC_INC(tls_ocsp_failed_unknown); break;
    case STAPLE_DNS: METRIC_INC(tls_ocsp_failed_dns); break;
    case STAPLE_CONNECT: METRIC_INC(tls_ocsp_failed_connect); break;
    case STAPLE_TIMEOUT: METRIC_INC(tls_ocsp_failed_timeout); break;
    case STAPLE_HTTP: METRIC_INC(tls_ocsp_failed_http); break;
    case STAPLE_TOO_LARGE: METRIC_INC(tls_ocsp_failed_too_large); break;
    case STAPLE_REFUSED: METRIC_INC(tls_ocsp_failed_refused); break;
    case STAPLE_MALFORMED: METRIC_INC(tls_ocsp_failed_malformed); break;
    case STAPLE_OTHER: METRIC_INC(tls_ocsp_failed_other); break;
    case STAPLE_SIGNATURE: METRIC_INC(tls_ocsp_failed_signature); break;
    case STAPLE_DATES: METRIC_INC(tls_ocsp_failed_dates); break;
    case STAPLE_FILE: METRIC_INC(tls_ocsp_failed_file); break;
    case STAPLE_NO_RESPONDER:
    case STAPLE_NOMEM:
    case STAPLE_NEVER: METRIC_INC(tls_ocsp_failed_here); break;
    case STAPLE_STOPPED:
    case STAPLE_OUTCOME_COUNT: break;
    }
}

struct told {
    const struct job *job;
    struct ocsp_state state;
    int64_t again_in_s;
    char source[256], bundle[128];
};

static void log_good(const struct told *t)
{
    int64_t left_s = (t->state.next_update_ms - clock_wall_ms()) / 1000;

    LOG_LIMITED(TLS, INFO,
                "ocsp=good bundle=%s source=%s valid_for_s=%" PRId64 " again_in_s=%" PRId64,
                t->bundle, t->source, left_s, t->again_in_s);
}

static void log_revoked(const struct told *t)
{
    LOG_LIMITED(TLS, ERROR,
                "ocsp=revoked bundle=%s source=%s again_in_s=%" PRId64
                " THE AUTHORITY HAS REVOKED THE CERTIFICATE: replace it; nothing is stapled",
                t->bundle, t->source, t->again_in_s);
}

/* A certificate that must not be shown without a staple and has none is turned away by those who
 * hold it to that. */
static void log_failure(const struct told *t)
{
    const char *outcome = ocsp_outcome_label(t->job->outcome);
    const char *text = ocsp_outcome_text(t->job->outcome);

    if (t->state.must_staple && !t->state.good)
        LOG_LIMITED(TLS, ERROR,
                    "ocsp=%s bundle=%s source=%s failures=%u again_in_s=%" PRId64
                    " reason=\"%s\" the certificate demands a staple, and there is none",
                    outcome, t->bundle, t->source, t->state.failures, t->again_in_s, text);
    else
        LOG_LIMITED(TLS, WARN,
                    "ocsp=%s bundle=%s source=%s failures=%u again_in_s=%" PRId64
                    " reason=\"%s\" stapled=%s",
                    outcome, t->bundle, t->source, t->state.failures, t->again_in_s, text,
                    t->state.good ? "the_last_one" : "nothing");
}

static void tell(const struct job *job, int64_t wait_ms)
{
    struct view file = ocsp_slot_file(job->slot);
    struct told t = {.job = job,
                     .state = ocsp_slot_state(job->slot),
                     .again_in_s = wait_ms == OCSP_NEVER ? -1 : wait_ms / 1000};

    if (job->outcome == STAPLE_STOPPED)
        return;
    (void)log_escape(t.source, sizeof(t.source), file.len > 0 ? file : url_of(job));
    (void)log_escape(t.bundle, sizeof(t.bundle), ocsp_slot_bundle(job->slot));
    if (job->outcome == STAPLE_GOOD)
        log_good(&t);
    else if (job->outcome == STAPLE_REVOKED)
        log_revoked(&t);
    else
        log_failure(&t);
}

/* ---- Workers ---- */

/* With the lock, all of these unless they say otherwise. */

static bool take_job(struct ocsp_updater *u, struct job *job)
{
    struct ocsp_now now = now_is();
    struct ocsp_entry *e = u->config == NULL ? NULL : ocsp_table_take(&u->table, &now);

    if (e == NULL)
        return false;
    *job = (struct job){
        .slot = ocsp_slot_ref(e->slots[0]), .host = e->host, .config = config_ref(u->config)};
    return true;
}

static void settle(struct ocsp_updater *u, struct job *job)
{
    struct ocsp_now now = now_is();
    const struct ocsp_entry *e = ocsp_table_settle(
        &u->table,
        &(struct ocsp_settled){.slot = job->slot, .host = job->host, .outcome = job->outcome},
        &now);

    count(job->outcome);
    tell(job, e == NULL ? OCSP_NEVER : ocsp_entry_wait_ms(e, &now));
    ocsp_slot_unref(job->slot);
    config_unref(job->config);
    (void)pthread_cond_broadcast(&u->changed);
}

static bool is_used(void *arg, const uint8_t *fingerprint)
{
    struct ocsp_updater *u = arg;
    bool used;

    (void)pthread_mutex_lock(&u->lock);
    used = ocsp_table_has(&u->table, fingerprint);
    (void)pthread_mutex_unlock(&u->lock);
    return used;
}

/* Lets go of the lock meanwhile. */
static void sweep(struct ocsp_updater *u)
{
    struct config *config = config_ref(u->config);
    struct view cache = conf_of(config)->cache;
    unsigned n;

    u->sweep_at_ms = clock_mono_ms() + SWEEP_EVERY_MS;
    (void)pthread_mutex_unlock(&u->lock);
    n = cache.len == 0 ? 0 : ocsp_cache_sweep(cache, clock_wall_ms() - SWEEP_AGE_MS, is_used, u);
    if (n > 0)
        LOG_INFO(TLS,
                 "ocsp: %u responses that no certificate has any more were removed from " VIEW_FMT,
                 n, VIEW_ARG(cache));
    config_unref(config);
    (void)pthread_mutex_lock(&u->lock);
}

static void sleep_for(struct ocsp_updater *u, int64_t ms)
{
    int64_t until_ms = clock_mono_ms() + (ms < SLEEP_MAX_MS ? ms : SLEEP_MAX_MS);
    struct timespec until = {.tv_sec = until_ms / 1000,
                             .tv_nsec = (long)(until_ms % 1000) * 1000000L};

    (void)pthread_cond_clockwait(&u->changed, &u->lock, CLOCK_MONOTONIC, &until);
}

static void sleep_until_due(struct ocsp_updater *u)
{
    struct ocsp_now now = now_is();
    int64_t wait_ms = ocsp_table_wait_ms(&u->table, &now);

    if (wait_ms > 0)
        sleep_for(u, wait_ms + 1);
}

static int work(struct continuation *c, int event, void *data)
{
    struct ocsp_updater *u = container_of(c, struct ocsp_updater, cont);
    struct job job;

    (void)event;
    (void)data;
    (void)pthread_mutex_lock(&u->lock);
    while (!u->stopping) {
        if (take_job(u, &job)) {
            (void)pthread_mutex_unlock(&u->lock);
            do_job(u, &job);
            (void)pthread_mutex_lock(&u->lock);
            settle(u, &job);
        } else if (clock_mono_ms() >= u->sweep_at_ms && u->config != NULL) {
            sweep(u);
        } else {
            sleep_until_due(u);
        }
    }
    (void)pthread_mutex_unlock(&u->lock);
    return EVENT_DONE;
}

static uint32_t count_askable(const struct ocsp_table *t)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < t->n; i++)
        n += t->v[i].askable;
    return n;
}

/* As many as there is work for. */
static void spawn_workers(struct ocsp_updater *u)
{
    uint32_t wanted = count_askable(&u->table);

    while (u->n_workers < OCSP_WORKERS && (uint32_t)u->n_workers < wanted && !u->stopping) {
        struct ethread *t;
        char name[24];
        enum sp_err err;

        (void)snprintf(name, sizeof(name), "[OCSP %d]", u->n_workers);
        err = event_processor_spawn_dedicated(u->core->ep, &u->cont, name, &t);
        if (err != SP_OK) {
            LOG_WARN(TLS, "ocsp: a thread cannot be started: %s", sp_err_text(err));
            return;
        }
        u->n_workers++;
    }
}

/* ---- For the server, without the lock ---- */

struct ocsp_updater *ocsp_updater_new(struct net_core *core)
{
    struct ocsp_updater *u = calloc(1, sizeof(*u));

    if (u == NULL)
        return NULL;
    u->cancel_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (u->cancel_fd < 0 || !ocsp_table_init(&u->table)) {
        if (u->cancel_fd >= 0)
            (void)close(u->cancel_fd);
        free(u);
        return NULL;
    }
    u->core = core;
    u->sweep_at_ms = clock_mono_ms() + SWEEP_FIRST_MS;
    continuation_init(&u->cont, "ocsp_updater", work);
    (void)pthread_mutex_init(&u->lock, NULL);
    (void)pthread_cond_init(&u->changed, NULL);
    return u;
}

void ocsp_updater_stop(struct ocsp_updater *u)
{
    const uint64_t one = 1;

    if (u == NULL)
        return;
    (void)pthread_mutex_lock(&u->lock);
    u->stopping = true;
    (void)!write(u->cancel_fd, &one, sizeof(one));
    (void)pthread_cond_broadcast(&u->changed);
    (void)pthread_mutex_unlock(&u->lock);
}

void ocsp_updater_free(struct ocsp_updater *u)
{
    if (u == NULL)
        return;
    ocsp_table_fini(&u->table);
    config_unref(u->config);
    (void)close(u->cancel_fd);
    (void)pthread_cond_destroy(&u->changed);
    (void)pthread_mutex_destroy(&u->lock);
    free(u);
}

void ocsp_updater_follow(struct ocsp_updater *u, const struct ocsp_updater_certs *certs)
{
    struct ocsp_now now = now_is();
    struct config *before;
    bool ok;

    (void)pthread_mutex_lock(&u->lock);
    ok = ocsp_table_follow(&u->table,
                           &(struct ocsp_follow){.conf = conf_of(certs->config),
                                                 .sets = certs->sets,
                                                 .n_sets = certs->n_sets},
                           &now);
    before = u->config;
    u->config = config_ref(certs->config);
    if (ok)
        spawn_workers(u);
    (void)pthread_cond_broadcast(&u->changed);
    (void)pthread_mutex_unlock(&u->lock);
    config_unref(before);
    if (!ok)
        LOG_WARN(TLS, "ocsp: new certificates are not asked about: %s", sp_err_text(SP_NOMEM));
}

/* Calls `fn` for each certificate of the set that must have a staple and has none. */
typedef void (*missing_fn)(void *arg, struct ocsp_slot *slot);
static void for_each_missing(const struct cert_set *set, missing_fn fn, void *arg)
{
    for (uint32_t b = 0; b < cert_set_n(set); b++) {
        const struct cert_bundle *bundle = cert_set_at(set, b);

        if (cert_set_outcome(set, b) == CERT_KEPT)
            continue;
        for (uint32_t i = 0; i < cert_bundle_n_certs(bundle); i++) {
            struct ocsp_slot *slot = cert_bundle_ocsp(bundle, i);

            if (slot != NULL && ocsp_slot_must_staple(slot) && !ocsp_slot_state(slot).good)
                fn(arg, slot);
        }
    }
}

struct hope {
    const struct ocsp_table *table;
    bool found;
};

static void look_for_hope(void *arg, struct ocsp_slot *slot)
{
    struct hope *hope = arg;
    const struct ocsp_entry *e = ocsp_table_find(hope->table, slot);

    hope->found = hope->found || (e != NULL && e->askable && !ocsp_slot_state(slot).revoked);
}

/* With the lock. */
static bool may_come(const struct ocsp_updater *u, const struct cert_set *set)
{
    struct hope hope = {.table = &u->table};

    for_each_missing(set, look_for_hope, &hope);
    return hope.found;
}

struct telling {
    struct ocsp_updater *u;
    const struct cert_reporter *reporter;
    bool patient;
};

static void tell_missing(void *arg, struct ocsp_slot *slot)
{
    const struct telling *t = arg;
    const struct ocsp_entry *e = ocsp_table_find(&t->u->table, slot);
    bool askable = e != NULL && e->askable;
    struct ocsp_state state = ocsp_slot_state(slot);
    enum ocsp_outcome outcome = askable ? state.last : STAPLE_NO_RESPONDER;
    char text[256];

    if (askable && !t->patient)
        return;
    (void)snprintf(text, sizeof(text),
                   "the certificate demands a staple (must-staple), and there is none: %s; clients "
                   "that hold it to that will refuse it",
                   ocsp_outcome_text(outcome));
    t->reporter->report(t->reporter->arg, &(struct cert_problem){.bundle = ocsp_slot_bundle(slot),
                                                                 .text = view_of(text),
                                                                 .warning = true});
}

void ocsp_updater_wait(struct ocsp_updater *u, const struct cert_set *set, uint32_t wait_ms,
                       const struct cert_reporter *reporter)
{
    int64_t until_ms = clock_mono_ms() + wait_ms;
    struct telling telling = {.u = u, .reporter = reporter, .patient = wait_ms > 0};

    (void)pthread_mutex_lock(&u->lock);
    while (!u->stopping && clock_mono_ms() < until_ms && may_come(u, set))
        sleep_for(u, until_ms - clock_mono_ms());
    for_each_missing(set, tell_missing, &telling);
    (void)pthread_mutex_unlock(&u->lock);
}

void ocsp_updater_give(const struct config *config, uid_t uid, gid_t gid)
{
    struct view cache = conf_of(config)->cache;

    if (!conf_of(config)->fetch || cache.len == 0)
        return;
    if (ocsp_cache_make(cache) != SP_OK || ocsp_cache_give(cache, uid, gid) != SP_OK)
        LOG_WARN(TLS,
                 "ocsp: responses cannot be kept in " VIEW_FMT
                 " by the user that the program becomes: %s",
                 VIEW_ARG(cache), strerrordesc_np(errno));
}

struct ocsp_totals ocsp_updater_totals(struct ocsp_updater *u)
{
    struct ocsp_now now = now_is();
    struct ocsp_totals totals;

    (void)pthread_mutex_lock(&u->lock);
    totals = ocsp_table_totals(&u->table, &now);
    (void)pthread_mutex_unlock(&u->lock);
    return totals;
}
