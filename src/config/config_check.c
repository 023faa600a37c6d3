#include "config_check.h"

#include "conf_text.h"

#include <stdlib.h>

static const struct conf_path at_ports = {.key = "ports"};
static const struct conf_path at_bundles = {.key = "bundles"};
static const struct conf_path at_backends = {.key = "backends"};
static const struct conf_path at_routes = {.key = "routes"};

static struct conf_path path_of(const struct conf_path *up, struct view name)
{
    return (struct conf_path){.up = up, .key = name.p};
}

/* For the time of the check; NULL for n 0 or when out of memory, which is remembered. */
static void *scratch_new(struct conf_reader *r, size_t n, size_t size)
{
    void *p = n == 0 ? NULL : arena_alloc(&r->scratch, n * size);

    if (n > 0 && p == NULL)
        r->nomem = true;
    return p;
}

/* ---- Ports ---- */

static int compare_ports(const void *a, const void *b)
{
    const struct port_conf *x = *(const struct port_conf *const *)a;
    const struct port_conf *y = *(const struct port_conf *const *)b;
    const struct endpoint *e = x->endpoints, *f = y->endpoints;
    int order;

    if (e->len != f->len)
        return e->len < f->len ? -1 : 1;
    order = memcmp(&e->storage, &f->storage, e->len);
    return order != 0 ? order : (x > y) - (x < y);
}

static bool is_same_endpoint(const struct endpoint *e, const struct endpoint *f)
{
    return e->len == f->len && memcmp(&e->storage, &f->storage, e->len) == 0;
}

/* Port 0 is another one each time. */
static bool is_fixed(const struct port_conf *port)
{
    return port->n_endpoints > 0 &&
           (port->endpoints->sa.sa_family == AF_UNIX || endpoint_port(port->endpoints) != 0);
}

static void check_endpoints(struct conf_reader *r, const struct config *c)
{
    const struct port_conf **sorted = scratch_new(r, c->n_ports, sizeof(const struct port_conf *));
    size_t n = 0;

    if (sorted == NULL)
        return;
    for (uint32_t i = 0; i < c->n_ports; i++)
        if (is_fixed(&c->ports[i]))
            sorted[n++] = &c->ports[i];
    if (n > 0)
        qsort(sorted, n, sizeof(const struct port_conf *), compare_ports);
    for (size_t i = 1; i < n; i++) {
        struct conf_path at = path_of(&at_ports, sorted[i]->name);

        if (is_same_endpoint(sorted[i - 1]->endpoints, sorted[i]->endpoints))
            conf_key_error(r, &at, "the same address as port \"" VIEW_FMT "\"",
                           VIEW_ARG(sorted[i - 1]->name));
    }
}

static void check_routes_exist(struct conf_reader *r, const struct config *c, const json_t *json)
{
    const json_t *routes = json_object_get(json, "routes");

    if (routes != NULL && (!json_is_array(routes) || json_array_size(routes) > 0))
        return;
    for (uint32_t i = 0; i < c->n_ports; i++) {
        if (c->ports[i].redirect_to_port != 0)
            continue;
        conf_error(r, NULL, "port \"" VIEW_FMT "\" needs \"routes\" (or \"redirect_to_port\")",
                   VIEW_ARG(c->ports[i].name));
        return;
    }
}

/* ---- Bundles ---- */

/* Marks, by index of the bundle, the last port that has it (counted from 1). */
static void check_bundles_of_ports(struct conf_reader *r, const struct config *c, uint32_t *port_of)
{
    for (uint32_t i = 0; i < c->n_ports; i++) {
        const struct tls_port_conf *tls = &c->ports[i].tls_conf;
        struct conf_path at_port = path_of(&at_ports, c->ports[i].name);
        struct conf_path at_list = {.up = &at_port, .key = "bundles"};

        for (uint32_t k = 0; k < tls->n_bundles; k++) {
            ptrdiff_t bundle = tls->bundles[k] == NULL ? -1 : tls->bundles[k] - c->bundles;

            if (bundle < 0)
                continue;
            if (port_of[bundle] == i + 1)
                conf_error(r, &(struct conf_path){.up = &at_list, .index = k},
                           "the bundle is in the list already");
            port_of[bundle] = i + 1;
        }
    }
}

struct served_name {
    struct view name;
    const struct bundle_conf *bundle;
    uint32_t rank; /* of the bundle in the port's list */
    uint32_t index;
};

static int compare_served_names(const void *a, const void *b)
{
    const struct served_name *x = a, *y = b;
    int order = view_compare(x->name, y->name);

    if (order != 0)
        return order;
    if (x->rank != y->rank)
        return x->rank < y->rank ? -1 : 1;
    return (x->index > y->index) - (x->index < y->index);
}

static struct served_name *list_names(struct conf_reader *r, const struct tls_port_conf *tls,
                                      size_t *n_names)
{
    struct served_name *names;
    size_t n = 0;

    for (uint32_t i = 0; i < tls->n_bundles; i++)
        n += tls->bundles[i]->n_names;
    names = scratch_new(r, n, sizeof(*names));
    *n_names = names == NULL ? 0 : n;
    if (names == NULL)
        return NULL;
    n = 0;
    for (uint32_t i = 0; i < tls->n_bundles; i++)
        for (uint32_t k = 0; k < tls->bundles[i]->n_names; k++)
            names[n++] = (struct served_name){tls->bundles[i]->names[k], tls->bundles[i], i, k};
    qsort(names, n, sizeof(*names), compare_served_names);
    return names;
}

static void warn_of_name(struct conf_reader *r, const struct port_conf *port,
                         const struct served_name *first, const struct served_name *again)
{
    struct conf_path at_bundle = path_of(&at_bundles, again->bundle->name);
    struct conf_path at_names = {.up = &at_bundle, .key = "names"};
    struct conf_path at = {.up = &at_names, .index = again->index};

    if (first->bundle == again->bundle) {
        conf_warning(r, &at, "the name is in the list already");
        return;
    }
    conf_warning(r, &at,
                 "bundle \"" VIEW_FMT "\" has this name too, and comes first on port \"" VIEW_FMT
                 "\"",
                 VIEW_ARG(first->bundle->name), VIEW_ARG(port->name));
}

static void warn_of_names_served_twice(struct conf_reader *r, const struct port_conf *port)
{
    size_t n;
    const struct served_name *names = list_names(r, &port->tls_conf, &n);

    for (size_t i = 1; i < n; i++)
        if (view_eq(names[i - 1].name, names[i].name))
            warn_of_name(r, port, &names[i - 1], &names[i]);
}

static void warn_of_unused_bundles(struct conf_reader *r, const struct config *c,
                                   const uint32_t *port_of)
{
    for (uint32_t i = 0; i < c->n_bundles; i++) {
        struct conf_path at = path_of(&at_bundles, c->bundles[i].name);

        if (port_of[i] == 0)
            conf_warning(r, &at, "no port uses this bundle");
    }
}

/* ---- Backends and routes ---- */

static void warn_of_unused_backends(struct conf_reader *r, const struct config *c)
{
    bool *used = scratch_new(r, c->n_backends, sizeof(*used));

    if (used == NULL)
        return;
    for (uint32_t i = 0; i < c->n_routes; i++)
        if (c->routes[i].backend != NULL)
            used[c->routes[i].backend - c->backends] = true;
    for (uint32_t i = 0; i < c->n_backends; i++) {
        struct conf_path at = path_of(&at_backends, c->backends[i].name);

        if (!used[i])
            conf_warning(r, &at, "no route uses this backend");
    }
}

static bool takes_everything(const struct route_conf *route)
{
    return route->host.len == 0 && route->path.len <= 1;
}

static void warn_of_unreachable_routes(struct conf_reader *r, const struct config *c)
{
    for (uint32_t i = 0; i + 1 < c->n_routes; i++) {
        if (!takes_everything(&c->routes[i]))
            continue;
        conf_warning(r, &(struct conf_path){.up = &at_routes, .index = i + 1},
                     "never reached: route %u before it takes every request", (unsigned)i);
        return;
    }
}

void config_check(struct conf_reader *r, const struct config *c, const json_t *json)
{
    uint32_t *port_of = scratch_new(r, c->n_bundles, sizeof(*port_of));

    check_endpoints(r, c);
    check_routes_exist(r, c, json);
    if (port_of != NULL)
        check_bundles_of_ports(r, c, port_of);
    if (r->problems->n_errors > 0 || r->nomem)
        return;
    for (uint32_t i = 0; i < c->n_ports; i++)
        if (c->ports[i].tls)
            warn_of_names_served_twice(r, &c->ports[i]);
    if (port_of != NULL)
        warn_of_unused_bundles(r, c, port_of);
    warn_of_unused_backends(r, c);
    warn_of_unreachable_routes(r, c);
}
