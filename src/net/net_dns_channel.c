/* A thread's c-ares channel: its sockets in the thread's own poll set, its time in the thread's
 * timers.
 *
 * A socket of the library that becomes ready is marked, and everything else happens from one timer
 * in the timer step of the turn: the library reads and writes, and whoever is answered is told. So
 * a user hears of its answer from the loop, never inside net_dns_resolve(), although c-ares calls
 * back at once for what it finds in /etc/hosts. */
#include "net_dns_internal.h"

#include <sallyport/base/log.h>

#include <ares.h>

#include <stdlib.h>

/* 1.5 s, then 3 s with the second try; with several servers each gets as much, within the time
 * limit of the question. */
#define TRY_TIMEOUT_MS 1500
#define TRIES          2

struct dns_socket {
    struct list link;
    struct event_io eio;
    struct net_dns *dns;
    uint32_t ready; /* epoll events not yet shown to the library */
};

void net_dns_run_soon(struct net_dns *dns)
{
    struct ethread *t = dns->nh->thread;

    timer_arm(&t->wheel, &dns->timer, ethread_now_ms(t));
}

void net_dns_run_in_time(struct net_dns *dns)
{
    struct ethread *t = dns->nh->thread;
    struct timeval tv;
    int64_t at_ms;

    if (ares_timeout(dns->channel, NULL, &tv) == NULL)
        return; /* nothing is under way */
    at_ms = ethread_now_ms(t) + (int64_t)tv.tv_sec * 1000 + tv.tv_usec / 1000 + 1;
    if (!timer_is_armed(&dns->timer) || dns->timer.deadline_ms > at_ms)
        timer_arm(&t->wheel, &dns->timer, at_ms);
}

/* ---- Sockets ---- */

static void socket_ready(struct event_io *eio, uint32_t events)
{
    struct dns_socket *s = container_of(eio, struct dns_socket, eio);

    s->ready |= events;
    net_dns_run_soon(s->dns);
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

/* Freed at once: the library is never called while a batch of epoll events is looked through. */
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
        return; /* the question runs into its time limit */
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
    else if (s != NULL && (events == 0 || event_io_modify(&s->eio, events) != SP_OK))
        socket_forget(s);
}

/* One that is ready, its mark taken; false: none is. */
static bool take_ready(struct net_dns *dns, int *fd, uint32_t *events)
{
    struct list *n;

    list_for_each (n, &dns->sockets) {
        struct dns_socket *s = container_of(n, struct dns_socket, link);

        if (s->ready == 0)
            continue;
        *fd = s->eio.fd;
        *events = s->ready;
        s->ready = 0;
        return true;
    }
    return false;
}

static void dns_run(struct timer *timer)
{
    struct net_dns *dns = container_of(timer, struct net_dns, timer);
    uint32_t events = 0;
    int fd = -1;

    /* The library may close any socket in each call, so the list is searched anew each time. */
    while (take_ready(dns, &fd, &events)) {
        bool readable = (events & (EPOLLIN | EPOLLERR | EPOLLHUP)) != 0;
        bool writable = (events & EPOLLOUT) != 0;

        ares_process_fd(dns->channel, readable ? fd : ARES_SOCKET_BAD,
                        writable ? fd : ARES_SOCKET_BAD);
    }
    ares_process_fd(dns->channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD); /* its time limits */
    net_dns_deliver(dns);
    net_dns_run_in_time(dns);
}

/* ---- The channel ---- */

static void library_init(void)
{
    (void)ares_library_init(ARES_LIB_INIT_ALL); /* cannot fail where there is no Winsock */
}

static bool channel_init(struct net_dns *dns)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT; /* it is not thread-safe */
    struct ares_options options = {.timeout = TRY_TIMEOUT_MS,
                                   .tries = TRIES,
                                   .sock_state_cb = socket_state,
                                   .sock_state_cb_data = dns};
    int mask = ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_SOCK_STATE_CB;
    int status;

    (void)pthread_once(&once, library_init);
    status = ares_init_options(&dns->channel, &options, mask);
    if (status == ARES_SUCCESS)
        return true;
    LOG_LIMITED(DNS, ERROR, "c-ares: %s", ares_strerror(status));
    return false;
}

struct net_dns *net_dns_of(struct net_core *core)
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
    list_init(&dns->asked);
    list_init(&dns->done);
    timer_init(&dns->timer, dns_run);
    if (!channel_init(dns)) {
        free(dns);
        return NULL;
    }
    nh->dns = dns;
    return dns;
}

void net_dns_end(struct net_dns *dns)
{
    if (dns == NULL)
        return;
    dns->ended = true;
    ares_cancel(dns->channel); /* answers every question */
    net_dns_deliver(dns);
}

void net_dns_free(struct net_dns *dns)
{
    struct list *n, *next;

    if (dns == NULL)
        return;
    ares_destroy(dns->channel); /* answers every question and closes every socket */
    net_dns_forget(dns);
    timer_cancel(&dns->nh->thread->wheel, &dns->timer);
    list_for_each_safe (n, next, &dns->sockets)
        socket_forget(container_of(n, struct dns_socket, link));
    free(dns);
}

enum sp_err net_dns_set_servers(struct net_core *core, const char *servers)
{
    struct net_dns *dns = net_dns_of(core);

    if (dns == NULL)
        return SP_NOMEM;
    return ares_set_servers_ports_csv(dns->channel, servers) == ARES_SUCCESS ? SP_OK : SP_INVALID;
}
