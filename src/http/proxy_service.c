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

/* One data thread's part. */
struct proxy_thread {
    struct upstream_pool *pool; /* owned */
    struct transaction_env env;
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

/* ---- One thread's part ---- */

static struct proxy_thread **thread_slot(const struct proxy_service *svc, struct ethread *t)
{
    return ethread_storage(t, svc->pool_offset);
}

/* NULL: out of memory. */
static struct proxy_thread *thread_new(struct proxy_service *svc)
{
    struct proxy_thread *pt = calloc(1, sizeof(*pt));

    if (pt == NULL)
        return NULL;
    pt->pool = upstream_pool_new(&(struct upstream_pool_options){
        .plain = svc->options.plain, .tls = svc->options.tls, .set = svc->options.set});
    if (pt->pool == NULL) {
        free(pt);
        return NULL;
    }
    pt->env = (struct transaction_env){
        .config = svc->options.set->config,
        .router = svc->router,
        .set = svc->options.set,
        .upstreams = upstream_pool_source(pt->pool),
        .access_log = svc->log,
    };
    return pt;
}

static struct proxy_thread *thread_part(struct proxy_service *svc)
{
    struct proxy_thread **slot = thread_slot(svc, this_ethread());

    if (*slot == NULL)
        *slot = thread_new(svc);
    return *slot;
}

void proxy_service_thread_fini(struct proxy_service *svc, struct ethread *t)
{
    struct proxy_thread **slot = thread_slot(svc, t);
    struct proxy_thread *pt = *slot;

    if (pt == NULL)
        return;
    *slot = NULL;
    upstream_pool_free(pt->pool);
    free(pt);
}

/* ---- The service's operations ---- */

static void request(struct http_service *super, struct http_stream *s, const struct http_head *head,
                    bool end)
{
    struct proxy_thread *pt = thread_part(of_service(super));

    if (pt != NULL) {
        transaction_start(&pt->env, s, head, end);
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

/* ---- Life ---- */

enum sp_err proxy_service_init(struct proxy_service *svc,
                               const struct proxy_service_options *options)
{
    const struct config *config = options->set->config;

    *svc = (struct proxy_service){.super.ops = &proxy_service_ops, .options = *options};
    (void)upstream_set_ref(options->set);
    svc->router = router_new(config);
    svc->log = calloc(1, sizeof(*svc->log));
    if (svc->router == NULL || svc->log == NULL) {
        proxy_service_fini(svc);
        return SP_NOMEM;
    }
    svc->log->sink = options->access_log;
    svc->log->json = config->log.access_json;
    svc->pool_offset = event_processor_allocate(options->core->ep, sizeof(struct proxy_thread *));
    return SP_OK;
}

void proxy_service_fini(struct proxy_service *svc)
{
    free(svc->log);
    router_free(svc->router);
    upstream_set_unref(svc->options.set);
    *svc = (struct proxy_service){0};
}
