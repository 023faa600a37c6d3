/* A response head: status line, and how its body ends (RFC 9112 4 and 6.3). */
#include "http1_internal.h"

#include <sallyport/http/http_syntax.h>

enum http_error http1_upstream_error(enum http_error error)
{
    if (error == HTTP_ERROR_NONE || error == HTTP_ERROR_NOMEM)
        return error;
    if (error == HTTP_ERROR_HEAD_TOO_LARGE || error == HTTP_ERROR_TOO_MANY_FIELDS ||
        error == HTTP_ERROR_URI_TOO_LONG || error == HTTP_ERROR_UPSTREAM_HEAD_TOO_LARGE)
        return HTTP_ERROR_UPSTREAM_HEAD_TOO_LARGE;
    return HTTP_ERROR_UPSTREAM_BAD_RESPONSE;
}

static bool parse_status(struct view text, uint16_t *out)
{
    unsigned status = 0;

    for (size_t i = 0; i < text.len; i++) {
        if (text.p[i] < '0' || text.p[i] > '9')
            return false;
        status = status * 10 + (unsigned)(text.p[i] - '0');
    }
    *out = (uint16_t)status;
    return status >= 100 && status <= 599;
}

/* status-line = HTTP-version SP status-code SP [ reason-phrase ]. Some servers leave the second SP
 * out when there is no reason; nothing else can be meant by it. */
static enum http_error parse_status_line(struct view line, struct http_head *out)
{
    enum http_error error;

    if (line.len < 12 || line.p[8] != ' ' || (line.len > 12 && line.p[12] != ' '))
        return HTTP_ERROR_UPSTREAM_BAD_RESPONSE;
    error = http1_parse_version(view_head(line, 8), &out->version);
    if (error != HTTP_ERROR_NONE)
        return error;
    out->reason = view_from(line, 13);
    return parse_status((struct view){line.p + 9, 3}, &out->status)
               ? HTTP_ERROR_NONE
               : HTTP_ERROR_UPSTREAM_BAD_RESPONSE;
}

/* RFC 9112 6.3, item 1: these end with their head, whatever the fields say. */
static bool is_bodiless(const struct http_head *head, enum http_method method)
{
    return method == HTTP_METHOD_HEAD || head->status / 100 == 1 || head->status == 204 ||
           head->status == 304;
}

/* The fields of a final response to HEAD and of a 304 describe a body that is not sent (RFC 9110
 * 8.6). In 1xx and 204 they must not be there, and a backend that announces a body may send one: a
 * length other than 0 is refused; after a chunked 204, seen in the wild, the connection is not used
 * again, so that a stray body is never taken for the next response. */
static enum http_error end_with_head(struct http_head *head, enum http_method method)
{
    bool describes = head->status == 304 || (method == HTTP_METHOD_HEAD && head->status / 100 != 1);
    bool chunked = head->body == HTTP_BODY_UNSIZED;

    if (!describes && (head->content_length > 0 || (chunked && head->status != 204)))
        return HTTP_ERROR_UPSTREAM_BAD_RESPONSE;
    if (!describes && chunked)
        head->keep_alive = false;
    head->body = HTTP_BODY_NONE;
    head->content_length = 0;
    return HTTP_ERROR_NONE;
}

/* The fields are there: where does the body end? RFC 9112 6.3. */
static enum http_error conclude(struct http_head *head, enum http_method method)
{
    enum http_error error = http1_parse_framing(head);

    if (error != HTTP_ERROR_NONE)
        return error;
    head->keep_alive = http1_persists(head->version, http1_connection_options(&head->fields));
    if (is_bodiless(head, method))
        error = end_with_head(head, method);
    else if (head->body == HTTP_BODY_NONE)
        head->body = HTTP_BODY_TO_CLOSE;
    if (head->status == 101 || (method == HTTP_METHOD_CONNECT && head->status / 100 == 2))
        head->body = HTTP_BODY_TUNNEL;
    if (head->body == HTTP_BODY_TO_CLOSE || head->body == HTTP_BODY_TUNNEL)
        head->keep_alive = false;
    return error;
}

static enum http_error parse_response(struct view bytes, enum http_method method,
                                      const struct http1_limits *limits, struct arena *arena,
                                      struct http_head *out)
{
    enum http_error error;
    struct view line;
    size_t at = 0;

    *out = (struct http_head){0};
    if (bytes.len > limits->max_head_bytes)
        return HTTP_ERROR_HEAD_TOO_LARGE;
    if (http1_take_line(bytes, &at, &line) != HTTP1_LINE_OK)
        return HTTP_ERROR_UPSTREAM_BAD_RESPONSE;
    error = parse_status_line(line, out);
    if (error != HTTP_ERROR_NONE)
        return error;
    error = http1_parse_fields(bytes, at, limits->max_fields, arena, &out->fields);
    return error == HTTP_ERROR_NONE ? conclude(out, method) : error;
}

enum http_error http1_parse_response(struct view head, enum http_method method,
                                     const struct http1_limits *limits, struct arena *arena,
                                     struct http_head *out)
{
    return http1_upstream_error(parse_response(head, method, limits, arena, out));
}
