/* Handshakes, each with one request, either at a rate (open loop) or as fast as a fixed number of
 * clients goes (closed loop: capacity, and CPU per handshake). */
#include "load.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

struct run {
    const struct load_options *o;
    int epoll_fd;
    struct load_conn *conns; /* o->max_open or o->connections of them */
    struct load_conn *free_list;
    struct load_conn *gathering; /* LOAD_SHAPE_TOGETHER */
    SSL_SESSION *session;        /* to resume */
    uint64_t started, done, late, failed, no_room, resumed;
    uint64_t done_in_time; /* within the measured span, and not late */
    struct load_hist total, handshake;
    int64_t begin_us, end_us, batch_end_us;
};

static void give_back(struct run *r, struct load_conn *c, bool clean)
{
    load_conn_close(c, clean);
    c->next = r->free_list;
    r->free_list = c;
}

static bool start_one(struct run *r, int64_t due_us)
{
    struct load_conn *c = r->free_list;

    r->started++;
    if (c == NULL) {
        r->no_room++;
        return false;
    }
    r->free_list = c->next;
    c->due_us = due_us;
    if (load_conn_open(c, r->o, r->epoll_fd, r->session))
        return true;
    r->failed++;
    c->next = r->free_list;
    r->free_list = c;
    return false;
}

static void finished(struct run *r, struct load_conn *c)
{
    int64_t now_us = load_now_us();

    if (c->due_us >= r->begin_us) {
        r->done++;
        r->resumed += c->resumed;
        load_hist_add(&r->total, now_us - c->due_us);
        load_hist_add(&r->handshake, c->secured_us - c->due_us);
        if (now_us - c->due_us <= r->o->deadline_us)
            r->done_in_time++;
        else
            r->late++;
    }
    if (r->o->resume && r->session == NULL && !c->resumed)
        r->session = SSL_get1_session(c->ssl);
    give_back(r, c, true);
}

static void advance(struct run *r, struct load_conn *c)
{
    enum load_result result = load_conn_advance(c, r->o);

    if (result == LOAD_DONE && c->head_len == 0) { /* the handshake: now the request */
        load_conn_request(c);
        result = load_conn_advance(c, r->o);
    }
    if (result == LOAD_PENDING) {
        if (c->step == LOAD_GATHERING && !c->gathered) {
            c->gathered = true;
            c->next = r->gathering;
            r->gathering = c;
        }
        return;
    }
    if (result == LOAD_DONE) {
        finished(r, c);
        return;
    }
    if (c->due_us >= r->begin_us)
        r->failed++;
    give_back(r, c, false);
}

/* Those that gathered speak together. */
static void release_batch(struct run *r)
{
    while (r->gathering != NULL) {
        struct load_conn *c = r->gathering;

        r->gathering = c->next;
        c->gathered = false;
        c->step = LOAD_HANDSHAKE;
        c->due_us = load_now_us();
        advance(r, c);
    }
}

static void poll_once(struct run *r, int wait_ms)
{
    struct epoll_event ready[512];
    int n = epoll_wait(r->epoll_fd, ready, 512, wait_ms);

    for (int i = 0; i < n; i++) {
        struct load_conn *c = ready[i].data.ptr;

        if (c->step != LOAD_FREE)
            advance(r, c);
    }
}

static void open_loop(struct run *r)
{
    double gap_us = 1e6 / r->o->rate;
    int64_t start_us = load_now_us();
    uint64_t n = 0;

    for (;;) {
        int64_t now_us = load_now_us();
        int64_t next_us = start_us + (int64_t)((double)n * gap_us);
        int burst = 0;

        if (now_us >= r->end_us)
            break;
        /* At most a few at a time, so that answers are read in between. */
        while (next_us <= now_us && burst++ < 16) {
            (void)start_one(r, next_us);
            n++;
            next_us = start_us + (int64_t)((double)n * gap_us);
        }
        if (r->o->shape == LOAD_SHAPE_TOGETHER && now_us >= r->batch_end_us) {
            release_batch(r);
            r->batch_end_us = now_us + r->o->batch_us;
        }
        poll_once(r, next_us - load_now_us() > 1500 ? 1 : 0);
    }
}

static void closed_loop(struct run *r)
{
    while (load_now_us() < r->end_us) {
        while (r->free_list != NULL && start_one(r, load_now_us()))
            ;
        poll_once(r, 5);
    }
}

/* What was started in time may still come in before its deadline. */
static void drain(struct run *r)
{
    int64_t until_us = r->end_us + r->o->deadline_us;

    release_batch(r);
    while (load_now_us() < until_us)
        poll_once(r, 20);
}

static void report(const struct run *r)
{
    double span_s = r->o->duration_s;

    (void)printf("{\"started\": %lu, \"done\": %lu, \"in_time\": %lu, \"late\": %lu, "
                 "\"failed\": %lu, \"no_room\": %lu, \"resumed\": %lu, \"per_second\": %.1f, "
                 "\"handshake_ms\": {\"p50\": %.3f, \"p99\": %.3f}, "
                 "\"total_ms\": {\"p50\": %.3f, \"p90\": %.3f, \"p99\": %.3f, \"max\": %.3f}}\n",
                 r->started, r->done, r->done_in_time, r->late, r->failed, r->no_room, r->resumed,
                 (double)r->done_in_time / span_s, load_hist_quantile_ms(&r->handshake, 0.5),
                 load_hist_quantile_ms(&r->handshake, 0.99), load_hist_quantile_ms(&r->total, 0.5),
                 load_hist_quantile_ms(&r->total, 0.9), load_hist_quantile_ms(&r->total, 0.99),
                 (double)r->total.max_us / 1000);
}

int load_handshakes(const struct load_options *o)
{
    struct run r = {.o = o};
    unsigned n = o->rate > 0 ? o->max_open : o->connections;

    r.epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    r.conns = calloc(n, sizeof(*r.conns));
    if (r.epoll_fd < 0 || r.conns == NULL)
        return 1;
    for (unsigned i = 0; i < n; i++) {
        r.conns[i].fd = -1;
        r.conns[i].next = r.free_list;
        r.free_list = &r.conns[i];
    }
    r.begin_us = load_now_us() + (int64_t)(o->warmup_s * 1e6);
    r.end_us = r.begin_us + (int64_t)(o->duration_s * 1e6);
    if (o->rate > 0)
        open_loop(&r);
    else
        closed_loop(&r);
    drain(&r);
    report(&r);
    for (unsigned i = 0; i < n; i++)
        load_conn_close(&r.conns[i], false);
    SSL_SESSION_free(r.session);
    free(r.conns);
    (void)close(r.epoll_fd);
    return 0;
}
