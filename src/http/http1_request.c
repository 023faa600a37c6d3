/* A request head: request line, target, Host, and what the request asks of the connection. */
#include "http1_internal.h"
#include "message_rules.h"

#include <sallyport/http/http_syntax.h>

struct request_line {
    struct view method, target, version;
};

/* request-line = method SP request-target SP HTTP-version: single blanks, nothing around them
 * (RFC 9112 3 lets a server be lenient here; two servers would be so differently). */
static bool split_request_line(struct view line, struct request_line *out)
{
    const char *first, *second, *end;

    if (line.len == 0)
        return false;
    end = line.p + line.len;
    first = memchr(line.p, ' ', line.len);
    if (first == NULL || first == line.p)
        return false;
    second = memchr(first + 1, ' ', (size_t)(end - first) - 1);
    if (second == NULL || second == first + 1 || second + 1 == end)
        return false;
    *out = (struct request_line){
        .method = {line.p, (size_t)(first - line.p)},
        .target = {first + 1, (size_t)(second - first) - 1},
        .version = {second + 1, (size_t)(end - second) - 1},
    };
    return memchr(out->version.p, ' ', out->version.len) == NULL;
}

/* The path of absolute-form: what follows the authority, or what stands for nothing. */
static enum http_error take_absolute_path(struct view rest, struct arena *arena,
                                          struct http_head *out)
{
    if (rest.len == 0) {
        /* RFC 9112 3.2.4: OPTIONS with an empty path and no query goes on as "*". */
        out->path = out->method == HTTP_METHOD_OPTIONS ? VIEW("*") : VIEW("/");
        return HTTP_ERROR_NONE;
    }
    out->path = rest;
    if (rest.p[0] == '?') {
        char *path = arena_alloc(arena, rest.len + 1);

        if (path == NULL)
            return HTTP_ERROR_NOMEM;
        path[0] = '/';
        memcpy(path + 1, rest.p, rest.len);
        out->path = (struct view){path, rest.len + 1};
    }
    return http_is_path(out->path) ? HTTP_ERROR_NONE : HTTP_ERROR_BAD_TARGET;
}

/* absolute-form, RFC 9112 3.2.2: http and https only, without user information. */
static enum http_error parse_absolute_target(struct view target, struct arena *arena,
                                             struct http_head *out)
{
    struct view rest;
    size_t len = 0;

    if (view_eq_nocase(view_head(target, 7), VIEW("http://")))
        out->scheme = VIEW("http");
    else if (view_eq_nocase(view_head(target, 8), VIEW("https://")))
        out->scheme = VIEW("https");
    else
        return HTTP_ERROR_BAD_TARGET;
    rest = view_from(target, out->scheme.len + 3);
    while (len < rest.len && rest.p[len] != '/' && rest.p[len] != '?')
        len++;
    out->authority = view_head(rest, len);
    if (!http_is_authority(out->authority))
        return HTTP_ERROR_BAD_TARGET;
    return take_absolute_path(view_from(rest, len), arena, out);
}

/* RFC 9112 3.2. */
static enum http_error parse_target(struct view target, struct arena *arena, struct http_head *out)
{
    if (target.p[0] == '/') {
        out->path = target;
        return http_is_path(target) ? HTTP_ERROR_NONE : HTTP_ERROR_BAD_TARGET;
    }
    if (out->method == HTTP_METHOD_OPTIONS && view_eq(target, VIEW("*"))) {
        out->path = target;
        return HTTP_ERROR_NONE;
    }
    return parse_absolute_target(target, arena, out);
}

static enum http_error parse_method(struct view text, struct http_head *out)
{
    enum http_error error = message_take_method(out, text);

    /* CONNECT would make us a forward proxy. */
    if (error == HTTP_ERROR_NONE && out->method == HTTP_METHOD_CONNECT)
        return HTTP_ERROR_METHOD_UNSUPPORTED;
    return error;
}

/* The version is looked at before method and target get a meaning: it says whose rules they follow
 * ("PRI * HTTP/2.0" is a version that we do not speak here, not a bad target). */
static enum http_error parse_request_line(struct view line, const struct http1_limits *limits,
                                          struct arena *arena, struct http_head *out)
{
    struct request_line parts;
    enum http_error error;

    if (!split_request_line(line, &parts))
        return HTTP_ERROR_BAD_REQUEST_LINE;
    if (parts.target.len > limits->max_target_bytes)
        return HTTP_ERROR_URI_TOO_LONG;
    error = http1_parse_version(parts.version, &out->version);
    if (error != HTTP_ERROR_NONE)
        return error;
    error = parse_method(parts.method, out);
    if (error != HTTP_ERROR_NONE)
        return error;
    return parse_target(parts.target, arena, out);
}

/* RFC 9110 7.8: an upgrade that is not taken is ignored, and the request is a plain one. */
static enum http_error parse_upgrade(struct http_head *out)
{
    const struct http_field *field = http_fields_get(&out->fields, HTTP_FIELD_UPGRADE);
    struct view rest, protocol;

    if (field == NULL || message_has_content(out))
        return HTTP_ERROR_NONE;
    rest = field->value;
    if (!http_list_next(&rest, &protocol) || !message_is_protocol(protocol))
        return HTTP_ERROR_BAD_UPGRADE;
    if (!message_protocol_carries_http(protocol))
        out->protocol = protocol;
    return HTTP_ERROR_NONE;
}

/* What only HTTP/1.1 knows: HTTP/1.0 senders of these fields are ignored (RFC 9110 7.8, 10.1.1). */
static enum http_error parse_intents(struct http1_connection options, struct http_head *out)
{
    enum http_error error;

    if (out->version == HTTP_VERSION_1_0)
        return HTTP_ERROR_NONE;
    error = message_take_expect(out);
    return error == HTTP_ERROR_NONE && options.upgrade ? parse_upgrade(out) : error;
}

/* The fields are there: what do they mean together? */
static enum http_error conclude(struct http_head *out)
{
    struct http1_connection options = http1_connection_options(&out->fields);
    enum http_error error = message_take_host(out);

    if (error != HTTP_ERROR_NONE)
        return error;
    error = http1_parse_framing(out);
    if (error != HTTP_ERROR_NONE)
        return error;
    out->keep_alive = http1_persists(out->version, options);
    return parse_intents(options, out);
}

enum http_error http1_parse_request(struct view head, const struct http1_limits *limits,
                                    struct arena *arena, struct http_head *out)
{
    enum http_error error;
    struct view line;
    size_t at = 0;

    *out = (struct http_head){0};
    if (head.len > limits->max_head_bytes)
        return HTTP_ERROR_HEAD_TOO_LARGE;
    switch (http1_take_line(head, &at, &line)) {
    case HTTP1_LINE_BAD_END: return HTTP_ERROR_BAD_LINE_END;
    case HTTP1_LINE_CONTROL: return HTTP_ERROR_BAD_REQUEST_LINE;
    case HTTP1_LINE_OK: break;
    }
    error = parse_request_line(line, limits, arena, out);
    if (error != HTTP_ERROR_NONE)
        return error;
    error = http1_parse_fields(head, at, limits->max_fields, arena, &out->fields);
    return error == HTTP_ERROR_NONE ? conclude(out) : error;
}
