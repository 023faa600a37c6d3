/* What the files of the HTTP/1.1 parser share: lines, the field section, framing and persistence.
 */
#pragma once

#include <sallyport/http/http1_parser.h>

enum http1_line {
    HTTP1_LINE_OK,
    HTTP1_LINE_BAD_END, /* bare CR, bare LF, or the bytes end before a line end */
    HTTP1_LINE_CONTROL, /* *line is what stands in front of the control character */
};
/* The line that begins at *at, without its CR LF; *at moves behind it. No control character but
 * HTAB is in a line. */
enum http1_line http1_take_line(struct view bytes, size_t *at, struct view *line) SP_MUST_CHECK;

/* Which of the two field errors fits a forbidden character behind these bytes of a field line. */
enum http_error http1_field_control_error(struct view line_so_far);

/* "HTTP/1.0" or "HTTP/1.1", exactly. */
enum http_error http1_parse_version(struct view text, enum http_version *version) SP_MUST_CHECK;

/* Field lines from `at` to the empty line, with which `bytes` must end (RFC 9112 5). */
enum http_error http1_parse_fields(struct view bytes, size_t at, uint32_t max_fields,
                                   struct arena *arena, struct http_fields *out) SP_MUST_CHECK;

/* Content-Length and Transfer-Encoding (RFC 9112 6.1 to 6.3): sets body to UNSIZED, LENGTH with
 * content_length, or NONE when neither field is there. What the method or the status changes about
 * it is left to the caller. */
enum http_error http1_parse_framing(struct http_head *head) SP_MUST_CHECK;

/* The options of Connection that this program acts on (RFC 9110 7.6.1). */
struct http1_connection {
    bool close, keep_alive, upgrade;
};
struct http1_connection http1_connection_options(const struct http_fields *fields);
/* RFC 9112 9.3: may the connection be used again? */
bool http1_persists(enum http_version version, struct http1_connection options);
