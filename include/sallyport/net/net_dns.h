/* Names to addresses without waiting for a server: c-ares, one channel a thread, its sockets in the
 * thread's own poll set (EVENT_IO_DNS). /etc/hosts and /etc/resolv.conf count; the latter is read
 * when a thread resolves for the first time. Thread: the calling ethread. */
#pragma once

#include <sallyport/net/net_core.h>

struct net_dns_query;

struct net_dns_result {
    enum sp_err err;  /* SP_OK, SP_DNS, SP_NOMEM, SP_CONN_TIMEOUT (5 s), SP_SHUTTING_DOWN */
    const char *text; /* for a person, with an error; static */
    const struct endpoint *endpoints; /* valid during the call only; port filled in */
    int n_endpoints;
};

/* DNS_EVENT_DONE comes later, never inside this call; at the latest when the thread ends. NULL: out
 * of memory, or the thread has ended already. */
struct net_dns_query *net_dns_resolve(struct net_core *core, struct view host, uint16_t port,
                                      struct continuation *c) SP_MUST_CHECK;
/* No event will come. Before DNS_EVENT_DONE only. */
void net_dns_cancel(struct net_dns_query *q);
