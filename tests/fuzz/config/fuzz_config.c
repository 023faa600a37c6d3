/* Whatever the text: a configuration without errors, or errors that lie inside it; and the same
 * answer twice. */
#include <sallyport/config/config.h>

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint32_t count_lines(const uint8_t *data, size_t size)
{
    uint32_t n = 1;

    for (size_t i = 0; i < size; i++)
        n += data[i] == '\n';
    return n;
}

static void check_problems(const struct config_problems *p, const uint8_t *data, size_t size)
{
    uint32_t n_errors = 0, n_lines = count_lines(data, size);

    for (uint32_t i = 0; i < p->n; i++) {
        const struct config_problem *problem = &p->v[i];

        n_errors += !problem->warning;
        SP_ASSERT(problem->text.len > 0);
        SP_ASSERT(problem->line >= 1 && problem->line <= n_lines);
        SP_ASSERT(problem->column >= 1 && problem->column <= size + 1);
        SP_ASSERT(problem->caret <= problem->quote.len);
        SP_ASSERT(i == 0 || problem[-1].line <= problem->line);
    }
    SP_ASSERT(p->n_errors == n_errors);
}

/* What everybody who uses a configuration leans on. */
static void check_config(const struct config *c)
{
    SP_ASSERT(c->n_ports > 0);
    for (uint32_t i = 0; i < c->n_ports; i++) {
        const struct port_conf *port = &c->ports[i];

        SP_ASSERT(port->n_endpoints > 0 && port->endpoints[0].len > 0);
        SP_ASSERT(!port->tls || (port->tls_conf.n_bundles > 0 && port->tls_conf.alpn != 0));
        SP_ASSERT(!port->tls || port->tls_conf.default_bundle != NULL);
        for (uint32_t k = 0; port->tls && k < port->tls_conf.n_bundles; k++)
            SP_ASSERT(port->tls_conf.bundles[k] != NULL);
    }
    for (uint32_t i = 0; i < c->n_bundles; i++)
        SP_ASSERT(c->bundles[i].n_certs > 0 && c->bundles[i].certs[0].chain.len > 0);
    for (uint32_t i = 0; i < c->n_backends; i++)
        SP_ASSERT(c->backends[i].n_servers > 0);
    for (uint32_t i = 0; i < c->n_routes; i++) {
        const struct route_conf *route = &c->routes[i];

        SP_ASSERT((route->action == ROUTE_BACKEND) == (route->backend != NULL));
        SP_ASSERT((route->action == ROUTE_REDIRECT) == (route->location.len > 0));
        SP_ASSERT((route->action == ROUTE_BACKEND) == (route->status == 0));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct view text = {(const char *)data, size};
    uint32_t n[2];

    for (unsigned i = 0; i < 2; i++) {
        struct config_problems problems;
        struct config *c;

        config_problems_init(&problems);
        c = config_parse(text, "fuzz.json", "/etc/sallyport", &problems);
        SP_ASSERT((c == NULL) == (problems.n_errors > 0));
        check_problems(&problems, data, size);
        if (c != NULL)
            check_config(c);
        n[i] = problems.n;
        config_unref(c);
        config_problems_fini(&problems);
    }
    SP_ASSERT(n[0] == n[1]);
    return 0;
}
