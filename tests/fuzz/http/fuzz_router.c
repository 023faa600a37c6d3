/* Any authority and path: the route that the hash table finds is the one that a walk over all
 * routes finds, and paths come out in the one form that they are compared in. Input: authority,
 * line feed, path. */
#include "router.h"
#include "router_path.h"

#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define ROUTE(h, p)                                \
    {                                              \
        .host = VIEW_INIT(h), .path = VIEW_INIT(p) \
    }
static struct route_conf routes[] = {
    ROUTE("a.example", "/api/v1"), ROUTE("*.example", "/api"),  ROUTE("", "/admin"),
    ROUTE("a.example", "/api"),    ROUTE("[::1]", "/"),         ROUTE("*.b.example", "/x y/"),
    ROUTE("", "/a/b/c/d"),         ROUTE("B.example.", "/api"),
};
static struct config config = {.routes = routes, .n_routes = SP_COUNT_OF(routes)};

static void check(bool holds)
{
    if (!holds)
        abort();
}

/* The promise of router_path.h. */
static void check_form(struct view v, size_t cap, bool is_own)
{
    size_t at = 0;

    check(v.len == 0 || v.p[0] == '/');
    check(is_own || v.len <= cap);
    while (at < v.len) {
        struct view segment = view_from(v, at + 1);
        const char *slash = segment.len == 0 ? NULL : memchr(segment.p, '/', segment.len);

        if (slash != NULL)
            segment = view_head(segment, (size_t)(slash - segment.p));
        check(segment.len > 0 && !view_eq(segment, VIEW(".")) && !view_eq(segment, VIEW("..")));
        at += 1 + segment.len;
    }
}

/* What the route's host says to this one, in its simplest form. */
static bool host_fits(struct view pattern, struct view host)
{
    const char *dot = host.len == 0 ? NULL : memchr(host.p, '.', host.len);

    if (pattern.len == 0)
        return true;
    if (pattern.p[pattern.len - 1] == '.')
        pattern.len--;
    if (!view_starts_with(pattern, VIEW("*.")))
        return view_eq_nocase(pattern, host);
    return dot != NULL && dot != host.p &&
           view_eq_nocase(view_from(pattern, 1), view_from(host, (size_t)(dot - host.p)));
}

static struct view host_of(struct view authority)
{
    const char *end = memchr(authority.p, ']', authority.len);

    if (authority.p[0] == '[' && end != NULL)
        return view_head(authority, (size_t)(end - authority.p) + 1);
    end = memchr(authority.p, ':', authority.len);
    if (end != NULL)
        authority.len = (size_t)(end - authority.p);
    if (authority.len > 1 && authority.p[authority.len - 1] == '.')
        authority.len--;
    return authority.len > 255 || (authority.len > 0 && authority.p[0] == '.')
               ? (struct view){NULL, 0}
               : authority;
}

static bool path_fits(struct view prefix, struct view path)
{
    char room[64];

    prefix = router_path_normalise(prefix, room, sizeof(room));
    return view_starts_with(path, prefix) && (path.len == prefix.len || path.p[prefix.len] == '/');
}

static const struct route_conf *walk(struct view authority, struct view path)
{
    char room[2048];
    struct view host = authority.len == 0 ? authority : host_of(authority);

    path = router_path_normalise(path, room, sizeof(room));
    for (size_t i = 0; i < SP_COUNT_OF(routes); i++)
        if (host_fits(routes[i].host, host) && path_fits(routes[i].path, path))
            return &routes[i];
    return NULL;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct router *router;
    struct view input = {(const char *)data, size};
    const char *border = size == 0 ? NULL : memchr(data, '\n', size);
    struct view authority, path, form;
    char room[40];

    if (router == NULL)
        router = router_new(&config);
    if (border == NULL || router == NULL)
        return 0;
    authority = view_head(input, (size_t)(border - input.p));
    path = view_from(input, authority.len + 1);
    check(router_find(router, authority, path) == walk(authority, path));
    form = router_path_normalise(path, room, sizeof(room));
    check_form(form, sizeof(room), form.p != room);
    return 0;
}
