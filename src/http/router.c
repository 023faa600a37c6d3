/* Routes in a hash table by (host, path prefix): a request asks for its host's three forms and for
 * each prefix of its path that ends on a segment border, and the earliest route of those found
 * wins. */
#include "router.h"

#include "router_path.h"

#include <stdlib.h>

enum {
    HOST_MAX = 255,        /* http_is_authority() lets no longer host through */
    PATH_MAX_BYTES = 2048, /* a longer path of a route fits nothing */
};
#define NO_HOST  UINT32_MAX
#define NO_ROUTE UINT32_MAX

/* Two kinds in one table: a host's name (host: NO_HOST, value: its number) and a path of a host
 * (host: the number, value: the first route with both). */
struct slot {
    uint64_t hash;
    struct view key;
    uint32_t host, value;
    bool used;
};

struct router {
    const struct config *config; /* borrowed */
    struct arena arena;          /* keys */
    struct slot *slots;          /* owned; n_slots, a power of two */
    size_t n_slots;
    size_t max_depth; /* segments of the deepest route */
    uint32_t n_hosts;
};

/* FNV-1a, continued over the segments of a path. What is in the table comes from the configuration,
 * so nobody outside can make it collide. */
static uint64_t hash_of(uint64_t hash, struct view v)
{
    for (size_t i = 0; i < v.len; i++)
        hash = (hash ^ (unsigned char)v.p[i]) * UINT64_C(0x100000001b3);
    return hash;
}

static uint64_t hash_of_host(uint32_t host)
{
    return UINT64_C(0xcbf29ce484222325) + host * UINT64_C(0x9e3779b97f4a7c15);
}

/* The slot with this key, or the empty one where it belongs. */
static struct slot *slot_at(const struct router *r, uint64_t hash, uint32_t host, struct view key)
{
    size_t mask = r->n_slots - 1, i = (size_t)(hash ^ hash >> 32) & mask;

    while (r->slots[i].used &&
           (r->slots[i].hash != hash || r->slots[i].host != host || !view_eq(r->slots[i].key, key)))
        i = (i + 1) & mask;
    return &r->slots[i];
}

/* The value that is there already, or `value`. */
static uint32_t put(struct router *r, uint32_t host, struct view key, uint32_t value)
{
    uint64_t hash = hash_of(hash_of_host(host), key);
    struct slot *slot = slot_at(r, hash, host, key);

    if (!slot->used)
        *slot = (struct slot){.hash = hash, .key = key, .host = host, .value = value, .used = true};
    return slot->value;
}

/* The host in the form that is compared: lower case, without port and one trailing dot. Empty when
 * there is none, or one that no exact or wildcard name can equal. */
static struct view normalise_host(struct view authority, char *room)
{
    size_t len = authority.len;
    const char *bracket = len == 0 ? NULL : memchr(authority.p, ']', len);
    const char *colon = len == 0 ? NULL : memchr(authority.p, ':', len);

    if (bracket != NULL && authority.p[0] == '[')
        len = (size_t)(bracket - authority.p) + 1;
    else if (colon != NULL)
        len = (size_t)(colon - authority.p);
    if (len > 1 && authority.p[len - 1] == '.')
        len--;
    if (len == 0 || len > HOST_MAX || authority.p[0] == '.')
        return (struct view){NULL, 0};
    for (size_t i = 0; i < len; i++) {
        char c = authority.p[i];

        room[i] = (char)(c >= 'A' && c <= 'Z' ? c | 0x20 : c);
    }
    return (struct view){room, len};
}

/* "a.b.c" as ".b.c", which is how the wildcard "*.b.c" is kept; a host never begins with a dot. */
static struct view wildcard_of(struct view host)
{
    const char *dot = host.len == 0 ? NULL : memchr(host.p, '.', host.len);

    return dot == NULL ? (struct view){NULL, 0} : view_from(host, (size_t)(dot - host.p));
}

static size_t depth_of(struct view path)
{
    size_t depth = 0;

    for (size_t i = 0; i < path.len; i++)
        depth += path.p[i] == '/';
    return depth;
}

static struct view key_of_host(struct view pattern, char *room)
{
    struct view host = normalise_host(pattern, room);

    return view_starts_with(host, VIEW("*.")) ? view_from(host, 1) : host;
}

static enum sp_err add_route(struct router *r, uint32_t index)
{
    const struct route_conf *route = &r->config->routes[index];
    char host_room[HOST_MAX], path_room[PATH_MAX_BYTES];
    struct view host, path;
    uint32_t number;

    if (route->path.len > PATH_MAX_BYTES)
        return SP_OK;
    host = key_of_host(route->host, host_room);
    if (host.len == 0 && route->host.len > 0) /* no host has this name: not the same as any */
        return SP_OK;
    host = arena_copy(&r->arena, host);
    path = arena_copy(&r->arena, router_path_normalise(route->path, path_room, sizeof(path_room)));
    if (host.p == NULL || path.p == NULL)
        return SP_NOMEM;
    number = put(r, NO_HOST, host, r->n_hosts);
    r->n_hosts += number == r->n_hosts;
    (void)put(r, number, path, index);
    if (depth_of(path) > r->max_depth)
        r->max_depth = depth_of(path);
    return SP_OK;
}

struct router *router_new(const struct config *config)
{
    struct router *r = calloc(1, sizeof(*r));

    if (r == NULL)
        return NULL;
    r->config = config;
    arena_init(&r->arena);
    r->n_slots = 8;
    while (r->n_slots < 4 * (size_t)config->n_routes) /* two keys a route, half empty */
        r->n_slots *= 2;
    r->slots = calloc(r->n_slots, sizeof(*r->slots));
    if (r->slots == NULL)
        goto free_router;
    for (uint32_t i = 0; i < config->n_routes; i++)
        if (add_route(r, i) != SP_OK)
            goto free_router;
    return r;

free_router:
    router_free(r);
    return NULL;
}

void router_free(struct router *r)
{
    if (r == NULL)
        return;
    free(r->slots);
    arena_fini(&r->arena);
    free(r);
}

static uint32_t find(const struct router *r, uint64_t hash, uint32_t host, struct view key)
{
    const struct slot *slot = slot_at(r, hash, host, key);

    return slot->used ? slot->value : NO_ROUTE;
}

/* The earliest route of one host form, `best` if none is earlier. */
static uint32_t find_in_host(const struct router *r, struct view name, struct view path,
                             uint32_t best)
{
    uint32_t host = find(r, hash_of(hash_of_host(NO_HOST), name), NO_HOST, name);
    uint64_t hash = hash_of_host(host);
    size_t len = 0;

    if (host == NO_ROUTE)
        return best;
    for (size_t depth = 0;; depth++) {
        uint32_t route = find(r, hash, host, view_head(path, len));
        size_t begin = len;

        if (route < best)
            best = route;
        if (depth == r->max_depth || len == path.len)
            return best;
        for (len++; len < path.len && path.p[len] != '/';)
            len++;
        hash = hash_of(hash, (struct view){path.p + begin, len - begin});
    }
}

const struct route_conf *router_find(const struct router *r, struct view authority,
                                     struct view path)
{
    char host_room[HOST_MAX], path_room[PATH_MAX_BYTES];
    struct view host = normalise_host(authority, host_room);
    struct view wildcard = wildcard_of(host);
    uint32_t best = NO_ROUTE;

    path = router_path_normalise(path, path_room, sizeof(path_room));
    if (host.len > 0)
        best = find_in_host(r, host, path, best);
    if (wildcard.len > 0)
        best = find_in_host(r, wildcard, path, best);
    best = find_in_host(r, (struct view){NULL, 0}, path, best);
    return best == NO_ROUTE ? NULL : &r->config->routes[best];
}
