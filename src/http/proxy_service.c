/* The service of the proxy's ports: what its threads share, and what each has for itself. */
#include "outcome.h"
#include "request_id.h"
#include "text_buf.h"
#include "transaction.h"

#include <sallyport/base/log.h>
#include <sallyport/base/metrics.h>
#include <sallyport/http/error_page.h>
#include <sallyport/http/proxy_service.h>

#include <stdlib.h>

/* A configuration as requests see it: which way they go, and to which servers. Shared by all
 * threads; nothing in it changes. */
struct proxy_view {
    atomic_uint refs;
    struct upstream_set *set; /* owned reference; it has the configuration */
    struct router *router;    /* owned */
};

/* The same on one thread: what its transactions hold on to. */
struct proxy_env {
    struct transaction_env super;
    struct proxy_view *view; /* owned reference */
};

/* One data thread's part. */
struct proxy_thread {
    struct proxy_env *env;      /* counted in its n_users; never NULL */
    struct upstream_pool *pool; /* owned; NULL until the first request */
};

/* A view on its way to every thread. */
struct proxy_update {
    struct proxy_view *view; /* owned reference */
    atomic_uint left;        /* threads that have not taken theirs; the last one frees this */
    uint32_t n;
    struct proxy_delivery {
        struct inbox_item item;
        struct proxy_service *svc;
        struct proxy_update *update;
        struct proxy_env *env; /* owned until it is taken */
    } deliveries[];
};

/* The id that a page of error_answer() shows, for the log line that refused() writes next. */
struct refused_id {
    const struct http_stream *stream;
    char text[REQUEST_ID_LEN];
};
static _Thread_local struct refused_id last_refused;

static struct proxy_service *of_service(struct http_service *svc)
{
    return container_of(svc, struct proxy_service, super);
}

/* ---- Views ---- */

static void view_unref(struct proxy_view *view)
{
    if (view == NULL || atomic_fetch_sub_explicit(&view->refs, 1, memory_order_acq_rel) != 1)
        return;
    router_free(view->router);
    upstream_set_unref(view->set);
    free(view);
}

static struct proxy_view *view_new(struct upstream_set *set)
{
    struct proxy_view *view = calloc(1, sizeof(*view));

    if (view == NULL)
        return NULL;
    atomic_init(&view->refs, 1);
    view->set = upstream_set_ref(set);
    view->router = router_new(set->config);
    if (view->router == NULL) {
        view_unref(view);
        return NULL;
    }
    return view;
}

static void env_unused(struct transaction_env *super)
{
    struct proxy_env *env = container_of(super, struct proxy_env, super);

    view_unref(env->view); // NOLINT(clang-analyzer-unix.Malloc): the analyzer does not count
    free(env);
}

/* With one user: whoever asks. */
static struct proxy_env *env_new(const struct proxy_service *svc, struct proxy_view *view)
{
    struct proxy_env *env = calloc(1, sizeof(*env));

    if (env == NULL)
        return NULL;
    atomic_fetch_add_explicit(&view->refs, 1, memory_order_relaxed);
    env->view = view;
    env->super = (struct transaction_env){
        .config = view->set->config,
        .router = view->router,
        .set = view->set,
        .access_log = svc->log,
        .n_users = 1,
        .unused = env_unused,
    };
    return env;
}

/* ---- One thread's part ---- */

static struct proxy_thread **thread_slot(const struct proxy_service *svc, struct ethread *t)
{
    return ethread_storage(t, svc->pool_offset);
}

static enum sp_err thread_init(const struct proxy_service *svc, struct ethread *t)
{
    struct proxy_thread *pt = calloc(1, sizeof(*pt));

    if (pt == NULL)
        return SP_NOMEM;
    pt->env = env_new(svc, svc->view);
    if (pt->env == NULL) {
        free(pt);
        return SP_NOMEM;
    }
    *thread_slot(svc, t) = pt;
    return SP_OK;
}

void proxy_service_thread_fini(struct proxy_service *svc, struct ethread *t)
{
    struct proxy_thread **slot = thread_slot(svc, t);
    struct proxy_thread *pt = *slot;

    if (pt == NULL)
        return;
    *slot = NULL;
    transaction_env_drop(&pt->env->super);
    upstream_pool_free(pt->pool);
    free(pt);
}

/* The pool is the thread's own from its first allocation, so it is made there. */
static bool has_pool(const struct proxy_service *svc, struct proxy_thread *pt)
{
    if (pt->pool == NULL)
        pt->pool = upstream_pool_new(&(struct upstream_pool_options){
            .plain = svc->options.plain, .tls = svc->options.tls, .set = pt->env->view->set});
    if (pt->pool == NULL)
        return false;
    pt->env->super.upstreams = upstream_pool_source(pt->pool);
    return true;
}

/* ---- The service's operations ---- */

static void request(struct http_service *super, struct http_stream *s, const struct http_head *head,
                    bool end)
{
    struct proxy_service *svc = of_service(super);
    struct proxy_thread *pt = *thread_slot(svc, this_ethread());

    if (has_pool(svc, pt)) {
        transaction_start(&pt->env->super, s, head, end);
        return;
    }
    METRIC_INC(http_requests);
    s->ops->abort(s, HTTP_ERROR_NOMEM);
    http_stream_release(s);
}

/* Nothing is known of what the client accepts. */
static enum sp_err error_answer(struct http_service *super, struct http_stream *s,
                                enum http_error why, struct http_head *head, struct iobuf *body)
{
    struct view id;

    (void)super;
    last_refused.stream = s;
    request_id_make(last_refused.text);
    id = arena_copy(&s->arena, (struct view){last_refused.text, REQUEST_ID_LEN});
    if (id.p == NULL)
        return SP_NOMEM;
    return error_page_make(why, ERROR_PAGE_TEXT, id, &s->arena, head, body);
}

static void log_refused(const struct proxy_service *svc, const struct http_stream *s,
                        enum http_error why, struct view id)
{
    struct access_entry e = {
        .wall_ms = clock_wall_ms(),
        .protocol = s->ops->protocol,
        .request_id = id,
        .bytes_out = s->bytes_sent,
        .upstream_us = -1,
        .status = s->head_sent ? http_error_status(why) : 0,
        .error = why,
    };
    struct tls_info tls = {0};

    if (s->vc != NULL) {
        e.client = s->vc->client;
        if (net_vc_tls_info(s->vc, &tls))
            e.tls_version = tls.version;
    }
    access_log_write(svc->log, &e);
}

static void refused(struct http_service *super, struct http_stream *s, enum http_error why)
{
    struct proxy_service *svc = of_service(super);
    char room[TEXT_ADDRESS_MAX];
    struct text_buf address = text_buf_over(room, sizeof(room));
    struct view id = {NULL, 0};

    if (last_refused.stream == s)
        id = (struct view){last_refused.text, REQUEST_ID_LEN};
    last_refused.stream = NULL;
    if (s->vc != NULL)
        text_address(&address, &s->vc->client);
    outcome_count(&(struct outcome){
        .status = s->head_sent ? http_error_status(why) : 0,
        .error = why,
        .client = text_buf_view(&address),
        .request_id = id,
    });
    if (access_log_is_on(svc->log))
        log_refused(svc, s, why, id);
}

static const struct http_service_ops proxy_service_ops = {
    .request = request,
    .error_answer = error_answer,
    .refused = refused,
};

/* ---- Another configuration ---- */

struct proxy_update *proxy_service_prepare(struct proxy_service *svc, struct upstream_set *set)
{
    const struct net_core *core = svc->options.core;
    uint32_t n = (uint32_t)core->ep->groups[core->et_net].n;
    struct proxy_update *u = calloc(1, sizeof(*u) + n * sizeof(u->deliveries[0]));

    if (u == NULL)
        return NULL;
    u->view = view_new(set);
    for (; u->view != NULL && u->n < n; u->n++) {
        u->deliveries[u->n].env = env_new(svc, u->view);
        if (u->deliveries[u->n].env == NULL)
            break;
    }
    if (u->n == n)
        return u;
    proxy_service_abandon(u);
    return NULL;
}

static void update_free(struct proxy_update *u)
{
    view_unref(u->view); // NOLINT(clang-analyzer-unix.Malloc): the analyzer does not count
    free(u);
}

void proxy_service_abandon(struct proxy_update *u)
{
    if (u == NULL)
        return;
    for (uint32_t i = 0; i < u->n; i++)
        transaction_env_drop(&u->deliveries[i].env->super);
    update_free(u);
}

/* On the thread: its next request goes by the new view. */
static void take_delivery(struct inbox_item *item, struct ethread *t)
{
    struct proxy_delivery *d = container_of(item, struct proxy_delivery, item);
    struct proxy_thread *pt = *thread_slot(d->svc, t);
    struct proxy_env *old = pt->env;

    pt->env = d->env;
    if (pt->pool != NULL)
        upstream_pool_update(pt->pool, pt->env->view->set);
    transaction_env_drop(&old->super);
    if (atomic_fetch_sub_explicit(&d->update->left, 1, memory_order_acq_rel) == 1)
        update_free(d->update);
}

void proxy_service_commit(struct proxy_service *svc, struct proxy_update *u)
{
    const struct net_core *core = svc->options.core;
    const struct thread_group *group = &core->ep->groups[core->et_net];
    struct proxy_view *old = svc->view;
    uint32_t n = u->n;

    svc->view = u->view;
    atomic_fetch_add_explicit(&u->view->refs, 1, memory_order_relaxed);
    atomic_init(&u->left, n);
    for (uint32_t i = 0; i < n; i++) { /* with the last one `u` may be gone */
        struct proxy_delivery *d = &u->deliveries[i];

        d->svc = svc;
        d->update = u;
        d->item.fn = take_delivery;
        ethread_post(group->threads[i], &d->item);
    }
    view_unref(old);
}

struct upstream_set *proxy_service_set(const struct proxy_service *svc)
{
    return svc->view->set;
}

/* ---- Life ---- */

static enum sp_err init_threads(const struct proxy_service *svc)
{
    const struct net_core *core = svc->options.core;
    const struct thread_group *group = &core->ep->groups[core->et_net];
    enum sp_err err = SP_OK;

    for (int i = 0; i < group->n && err == SP_OK; i++)
        err = thread_init(svc, group->threads[i]);
    return err;
}

enum sp_err proxy_service_init(struct proxy_service *svc,
                               const struct proxy_service_options *options)
{
    *svc = (struct proxy_service){.super.ops = &proxy_service_ops, .options = *options};
    svc->options.set = NULL;
    svc->pool_offset = event_processor_allocate(options->core->ep, sizeof(struct proxy_thread *));
    svc->view = view_new(options->set);
    svc->log = calloc(1, sizeof(*svc->log));
    if (svc->view == NULL || svc->log == NULL || init_threads(svc) != SP_OK) {
        for (int i = 0; i < options->core->ep->groups[options->core->et_net].n; i++)
            proxy_service_thread_fini(svc,
                                      options->core->ep->groups[options->core->et_net].threads[i]);
        proxy_service_fini(svc);
        return SP_NOMEM;
    }
    svc->log->sink = options->access_log;
    svc->log->json = options->set->config->log.access_json;
    return SP_OK;
}

void proxy_service_fini(struct proxy_service *svc)
{
    free(svc->log);
    view_unref(svc->view);
    *svc = (struct proxy_service){0};
}
