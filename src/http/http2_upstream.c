/* The client's side of an HTTP/2 connection: requests of many users out, answers back to each. */
#include "http2_upstream_internal.h"

#include <sallyport/base/log.h>
#include <sallyport/base/metrics.h>

#include <inttypes.h>
#include <stdlib.h>

/* RFC 9110 15.2: any number may come; a backend that sends more than this is broken. */
enum { MAX_INTERIM = 16 };

static struct http2_exchange *exchange_of(const struct http2_stream *s)
{
    return s->side;
}

static bool is_interim(const struct http_head *head)
{
    return head->status / 100 == 1 && head->status != 101;
}

/* ---- Requests out ---- */

/* RFC 8441 3: only after a SETTINGS frame that says so. */
static bool takes_tunnels(const struct http2_conn *c)
{
    return nghttp2_session_get_remote_settings(c->session,
                                               NGHTTP2_SETTINGS_ENABLE_CONNECT_PROTOCOL) == 1;
}

/* False: no request can say so. */
static bool is_valid_request(const struct http_head *head, bool end)
{
    if (!http_head_is_request(head))
        return false;
    if (head->protocol.len > 0)
        return head->body == HTTP_BODY_NONE || head->body == HTTP_BODY_TUNNEL;
    switch (head->body) {
    case HTTP_BODY_NONE:
    case HTTP_BODY_UNSIZED: return true;
    case HTTP_BODY_LENGTH: return !end || head->content_length == 0;
    case HTTP_BODY_TO_CLOSE:
    case HTTP_BODY_TUNNEL: break;
    }
    return false;
}

static enum sp_err submit(struct http2_stream *s, const struct http2_fields_block *block)
{
    nghttp2_data_provider data = http2_stream_data(s);
    bool has_data = !s->super.send_ended || s->holds_tunnel;
    int32_t id = nghttp2_submit_request(s->conn->session, NULL, block->nv, block->n,
                                        has_data ? &data : NULL, s);

    if (id < 0)
        return http2_library_err(id);
    http2_stream_opened(s, id);
    return SP_OK;
}

static bool copy_bytes(struct arena *arena, uint8_t **bytes, size_t n)
{
    struct view copy = arena_copy(arena, (struct view){(const char *)*bytes, n});

    *bytes = (uint8_t *)(uintptr_t)copy.p;
    return copy.p != NULL;
}

/* Until the server has said whether it takes tunnels. The views are the other stream's. */
static enum sp_err hold(struct http2_stream *s, const struct http2_fields_block *block)
{
    struct http2_exchange *x = exchange_of(s);

    for (size_t i = 0; i < block->n; i++) {
        nghttp2_nv *nv = &block->nv[i];

        if (!copy_bytes(&s->super.arena, &nv->name, nv->namelen) ||
            !copy_bytes(&s->super.arena, &nv->value, nv->valuelen))
            return SP_NOMEM;
    }
    x->held = *block;
    x->is_held = true;
    return SP_OK;
}

static void send_held(struct http2_stream *s)
{
    struct http2_exchange *x = exchange_of(s);

    if (!x->is_held || s->aborted)
        return;
    x->is_held = false;
    if (!takes_tunnels(s->conn))
        http2_stream_fail(s, HTTP_ERROR_TUNNEL_UNSUPPORTED);
    else if (submit(s, &x->held) != SP_OK)
        http2_stream_fail(s, HTTP_ERROR_UPSTREAM_REFUSED);
}

static void send_all_held(struct http2_conn *c)
{
    struct list *n;

    list_for_each (n, &c->streams)
        send_held(container_of(n, struct http2_stream, link));
}

static enum sp_err remember(struct http2_stream *s, const struct http_head *head, bool end)
{
    struct http2_exchange *x = exchange_of(s);

    x->asked.method = head->method;
    x->asked.protocol = (struct view){"", 0};
    if (head->protocol.len > 0)
        x->asked.protocol = arena_copy(&s->super.arena, head->protocol);
    if (x->asked.protocol.p == NULL)
        return SP_NOMEM;
    s->request = &x->asked;
    s->holds_tunnel = head->protocol.len > 0;
    x->ends_with_head = end || s->holds_tunnel;
    s->super.send_ended = end;
    if (head->body == HTTP_BODY_LENGTH)
        s->send_left = head->content_length;
    return SP_OK;
}

static enum sp_err send_head(struct http2_stream *s, const struct http_head *head, bool end)
{
    const struct http2_upstream *up = http2_upstream_of(s->conn);
    struct http2_fields_block block;
    enum sp_err err;

    if (!is_valid_request(head, end))
        return SP_INVALID;
    err = http2_fields_write_head(head, up->tls ? VIEW("https") : VIEW("http"), &s->super.arena,
                                  &block);
    if (err == SP_OK)
        err = remember(s, head, end);
    if (err != SP_OK)
        return err;
    s->super.head_sent = true;
    if (s->holds_tunnel && !s->conn->settings_seen)
        return hold(s, &block);
    if (s->holds_tunnel && !takes_tunnels(s->conn)) {
        http2_stream_fail(s, HTTP_ERROR_TUNNEL_UNSUPPORTED);
        http2_conn_wake(s->conn);
        return SP_OK;
    }
    return submit(s, &block);
}

/* ---- Answers back ---- */

static struct http2_stream *begin(struct http2_conn *c, int32_t id)
{
    (void)c;
    (void)id;
    return NULL; /* we have turned pushes off */
}

static enum http_error read_head(struct http2_stream *s, bool end_stream, struct http_head *out)
{
    struct http2_exchange *x = exchange_of(s);
    enum http_error error = http2_fields_response(&s->conn->reader, &x->asked, end_stream, out);

    if (error == HTTP_ERROR_NONE && is_interim(out) && ++x->n_interim > MAX_INTERIM)
        return HTTP_ERROR_UPSTREAM_BAD_RESPONSE;
    return error;
}

/* RFC 9110 8.6: HEAD and 304 may say what the length would be; on the wire there is no body. */
static const struct http_head *announce_length(struct http2_stream *s, const struct http_head *head)
{
    const struct http_field *field = http_fields_get(&head->fields, HTTP_FIELD_CONTENT_LENGTH);
    struct http_head *out;

    if (field == NULL || head->body != HTTP_BODY_NONE || head->status == 204 || is_interim(head))
        return head;
    out = arena_alloc(&s->super.arena, sizeof(*out));
    if (out == NULL)
        return head; /* it is only news */
    *out = *head;
    out->body = HTTP_BODY_LENGTH;
    for (size_t i = 0; i < field->value.len; i++)
        out->content_length = out->content_length * 10 +
                              (uint64_t)((unsigned char)field->value.p[i] - (unsigned char)'0');
    return out;
}

/* A tunnel that the server does not open is an ordinary request, and whole. */
static void end_refused_tunnel(struct http2_stream *s)
{
    if (!s->deferred || !exchange_of(s)->ends_with_head || !s->is_open)
        return;
    s->deferred = false;
    if (nghttp2_session_resume_data(s->conn->session, (int32_t)s->super.id) == NGHTTP2_ERR_NOMEM)
        http2_conn_broke(s->conn, HTTP_ERROR_NOMEM);
}

static void on_head(struct http2_stream *s, const struct http_head *head, bool end)
{
    struct http_stream_user *user = s->super.user;

    if (head->status == 101)
        http2_stream_open_tunnel(s);
    else if (!is_interim(head))
        end_refused_tunnel(s);
    if (head->status == 101 || is_interim(head))
        end = false;
    user->ops->head(user, &s->super, announce_length(s, head), end);
}

/* ---- What the owner knows of it ---- */

/* RFC 9113 5.1.2 and 6.5.2; ours keeps what a connection can cost us in bounds. */
static uint32_t capacity_of(const struct http2_upstream *up)
{
    uint32_t theirs = up->expected, ours = up->conf.max_streams;

    if (up->conn.settings_seen)
        theirs = nghttp2_session_get_remote_settings(up->conn.session,
                                                     NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS);
    return theirs < ours ? theirs : ours;
}

/* What the owner looks at. It has to be true before anybody is told anything: who hears of a
 * failure tries again at once. */
static void take_stock(struct http2_upstream *up)
{
    bool draining = up->conn.state != HTTP2_CONN_OPEN ||
                    nghttp2_session_check_request_allowed(up->conn.session) == 0;
    uint32_t capacity = draining ? up->super.capacity : capacity_of(up);

    if (draining == up->super.draining && capacity == up->super.capacity)
        return;
    up->super.draining = draining;
    up->super.capacity = capacity;
    up->must_tell = true;
}

/* ---- Failures ---- */

/* RFC 9113 8.7: a refused stream, and one behind the last that GOAWAY names, was not acted on. A
 * response that is whole stays one, whatever becomes of the rest of the request (8.1). */
static enum http_error on_reset(struct http2_stream *s, uint32_t code)
{
    if (s->wire_ended)
        return HTTP_ERROR_NONE;
    if (s->head_read)
        return HTTP_ERROR_UPSTREAM_CUT;
    if (code == NGHTTP2_REFUSED_STREAM && exchange_of(s)->n_interim == 0)
        return HTTP_ERROR_UPSTREAM_REFUSED;
    return HTTP_ERROR_UPSTREAM_RESET;
}

/* The connection is gone: what is that for an exchange which had begun to be answered? */
static enum http_error name_failure(const struct http2_stream *s, enum http_error why)
{
    if (why != HTTP_ERROR_UPSTREAM_CLOSED)
        return why;
    if (s->head_read || exchange_of(s)->n_interim > 0)
        return HTTP_ERROR_UPSTREAM_CUT;
    return why;
}

/* Who has heard the whole response has no trouble with what becomes of the connection. */
static void on_fail(struct http2_stream *s, enum http_error why)
{
    struct http_stream_user *user = s->super.user;

    take_stock(http2_upstream_of(s->conn));
    if (!s->super.recv_ended || s->tunnel)
        user->ops->failed(user, &s->super, name_failure(s, why));
    http2_stream_reset(s, NGHTTP2_CANCEL);
}

/* ---- The connection ---- */

static void on_frame(struct http2_conn *c, const nghttp2_frame *frame)
{
    if (frame->hd.type == NGHTTP2_PING && (frame->hd.flags & NGHTTP2_FLAG_ACK) != 0)
        http2_upstream_watch_answer(http2_upstream_of(c));
    if (frame->hd.type == NGHTTP2_GOAWAY || frame->hd.type == NGHTTP2_SETTINGS)
        take_stock(http2_upstream_of(c));
    if (frame->hd.type == NGHTTP2_GOAWAY)
        LOG_LIMITED(UPSTREAM, DEBUG, "vc=%" PRIu64 " goaway=%u last_stream=%d", c->vc->id,
                    frame->goaway.error_code, frame->goaway.last_stream_id);
}

static void on_stream_gone(struct http2_stream *s)
{
    struct http2_upstream *up = http2_upstream_of(s->conn);

    up->super.n_exchanges--;
    up->must_tell = true;
    if (s->conn->vc != NULL) /* else the end alone is left to tell, perhaps after the thread's */
        http2_conn_wake(s->conn);
}

static void on_rest(struct http2_conn *c)
{
    struct http2_upstream *up = http2_upstream_of(c);

    if (c->state == HTTP2_CONN_CLOSED) {
        up->super.vc = NULL;
        http2_upstream_watch_cancel(up);
        return;
    }
    if (c->settings_seen)
        send_all_held(c);
    take_stock(up);
    if (up->must_tell && !up->closed_by_owner) {
        up->must_tell = false;
        up->super.owner->changed(up->super.owner, &up->super);
    }
    if (c->state != HTTP2_CONN_CLOSED)
        http2_upstream_watch_rest(up);
}

static void on_closed(struct http2_conn *c)
{
    struct http2_upstream *up = http2_upstream_of(c);

    http2_upstream_watch_cancel(up);
    up->super.vc = NULL;
    if (!up->closed_by_owner)
        up->super.owner->gone(up->super.owner, &up->super);
    free(up);
}

static const struct http2_conn_ops conn_ops = {
    .is_server = false,
    .gone = HTTP_ERROR_UPSTREAM_CLOSED,
    .bad_length = HTTP_ERROR_UPSTREAM_BAD_RESPONSE,
    .begin = begin,
    .read_head = read_head,
    .reset = on_reset,
    .frame = on_frame,
    .head = on_head,
    .fail = on_fail,
    .send_head = send_head,
    .stream_gone = on_stream_gone,
    .rest = on_rest,
    .closed = on_closed,
};

/* ---- For the owner ---- */

static struct http_stream *request(struct upstream_conn *conn,
                                   const struct upstream_exchange_options *options,
                                   struct http_stream_user *user)
{
    struct http2_upstream *up = container_of(conn, struct http2_upstream, super);
    struct http2_stream *s = http2_stream_new(&up->conn, 0);
    struct http2_exchange *x;

    if (s == NULL)
        return NULL;
    conn->n_exchanges++;
    x = arena_alloc(&s->super.arena, sizeof(*x));
    if (x == NULL) {
        s->released = true;
        http2_stream_free_if_done(s);
        return NULL;
    }
    x->options = *options;
    s->side = x;
    s->super.user = user;
    s->super.queue_bound = options->buffer_bytes;
    http2_upstream_watch_request(up, options->response_timeout_ms);
    return &s->super;
}

/* RFC 9113 6.8: GOAWAY first, so that the server knows the end for a wish. */
static void close_unused(struct upstream_conn *conn)
{
    struct http2_upstream *up = container_of(conn, struct http2_upstream, super);

    SP_ASSERT(conn->n_exchanges == 0);
    up->closed_by_owner = true;
    http2_conn_goaway(&up->conn, NGHTTP2_NO_ERROR, VIEW(""));
    http2_conn_end(&up->conn, HTTP_ERROR_UPSTREAM_CLOSED);
}

static const struct upstream_conn_ops upstream_ops = {
    .protocol = "HTTP/2", .request = request, .close = close_unused};

static struct http2_conn_options options_of(const struct http2_upstream *up,
                                            const struct http_limits_conf *limits)
{
    return (struct http2_conn_options){
        .conf = &up->conf,
        .limits = {.max_head_bytes = limits->max_head_bytes,
                   .max_trailer_bytes = limits->max_head_bytes,
                   .max_target_bytes = limits->max_target_bytes,
                   .max_fields = limits->max_fields},
        .buffer_bytes = limits->buffer_bytes,
        .peer = HTTP2_BUDGET_SERVER,
    };
}

struct upstream_conn *http2_upstream_new(struct net_vconnection *vc,
                                         const struct upstream_conn_options *options,
                                         struct upstream_conn_owner *owner)
{
    struct http2_upstream *up = calloc(1, sizeof(*up));
    struct http2_conn_options conn_options;
    struct tls_info tls;

    if (up == NULL)
        return NULL;
    up->conf = options->config->http2;
    up->expected = options->expected != 0 ? options->expected : UPSTREAM_CONN_GUESS;
    conn_options = options_of(up, &options->config->limits);
    if (http2_conn_init(&up->conn, &conn_ops, vc, &conn_options) != SP_OK) {
        free(up);
        return NULL;
    }
    up->tls = net_vc_tls_info(vc, &tls);
    up->super = (struct upstream_conn){.ops = &upstream_ops, .owner = owner, .vc = vc};
    up->super.capacity = capacity_of(up);
    http2_upstream_watch_init(up, options->backend->idle_timeout_ms);
    http2_conn_wake(&up->conn);
    return &up->super;
}
