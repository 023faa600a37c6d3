#include "ocsp_job.h"

#include "ocsp_responder.h"

#include <sallyport/base/log.h>
#include <sallyport/base/metrics.h>
#include <sallyport/tls/ocsp_cache.h>

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static const struct ocsp_conf *conf_of(const struct config *config)
{
    return &config->certificates.ocsp;
}

/* ---- Asking ---- */

static enum ocsp_outcome read_file(const struct ocsp_job *job, struct view *der)
{
    enum sp_err err =
        ocsp_file_read(ocsp_slot_file(job->slot), conf_of(job->config)->max_response_bytes, der);

    if (err == SP_OK)
        return STAPLE_GOOD;
    return err == SP_NOMEM ? STAPLE_NOMEM : err == SP_LIMIT ? STAPLE_TOO_LARGE : STAPLE_FILE;
}

static struct view url_of(const struct ocsp_job *job)
{
    const struct ocsp_conf *conf = conf_of(job->config);

    return conf->responder.len > 0 ? conf->responder : ocsp_slot_url(job->slot);
}

static enum ocsp_outcome fetch(const struct ocsp_job *job, struct net_core *core, int cancel_fd,
                               struct view *der)
{
    const struct ocsp_conf *conf = conf_of(job->config);
    struct view request = ocsp_slot_request(job->slot);
    enum ocsp_outcome outcome;

    if (request.p == NULL)
        return STAPLE_NOMEM;
    METRIC_INC(tls_ocsp_fetches);
    outcome = ocsp_responder_ask(&(struct ocsp_ask){.core = core,
                                                    .url = url_of(job),
                                                    .request = request,
                                                    .timeout_ms = conf->timeout_ms,
                                                    .response_max = conf->max_response_bytes,
                                                    .cancel_fd = cancel_fd},
                                 der);
    free((void *)(uintptr_t)request.p);
    return outcome;
}

static void keep(const struct ocsp_job *job, struct view der)
{
    struct view cache = conf_of(job->config)->cache;

    if (cache.len == 0 || ocsp_slot_file(job->slot).len > 0)
        return;
    if (ocsp_cache_write(cache, ocsp_slot_fingerprint(job->slot), der) != SP_OK) {
        LOG_LIMITED(TLS, WARN, "ocsp: a response cannot be kept in " VIEW_FMT ": %s",
                    VIEW_ARG(cache), strerrordesc_np(errno));
    }
}

void ocsp_job_do(struct ocsp_job *job, struct net_core *core, int cancel_fd)
{
    struct view der = {NULL, 0};

    job->outcome = ocsp_slot_file(job->slot).len > 0 ? read_file(job, &der)
                                                     : fetch(job, core, cancel_fd, &der);
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
    const struct ocsp_job *job;
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

    if (t->state.must_staple && !t->state.good) {
        LOG_LIMITED(TLS, ERROR,
                    "ocsp=%s bundle=%s source=%s failures=%u again_in_s=%" PRId64
                    " reason=\"%s\" the certificate demands a staple, and there is none",
                    outcome, t->bundle, t->source, t->state.failures, t->again_in_s, text);
    } else {
        LOG_LIMITED(TLS, WARN,
                    "ocsp=%s bundle=%s source=%s failures=%u again_in_s=%" PRId64
                    " reason=\"%s\" stapled=%s",
                    outcome, t->bundle, t->source, t->state.failures, t->again_in_s, text,
                    t->state.good ? "the_last_one" : "nothing");
    }
}

void ocsp_job_tell(const struct ocsp_job *job, int64_t wait_ms)
{
    struct view file = ocsp_slot_file(job->slot);
    struct told t = {.job = job,
                     .state = ocsp_slot_state(job->slot),
                     .again_in_s = wait_ms == OCSP_NEVER ? -1 : wait_ms / 1000};

    count(job->outcome);
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

void ocsp_job_fini(struct ocsp_job *job)
{
    ocsp_slot_unref(job->slot);
    config_unref(job->config);
}
