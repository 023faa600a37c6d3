/* What comes in on the control socket: who asks, for what, and the body, until a handler can run.
 */
#include "admin_exchange.h"
#include "admin_request.h"

#include <sallyport/base/log.h>
#include <sallyport/base/metrics.h>

#include <stdlib.h>
#include <unistd.h>

static struct admin_exchange *of_user(struct http_stream_user *u)
{
    return container_of(u, struct admin_exchange, user);
}

/* ---- The request, as it comes ---- */

/* On the data thread: nothing of it blocks. What is left of the body is the session's business. */
#define refuse(x, status, ...)                              \
    do {                                                    \
        admin_problem(&(x)->answer, (status), __VA_ARGS__); \
        admin_exchange_answer(x);                           \
    } while (0)

static void on_body(struct http_stream_user *u, struct http_stream *s, struct iobuf *data, bool end)
{
    struct admin_exchange *x = of_user(u);

    (void)s;
    if (x->body.len + data->len > ADMIN_MAX_BODY_BYTES) {
        iobuf_clear(data);
        METRIC_INC(admin_refused);
        refuse(x, 413, "a body can have %zu bytes", ADMIN_MAX_BODY_BYTES);
        return;
    }
    while (data->len > 0) {
        struct view piece = iobuf_first(data);

        if (admin_text_append(&x->body, piece) != SP_OK) {
            iobuf_clear(data);
            admin_exchange_abort(x);
            return;
        }
        iobuf_consume(data, piece.len);
    }
    if (end)
        admin_exchange_dispatch(x);
}

static void on_trailers(struct http_stream_user *u, struct http_stream *s,
                        const struct http_fields *trailers)
{
    (void)s;
    (void)trailers;
    admin_exchange_dispatch(of_user(u));
}

static void on_head(struct http_stream_user *u, struct http_stream *s, const struct http_head *head,
                    bool end)
{
    (void)u, (void)s, (void)head, (void)end; /* responses have one, requests came with theirs */
}

static void on_writable(struct http_stream_user *u, struct http_stream *s)
{
    struct admin_exchange *x = of_user(u);

    (void)s;
    if (!x->away && x->left.len > 0)
        admin_exchange_push(x);
}

static void on_failed(struct http_stream_user *u, struct http_stream *s, enum http_error why)
{
    struct admin_exchange *x = of_user(u);

    if (s->answerable && !x->away) {
        METRIC_INC(admin_refused);
        refuse(x, http_error_status(why), "%s", http_error_text(why));
        return;
    }
    admin_exchange_leave(x);
}

static const struct http_stream_user_ops user_ops = {
    .head = on_head,
    .body = on_body,
    .trailers = on_trailers,
    .writable = on_writable,
    .failed = on_failed,
};

static struct view copy(struct admin_exchange *x, struct view v, bool *ok)
{
    struct view mine = arena_copy(&x->arena, v);

    *ok = *ok && mine.p != NULL;
    return mine;
}

/* Everything that a handler may look at: the session's own may be gone by then. */
static bool copy_request(struct admin_exchange *x, const struct http_head *head)
{
    const char *mark = head->path.len == 0 ? NULL : memchr(head->path.p, '?', head->path.len);
    struct view path =
        mark == NULL ? head->path : view_head(head->path, (size_t)(mark - head->path.p));
    bool ok = true;

    x->rq.method = head->method;
    x->rq.arena = &x->arena;
    x->rq.path = copy(x, path, &ok);
    x->rq.query = copy(x, view_from(head->path, path.len + (mark != NULL)), &ok);
    for (uint32_t i = 0; ok && i < head->fields.n; i++) {
        struct view name = copy(x, head->fields.v[i].name, &ok);
        struct view value = copy(x, head->fields.v[i].value, &ok);

        ok = ok &&
             http_fields_add(&x->rq.fields, &x->arena, head->fields.v[i].id, name, value) == SP_OK;
    }
    return ok;
}

static struct admin_exchange *exchange_of(struct admin_service *svc, struct http_stream *s,
                                          const struct http_head *head)
{
    struct admin_exchange *x = admin_exchange_new(svc);

    if (x == NULL)
        return NULL;
    if (!copy_request(x, head)) {
        admin_exchange_free(x);
        return NULL;
    }
    x->stream = s;
    s->user = &x->user;
    x->user.ops = &user_ops;
    return x;
}

/* False: answered. */
static bool admit(struct admin_exchange *x)
{
    struct admin_peer *peer = &x->rq.peer;

    if (x->service->peer_of(x->stream->vc, peer) &&
        (peer->uid == 0 || peer->uid == geteuid() || peer->uid == x->service->owner))
        return true;
    METRIC_INC(admin_denied);
    LOG_LIMITED(ADMIN, WARN, "denied uid=%u pid=%ld", (unsigned)peer->uid, (long)peer->pid);
    refuse(x, 403, "uid %u may not use this socket", (unsigned)peer->uid);
    return false;
}

/* False: answered. */
static bool find_route(struct admin_exchange *x)
{
    struct view path = x->rq.path;
    char allow[64];

    switch (admin_table_find(x->service->table, x->rq.method, path, &x->rq.route, allow,
                             sizeof(allow))) {
    case ADMIN_FOUND: return true;
    case ADMIN_NOT_FOUND:
        refuse(x, 404, "nothing is at " VIEW_FMT "; GET / lists what is", VIEW_ARG(path));
        break;
    case ADMIN_WRONG_METHOD:
        admin_answer_field(&x->answer, "allow", "%s", allow);
        refuse(x, 405, VIEW_FMT " takes %s", VIEW_ARG(path), allow);
        break;
    }
    return false;
}

/* False: answered. */
static bool check_request(struct admin_exchange *x, const struct http_head *head, bool end)
{
    struct view unknown = admin_query_unknown(x->rq.route, x->rq.query), path = x->rq.path;

    if (unknown.len > 0) {
        refuse(x, 400, VIEW_FMT " has no parameter \"" VIEW_FMT "\"", VIEW_ARG(path),
               VIEW_ARG(unknown));
    } else if (!end && (x->rq.route->flags & ADMIN_BODY) == 0) {
        refuse(x, 400, VIEW_FMT " takes no body", VIEW_ARG(path));
    } else if (head->body == HTTP_BODY_LENGTH && head->content_length > ADMIN_MAX_BODY_BYTES) {
        refuse(x, 413, "a body can have %zu bytes", ADMIN_MAX_BODY_BYTES);
    } else {
        return true;
    }
    METRIC_INC(admin_refused);
    return false;
}

static void request(struct http_service *super, struct http_stream *s, const struct http_head *head,
                    bool end)
{
    struct admin_service *svc = container_of(super, struct admin_service, super);
    struct admin_exchange *x = exchange_of(svc, s, head);

    METRIC_INC(admin_requests);
    if (x == NULL) {
        s->ops->abort(s, HTTP_ERROR_NOMEM);
        http_stream_release(s);
        return;
    }
    if (admit(x) && find_route(x) && check_request(x, head, end) && end)
        admin_exchange_dispatch(x);
}

/* What is no request at all gets a problem as well. */
static enum sp_err error_answer(struct http_service *super, struct http_stream *s,
                                enum http_error why, struct http_head *head, struct iobuf *body)
{
    struct admin_text text = {0};
    struct admin_answer a;
    struct view whole;
    enum sp_err err = admin_text_open(&text);

    (void)super;
    if (err != SP_OK)
        return err;
    admin_answer_init(&a, &s->arena, &text);
    admin_problem(&a, http_error_status(why), "%s", http_error_text(why));
    err = admin_text_get(&text, &whole);
    if (err == SP_OK)
        err = admin_answer_head(&a, whole.len, head);
    if (err == SP_OK)
        err = iobuf_append_view(body, whole);
    admin_text_close(&text);
    return err;
}

static void refused(struct http_service *super, struct http_stream *s, enum http_error why)
{
    (void)super;
    (void)s;
    METRIC_INC(admin_refused);
    LOG_LIMITED(ADMIN, WARN, "refused error=%s", http_error_label(why));
}

static const struct http_service_ops service_ops = {
    .request = request,
    .error_answer = error_answer,
    .refused = refused,
};

/* ---- Life ---- */

/* unix(7), SO_PEERCRED: as it was when the peer connected. */
static bool peer_of_socket(const struct net_vconnection *vc, struct admin_peer *peer)
{
    struct ucred cred;
    socklen_t len = sizeof(cred);

    if (getsockopt(vc->fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) != 0)
        return false;
    *peer = (struct admin_peer){.pid = cred.pid, .uid = cred.uid, .gid = cred.gid};
    return true;
}

enum sp_err admin_service_init(struct admin_service *svc, struct event_processor *ep, int et_task,
                               struct server *server)
{
    struct list *exchanges = calloc((size_t)ep->n_threads, sizeof(*exchanges));

    if (exchanges == NULL)
        return SP_NOMEM;
    for (int i = 0; i < ep->n_threads; i++)
        list_init(&exchanges[i]);
    *svc = (struct admin_service){
        .super.ops = &service_ops,
        .server = server,
        .table = &admin_table,
        .ep = ep,
        .et_task = et_task,
        .owner = geteuid(),
        .peer_of = peer_of_socket,
        .exchanges = exchanges,
        .n_threads = ep->n_threads,
    };
    return SP_OK;
}

void admin_service_stop(struct admin_service *svc)
{
    struct list *n;

    for (int i = 0; i < svc->n_threads; i++)
        list_for_each (n, &svc->exchanges[i])
            admin_exchange_end_stream(container_of(n, struct admin_exchange, link));
}

void admin_service_fini(struct admin_service *svc)
{
    struct list *n, *next;

    for (int i = 0; i < svc->n_threads; i++)
        list_for_each_safe (n, next, &svc->exchanges[i])
            admin_exchange_free(container_of(n, struct admin_exchange, link));
    free(svc->exchanges);
    svc->exchanges = NULL;
    svc->n_threads = 0;
}
