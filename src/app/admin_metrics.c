/* Every metric in the text format that Prometheus reads (version 0.0.4): from the rows of
 * metrics_table.h, and what is known of the process, its connections, backends and staples. */
#include "admin_metrics.h"

#include "admin_route.h"
#include "process_stats.h"
#include "server_internal.h"

#include <sallyport/base/metrics.h>
#include <sallyport/base/version.h>

#include <inttypes.h>
#include <stdlib.h>

void admin_metrics_help(FILE *out, const char *name, const char *type, const char *help)
{
    (void)fprintf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

/* ---- The rows ---- */

static void put_histogram(FILE *out, const char *name, const struct metric_histogram *h)
{
    uint64_t n = 0;

    for (int i = 0; i < METRIC_BUCKETS; i++) {
        n += atomic_load_explicit(&h->buckets[i], memory_order_relaxed);
        if (i < METRIC_BUCKETS - 1)
            (void)fprintf(out, "%s_bucket{le=\"%" PRIu64 "\"} %" PRIu64 "\n", name,
                          metric_bucket_limit(i), n);
    }
    (void)fprintf(out,
                  "%s_bucket{le=\"+Inf\"} %" PRIu64 "\n%s_sum %" PRIu64 "\n%s_count %" PRIu64 "\n",
                  name, n, name, atomic_load_explicit(&h->sum, memory_order_relaxed), name, n);
}

static void put_row(FILE *out, const struct metrics *sum, const struct metric_row *row)
{
    static const char *const types[] = {
        [METRIC_COUNTER] = "counter",
        [METRIC_GAUGE] = "gauge",
        [METRIC_HISTOGRAM] = "histogram",
    };
    char name[128];

    (void)snprintf(name, sizeof(name), "sallyport_%s%s", row->name,
                   row->type == METRIC_COUNTER ? "_total" : "");
    admin_metrics_help(out, name, types[row->type], row->help);
    if (row->type == METRIC_HISTOGRAM)
        put_histogram(out, name, metric_histogram_of(sum, row));
    else
        (void)fprintf(out, "%s %" PRIu64 "\n", name, metric_value(sum, row));
}

static void put_rows(FILE *out)
{
    struct metrics *sum = calloc(1, sizeof(*sum));

    if (sum == NULL)
        return;
    metrics_sum(sum);
    for (size_t i = 0; i < metric_row_count; i++)
        put_row(out, sum, &metric_rows[i]);
    free(sum);
}

/* ---- Besides ---- */

static void put_number(FILE *out, const char *name, const char *type, const char *help,
                       double value)
{
    admin_metrics_help(out, name, type, help);
    (void)fprintf(out, "%s %.17g\n", name, value);
}

static void put_process(FILE *out, const struct server *s)
{
    struct process_stats p;

    process_stats_read(&p);
    admin_metrics_help(out, "sallyport_build_info", "gauge", "the version, as a label");
    (void)fprintf(out, "sallyport_build_info{version=\"%s\"} 1\n", SALLYPORT_VERSION);
    put_number(out, "process_start_time_seconds", "gauge", "when it started, since the epoch",
               (double)s->started_wall_ms / 1000);
    put_number(out, "process_cpu_seconds_total", "counter", "user and system time",
               (double)p.cpu_us / 1000000);
    put_number(out, "process_resident_memory_bytes", "gauge", "resident memory",
               (double)p.resident_bytes);
    put_number(out, "process_virtual_memory_bytes", "gauge", "address space",
               (double)p.virtual_bytes);
    put_number(out, "process_open_fds", "gauge", "open descriptors", (double)p.open_fds);
    put_number(out, "process_max_fds", "gauge", "as many as there may be", (double)p.max_fds);
}

static void put_connections(FILE *out, const struct server *s)
{
    struct net_throttle_state now = net_throttle_state(s->core->throttle);

    admin_metrics_help(out, "sallyport_connections", "gauge", "open connections");
    (void)fprintf(out, "sallyport_connections{side=\"client\"} %u\n", now.connections);
    (void)fprintf(out, "sallyport_connections{side=\"server\"} %u\n", now.outgoing);
    admin_metrics_help(out, "sallyport_connections_max", "gauge", "as many as there may be");
    (void)fprintf(out, "sallyport_connections_max{side=\"client\"} %u\n", now.max_connections);
    (void)fprintf(out, "sallyport_connections_max{side=\"server\"} %u\n", now.max_outgoing);
}

/* In a label's value a backslash, a quote and a line's end are escaped; what else is allowed in
 * names of the configuration is printable. */
void admin_metrics_label(FILE *out, const char *name, struct view value)
{
    (void)fprintf(out, "%s=\"", name);
    for (size_t i = 0; i < value.len; i++) {
        if (value.p[i] == '"' || value.p[i] == '\\')
            (void)putc('\\', out);
        (void)putc(value.p[i] == '\n' ? ' ' : value.p[i], out);
    }
    (void)putc('"', out);
}

typedef uint64_t (*server_value)(const struct upstream_server *server);

static uint64_t connections_of(const struct upstream_server *server)
{
    return atomic_load_explicit(&server->connections, memory_order_relaxed);
}

static uint64_t failures_of(const struct upstream_server *server)
{
    return atomic_load_explicit(&server->failures, memory_order_relaxed);
}

static void put_servers(FILE *out, const struct server *s, const char *name, const char *help,
                        server_value value)
{
    const struct upstream_set *set = proxy_service_set(&s->service);

    admin_metrics_help(out, name, "gauge", help);
    for (uint32_t b = 0; b < set->config->n_backends; b++) {
        const struct upstream_backend *backend = &set->backends[b];

        for (uint32_t i = 0; i < backend->conf->n_servers; i++) {
            (void)fprintf(out, "%s{", name);
            admin_metrics_label(out, "backend", backend->conf->name);
            (void)putc(',', out);
            admin_metrics_label(out, "server", backend->conf->servers[i].name);
            (void)fprintf(out, "} %" PRIu64 "\n", value(backend->servers[i]));
        }
    }
}

/* ---- Staples ---- */

static void put_staple_totals(FILE *out, const struct server *s)
{
    struct ocsp_totals totals = ocsp_updater_totals(s->ocsp);

    admin_metrics_help(out, "sallyport_ocsp_certificates", "gauge",
                       "certificates whose authority can be asked, or that demand a staple");
    (void)fprintf(out, "sallyport_ocsp_certificates %u\n", totals.all);
    admin_metrics_help(out, "sallyport_ocsp_staples", "gauge",
                       "certificates that have a staple now");
    (void)fprintf(out, "sallyport_ocsp_staples %u\n", totals.good);
    admin_metrics_help(out, "sallyport_ocsp_certificates_revoked", "gauge",
                       "certificates that their authority has revoked");
    (void)fprintf(out, "sallyport_ocsp_certificates_revoked %u\n", totals.revoked);
    admin_metrics_help(out, "sallyport_ocsp_must_staple_missing", "gauge",
                       "certificates that demand a staple and have none");
    (void)fprintf(out, "sallyport_ocsp_must_staple_missing %u\n", totals.must_staple_missing);
}

typedef int64_t (*staple_time)(const struct ocsp_state *state);

static int64_t this_update_of(const struct ocsp_state *state)
{
    return state->this_update_ms;
}

static int64_t next_update_of(const struct ocsp_state *state)
{
    return state->next_update_ms;
}

/* Of the certificates that have one; a bundle has one of each type of key. */
static void put_staples(FILE *out, const struct server *s, const char *name, const char *help,
                        staple_time time)
{
    admin_metrics_help(out, name, "gauge", help);
    for (uint32_t b = 0; b < cert_set_n(s->certs); b++) {
        const struct cert_bundle *bundle = cert_set_at(s->certs, b);

        for (uint32_t i = 0; i < cert_bundle_n_certs(bundle); i++) {
            struct ocsp_slot *slot = cert_bundle_ocsp(bundle, i);
            struct ocsp_state state;

            if (slot == NULL)
                continue;
            state = ocsp_slot_state(slot);
            if (!state.good)
                continue;
            (void)fprintf(out, "%s{", name);
            admin_metrics_label(out, "bundle", cert_bundle_name(bundle));
            (void)fprintf(out, ",certificate=\"%u\"} %" PRId64 "\n", i, time(&state) / 1000);
        }
    }
}

/* ---- Certificates of clients ---- */

static void put_until(FILE *out, const char *label, struct view name, int64_t until_s)
{
    if (until_s == INT64_MAX)
        return;
    (void)fprintf(out, "sallyport_client_auth_until_seconds{");
    admin_metrics_label(out, label, name);
    (void)fprintf(out, "} %" PRId64 "\n", until_s);
}

static void put_client_auth(FILE *out, const struct server *s)
{
    admin_metrics_help(
        out, "sallyport_client_auth_until_seconds", "gauge",
        "when the first revocation list or authority for clients is out of date, since the "
        "epoch");
    for (uint32_t i = 0; i < s->config->n_ports; i++) {
        const struct port_conf *port = &s->config->ports[i];

        if (port->tls)
            put_until(out, "port", port->name,
                      cert_set_client_auth_until_s(s->certs, &port->tls_conf.client_auth));
    }
    for (uint32_t i = 0; i < cert_set_n(s->certs); i++) {
        const struct cert_bundle *bundle = cert_set_at(s->certs, i);

        put_until(out, "bundle", cert_bundle_name(bundle), cert_bundle_client_auth_until_s(bundle));
    }
}

static void get_metrics(const struct admin_request *rq, struct admin_answer *a)
{
    struct server *s = rq->server;

    server_lock(s);
    a->content_type = "text/plain; version=0.0.4; charset=utf-8";
    put_rows(a->out);
    put_process(a->out, s);
    put_connections(a->out, s);
    put_servers(a->out, s, "sallyport_server_connections", "open connections to a server",
                connections_of);
    put_servers(a->out, s, "sallyport_server_failures",
                "attempts in a row that could not reach a server", failures_of);
    admin_metrics_certs(a->out, s);
    put_staple_totals(a->out, s);
    put_staples(a->out, s, "sallyport_ocsp_this_update_seconds",
                "since when the staple holds, since the epoch", this_update_of);
    put_staples(a->out, s, "sallyport_ocsp_next_update_seconds",
                "until when the staple holds, since the epoch", next_update_of);
    put_client_auth(a->out, s);
    server_unlock(s);
}

static const struct admin_route rows[] = {
    {HTTP_METHOD_GET, "/metrics", get_metrics,
     .help = "Every metric in the text format of Prometheus."},
};
const struct admin_routes admin_metrics_routes = {"Metrics", ADMIN_ROWS(rows)};
