#include "conf_buf.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

void conf_buf_fini(struct conf_buf *b)
{
    free(b->p);
    *b = (struct conf_buf){0};
}

/* Room for n bytes and the NUL. */
static bool reserve(struct conf_buf *b, size_t n)
{
    size_t cap = b->cap == 0 ? 256 : b->cap;
    char *p;

    if (b->nomem)
        return false;
    if (n < b->cap - b->len)
        return true;
    while (cap - b->len <= n && cap <= SIZE_MAX / 2)
        cap *= 2;
    p = cap - b->len <= n ? NULL : realloc(b->p, cap);
    if (p == NULL) {
        b->nomem = true;
        return false;
    }
    b->p = p;
    b->cap = cap;
    return true;
}

void conf_buf_add(struct conf_buf *b, struct view v)
{
    if (!reserve(b, v.len))
        return;
    if (v.len > 0)
        memcpy(b->p + b->len, v.p, v.len);
    b->len += v.len;
    b->p[b->len] = '\0';
}

void conf_buf_put(struct conf_buf *b, const char *fmt, ...)
{
    va_list args, again;
    int n;

    va_start(args, fmt);
    va_copy(again, args);
    n = vsnprintf(NULL, 0, fmt, args);
    va_end(args);
    SP_ASSERT(n >= 0);
    if (reserve(b, (size_t)n)) {
        (void)vsnprintf(b->p + b->len, (size_t)n + 1, fmt, again);
        b->len += (size_t)n;
    }
    va_end(again);
}

void conf_buf_spaces(struct conf_buf *b, size_t n)
{
    if (!reserve(b, n))
        return;
    memset(b->p + b->len, ' ', n);
    b->len += n;
    b->p[b->len] = '\0';
}

void conf_buf_cut(struct conf_buf *b, size_t len)
{
    if (b->nomem || len >= b->len)
        return;
    b->len = len;
    b->p[len] = '\0';
}
