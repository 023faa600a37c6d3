/* What arrives: bytes through the budget into nghttp2, and nghttp2's callbacks, which note on the
 * streams what has happened. Nobody is told anything in here. */
#include "http2_stream.h"

#include <sallyport/base/log.h>

#include <inttypes.h>

static struct http2_stream *stream_of(nghttp2_session *session, int32_t id)
{
    return nghttp2_session_get_stream_user_data(session, id);
}

/* ---- Field blocks ---- */

static enum http2_section section_of(const struct http2_stream *s)
{
    if (s->conn->ops->is_server)
        return s->head_read ? HTTP2_SECTION_REQUEST_TRAILERS : HTTP2_SECTION_REQUEST;
    return s->head_read ? HTTP2_SECTION_RESPONSE_TRAILERS : HTTP2_SECTION_RESPONSE;
}

static struct http2_stream *begin_stream(struct http2_conn *c, int32_t id)
{
    struct http2_stream *s = c->ops->begin(c, id);
    int err;

    if (s != NULL)
        err = nghttp2_session_set_stream_user_data(c->session, id, s);
    else
        err = nghttp2_submit_rst_stream(c->session, NGHTTP2_FLAG_NONE, id, NGHTTP2_REFUSED_STREAM);
    if (err != 0)
        http2_conn_broke(c, HTTP_ERROR_NOMEM);
    return s;
}

static int on_begin_headers(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
    struct http2_conn *c = user;
    struct http2_stream *s = stream_of(session, frame->hd.stream_id);

    c->block_began_ms = http2_conn_now_ms(c);
    if (s == NULL && frame->headers.cat == NGHTTP2_HCAT_REQUEST)
        s = begin_stream(c, frame->hd.stream_id);
    c->block_of = s;
    if (s != NULL)
        http2_fields_begin(&c->reader, section_of(s), &c->options.limits, &s->super.arena);
    return 0;
}

/* nghttp2's signature. NOLINTNEXTLINE(readability-function-size) */
static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
                     size_t name_len, const uint8_t *value, size_t value_len, uint8_t flags,
                     void *user)
{
    struct http2_conn *c = user;
    struct view n = {(const char *)name, name_len}, v = {(const char *)value, value_len};

    (void)session;
    (void)frame;
    /* A small block can blow up to a lot of work: nghttp2 stops here. */
    if (!http2_budget_field(&c->budget, name_len, value_len, http2_conn_now_ms(c)) ||
        c->memory.failed)
        return NGHTTP2_ERR_PAUSE;
    if (c->block_of != NULL) /* the reader keeps its first error */
        (void)http2_fields_add(&c->reader, n, v, (flags & NGHTTP2_NV_FLAG_NO_INDEX) != 0);
    return 0;
}

static void end_of_block(struct http2_conn *c, bool end_stream)
{
    struct http2_stream *s = c->block_of;

    c->block_of = NULL;
    c->block_began_ms = 0;
    if (s == NULL || s->trouble != HTTP_ERROR_NONE || s->aborted)
        return;
    s->received_ms = http2_conn_now_ms(c);
    if (!s->head_read)
        http2_stream_head_arrived(s, end_stream);
    else if (end_stream)
        http2_stream_trailers_arrived(s);
    else /* RFC 9113 8.1: trailers end the stream */
        http2_stream_malformed(s, HTTP_ERROR_BAD_TRAILER);
}

/* ---- Frames ---- */

static int on_frame_recv(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
    struct http2_conn *c = user;
    bool end_stream = (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;
    struct http2_stream *s;

    switch (frame->hd.type) {
    case NGHTTP2_HEADERS: end_of_block(c, end_stream); break;
    case NGHTTP2_DATA:
        s = stream_of(session, frame->hd.stream_id);
        if (end_stream && s != NULL)
            http2_stream_ended(s);
        break;
    case NGHTTP2_SETTINGS:
        c->settings_seen = c->settings_seen || (frame->hd.flags & NGHTTP2_FLAG_ACK) == 0;
        c->ops->frame(c, frame);
        break;
    default:
        if (frame->hd.stream_id == 0)
            c->ops->frame(c, frame);
        break;
    }
    return 0;
}

/* Bytes that nobody will take open the connection's window again; their stream's does not matter.
 */
static void drop_data(struct http2_conn *c, size_t n)
{
    if (nghttp2_session_consume_connection(c->session, n) != 0)
        http2_conn_broke(c, HTTP_ERROR_NOMEM);
}

static int on_data_chunk(nghttp2_session *session, uint8_t flags, int32_t id, const uint8_t *data,
                         size_t n, void *user)
{
    struct http2_conn *c = user;
    struct http2_stream *s = stream_of(session, id);

    (void)flags;
    if (s == NULL || !http2_stream_data_arrived(s, (struct view){(const char *)data, n}))
        drop_data(c, n);
    return 0;
}

static int on_stream_close(nghttp2_session *session, int32_t id, uint32_t code, void *user)
{
    struct http2_conn *c = user;
    struct http2_stream *s = stream_of(session, id);

    if (s == NULL)
        return 0;
    if (c->block_of == s)
        c->block_of = NULL;
    http2_stream_closed(s, code);
    return 0;
}

static int on_invalid_frame(nghttp2_session *session, const nghttp2_frame *frame, int err,
                            void *user)
{
    const struct http2_conn *c = user;

    (void)session;
    LOG_LIMITED(HTTP, INFO, "vc=%" PRIu64 " http2 stream=%d frame=%u refused=\"%s\"", c->vc->id,
                frame->hd.stream_id, frame->hd.type, nghttp2_strerror(err));
    return 0;
}

void http2_conn_callbacks(nghttp2_session_callbacks *callbacks)
{
    nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, on_begin_headers);
    nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame_recv);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data_chunk);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_stream_close);
    nghttp2_session_callbacks_set_on_invalid_frame_recv_callback(callbacks, on_invalid_frame);
    http2_conn_send_callbacks(callbacks);
}

/* ---- Feeding ---- */

/* One piece of `in`. A callback may have taken bytes out of its middle: c->fed says what `in`
 * begins with now. The pin keeps the block that nghttp2 still reads. */
static bool feed_piece(struct http2_conn *c)
{
    struct view piece = iobuf_first(&c->in);
    struct iobuf_block *pin = iobuf_pin(&c->in);
    const uint8_t *bytes = (const uint8_t *)piece.p;
    size_t allowed = http2_budget_feed(&c->budget, bytes, piece.len, http2_conn_now_ms(c));
    ssize_t n;

    c->fed = piece.p;
    n = nghttp2_session_mem_recv(c->session, bytes, allowed);
    iobuf_consume(&c->in, (size_t)(piece.p + piece.len - c->fed));
    c->fed = NULL;
    iobuf_unpin(pin);
    if (n == NGHTTP2_ERR_NOMEM || c->memory.failed)
        http2_conn_broke(c, HTTP_ERROR_NOMEM);
    else if (n < 0) /* no preface, or a fault that GOAWAY has no word for */
        http2_conn_broke(c, c->ops->gone);
    return c->trouble == HTTP_ERROR_NONE && !http2_budget_exceeded(&c->budget);
}

void http2_conn_feed(struct http2_conn *c)
{
    while (c->in.len > 0 && feed_piece(c))
        ;
}

/* Moves n received bytes, which lie in `in`, to a stream's queue without copying them. */
enum sp_err http2_conn_take_fed(struct http2_conn *c, struct view data, struct iobuf *to)
{
    enum sp_err err;

    iobuf_consume(&c->in, (size_t)(data.p - c->fed));
    c->fed = data.p;
    err = iobuf_move(to, &c->in, data.len);
    if (err == SP_OK)
        c->fed = data.p + data.len;
    return err;
}
