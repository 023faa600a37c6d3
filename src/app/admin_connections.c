/* Every connection. A data thread copies what is asked for and goes on; everything else happens
 * here, on ET_TASK. */
#include "admin_gather.h"
#include "admin_route.h"
#include "server_internal.h"

#include <stdlib.h>

#define TIMEOUT_MS    1000
#define LIMIT_DEFAULT 1000
#define LIMIT_MAX     100000

/* Foreign text, cut to what fits. */
struct short_text {
    uint8_t len;
    char p[79];
};

/* One connection as it was. */
struct seen {
    uint64_t id, bytes_in, bytes_out;
    union ip_endpoint local, remote, client;
    int64_t age_ms, idle_ms, inactivity_ms, active_left_ms;   /* 0: no such limit */
    const char *transport, *state, *tls_version, *tls_cipher; /* static; NULL: none */
    const char *thread;
    uint32_t handshake_us, wait_us;
    struct short_text port, sni, alpn, bundle;
    bool incoming, resumed;
};

struct question {
    struct short_text state, port, address; /* empty: any */
    uint64_t limit;
};

struct part {
    struct seen *v; /* owned */
    size_t n, cap;
    uint64_t matched;
    bool nomem;
};

static struct short_text shorten(struct view v)
{
    struct short_text t = {0};

    t.len = (uint8_t)(v.len < sizeof(t.p) ? v.len : sizeof(t.p));
    if (t.len > 0)
        memcpy(t.p, v.p, t.len);
    return t;
}

static struct view view_of_short(const struct short_text *t)
{
    return (struct view){t->p, t->len};
}

/* ---- On the thread of the connections ---- */

static const char *state_of(const struct net_vconnection *vc)
{
    switch (vc->phase) {
    case VC_CONNECTING: return "connecting";
    case VC_HANDSHAKE: return "handshake";
    case VC_OPEN: break;
    }
    return vc->queue == VC_QUEUE_KEEP_ALIVE ? "idle" : "active";
}

static bool is_wanted(const struct net_vconnection *vc, const struct question *q)
{
    char address[ENDPOINT_TEXT_MAX];

    if (q->state.len > 0 && !view_eq(view_of(state_of(vc)), view_of_short(&q->state)))
        return false;
    if (q->port.len > 0 &&
        (vc->accept == NULL || !view_eq(vc->accept->options.label, view_of_short(&q->port))))
        return false;
    if (q->address.len == 0)
        return true;
    return view_eq(view_of(ip_endpoint_format_address(&vc->client, address, sizeof(address))),
                   view_of_short(&q->address)) ||
           view_eq(view_of(ip_endpoint_format_address(&vc->remote, address, sizeof(address))),
                   view_of_short(&q->address));
}

static void look_at_tls(const struct net_vconnection *vc, struct seen *s)
{
    struct tls_info tls = {0};

    if (!net_vc_tls_info(vc, &tls))
        return;
    s->tls_version = tls.version;
    s->tls_cipher = tls.cipher;
    s->sni = shorten(tls.sni);
    s->alpn = shorten(tls.alpn);
    s->bundle = shorten(tls.bundle);
    s->resumed = tls.resumed;
    s->handshake_us = tls.handshake_us;
    s->wait_us = tls.wait_us;
}

static void look_at(struct net_vconnection *vc, struct seen *s)
{
    int64_t now_ms = ethread_now_ms(vc->thread);

    *s = (struct seen){
        .id = vc->id,
        .bytes_in = vc->bytes_in,
        .bytes_out = vc->bytes_out,
        .local = *net_vc_local(vc),
        .remote = vc->remote,
        .client = vc->client,
        .age_ms = now_ms - vc->opened_ms,
        .idle_ms = now_ms - vc->last_activity_ms,
        .inactivity_ms = vc->inactivity_ms,
        .active_left_ms = vc->active_deadline_ms == 0 ? 0 : vc->active_deadline_ms - now_ms,
        .transport = vc->ops->name,
        .state = state_of(vc),
        .thread = vc->thread->name,
        .incoming = vc->accept != NULL,
    };
    if (vc->accept != NULL)
        s->port = shorten(vc->accept->options.label);
    look_at_tls(vc, s);
}

/* NULL: out of memory, which is remembered. */
static struct seen *next_place(struct part *p)
{
    size_t cap = p->cap == 0 ? 64 : p->cap * 2;
    struct seen *grown;

    if (p->n < p->cap)
        return &p->v[p->n++];
    grown = realloc(p->v, cap * sizeof(*grown));
    if (grown == NULL) {
        p->nomem = true;
        return NULL;
    }
    p->v = grown;
    p->cap = cap;
    return &p->v[p->n++];
}

static void visit(struct net_handler *nh, const void *question, void *part)
{
    const struct question *q = question;
    struct part *p = part;
    struct list *n;

    list_for_each (n, &nh->open) {
        struct net_vconnection *vc = container_of(n, struct net_vconnection, open_link);
        struct seen *s;

        if (!is_wanted(vc, q) || p->matched++ >= q->limit)
            continue;
        s = next_place(p);
        if (s == NULL)
            return;
        look_at(vc, s);
    }
}

static void part_fini(void *part)
{
    free(((struct part *)part)->v);
}

/* ---- The answer ---- */

static void write_endpoint(struct json_writer *j, const char *name, const union ip_endpoint *e)
{
    char text[ENDPOINT_TEXT_MAX];

    if (e->sa.sa_family != AF_UNSPEC)
        json_string(j, name, ip_endpoint_format(e, text, sizeof(text)));
}

static void write_short(struct json_writer *j, const char *name, const struct short_text *t)
{
    if (t->len > 0)
        json_text(j, name, view_of_short(t));
}

static void write_tls(struct json_writer *j, const struct seen *s)
{
    if (s->tls_version == NULL)
        return;
    json_object(j, "tls");
    json_string(j, "version", s->tls_version);
    json_string(j, "cipher", s->tls_cipher);
    write_short(j, "sni", &s->sni);
    write_short(j, "alpn", &s->alpn);
    write_short(j, "bundle", &s->bundle);
    json_bool(j, "resumed", s->resumed);
    json_number(j, "handshake_us", s->handshake_us);
    json_number(j, "wait_us", s->wait_us);
    json_end(j);
}

static void write_timers(struct json_writer *j, const struct seen *s)
{
    if (s->inactivity_ms > 0)
        json_signed(j, "inactivity_timeout_ms", s->inactivity_ms);
    if (s->active_left_ms > 0)
        json_signed(j, "active_timeout_in_ms", s->active_left_ms);
}

static void write_connection(struct json_writer *j, const struct seen *s)
{
    json_object(j, NULL);
    json_number(j, "id", s->id);
    json_string(j, "thread", s->thread);
    json_string(j, "side", s->incoming ? "client" : "server");
    json_string(j, "state", s->state);
    json_string(j, "transport", s->transport);
    write_short(j, "port", &s->port);
    write_endpoint(j, "local", &s->local);
    write_endpoint(j, "remote", &s->remote);
    if (s->incoming)
        write_endpoint(j, "client", &s->client);
    json_signed(j, "age_ms", s->age_ms);
    json_signed(j, "idle_ms", s->idle_ms);
    json_number(j, "bytes_in", s->bytes_in);
    json_number(j, "bytes_out", s->bytes_out);
    write_timers(j, s);
    write_tls(j, s);
    json_end(j);
}

static int compare_ids(const void *a, const void *b)
{
    const struct seen *x = *(const struct seen *const *)a, *y = *(const struct seen *const *)b;

    return (x->id > y->id) - (x->id < y->id);
}

/* What all threads said, the oldest connection first. */
struct found {
    const struct seen **v; /* owned */
    size_t n;
    uint64_t matched;
};

static bool collect(struct admin_gather *g, struct found *f)
{
    size_t n = 0;

    for (int i = 0; i < admin_gather_count(g); i++) {
        const struct part *p = admin_gather_part(g, i);

        if (p != NULL && p->nomem)
            return false;
        n += p == NULL ? 0 : p->n;
    }
    f->v = malloc((n == 0 ? 1 : n) * sizeof(*f->v));
    if (f->v == NULL)
        return false;
    for (int i = 0; i < admin_gather_count(g); i++) {
        const struct part *p = admin_gather_part(g, i);

        /* One that answered since is left out: there is no room for it. */
        if (p == NULL || f->n + p->n > n)
            continue;
        f->matched += p->matched;
        for (size_t k = 0; k < p->n; k++)
            f->v[f->n++] = &p->v[k];
    }
    qsort(f->v, f->n, sizeof(*f->v), compare_ids);
    return true;
}

static void write_found(struct admin_answer *a, const struct found *f, uint64_t limit,
                        bool complete)
{
    struct json_writer *j = &a->json;

    json_object(j, NULL);
    json_number(j, "matched", f->matched);
    json_bool(j, "complete", complete && f->matched <= limit);
    json_array(j, "connections");
    for (size_t i = 0; i < f->n && i < limit; i++)
        write_connection(j, f->v[i]);
    json_end(j);
    json_end(j);
}

static void gather_and_answer(struct admin_gather *g, struct admin_answer *a, uint64_t limit)
{
    struct found f = {0};
    bool complete = admin_gather_run(g, visit, TIMEOUT_MS);

    if (collect(g, &f))
        write_found(a, &f, limit, complete);
    else
        admin_problem(a, 503, "out of memory");
    free(f.v);
}

static void ask_text(const struct admin_request *rq, const char *name, struct short_text *out)
{
    struct view v;

    if (admin_request_query(rq, name, &v))
        *out = shorten(v);
}

static void get_connections(const struct admin_request *rq, struct admin_answer *a)
{
    struct question q = {.limit = LIMIT_DEFAULT};
    struct admin_gather *g;

    ask_text(rq, "state", &q.state);
    ask_text(rq, "port", &q.port);
    ask_text(rq, "address", &q.address);
    if (!admin_request_number(rq, a, "limit", 0, LIMIT_MAX, &q.limit))
        return;
    g = admin_gather_new(rq->server->core, sizeof(struct part), &q, sizeof(q), part_fini);
    if (g == NULL) {
        admin_problem(a, 503, "out of memory");
        return;
    }
    gather_and_answer(g, a, q.limit);
    admin_gather_unref(g);
}

static const struct admin_parameter query[] = {
    {"state", "only those that are `connecting`, in their `handshake`, `active` or `idle`"},
    {"port", "only clients of that port, named as in the configuration"},
    {"address", "only those whose client or other end has this address"},
    {"limit", "how many at the most (1000)"},
};
static const struct admin_route rows[] = {
    {HTTP_METHOD_GET, "/connections", get_connections, ADMIN_QUERY(query),
     .help = "Every connection, of clients and to servers, the oldest first. `complete` is false "
             "where the limit or a thread that did not answer within a second left some out."},
};
const struct admin_routes admin_connections_routes = {"Connections", ADMIN_ROWS(rows)};
