/* Names to addresses, by c-ares in the thread's own poll set.
 *
 * A socket of the library that becomes ready is marked, and everything else happens from one timer
 * in the timer step of the turn: the library reads and writes, queries that are over are delivered.
 * So a user hears of its answer from the loop, never inside net_dns_resolve(), although c-ares
 * calls back at once for what it finds in /etc/hosts.
 *
 * Files: the first query of a thread reads /etc/resolv.conf, and each query that is not for an
 * address or "localhost" may read /etc/hosts. Both are small and local; c-ares has no other way. */
#include "net_dns_internal.h"
#include "net_internal.h"

#include <sallyport/base/log.h>

#include <ares.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* 1.5 s, then 3 s with the second try. */
#define TRY_TIMEOUT_MS 1500
#define TRIES          2
/* Of one name; the rest of a longer answer is of no use. */
#define MAX_ENDPOINTS  64
#define MAX_NAME_BYTES 255

struct net_dns {
    struct net_handler *nh; /* borrowed */
    ares_channel channel;
    struct list sockets; /* struct dns_socket.link */
    struct list queries; /* in the library's hands */
    struct list done;    /* to be delivered */
    struct timer timer;
    bool closing;
};

struct dns_socket {
    struct list link;
    struct event_io eio;
    struct net_dns *dns;
    uint32_t ready; /* epoll events not yet shown to the library */
};

struct net_dns_query {
    struct list link;
    struct net_dns *dns;
    struct continuation *cont; /* borrowed; NULL: cancelled */
    enum sp_err err;
    const char *text;
    struct endpoint *endpoints; /* owned */
    int n_endpoints;
    uint16_t port;
};

static void run_soon(struct net_dns *dns)
{
    struct ethread *t = dns->nh->thread;

    timer_arm(&t->wheel, &dns->timer, ethread_now_ms(t));
}

/* Sockets. */

static void socket_ready(struct event_io *eio, uint32_t events)
{
    struct dns_socket *s = container_of(eio, struct dns_socket, eio);

    s->ready |= events;
    run_soon(s->dns);
}

static struct dns_socket *socket_find(struct net_dns *dns, int fd)
{
    struct list *n;

    list_for_each (n, &dns->sockets) {
        struct dns_socket *s = container_of(n, struct dns_socket, link);

        if (s->eio.fd == fd)
            return s;
    }
    return NULL;
}

/* Freed at once: this never runs while a batch of epoll events is looked through. */
static void socket_forget(struct dns_socket *s)
{
    event_io_stop(&s->eio);
    list_remove(&s->link);
    free(s);
}

static void socket_watch(struct net_dns *dns, int fd, uint32_t events)
{
    struct dns_socket *s = calloc(1, sizeof(*s));

    if (s == NULL)
        return; /* the query runs into its timeout */
    s->dns = dns;
    s->eio.fd = -1;
    list_push_back(&dns->sockets, &s->link);
    if (event_io_start(&s->eio, &dns->nh->pd, fd, EVENT_IO_DNS, socket_ready, events) != SP_OK)
        socket_forget(s);
}

/* c-ares: what it wants to know of a socket; neither: it closes it. */
static void socket_state(void *arg, ares_socket_t fd, int readable, int writable)
{
    struct net_dns *dns = arg;
    struct dns_socket *s = socket_find(dns, fd);
    uint32_t events = (readable ? EPOLLIN : 0U) | (writable ? EPOLLOUT : 0U);

    if (s == NULL && events != 0)
        socket_watch(dns, fd, events);
    else if (s != NULL && events == 0)
        socket_forget(s);
    else if (s != NULL && event_io_modify(&s->eio, events) != SP_OK)
        socket_forget(s);
}

/* Queries. */

static void query_free(struct net_dns_query *q)
{
    list_remove(&q->link);
    free(q->endpoints);
    free(q);
}

static void query_failed(struct net_dns_query *q, enum sp_err err, const char *text)
{
    q->err = err;
    q->text = text;
}

static void query_take_addresses(struct net_dns_query *q, const struct ares_addrinfo *info)
{
    int n = 0;

    q->endpoints = calloc(MAX_ENDPOINTS, sizeof(*q->endpoints));
    if (q->endpoints == NULL) {
        query_failed(q, SP_NOMEM, "out of memory");
        return;
    }
    for (const struct ares_addrinfo_node *node = info->nodes; node != NULL && n < MAX_ENDPOINTS;
         node = node->ai_next) {
        struct endpoint *e = &q->endpoints[n];

        if ((node->ai_family != AF_INET && node->ai_family != AF_INET6) ||
            (size_t)node->ai_addrlen > sizeof(e->storage))
            continue;
        memcpy(&e->storage, node->ai_addr, (size_t)node->ai_addrlen);
        e->len = (socklen_t)node->ai_addrlen;
        n++;
    }
    q->n_endpoints = n;
    if (n == 0)
        query_failed(q, SP_DNS, "the name has no address");
}

/* c-ares: a query is over. Also called while the channel is destroyed. */
static void query_answered(void *arg, int status, int timeouts, struct ares_addrinfo *info)
{
    struct net_dns_query *q = arg;

    (void)timeouts;
    if (status == ARES_SUCCESS && q->cont != NULL)
        query_take_addresses(q, info);
    else if (status == ARES_ENOMEM)
        query_failed(q, SP_NOMEM, "out of memory");
    else if (status == ARES_ETIMEOUT)
        query_failed(q, SP_CONN_TIMEOUT, ares_strerror(status));
    else if (status != ARES_SUCCESS)
        query_failed(q, SP_DNS, ares_strerror(status));
    ares_freeaddrinfo(info);
    if (q->cont == NULL || q->dns->closing) {
        query_free(q);
        return;
    }
    list_remove(&q->link);
    list_push_back(&q->dns->done, &q->link);
    run_soon(q->dns);
}

static void deliver(struct net_dns *dns)
{
    struct list batch, *n;

    list_init(&batch);
    list_splice_back(&batch, &dns->done);
    while ((n = list_first(&batch)) != NULL) {
        struct net_dns_query *q = container_of(n, struct net_dns_query, link);
        struct net_dns_result result = {.err = q->err,
                                        .text = q->text,
                                        .endpoints = q->endpoints,
                                        .n_endpoints = q->n_endpoints};
        struct continuation *cont = q->cont;

        /* Off the list first: the user may resolve again, or cancel another one of the batch. */
        list_remove(&q->link);
        (void)continuation_call(cont, DNS_EVENT_DONE, &result);
        query_free(q);
    }
}

static void show_ready(struct net_dns *dns)
{
    struct list *n;
    bool again = true;

    /* The library may close any socket in each call, so the list is walked from its start. */
    while (again) {
        again = false;
        list_for_each (n, &dns->sockets) {
            struct dns_socket *s = container_of(n, struct dns_socket, link);
            uint32_t events = s->ready;
            int fd = s->eio.fd;

            if (events == 0)
                continue;
            s->ready = 0;
            ares_process_fd(dns->channel,
                            events & (EPOLLIN | EPOLLERR | EPOLLHUP) ? fd : ARES_SOCKET_BAD,
                            events & EPOLLOUT ? fd : ARES_SOCKET_BAD);
            again = true;
            break;
        }
    }
}

static void arm_timeout(struct net_dns *dns)
{
    struct timeval tv;
    struct ethread *t = dns->nh->thread;

    if (ares_timeout(dns->channel, NULL, &tv) == NULL || timer_is_armed(&dns->timer))
        return;
    timer_arm(&t->wheel, &dns->timer,
              ethread_now_ms(t) + (int64_t)tv.tv_sec * 1000 + tv.tv_usec / 1000 + 1);
}

static void dns_run(struct timer *timer)
{
    struct net_dns *dns = container_of(timer, struct net_dns, timer);

    show_ready(dns);
    ares_process_fd(dns->channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD); /* timeouts */
    deliver(dns);
    arm_timeout(dns);
}

/* The thread's channel. */

static bool channel_init(struct net_dns *dns)
{
    struct ares_options options = {.timeout = TRY_TIMEOUT_MS,
                                   .tries = TRIES,
                                   .sock_state_cb = socket_state,
                                   .sock_state_cb_data = dns};
    int mask = ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_SOCK_STATE_CB;
    int status = ares_library_init(ARES_LIB_INIT_ALL);

    if (status == ARES_SUCCESS)
        status = ares_init_options(&dns->channel, &options, mask);
    if (status == ARES_SUCCESS)
        return true;
    LOG_LIMITED(DNS, ERROR, "c-ares: %s", ares_strerror(status));
    return false;
}

static struct net_dns *dns_of(struct net_core *core)
{
    struct net_handler *nh = net_handler_of(core, this_ethread());
    struct net_dns *dns = nh->dns;

    if (dns != NULL)
        return dns;
    dns = calloc(1, sizeof(*dns));
    if (dns == NULL)
        return NULL;
    dns->nh = nh;
    list_init(&dns->sockets);
    list_init(&dns->queries);
    list_init(&dns->done);
    timer_init(&dns->timer, dns_run);
    if (!channel_init(dns)) {
        free(dns);
        return NULL;
    }
    nh->dns = dns;
    return dns;
}

void net_dns_free(struct net_dns *dns)
{
    struct list *n;

    if (dns == NULL)
        return;
    dns->closing = true;
    timer_cancel(&dns->nh->thread->wheel, &dns->timer);
    ares_destroy(dns->channel); /* ends every query and closes every socket */
    while ((n = list_first(&dns->done)) != NULL)
        query_free(container_of(n, struct net_dns_query, link));
    while ((n = list_first(&dns->sockets)) != NULL)
        socket_forget(container_of(n, struct dns_socket, link));
    ares_library_cleanup();
    free(dns);
}

enum sp_err net_dns_set_servers(struct net_core *core, const char *servers)
{
    struct net_dns *dns = dns_of(core);

    if (dns == NULL)
        return SP_NOMEM;
    return ares_set_servers_ports_csv(dns->channel, servers) == ARES_SUCCESS ? SP_OK : SP_INVALID;
}

/* What needs no name server: an address, or "localhost" (RFC 6761 6.3). */
static bool answer_locally(struct net_dns_query *q, struct view host)
{
    bool localhost = view_eq_nocase(host, VIEW("localhost"));
    struct view texts[2] = {localhost ? VIEW("127.0.0.1") : host, VIEW("::1")};
    struct endpoint found[2];
    int n = 0;

    for (int i = 0; i < (localhost ? 2 : 1); i++) {
        char text[ENDPOINT_TEXT_MAX];
        bool v6 = texts[i].len > 0 && memchr(texts[i].p, ':', texts[i].len) != NULL;
        int len = snprintf(text, sizeof(text), v6 ? "[" VIEW_FMT "]:%u" : VIEW_FMT ":%u",
                           VIEW_ARG(texts[i]), q->port);

        if (len > 0 && (size_t)len < sizeof(text) &&
            endpoint_parse((struct view){text, (size_t)len}, &found[n]) == SP_OK)
            n++;
    }
    if (n == 0)
        return false;
    q->endpoints = calloc((size_t)n, sizeof(*q->endpoints));
    if (q->endpoints == NULL) {
        query_failed(q, SP_NOMEM, "out of memory");
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
    char name[MAX_NAME_BYTES + 1], service[8];

    memcpy(name, host.p, host.len);
    name[host.len] = '\0';
    (void)snprintf(service, sizeof(service), "%u", q->port);
    list_push_back(&q->dns->queries, &q->link);
    ares_getaddrinfo(q->dns->channel, name, service, &hints, query_answered, q);
    arm_timeout(q->dns);
}

struct net_dns_query *net_dns_resolve(struct net_core *core, struct view host, uint16_t port,
                                      struct continuation *c)
{
    struct net_dns *dns = dns_of(core);
    struct net_dns_query *q = dns == NULL ? NULL : calloc(1, sizeof(*q));
    bool impossible = host.len == 0 || host.len > MAX_NAME_BYTES;

    if (q == NULL)
        return NULL;
    list_init(&q->link);
    q->dns = dns;
    q->cont = c;
    q->port = port;
    if (impossible)
        query_failed(q, SP_DNS, "not a host name");
    if (!impossible && !answer_locally(q, host)) {
        ask(q, host);
        return q;
    }
    list_push_back(&dns->done, &q->link);
    run_soon(dns);
    return q;
}

void net_dns_cancel(struct net_dns_query *q)
{
    struct list *n;

    list_for_each (n, &q->dns->queries) {
        if (n != &q->link)
            continue;
        q->cont = NULL; /* the library still knows it: freed when it lets go */
        return;
    }
    query_free(q); /* waits to be delivered */
}
