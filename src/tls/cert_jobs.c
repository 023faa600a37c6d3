/* Reading many bundles at once: every core takes the next one until none is left. */
#include "cert_key.h"
#include "cert_set_internal.h"
#include "tls_context.h"

#include <openssl/err.h>

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>

#define JOBS_PER_THREAD 32 /* fewer are done before another thread has started */
#define MAX_THREADS     64
#define PROGRESS_EVERY  64

struct pool {
    struct cert_jobs *jobs;
    atomic_uint next, done;
    pthread_mutex_t telling;
};

/* ---- One bundle ---- */

static bool can_be_kept(const struct cert_job *job)
{
    if (job->old == NULL || job->old->settings != config_bundle_hash(job->conf))
        return false;
    return !job->look_at_files || !cert_bundle_files_changed(job->old, job->conf) ||
           (job->shunned != NULL && !cert_bundle_files_changed(job->shunned, job->conf));
}

/* The policy of no port in particular: what is tried is the same in all of them. */
static SSL_CTX *scratch_new(void)
{
    const struct tls_port_conf conf = {.preset = TLS_PRESET_INTERMEDIATE};

    return tls_context_new(&conf);
}

/* What a thread reads bundles with; its own, as both are written to. */
struct tools {
    SSL_CTX *scratch;
    struct key_decoder keys;
};

static void do_job(struct cert_job *job, const struct cert_jobs *jobs, struct tools *tools)
{
    const struct cert_reporter reporter = {.report = cert_problems_keep, .arg = &job->problems};
    struct cert_load load = {.reporter = &reporter,
                             .keys = &tools->keys,
                             .refuse_expired = jobs->refuse_expired,
                             .ocsp = jobs->ocsp};

    if (can_be_kept(job)) {
        job->bundle = cert_bundle_ref(job->old);
        return;
    }
    if (tools->scratch == NULL)
        tools->scratch = scratch_new();
    load.scratch = tools->scratch;
    if (tools->scratch != NULL)
        job->bundle = cert_bundle_load(job->conf, &load);
    job->nomem = load.nomem || job->problems.nomem || tools->scratch == NULL;
    ERR_clear_error();
    if (job->bundle != NULL && job->old != NULL)
        job->bundle->before = cert_bundle_use(job->old);
}

/* ---- All of them ---- */

static void tell_progress(struct pool *pool, uint32_t done)
{
    const struct cert_jobs *jobs = pool->jobs;

    if (jobs->progress == NULL || (done % PROGRESS_EVERY != 0 && done != jobs->n))
        return;
    (void)pthread_mutex_lock(&pool->telling);
    jobs->progress(jobs->progress_arg, done, jobs->n);
    (void)pthread_mutex_unlock(&pool->telling);
}

static void *work(void *arg)
{
    struct pool *pool = arg;
    struct tools tools = {0};
    uint32_t i;

    while ((i = atomic_fetch_add(&pool->next, 1)) < pool->jobs->n) {
        do_job(&pool->jobs->v[i], pool->jobs, &tools);
        tell_progress(pool, atomic_fetch_add(&pool->done, 1) + 1);
    }
    SSL_CTX_free(tools.scratch);
    key_decoder_fini(&tools.keys);
    return NULL;
}

static uint32_t threads_for(uint32_t n_jobs)
{
    cpu_set_t cores;
    uint32_t n = 1;

    CPU_ZERO(&cores);
    if (sched_getaffinity(0, sizeof(cores), &cores) == 0)
        n = (uint32_t)CPU_COUNT(&cores);
    n = n < n_jobs / JOBS_PER_THREAD ? n : n_jobs / JOBS_PER_THREAD;
    return n < 1 ? 1 : n < MAX_THREADS ? n : MAX_THREADS;
}

/* Signals are for the threads that wait for them. */
static uint32_t start_threads(pthread_t *threads, uint32_t n, struct pool *pool)
{
    sigset_t all, before;
    uint32_t started = 0;

    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    while (started < n && pthread_create(&threads[started], NULL, work, pool) == 0)
        started++;
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    return started;
}

void cert_jobs_run(struct cert_jobs *jobs)
{
    struct pool pool = {.jobs = jobs, .telling = PTHREAD_MUTEX_INITIALIZER};
    pthread_t threads[MAX_THREADS];
    uint32_t started = start_threads(threads, threads_for(jobs->n) - 1, &pool);

    (void)work(&pool); /* also what threads that could not be started leave */
    for (uint32_t i = 0; i < started; i++)
        (void)pthread_join(threads[i], NULL);
    (void)pthread_mutex_destroy(&pool.telling);
}
