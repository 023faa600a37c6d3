/* Text put together in a buffer of the caller: always terminated, cut with "..." when full. */
#pragma once

#include <sallyport/base/compiler.h>
#include <sallyport/base/view.h>

#include <stdbool.h>

struct conf_text {
    char *p;
    size_t cap; /* >= 4 */
    size_t len;
    bool cut;
};

void conf_text_init(struct conf_text *t, char *dst, size_t cap);
void conf_text_put(struct conf_text *t, const char *fmt, ...) SP_PRINTF(2, 3);
void conf_text_add(struct conf_text *t, struct view v);
/* Of a string out of the file, this much is shown. */
#define CONF_FOUND_MAX 60
/* As a JSON string: quotes, escapes; at most about max bytes of it, then "...". */
void conf_text_quote(struct conf_text *t, struct view v, size_t max);

/* The first bytes of v, at most max, without half a UTF-8 character at the end. */
struct view utf8_head(struct view v, size_t max);
/* Does a character begin at this byte? */
static inline bool utf8_begins(char c)
{
    return ((unsigned char)c & 0xc0U) != 0x80U;
}
