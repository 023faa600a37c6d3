/* A borrowed pointer and a length. Never owns, never NUL-terminated; whoever hands one out says
 * how long the bytes stay. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <strings.h>

struct view {
    const char *p; /* may be NULL when len is 0 */
    size_t len;
};

/* A string literal as a view. */
#define VIEW(literal)  ((struct view){("" literal), sizeof(literal) - 1})
/* The same inside the initialiser of a static table, where a compound literal is not a constant. */
/* clang-format off */
#define VIEW_INIT(literal) {("" literal), sizeof(literal) - 1}
/* clang-format on */
#define VIEW_FMT       "%.*s"
#define VIEW_ARG(view) (int)(view).len, (view).p

static inline struct view view_of(const char *s)
{
    return (struct view){s, s == NULL ? 0 : strlen(s)};
}

static inline bool view_eq(struct view a, struct view b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.p, b.p, a.len) == 0);
}

/* In the order of their bytes: <0, 0, >0. */
static inline int view_compare(struct view a, struct view b)
{
    size_t n = a.len < b.len ? a.len : b.len;
    int order = n == 0 ? 0 : memcmp(a.p, b.p, n);

    return order != 0 ? order : (a.len > b.len) - (a.len < b.len);
}

/* ASCII case is ignored (the C locale is never changed by this program). */
static inline bool view_eq_nocase(struct view a, struct view b)
{
    return a.len == b.len && (a.len == 0 || strncasecmp(a.p, b.p, a.len) == 0);
}

static inline bool view_starts_with(struct view v, struct view prefix)
{
    return v.len >= prefix.len && (prefix.len == 0 || memcmp(v.p, prefix.p, prefix.len) == 0);
}

/* The bytes from `from` on; empty when `from` is past the end. */
static inline struct view view_from(struct view v, size_t from)
{
    return from >= v.len ? (struct view){NULL, 0} : (struct view){v.p + from, v.len - from};
}

static inline struct view view_head(struct view v, size_t len)
{
    return (struct view){v.p, len < v.len ? len : v.len};
}
