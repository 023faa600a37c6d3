/* GET /status: what runs, and how it is. */
#include "admin_gather.h"
#include "admin_route.h"
#include "process_stats.h"
#include "server_internal.h"

#include <sallyport/base/metrics.h>
#include <sallyport/base/version.h>
#include <sallyport/net/handshake_stats.h>

#include <pthread.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define TIMEOUT_MS 500

/* ---- Connections, as each thread counts them ---- */

struct part {
    uint32_t open, idle, active, handshake;
};

static void count_connections(struct net_handler *nh, const void *question, void *out)
{
    struct part *p = out;

    (void)question;
    *p = (struct part){nh->n_open, nh->n_keep_alive, nh->n_active, nh->n_handshakes};
}

static void write_connections(struct json_writer *j, const struct server *s, struct admin_gather *g,
                              bool complete)
{
    struct net_throttle_state now = net_throttle_state(s->core->throttle);
    struct part sum = {0};

    for (int i = 0; i < admin_gather_count(g); i++) {
        const struct part *p = admin_gather_part(g, i);

        if (p == NULL)
            continue;
        sum.open += p->open;
        sum.idle += p->idle;
        sum.active += p->active;
        sum.handshake += p->handshake;
    }
    json_object(j, "connections");
    json_number(j, "clients", now.connections);
    json_number(j, "max_clients", now.max_connections);
    json_number(j, "servers", now.outgoing);
    json_number(j, "max_servers", now.max_outgoing);
    json_number(j, "open", sum.open);
    json_number(j, "active", sum.active);
    json_number(j, "idle", sum.idle);
    json_number(j, "handshake", sum.handshake);
    json_bool(j, "complete", complete);
    json_end(j);
}

/* ---- Threads ---- */

/* pthread_getcpuclockid(3). Threads live as long as the server. */
static int64_t cpu_ms_of(const struct ethread *t)
{
    struct timespec used;
    clockid_t clock;

    if (pthread_getcpuclockid(t->tid, &clock) != 0 || clock_gettime(clock, &used) != 0)
        return 0;
    return (int64_t)used.tv_sec * 1000 + used.tv_nsec / 1000000;
}

static const struct part *part_of(struct admin_gather *g, const struct ethread *t)
{
    for (int i = 0; i < admin_gather_count(g); i++)
        if (admin_gather_thread(g, i) == t)
            return admin_gather_part(g, i);
    return NULL;
}

static void write_histogram(struct json_writer *j, const char *name,
                            const uint64_t buckets[METRIC_BUCKETS])
{
    json_array(j, name);
    for (int i = 0; i < METRIC_BUCKETS; i++) {
        if (buckets[i] == 0)
            continue;
        json_object(j, NULL);
        if (i < METRIC_BUCKETS - 1)
            json_number(j, "to_ms", metric_bucket_limit(i));
        json_number(j, "n", buckets[i]);
        json_end(j);
    }
    json_end(j);
}

static void write_queue(struct json_writer *j, const struct handshake_stats *h)
{
    json_object(j, "handshakes");
    json_number(j, "open", h->open);
    json_number(j, "waiting", h->waiting);
    json_signed(j, "oldest_wait_ms", h->oldest_wait_ms);
    json_bool(j, "overloaded", h->overloaded);
    json_bool(j, "accept_paused", h->accept_paused);
    json_signed(j, "nice", h->nice);
    json_signed(j, "budget_us", h->budget_us);
    json_end(j);
}

static void write_thread(struct json_writer *j, const struct server *s, struct admin_gather *g,
                         struct ethread *t)
{
    const struct part *p = part_of(g, t);
    struct handshake_stats h;

    json_object(j, NULL);
    json_string(j, "name", t->name);
    json_signed(j, "cpu_ms", cpu_ms_of(t));
    if (p != NULL) {
        json_number(j, "open", p->open);
        json_number(j, "active", p->active);
        json_number(j, "idle", p->idle);
    }
    /* Where handshakes run: threads of their own, or the loops that do both. */
    if ((t->types >> s->ssl.et_ssl & 1) != 0 && handshake_stats_read(s->core, t, &h))
        write_queue(j, &h);
    json_end(j);
}

static void write_threads(struct json_writer *j, const struct server *s, struct admin_gather *g)
{
    json_array(j, "threads");
    for (int i = 0; i < s->ep->n_threads; i++)
        write_thread(j, s, g, s->ep->threads[i]);
    json_end(j);
}

/* ---- Handshakes of all threads ---- */

static void add_stats(struct handshake_stats *sum, const struct handshake_stats *h)
{
    sum->open += h->open;
    sum->waiting += h->waiting;
    sum->overloaded = sum->overloaded || h->overloaded;
    sum->accept_paused = sum->accept_paused || h->accept_paused;
    sum->full += h->full;
    sum->resumed += h->resumed;
    sum->failed += h->failed;
    sum->full_us += h->full_us;
    sum->resumed_us += h->resumed_us;
    sum->dropped_late += h->dropped_late;
    sum->dropped_gone += h->dropped_gone;
    sum->shed += h->shed;
    sum->refused_at_once += h->refused_at_once;
    sum->refused_rate += h->refused_rate;
    sum->accept_pauses += h->accept_pauses;
    sum->accept_pause_ms += h->accept_pause_ms;
    sum->overloads += h->overloads;
    sum->floor_raises += h->floor_raises;
    for (int i = 0; i < METRIC_BUCKETS; i++) {
        sum->served_after_ms[i] += h->served_after_ms[i];
        sum->dropped_after_ms[i] += h->dropped_after_ms[i];
    }
}

static double per(uint64_t total, uint64_t n)
{
    return n == 0 ? 0 : (double)total / (double)n;
}

static void write_drops(struct json_writer *j, const struct handshake_stats *sum)
{
    json_object(j, "dropped");
    json_number(j, "late", sum->dropped_late);
    json_number(j, "gone", sum->dropped_gone);
    json_number(j, "shed", sum->shed);
    json_number(j, "at_once_of_address", sum->refused_at_once);
    json_number(j, "rate_of_address", sum->refused_rate);
    json_end(j);
}

static void write_sum(struct json_writer *j, const struct handshake_stats *sum)
{
    json_object(j, "handshakes");
    json_string(j, "state", sum->overloaded ? "overloaded" : "normal");
    json_number(j, "open", sum->open);
    json_number(j, "waiting", sum->waiting);
    json_bool(j, "accept_paused", sum->accept_paused);
    json_number(j, "full", sum->full);
    json_number(j, "resumed", sum->resumed);
    json_number(j, "failed", sum->failed);
    json_decimal(j, "cpu_us_per_full", per(sum->full_us, sum->full));
    json_decimal(j, "cpu_us_per_resumed", per(sum->resumed_us, sum->resumed));
    write_drops(j, sum);
    json_number(j, "accept_pauses", sum->accept_pauses);
    json_number(j, "accept_pause_ms", sum->accept_pause_ms);
    json_number(j, "overloads", sum->overloads);
    json_number(j, "floor_raises", sum->floor_raises);
    write_histogram(j, "served_after", sum->served_after_ms);
    write_histogram(j, "dropped_after", sum->dropped_after_ms);
    json_end(j);
}

static void write_handshakes(struct json_writer *j, const struct server *s)
{
    struct handshake_stats sum = {0}, h;

    for (int i = 0; i < s->ep->n_threads; i++)
        if (handshake_stats_read(s->core, s->ep->threads[i], &h))
            add_stats(&sum, &h);
    write_sum(j, &sum);
}

/* ---- Requests ---- */

static void write_requests(struct json_writer *j, int64_t uptime_ms)
{
    struct metrics *m = calloc(1, sizeof(*m));
    uint64_t seconds = uptime_ms < 1000 ? 1 : (uint64_t)uptime_ms / 1000;

    if (m == NULL)
        return;
    metrics_sum(m);
    json_object(j, "requests");
    json_number(j, "total", METRIC_GET(m, http_requests));
    json_decimal(j, "per_second", per(METRIC_GET(m, http_requests), seconds));
    json_number(j, "2xx", METRIC_GET(m, http_responses_2xx));
    json_number(j, "3xx", METRIC_GET(m, http_responses_3xx));
    json_number(j, "4xx", METRIC_GET(m, http_responses_4xx));
    json_number(j, "5xx", METRIC_GET(m, http_responses_5xx));
    json_number(j, "upgraded", METRIC_GET(m, http_upgrades));
    json_number(j, "aborted_by_client", METRIC_GET(m, http_aborted_by_client));
    json_number(j, "aborted_by_server", METRIC_GET(m, http_aborted_by_upstream));
    json_number(j, "retries", METRIC_GET(m, upstream_retries));
    json_number(j, "bytes_in", METRIC_GET(m, net_bytes_in));
    json_number(j, "bytes_out", METRIC_GET(m, net_bytes_out));
    json_end(j);
    free(m);
}

/* ---- Ports and backends ---- */

static void write_addresses(struct json_writer *j, const struct server_port *port)
{
    char text[ENDPOINT_TEXT_MAX];

    json_array(j, "addresses");
    for (uint32_t i = 0; i < port->n_listeners; i++)
        json_string(j, NULL, endpoint_format(&port->listeners[i]->bound, text, sizeof(text)));
    json_end(j);
}

static void write_port(struct json_writer *j, const struct server_port *port)
{
    bool broken = false;

    for (uint32_t i = 0; i < port->n_listeners; i++)
        broken = broken || atomic_load_explicit(&port->listeners[i]->broken, memory_order_relaxed);
    json_object(j, NULL);
    json_text(j, "name", port->conf->name);
    json_bool(j, "tls", port->conf->tls);
    json_string(j, "state",
                server_port_is_draining(port) ? "draining"
                : broken                      ? "broken"
                                              : "open");
    json_number(j, "connections", server_port_connections(port));
    write_addresses(j, port);
    json_end(j);
}

static void write_ports(struct json_writer *j, const struct server *s)
{
    json_array(j, "ports");
    for (uint32_t i = 0; i < s->n_ports; i++)
        write_port(j, s->ports[i]);
    json_end(j);
}

static void write_server(struct json_writer *j, const struct server_conf *conf,
                         const struct upstream_server *server)
{
    unsigned failures = atomic_load_explicit(&server->failures, memory_order_relaxed);
    int64_t retry_ms =
        atomic_load_explicit(&server->retry_at_ms, memory_order_relaxed) - clock_mono_ms();

    json_object(j, NULL);
    json_text(j, "name", conf->name);
    json_string(j, "state", failures == 0 ? "up" : "down");
    json_number(j, "connections", atomic_load_explicit(&server->connections, memory_order_relaxed));
    json_number(j, "failures", failures);
    if (failures > 0)
        json_signed(j, "retry_in_ms", retry_ms > 0 ? retry_ms : 0);
    json_end(j);
}

static void write_backends(struct json_writer *j, const struct server *s)
{
    const struct upstream_set *set = proxy_service_set(&s->service);

    json_array(j, "backends");
    for (uint32_t b = 0; b < set->config->n_backends; b++) {
        const struct upstream_backend *backend = &set->backends[b];

        json_object(j, NULL);
        json_text(j, "name", backend->conf->name);
        json_array(j, "servers");
        for (uint32_t i = 0; i < backend->conf->n_servers; i++)
            write_server(j, &backend->conf->servers[i], backend->servers[i]);
        json_end(j);
        json_end(j);
    }
    json_end(j);
}

/* ---- Certificates ---- */

static void write_last_reload(struct json_writer *j, const struct cert_results *results)
{
    if (results->last_ms == 0)
        return;
    json_object(j, "last_reload");
    json_time(j, "time", results->last_ms);
    json_string(j, "trigger", cert_trigger_label(results->last_trigger));
    json_string(j, "result", cert_result_label(results->last_result));
    json_end(j);
}

static void write_certificates(struct json_writer *j, const struct server *s)
{
    const struct cert_bundle *nearest = NULL;
    int64_t nearest_s = INT64_MAX, now_s = clock_wall_ms() / 1000;
    uint32_t n_expired = 0;

    for (uint32_t i = 0; i < cert_set_n(s->certs); i++) {
        const struct cert_bundle *bundle = cert_set_at(s->certs, i);
        int64_t at_s = cert_bundle_not_after_s(bundle);

        n_expired += at_s <= now_s;
        if (at_s < nearest_s)
            nearest = bundle;
        nearest_s = at_s < nearest_s ? at_s : nearest_s;
    }
    json_object(j, "certificates");
    json_number(j, "bundles", cert_set_n(s->certs));
    json_number(j, "expired", n_expired);
    if (nearest != NULL) {
        json_object(j, "nearest_expiry");
        json_text(j, "bundle", cert_bundle_name(nearest));
        json_time(j, "time", nearest_s * 1000);
        json_end(j);
    }
    write_last_reload(j, &s->cert_results);
    json_end(j);
}

/* ---- The whole ---- */

static void write_process(struct json_writer *j, const struct server *s, int64_t uptime_ms)
{
    struct process_stats p;

    process_stats_read(&p);
    json_string(j, "version", SALLYPORT_VERSION);
    json_signed(j, "pid", getpid());
    json_text(j, "config", s->config->file);
    json_string(j, "state", server_is_draining(s) ? "draining" : "running");
    json_time(j, "started", s->started_wall_ms);
    json_signed(j, "uptime_ms", uptime_ms);
    json_signed(j, "cpu_ms", p.cpu_us / 1000);
    json_object(j, "memory");
    json_number(j, "resident_bytes", p.resident_bytes);
    json_number(j, "ceiling_bytes", s->config->throttle.memory_ceiling_bytes);
    json_end(j);
    json_object(j, "descriptors");
    json_number(j, "open", p.open_fds);
    json_number(j, "max", p.max_fds);
    json_end(j);
}

static void get_status(const struct admin_request *rq, struct admin_answer *a)
{
    struct server *s = rq->server;
    struct json_writer *j = &a->json;
    int64_t uptime_ms = clock_mono_ms() - s->started_mono_ms;
    struct admin_gather *g = admin_gather_new(s->core, sizeof(struct part), NULL, 0, NULL);

    if (g == NULL) {
        admin_problem(a, 503, "out of memory");
        return;
    }
    bool complete = admin_gather_run(g, count_connections, TIMEOUT_MS);
    server_lock(s);
    json_object(j, NULL);
    write_process(j, s, uptime_ms);
    write_connections(j, s, g, complete);
    write_requests(j, uptime_ms);
    write_ports(j, s);
    write_backends(j, s);
    write_certificates(j, s);
    server_unlock(s);
    write_handshakes(j, s);
    write_threads(j, s, g);
    json_end(j);
    admin_gather_unref(g);
}

static const struct admin_route rows[] = {
    {HTTP_METHOD_GET, "/status", get_status,
     .help = "Version, uptime, connections by state, requests, ports, backends and their servers, "
             "handshakes and overload, threads, memory."},
};
const struct admin_routes admin_status_routes = {"Status", ADMIN_ROWS(rows)};
