/* Bodies both ways: blocks are moved from one stream to the other, and the side that sends faster
 * than the other takes is paused.
 *
 * A response that has ended ends the transaction, whatever the client still wants to send: the
 * backend has answered without it (RFC 9112 9.5 speaks of such early answers). */
#include "transaction.h"

static struct transaction *of_client(struct http_stream_user *u)
{
    return container_of(u, struct transaction, client_user);
}

static struct transaction *of_upstream(struct http_stream_user *u)
{
    return container_of(u, struct transaction, upstream_user);
}

/* ---- Back-pressure ---- */

static bool is_full(const struct http_stream *s)
{
    return s->ops->send_queued(s) > s->queue_bound;
}

void transaction_pause_client(struct transaction *t)
{
    if (t->client_paused || t->client_ended)
        return;
    t->client_paused = true;
    t->client->ops->pause(t->client);
}

/* May the client send on? What it wants to send through a tunnel waits until there is one. */
static bool is_receiving(const struct transaction *t)
{
    if (t->state == TRANSACTION_CONNECTING || t->state == TRANSACTION_PROVING)
        return false;
    return !t->is_upgrade || t->state == TRANSACTION_TUNNEL;
}

static void resume_client(struct transaction *t)
{
    if (!t->client_paused || !is_receiving(t))
        return;
    t->client_paused = false;
    t->client->ops->resume(t->client);
}

static void pause_upstream(struct transaction *t)
{
    if (t->upstream_paused)
        return;
    t->upstream_paused = true;
    t->upstream->ops->pause(t->upstream);
}

static void resume_upstream(struct transaction *t)
{
    if (!t->upstream_paused)
        return;
    t->upstream_paused = false;
    t->upstream->ops->resume(t->upstream);
}

/* Pausing happens above the bound, resuming at half of it, with `writable`; in between nothing
 * changes, except that what waited for a server starts at once. */
void transaction_balance(struct transaction *t)
{
    if (is_full(t->upstream))
        transaction_pause_client(t);
    else
        resume_client(t);
    if (is_full(t->client))
        pause_upstream(t);
}

/* ---- The request's body ---- */

static bool is_too_large(const struct transaction *t)
{
    uint64_t max = t->port->conf->limits.max_body_bytes;

    return max != 0 && t->body_bytes > max;
}

static enum sp_err forward(struct transaction *t, struct iobuf *data, bool end)
{
    t->body_forwarded = true;
    return http_stream_send_body(t->upstream, data, end);
}

enum sp_err transaction_send_held(struct transaction *t)
{
    bool end = t->client_ended && !t->has_trailers;
    enum sp_err err = SP_OK;

    if (t->held.len > 0 || end)
        err = forward(t, &t->held, end);
    if (err == SP_OK && t->has_trailers)
        err = t->upstream->ops->send_trailers(t->upstream, &t->trailers);
    return err;
}

static void forward_failed(struct transaction *t, enum sp_err err)
{
    transaction_fail(t, err == SP_NOMEM ? HTTP_ERROR_NOMEM : HTTP_ERROR_INTERNAL);
}

static void end_tunnel_if_done(struct transaction *t)
{
    if (t->client_ended && t->upstream_ended)
        transaction_finish(t, HTTP_ERROR_NONE);
}

static void on_client_body(struct http_stream_user *u, struct http_stream *s, struct iobuf *data,
                           bool end)
{
    struct transaction *t = of_client(u);
    enum sp_err err;

    (void)s;
    t->body_bytes += data->len;
    t->client_ended = end;
    if (t->state != TRANSACTION_TUNNEL && is_too_large(t)) {
        iobuf_clear(data);
        transaction_fail(t, HTTP_ERROR_BODY_TOO_LARGE);
        return;
    }
    if (!is_receiving(t)) {
        iobuf_move_all(&t->held, data);
        return;
    }
    err = forward(t, data, end);
    iobuf_clear(data);
    if (err != SP_OK)
        forward_failed(t, err);
    else if (t->state == TRANSACTION_TUNNEL && end)
        end_tunnel_if_done(t);
    else if (is_full(t->upstream))
        transaction_pause_client(t);
}

static void on_client_trailers(struct http_stream_user *u, struct http_stream *s,
                               const struct http_fields *trailers)
{
    struct transaction *t = of_client(u);
    enum sp_err err;

    (void)s;
    t->client_ended = true;
    if (!is_receiving(t)) {
        t->trailers = *trailers; /* the array is in the stream's arena */
        t->has_trailers = true;
        return;
    }
    t->body_forwarded = true;
    err = t->upstream->ops->send_trailers(t->upstream, trailers);
    if (err != SP_OK)
        forward_failed(t, err);
}

static void on_client_writable(struct http_stream_user *u, struct http_stream *s)
{
    (void)s;
    resume_upstream(of_client(u));
}

static void on_client_failed(struct http_stream_user *u, struct http_stream *s, enum http_error why)
{
    struct transaction *t = of_client(u);

    (void)s;
    t->client_failed = true;
    transaction_fail(t, why);
}

/* A request's head comes once, with http_service.request. */
static void on_client_head(struct http_stream_user *u, struct http_stream *s,
                           const struct http_head *head, bool end)
{
    (void)u;
    (void)s;
    (void)end;
    SP_ASSERT(head == NULL);
}

const struct http_stream_user_ops transaction_client_ops = {
    .head = on_client_head,
    .body = on_client_body,
    .trailers = on_client_trailers,
    .writable = on_client_writable,
    .failed = on_client_failed,
};

/* ---- The response's body ---- */

void transaction_upstream_body(struct http_stream_user *u, struct http_stream *s,
                               struct iobuf *data, bool end)
{
    struct transaction *t = of_upstream(u);
    enum sp_err err = http_stream_send_body(t->client, data, end);

    (void)s;
    iobuf_clear(data);
    if (err != SP_OK) {
        transaction_fail(t, err == SP_NOMEM ? HTTP_ERROR_NOMEM : HTTP_ERROR_UPSTREAM_BAD_RESPONSE);
        return;
    }
    t->upstream_ended = end;
    if (end && t->state == TRANSACTION_TUNNEL)
        end_tunnel_if_done(t);
    else if (end)
        transaction_finish(t, HTTP_ERROR_NONE);
    else if (is_full(t->client))
        pause_upstream(t);
}

void transaction_upstream_trailers(struct http_stream_user *u, struct http_stream *s,
                                   const struct http_fields *trailers)
{
    struct transaction *t = of_upstream(u);
    enum sp_err err = t->client->ops->send_trailers(t->client, trailers);

    (void)s;
    if (err == SP_OK)
        transaction_finish(t, HTTP_ERROR_NONE);
    else
        transaction_fail(t, err == SP_NOMEM ? HTTP_ERROR_NOMEM : HTTP_ERROR_UPSTREAM_BAD_RESPONSE);
}

void transaction_upstream_writable(struct http_stream_user *u, struct http_stream *s)
{
    (void)s;
    resume_client(of_upstream(u));
}
