/* Field blocks as text: "name: value" lines, in the order that HPACK would give them. */
#pragma once

#include "http2_fields.h"

/* Reads `text` ("\n" after each field) into a reader that was begun. A value ends at its line's
 * end; "\\0", "\\r" and "\\n" in it stand for those bytes. The result of the last field. */
static inline enum http_error feed_block(struct http2_fields_reader *r, const char *text)
{
    enum http_error error = HTTP_ERROR_NONE;
    char value[1024];

    while (*text != '\0') {
        const char *end = strchr(text, '\n');
        const char *colon = strchr(text + 1, ':');
        const char *p = colon + 2;
        size_t n = 0;

        for (; p < end; p++, n++) {
            value[n] = *p;
            if (p[0] == '\\' && p[1] != '\\' && p + 1 < end) {
                p++;
                value[n] = (char)(*p == '0' ? '\0' : *p == 'r' ? '\r' : '\n');
            }
        }
        error = http2_fields_add(r, (struct view){text, (size_t)(colon - text)},
                                 (struct view){value, n}, false);
        text = end + 1;
    }
    return error;
}
