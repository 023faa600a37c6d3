/* Shared by net_dns.c (questions and answers) and net_dns_channel.c (the library's sockets and
 * time), and by tests of the resolver. */
#pragma once

#include "net_internal.h"

#include <sallyport/net/net_dns.h>

struct ares_channeldata;

/* A thread's resolver: made for its first question, owned by its net handler. */
struct net_dns {
    struct net_handler *nh; /* borrowed */
    struct ares_channeldata *channel;
    struct list sockets; /* of the library */
    struct list asked;   /* in the library's hands: struct net_dns_query.link */
    struct list done;    /* answered, not yet told */
    struct timer timer;  /* the one place from which the library works and users are told */
    bool ended;          /* the thread ends: users were told, nothing is asked any more */
};

/* The calling ethread's; NULL: out of memory. */
struct net_dns *net_dns_of(struct net_core *core);
/* In this turn's timer step, or the next one's. */
void net_dns_run_soon(struct net_dns *dns);
/* When the library next wants to look at its time limits. */
void net_dns_run_in_time(struct net_dns *dns);
/* Tells everybody who is answered. */
void net_dns_deliver(struct net_dns *dns);
/* Without a word: what is answered and was not told. */
void net_dns_forget(struct net_dns *dns);

/* For tests: "127.0.0.1:5353" instead of /etc/resolv.conf, on the calling ethread. */
enum sp_err net_dns_set_servers(struct net_core *core, const char *servers) SP_MUST_CHECK;
