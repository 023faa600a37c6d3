/* Established connections: requests at a steady rate over connections that were there before
 * (probe), or connections that are just held (idle). */
#include "load.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#define WINDOW_US      100000
#define MAX_WINDOWS    6000
#define QUEUE_PER_CONN 4096

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
    uint64_t sent, done, dropped;
    struct load_hist all;
    struct load_hist window;
    double windows[MAX_WINDOWS]; /* p99 of each, ms */
    unsigned n_windows;
    int64_t begin_us, window_end_us;
};

static void next_request(struct run *r, struct probe_conn *p)
{
    if (p->n == 0 || p->conn.step != LOAD_IDLE)
        return;
    p->conn.due_us = p->due_us[p->head];
    p->head = (p->head + 1) % QUEUE_PER_CONN;
    p->n--;
    r->sent++;
    load_conn_request(&p->conn);
}

static void advance(struct run *r, struct probe_conn *p)
{
    for (;;) {
        enum load_step before = p->conn.step;
        enum load_result result = load_conn_advance(&p->conn, r->o);

        if (result == LOAD_PENDING)
            return;
        if (result == LOAD_FAILED) {
            r->n_failed++;
            load_conn_close(&p->conn, false);
            return;
        }
        if (before == LOAD_CONNECTING || before == LOAD_HANDSHAKE) {
            r->n_ready++;
        } else {
            int64_t us = load_now_us() - p->conn.due_us;

            r->done++;
            if (p->conn.due_us >= r->begin_us) {
                load_hist_add(&r->all, us);
                load_hist_add(&r->window, us);
            }
        }
        next_request(r, p);
        if (p->conn.step == LOAD_IDLE)
            return;
    }
}

static void poll_once(struct run *r, int wait_ms)
{
    struct epoll_event ready[512];
    int n = epoll_wait(r->epoll_fd, ready, 512, wait_ms);

    for (int i = 0; i < n; i++) {
        struct probe_conn *p = ready[i].data.ptr;

        if (p->conn.step != LOAD_FREE)
            advance(r, p);
    }
}

static void enqueue(struct run *r, uint64_t i, int64_t due_us)
{
    struct probe_conn *p = &r->conns[i % r->o->connections];

    if (p->n == QUEUE_PER_CONN || p->conn.step == LOAD_FREE) {
        r->dropped++;
        return;
    }
    p->due_us[(p->head + p->n++) % QUEUE_PER_CONN] = due_us;
    if (p->conn.step != LOAD_IDLE)
        return;
    next_request(r, p);
    advance(r, p);
}

static void close_window(struct run *r, int64_t now_us)
{
    if (now_us < r->window_end_us)
        return;
    if (r->n_windows < MAX_WINDOWS)
        r->windows[r->n_windows++] = load_hist_quantile_ms(&r->window, 0.99);
    r->window = (struct load_hist){0};
    r->window_end_us += WINDOW_US;
}

static bool establish(struct run *r)
{
    int64_t until_us = load_now_us() + 60000000;

    for (unsigned i = 0; i < r->o->connections; i++) {
        if (!load_conn_open(&r->conns[i].conn, r->o, r->epoll_fd, NULL))
            return false;
        /* A few dozen at a time: this is not the flood. */
        while (i + 1 - r->n_ready - r->n_failed > 32 && load_now_us() < until_us)
            poll_once(r, 10);
    }
    while (r->n_ready + r->n_failed < r->o->connections && load_now_us() < until_us)
        poll_once(r, 10);
    return r->n_ready == r->o->connections;
}

static void send_all(struct run *r)
{
    double gap_us = 1e6 / r->o->rate;
    int64_t start_us = load_now_us(), end_us;
    uint64_t n = 0;

    r->begin_us = start_us + (int64_t)(r->o->warmup_s * 1e6);
    r->window_end_us = r->begin_us + WINDOW_US;
    end_us = r->begin_us + (int64_t)(r->o->duration_s * 1e6);
    for (;;) {
        int64_t now_us = load_now_us();
        int64_t next_us = start_us + (int64_t)((double)n * gap_us);

        if (now_us >= end_us)
            break;
        while (next_us <= now_us) {
            enqueue(r, n++, next_us);
            next_us = start_us + (int64_t)((double)n * gap_us);
        }
        if (now_us >= r->begin_us)
            close_window(r, now_us);
        poll_once(r, next_us - load_now_us() > 1200 ? 1 : 0);
    }
    end_us += 10000000; /* what is still on its way counts, however late */
    while (r->done < r->sent && load_now_us() < end_us)
        poll_once(r, 20);
}

static int run_init(struct run *r, const struct load_options *o)
{
    r->o = o;
    r->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    r->conns = calloc(o->connections, sizeof(*r->conns));
    if (r->epoll_fd < 0 || r->conns == NULL)
        return 1;
    if (establish(r))
        return 0;
    (void)fprintf(stderr, "only %u of %u connections were established\n", r->n_ready,
                  o->connections);
    return 1;
}

static void run_fini(struct run *r)
{
    for (unsigned i = 0; i < r->o->connections; i++)
        load_conn_close(&r->conns[i].conn, true);
    free(r->conns);
    (void)close(r->epoll_fd);
}

static void report(const struct run *r)
{
    (void)printf("{\"sent\": %lu, \"done\": %lu, \"failed\": %u, \"dropped\": %lu, "
                 "\"ms\": {\"p50\": %.3f, \"p90\": %.3f, \"p99\": %.3f, \"p999\": %.3f, "
                 "\"max\": %.3f}, \"window_p99_ms\": [",
                 r->sent, r->done, r->n_failed, r->dropped, load_hist_quantile_ms(&r->all, 0.5),
                 load_hist_quantile_ms(&r->all, 0.9), load_hist_quantile_ms(&r->all, 0.99),
                 load_hist_quantile_ms(&r->all, 0.999), (double)r->all.max_us / 1000);
    for (unsigned i = 0; i < r->n_windows; i++)
        (void)printf("%s%.2f", i == 0 ? "" : ", ", r->windows[i]);
    (void)printf("]}\n");
}

int load_probe(const struct load_options *o)
{
    static struct run r;
    int rc = run_init(&r, o);

    if (rc == 0) {
        (void)fprintf(stderr, "ready\n");
        send_all(&r);
        report(&r);
    }
    run_fini(&r);
    return rc;
}

int load_idle(const struct load_options *o)
{
    static struct run r;
    int rc = run_init(&r, o);
    int64_t until_us = load_now_us() + (int64_t)(o->duration_s * 1e6);

    if (rc == 0) {
        (void)fprintf(stderr, "ready\n");
        while (load_now_us() < until_us)
            poll_once(&r, 100);
        (void)printf("{\"held\": %u, \"lost\": %u}\n", r.n_ready, r.n_failed);
    }
    run_fini(&r);
    return rc;
}
