/* Paths, queries and fields of a request. */
#include "admin_request.h"

#include "admin_text.h"

/* The next segment with its "/"; empty at the end. */
static struct view take_segment(struct view *rest)
{
    struct view segment = *rest;
    const char *end = rest->len < 2 ? NULL : memchr(rest->p + 1, '/', rest->len - 1);

    if (end != NULL)
        segment.len = (size_t)(end - rest->p);
    *rest = view_from(*rest, segment.len);
    return segment;
}

/* "/{name}" or "/{name*}": the name. False: it is text. */
static bool is_part(struct view segment, struct view *name, bool *all)
{
    if (segment.len < 4 || segment.p[1] != '{' || segment.p[segment.len - 1] != '}')
        return false;
    *name = (struct view){segment.p + 2, segment.len - 3};
    *all = name->p[name->len - 1] == '*';
    name->len -= *all;
    return true;
}

/* Walks both; with `wanted`, to its part. */
static bool walk(const char *pattern, struct view path, struct view wanted, struct view *part)
{
    struct view left = view_of(pattern), name = {NULL, 0};
    bool all = false;

    while (left.len > 0) {
        struct view of_pattern = take_segment(&left);

        if (!is_part(of_pattern, &name, &all)) {
            if (!view_eq(of_pattern, take_segment(&path)))
                return false;
            continue;
        }
        struct view taken = path;
        if (!all) {
            taken = take_segment(&path);
            if (taken.len < 2)
                return false;
            taken = view_from(taken, 1);
        }
        if (view_eq(name, wanted))
            *part = taken;
        if (all)
            return path.len == 0 || path.p[0] == '/';
    }
    return path.len == 0;
}

bool admin_pattern_matches(const char *pattern, struct view path)
{
    struct view ignored;

    return walk(pattern, path, (struct view){NULL, 0}, &ignored);
}

struct view admin_pattern_part(const char *pattern, struct view path, const char *name)
{
    struct view part = {NULL, SIZE_MAX};
    bool fits = walk(pattern, path, view_of(name), &part);

    SP_ASSERT(fits && part.len != SIZE_MAX);
    return part;
}

/* -1: none. */
static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

struct view admin_percent_decode(struct arena *arena, struct view text)
{
    char *out = arena_alloc(arena, text.len + 1);
    size_t n = 0;

    if (out == NULL)
        return (struct view){NULL, 0};
    for (size_t i = 0; i < text.len; i++) {
        if (text.p[i] != '%') {
            out[n++] = text.p[i];
            continue;
        }
        int high = i + 2 < text.len ? hex_value(text.p[i + 1]) : -1;
        int low = i + 2 < text.len ? hex_value(text.p[i + 2]) : -1;
        if (high < 0 || low < 0)
            return (struct view){NULL, 0};
        out[n++] = (char)(high * 16 + low);
        i += 2;
    }
    out[n] = '\0';
    return (struct view){out, n};
}

struct view admin_request_part(const struct admin_request *rq, const char *name)
{
    struct view part = admin_pattern_part(rq->route->pattern, rq->path, name);
    struct view decoded = admin_percent_decode(rq->arena, part);

    /* What cannot be decoded names nothing: it is looked up as it is, and not found. */
    return decoded.p == NULL ? part : decoded;
}

/* ---- Query ---- */

/* The next "name=value" or "name". */
static bool next_parameter(struct view *rest, struct view *name, struct view *value)
{
    const char *end, *equals;
    struct view one;

    while (rest->len > 0 && rest->p[0] == '&')
        *rest = view_from(*rest, 1);
    if (rest->len == 0)
        return false;
    end = memchr(rest->p, '&', rest->len);
    one = end == NULL ? *rest : view_head(*rest, (size_t)(end - rest->p));
    *rest = view_from(*rest, one.len);
    equals = memchr(one.p, '=', one.len);
    *name = equals == NULL ? one : view_head(one, (size_t)(equals - one.p));
    *value = equals == NULL ? VIEW("") : view_from(one, name->len + 1);
    return true;
}

static bool knows(const struct admin_route *route, struct view name)
{
    for (size_t i = 0; i < route->n_query; i++)
        if (view_eq(view_of(route->query[i].name), name))
            return true;
    return false;
}

struct view admin_query_unknown(const struct admin_route *route, struct view query)
{
    struct view name, value;

    while (next_parameter(&query, &name, &value))
        if (!knows(route, name))
            return name;
    return (struct view){NULL, 0};
}

bool admin_request_query_next(const struct admin_request *rq, const char *name, struct view *rest,
                              struct view *value)
{
    struct view found, raw;

    SP_ASSERT(knows(rq->route, view_of(name)));
    while (next_parameter(rest, &found, &raw)) {
        if (!view_eq(found, view_of(name)))
            continue;
        *value = admin_percent_decode(rq->arena, raw);
        if (value->p == NULL)
            *value = raw;
        return true;
    }
    return false;
}

bool admin_request_query(const struct admin_request *rq, const char *name, struct view *value)
{
    struct view rest = rq->query;

    return admin_request_query_next(rq, name, &rest, value);
}

bool admin_request_flag(const struct admin_request *rq, const char *name)
{
    struct view value;

    return admin_request_query(rq, name, &value) &&
           (value.len == 0 || view_eq(value, VIEW("1")) || view_eq(value, VIEW("true")));
}

static bool read_number(struct view text, uint64_t max, uint64_t *out)
{
    uint64_t n = 0;

    for (size_t i = 0; i < text.len; i++) {
        unsigned digit = (unsigned)(text.p[i] - '0');

        if (digit > 9 || n > (max - digit) / 10)
            return false;
        n = n * 10 + digit;
    }
    *out = n;
    return text.len > 0;
}

bool admin_request_number(const struct admin_request *rq, struct admin_answer *a, const char *name,
                          uint64_t min, uint64_t max, uint64_t *value)
{
    struct view text;
    uint64_t n;

    if (!admin_request_query(rq, name, &text))
        return true;
    if (!read_number(text, max, &n) || n < min) {
        admin_problem(a, 400,
                      "%s: a number from %llu to %llu is expected, and this is \"" VIEW_FMT "\"",
                      name, (unsigned long long)min, (unsigned long long)max, VIEW_ARG(text));
        return false;
    }
    *value = n;
    return true;
}

struct view admin_request_field(const struct admin_request *rq, const char *name)
{
    for (uint32_t i = 0; i < rq->fields.n; i++)
        if (view_eq_nocase(rq->fields.v[i].name, view_of(name)))
            return rq->fields.v[i].value;
    return (struct view){NULL, 0};
}
