/* The trailer section: RFC 9112 7.1.2, RFC 9110 6.5. A trailer arrives when routing, access checks
 * and framing are long done, so a field that would have had a say in them comes too late to be
 * believed: a backend that merges trailers into the head would take it for checked. */
#include "http1_internal.h"

#define BIT(id) (UINT64_C(1) << HTTP_FIELD_##id)

/* RFC 9110 6.5.1: framing, routing, authentication, request modifiers, content format; and what
 * this proxy itself says to backends. */
static const uint64_t forbidden_ids =
    BIT(AUTHORIZATION) | BIT(CACHE_CONTROL) | BIT(CONNECTION) | BIT(CONTENT_LENGTH) |
    BIT(CONTENT_TYPE) | BIT(COOKIE) | BIT(EARLY_DATA) | BIT(EXPECT) | BIT(FORWARDED) | BIT(HOST) |
    BIT(HTTP2_SETTINGS) | BIT(KEEP_ALIVE) | BIT(LOCATION) | BIT(PROXY_AUTHENTICATE) |
    BIT(PROXY_AUTHORIZATION) | BIT(PROXY_CONNECTION) | BIT(SET_COOKIE) | BIT(TE) | BIT(TRAILER) |
    BIT(TRANSFER_ENCODING) | BIT(UPGRADE) | BIT(VIA) | BIT(X_FORWARDED_FOR) |
    BIT(X_FORWARDED_HOST) | BIT(X_FORWARDED_PORT) | BIT(X_FORWARDED_PROTO) | BIT(X_REQUEST_ID);

/* The same, of fields that this program has no id for. */
static const struct view forbidden_names[] = {
    {"content-encoding", 16}, {"content-range", 13}, {"max-forwards", 12}, {"range", 5},
    {"www-authenticate", 16},
};

static bool is_forbidden(const struct http_field *field)
{
    if (field->id != HTTP_FIELD_OTHER)
        return (forbidden_ids >> field->id & 1) != 0;
    for (size_t i = 0; i < SP_COUNT_OF(forbidden_names); i++)
        if (view_eq_nocase(field->name, forbidden_names[i]))
            return true;
    return false;
}

/* Keeps the allowed ones, in order. True when all were. */
static bool drop_forbidden(struct http_fields *fields)
{
    uint32_t n_all = fields->n;

    fields->n = 0;
    fields->present = 0;
    for (uint32_t i = 0; i < n_all; i++) {
        struct http_field field = fields->v[i];

        if (is_forbidden(&field))
            continue;
        fields->v[fields->n++] = field;
        fields->present |= UINT64_C(1) << field.id;
    }
    return fields->n == n_all;
}

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
    if (error == HTTP_ERROR_NONE && !drop_forbidden(out) && is_request)
        return HTTP_ERROR_BAD_TRAILER;
    return error;
}

enum http_error http1_parse_trailers(struct view section, const struct http1_limits *limits,
                                     bool is_request, struct arena *arena, struct http_fields *out)
{
    enum http_error error = parse_trailers(section, limits, is_request, arena, out);

    return is_request ? error : http1_upstream_error(error);
}
