/* Where a head or a trailer section ends. The scan looks at each byte once, whatever the pieces,
 * and refuses the first byte that cannot be part of HTTP, so that nobody waits for the rest of it.
 */
#include "http1_internal.h"

#include <sallyport/http/http_syntax.h>

enum { MAX_EMPTY_LINES = 2 };

size_t http1_skip_empty_lines(struct view bytes)
{
    size_t at = 0;

    /* RFC 9112 2.2: "a server that is expecting to receive and parse a request-line SHOULD ignore
     * at least one empty line (CRLF) received prior to the request-line". */
    for (int i = 0; i < MAX_EMPTY_LINES; i++)
        if (view_starts_with(view_from(bytes, at), VIEW("\r\n")))
            at += 2;
    return at;
}

enum http_error http1_field_control_error(struct view line_so_far)
{
    bool in_name = line_so_far.len == 0 || memchr(line_so_far.p, ':', line_so_far.len) == NULL;

    return in_name ? HTTP_ERROR_BAD_FIELD_NAME : HTTP_ERROR_BAD_FIELD_VALUE;
}

/* What a control character at bytes.p[at] means; HTAB and CR LF do not come here. */
static enum http_error control_error(const struct http1_head_scan *scan, struct view bytes,
                                     size_t at)
{
    if (bytes.p[at] == '\r' || bytes.p[at] == '\n')
        return HTTP_ERROR_BAD_LINE_END;
    if (scan->line_at == 0)
        return HTTP_ERROR_BAD_REQUEST_LINE;
    return http1_field_control_error(view_from(view_head(bytes, at), scan->line_at));
}

/* Goes on from scan->seen to the empty line. A CR that is the last byte so far is not seen yet. */
static enum http1_scan scan_lines(struct http1_head_scan *scan, struct view bytes, size_t *len,
                                  enum http_error *error)
{
    size_t at = scan->seen;

    for (;;) {
        at = http_find_control(bytes, at);
        if (at == bytes.len || (bytes.p[at] == '\r' && at + 1 == bytes.len)) {
            scan->seen = (uint32_t)at;
            return HTTP1_SCAN_MORE;
        }
        if (bytes.p[at] == '\t') {
            at++;
            continue;
        }
        if (bytes.p[at] != '\r' || bytes.p[at + 1] != '\n') {
            *error = control_error(scan, bytes, at);
            return HTTP1_SCAN_ERROR;
        }
        at += 2;
        if (at - 2 == scan->line_at) {
            scan->seen = (uint32_t)at;
            *len = at;
            return HTTP1_SCAN_DONE;
        }
        scan->line_at = (uint32_t)at;
    }
}

/* The answer depends on the first `max` bytes alone, however they arrive. */
static enum http1_scan scan_section(struct http1_head_scan *scan, struct view bytes, size_t max,
                                    size_t *len, enum http_error *error)
{
    enum http1_scan result = scan_lines(scan, view_head(bytes, max), len, error);

    if (result != HTTP1_SCAN_MORE || bytes.len < max)
        return result;
    *error = HTTP_ERROR_HEAD_TOO_LARGE;
    return HTTP1_SCAN_ERROR;
}

/* A head begins with a token character: a method, or the H of "HTTP/". A CR alone may yet become an
 * empty line to skip; what else is wrong with a CR or LF the scan of lines says. */
static bool begins_wrong(struct view bytes)
{
    if (bytes.len == 0 || bytes.p[0] == '\r' || bytes.p[0] == '\n')
        return view_starts_with(bytes, VIEW("\r\n"));
    return http_span(view_head(bytes, 1), 0, HTTP_CHAR_TOKEN) == 0;
}

enum http1_scan http1_head_scan(struct http1_head_scan *scan, struct view bytes,
                                const struct http1_limits *limits, size_t *head_len,
                                enum http_error *error)
{
    enum http1_scan result;

    if (scan->seen == 0 && begins_wrong(bytes)) {
        *error = HTTP_ERROR_BAD_REQUEST_LINE;
        return HTTP1_SCAN_ERROR;
    }
    result = scan_section(scan, bytes, limits->max_head_bytes, head_len, error);
    /* No line end in all these bytes: it is the target that has no end (RFC 9110 15.5.15). */
    if (result == HTTP1_SCAN_ERROR && *error == HTTP_ERROR_HEAD_TOO_LARGE && scan->line_at == 0)
        *error = HTTP_ERROR_URI_TOO_LONG;
    return result;
}

enum http1_scan http1_trailers_scan(struct http1_head_scan *scan, struct view bytes,
                                    const struct http1_limits *limits, size_t *section_len,
                                    enum http_error *error)
{
    enum http1_scan result =
        scan_section(scan, bytes, limits->max_trailer_bytes, section_len, error);

    if (result == HTTP1_SCAN_ERROR && *error != HTTP_ERROR_HEAD_TOO_LARGE &&
        *error != HTTP_ERROR_BAD_LINE_END)
        *error = HTTP_ERROR_BAD_TRAILER;
    return result;
}
