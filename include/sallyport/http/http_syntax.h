/* The small grammars that HTTP/1.1 and HTTP/2 check alike: tokens, field values, paths, host and
 * port. Pure functions over bytes; nothing is decoded or changed. Thread: any. */
#pragma once

#include <sallyport/base/view.h>

#include <stdbool.h>
#include <stdint.h>

enum http_char_class {
    HTTP_CHAR_TOKEN = 1, /* tchar, RFC 9110 5.6.2 */
    HTTP_CHAR_PATH = 2,  /* see http_is_path() */
    HTTP_CHAR_QUERY = 4,
    HTTP_CHAR_HOST = 8, /* see http_is_authority() */
};
extern const uint8_t http_char_classes[256]; /* a set of enum http_char_class per byte */

/* From `from` on, the first byte that is in none of `classes`; v.len when all are. */
static inline size_t http_span(struct view v, size_t from, unsigned classes)
{
    while (from < v.len && (http_char_classes[(unsigned char)v.p[from]] & classes) != 0)
        from++;
    return from;
}

/* From `from` on, the first control character (0x00 to 0x1f, HTAB too, or DEL); v.len when there
 * is none. Eight bytes a step. */
size_t http_find_control(struct view v, size_t from);

/* One or more tchar. */
static inline bool http_is_token(struct view v)
{
    return v.len > 0 && http_span(v, 0, HTTP_CHAR_TOKEN) == v.len;
}

/* Visible ASCII, obs-text, SP and HTAB only (RFC 9110 5.5). May be empty. */
bool http_is_field_value(struct view v);

/* origin-form, RFC 9112 3.2.1: "/", then visible ASCII. Where RFC 3986 is narrower, what browsers
 * send without encoding it passes: `{`, `|`, `}`, `^`, backtick anywhere; any visible character in
 * the query. Refused: controls, blanks, bytes from 0x80 on, `#` (a fragment is never sent), and in
 * the path `"`, `<`, `>` and `\` (some servers read it as "/"). A `%` is passed on as it came. */
bool http_is_path(struct view v);

/* host [":" port], RFC 3986 3.2.2 and 3.2.3, narrowed to what names a host in practice: letters,
 * digits, `-`, `.`, `_`, `~`, at most 255 of them, or an IPv6 address in brackets, without zone.
 * Port: 1 to 5 digits, at most 65535. No user information. Empty is not valid. */
bool http_is_authority(struct view v);

/* An authority without its port; brackets stay. Empty where it is. */
struct view http_host_of(struct view authority);

/* Without the SP and HTAB at both ends (OWS, RFC 9110 5.6.3). */
static inline struct view http_trim(struct view v)
{
    while (v.len > 0 && (v.p[0] == ' ' || v.p[0] == '\t')) {
        v.p++;
        v.len--;
    }
    while (v.len > 0 && (v.p[v.len - 1] == ' ' || v.p[v.len - 1] == '\t'))
        v.len--;
    return v;
}
