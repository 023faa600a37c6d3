/* Paths and queries of the control socket: what a pattern takes lies in the path and can be taken
 * back from its escapes or not at all. Input: the path, "?", the query. */
#include "admin_answer.h"
#include "admin_request.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct admin_parameter query[] = {{"limit", ""}, {"now", ""}};
static const struct admin_route routes[] = {
    {HTTP_METHOD_GET, "/", NULL, .help = ""},
    {HTTP_METHOD_GET, "/drain/{port}", NULL, .help = ""},
    {HTTP_METHOD_GET, "/revisions/{port}/diff/{other}", NULL, .help = ""},
    {HTTP_METHOD_GET, "/config/{port*}", NULL, ADMIN_QUERY(query), .help = ""},
};

static void check(bool holds)
{
    if (!holds)
        abort();
}

static void check_part(const struct admin_request *rq)
{
    struct view raw = admin_pattern_part(rq->route->pattern, rq->path, "port");
    struct view part = admin_request_part(rq, "port");

    check(raw.len == 0 || (raw.p >= rq->path.p && raw.p + raw.len <= rq->path.p + rq->path.len));
    check(part.len <= raw.len);
    if (raw.len == 0 || memchr(raw.p, '%', raw.len) == NULL)
        check(view_eq(raw, part));
}

static void check_query(const struct admin_request *rq, struct admin_answer *a)
{
    uint64_t n = 5;
    struct view v;

    if (admin_query_unknown(rq->route, rq->query).len > 0)
        return;
    if (admin_request_query(rq, "limit", &v))
        check(v.len <= rq->query.len);
    if (admin_request_number(rq, a, "limit", 2, 1000, &n))
        check(n >= 2 && n <= 1000);
    else
        check(a->status == 400 && n == 5);
    (void)admin_request_flag(rq, "now");
}

static void check_route(const struct admin_route *route, struct view path, struct view text)
{
    struct admin_text out = {0};
    struct admin_answer a;
    struct arena arena;
    struct admin_request rq = {.route = route, .path = path, .query = text, .arena = &arena};

    if (!admin_pattern_matches(route->pattern, path))
        return;
    arena_init(&arena);
    if (admin_text_open(&out) != SP_OK)
        abort();
    admin_answer_init(&a, &arena, &out);
    if (strstr(route->pattern, "{port") != NULL)
        check_part(&rq);
    if (route->n_query > 0)
        check_query(&rq, &a);
    admin_text_close(&out);
    arena_fini(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct view all = {(const char *)data, size};
    const char *mark = size == 0 ? NULL : memchr(data, '?', size);
    struct view path = mark == NULL ? all : view_head(all, (size_t)(mark - all.p));
    struct view text = mark == NULL ? VIEW("") : view_from(all, path.len + 1);

    for (size_t i = 0; i < SP_COUNT_OF(routes); i++)
        check_route(&routes[i], path, text);
    return 0;
}
