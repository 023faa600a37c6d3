/* What arrives on a stream, the window that lets it, and telling the user of it. */
#include "http2_stream.h"

#include <sallyport/base/log.h>

#include <inttypes.h>

/* From here on a piece of a body shares the block that it was received into. What is shorter is
 * copied: else one byte could hold a large block, and a window full of them gigabytes. */
#define SHARE_MIN_BYTES ((size_t)8192)

/* ---- The receive window ---- */

/* A stream that has gone through its whole window unhindered may be held up by it. */
static void grow_window(struct http2_stream *s)
{
    struct http2_conn *c = s->conn;
    const struct http2_conf *conf = c->options.conf;
    int32_t id = (int32_t)s->super.id;
    int32_t now = nghttp2_session_get_stream_local_window_size(c->session, id);
    uint32_t window = now < 0 ? 0 : (uint32_t)now, more = window;

    if (window == 0 || s->window_used < window)
        return;
    s->window_used = 0;
    if (window >= conf->max_stream_window_bytes)
        return;
    if (more > conf->max_stream_window_bytes - window)
        more = conf->max_stream_window_bytes - window;
    if (c->extra_window_bytes + more > conf->receive_bytes / 2)
        return;
    if (nghttp2_session_set_local_window_size(c->session, NGHTTP2_FLAG_NONE, id,
                                              (int32_t)(window + more)) != 0)
        return; /* it goes on with what it has */
    s->extra_window_bytes += more;
    c->extra_window_bytes += more;
}

/* n received bytes are in other hands: the peer may send as many again. */
static void taken(struct http2_stream *s, size_t n)
{
    struct http2_conn *c = s->conn;
    int err;

    if (n == 0 || c->session == NULL)
        return;
    if (s->is_open && !s->wire_ended && !s->aborted)
        err = nghttp2_session_consume(c->session, (int32_t)s->super.id, n);
    else
        err = nghttp2_session_consume_connection(c->session, n);
    if (err != 0) {
        http2_conn_broke(c, HTTP_ERROR_NOMEM);
        return;
    }
    s->window_used += n;
    if (s->is_open && !s->wire_ended && !s->paused)
        grow_window(s);
}

void http2_stream_drop_received(struct http2_stream *s)
{
    size_t n = s->in.len;

    iobuf_clear(&s->in);
    taken(s, n);
}

/* ---- Noted ---- */

void http2_stream_ready(struct http2_stream *s)
{
    if (!list_is_linked(&s->ready_link))
        list_push_back(&s->conn->ready, &s->ready_link);
}

static void add_message(struct http2_stream *s, struct http2_message *m)
{
    struct http2_message **last = &s->messages;

    while (*last != NULL)
        last = &(*last)->next;
    *last = m;
    http2_stream_ready(s);
}

static bool is_interim(const struct http_head *head)
{
    return head->status / 100 == 1 && head->status != 101;
}

/* A head may say how long the body is; without one, DATA is an error in itself. */
static void expect_body(struct http2_stream *s, const struct http_head *head, bool end)
{
    s->wire_ended = end;
    s->holds_tunnel = http_head_is_request(head) && head->protocol.len > 0;
    if (head->body == HTTP_BODY_LENGTH)
        s->recv_left = head->content_length;
    else if (head->body == HTTP_BODY_NONE && !s->holds_tunnel)
        s->recv_left = 0;
    if (end && head->body == HTTP_BODY_LENGTH && head->content_length > 0 &&
        http_head_is_request(head))
        http2_stream_malformed(s, HTTP_ERROR_BAD_CONTENT_LENGTH);
}

void http2_stream_head_arrived(struct http2_stream *s, bool end_stream)
{
    struct http2_message *m = arena_alloc(&s->super.arena, sizeof(*m));
    enum http_error error = HTTP_ERROR_NOMEM;

    if (m != NULL)
        error = s->conn->ops->read_head(s, end_stream, &m->head);
    if (m != NULL && s->conn->ops->is_server)
        s->request = &m->head; /* of a bad one, enough to answer it */
    if (error != HTTP_ERROR_NONE) {
        s->head_read = true;
        s->wire_ended = end_stream;
        if (http2_fields_is_malformed(error))
            http2_stream_malformed(s, error);
        else
            http2_stream_fail(s, error);
        return;
    }
    m->end = end_stream;
    if (!is_interim(&m->head)) {
        s->head_read = true;
        expect_body(s, &m->head, end_stream);
    } else if (end_stream) { /* RFC 9113 8.1 */
        http2_stream_malformed(s, HTTP_ERROR_UPSTREAM_BAD_RESPONSE);
        return;
    }
    add_message(s, m);
}

/* RFC 9113 8.1.1: content-length has to be the sum of DATA, unless there can be none. */
static bool is_short(const struct http2_stream *s)
{
    return s->recv_left != UINT64_MAX && s->recv_left > 0;
}

void http2_stream_ended(struct http2_stream *s)
{
    if (s->wire_ended || s->aborted)
        return;
    s->wire_ended = true;
    s->received_ms = http2_conn_now_ms(s->conn);
    if (is_short(s))
        http2_stream_malformed(s, s->conn->ops->bad_length);
    http2_stream_ready(s);
}

void http2_stream_trailers_arrived(struct http2_stream *s)
{
    enum http_error error;

    if (s->wire_ended || s->aborted)
        return;
    error = http2_fields_trailers(&s->conn->reader, &s->trailers);
    if (error == HTTP_ERROR_NONE) {
        s->has_trailers = s->trailers.n > 0;
        http2_stream_ended(s);
    } else if (http2_fields_is_malformed(error)) {
        http2_stream_malformed(s, error);
    } else {
        http2_stream_fail(s, error);
    }
}

static enum sp_err keep_data(struct http2_stream *s, struct view data)
{
    if (data.len < SHARE_MIN_BYTES)
        return iobuf_append_view(&s->in, data);
    return http2_conn_take_fed(s->conn, data, &s->in);
}

bool http2_stream_data_arrived(struct http2_stream *s, struct view data)
{
    struct http2_conn *c = s->conn;

    if (s->aborted || s->failed || s->released || s->trouble != HTTP_ERROR_NONE)
        return false;
    if (!s->head_read || s->recv_left < data.len) {
        http2_stream_malformed(s, c->ops->bad_length);
        return false;
    }
    if (keep_data(s, data) != SP_OK) {
        http2_stream_fail(s, HTTP_ERROR_NOMEM);
        http2_stream_reset(s, NGHTTP2_INTERNAL_ERROR);
        return false;
    }
    if (s->recv_left != UINT64_MAX)
        s->recv_left -= data.len;
    s->received_ms = http2_conn_now_ms(c);
    http2_stream_ready(s);
    return true;
}

/* ---- Told ---- */

void http2_stream_open_tunnel(struct http2_stream *s)
{
    s->tunnel = true;
    s->holds_tunnel = false;
    s->super.recv_ended = false;
    s->super.send_ended = false;
    s->send_left = s->recv_left = UINT64_MAX;
    http2_stream_ready(s); /* the peer may have gone on already */
    http2_conn_wake(s->conn);
}

static bool tell_head(struct http2_stream *s)
{
    struct http2_message *m = s->messages;
    bool end = m->end || s->holds_tunnel; /* a request for a tunnel is whole with its head */

    s->messages = m->next;
    s->head_told = s->head_told || !is_interim(&m->head);
    s->super.recv_ended = end && !is_interim(&m->head);
    s->conn->ops->head(s, &m->head, end);
    return true;
}

static bool tell_body(struct http2_stream *s)
{
    struct http_stream_user *user = s->super.user;
    bool end = s->wire_ended && !s->has_trailers;
    struct iobuf data;
    size_t n = s->in.len;

    iobuf_init(&data);
    iobuf_move_all(&data, &s->in);
    s->super.bytes_received += n;
    s->super.recv_ended = end;
    user->ops->body(user, &s->super, &data, end);
    iobuf_clear(&data); /* what the user left */
    taken(s, n);
    return true;
}

static bool tell_trailers(struct http2_stream *s)
{
    struct http_stream_user *user = s->super.user;

    s->super.recv_ended = true;
    user->ops->trailers(user, &s->super, &s->trailers);
    return true;
}

/* Of what has arrived. */
static bool tell_received(struct http2_stream *s)
{
    if (s->messages != NULL)
        return tell_head(s);
    if (s->super.user == NULL || !s->head_told || s->holds_tunnel || s->paused || s->failed ||
        s->super.recv_ended)
        return false;
    if (s->in.len > 0 || (s->wire_ended && !s->has_trailers))
        return tell_body(s);
    return s->wire_ended && tell_trailers(s);
}

/* A client that left wants no more; but a response that has arrived as a whole is one, whatever
 * became of the connection. */
static bool is_told_first(const struct http2_stream *s)
{
    return !s->conn->ops->is_server && s->wire_ended && !s->aborted && !s->super.recv_ended;
}

static bool tell_trouble(struct http2_stream *s)
{
    enum http_error why = s->trouble;

    s->trouble = HTTP_ERROR_NONE;
    s->messages = NULL;
    http2_stream_drop_received(s);
    if (s->super.vc != NULL)
        LOG_DEBUG(HTTP, "vc=%" PRIu64 " stream=%" PRIu64 " failed=%s", s->super.vc->id, s->super.id,
                  http_error_label(why)); /* the user's line says more */
    s->failed = true;
    s->conn->ops->fail(s, why);
    return true;
}

static bool tell(struct http2_stream *s)
{
    struct http_stream_user *user = s->super.user;

    if (s->released)
        return false;
    if (s->trouble != HTTP_ERROR_NONE && !is_told_first(s))
        return tell_trouble(s);
    if (s->aborted)
        return false;
    if (s->drained && user != NULL && !s->failed) {
        s->drained = false;
        user->ops->writable(user, &s->super);
        return true;
    }
    return tell_received(s);
}

void http2_stream_deliver(struct http2_stream *s)
{
    while (tell(s))
        ;
}
