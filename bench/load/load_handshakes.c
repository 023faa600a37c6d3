/* Handshakes, each with one request, either at a rate (open loop) or as fast as a fixed number of
 * clients goes (closed loop: capacity, and CPU per handshake). */
#include "load.h"

#include <inttypes.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

/* An open loop that fell so far behind will not catch up: what it missed is told, not made up for
 * in one burst. */
#define BEHIND_US   50000
/* Started in a row before answers are read. */
#define BURST       16
#define POLL_EVENTS 512

/* Counted by when something happened, within the measured span only. */
struct counts {
    uint64_t due;     /* units that should have begun */
    uint64_t started; /* of those */
    uint64_t missed;  /* the generator was too late, or had too many open: never begun */
    uint64_t done, in_time, failed, resumed;
};

struct run {
    const struct load_options *o;
    int epoll_fd;
    struct load_conn *conns; /* o->max_open or o->connections of them */
    struct load_conn *free_list;
    struct load_conn *gathering; /* LOAD_SHAPE_TOGETHER */
    SSL_SESSION *session;        /* to resume */
    FILE *samples;
    struct counts counts;
    uint64_t done_ever;
    struct load_hist total, handshake, lag;
    int64_t begin_us, end_us, batch_end_us;
};

static bool in_span(const struct run *r, int64_t us)
{
    return us >= r->begin_us && us < r->end_us;
}

static void give_back(struct run *r, struct load_conn *c, bool clean)
{
    load_conn_close(c, clean);
    c->next = r->free_list;
    r->free_list = c;
}

static bool open_one(struct run *r, int64_t due_us)
{
    struct load_conn *c = r->free_list;

    if (c == NULL || !load_conn_open(c, r->o, r->epoll_fd, r->session))
        return false;
    r->free_list = c->next;
    c->due_us = due_us;
    return true;
}

static bool start_one(struct run *r, int64_t due_us)
{
    int64_t now_us = load_now_us();
    bool started = now_us - due_us < BEHIND_US && open_one(r, due_us);

    if (!in_span(r, due_us))
        return started;
    r->counts.due++;
    if (started) {
        r->counts.started++;
        load_hist_add(&r->lag, now_us - due_us);
    } else {
        r->counts.missed++;
    }
    return started;
}

/* A session can be resumed once the server's ticket has come, and with it again and again. */
static void keep_session(struct run *r, const struct load_conn *c)
{
    SSL_SESSION *session;

    if (!r->o->resume || r->session != NULL)
        return;
    session = SSL_get1_session(c->ssl);
    if (session != NULL && SSL_SESSION_is_resumable(session) == 1)
        r->session = session;
    else
        SSL_SESSION_free(session);
}

static void finished(struct run *r, struct load_conn *c)
{
    int64_t now_us = load_now_us();

    r->done_ever++;
    if (in_span(r, now_us)) {
        r->counts.done++;
        r->counts.resumed += c->resumed;
        r->counts.in_time += now_us - c->due_us <= r->o->deadline_us;
        load_hist_add(&r->total, now_us - c->due_us);
        load_hist_add(&r->handshake, c->secured_us - c->due_us);
    }
    if (r->samples != NULL)
        (void)fprintf(r->samples, "%" PRId64 " %" PRId64 " %" PRId64 "\n", c->due_us,
                      c->secured_us - c->due_us, now_us - c->due_us);
    keep_session(r, c);
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
    r->counts.failed += in_span(r, load_now_us());
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

static void poll_once(struct run *r, int64_t until_us)
{
    struct epoll_event ready[POLL_EVENTS];
    int n = load_poll(r->epoll_fd, ready, POLL_EVENTS, until_us);

    for (int i = 0; i < n; i++) {
        struct load_conn *c = ready[i].data.ptr;

        if (c->step != LOAD_FREE && !c->gathered)
            advance(r, c);
    }
}

static void open_loop(struct run *r)
{
    const bool together = r->o->shape == LOAD_SHAPE_TOGETHER;
    double gap_us = 1e6 / r->o->rate;
    int64_t start_us = load_now_us(), next_us = start_us;
    uint64_t n = 0;

    r->batch_end_us = start_us + r->o->batch_us;
    while (next_us < r->end_us) {
        int burst = 0;

        while (next_us <= load_now_us() && burst < BURST) {
            burst += start_one(r, next_us);
            next_us = start_us + (int64_t)((double)++n * gap_us);
        }
        if (together && load_now_us() >= r->batch_end_us) {
            release_batch(r);
            r->batch_end_us += r->o->batch_us;
        }
        poll_once(r, together && r->batch_end_us < next_us ? r->batch_end_us : next_us);
    }
}

static void closed_loop(struct run *r)
{
    int64_t now_us;

    while ((now_us = load_now_us()) < r->end_us) {
        while (r->free_list != NULL && start_one(r, load_now_us()))
            ;
        poll_once(r, now_us + 5000);
    }
}

static void report_latency(const char *name, const struct load_hist *h)
{
    (void)printf(", \"%s\": {\"p50\": %.3f, \"p90\": %.3f, \"p99\": %.3f, \"max\": %.3f}", name,
                 load_hist_quantile_ms(h, 0.5), load_hist_quantile_ms(h, 0.9),
                 load_hist_quantile_ms(h, 0.99), (double)h->max_us / 1000);
}

static void report(const struct run *r)
{
    const struct counts *n = &r->counts;

    (void)printf("{\"due\": %lu, \"started\": %lu, \"missed\": %lu, \"done\": %lu, "
                 "\"in_time\": %lu, \"failed\": %lu, \"resumed\": %lu, \"done_ever\": %lu, "
                 "\"per_second\": %.1f, \"started_per_second\": %.1f",
                 n->due, n->started, n->missed, n->done, n->in_time, n->failed, n->resumed,
                 r->done_ever, (double)n->in_time / r->o->duration_s,
                 (double)n->started / r->o->duration_s);
    report_latency("handshake_ms", &r->handshake);
    report_latency("total_ms", &r->total);
    report_latency("lag_ms", &r->lag);
    (void)printf("}\n");
}

static bool run_init(struct run *r, const struct load_options *o, unsigned n)
{
    r->o = o;
    r->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    r->conns = calloc(n, sizeof(*r->conns));
    if (r->epoll_fd < 0 || r->conns == NULL || !load_samples_open(&r->samples, o))
        return false;
    for (unsigned i = 0; i < n; i++) {
        r->conns[i].fd = -1;
        r->conns[i].next = r->free_list;
        r->free_list = &r->conns[i];
    }
    r->begin_us = load_now_us() + (int64_t)(o->warmup_s * 1e6);
    r->end_us = r->begin_us + (int64_t)(o->duration_s * 1e6);
    return true;
}

/* What is still open when the time is over is cut off: its clients would have gone on waiting. */
static bool run_fini(struct run *r, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        load_conn_close(&r->conns[i], false);
    SSL_SESSION_free(r->session);
    free(r->conns);
    (void)close(r->epoll_fd);
    return load_samples_close(r->samples);
}

int load_handshakes(const struct load_options *o)
{
    static struct run r;
    unsigned n = o->rate > 0 ? o->max_open : o->connections;

    if (!run_init(&r, o, n))
        return 1;
    if (o->rate > 0)
        open_loop(&r);
    else
        closed_loop(&r);
    report(&r);
    return run_fini(&r, n) ? 0 : 1;
}
