/* Lines and the field section: RFC 9112 2.2 and 5. */
#include "http1_internal.h"

#include <sallyport/http/http_syntax.h>

enum http1_line http1_take_line(struct view bytes, size_t *at, struct view *line)
{
    size_t end = http_find_control(bytes, *at);

    while (end < bytes.len && bytes.p[end] == '\t')
        end = http_find_control(bytes, end + 1);
    *line = view_from(view_head(bytes, end), *at);
    if (end < bytes.len && bytes.p[end] != '\r' && bytes.p[end] != '\n')
        return HTTP1_LINE_CONTROL;
    if (!view_starts_with(view_from(bytes, end), VIEW("\r\n")))
        return HTTP1_LINE_BAD_END;
    *at = end + 2;
    return HTTP1_LINE_OK;
}

enum http_error http1_parse_version(struct view text, enum http_version *version)
{
    /* RFC 9112 2.3: HTTP-version = "HTTP" "/" DIGIT "." DIGIT, case-sensitive. */
    if (text.len != 8 || !view_starts_with(text, VIEW("HTTP/")) || text.p[6] != '.')
        return HTTP_ERROR_BAD_VERSION;
    if (text.p[5] < '0' || text.p[5] > '9' || text.p[7] < '0' || text.p[7] > '9')
        return HTTP_ERROR_BAD_VERSION;
    if (text.p[5] != '1' || text.p[7] > '1')
        return HTTP_ERROR_VERSION_UNSUPPORTED;
    *version = text.p[7] == '0' ? HTTP_VERSION_1_0 : HTTP_VERSION_1_1;
    return HTTP_ERROR_NONE;
}

/* field-line = field-name ":" OWS field-value OWS, without blanks in front of the colon. */
static enum http_error split_field_line(struct view line, struct view *name, struct view *value)
{
    size_t colon;

    /* RFC 9112 5.2: a server must refuse obs-fold or replace it; replacing invites two readings.
     * The same blank in front of the first field line is refused by 2.2. */
    if (line.p[0] == ' ' || line.p[0] == '\t')
        return HTTP_ERROR_OBS_FOLD;
    colon = http_span(line, 0, HTTP_CHAR_TOKEN);
    if (colon == 0 || colon == line.len || line.p[colon] != ':')
        return HTTP_ERROR_BAD_FIELD_NAME;
    *name = view_head(line, colon);
    *value = http_trim(view_from(line, colon + 1));
    return HTTP_ERROR_NONE;
}

static enum http_error add_field(struct view line, uint32_t max_fields, struct arena *arena,
                                 struct http_fields *out)
{
    struct view name, value;
    enum http_error error = split_field_line(line, &name, &value);

    if (error != HTTP_ERROR_NONE)
        return error;
    if (out->n >= max_fields)
        return HTTP_ERROR_TOO_MANY_FIELDS;
    if (http_fields_add(out, arena, http_field_id_of(name), name, value) != SP_OK)
        return HTTP_ERROR_NOMEM;
    return HTTP_ERROR_NONE;
}

enum http_error http1_parse_fields(struct view bytes, size_t at, uint32_t max_fields,
                                   struct arena *arena, struct http_fields *out)
{
    for (;;) {
        enum http_error error;
        struct view line;

        switch (http1_take_line(bytes, &at, &line)) {
        case HTTP1_LINE_BAD_END: return HTTP_ERROR_BAD_LINE_END;
        case HTTP1_LINE_CONTROL: return http1_field_control_error(line);
        case HTTP1_LINE_OK: break;
        }
        if (line.len == 0)
            return at == bytes.len ? HTTP_ERROR_NONE : HTTP_ERROR_BAD_LINE_END;
        error = add_field(line, max_fields, arena, out);
        if (error != HTTP_ERROR_NONE)
            return error;
    }
}
