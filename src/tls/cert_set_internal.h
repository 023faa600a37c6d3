/* A set while it is made. */
#pragma once

#include "cert_store_internal.h"

#include <sallyport/config/bundle.h>
#include <sallyport/tls/cert_set.h>

struct cert_set_entry {
    struct cert_bundle *bundle; /* owned reference */
    enum cert_outcome outcome;
};

struct cert_set {
    atomic_uint refs;
    struct cert_set_entry *v; /* owned, in the order of the configuration */
    uint32_t *by_name;        /* owned; indexes of v, sorted by the bundles' names */
    uint32_t n;
    struct client_trust **trusts; /* owned references; of ports, one of each policy */
    uint32_t n_trusts, n_trusts_failed;
};

/* cert_set_trusts.c: SP_INVALID after a problem was reported, SP_NOMEM. */
enum sp_err cert_set_take_trusts(struct cert_set *set, const struct cert_set_options *o)
    SP_MUST_CHECK;
void cert_set_drop_trusts(struct cert_set *set);

/* What there is to do for one bundle, and what came of it. */
struct cert_job {
    const struct bundle_conf *conf;
    struct cert_bundle *old;           /* borrowed; NULL: none */
    const struct cert_bundle *shunned; /* likewise */
    bool look_at_files;
    struct cert_bundle *bundle; /* owned reference; NULL: it could not be read */
    struct cert_problems problems;
    bool nomem;
};

struct cert_jobs {
    struct cert_job *v;
    uint32_t n;
    bool refuse_expired;
    const struct ocsp_conf *ocsp; /* borrowed; NULL: no cache */
    void (*progress)(void *arg, uint32_t done, uint32_t total);
    void *progress_arg;
};
/* Does them on all cores. On the caller's thread alone where they are few. */
void cert_jobs_run(struct cert_jobs *jobs);
