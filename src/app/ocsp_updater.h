/* Keeps the staples of all certificates that serve fresh: asks their authorities before it is
 * needed, on threads of its own, so that a responder that is slow, wrong or dead costs nobody
 * anything; keeps what they said on disk; and says in the log and in the metrics how it goes.
 *
 * Threads are made when the first certificate comes whose authority can be asked, never more than
 * OCSP_WORKERS. Any thread that may block, but for what says otherwise. */
#pragma once

#include "ocsp_table.h"

#include <sallyport/net/net_core.h>
#include <sallyport/tls/cert_problem.h>

#include <sys/types.h>

#define OCSP_WORKERS 4

struct ocsp_updater;

/* NULL: out of memory or descriptors. `core` is borrowed. */
struct ocsp_updater *ocsp_updater_new(struct net_core *core) SP_MUST_CHECK;
/* Before the event processor stops: whoever is under way gives up. Harmless twice; NULL is
 * accepted.
 */
void ocsp_updater_stop(struct ocsp_updater *u);
/* After the event processor has stopped. NULL is accepted. */
void ocsp_updater_free(struct ocsp_updater *u);

struct ocsp_updater_certs {
    struct config *config;              /* whose settings hold from here on; a reference is taken */
    const struct cert_set *const *sets; /* all that serve, or are about to; NULL: none */
    uint32_t n_sets;
};
/* From here on these certificates. Those that were there before have their staples at once. What
 * cannot be done for want of memory or threads is in the log, and tried again the next time. */
void ocsp_updater_follow(struct ocsp_updater *u, const struct ocsp_updater_certs *certs);

/* After ocsp_updater_follow(), before `set` serves: certificates in it that must have a staple (RFC
 * 7633) get the time to, wait_ms at most, all together. A warning for each that has none then: of
 * those whose authority can be asked not with wait_ms 0, as their time has only come. */
void ocsp_updater_wait(struct ocsp_updater *u, const struct cert_set *set, uint32_t wait_ms,
                       const struct cert_reporter *reporter);

/* Before the process becomes another user: the folder of the cache becomes theirs. That it cannot
 * be is told in the log. */
void ocsp_updater_give(const struct config *config, uid_t uid, gid_t gid);

struct ocsp_totals ocsp_updater_totals(struct ocsp_updater *u);
