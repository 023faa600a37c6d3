/* Writing field blocks. */
#include "hop_fields.h"
#include "http2_fields.h"
#include "message_rules.h"

#include <sallyport/http/http_syntax.h>

enum {
    DIGITS_MAX = 20,
    OWN_FIELDS_MAX = 6, /* five pseudo-header fields and Content-Length */
};

/* What nghttp2 shall not copy lives as long as the program. */
#define LITERAL_NAME ((uint8_t)NGHTTP2_NV_FLAG_NO_COPY_NAME)

/* nghttp2 changes no byte of what it copies from; its struct is just older than const. */
static uint8_t *bytes_of(struct view v)
{
    return (uint8_t *)(uintptr_t)v.p;
}

static void put(struct http2_fields_block *out, struct view name, struct view value, uint8_t flags)
{
    out->nv[out->n++] = (nghttp2_nv){
        .name = bytes_of(name),
        .namelen = name.len,
        .value = bytes_of(value),
        .valuelen = value.len,
        .flags = flags,
    };
}

static void put_literal(struct http2_fields_block *out, struct view name, struct view value)
{
    put(out, name, value, LITERAL_NAME);
}

static struct view decimal(uint64_t n, struct arena *arena)
{
    char *digits = arena_alloc(arena, DIGITS_MAX);
    size_t at = DIGITS_MAX;

    if (digits == NULL)
        return (struct view){NULL, 0};
    do {
        digits[--at] = (char)('0' + n % 10);
        n /= 10;
    } while (n > 0);
    return (struct view){digits + at, DIGITS_MAX - at};
}

/* RFC 8441 5: "do not use the Sec-WebSocket-Key and Sec-WebSocket-Accept". */
static bool is_websocket_handshake(struct view name)
{
    return view_eq_nocase(name, VIEW("sec-websocket-key")) ||
           view_eq_nocase(name, VIEW("sec-websocket-accept"));
}

static bool is_left_out(const struct http_head *head, const struct http_field *field)
{
    if (hop_field_is_connection_level(field->id) || field->id == HTTP_FIELD_CONTENT_LENGTH)
        return true;
    if (http_head_is_request(head) && field->id == HTTP_FIELD_HOST)
        return true;
    return head->protocol.len > 0 && field->id == HTTP_FIELD_OTHER &&
           is_websocket_handshake(field->name);
}

/* Names that arrived by HTTP/1.1 have upper case: nghttp2 lowers the ones it copies, and those of
 * the table are given as the table has them. */
static enum sp_err put_field(struct http2_fields_block *out, const struct http_field *field)
{
    struct view value = http_trim(field->value);
    uint8_t flags = field->never_indexed ? (uint8_t)NGHTTP2_NV_FLAG_NO_INDEX : 0;

    if (!http_is_field_value(value))
        return SP_INVALID;
    if (field->id != HTTP_FIELD_OTHER) {
        put(out, view_of(http_field_name(field->id)), value, flags | LITERAL_NAME);
        return SP_OK;
    }
    if (!http_is_token(field->name))
        return SP_INVALID;
    put(out, field->name, value, flags);
    return SP_OK;
}

static enum sp_err begin_block(struct http2_fields_block *out, size_t max, struct arena *arena)
{
    *out = (struct http2_fields_block){.nv = arena_alloc(arena, max * sizeof(*out->nv))};
    return out->nv == NULL ? SP_NOMEM : SP_OK;
}

/* RFC 9113 8.3.1; of a request for a tunnel RFC 8441 4. */
static enum sp_err put_request(struct http2_fields_block *out, const struct http_head *head,
                               struct view scheme)
{
    bool tunnel = head->protocol.len > 0;

    if (!http_is_token(head->method_text) || (tunnel && !message_is_protocol(head->protocol)) ||
        (!http_is_path(head->path) && !view_eq(head->path, VIEW("*"))) ||
        (head->authority.len > 0 && !http_is_authority(head->authority)))
        return SP_INVALID;
    put_literal(out, VIEW(":method"), tunnel ? VIEW("CONNECT") : head->method_text);
    if (tunnel)
        put_literal(out, VIEW(":protocol"), head->protocol);
    put_literal(out, VIEW(":scheme"), scheme);
    if (head->authority.len > 0)
        put_literal(out, VIEW(":authority"), head->authority);
    put_literal(out, VIEW(":path"), head->path);
    return SP_OK;
}

/* 101 is HTTP/1.1's word for an open tunnel. */
static enum sp_err put_status(struct http2_fields_block *out, const struct http_head *head,
                              struct arena *arena)
{
    unsigned status = head->status == 101 ? 200 : head->status;
    struct view digits;

    if (status < 100 || status > 999 || (head->status == 101 && head->body != HTTP_BODY_TUNNEL))
        return SP_INVALID;
    digits = decimal(status, arena);
    if (digits.p == NULL)
        return SP_NOMEM;
    put_literal(out, VIEW(":status"), digits);
    return SP_OK;
}

/* RFC 9110 8.6: none in 1xx and 204. */
static enum sp_err put_length(struct http2_fields_block *out, const struct http_head *head,
                              struct arena *arena)
{
    struct view digits;

    if (head->body != HTTP_BODY_LENGTH || head->status / 100 == 1 || head->status == 204)
        return SP_OK;
    digits = decimal(head->content_length, arena);
    if (digits.p == NULL)
        return SP_NOMEM;
    put_literal(out, VIEW("content-length"), digits);
    return SP_OK;
}

enum sp_err http2_fields_write_head(const struct http_head *head, struct view scheme,
                                    struct arena *arena, struct http2_fields_block *out)
{
    enum sp_err err = begin_block(out, head->fields.n + OWN_FIELDS_MAX, arena);

    if (err != SP_OK)
        return err;
    err =
        http_head_is_request(head) ? put_request(out, head, scheme) : put_status(out, head, arena);
    for (uint32_t i = 0; err == SP_OK && i < head->fields.n; i++)
        if (!is_left_out(head, &head->fields.v[i]))
            err = put_field(out, &head->fields.v[i]);
    return err == SP_OK ? put_length(out, head, arena) : err;
}

static bool is_trailer(const struct http_field *field)
{
    return !hop_field_is_connection_level(field->id) && field->id != HTTP_FIELD_CONTENT_LENGTH &&
           field->id != HTTP_FIELD_HOST;
}

enum sp_err http2_fields_write_trailers(const struct http_fields *trailers, struct arena *arena,
                                        struct http2_fields_block *out)
{
    enum sp_err err = begin_block(out, trailers->n + 1, arena);

    for (uint32_t i = 0; err == SP_OK && i < trailers->n; i++)
        if (is_trailer(&trailers->v[i]))
            err = put_field(out, &trailers->v[i]);
    return err;
}
