/* Serialising. A head is walked twice by the same code: once to count its bytes, once to copy them
 * into room reserved for all of them. */
#include "http1_writer.h"

#include <sallyport/http/http_syntax.h>

/* Shorter pieces are copied behind what is queued, longer ones are moved. A moved byte keeps the
 * whole block alive that it was read into: a peer that sends single bytes to one who does not read
 * would otherwise hold thousands of times the memory that the queue is bounded to. */
enum { COPY_MAX_BYTES = 4096 };

#define BIT(id) (UINT64_C(1) << HTTP_FIELD_##id)

/* RFC 9110 7.6.1 and 6.4: what the plan says instead. */
static const uint64_t connection_ids = BIT(CONNECTION) | BIT(CONTENT_LENGTH) |
                                       BIT(TRANSFER_ENCODING) | BIT(UPGRADE) | BIT(KEEP_ALIVE) |
                                       BIT(PROXY_CONNECTION) | BIT(HTTP2_SETTINGS);

/* ---- Copying into reserved room ---- */

struct pen {
    struct iobuf *out; /* NULL: only counts */
    size_t left;       /* bytes still to come; while counting: bytes so far */
    char *next, *end;  /* room in the piece that is being filled */
    struct iovec room[4];
    int n_room, at;     /* pieces reserved, and which is being filled */
    size_t uncommitted; /* bytes in the pieces before that */
    enum sp_err err;
};

static void pen_begin_piece(struct pen *pen, int at)
{
    pen->at = at;
    pen->next = pen->room[at].iov_base;
    pen->end = pen->next + pen->room[at].iov_len;
}

/* What was written is queued. */
static void pen_commit(struct pen *pen)
{
    size_t in_piece =
        pen->n_room == 0 ? 0 : (size_t)(pen->next - (char *)pen->room[pen->at].iov_base);

    iobuf_commit(pen->out, pen->uncommitted + in_piece);
    pen->uncommitted = 0;
    pen->n_room = 0;
}

/* The piece is full: on to the next one, if need be of a new reservation. */
static bool pen_turn_page(struct pen *pen)
{
    if (pen->at + 1 < pen->n_room) {
        pen->uncommitted += pen->room[pen->at].iov_len;
        pen_begin_piece(pen, pen->at + 1);
        return true;
    }
    pen_commit(pen);
    pen->n_room = iobuf_reserve(pen->out, pen->left, pen->room, SP_COUNT_OF(pen->room));
    if (pen->n_room == 0) {
        pen->err = SP_NOMEM;
        return false;
    }
    pen_begin_piece(pen, 0);
    return true;
}

static void pen_put(struct pen *pen, struct view v)
{
    if (pen->out == NULL) {
        pen->left += v.len;
        return;
    }
    while (v.len > 0 && pen->err == SP_OK) {
        size_t n = (size_t)(pen->end - pen->next) < v.len ? (size_t)(pen->end - pen->next) : v.len;

        if (n == 0) {
            if (!pen_turn_page(pen))
                return;
            continue;
        }
        memcpy(pen->next, v.p, n);
        pen->next += n;
        pen->left -= n;
        v = view_from(v, n);
    }
}

static struct view decimal(uint64_t n, char digits[20])
{
    size_t at = 20;

    do {
        digits[--at] = (char)('0' + n % 10);
        n /= 10;
    } while (n > 0);
    return (struct view){digits + at, 20 - at};
}

/* ---- Heads ---- */

static void put_field(struct pen *pen, struct view name, struct view value)
{
    pen_put(pen, name);
    pen_put(pen, VIEW(": "));
    pen_put(pen, value);
    pen_put(pen, VIEW("\r\n"));
}

static void put_fields(struct pen *pen, const struct http_fields *fields, uint64_t left_out)
{
    bool all = (fields->present & left_out) == 0;

    for (uint32_t i = 0; i < fields->n; i++)
        if (all || (left_out >> fields->v[i].id & 1) == 0)
            put_field(pen, fields->v[i].name, fields->v[i].value);
}

static void put_request_line(struct pen *pen, const struct http_head *head)
{
    pen_put(pen, head->method_text);
    pen_put(pen, VIEW(" "));
    pen_put(pen, head->path);
    pen_put(pen, VIEW(" HTTP/1.1\r\n"));
    /* RFC 9110 7.2: first, and with an empty value when there is no authority. */
    put_field(pen, VIEW("Host"), head->authority);
}

/* RFC 9112 2.3: the version is the sender's own, whatever the client speaks. */
static void put_status_line(struct pen *pen, const struct http_head *head)
{
    char digits[20];

    pen_put(pen, VIEW("HTTP/1.1 "));
    pen_put(pen, decimal(head->status, digits));
    pen_put(pen, VIEW(" "));
    pen_put(pen, head->reason.len > 0 ? head->reason : view_of(http_status_reason(head->status)));
    pen_put(pen, VIEW("\r\n"));
}

static void put_plan(struct pen *pen, const struct http1_head_plan *plan)
{
    char digits[20];

    if (plan->says_length)
        put_field(pen, VIEW("Content-Length"), decimal(plan->length, digits));
    if (plan->framing == HTTP1_FRAMING_CHUNKED)
        pen_put(pen, VIEW("Transfer-Encoding: chunked\r\n"));
    switch (plan->connection) {
    case HTTP1_CONNECTION_UNSAID: break;
    case HTTP1_CONNECTION_CLOSE: pen_put(pen, VIEW("Connection: close\r\n")); break;
    case HTTP1_CONNECTION_KEEP_ALIVE: pen_put(pen, VIEW("Connection: keep-alive\r\n")); break;
    case HTTP1_CONNECTION_UPGRADE:
        pen_put(pen, VIEW("Connection: Upgrade\r\n"));
        put_field(pen, VIEW("Upgrade"), plan->protocol);
        if (plan->websocket_key.len > 0)
            put_field(pen, VIEW("Sec-WebSocket-Key"), plan->websocket_key);
        if (plan->websocket_proof.len > 0)
            put_field(pen, VIEW("Sec-WebSocket-Accept"), plan->websocket_proof);
        break;
    }
}

static void put_head(struct pen *pen, const struct http_head *head,
                     const struct http1_head_plan *plan)
{
    bool is_request = http_head_is_request(head);

    if (is_request)
        put_request_line(pen, head);
    else
        put_status_line(pen, head);
    put_fields(pen, &head->fields, is_request ? connection_ids | BIT(HOST) : connection_ids);
    put_plan(pen, plan);
    pen_put(pen, VIEW("\r\n"));
}

static bool are_writable(const struct http_fields *fields)
{
    for (uint32_t i = 0; i < fields->n; i++)
        if (!http_is_token(fields->v[i].name) || !http_is_field_value(fields->v[i].value))
            return false;
    return true;
}

/* No blank and no control: the request line has exactly two blanks. */
static bool is_target(struct view v)
{
    return v.len > 0 && http_find_control(v, 0) == v.len && memchr(v.p, ' ', v.len) == NULL;
}

static bool is_writable(const struct http_head *head, const struct http1_head_plan *plan)
{
    if (plan->connection == HTTP1_CONNECTION_UPGRADE &&
        (plan->protocol.len == 0 || !http_is_field_value(plan->protocol)))
        return false;
    if (!are_writable(&head->fields))
        return false;
    if (!http_head_is_request(head))
        return head->status >= 100 && head->status <= 999 && http_is_field_value(head->reason);
    return http_is_token(head->method_text) && is_target(head->path) &&
           http_is_field_value(head->authority);
}

enum sp_err http1_write_head(struct iobuf *out, const struct http_head *head,
                             const struct http1_head_plan *plan)
{
    struct pen count = {0}, pen = {.out = out};

    if (!is_writable(head, plan))
        return SP_INVALID;
    put_head(&count, head, plan);
    pen.left = count.left;
    put_head(&pen, head, plan);
    pen_commit(&pen);
    return pen.err;
}

/* ---- Bodies ---- */

void http1_writer_init(struct http1_writer *w, const struct http1_head_plan *plan)
{
    w->framing = plan->framing;
    w->left = plan->framing == HTTP1_FRAMING_LENGTH ? plan->length : 0;
}

/* All of `data` to the end of `out`. SP_NOMEM: as before. */
static enum sp_err put_data(struct iobuf *out, struct iobuf *data)
{
    struct iovec piece;

    if (data->len > COPY_MAX_BYTES) {
        iobuf_move_all(out, data);
        return SP_OK;
    }
    while (iobuf_peek(data, &piece, 1, data->len) == 1) {
        enum sp_err err = iobuf_append(out, piece.iov_base, piece.iov_len);

        if (err != SP_OK)
            return err;
        iobuf_consume(data, piece.iov_len);
    }
    return SP_OK;
}

/* chunk = chunk-size CRLF chunk-data CRLF (RFC 9112 7.1). */
static enum sp_err put_chunk(struct iobuf *out, struct iobuf *data)
{
    static const char hex[] = "0123456789abcdef";
    char size[18];
    size_t at = sizeof(size);
    enum sp_err err;

    size[--at] = '\n';
    size[--at] = '\r';
    for (size_t n = data->len; n > 0; n >>= 4)
        size[--at] = hex[n & 0xf];
    err = iobuf_append(out, size + at, sizeof(size) - at);
    if (err == SP_OK)
        err = put_data(out, data);
    if (err == SP_OK)
        err = iobuf_append(out, "\r\n", 2);
    return err;
}

static enum sp_err put_chunks(struct iobuf *out, struct iobuf *data, bool end)
{
    enum sp_err err = data->len == 0 ? SP_OK : put_chunk(out, data);

    if (err == SP_OK && end)
        err = iobuf_append_view(out, VIEW("0\r\n\r\n"));
    return err;
}

static enum sp_err put_length(struct http1_writer *w, struct iobuf *out, struct iobuf *data,
                              bool end)
{
    if (data->len > w->left || (end && data->len < w->left))
        return SP_INVALID;
    w->left -= data->len;
    return put_data(out, data);
}

enum sp_err http1_write_body(struct http1_writer *w, struct iobuf *out, struct iobuf *data,
                             bool end)
{
    enum sp_err err = SP_OK;

    switch (w->framing) {
    case HTTP1_FRAMING_NONE: break;
    case HTTP1_FRAMING_LENGTH: err = put_length(w, out, data, end); break;
    case HTTP1_FRAMING_CHUNKED: err = put_chunks(out, data, end); break;
    case HTTP1_FRAMING_RAW: err = put_data(out, data); break;
    }
    iobuf_clear(data);
    return err;
}

static void put_trailers(struct pen *pen, const struct http_fields *trailers)
{
    pen_put(pen, VIEW("0\r\n"));
    put_fields(pen, trailers, connection_ids | BIT(HOST));
    pen_put(pen, VIEW("\r\n"));
}

enum sp_err http1_write_trailers(struct http1_writer *w, struct iobuf *out,
                                 const struct http_fields *trailers)
{
    struct pen count = {0}, pen = {.out = out};

    if (w->framing != HTTP1_FRAMING_CHUNKED)
        return w->left == 0 ? SP_OK : SP_INVALID;
    if (!are_writable(trailers))
        return SP_INVALID;
    put_trailers(&count, trailers);
    pen.left = count.left;
    put_trailers(&pen, trailers);
    pen_commit(&pen);
    return pen.err;
}
