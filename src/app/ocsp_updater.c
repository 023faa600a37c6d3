#include "ocsp_updater.h"

#include "ocsp_job.h"

#include <sallyport/base/log.h>
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

/* ---- Workers ---- */

/* With the lock, all of these unless they say otherwise. */

static bool take_job(struct ocsp_updater *u, struct ocsp_job *job)
{
    struct ocsp_now now = now_is();
    struct ocsp_entry *e = u->config == NULL ? NULL : ocsp_table_take(&u->table, &now);

    if (e == NULL)
        return false;
    *job = (struct ocsp_job){
        .slot = ocsp_slot_ref(e->slots[0]), .host = e->host, .config = config_ref(u->config)};
    return true;
}

static void settle(struct ocsp_updater *u, struct ocsp_job *job)
{
    struct ocsp_now now = now_is();
    const struct ocsp_entry *e = ocsp_table_settle(
        &u->table,
        &(struct ocsp_settled){.slot = job->slot, .host = job->host, .outcome = job->outcome},
        &now);

    ocsp_job_tell(job, e == NULL ? OCSP_NEVER : ocsp_entry_wait_ms(e, &now));
    ocsp_job_fini(job);
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
    if (n > 0) {
        LOG_INFO(TLS,
                 "ocsp: %u responses that no certificate has any more were removed from " VIEW_FMT,
                 n, VIEW_ARG(cache));
    }
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
    struct ocsp_job job;

    (void)event;
    (void)data;
    (void)pthread_mutex_lock(&u->lock);
    while (!u->stopping) {
        if (take_job(u, &job)) {
            (void)pthread_mutex_unlock(&u->lock);
            ocsp_job_do(&job, u->core, u->cancel_fd);
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
    if (ocsp_cache_make(cache) != SP_OK || ocsp_cache_give(cache, uid, gid) != SP_OK) {
        LOG_WARN(TLS,
                 "ocsp: responses cannot be kept in " VIEW_FMT
                 " by the user that the program becomes: %s",
                 VIEW_ARG(cache), strerrordesc_np(errno));
    }
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
