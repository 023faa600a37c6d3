/* A responder, by the host and port of its URL. One that does not answer is not asked about its
 * other certificates either, but for one at a time. Pure, but for memory. */
#pragma once

#include <sallyport/base/compiler.h>
#include <sallyport/base/list.h>
#include <sallyport/base/view.h>
#include <sallyport/tls/ocsp.h>

#include <stdbool.h>
#include <stdint.h>

struct ocsp_host {
    struct list link; /* of ocsp_table.hosts */
    uint32_t failures;
    int64_t not_before_ms; /* monotonic */
    uint32_t busy;         /* requests under way */
    bool used;
    size_t len;
    char name[];
};

/* Of a list of them, found or made; NULL: out of memory. */
struct ocsp_host *ocsp_host_of(struct list *hosts, struct view url) SP_MUST_CHECK;
/* Frees those that are neither used nor busy; the others are not used from here on. */
void ocsp_hosts_sweep(struct list *hosts);
void ocsp_hosts_free(struct list *hosts);

/* What came of a request: is it back after it had failed? */
bool ocsp_host_settle(struct ocsp_host *host, enum ocsp_outcome outcome, int64_t mono_ms,
                      uint32_t random) SP_MUST_CHECK;
