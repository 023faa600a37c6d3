/* Which certificates have their staples kept fresh: those that serve, those that are tried, and
 * those that are about to. */
#include "server_ocsp.h"

#include "server_internal.h"

#include <sallyport/base/log.h>

static void follow(struct server *s, struct config *config, const struct cert_set *next)
{
    const struct cert_set *sets[] = {s->certs, s->canary.set, next};

    ocsp_updater_follow(s->ocsp,
                        &(struct ocsp_updater_certs){
                            .config = config, .sets = sets, .n_sets = (uint32_t)SP_COUNT_OF(sets)});
}

void server_ocsp_follow(struct server *s)
{
    if (s->ocsp != NULL)
        follow(s, s->config, NULL);
}

static void log_problem(void *arg, const struct cert_problem *p)
{
    (void)arg;
    LOG_ERROR(TLS, "/bundles/" VIEW_FMT ": " VIEW_FMT, VIEW_ARG(p->bundle), VIEW_ARG(p->text));
}

void server_ocsp_begin(struct server *s)
{
    const struct cert_reporter reporter = {.report = log_problem};

    server_ocsp_follow(s);
    ocsp_updater_wait(s->ocsp, s->certs, 0, &reporter);
}

void server_ocsp_prepare(struct server *s, struct config *config, const struct cert_set *next,
                         const struct cert_reporter *reporter)
{
    if (s->ocsp == NULL)
        return;
    follow(s, config, next);
    ocsp_updater_wait(s->ocsp, next, config->certificates.ocsp.must_staple_wait_ms, reporter);
}
