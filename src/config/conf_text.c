#include "conf_text.h"

#include <stdarg.h>
#include <stdio.h>

void conf_text_init(struct conf_text *t, char *dst, size_t cap)
{
    SP_ASSERT(cap >= 4);
    *t = (struct conf_text){.p = dst, .cap = cap};
    dst[0] = '\0';
}

struct view utf8_head(struct view v, size_t max)
{
    if (v.len <= max)
        return v;
    while (max > 0 && !utf8_begins(v.p[max]))
        max--;
    return view_head(v, max);
}

static void cut(struct conf_text *t)
{
    t->len = utf8_head((struct view){t->p, t->len}, t->cap - 4).len;
    memcpy(t->p + t->len, "...", 4);
    t->len += 3;
    t->cut = true;
}

void conf_text_add(struct conf_text *t, struct view v)
{
    size_t room = t->cap - t->len - 1;
    size_t n = v.len < room ? v.len : room;

    if (t->cut || v.len == 0)
        return;
    memcpy(t->p + t->len, v.p, n);
    t->len += n;
    t->p[t->len] = '\0';
    if (n < v.len)
        cut(t);
}

void conf_text_put(struct conf_text *t, const char *fmt, ...)
{
    size_t room = t->cap - t->len;
    va_list args;
    int n;

    if (t->cut)
        return;
    va_start(args, fmt);
    n = vsnprintf(t->p + t->len, room, fmt, args);
    va_end(args);
    SP_ASSERT(n >= 0);
    if ((size_t)n >= room) {
        t->len = t->cap - 1;
        cut(t);
    } else {
        t->len += (size_t)n;
    }
}

static void quote_byte(struct conf_text *t, char c)
{
    switch (c) {
    case '"': conf_text_put(t, "\\\""); break;
    case '\\': conf_text_put(t, "\\\\"); break;
    case '\n': conf_text_put(t, "\\n"); break;
    case '\r': conf_text_put(t, "\\r"); break;
    case '\t': conf_text_put(t, "\\t"); break;
    default:
        if ((unsigned char)c < 0x20 || c == 0x7f)
            conf_text_put(t, "\\u%04x", (unsigned)(unsigned char)c);
        else
            conf_text_add(t, (struct view){&c, 1});
    }
}

void conf_text_quote(struct conf_text *t, struct view v, size_t max)
{
    struct view shown = utf8_head(v, max);

    conf_text_add(t, VIEW("\""));
    for (size_t i = 0; i < shown.len; i++)
        quote_byte(t, shown.p[i]);
    conf_text_put(t, shown.len < v.len ? "...\"" : "\"");
}
