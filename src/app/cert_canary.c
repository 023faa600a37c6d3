#include "cert_canary.h"

#include "server_internal.h"

#include <sallyport/base/log.h>
#include <sallyport/base/metrics.h>

#include <inttypes.h>
#include <stdlib.h>

#define LOOK_EVERY_MS 250

/* ---- The verdict ---- */

#define MIN_FAILED       3
#define MIN_SEEN         10
#define MARGIN_PER_MILLE 50U

static uint64_t failures_per_mille(uint64_t handshakes, uint64_t failed)
{
    return handshakes + failed == 0 ? 0 : failed * 1000 / (handshakes + failed);
}

enum cert_verdict cert_canary_judge(const struct cert_canary_use *use)
{
    uint64_t now = failures_per_mille(use->handshakes, use->failed);
    uint64_t old = failures_per_mille(use->old_handshakes, use->old_failed);

    if (use->failed < MIN_FAILED || use->handshakes + use->failed < MIN_SEEN)
        return CERT_VERDICT_WAIT;
    return now > old + MARGIN_PER_MILLE ? CERT_VERDICT_BACK : CERT_VERDICT_WAIT;
}

struct cert_canary_use cert_canary_use_of(const struct server *s, uint32_t i)
{
    const struct cert_bundle *bundle = cert_set_at(s->canary.set, i);
    const struct cert_bundle *old = cert_set_find(s->certs, cert_bundle_name(bundle));
    const struct cert_bundle_use *before = &s->canary.before[i];
    struct cert_bundle_use now = cert_bundle_own_use(bundle);
    struct cert_canary_use use = {.handshakes = now.full, .failed = now.failed};

    if (old != NULL) {
        struct cert_bundle_use meanwhile = cert_bundle_own_use(old);

        use.old_handshakes = meanwhile.full - before->full;
        use.old_failed = meanwhile.failed - before->failed;
    }
    return use;
}

/* ---- Ending ---- */

static void let_go(struct cert_canary *c)
{
    for (uint32_t i = 0; i < c->n_ports; i++)
        server_port_certs_abandon(&c->ports[i]);
    free(c->ports);
    free(c->before);
    cert_set_unref(c->set);
    c->ports = NULL;
    c->before = NULL;
    c->set = NULL;
    c->n_ports = 0;
}

void cert_canary_complete(struct server *s, const char *why)
{
    struct cert_canary *c = &s->canary;

    if (c->set == NULL)
        return;
    server_swap_certificates(s, c->set, c->ports);
    METRIC_INC(tls_canaries_completed);
    LOG_INFO(TLS, "canary=completed reason=\"%s\"", why);
    let_go(c);
    server_ocsp_follow(s);
}

static void stop_trying(struct server *s)
{
    const struct cert_canary *c = &s->canary;

    for (uint32_t i = 0; i < c->n_ports; i++)
        if (s->ports[i]->tls != NULL)
            ssl_port_set_canary(s->ports[i]->tls, NULL, 0);
}

void cert_canary_back(struct server *s, const char *why)
{
    struct cert_canary *c = &s->canary;

    if (c->set == NULL)
        return;
    stop_trying(s);
    cert_set_unref(c->rejected);
    c->rejected = cert_set_ref(c->set);
    METRIC_INC(tls_canaries_reverted);
    LOG_WARN(TLS, "canary=went_back reason=\"%s\"", why);
    let_go(c);
    server_ocsp_follow(s);
}

void cert_canary_drop(struct server *s, const char *why)
{
    struct cert_canary *c = &s->canary;

    if (c->set == NULL)
        return;
    stop_trying(s);
    LOG_INFO(TLS, "canary=ended reason=\"%s\"", why);
    let_go(c);
    server_ocsp_follow(s);
}

/* ---- While it runs ---- */

static bool look_again(struct server *s)
{
    struct cert_canary *c = &s->canary;

    if (!c->timer_set)
        c->timer_set = schedule_in(s->ep, &c->timer, LOOK_EVERY_MS, s->core->et_task,
                                   EVENT_INTERVAL, NULL) != NULL;
    return c->timer_set;
}

/* The first bundle that is worse than before. */
static bool find_worse(const struct server *s, char *why, size_t cap)
{
    const struct cert_set *set = s->canary.set;

    for (uint32_t i = 0; i < cert_set_n(set); i++) {
        struct cert_canary_use use;
        char name[128];

        if (cert_set_outcome(set, i) != CERT_CHANGED)
            continue;
        use = cert_canary_use_of(s, i);
        if (cert_canary_judge(&use) != CERT_VERDICT_BACK)
            continue;
        (void)snprintf(why, cap,
                       "bundle %s: %" PRIu64 " of %" PRIu64
                       " handshakes failed, with the old one %" PRIu64 " of %" PRIu64,
                       log_escape(name, sizeof(name), cert_bundle_name(cert_set_at(set, i))),
                       use.failed, use.failed + use.handshakes, use.old_failed,
                       use.old_failed + use.old_handshakes);
        return true;
    }
    return false;
}

static void look(struct server *s)
{
    char why[320];

    if (find_worse(s, why, sizeof(why)))
        cert_canary_back(s, why);
    else if (clock_mono_ms() >= s->canary.until_mono_ms)
        cert_canary_complete(s, "the time is over");
    else if (!look_again(s))
        cert_canary_back(s, sp_err_text(SP_NOMEM));
}

/* A timer of one that was ended finds another one or none; both are fine. */
static int timer_event(struct continuation *c, int event, void *data)
{
    struct server *s = container_of(c, struct server, canary.timer);

    (void)event;
    (void)data;
    (void)pthread_mutex_lock(&s->applying);
    s->canary.timer_set = false;
    if (s->canary.set != NULL)
        look(s);
    (void)pthread_mutex_unlock(&s->applying);
    return EVENT_DONE;
}

/* ---- Beginning ---- */

static bool note_use(const struct server *s, struct cert_canary *c)
{
    uint32_t n = cert_set_n(c->set);

    c->before = calloc((size_t)n + 1, sizeof(*c->before));
    for (uint32_t i = 0; c->before != NULL && i < n; i++) {
        const struct cert_bundle *old =
            cert_set_find(s->certs, cert_bundle_name(cert_set_at(c->set, i)));

        if (old != NULL)
            c->before[i] = cert_bundle_own_use(old);
    }
    return c->before != NULL;
}

enum sp_err cert_canary_begin(struct server *s, struct cert_set *set,
                              struct server_port_certs *ports,
                              const struct cert_canary_options *options)
{
    struct cert_canary *c = &s->canary;

    SP_ASSERT(c->set == NULL);
    c->set = cert_set_ref(set);
    if (!note_use(s, c) || !look_again(s)) {
        let_go(c);
        return SP_NOMEM;
    }
    c->ports = ports;
    c->n_ports = s->n_ports;
    c->share = options->share;
    c->until_mono_ms = clock_mono_ms() + options->for_ms;
    for (uint32_t i = 0; i < c->n_ports; i++)
        if (ports[i].store != NULL)
            ssl_port_set_canary(s->ports[i]->tls, ports[i].store, options->share);
    METRIC_INC(tls_canaries_begun);
    LOG_INFO(TLS, "canary=begun share=%u.%02u%% for_ms=%u", options->share / 100,
             options->share % 100, options->for_ms);
    return SP_OK;
}

void cert_canary_init(struct cert_canary *canary)
{
    *canary = (struct cert_canary){0};
    continuation_init(&canary->timer, "cert_canary", timer_event);
}

void cert_canary_fini(struct cert_canary *canary)
{
    let_go(canary);
    cert_set_unref(canary->rejected);
    canary->rejected = NULL;
}
