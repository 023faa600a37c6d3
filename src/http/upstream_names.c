/* A server's addresses. One that the configuration gives is there from the start; a name is
 * resolved when it is first needed and again when the answer is old. An old answer is used while a
 * new one is on its way, and for as long as there is none: a resolver that fails takes no backend
 * away. */
#include "upstream_internal.h"

#include <sallyport/base/log.h>
#include <sallyport/net/net_dns.h>

#include <stdlib.h>

enum {
    FRESH_MS = 10 * 1000, /* the resolver's answer is taken as it is for so long */
    STALE_MS = 60 * 1000, /* after that many more a request waits for the new answer */
    RETRY_MS = 1000,      /* until the resolver is asked again after a failure */
};

const struct upstream_resolver upstream_dns = {.resolve = net_dns_resolve,
                                               .cancel = net_dns_cancel};

static bool is_literal(const struct pool_server *server)
{
    return server->shared->conf->endpoint.len > 0;
}

/* Everybody who waits goes on: to connect, or with a failure. */
static void tell_waiters(struct pool_server *server, enum http_error error)
{
    struct list waiters, *n;

    list_init(&waiters);
    list_splice_back(&waiters, &server->names.waiters);
    while ((n = list_pop_front(&waiters)) != NULL) {
        struct upstream_wish *w = container_of(n, struct upstream_wish, link);

        ethread_timer_cancel(server->pool->thread, &w->timer);
        list_push_back(&server->pool->wishes, &w->link);
        if (error == HTTP_ERROR_NONE)
            upstream_connect(server, w);
        else
            upstream_wish_fail(w, error);
    }
}

/* False: out of memory, the old addresses stay. */
static bool keep_addresses(struct upstream_names *names, const struct net_dns_result *result)
{
    uint32_t n = (uint32_t)result->n_endpoints;
    struct endpoint *v;

    if (n > UPSTREAM_MAX_ADDRESSES)
        n = UPSTREAM_MAX_ADDRESSES;
    v = n == 0 ? NULL : malloc(n * sizeof(*v));
    if (v == NULL)
        return false;
    memcpy(v, result->endpoints, n * sizeof(*v));
    free(names->v);
    names->v = v;
    names->n = n;
    names->bad = 0;
    return true;
}

static enum http_error unresolved(struct pool_server *server, const struct net_dns_result *result)
{
    const struct server_conf *conf = server->shared->conf;

    LOG_LIMITED(UPSTREAM, WARN, "backend=" VIEW_FMT " server=" VIEW_FMT " resolve err=%s: %s",
                VIEW_ARG(server->backend->conf->name), VIEW_ARG(conf->name),
                sp_err_label(result->err), result->text == NULL ? "no address" : result->text);
    if (server->names.n > 0)
        return HTTP_ERROR_NONE;
    if (result->err == SP_NOMEM)
        return HTTP_ERROR_NOMEM;
    upstream_server_failed(server->shared, ethread_now_ms(server->pool->thread));
    return result->err == SP_CONN_TIMEOUT ? HTTP_ERROR_UPSTREAM_CONNECT_TIMEOUT
                                          : HTTP_ERROR_UPSTREAM_CONNECT;
}

static int resolved(struct continuation *c, int event, void *data)
{
    struct upstream_names *names = container_of(c, struct upstream_names, cont);
    struct pool_server *server = container_of(names, struct pool_server, names);
    int64_t now_ms = ethread_now_ms(server->pool->thread);
    const struct net_dns_result *result = data;
    enum http_error error = HTTP_ERROR_NONE;

    (void)event;
    names->query = NULL;
    if (result->err == SP_OK && keep_addresses(names, result)) {
        names->expires_ms = now_ms + FRESH_MS;
    } else {
        names->expires_ms = now_ms + RETRY_MS;
        error = unresolved(server, result);
    }
    tell_waiters(server, error);
    pool_server_released(server);
    return EVENT_DONE;
}

/* False: out of memory. */
static bool resolve(struct pool_server *server)
{
    const struct server_conf *conf = server->shared->conf;
    struct upstream_names *names = &server->names;

    if (names->query == NULL)
        names->query = server->pool->resolver->resolve(server->pool->plain->core, conf->host,
                                                       conf->port, &names->cont);
    return names->query != NULL;
}

/* Until the answer or the time limit, whichever comes first. */
static void wait_for_answer(struct pool_server *server, struct upstream_wish *w)
{
    list_remove(&w->link);
    list_push_back(&server->names.waiters, &w->link);
    w->failure = HTTP_ERROR_UPSTREAM_CONNECT_TIMEOUT;
    timer_arm(&server->pool->thread->wheel, &w->timer, w->deadline_ms);
}

void upstream_names_connect(struct pool_server *server, struct upstream_wish *w)
{
    struct upstream_names *names = &server->names;
    int64_t age_ms = ethread_now_ms(server->pool->thread) - names->expires_ms;

    if (is_literal(server) || (names->n > 0 && age_ms < 0)) {
        upstream_connect(server, w);
        return;
    }
    if (names->n > 0 && age_ms < STALE_MS) {
        (void)resolve(server); /* without memory the next request tries again */
        upstream_connect(server, w);
        return;
    }
    if (resolve(server))
        wait_for_answer(server, w);
    else
        upstream_wish_fail(w, HTTP_ERROR_NOMEM);
}

uint32_t upstream_names_pick(struct upstream_names *names)
{
    uint32_t start = names->next++ % names->n;

    for (uint32_t i = 0; i < names->n; i++) {
        uint32_t at = (start + i) % names->n;

        if ((names->bad >> at & 1) == 0)
            return at;
    }
    return start;
}

void upstream_names_failed(struct upstream_names *names, uint32_t address)
{
    /* The list may have been replaced by a shorter one since. */
    if (address < names->n)
        names->bad |= 1U << address;
}

enum sp_err upstream_names_init(struct pool_server *server)
{
    struct upstream_names *names = &server->names;

    list_init(&names->waiters);
    continuation_init(&names->cont, "upstream_names", resolved);
    if (!is_literal(server))
        return SP_OK;
    names->v = malloc(sizeof(*names->v));
    if (names->v == NULL)
        return SP_NOMEM;
    *names->v = server->shared->conf->endpoint;
    names->n = 1;
    return SP_OK;
}

void upstream_names_fini(struct pool_server *server)
{
    struct upstream_names *names = &server->names;

    SP_ASSERT(list_is_empty(&names->waiters));
    if (names->query != NULL)
        server->pool->resolver->cancel(names->query);
    free(names->v);
    names->v = NULL;
}
