/* What leaves: the pump, and DATA frames out of the streams' queues. */
#include "http2_stream.h"

#include <sallyport/base/log.h>

#include <inttypes.h>

/* Up to here a frame's payload is copied behind its header: what is small packs better than it
 * would share. */
#define COPY_MAX_BYTES ((size_t)2048)

static size_t min_size(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* ---- DATA ---- */

static void count_frame(struct http2_stream *s, size_t n)
{
    struct http2_conn *c = s->conn;
    int64_t now_ms = http2_conn_now_ms(c);
    bool starved = false;

    if (n < s->out.len) {
        int32_t of_stream =
            nghttp2_session_get_stream_remote_window_size(c->session, (int32_t)s->super.id);
        int32_t of_conn = nghttp2_session_get_remote_window_size(c->session);
        int32_t window = of_stream < of_conn ? of_stream : of_conn;

        starved = http2_budget_is_starved(n, s->out.len, window < 0 ? 0 : (size_t)window);
    }
    (void)http2_budget_data_sent(&c->budget, n, starved, now_ms);
    if (!starved) /* else the send timeout runs on */
        s->sent_ms = now_ms;
}

static ssize_t submit_trailers(struct http2_stream *s)
{
    int err = nghttp2_submit_trailer(s->conn->session, (int32_t)s->super.id, s->send_trailers.nv,
                                     s->send_trailers.n);

    return err == 0 ? 0 : NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
}

/* The stream's turn has come: how much of `length` bytes does it have? nghttp2's signature.
 * NOLINTNEXTLINE(readability-function-size,readability-non-const-parameter) */
static ssize_t read_data(nghttp2_session *session, int32_t id, uint8_t *buf, size_t length,
                         uint32_t *flags, nghttp2_data_source *source, void *user)
{
    struct http2_stream *s = source->ptr;
    size_t n = min_size(s->out.len, length);

    (void)session;
    (void)id;
    (void)buf;
    (void)user;
    if (s->aborted || s->holds_tunnel || (n == 0 && !s->super.send_ended)) {
        s->deferred = true;
        return NGHTTP2_ERR_DEFERRED;
    }
    *flags |= NGHTTP2_DATA_FLAG_NO_COPY;
    if (n == s->out.len && s->super.send_ended) {
        *flags |= NGHTTP2_DATA_FLAG_EOF;
        if (s->has_send_trailers) {
            *flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
            if (submit_trailers(s) != 0)
                return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
        }
    }
    return (ssize_t)n;
}

nghttp2_data_provider http2_stream_data(struct http2_stream *s)
{
    return (nghttp2_data_provider){.source.ptr = s, .read_callback = read_data};
}

/* Takes n bytes of the stream behind what `out` has. SP_NOMEM: `out` is as it was. */
static enum sp_err take_payload(struct http2_stream *s, const uint8_t *header, size_t n)
{
    struct iobuf *out = &s->conn->out;
    struct iobuf payload;
    enum sp_err err;

    iobuf_init(&payload);
    if (iobuf_move(&payload, &s->out, n) != SP_OK)
        return SP_NOMEM;
    s->conn->queued_bytes -= n;
    err = iobuf_append(out, header, 9);
    if (err == SP_OK && n <= COPY_MAX_BYTES && iobuf_first(&payload).len == n &&
        iobuf_append(out, iobuf_first(&payload).p, n) == SP_OK)
        iobuf_clear(&payload);
    if (err == SP_OK)
        iobuf_move_all(out, &payload);
    iobuf_clear(&payload);
    return err;
}

static int send_data(nghttp2_session *session, nghttp2_frame *frame, const uint8_t *header,
                     size_t length, nghttp2_data_source *source, void *user)
{
    struct http2_conn *c = user;
    struct http2_stream *s = source->ptr;

    (void)session;
    (void)frame;             /* we pad nothing */
    if (s->out.len < length) /* it was reset meanwhile */
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    count_frame(s, length);
    if (take_payload(s, header, length) != SP_OK)
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    if (s->above && s->out.len <= http2_stream_bound(s) / 2) {
        s->above = false;
        s->drained = true;
        http2_stream_ready(s);
    }
    /* Which frame comes next is not decided before there is room for it. */
    return c->out.len < http2_conn_out_mark(c) ? 0 : NGHTTP2_ERR_PAUSE;
}

/* ---- What was sent, and what could not be ---- */

static int on_frame_send(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
    struct http2_conn *c = user;
    bool is_message = frame->hd.type == NGHTTP2_DATA || frame->hd.type == NGHTTP2_HEADERS;
    struct http2_stream *s;

    /* Behind it, not before: nghttp2 would send a PING first. */
    if (frame->hd.type == NGHTTP2_GOAWAY && c->notice_sent && !c->goaway_sent &&
        nghttp2_submit_ping(session, NGHTTP2_FLAG_NONE, NULL) != 0)
        http2_conn_broke(c, HTTP_ERROR_NOMEM);
    if (frame->hd.type == NGHTTP2_RST_STREAM)
        (void)http2_budget_reset_sent(&c->budget, frame->rst_stream.error_code,
                                      http2_conn_now_ms(c));
    if (!is_message || (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) == 0)
        return 0;
    s = nghttp2_session_get_stream_user_data(session, frame->hd.stream_id);
    if (s != NULL)
        http2_stream_sent(s);
    return 0;
}

static int on_frame_not_send(nghttp2_session *session, const nghttp2_frame *frame, int err,
                             void *user)
{
    struct http2_conn *c = user;
    struct http2_stream *s;

    if (frame->hd.type != NGHTTP2_HEADERS)
        return 0;
    LOG_DEBUG(HTTP, "vc=%" PRIu64 " http2 stream=%d head not sent: %s", c->vc->id,
              frame->hd.stream_id, nghttp2_strerror(err));
    s = frame->headers.cat == NGHTTP2_HCAT_REQUEST && !c->ops->is_server
            ? http2_stream_by_id(c, frame->hd.stream_id)
            : nghttp2_session_get_stream_user_data(session, frame->hd.stream_id);
    if (s == NULL)
        return 0;
    if (frame->headers.cat == NGHTTP2_HCAT_REQUEST && !c->ops->is_server)
        http2_stream_closed(s, NGHTTP2_REFUSED_STREAM); /* nghttp2 never opened it */
    else if (err != NGHTTP2_ERR_STREAM_CLOSED && err != NGHTTP2_ERR_STREAM_CLOSING)
        http2_stream_fail(s, HTTP_ERROR_INTERNAL);
    return 0;
}

void http2_conn_send_callbacks(nghttp2_session_callbacks *callbacks)
{
    nghttp2_session_callbacks_set_send_data_callback(callbacks, send_data);
    nghttp2_session_callbacks_set_on_frame_send_callback(callbacks, on_frame_send);
    nghttp2_session_callbacks_set_on_frame_not_send_callback(callbacks, on_frame_not_send);
}

/* ---- The pump ---- */

size_t http2_conn_out_mark(const struct http2_conn *c)
{
    return c->options.buffer_bytes;
}

/* True: nghttp2 may have more. */
static bool pump_piece(struct http2_conn *c)
{
    const uint8_t *bytes;
    ssize_t n = nghttp2_session_mem_send(c->session, &bytes);

    if (n < 0 || c->memory.failed)
        http2_conn_broke(c, HTTP_ERROR_NOMEM);
    if (n <= 0)
        return false;
    if (iobuf_append(&c->out, bytes, (size_t)n) == SP_OK)
        return true;
    http2_conn_broke(c, HTTP_ERROR_NOMEM); /* the frame is lost, and with it the order of all */
    return false;
}

/* False: `out` is full. */
bool http2_conn_pump_now(struct http2_conn *c)
{
    size_t mark = http2_conn_out_mark(c);

    while (c->out.len < mark && pump_piece(c))
        ;
    vio_reenable(&c->vc->write.vio);
    return c->out.len < mark;
}
