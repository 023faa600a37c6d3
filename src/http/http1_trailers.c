/* The trailer section: RFC 9112 7.1.2, RFC 9110 6.5. A trailer arrives when routing, access checks
 * and framing are long done, so a field that would have had a say in them comes too late to be
 * believed: a backend that merges trailers into the head would take it for checked. */
#include "http1_internal.h"
#include "message_rules.h"

static enum http_error parse_trailers(struct view section, const struct http1_limits *limits,
                                      bool is_request, struct arena *arena, struct http_fields *out)
{
    enum http_error error;

    *out = (struct http_fields){0};
    if (section.len > limits->max_trailer_bytes)
        return HTTP_ERROR_HEAD_TOO_LARGE;
    error = http1_parse_fields(section, 0, limits->max_fields, arena, out);
    if (error == HTTP_ERROR_BAD_FIELD_NAME || error == HTTP_ERROR_BAD_FIELD_VALUE ||
        error == HTTP_ERROR_OBS_FOLD)
        return HTTP_ERROR_BAD_TRAILER;
    if (error == HTTP_ERROR_NONE && !message_drop_forbidden_trailers(out) && is_request)
        return HTTP_ERROR_BAD_TRAILER;
    return error;
}

enum http_error http1_parse_trailers(struct view section, const struct http1_limits *limits,
                                     bool is_request, struct arena *arena, struct http_fields *out)
{
    enum http_error error = parse_trailers(section, limits, is_request, arena, out);

    return is_request ? error : http1_upstream_error(error);
}
