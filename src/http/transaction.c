/* A transaction's states, its beginning and its end. */
#include "transaction.h"

#include "answer.h"
#include "forwarded_head.h"
#include "outcome.h"
#include "redirect.h"
#include "text_buf.h"

#include <sallyport/base/clock.h>
#include <sallyport/base/log.h>
#include <sallyport/base/metrics.h>
#include <sallyport/http/error_page.h>
#include <sallyport/http/http_syntax.h>

#include <inttypes.h>
#include <stdlib.h>

static const char *const state_names[] = {
#define X(name, next) [TRANSACTION_##name] = #name,
    TRANSACTION_STATES(X)
#undef X
};
static const unsigned state_next[] = {
#define X(name, next) [TRANSACTION_##name] = (next),
    TRANSACTION_STATES(X)
#undef X
};

void transaction_enter(struct transaction *t, enum transaction_state next)
{
    SP_ASSERT((state_next[t->state] & 1U << next) != 0);
    LOG_TRACE(HTTP, "id=" VIEW_FMT " transaction=%s", VIEW_ARG(t->request_id), state_names[next]);
    t->state = (uint8_t)next;
}

/* ---- The end ---- */

void transaction_drop_upstream(struct transaction *t, enum http_error why)
{
    struct http_stream *s = t->upstream;

    if (s == NULL)
        return;
    t->upstream = NULL;
    if (t->answered_ns == 0)
        t->answered_ns = clock_mono_ns();
    t->upstream_paused = false;
    if (why != HTTP_ERROR_NONE && !t->upstream_failed)
        s->ops->abort(s, why);
    http_stream_release(s);
}

static void log_access(const struct transaction *t, int64_t now_ns, enum http_error error)
{
    const struct upstream_server *server = t->wish.server;

    access_log_write(
        t->env->access_log,
        &(struct access_entry){
            .wall_ms = t->wall_ms,
            .client = t->forwarding.client,
            .request = t->request,
            .protocol = t->client->ops->protocol,
            .tls_version = t->tls_version,
            .identity = t->forwarding.identity,
            .request_id = t->request_id,
            .server = server == NULL ? (struct view){NULL, 0} : server->conf->name,
            .bytes_in = t->client->bytes_received,
            .bytes_out = t->client->bytes_sent,
            .duration_us = (now_ns - t->started_ns) / 1000,
            .upstream_us =
                t->asked_ns == 0
                    ? -1
                    : ((t->answered_ns == 0 ? now_ns : t->answered_ns) - t->asked_ns) / 1000,
            .status = t->status,
            .error = error,
        });
}

static void count(const struct transaction *t, enum http_error error)
{
    char room[TEXT_ADDRESS_MAX];
    struct text_buf address = text_buf_over(room, sizeof(room));

    if (error != HTTP_ERROR_NONE)
        text_address(&address, &t->forwarding.client);
    outcome_count(&(struct outcome){
        .status = t->status,
        .error = error,
        .cut = t->client->head_sent && !t->client->send_ended,
        .client = text_buf_view(&address),
        .request_id = t->request_id,
    });
}

void transaction_finish(struct transaction *t, enum http_error error)
{
    struct http_stream *client = t->client;
    struct transaction_env *env = t->env;
    /* A response that was received to its end leaves the backend's connection usable. */
    bool upstream_whole = t->upstream != NULL && t->upstream->recv_ended;

    transaction_enter(t, TRANSACTION_DONE);
    list_remove(&t->proof.link);
    t->env->upstreams->ops->cancel(t->env->upstreams, &t->wish);
    transaction_drop_upstream(t, upstream_whole ? HTTP_ERROR_NONE : error);
    count(t, error);
    if (access_log_is_on(t->env->access_log))
        log_access(t, clock_mono_ns(), error);
    if (!client->send_ended && !t->client_failed)
        client->ops->abort(client, error);
    iobuf_clear(&t->held);
    client_identity_unref(t->forwarding.identity);
    free(t);
    http_stream_release(client);
    transaction_env_drop(env);
}

/* ---- Answers of our own ---- */

static void send_answer(struct transaction *t, const struct http_head *head, struct iobuf *body,
                        enum http_error error)
{
    bool bodiless = body->len == 0 || t->request->method == HTTP_METHOD_HEAD;
    enum sp_err err = http_stream_send_head(t->client, head, bodiless);

    if (err == SP_OK)
        t->status = head->status;
    if (err == SP_OK && !bodiless)
        err = http_stream_send_body(t->client, body, true);
    iobuf_clear(body);
    transaction_finish(t, err == SP_OK ? error : HTTP_ERROR_NOMEM);
}

void transaction_fail(struct transaction *t, enum http_error why)
{
    struct http_stream *client = t->client;
    bool can_answer = !client->head_sent && !t->client_broken && http_error_status(why) != 0 &&
                      (!t->client_failed || client->answerable);
    struct http_head head;
    struct iobuf body;

    iobuf_init(&body);
    if (can_answer && error_page_make(why, error_page_type_for(t->request), t->request_id,
                                      &client->arena, &head, &body) == SP_OK) {
        send_answer(t, &head, &body, why);
        return;
    }
    iobuf_clear(&body);
    transaction_finish(t, why);
}

/* By the route, or with NULL by the port. */
static void answer_route(struct transaction *t, const struct route_conf *route)
{
    struct arena *arena = &t->client->arena;
    struct http_head head;
    struct iobuf body;
    enum http_error error;

    iobuf_init(&body);
    if (route == NULL)
        error = redirect_to_port(t->port->conf->redirect_to_port, t->request, arena, &head);
    else if (route->action == ROUTE_REDIRECT)
        error = redirect_route(route, t->request, arena, &head);
    else
        error = respond_route(route, arena, &head, &body);
    if (error == HTTP_ERROR_NONE) {
        send_answer(t, &head, &body, HTTP_ERROR_NONE);
        return;
    }
    iobuf_clear(&body);
    transaction_fail(t, error);
}

/* OPTIONS that must go no further: RFC 9110 9.3.7 allows an answer without content. */
static void answer_options(struct transaction *t)
{
    struct http_head head;
    struct iobuf body;

    iobuf_init(&body);
    if (answer_begin(&head, &t->client->arena, 204) == SP_OK)
        send_answer(t, &head, &body, HTTP_ERROR_NONE);
    else
        transaction_fail(t, HTTP_ERROR_NOMEM);
}

/* ---- The beginning ---- */

/* TRACE would send back to the client what only the backend should see: cookies of the user and the
 * fields that we add (RFC 9110 9.3.8: no sensitive data in it). CONNECT asks for a forward proxy.
 */
static bool is_refused_method(const struct http_head *request)
{
    return request->method == HTTP_METHOD_TRACE || request->method == HTTP_METHOD_CONNECT;
}

static void route_to_backend(struct transaction *t, const struct route_conf *route)
{
    uint64_t max_body = t->port->conf->limits.max_body_bytes;
    enum http_error error = HTTP_ERROR_NONE;

    if (t->request->body == HTTP_BODY_LENGTH && max_body != 0 &&
        t->request->content_length > max_body)
        error = HTTP_ERROR_BODY_TOO_LARGE;
    t->backend = route->backend;
    if (error == HTTP_ERROR_NONE)
        transaction_forward(t);
    else
        transaction_fail(t, error);
}

static void route(struct transaction *t)
{
    const struct route_conf *found;

    if (!net_vc_serves(t->client->vc, http_host_of(t->request->authority))) {
        transaction_fail(t, HTTP_ERROR_MISDIRECTED);
        return;
    }
    if (t->port->conf->redirect_to_port != 0) {
        answer_route(t, NULL);
        return;
    }
    if (is_refused_method(t->request)) {
        transaction_fail(t, HTTP_ERROR_METHOD_UNSUPPORTED);
        return;
    }
    found = router_find(t->env->router, t->request->authority, t->request->path);
    if (found == NULL)
        transaction_fail(t, HTTP_ERROR_NO_ROUTE);
    else if (found->action != ROUTE_BACKEND)
        answer_route(t, found);
    else if (forwarded_request_ends_here(t->request))
        answer_options(t);
    else
        route_to_backend(t, found);
}

/* The connection's own, if somebody asked the kernel for it; else the listener's. */
static uint16_t local_port(const struct net_vconnection *vc)
{
    uint16_t port = ip_endpoint_port(&vc->local);

    return port != 0 ? port : endpoint_port(&vc->accept->bound);
}

/* What is known of the client's side, copied: its connection may be gone at the end. */
static void learn_client(struct transaction *t)
{
    struct net_vconnection *vc = t->client->vc;
    struct tls_info tls = {0};

    t->port = vc->accept->options.user;
    t->forwarding = (struct forwarding){
        .conf = &t->env->config->forwarding,
        .client = vc->client,
        .port = local_port(vc),
        .tls = t->port->tls,
        .identity = client_identity_ref(net_vc_identity(vc)),
    };
    t->forwarding.trusted = forwarding_trusts(t->forwarding.conf, &vc->client);
    if (access_log_is_on(t->env->access_log) && net_vc_tls_info(vc, &tls))
        t->tls_version = tls.version;
}

void transaction_start(struct transaction_env *env, struct http_stream *s,
                       const struct http_head *request, bool end)
{
    struct transaction *t = calloc(1, sizeof(*t));

    METRIC_INC(http_requests);
    if (t == NULL) {
        s->ops->abort(s, HTTP_ERROR_NOMEM);
        http_stream_release(s);
        return;
    }
    t->client_user.ops = &transaction_client_ops;
    t->upstream_user.ops = &transaction_upstream_ops;
    t->env = env;
    env->n_users++;
    t->client = s;
    t->request = request;
    t->no_body = t->client_ended = end;
    t->is_upgrade = request->protocol.len > 0;
    t->wall_ms = clock_wall_ms();
    t->started_ns = clock_mono_ns();
    iobuf_init(&t->held);
    list_init(&t->proof.link);
    s->user = &t->client_user;
    learn_client(t);
    t->request_id = forwarding_request_id(&t->forwarding, request, &s->arena);
    if (t->request_id.p == NULL)
        transaction_fail(t, HTTP_ERROR_NOMEM);
    else
        route(t);
}
