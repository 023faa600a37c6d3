/* Names to addresses: a question's life from net_dns_resolve() to DNS_EVENT_DONE. How the library
 * underneath gets its sockets and its time is in net_dns_channel.c.
 *
 * Files: the first question of a thread reads /etc/resolv.conf and /etc/nsswitch.conf, and each one
 * that is not for an address or "localhost" may read /etc/hosts, if that is where names are to be
 * looked up first. They are small and local, and c-ares has no other way. */
#include "net_dns_internal.h"

#include <ares.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* From the question to its answer, however many servers and search domains there are. */
#define QUESTION_TIMEOUT_MS 5000
/* Of one name; the rest of a longer answer is of no use. */
#define MAX_ENDPOINTS       64
#define MAX_NAME_BYTES      255

struct net_dns_query {
    struct list link; /* on dns->asked or dns->done */
    struct net_dns *dns;
    struct continuation *cont; /* borrowed; NULL: nobody is told any more */
    struct timer limit;
    bool asked; /* the library knows it, and calls query_answered() some day */
    enum sp_err err;
    const char *text;
    struct endpoint *endpoints; /* owned */
    int n_endpoints;
    uint16_t port;
};

static void query_free(struct net_dns_query *q)
{
    timer_cancel(&q->dns->nh->thread->wheel, &q->limit);
    list_remove(&q->link);
    free(q->endpoints);
    free(q);
}

/* Nobody is told. What the library still knows is freed when it lets go. */
static void query_drop(struct net_dns_query *q)
{
    q->cont = NULL;
    timer_cancel(&q->dns->nh->thread->wheel, &q->limit);
    if (!q->asked)
        query_free(q);
}

static void query_failed(struct net_dns_query *q, enum sp_err err, const char *text)
{
    q->err = err;
    q->text = text;
}

/* ---- Answers ---- */

/* The library goes on asking, for itself. */
static void query_late(struct timer *t)
{
    struct net_dns_query *q = container_of(t, struct net_dns_query, limit);
    struct net_dns_result result = {.err = SP_CONN_TIMEOUT, .text = "no answer in time"};
    struct continuation *cont = q->cont;

    q->cont = NULL;
    (void)continuation_call(cont, DNS_EVENT_DONE, &result);
}

static void query_take_addresses(struct net_dns_query *q, const struct ares_addrinfo *info)
{
    q->endpoints = calloc(MAX_ENDPOINTS, sizeof(*q->endpoints));
    if (q->endpoints == NULL) {
        query_failed(q, SP_NOMEM, sp_err_text(SP_NOMEM));
        return;
    }
    for (const struct ares_addrinfo_node *node = info->nodes;
         node != NULL && q->n_endpoints < MAX_ENDPOINTS; node = node->ai_next) {
        struct endpoint *e = &q->endpoints[q->n_endpoints];

        if ((node->ai_family != AF_INET && node->ai_family != AF_INET6) ||
            (size_t)node->ai_addrlen > sizeof(e->storage))
            continue;
        memcpy(&e->storage, node->ai_addr, (size_t)node->ai_addrlen);
        e->len = (socklen_t)node->ai_addrlen;
        q->n_endpoints++;
    }
    if (q->n_endpoints == 0)
        query_failed(q, SP_DNS, "the name has no address");
}

/* c-ares: a question is over. Also for each that is left when the channel is ended. */
static void query_answered(void *arg, int status, int timeouts, struct ares_addrinfo *info)
{
    struct net_dns_query *q = arg;

    (void)timeouts;
    q->asked = false;
    if (status == ARES_SUCCESS && q->cont != NULL)
        query_take_addresses(q, info);
    else if (status == ARES_ECANCELLED)
        query_failed(q, SP_SHUTTING_DOWN, sp_err_text(SP_SHUTTING_DOWN));
    else if (status == ARES_ENOMEM)
        query_failed(q, SP_NOMEM, sp_err_text(SP_NOMEM));
    else if (status == ARES_ETIMEOUT)
        query_failed(q, SP_CONN_TIMEOUT, ares_strerror(status));
    else if (status != ARES_SUCCESS)
        query_failed(q, SP_DNS, ares_strerror(status));
    ares_freeaddrinfo(info);
    if (q->cont == NULL) {
        query_free(q);
        return;
    }
    list_remove(&q->link);
    list_push_back(&q->dns->done, &q->link);
    net_dns_run_soon(q->dns);
}

void net_dns_deliver(struct net_dns *dns)
{
    struct list batch, *n;

    /* Who is answered meanwhile waits for the next turn. */
    list_init(&batch);
    list_splice_back(&batch, &dns->done);
    while ((n = list_pop_front(&batch)) != NULL) {
        struct net_dns_query *q = container_of(n, struct net_dns_query, link);
        struct net_dns_result result = {.err = q->err,
                                        .text = q->text,
                                        .endpoints = q->endpoints,
                                        .n_endpoints = q->n_endpoints};

        /* It may resolve again, or cancel another one of the batch. */
        timer_cancel(&dns->nh->thread->wheel, &q->limit);
        (void)continuation_call(q->cont, DNS_EVENT_DONE, &result);
        query_free(q);
    }
}

void net_dns_forget(struct net_dns *dns)
{
    struct list *n, *next;

    list_for_each_safe (n, next, &dns->done)
        query_free(container_of(n, struct net_dns_query, link));
}

/* ---- Questions ---- */

/* "localhost" and what ends in ".localhost", with or without a last dot (RFC 6761 6.3). */
static bool is_localhost(struct view host)
{
    static const char name[] = "localhost";
    const size_t len = sizeof(name) - 1;

    if (host.len > 0 && host.p[host.len - 1] == '.')
        host.len--;
    if (host.len < len || strncasecmp(host.p + host.len - len, name, len) != 0)
        return false;
    return host.len == len || host.p[host.len - len - 1] == '.';
}

/* SP_INVALID: it is no address. */
static enum sp_err parse_address(struct view host, uint16_t port, struct endpoint *out)
{
    bool v6 = memchr(host.p, ':', host.len) != NULL;
    char text[ENDPOINT_TEXT_MAX];
    int len = snprintf(text, sizeof(text), v6 ? "[" VIEW_FMT "]:%u" : VIEW_FMT ":%u",
                       VIEW_ARG(host), port);

    if (len < 0 || (size_t)len >= sizeof(text))
        return SP_INVALID;
    return endpoint_parse((struct view){text, (size_t)len}, out);
}

/* What needs no name server. False: it does. */
static bool answer_locally(struct net_dns_query *q, struct view host)
{
    const struct view texts[2] = {is_localhost(host) ? VIEW("127.0.0.1") : host, VIEW("::1")};
    struct endpoint found[2];
    int n = is_localhost(host) ? 2 : 1;

    for (int i = 0; i < n; i++)
        if (parse_address(texts[i], q->port, &found[i]) != SP_OK)
            return false;
    q->endpoints = calloc((size_t)n, sizeof(*q->endpoints));
    if (q->endpoints == NULL) {
        query_failed(q, SP_NOMEM, sp_err_text(SP_NOMEM));
    } else {
        memcpy(q->endpoints, found, (size_t)n * sizeof(*found));
        q->n_endpoints = n;
    }
    return true;
}

static void ask(struct net_dns_query *q, struct view host)
{
    const struct ares_addrinfo_hints hints = {
        .ai_flags = ARES_AI_NUMERICSERV, .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    struct net_dns *dns = q->dns;
    char name[MAX_NAME_BYTES + 1], service[8];

    memcpy(name, host.p, host.len);
    name[host.len] = '\0';
    (void)snprintf(service, sizeof(service), "%u", q->port);
    q->asked = true;
    list_push_back(&dns->asked, &q->link);
    ethread_timer_arm_in(dns->nh->thread, &q->limit, QUESTION_TIMEOUT_MS);
    ares_getaddrinfo(dns->channel, name, service, &hints, query_answered, q);
    net_dns_run_in_time(dns);
}

static struct net_dns_query *query_new(struct net_dns *dns, uint16_t port, struct continuation *c)
{
    struct net_dns_query *q = calloc(1, sizeof(*q));

    if (q == NULL)
        return NULL;
    list_init(&q->link);
    timer_init(&q->limit, query_late);
    q->dns = dns;
    q->cont = c;
    q->port = port;
    return q;
}

struct net_dns_query *net_dns_resolve(struct net_core *core, struct view host, uint16_t port,
                                      struct continuation *c)
{
    struct net_dns *dns = net_dns_of(core);
    struct net_dns_query *q = dns == NULL || dns->ended ? NULL : query_new(dns, port, c);
    bool possible =
        host.len > 0 && host.len <= MAX_NAME_BYTES && memchr(host.p, 0, host.len) == NULL;

    if (q == NULL)
        return NULL;
    if (!possible)
        query_failed(q, SP_DNS, "not a host name");
    if (possible && !answer_locally(q, host)) {
        ask(q, host);
        return q;
    }
    list_push_back(&dns->done, &q->link);
    net_dns_run_soon(dns);
    return q;
}

void net_dns_cancel(struct net_dns_query *q)
{
    query_drop(q);
}
