/* A transaction and its backend: asking for a server, trying again, passing the response's head on.
 *
 * When is a request tried again? When no server can have acted on it, or doing so twice is
 * harmless:
 *
 *  - no connection: nothing was sent. Any method, another server first.
 *  - the server says that it has not acted on it (HTTP/2: REFUSED_STREAM, or behind the last stream
 *    that GOAWAY names). Any method, while no body was sent.
 *  - a connection from the pool that ends before any byte of a response: most likely the server
 *    closed it as idle while the request was on its way. Only for idempotent methods (RFC 9110
 *    9.2.2) and while no body was sent, as that is passed on and not kept. On a fresh connection.
 *
 * Never otherwise: a server that breaks down over a request should not take the next one with it.
 */
#include "forwarded_head.h"
#include "transaction.h"

#include <sallyport/base/clock.h>
#include <sallyport/base/log.h>
#include <sallyport/base/metrics.h>

enum { MAX_TRIES_MORE = 7 };

static struct transaction *of_user(struct http_stream_user *u)
{
    return container_of(u, struct transaction, upstream_user);
}

/* ---- Asking ---- */

static void upstream_failed(struct transaction *t, enum http_error why);

static void use_upstream(struct transaction *t, struct http_stream *s)
{
    enum sp_err err;

    transaction_enter(t, TRANSACTION_WAITING);
    t->upstream = s;
    t->upstream_failed = false;
    METRIC_INC(upstream_requests);
    if (s->reused)
        METRIC_INC(upstream_reused);
    forwarded_request_set_server(&t->out, t->request, t->wish.backend->conf, t->wish.server->conf);
    err = http_stream_send_head(s, &t->out, t->no_body || t->is_upgrade);
    if (err == SP_OK && !t->no_body && !t->is_upgrade)
        err = transaction_send_held(t);
    if (err == SP_OK)
        transaction_balance(t);
    else
        transaction_fail(t, err == SP_NOMEM ? HTTP_ERROR_NOMEM : HTTP_ERROR_INTERNAL);
}

static void ask(struct transaction *t)
{
    struct http_stream *s;

    transaction_enter(t, TRANSACTION_CONNECTING);
    transaction_pause_client(t);
    s = t->env->upstreams->ops->get(t->env->upstreams, &t->wish);
    if (s != NULL)
        use_upstream(t, s);
}

static void wish_done(struct upstream_wish *w, struct http_stream *s, enum http_error why)
{
    struct transaction *t = container_of(w, struct transaction, wish);

    if (s != NULL)
        use_upstream(t, s);
    else
        upstream_failed(t, why);
}

void transaction_connect(struct transaction *t)
{
    const struct backend_conf *backend = t->backend;
    uint32_t tries = backend->retries + backend->n_servers - 1;

    t->tries_left = (uint16_t)(tries < MAX_TRIES_MORE ? tries : MAX_TRIES_MORE);
    t->asked_ns = clock_mono_ns();
    t->wish.done = wish_done;
    t->wish.user = &t->upstream_user;
    t->wish.backend = upstream_set_find(t->env->set, backend);
    if (t->is_upgrade)
        t->wish.tunnel_timeout_ms = t->port->conf->limits.tunnel_timeout_ms;
    ask(t);
}

/* ---- Trying again ---- */

static bool died_in_the_pool(const struct transaction *t, enum http_error why)
{
    return why == HTTP_ERROR_UPSTREAM_CLOSED && t->upstream != NULL && t->upstream->reused &&
           !t->response_begun;
}

static bool may_retry(const struct transaction *t, enum http_error why)
{
    if (t->tries_left == 0)
        return false;
    if (t->upstream == NULL)
        return why == HTTP_ERROR_UPSTREAM_CONNECT || why == HTTP_ERROR_UPSTREAM_CONNECT_TIMEOUT;
    if (why == HTTP_ERROR_UPSTREAM_REFUSED)
        return !t->response_begun && !t->body_forwarded;
    return died_in_the_pool(t, why) && t->wish.backend->conf->retries > 0 && !t->body_forwarded &&
           http_method_is_idempotent(t->out.method);
}

static void log_failure(const struct transaction *t, enum http_error why, bool again)
{
    const struct upstream_server *server = t->wish.server;
    struct view name = server == NULL ? VIEW("-") : server->conf->name;

    LOG_LIMITED(UPSTREAM, WARN,
                "backend=" VIEW_FMT " server=" VIEW_FMT " id=" VIEW_FMT " error=%s retry=%d",
                VIEW_ARG(t->wish.backend->conf->name), VIEW_ARG(name), VIEW_ARG(t->request_id),
                http_error_label(why), again);
}

/* No server, or one that failed. In CONNECTING, WAITING, RESPONDING and TUNNEL. */
static void upstream_failed(struct transaction *t, enum http_error why)
{
    bool again = may_retry(t, why);

    if (t->upstream != NULL) /* else the pool has said why it could not connect */
        log_failure(t, why, again);
    if (why == HTTP_ERROR_UPSTREAM_REFUSED)
        METRIC_INC(upstream_refused);
    if (http_error_status(why) == 502 || http_error_status(why) == 504)
        METRIC_INC(upstream_errors);
    t->answered_ns = clock_mono_ns();
    if (!again) {
        transaction_fail(t, why);
        return;
    }
    t->tries_left--;
    t->wish.fresh = t->wish.fresh || t->upstream != NULL;
    transaction_drop_upstream(t, HTTP_ERROR_NONE);
    METRIC_INC(upstream_retries);
    t->answered_ns = 0;
    ask(t);
}

/* ---- The response's head ---- */

/* A response's head to the client. A head that cannot be written is the backend's fault. */
static enum http_error send_to_client(struct transaction *t, const struct http_head *head, bool end)
{
    enum sp_err err = http_stream_send_head(t->client, head, end);

    if (err == SP_OK)
        return HTTP_ERROR_NONE;
    t->client_broken = err == SP_NOMEM;
    return err == SP_NOMEM ? HTTP_ERROR_NOMEM : HTTP_ERROR_UPSTREAM_BAD_RESPONSE;
}

/* 100, 102, 103: RFC 9110 15.2 wants them passed on, and none for HTTP/1.0. */
static enum http_error pass_interim(struct transaction *t, const struct http_head *response)
{
    struct http_head out;
    enum http_error error;

    if (t->request->version == HTTP_VERSION_1_0)
        return HTTP_ERROR_NONE;
    error = forwarded_response_make(response, t->request, &t->upstream->arena, &out);
    return error == HTTP_ERROR_NONE ? send_to_client(t, &out, false) : error;
}

static enum http_error pass_final(struct transaction *t, const struct http_head *response, bool end)
{
    struct http_head out;
    enum http_error error =
        forwarded_response_make(response, t->request, &t->upstream->arena, &out);

    if (error == HTTP_ERROR_NONE)
        error = send_to_client(t, &out, end);
    if (error != HTTP_ERROR_NONE)
        return error;
    t->status = response->status;
    transaction_enter(t, TRANSACTION_RESPONDING);
    return HTTP_ERROR_NONE;
}

/* 101 changes the protocol of both connections: only when we asked for that, which we do only when
 * the client did (RFC 9110 7.8). */
static enum http_error begin_tunnel(struct transaction *t, const struct http_head *response)
{
    struct http_head out;
    enum http_error error =
        t->is_upgrade ? forwarded_response_make(response, t->request, &t->upstream->arena, &out)
                      : HTTP_ERROR_UPSTREAM_BAD_RESPONSE;

    if (error == HTTP_ERROR_NONE)
        error = send_to_client(t, &out, false);
    if (error != HTTP_ERROR_NONE)
        return error;
    t->status = response->status;
    transaction_enter(t, TRANSACTION_TUNNEL);
    METRIC_INC(http_upgrades);
    t->client_ended = false; /* of the request: now follows what the client sends into the tunnel */
    return transaction_send_held(t) == SP_OK ? HTTP_ERROR_NONE : HTTP_ERROR_NOMEM;
}

static void on_head(struct http_stream_user *u, struct http_stream *s,
                    const struct http_head *response, bool end)
{
    struct transaction *t = of_user(u);
    bool tunnel = response->status == 101;
    bool interim = response->status / 100 == 1 && !tunnel;
    enum http_error error;

    (void)s;
    if (transaction_was_too_early(t, response->status)) {
        transaction_ask_again_proven(t);
        return;
    }
    t->response_begun = true;
    if (tunnel)
        error = begin_tunnel(t, response);
    else
        error = interim ? pass_interim(t, response) : pass_final(t, response, end);
    if (error == HTTP_ERROR_UPSTREAM_BAD_RESPONSE)
        upstream_failed(t, error);
    else if (error != HTTP_ERROR_NONE)
        transaction_fail(t, error);
    else if (end && !interim && !tunnel)
        transaction_finish(t, HTTP_ERROR_NONE);
    else
        transaction_balance(t);
}

static void on_failed(struct http_stream_user *u, struct http_stream *s, enum http_error why)
{
    struct transaction *t = of_user(u);

    (void)s;
    t->upstream_failed = true;
    upstream_failed(t, why);
}

const struct http_stream_user_ops transaction_upstream_ops = {
    .head = on_head,
    .body = transaction_upstream_body,
    .trailers = transaction_upstream_trailers,
    .writable = transaction_upstream_writable,
    .failed = on_failed,
};
