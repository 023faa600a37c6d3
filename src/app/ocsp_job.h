/* One question about one certificate: what a worker takes, what comes of it, and what is said of
 * that in the log and the metrics. */
#pragma once

#include "ocsp_table.h"

#include <sallyport/net/net_core.h>

struct ocsp_job {
    struct ocsp_slot *slot; /* owned reference */
    struct ocsp_host *host; /* of the table; not looked at here */
    struct config *config;  /* owned reference */
    enum ocsp_outcome outcome;
};

/* Asks, offers what came to the slot, and keeps it. Blocks; `cancel_fd` readable: gives up. */
void ocsp_job_do(struct ocsp_job *job, struct net_core *core, int cancel_fd);
/* A line and a count. `wait_ms`: until it is asked again; OCSP_NEVER: not at all. */
void ocsp_job_tell(const struct ocsp_job *job, int64_t wait_ms);
void ocsp_job_fini(struct ocsp_job *job);
