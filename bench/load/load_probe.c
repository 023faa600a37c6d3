/* Established connections: requests at a steady rate over connections that were there before
 * (probe), or connections that made one request each and are just held (idle). */
#include "load.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#define QUEUE_PER_CONN    4096
#define POLL_EVENTS       512
#define AT_ONCE           32 /* while connections are set up: this is not the flood */
#define SETUP_TIMEOUT_US  60000000
#define ANSWER_TIMEOUT_US 10000000

struct probe_conn {
    struct load_conn conn;
    int64_t due_us[QUEUE_PER_CONN]; /* ring: requests that wait for the connection */
    unsigned head, n;
};

struct run {
    const struct load_options *o;
    int epoll_fd;
    struct probe_conn *conns;
    unsigned n_ready, n_failed;
    uint64_t due, done, dropped; /* of the requests that are measured */
    FILE *samples;
    struct load_hist all, lag;
    int64_t begin_us;
};

static void next_request(struct probe_conn *p)
{
    if (p->n == 0 || p->conn.step != LOAD_IDLE)
        return;
    p->conn.due_us = p->due_us[p->head];
    p->head = (p->head + 1) % QUEUE_PER_CONN;
    p->n--;
    load_conn_request(&p->conn);
}

static void answered(struct run *r, const struct probe_conn *p)
{
    int64_t us = load_now_us() - p->conn.due_us;

    if (p->conn.due_us < r->begin_us)
        return;
    r->done++;
    load_hist_add(&r->all, us);
    if (r->samples != NULL)
        (void)fprintf(r->samples, "%" PRId64 " %" PRId64 "\n", p->conn.due_us, us);
}

static void lost(struct run *r, struct probe_conn *p)
{
    r->n_failed++;
    r->dropped += p->n + (p->conn.step == LOAD_REQUEST || p->conn.step == LOAD_RESPONSE);
    load_conn_close(&p->conn, false);
}

static void advance(struct run *r, struct probe_conn *p)
{
    do {
        enum load_step before = p->conn.step;
        enum load_result result = load_conn_advance(&p->conn, r->o);

        if (result == LOAD_PENDING)
            return;
        if (result == LOAD_FAILED) {
            lost(r, p);
            return;
        }
        if (before == LOAD_CONNECTING || before == LOAD_HANDSHAKE)
            r->n_ready++;
        else
            answered(r, p);
        next_request(p);
    } while (p->conn.step != LOAD_IDLE);
}

static void poll_until(struct run *r, int64_t until_us)
{
    struct epoll_event ready[POLL_EVENTS];
    int n = load_poll(r->epoll_fd, ready, POLL_EVENTS, until_us);

    for (int i = 0; i < n; i++) {
        struct probe_conn *p = ready[i].data.ptr;

        if (p->conn.step != LOAD_FREE)
            advance(r, p);
    }
}

static void enqueue(struct run *r, struct probe_conn *p, int64_t due_us)
{
    if (due_us >= r->begin_us) {
        r->due++;
        load_hist_add(&r->lag, load_now_us() - due_us);
    }
    if (p->n == QUEUE_PER_CONN || p->conn.step == LOAD_FREE) {
        r->dropped += due_us >= r->begin_us;
        return;
    }
    p->due_us[(p->head + p->n++) % QUEUE_PER_CONN] = due_us;
    if (p->conn.step != LOAD_IDLE)
        return;
    next_request(p);
    advance(r, p);
}

/* `ask`: each makes a request at once, since a server need not wait long for a first one. */
static bool establish(struct run *r, bool ask)
{
    int64_t until_us = load_now_us() + SETUP_TIMEOUT_US;

    for (unsigned i = 0; i < r->o->connections; i++) {
        if (!load_conn_open(&r->conns[i].conn, r->o, r->epoll_fd, NULL))
            return false;
        if (ask)
            enqueue(r, &r->conns[i], load_now_us());
        while (i + 1 - r->n_ready - r->n_failed > AT_ONCE && load_now_us() < until_us)
            poll_until(r, load_now_us() + 10000);
    }
    while ((r->n_ready < r->o->connections || r->done < r->due) && r->n_failed == 0 &&
           load_now_us() < until_us)
        poll_until(r, load_now_us() + 10000);
    return r->n_ready == r->o->connections && r->done == r->due && r->n_failed == 0;
}

static void send_all(struct run *r)
{
    double gap_us = 1e6 / r->o->rate;
    int64_t start_us = load_now_us(), next_us = start_us, end_us;
    uint64_t n = 0;

    r->begin_us = start_us + (int64_t)(r->o->warmup_s * 1e6);
    end_us = r->begin_us + (int64_t)(r->o->duration_s * 1e6);
    while (next_us < end_us) {
        while (next_us <= load_now_us() && next_us < end_us) {
            enqueue(r, &r->conns[n % r->o->connections], next_us);
            next_us = start_us + (int64_t)((double)++n * gap_us);
        }
        poll_until(r, next_us);
    }
    end_us += ANSWER_TIMEOUT_US; /* what is still on its way counts, however late */
    while (r->done + r->dropped < r->due && load_now_us() < end_us)
        poll_until(r, load_now_us() + 20000);
}

static bool run_init(struct run *r, const struct load_options *o, bool ask)
{
    r->o = o;
    r->begin_us = ask ? 0 : INT64_MAX;
    r->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    r->conns = calloc(o->connections, sizeof(*r->conns));
    if (r->epoll_fd < 0 || r->conns == NULL || !load_samples_open(&r->samples, o))
        return false;
    if (establish(r, ask))
        return true;
    (void)fprintf(stderr, "only %u of %u connections were established\n", r->n_ready,
                  o->connections);
    return false;
}

static bool run_fini(struct run *r)
{
    for (unsigned i = 0; r->conns != NULL && i < r->o->connections; i++)
        load_conn_close(&r->conns[i].conn, true);
    free(r->conns);
    (void)close(r->epoll_fd);
    return load_samples_close(r->samples);
}

static void report_latency(const char *name, const struct load_hist *h)
{
    (void)printf(", \"%s\": {\"p50\": %.3f, \"p90\": %.3f, \"p99\": %.3f, \"p999\": %.3f, "
                 "\"max\": %.3f}",
                 name, load_hist_quantile_ms(h, 0.5), load_hist_quantile_ms(h, 0.9),
                 load_hist_quantile_ms(h, 0.99), load_hist_quantile_ms(h, 0.999),
                 (double)h->max_us / 1000);
}

int load_probe(const struct load_options *o)
{
    static struct run r;
    bool ok = run_init(&r, o, false);

    if (ok) {
        (void)fputs("ready\n", stderr);
        send_all(&r);
        (void)printf("{\"due\": %lu, \"done\": %lu, \"dropped\": %lu, \"connections_lost\": %u",
                     r.due, r.done, r.dropped, r.n_failed);
        report_latency("ms", &r.all);
        report_latency("lag_ms", &r.lag);
        (void)printf("}\n");
    }
    return run_fini(&r) && ok ? 0 : 1;
}

int load_idle(const struct load_options *o)
{
    static struct run r;
    bool ok = run_init(&r, o, true);

    if (ok) {
        int64_t until_us = load_now_us() + (int64_t)(o->duration_s * 1e6);

        (void)fputs("ready\n", stderr);
        while (load_now_us() < until_us)
            poll_until(&r, load_now_us() + 100000);
        (void)printf("{\"held\": %u, \"lost\": %u}\n", r.n_ready, r.n_failed);
    }
    return run_fini(&r) && ok ? 0 : 1;
}
