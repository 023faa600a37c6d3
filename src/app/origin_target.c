/* What a request target says to the origin. */
#include "origin_target.h"

/* Up to the first `at`, which is skipped; all of it when there is none. */
static struct view cut(struct view *rest, char at)
{
    const char *found = rest->len == 0 ? NULL : memchr(rest->p, at, rest->len);
    size_t len = found == NULL ? rest->len : (size_t)(found - rest->p);
    struct view part = view_head(*rest, len);

    *rest = view_from(*rest, len + 1);
    return part;
}

struct origin_target origin_target_of(struct view path)
{
    struct origin_target t = {0};
    struct view before_query = cut(&path, '?');

    t.query = path;
    if (before_query.len > 0 && before_query.p[0] == '/')
        before_query = view_from(before_query, 1);
    t.page = cut(&before_query, '/');
    t.argument = before_query;
    return t;
}

static uint64_t unit_of(char c)
{
    switch (c) {
    case 'k': return 1024;
    case 'm': return UINT64_C(1024) * 1024;
    case 'g': return UINT64_C(1024) * 1024 * 1024;
    default: return 1; /* no unit */
    }
}

bool origin_number(struct view text, uint64_t max, uint64_t *out)
{
    uint64_t n = 0, unit;

    if (text.len == 0)
        return false;
    unit = unit_of(text.p[text.len - 1]);
    if (unit > 1 && text.len > 1)
        text.len--;
    for (size_t i = 0; i < text.len; i++) {
        unsigned digit = (unsigned)(unsigned char)text.p[i] - '0';

        if (digit > 9 || n > (max - digit) / 10)
            return false;
        n = n * 10 + digit;
    }
    if (n > max / unit)
        return false;
    *out = n * unit;
    return true;
}

struct view origin_query(const struct origin_target *t, struct view name)
{
    struct view rest = t->query;

    while (rest.len > 0) {
        struct view value = cut(&rest, '&');
        struct view key = cut(&value, '=');

        if (view_eq(key, name))
            return value.p == NULL ? VIEW("") : value;
    }
    return (struct view){NULL, 0};
}

uint64_t origin_query_number(const struct origin_target *t, struct view name, uint64_t max,
                             uint64_t otherwise)
{
    uint64_t n;

    return origin_number(origin_query(t, name), max, &n) ? n : otherwise;
}

bool origin_query_flag(const struct origin_target *t, struct view name)
{
    return view_eq(origin_query(t, name), VIEW("1"));
}
