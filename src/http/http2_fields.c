/* Reading field blocks: RFC 9113 8.1 to 8.3 and 8.5, RFC 8441 4. */
#include "http2_fields.h"

#include "message_rules.h"
#include "websocket.h"

#include <sallyport/http/http_syntax.h>

enum { FIELD_OVERHEAD_BYTES = 32 }; /* RFC 9113 10.5.1 */

#define BIT(section) (1U << HTTP2_SECTION_##section)

static const unsigned trailer_sections = BIT(REQUEST_TRAILERS) | BIT(RESPONSE_TRAILERS);
static const unsigned request_sections = BIT(REQUEST) | BIT(REQUEST_TRAILERS);

static const struct pseudo {
    struct view name;
    unsigned sections;
} pseudo_fields[] = {
#define X(id, text, where) [HTTP2_PSEUDO_##id] = {VIEW_INIT(text), where},
    HTTP2_PSEUDO_FIELDS(X)
#undef X
};

static bool is_in(const struct http2_fields_reader *r, unsigned sections)
{
    return (sections >> r->section & 1) != 0;
}

void http2_fields_begin(struct http2_fields_reader *r, enum http2_section section,
                        const struct http2_fields_limits *limits, struct arena *arena)
{
    *r = (struct http2_fields_reader){.limits = limits, .arena = arena, .section = section};
}

/* ---- One field ---- */

/* RFC 9113 8.2.1: upper case is malformed, and so is all that is not a token. */
static bool is_name(struct view name)
{
    for (size_t i = 0; i < name.len; i++)
        if (name.p[i] >= 'A' && name.p[i] <= 'Z')
            return false;
    return http_is_token(name);
}

/* RFC 9113 8.2.1: no CR, LF, NUL; here no other control either but HTAB. "A field value MUST NOT
 * start or end with an ASCII whitespace character." */
static bool is_value(struct view value)
{
    return http_is_field_value(value) && http_trim(value).len == value.len;
}

/* RFC 9113 8.2.2. */
static bool is_of_connection(enum http_field_id id)
{
    const uint64_t ids = UINT64_C(1) << HTTP_FIELD_CONNECTION | UINT64_C(1) << HTTP_FIELD_UPGRADE |
                         UINT64_C(1) << HTTP_FIELD_KEEP_ALIVE |
                         UINT64_C(1) << HTTP_FIELD_PROXY_CONNECTION |
                         UINT64_C(1) << HTTP_FIELD_TRANSFER_ENCODING;

    return (ids >> id & 1) != 0;
}

/* The value's bytes, and behind them the name's where it is not one of the table's. */
static bool copy_field(struct arena *arena, struct view name, struct view value,
                       struct http_field *out)
{
    size_t name_len = out->id == HTTP_FIELD_OTHER ? name.len : 0;
    char *p = arena_alloc(arena, value.len + name_len + 1); /* never of nothing */

    if (p == NULL)
        return false;
    if (value.len > 0)
        memcpy(p, value.p, value.len);
    if (name_len > 0)
        memcpy(p + value.len, name.p, name_len);
    out->value = (struct view){p, value.len};
    out->name =
        name_len > 0 ? (struct view){p + value.len, name_len} : view_of(http_field_name(out->id));
    return true;
}

static enum http_error add_field(struct http2_fields_reader *r, struct view name, struct view value,
                                 bool never_indexed)
{
    struct http_field field = {.never_indexed = never_indexed};

    if (!is_name(name))
        return HTTP_ERROR_BAD_FIELD_NAME;
    if (!is_value(value))
        return HTTP_ERROR_BAD_FIELD_VALUE;
    field.id = http_field_id_of(name);
    if (is_of_connection(field.id))
        return HTTP_ERROR_CONNECTION_FIELD;
    /* RFC 9113 8.2.2: "it MUST NOT contain any value other than 'trailers'". */
    if (field.id == HTTP_FIELD_TE && is_in(r, request_sections) &&
        !view_eq_nocase(value, VIEW("trailers")))
        return HTTP_ERROR_CONNECTION_FIELD;
    if (r->fields.n >= r->limits->max_fields)
        return HTTP_ERROR_TOO_MANY_FIELDS;
    if (!copy_field(r->arena, name, value, &field))
        return HTTP_ERROR_NOMEM;
    return http_fields_add_copy(&r->fields, r->arena, &field) == SP_OK ? HTTP_ERROR_NONE
                                                                       : HTTP_ERROR_NOMEM;
}

/* RFC 9113 8.3: in front of all other fields, each at most once, only in its own kind of message,
 * never in trailers. None may be empty: a :path or a scheme never is, and an empty :authority is
 * refused as an empty Host is. */
static enum http_error add_pseudo(struct http2_fields_reader *r, struct view name,
                                  struct view value)
{
    size_t id = 0;

    while (id < HTTP2_PSEUDO_COUNT && !view_eq(name, pseudo_fields[id].name))
        id++;
    if (id == HTTP2_PSEUDO_COUNT || !is_in(r, pseudo_fields[id].sections) ||
        r->pseudo[id].p != NULL || r->fields.n > 0 || value.len == 0)
        return HTTP_ERROR_BAD_PSEUDO_FIELD;
    if (id == HTTP2_PSEUDO_PATH && value.len > r->limits->max_target_bytes)
        return HTTP_ERROR_URI_TOO_LONG;
    r->pseudo[id] = arena_copy(r->arena, value);
    return r->pseudo[id].p == NULL ? HTTP_ERROR_NOMEM : HTTP_ERROR_NONE;
}

enum http_error http2_fields_add(struct http2_fields_reader *r, struct view name, struct view value,
                                 bool never_indexed)
{
    size_t max_bytes =
        is_in(r, trailer_sections) ? r->limits->max_trailer_bytes : r->limits->max_head_bytes;

    if (r->error != HTTP_ERROR_NONE)
        return r->error;
    r->bytes += name.len + value.len + FIELD_OVERHEAD_BYTES;
    if (r->bytes > max_bytes)
        r->error = HTTP_ERROR_HEAD_TOO_LARGE;
    else if (name.len > 0 && name.p[0] == ':')
        r->error = add_pseudo(r, name, value);
    else
        r->error = add_field(r, name, value, never_indexed);
    return r->error;
}

/* ---- Requests ---- */

static bool has(const struct http2_fields_reader *r, enum http2_pseudo_field id)
{
    return r->pseudo[id].p != NULL;
}

/* Which pseudo-header fields there must be, and which must not: RFC 9113 8.3.1 and 8.5, RFC 8441 4.
 */
static bool has_its_pseudo_fields(const struct http2_fields_reader *r, enum http_method method)
{
    bool scheme = has(r, HTTP2_PSEUDO_SCHEME), path = has(r, HTTP2_PSEUDO_PATH);
    bool protocol = has(r, HTTP2_PSEUDO_PROTOCOL);

    if (method == HTTP_METHOD_CONNECT && !protocol)
        return !scheme && !path && has(r, HTTP2_PSEUDO_AUTHORITY);
    return scheme && path && (method == HTTP_METHOD_CONNECT || !protocol);
}

/* https or http, in any case (RFC 3986 3.1): what else a client may name, we cannot pass on. */
static enum http_error take_scheme(struct view text, struct http_head *out)
{
    if (view_eq_nocase(text, VIEW("https")))
        out->scheme = VIEW("https");
    else if (view_eq_nocase(text, VIEW("http")))
        out->scheme = VIEW("http");
    else
        return HTTP_ERROR_BAD_TARGET;
    return HTTP_ERROR_NONE;
}

/* RFC 9113 8.3.1: "/" and what follows, or "*" with OPTIONS. */
static enum http_error take_path(struct view text, struct http_head *out)
{
    bool asterisk = out->method == HTTP_METHOD_OPTIONS && view_eq(text, VIEW("*"));

    if (!asterisk && !http_is_path(text))
        return HTTP_ERROR_BAD_TARGET;
    out->path = text;
    return HTTP_ERROR_NONE;
}

/* :authority, with no user information (RFC 9113 8.3.1), and Host. */
static enum http_error take_authority(struct view text, struct http_head *out)
{
    if (text.p != NULL && !http_is_authority(text))
        return HTTP_ERROR_BAD_HOST;
    out->authority = text;
    return message_take_host(out);
}

static enum http_error take_target(const struct http2_fields_reader *r, struct http_head *out)
{
    enum http_error error = take_scheme(r->pseudo[HTTP2_PSEUDO_SCHEME], out);

    if (error == HTTP_ERROR_NONE)
        error = take_path(r->pseudo[HTTP2_PSEUDO_PATH], out);
    if (error == HTTP_ERROR_NONE)
        error = take_authority(r->pseudo[HTTP2_PSEUDO_AUTHORITY], out);
    return error;
}

/* The length that is told, against an end that has come already (RFC 9113 8.1.1). Without a length
 * the body is `unsaid`. */
static enum http_error take_length(struct http_head *out, bool end_stream,
                                   enum http_body_kind unsaid)
{
    enum http_error error;

    out->body = unsaid;
    if (!http_fields_has(&out->fields, HTTP_FIELD_CONTENT_LENGTH))
        return HTTP_ERROR_NONE;
    error = message_content_length(&out->fields, &out->content_length);
    if (error != HTTP_ERROR_NONE)
        return error;
    out->body = HTTP_BODY_LENGTH;
    return end_stream && out->content_length > 0 ? HTTP_ERROR_BAD_CONTENT_LENGTH : HTTP_ERROR_NONE;
}

/* RFC 8441 4, into the model's form. RFC 9110 9.3.6: the request itself has no content; and who
 * ends it with its head has nothing to send into the tunnel that it asks for. WebSocket alone: what
 * the target of other protocols means (RFC 9298, RFC 9484) is theirs to say, not an HTTP path. */
static enum http_error take_tunnel(struct view protocol, bool end_stream, struct http_head *out)
{
    if (!message_is_protocol(protocol) || end_stream)
        return HTTP_ERROR_BAD_UPGRADE;
    if (http_fields_has(&out->fields, HTTP_FIELD_CONTENT_LENGTH))
        return HTTP_ERROR_BAD_CONTENT_LENGTH;
    if (!websocket_is(protocol))
        return HTTP_ERROR_METHOD_UNSUPPORTED;
    out->method = HTTP_METHOD_GET;
    out->method_text = VIEW("GET");
    out->protocol = protocol;
    out->body = HTTP_BODY_NONE;
    return HTTP_ERROR_NONE;
}

/* The method and the pseudo-header fields it calls for. */
static enum http_error take_method(const struct http2_fields_reader *r, struct http_head *out)
{
    enum http_error error;

    if (!has(r, HTTP2_PSEUDO_METHOD))
        return HTTP_ERROR_BAD_PSEUDO_FIELD;
    error = message_take_method(out, r->pseudo[HTTP2_PSEUDO_METHOD]);
    if (error != HTTP_ERROR_NONE)
        return error;
    return has_its_pseudo_fields(r, out->method) ? HTTP_ERROR_NONE : HTTP_ERROR_BAD_PSEUDO_FIELD;
}

enum http_error http2_fields_request(const struct http2_fields_reader *r, bool end_stream,
                                     struct http_head *out)
{
    enum http_error error;

    *out = (struct http_head){.version = HTTP_VERSION_2, .keep_alive = true};
    error = take_method(r, out);
    if (r->error != HTTP_ERROR_NONE || error != HTTP_ERROR_NONE)
        return r->error != HTTP_ERROR_NONE ? r->error : error;
    /* A plain CONNECT would make us a forward proxy. */
    if (!has(r, HTTP2_PSEUDO_PATH))
        return HTTP_ERROR_METHOD_UNSUPPORTED;
    out->fields = r->fields;
    error = take_target(r, out);
    if (error != HTTP_ERROR_NONE)
        return error;
    if (has(r, HTTP2_PSEUDO_PROTOCOL))
        error = take_tunnel(r->pseudo[HTTP2_PSEUDO_PROTOCOL], end_stream, out);
    else
        error = take_length(out, end_stream, end_stream ? HTTP_BODY_NONE : HTTP_BODY_UNSIZED);
    return error == HTTP_ERROR_NONE ? message_take_expect(out) : error;
}

/* ---- Responses ---- */

/* What a backend did wrong, as http1_upstream_error() has it. */
static enum http_error of_response(enum http_error error)
{
    if (error == HTTP_ERROR_NONE || error == HTTP_ERROR_NOMEM)
        return error;
    if (error == HTTP_ERROR_HEAD_TOO_LARGE || error == HTTP_ERROR_TOO_MANY_FIELDS)
        return HTTP_ERROR_UPSTREAM_HEAD_TOO_LARGE;
    return HTTP_ERROR_UPSTREAM_BAD_RESPONSE;
}

/* RFC 9113 8.6: HTTP/2 has no 101. */
static bool take_status(struct view text, struct http_head *out)
{
    unsigned status = 0;

    for (size_t i = 0; i < text.len; i++) {
        if (text.p[i] < '0' || text.p[i] > '9' || i == 3)
            return false;
        status = status * 10 + (unsigned)(text.p[i] - '0');
    }
    out->status = (uint16_t)status;
    return status >= 100 && status <= 599 && status != 101;
}

/* RFC 8441 4: a 2xx accepts. RFC 9110 9.3.6: what it says about a length is ignored. */
static enum http_error accept_tunnel(const struct http_head *request, struct http_head *out)
{
    out->status = 101;
    out->body = HTTP_BODY_TUNNEL;
    out->protocol = request->protocol;
    return HTTP_ERROR_NONE;
}

/* RFC 9110 6.4.1 and 8.6: these end with their head; in answers to HEAD and in a 304 the length is
 * that of a body which is not sent, in a 1xx and a 204 there must be none. */
static enum http_error take_no_body(const struct http_head *request, struct http_head *out)
{
    bool describes =
        out->status == 304 || (request->method == HTTP_METHOD_HEAD && out->status / 100 != 1);
    enum http_error error = take_length(out, false, HTTP_BODY_NONE);

    if (error != HTTP_ERROR_NONE)
        return error;
    if (!describes && out->content_length > 0)
        return HTTP_ERROR_BAD_CONTENT_LENGTH;
    out->body = HTTP_BODY_NONE;
    out->content_length = 0;
    return HTTP_ERROR_NONE;
}

static enum http_error read_response(const struct http2_fields_reader *r,
                                     const struct http_head *request, bool end_stream,
                                     struct http_head *out)
{
    *out = (struct http_head){.version = HTTP_VERSION_2, .keep_alive = true, .fields = r->fields};
    if (r->error != HTTP_ERROR_NONE)
        return r->error;
    if (!take_status(r->pseudo[HTTP2_PSEUDO_STATUS], out))
        return HTTP_ERROR_UPSTREAM_BAD_RESPONSE;
    /* RFC 9113 8.1: only a final response ends the stream; a tunnel has yet to begin. */
    if (end_stream &&
        (out->status / 100 == 1 || (request->protocol.len > 0 && out->status / 100 == 2)))
        return HTTP_ERROR_UPSTREAM_BAD_RESPONSE;
    if (request->protocol.len > 0 && out->status / 100 == 2)
        return accept_tunnel(request, out);
    if (request->method == HTTP_METHOD_HEAD || out->status / 100 == 1 || out->status == 204 ||
        out->status == 304)
        return take_no_body(request, out);
    return take_length(out, end_stream, end_stream ? HTTP_BODY_NONE : HTTP_BODY_UNSIZED);
}

enum http_error http2_fields_response(const struct http2_fields_reader *r,
                                      const struct http_head *request, bool end_stream,
                                      struct http_head *out)
{
    return of_response(read_response(r, request, end_stream, out));
}

/* ---- Trailers ---- */

/* As those of HTTP/1.1, a malformed one is told apart from a malformed head. */
static enum http_error of_trailers(enum http_error error)
{
    return http2_fields_is_malformed(error) ? HTTP_ERROR_BAD_TRAILER : error;
}

enum http_error http2_fields_trailers(const struct http2_fields_reader *r, struct http_fields *out)
{
    bool is_request = r->section == HTTP2_SECTION_REQUEST_TRAILERS;
    enum http_error error = of_trailers(r->error);

    *out = r->fields;
    if (error == HTTP_ERROR_NONE && !message_drop_forbidden_trailers(out) && is_request)
        error = HTTP_ERROR_BAD_TRAILER;
    return is_request ? error : of_response(error);
}

bool http2_fields_is_malformed(enum http_error error)
{
    switch ((int)error) {
    case HTTP_ERROR_NONE:
    case HTTP_ERROR_METHOD_UNSUPPORTED:
    case HTTP_ERROR_EXPECTATION:
    case HTTP_ERROR_URI_TOO_LONG:
    case HTTP_ERROR_HEAD_TOO_LARGE:
    case HTTP_ERROR_TOO_MANY_FIELDS:
    case HTTP_ERROR_UPSTREAM_HEAD_TOO_LARGE:
    case HTTP_ERROR_NOMEM: return false;
    default: return true;
    }
}
