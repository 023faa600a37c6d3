#include "cert_set_internal.h"

#include <stdlib.h>

/* ---- What there is to do ---- */

static int by_conf_name(const void *a, const void *b)
{
    const struct cert_job *const *x = a, *const *y = b;

    return view_compare((*x)->conf->name, (*y)->conf->name);
}

static int name_to_job(const void *name, const void *job)
{
    const struct cert_job *const *j = job;

    return view_compare(*(const struct view *)name, (*j)->conf->name);
}

/* Only the named ones are looked at. */
static bool choose(struct cert_jobs *jobs, const struct cert_set_options *o)
{
    struct cert_job **sorted = malloc(jobs->n * sizeof(struct cert_job *) + 1);

    if (sorted == NULL)
        return false;
    for (uint32_t i = 0; i < jobs->n; i++)
        sorted[i] = &jobs->v[i];
    if (jobs->n > 0)
        qsort(sorted, jobs->n, sizeof(struct cert_job *), by_conf_name);
    for (uint32_t i = 0; i < o->n_only && jobs->n > 0; i++) {
        struct cert_job **found =
            bsearch(&o->only[i], sorted, jobs->n, sizeof(struct cert_job *), name_to_job);

        if (found != NULL)
            (*found)->look_at_files = true;
    }
    free(sorted);
    return true;
}

static bool jobs_init(struct cert_jobs *jobs, const struct cert_set_options *o)
{
    *jobs = (struct cert_jobs){.v = calloc((size_t)o->n_bundles + 1, sizeof(*jobs->v)),
                               .refuse_expired = o->refuse_expired,
                               .ocsp = o->ocsp,
                               .progress = o->progress,
                               .progress_arg = o->progress_arg};
    if (jobs->v == NULL)
        return false;
    jobs->n = o->n_bundles;
    for (uint32_t i = 0; i < jobs->n; i++) {
        cert_problems_init(&jobs->v[i].problems);
        jobs->v[i].conf = &o->bundles[i];
        jobs->v[i].old = o->old == NULL ? NULL : cert_set_find(o->old, o->bundles[i].name);
        jobs->v[i].shunned =
            o->shunned == NULL ? NULL : cert_set_find(o->shunned, o->bundles[i].name);
        jobs->v[i].look_at_files = o->look == CERT_LOOK_FILES && o->n_only == 0;
    }
    return o->look != CERT_LOOK_FILES || o->n_only == 0 || choose(jobs, o);
}

static void jobs_fini(struct cert_jobs *jobs)
{
    for (uint32_t i = 0; i < jobs->n; i++) {
        cert_bundle_unref(jobs->v[i].bundle);
        cert_problems_fini(&jobs->v[i].problems);
    }
    free(jobs->v);
}

/* ---- What came of it ---- */

static enum cert_outcome outcome_of(const struct cert_job *job)
{
    if (job->bundle == NULL)
        return CERT_FAILED;
    if (job->bundle == job->old)
        return CERT_KEPT;
    return job->old == NULL ? CERT_ADDED : CERT_CHANGED;
}

/* The set takes what the job made; of one that failed the older one. False: there is none, or it
 * must not. */
static bool settle(struct cert_set *set, struct cert_job *job, const struct cert_set_options *o)
{
    struct cert_set_entry *entry = &set->v[set->n];

    cert_problems_tell(&job->problems, o->reporter);
    entry->outcome = outcome_of(job);
    if (job->bundle == NULL && (!o->partial || job->old == NULL))
        return false;
    entry->bundle = cert_bundle_ref(job->bundle != NULL ? job->bundle : job->old);
    set->n++;
    return true;
}

static enum sp_err settle_all(struct cert_set *set, struct cert_jobs *jobs,
                              const struct cert_set_options *o)
{
    bool ok = true, nomem = false;

    for (uint32_t i = 0; i < jobs->n; i++) {
        ok = settle(set, &jobs->v[i], o) && ok;
        nomem = nomem || jobs->v[i].nomem;
    }
    return nomem ? SP_NOMEM : ok ? SP_OK : SP_INVALID;
}

/* ---- Names ---- */

static int by_bundle_name(const void *a, const void *b, void *arg)
{
    const struct cert_set *set = arg;
    const uint32_t *x = a, *y = b;

    return view_compare(cert_bundle_name(set->v[*x].bundle), cert_bundle_name(set->v[*y].bundle));
}

static bool index_names(struct cert_set *set)
{
    set->by_name = calloc((size_t)set->n + 1, sizeof(*set->by_name));
    if (set->by_name == NULL)
        return false;
    for (uint32_t i = 0; i < set->n; i++)
        set->by_name[i] = i;
    if (set->n > 0)
        qsort_r(set->by_name, set->n, sizeof(*set->by_name), by_bundle_name, set);
    return true;
}

static const struct cert_set_entry *find(const struct cert_set *set, struct view name)
{
    uint32_t low = 0, high = set->n;

    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        const struct cert_set_entry *entry = &set->v[set->by_name[middle]];
        int order = view_compare(name, cert_bundle_name(entry->bundle));

        if (order == 0)
            return entry;
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return NULL;
}

/* ---- Life ---- */

static enum sp_err fill(struct cert_set *set, const struct cert_set_options *o)
{
    struct cert_jobs jobs;
    enum sp_err err = SP_NOMEM, trusts;

    set->v = calloc((size_t)o->n_bundles + 1, sizeof(*set->v));
    if (jobs_init(&jobs, o) && set->v != NULL) {
        cert_jobs_run(&jobs);
        err = settle_all(set, &jobs, o);
    }
    jobs_fini(&jobs);
    if (err == SP_NOMEM)
        return err;
    trusts = cert_set_take_trusts(set, o); /* all that is wrong is told at once */
    if (err != SP_OK || trusts != SP_OK)
        return trusts == SP_NOMEM ? trusts : SP_INVALID;
    return index_names(set) ? SP_OK : SP_NOMEM;
}

struct cert_set *cert_set_load(const struct cert_set_options *options, enum sp_err *err)
{
    struct cert_set *set = calloc(1, sizeof(*set));

    *err = SP_NOMEM;
    if (set == NULL)
        return NULL;
    atomic_init(&set->refs, 1);
    *err = fill(set, options);
    if (*err == SP_OK)
        return set;
    cert_set_unref(set);
    return NULL;
}

struct cert_set *cert_set_ref(struct cert_set *set)
{
    atomic_fetch_add_explicit(&set->refs, 1, memory_order_relaxed);
    return set;
}

void cert_set_unref(struct cert_set *set)
{
    if (set == NULL || atomic_fetch_sub_explicit(&set->refs, 1, memory_order_acq_rel) != 1)
        return;
    for (uint32_t i = 0; i < set->n; i++)
        cert_bundle_unref(set->v[i].bundle);
    cert_set_drop_trusts(set);
    free(set->by_name);
    free(set->v);
    free(set);
}

/* ---- Questions ---- */

uint32_t cert_set_n(const struct cert_set *set)
{
    return set->n;
}

struct cert_bundle *cert_set_at(const struct cert_set *set, uint32_t i)
{
    return set->v[i].bundle;
}

enum cert_outcome cert_set_outcome(const struct cert_set *set, uint32_t i)
{
    return set->v[i].outcome;
}

struct cert_bundle *cert_set_find(const struct cert_set *set, struct view name)
{
    const struct cert_set_entry *entry = find(set, name);

    return entry == NULL ? NULL : entry->bundle;
}

bool cert_set_is_new(const struct cert_set *set, const struct cert_bundle *bundle)
{
    const struct cert_set_entry *entry = find(set, cert_bundle_name(bundle));

    return entry != NULL && entry->bundle == bundle && entry->outcome != CERT_KEPT &&
           entry->outcome != CERT_FAILED;
}

bool cert_set_differs(const struct cert_set *set, const struct cert_set *old)
{
    if (old == NULL || set->n != old->n || cert_set_n_changed_rules(set, old) > 0)
        return true;
    for (uint32_t i = 0; i < set->n; i++)
        if (set->v[i].outcome == CERT_ADDED || set->v[i].outcome == CERT_CHANGED)
            return true;
    return false;
}
