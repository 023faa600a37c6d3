#include "ocsp_host.h"

#include "ocsp_plan.h"

#include <stdlib.h>
#include <string.h>

/* What stands between "http://" and the next "/". */
static struct view authority_of(struct view url)
{
    struct view rest = view_from(url, strlen("http://"));
    const char *slash = rest.len == 0 ? NULL : memchr(rest.p, '/', rest.len);

    return slash == NULL ? rest : view_head(rest, (size_t)(slash - rest.p));
}

struct ocsp_host *ocsp_host_of(struct list *hosts, struct view url)
{
    struct view name = authority_of(url);
    struct ocsp_host *host;
    struct list *pos;

    list_for_each (pos, hosts) {
        host = container_of(pos, struct ocsp_host, link);
        if (view_eq((struct view){host->name, host->len}, name))
            return host;
    }
    host = calloc(1, sizeof(*host) + name.len);
    if (host == NULL)
        return NULL;
    host->len = name.len;
    if (name.len > 0)
        memcpy(host->name, name.p, name.len);
    list_push_back(hosts, &host->link);
    return host;
}

void ocsp_hosts_sweep(struct list *hosts)
{
    struct list *pos, *tmp;

    list_for_each_safe (pos, tmp, hosts) {
        struct ocsp_host *host = container_of(pos, struct ocsp_host, link);

        if (!host->used && host->busy == 0) {
            list_remove(&host->link);
            free(host);
            continue;
        }
        host->used = false;
    }
}

void ocsp_hosts_free(struct list *hosts)
{
    struct list *next;

    for (struct list *pos = hosts == NULL ? NULL : hosts->next; pos != hosts; pos = next) {
        next = pos->next;
        free(container_of(pos, struct ocsp_host, link));
    }
    free(hosts);
}

/* What says something of the certificate says that the host is fine. */
static bool is_of_host(enum ocsp_outcome outcome)
{
    return outcome == STAPLE_DNS || outcome == STAPLE_CONNECT || outcome == STAPLE_TIMEOUT;
}

bool ocsp_host_settle(struct ocsp_host *host, enum ocsp_outcome outcome, int64_t mono_ms,
                      uint32_t random)
{
    bool failed_before = host->failures > 0;

    host->busy -= host->busy > 0;
    if (outcome == STAPLE_STOPPED || outcome == STAPLE_NOMEM)
        return false;
    if (!is_of_host(outcome)) {
        host->failures = 0;
        return failed_before;
    }
    host->failures++;
    host->not_before_ms = mono_ms + ocsp_plan_retry_ms(host->failures, random);
    return false;
}
