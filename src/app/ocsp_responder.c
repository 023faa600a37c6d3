#include "ocsp_responder.h"

#include <sallyport/base/clock.h>
#include <sallyport/net/net_dns.h>

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define ADDRESSES_MAX 8

struct addresses {
    struct endpoint v[ADDRESSES_MAX];
    int n;
};

/* ---- Resolving ---- */

/* A question that a data thread answers. Whoever asked may have given up by then. */
struct lookup {
    atomic_uint refs; /* who asked; the data thread */
    struct inbox_item item;
    struct continuation cont;
    struct net_core *core;
    char host[OCSP_HOST_MAX];
    uint16_t port;
    int told_fd; /* an eventfd, owned; written when `found` is filled */
    atomic_bool told;
    struct addresses found;
};

static void lookup_unref(struct lookup *l)
{
    if (atomic_fetch_sub_explicit(&l->refs, 1, memory_order_acq_rel) != 1)
        return;
    (void)close(l->told_fd);
    free(l);
}

/* On the data thread. */
static void lookup_tell(struct lookup *l)
{
    const uint64_t one = 1;

    atomic_store_explicit(&l->told, true, memory_order_release);
    (void)!write(l->told_fd, &one, sizeof(one));
    lookup_unref(l);
}

static int lookup_done(struct continuation *c, int event, void *data)
{
    struct lookup *l = container_of(c, struct lookup, cont);
    const struct net_dns_result *result = data;

    (void)event;
    for (int i = 0; result->err == SP_OK && i < result->n_endpoints && i < ADDRESSES_MAX; i++)
        l->found.v[l->found.n++] = result->endpoints[i];
    lookup_tell(l);
    return EVENT_DONE;
}

static void lookup_begin(struct inbox_item *item, struct ethread *t)
{
    struct lookup *l = container_of(item, struct lookup, item);

    (void)t;
    if (net_dns_resolve(l->core, view_of(l->host), l->port, &l->cont) == NULL)
        lookup_tell(l);
}

static struct lookup *lookup_new(struct net_core *core, const struct ocsp_url *url)
{
    struct lookup *l = calloc(1, sizeof(*l));

    if (l == NULL)
        return NULL;
    l->told_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (l->told_fd < 0) {
        free(l);
        return NULL;
    }
    atomic_init(&l->refs, 2);
    l->item.fn = lookup_begin;
    continuation_init(&l->cont, "ocsp_lookup", lookup_done);
    l->core = core;
    l->port = url->port;
    memcpy(l->host, url->host, sizeof(l->host));
    return l;
}

static enum ocsp_outcome look_up(const struct ocsp_ask *ask, const struct ocsp_url *url,
                                 int64_t deadline_ms, struct addresses *out)
{
    struct lookup *l = lookup_new(ask->core, url);
    enum ocsp_outcome outcome;

    if (l == NULL)
        return STAPLE_NOMEM;
    ethread_post(event_processor_assign(ask->core->ep, ask->core->et_net), &l->item);
    outcome = ocsp_wait(l->told_fd, POLLIN, deadline_ms, ask->cancel_fd);
    if (outcome == STAPLE_GOOD && atomic_load_explicit(&l->told, memory_order_acquire)) {
        *out = l->found;
        outcome = out->n == 0 ? STAPLE_DNS : STAPLE_GOOD;
    }
    lookup_unref(l);
    return outcome;
}

/* An address needs no name server. */
static bool take_literal(const struct ocsp_url *url, struct addresses *out)
{
    char text[OCSP_HOST_MAX + 16];
    bool v6 = strchr(url->host, ':') != NULL;

    (void)snprintf(text, sizeof(text), "%s%s%s:%u", v6 ? "[" : "", url->host, v6 ? "]" : "",
                   url->port);
    out->n = endpoint_parse(view_of(text), &out->v[0]) == SP_OK;
    return out->n == 1;
}

/* ---- Connecting ---- */

/* A connected socket; -1: *outcome says why. */
static int connect_to(const struct endpoint *e, int64_t deadline_ms, int cancel_fd,
                      enum ocsp_outcome *outcome)
{
    int fd = socket(e->sa.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int error_number = 0;
    socklen_t len = sizeof(error_number);

    *outcome = STAPLE_CONNECT;
    if (fd < 0)
        return -1;
    if (connect(fd, &e->sa, e->len) == 0)
        return fd;
    if (errno == EINPROGRESS) {
        enum ocsp_outcome waited = ocsp_wait(fd, POLLOUT, deadline_ms, cancel_fd);

        if (waited == STAPLE_GOOD &&
            getsockopt(fd, SOL_SOCKET, SO_ERROR, &error_number, &len) == 0 && error_number == 0)
            return fd;
        if (waited != STAPLE_GOOD)
            *outcome = waited;
    }
    (void)close(fd);
    return -1;
}

/* One after the other. Where there are several, each is given its part of the time that is left,
 * and one part is kept for the exchange. */
static int connect_any(const struct addresses *to, int64_t deadline_ms, int cancel_fd,
                       enum ocsp_outcome *outcome)
{
    int fd = -1;

    *outcome = STAPLE_CONNECT;
    for (int i = 0; fd < 0 && i < to->n && *outcome != STAPLE_STOPPED; i++) {
        int64_t left_ms = deadline_ms - clock_mono_ms();
        int64_t part_ms = to->n == 1 ? left_ms : left_ms / (to->n - i + 1);

        fd = connect_to(&to->v[i], clock_mono_ms() + part_ms, cancel_fd, outcome);
    }
    return fd;
}

/* ---- The whole ---- */

struct attempt {
    const struct ocsp_ask *ask;
    struct ocsp_url url;
    struct addresses to;
    int64_t deadline_ms;
};

static enum ocsp_outcome try_once(const struct attempt *a, bool post, struct view *response)
{
    enum ocsp_outcome outcome;
    int fd = connect_any(&a->to, a->deadline_ms, a->ask->cancel_fd, &outcome);

    if (fd < 0)
        return outcome;
    outcome = ocsp_exchange_run(&(struct ocsp_exchange){.fd = fd,
                                                        .url = &a->url,
                                                        .request = a->ask->request,
                                                        .deadline_ms = a->deadline_ms,
                                                        .cancel_fd = a->ask->cancel_fd,
                                                        .response_max = a->ask->response_max,
                                                        .post = post},
                                response);
    (void)close(fd);
    return outcome;
}

/* Not every responder knows GET: one that has no answer to it is asked again with POST. */
enum ocsp_outcome ocsp_responder_ask(const struct ocsp_ask *ask, struct view *response)
{
    struct attempt a = {.ask = ask, .deadline_ms = clock_mono_ms() + ask->timeout_ms};
    enum ocsp_outcome outcome = STAPLE_GOOD;

    if (!ocsp_url_parse(ask->url, &a.url))
        return STAPLE_NO_RESPONDER;
    if (!take_literal(&a.url, &a.to))
        outcome = look_up(ask, &a.url, a.deadline_ms, &a.to);
    if (outcome != STAPLE_GOOD)
        return outcome;
    outcome = try_once(&a, false, response);
    return outcome == STAPLE_HTTP ? try_once(&a, true, response) : outcome;
}
