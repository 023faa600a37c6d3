/* The server's side of an HTTP/2 connection: requests to the port's service, answers back. */
#include "http2_priority.h"
#include "http2_session_internal.h"

#include <sallyport/base/log.h>
#include <sallyport/http/http2_session.h>
#include <sallyport/net/net_accept.h>

#include <inttypes.h>
#include <stdlib.h>

static bool is_draining(const struct http2_session *s)
{
    return atomic_load_explicit(&s->port->draining, memory_order_relaxed);
}

/* ---- Going away ---- */

void http2_session_drain_begin(struct http2_session *s)
{
    if (s->notice_ms != 0)
        return;
    s->notice_ms = http2_conn_now_ms(&s->conn);
    http2_conn_shutdown_notice(&s->conn);
}

void http2_session_drain_end(struct http2_session *s)
{
    http2_conn_goaway(&s->conn, NGHTTP2_NO_ERROR, VIEW(""));
}

bool http2_session_drain(struct net_vconnection *vc)
{
    struct continuation *cont = vc->read.vio.cont;
    struct http2_conn *c;

    if (!http2_conn_is(cont))
        return false;
    c = container_of(cont, struct http2_conn, cont);
    if (!c->ops->is_server)
        return false;
    http2_session_drain_begin(http2_session_of(c));
    http2_conn_wake(c);
    return true;
}

/* ---- Requests ---- */

static struct http2_stream *begin(struct http2_conn *c, int32_t id)
{
    struct http2_session *s = http2_session_of(c);
    uint32_t max = http2_session_limits(s)->max_requests_per_connection;
    struct http2_stream *stream;

    if (c->state != HTTP2_CONN_OPEN)
        return NULL;
    /* Only an idle connection may be evicted: it leaves that queue before anyone is called. */
    if (c->vc->queue != VC_QUEUE_ACTIVE)
        net_vc_set_queue(c->vc, VC_QUEUE_ACTIVE);
    stream = http2_stream_new(c, id);
    if (is_draining(s) || (max != 0 && c->n_begun >= max))
        http2_session_drain_begin(s);
    return stream;
}

/* RFC 9218 4: the request's own word on its priority. PRIORITY_UPDATE is nghttp2's to follow. */
static void set_priority(struct http2_stream *s, const struct http_head *head)
{
    struct http2_priority priority;
    nghttp2_extpri extpri;

    if (!http2_priority_of(&head->fields, &priority))
        return;
    extpri = (nghttp2_extpri){.urgency = priority.urgency, .inc = priority.incremental};
    if (nghttp2_session_change_extpri_stream_priority(s->conn->session, (int32_t)s->super.id,
                                                      &extpri, 0) == NGHTTP2_ERR_NOMEM)
        http2_conn_broke(s->conn, HTTP_ERROR_NOMEM);
}

static enum http_error read_head(struct http2_stream *s, bool end_stream, struct http_head *out)
{
    enum http_error error = http2_fields_request(&s->conn->reader, end_stream, out);

    if (error == HTTP_ERROR_NONE)
        set_priority(s, out);
    return error;
}

static void on_head(struct http2_stream *s, const struct http_head *head, bool end)
{
    struct http_service *service = http2_session_of(s->conn)->port->service;

    service->ops->request(service, &s->super, head, end);
}

static enum http_error on_reset(struct http2_stream *s, uint32_t code)
{
    (void)s;
    (void)code;
    return HTTP_ERROR_CLIENT_CLOSED;
}

static void on_frame(struct http2_conn *c, const nghttp2_frame *frame)
{
    struct http2_session *s = http2_session_of(c);

    /* The only PING of ours goes behind the first GOAWAY: the client has heard both. */
    if (frame->hd.type == NGHTTP2_PING && (frame->hd.flags & NGHTTP2_FLAG_ACK) != 0 &&
        s->notice_ms != 0)
        http2_session_drain_end(s);
}

/* ---- Answers ---- */

static bool is_interim(const struct http_head *head)
{
    return head->status / 100 == 1 && head->status != 101;
}

/* RFC 9110 6.4.1: what ends with its head whatever that says of a length. */
static bool is_without_body(const struct http2_stream *s, const struct http_head *head)
{
    return head->status == 204 || head->status == 304 ||
           (s->request != NULL && s->request->method == HTTP_METHOD_HEAD);
}

/* Does the head make sense as the answer to this request? */
static bool is_valid_final(const struct http2_stream *s, const struct http_head *head, bool end)
{
    if (head->status == 101 || head->body == HTTP_BODY_TUNNEL)
        return head->status == 101 && s->holds_tunnel && !end && !s->failed;
    if (!end || head->body != HTTP_BODY_LENGTH || head->content_length == 0)
        return true;
    return is_without_body(s, head);
}

static int submit(struct http2_stream *s, const struct http_head *head, bool end,
                  const struct http2_fields_block *block)
{
    int32_t id = (int32_t)s->super.id;
    nghttp2_data_provider data = http2_stream_data(s);

    if (is_interim(head))
        return nghttp2_submit_headers(s->conn->session, NGHTTP2_FLAG_NONE, id, NULL, block->nv,
                                      block->n, NULL);
    return nghttp2_submit_response(s->conn->session, id, block->nv, block->n, end ? NULL : &data);
}

static void head_was_sent(struct http2_stream *s, const struct http_head *head, bool end)
{
    s->super.head_sent = true;
    s->super.send_ended = end;
    if (is_without_body(s, head))
        s->send_left = 0;
    else if (head->body == HTTP_BODY_LENGTH)
        s->send_left = head->content_length;
    if (head->status == 101)
        http2_stream_open_tunnel(s);
    else
        s->holds_tunnel = false;
}

static enum sp_err send_head(struct http2_stream *s, const struct http_head *head, bool end)
{
    struct http2_fields_block block;
    enum sp_err err;
    int failed;

    if (!s->is_open || (!is_interim(head) && !is_valid_final(s, head, end)))
        return SP_INVALID;
    err = http2_fields_write_head(head, VIEW(""), &s->super.arena, &block);
    if (err != SP_OK)
        return err;
    failed = submit(s, head, end, &block);
    if (failed != 0)
        return http2_library_err(failed);
    if (!is_interim(head))
        head_was_sent(s, head, end);
    else
        s->continued = s->continued || head->status == 100;
    return SP_OK;
}

/* ---- Failures ---- */

/* The service's page for `why`, for what is no request or never becomes one. */
static enum sp_err answer(struct http2_stream *s, enum http_error why)
{
    struct http_service *service = http2_session_of(s->conn)->port->service;
    struct http_head head = {.version = HTTP_VERSION_2, .status = http_error_status(why)};
    struct iobuf body;
    enum sp_err err;

    iobuf_init(&body);
    err = service->ops->error_answer(service, &s->super, why, &head, &body);
    head.body = HTTP_BODY_LENGTH;
    head.content_length = body.len;
    if (err == SP_OK && s->request != NULL && s->request->method == HTTP_METHOD_HEAD)
        err = http_stream_send_head(&s->super, &head, true);
    else if (err == SP_OK)
        err = http_stream_send_head(&s->super, &head, false);
    if (err == SP_OK && !s->super.send_ended)
        err = http_stream_send_body(&s->super, &body, true);
    iobuf_clear(&body);
    return err;
}

static bool is_answerable(const struct http2_stream *s, enum http_error why)
{
    return s->is_open && s->conn->state == HTTP2_CONN_OPEN && !s->aborted && !s->super.head_sent &&
           http_error_status(why) != 0;
}

/* Nobody has seen the request. */
static void refuse(struct http2_stream *s, enum http_error why)
{
    struct http_service *service = http2_session_of(s->conn)->port->service;

    if (s->head_read) {
        if (is_answerable(s, why) && answer(s, why) != SP_OK)
            http2_stream_reset(s, NGHTTP2_INTERNAL_ERROR);
        service->ops->refused(service, &s->super, why);
    }
    if (!s->super.send_ended)
        http2_stream_reset(s, http2_error_code(why));
    s->released = true;
}

static void on_fail(struct http2_stream *s, enum http_error why)
{
    struct http_stream *stream = &s->super;

    if (stream->user == NULL) {
        refuse(s, why);
        return;
    }
    stream->answerable = is_answerable(s, why);
    stream->user->ops->failed(stream->user, stream, why);
    if (!stream->answerable)
        http2_stream_reset(s, http2_error_code(why));
}

/* ---- The connection ---- */

static void on_stream_gone(struct http2_stream *s)
{
    (void)s;
}

static void on_rest(struct http2_conn *c)
{
    http2_session_watch_rest(http2_session_of(c));
}

static void on_closed(struct http2_conn *c)
{
    struct http2_session *s = http2_session_of(c);

    http2_session_watch_cancel(s);
    free(s);
}

static const struct http2_conn_ops session_ops = {
    .is_server = true,
    .gone = HTTP_ERROR_CLIENT_CLOSED,
    .bad_length = HTTP_ERROR_BAD_CONTENT_LENGTH,
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

static struct http2_conn_options options_of(const struct port_conf *port)
{
    const struct http_limits_conf *limits = &port->limits;

    return (struct http2_conn_options){
        .conf = &port->http2,
        .limits = {.max_head_bytes = limits->max_head_bytes,
                   .max_trailer_bytes = limits->max_trailer_bytes,
                   .max_target_bytes = limits->max_target_bytes,
                   .max_fields = limits->max_fields},
        .buffer_bytes = limits->buffer_bytes,
        .peer = HTTP2_BUDGET_CLIENT,
    };
}

enum sp_err http2_session_start(struct net_vconnection *vc, struct iobuf *first)
{
    struct http2_session *s = calloc(1, sizeof(*s));
    struct http2_conn_options options;

    if (s == NULL)
        return SP_NOMEM;
    s->port = vc->accept->options.user;
    options = options_of(s->port->conf);
    if (http2_conn_init(&s->conn, &session_ops, vc, &options) != SP_OK) {
        free(s);
        return SP_NOMEM;
    }
    if (first != NULL)
        iobuf_move_all(&s->conn.in, first);
    http2_session_watch_init(s);
    http2_conn_wake(&s->conn);
    return SP_OK;
}
