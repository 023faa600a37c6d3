/* One request after the other: taken in, lent to a task thread, answered. */
#include "admin_service.h"

#include "admin_answer.h"
#include "admin_request.h"

#include <sallyport/base/clock.h>
#include <sallyport/base/log.h>
#include <sallyport/base/metrics.h>

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

/* Of an answer, at a time: a long one must not hold the data thread. */
#define PIECE_BYTES ((size_t)64 * 1024)

enum job { JOB_HANDLE, JOB_MORE, JOB_END };

struct exchange {
    struct http_stream_user user;
    struct admin_service *service;
    struct ethread *thread;     /* the data thread: owner */
    struct http_stream *stream; /* NULL once released */
    struct list link;           /* of the thread's exchanges */
    struct inbox_item item;     /* the way to a task thread and back */
    struct timer timer;         /* a stream's pause */
    struct arena arena;
    struct admin_request rq;
    struct admin_answer answer;
    struct admin_text body; /* of the request */
    struct admin_text text; /* of the answer */
    struct view left;       /* of `text`: not yet given to the stream */
    enum job job;
    bool away;      /* on a task thread: nothing but `stream` may be touched */
    bool more_left; /* a stream has not ended */
};

static struct exchange *of_user(struct http_stream_user *u)
{
    return container_of(u, struct exchange, user);
}

/* ---- The end ---- */

static void exchange_free(struct exchange *x)
{
    list_remove(&x->link);
    admin_text_close(&x->body);
    admin_text_close(&x->text);
    arena_fini(&x->arena);
    free(x);
}

static void lend(struct exchange *x, enum job job);

/* The stream is released and the exchange is here. */
static void finish(struct exchange *x)
{
    void (*then)(struct server *) = x->answer.then;

    ethread_timer_cancel(x->thread, &x->timer);
    x->answer.then = NULL;
    if (then != NULL)
        then(x->service->server);
    if (x->answer.stream != NULL)
        lend(x, JOB_END);
    else
        exchange_free(x);
}

static void release(struct exchange *x)
{
    struct http_stream *s = x->stream;

    x->stream = NULL;
    http_stream_release(s);
}

static void abort_and_finish(struct exchange *x)
{
    x->stream->ops->abort(x->stream, HTTP_ERROR_NOMEM);
    release(x);
    finish(x);
}

/* ---- The answer, on its way ---- */

/* RFC 9110 5.6.7; the names of days and months are C's own, as no locale is ever set. */
static struct view date_now(struct arena *arena)
{
    time_t now = (time_t)(clock_wall_ms() / 1000);
    char text[40];
    struct tm tm;

    if (gmtime_r(&now, &tm) == NULL ||
        strftime(text, sizeof(text), "%a, %d %b %Y %H:%M:%S GMT", &tm) == 0)
        return (struct view){NULL, 0};
    return arena_copy(arena, view_of(text));
}

static enum sp_err add_field(struct http_head *head, struct arena *arena, enum http_field_id id,
                             struct view value)
{
    if (value.p == NULL)
        return SP_NOMEM;
    return http_fields_add(&head->fields, arena, id, view_of(http_field_name(id)), value);
}

static enum sp_err make_head(struct arena *arena, const struct admin_answer *a, size_t length,
                             struct http_head *head)
{
    enum sp_err err;

    *head = (struct http_head){
        .version = HTTP_VERSION_1_1,
        .fields = a->fields,
        .body = a->stream != NULL ? HTTP_BODY_UNSIZED : HTTP_BODY_LENGTH,
        .content_length = length,
        .keep_alive = true,
        .status = (uint16_t)a->status,
        .reason = view_of(http_status_reason(a->status)),
    };
    if (a->status == 204 || a->status == 304)
        head->body = HTTP_BODY_NONE;
    err = add_field(head, arena, HTTP_FIELD_DATE, date_now(arena));
    if (err == SP_OK && length + (a->stream != NULL) > 0)
        err = add_field(head, arena, HTTP_FIELD_CONTENT_TYPE, view_of(a->content_type));
    return err;
}

static enum sp_err send_piece(struct exchange *x, struct view piece, bool end)
{
    struct iobuf data;
    enum sp_err err;

    iobuf_init(&data);
    err = iobuf_append_view(&data, piece);
    if (err == SP_OK)
        err = http_stream_send_body(x->stream, &data, end);
    iobuf_clear(&data);
    return err;
}

static void pause_due(struct timer *t)
{
    lend(container_of(t, struct exchange, timer), JOB_MORE);
}

/* Gives the stream as much as it may hold; goes on when it has drained. */
static void push(struct exchange *x)
{
    struct http_stream *s = x->stream;

    while (x->left.len > 0 && s->ops->send_queued(s) <= s->queue_bound) {
        struct view piece = view_head(x->left, PIECE_BYTES);

        x->left = view_from(x->left, piece.len);
        if (send_piece(x, piece, x->left.len == 0 && !x->more_left) != SP_OK) {
            abort_and_finish(x);
            return;
        }
    }
    if (x->left.len > 0)
        return;
    if (x->more_left) {
        ethread_timer_arm_in(x->thread, &x->timer, x->answer.stream->period_ms);
        return;
    }
    release(x);
    finish(x);
}

static void log_request(const struct exchange *x)
{
    const struct admin_request *rq = &x->rq;
    char path[200];

    if (http_method_is_safe(rq->method))
        LOG_DEBUG(ADMIN, "%s %s status=%u uid=%u pid=%ld", admin_method_name(rq->method),
                  log_escape(path, sizeof(path), rq->path), x->answer.status,
                  (unsigned)rq->peer.uid, (long)rq->peer.pid);
    else
        LOG_INFO(ADMIN, "%s %s status=%u uid=%u pid=%ld", admin_method_name(rq->method),
                 log_escape(path, sizeof(path), rq->path), x->answer.status, (unsigned)rq->peer.uid,
                 (long)rq->peer.pid);
}

/* The whole answer, or a stream's beginning. */
static void answer(struct exchange *x)
{
    struct http_stream *s = x->stream;
    bool bodiless = x->rq.method == HTTP_METHOD_HEAD;
    struct http_head head;

    log_request(x);
    if (admin_text_get(&x->text, &x->left) != SP_OK || x->answer.nomem ||
        make_head(&x->arena, &x->answer, x->left.len, &head) != SP_OK) {
        abort_and_finish(x);
        return;
    }
    x->more_left = x->answer.stream != NULL && !bodiless;
    bodiless = bodiless || (x->left.len == 0 && !x->more_left);
    if (http_stream_send_head(s, &head, bodiless) != SP_OK) {
        abort_and_finish(x);
        return;
    }
    if (!bodiless) {
        push(x);
        return;
    }
    release(x);
    finish(x);
}

/* ---- On a task thread ---- */

bool admin_is_stopping(void)
{
    struct ethread *t = this_ethread();

    return t != NULL && atomic_load_explicit(&t->stopping, memory_order_relaxed);
}

static void run_handler(struct exchange *x)
{
    if (admin_is_stopping())
        admin_problem(&x->answer, 503, "the program is stopping");
    else
        x->rq.route->handler(&x->rq, &x->answer);
    /* Nothing of a stream that was not begun is left. */
    if (x->answer.stream != NULL && x->answer.status >= 400) {
        x->answer.stream->end(x->answer.stream);
        x->answer.stream = NULL;
    }
}

static void run_more(struct exchange *x)
{
    struct admin_stream *stream = x->answer.stream;

    admin_text_reset(&x->text);
    x->more_left = !admin_is_stopping() && stream->more(stream, x->text.out);
}

static void come_back(struct inbox_item *item, struct ethread *t);

static void run_job(struct inbox_item *item, struct ethread *t)
{
    struct exchange *x = container_of(item, struct exchange, item);

    (void)t;
    switch (x->job) {
    case JOB_HANDLE: run_handler(x); break;
    case JOB_MORE: run_more(x); break;
    case JOB_END:
        x->answer.stream->end(x->answer.stream);
        x->answer.stream = NULL;
        break;
    }
    x->item.fn = come_back;
    ethread_post(x->thread, &x->item);
}

static void lend(struct exchange *x, enum job job)
{
    x->job = job;
    x->away = true;
    x->item.fn = run_job;
    ethread_post(event_processor_assign(x->service->ep, x->service->et_task), &x->item);
}

static void go_on(struct exchange *x)
{
    /* A stream that ends without a last word still has its end to be sent. */
    if (admin_text_get(&x->text, &x->left) != SP_OK ||
        (!x->more_left && x->left.len == 0 && send_piece(x, (struct view){NULL, 0}, true) != SP_OK))
        abort_and_finish(x);
    else
        push(x);
}

static void come_back(struct inbox_item *item, struct ethread *t)
{
    struct exchange *x = container_of(item, struct exchange, item);

    (void)t;
    x->away = false;
    if (x->stream == NULL)
        finish(x); /* the client has left */
    else if (x->job == JOB_HANDLE)
        answer(x);
    else
        go_on(x);
}

/* ---- The request, as it comes ---- */

static void dispatch(struct exchange *x)
{
    struct view whole;

    if (admin_text_append(&x->body, (struct view){"", 1}) != SP_OK ||
        admin_text_get(&x->body, &whole) != SP_OK) {
        abort_and_finish(x);
        return;
    }
    x->rq.body = view_head(whole, whole.len - 1);
    lend(x, JOB_HANDLE);
}

/* On the data thread: nothing of it blocks. What is left of the body is the session's business. */
#define refuse(x, status, ...)                              \
    do {                                                    \
        admin_problem(&(x)->answer, (status), __VA_ARGS__); \
        answer(x);                                          \
    } while (0)

static void on_body(struct http_stream_user *u, struct http_stream *s, struct iobuf *data, bool end)
{
    struct exchange *x = of_user(u);

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
            abort_and_finish(x);
            return;
        }
        iobuf_consume(data, piece.len);
    }
    if (end)
        dispatch(x);
}

static void on_trailers(struct http_stream_user *u, struct http_stream *s,
                        const struct http_fields *trailers)
{
    (void)s;
    (void)trailers;
    dispatch(of_user(u));
}

static void on_head(struct http_stream_user *u, struct http_stream *s, const struct http_head *head,
                    bool end)
{
    (void)u, (void)s, (void)head, (void)end; /* responses have one, requests came with theirs */
}

static void on_writable(struct http_stream_user *u, struct http_stream *s)
{
    struct exchange *x = of_user(u);

    (void)s;
    if (!x->away && x->left.len > 0)
        push(x);
}

static void on_failed(struct http_stream_user *u, struct http_stream *s, enum http_error why)
{
    struct exchange *x = of_user(u);

    if (s->answerable && !x->away) {
        METRIC_INC(admin_refused);
        refuse(x, http_error_status(why), "%s", http_error_text(why));
        return;
    }
    release(x);
    if (!x->away)
        finish(x);
}

static const struct http_stream_user_ops user_ops = {
    .head = on_head,
    .body = on_body,
    .trailers = on_trailers,
    .writable = on_writable,
    .failed = on_failed,
};

static struct view copy(struct exchange *x, struct view v, bool *ok)
{
    struct view mine = arena_copy(&x->arena, v);

    *ok = *ok && mine.p != NULL;
    return mine;
}

/* Everything that a handler may look at: the session's own may be gone by then. */
static bool copy_request(struct exchange *x, const struct http_head *head)
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

static struct list *exchanges_of(const struct admin_service *svc, struct ethread *t)
{
    return ethread_storage(t, svc->list_offset);
}

static struct exchange *exchange_new(struct admin_service *svc, struct http_stream *s,
                                     const struct http_head *head)
{
    struct exchange *x = calloc(1, sizeof(*x));

    if (x == NULL)
        return NULL;
    x->user.ops = &user_ops;
    x->service = svc;
    x->thread = this_ethread();
    x->rq.server = svc->server;
    timer_init(&x->timer, pause_due);
    arena_init(&x->arena);
    list_push_back(exchanges_of(svc, x->thread), &x->link);
    if (admin_text_open(&x->text) != SP_OK || !copy_request(x, head)) {
        exchange_free(x);
        return NULL;
    }
    admin_answer_init(&x->answer, &x->arena, &x->text);
    x->stream = s;
    s->user = &x->user;
    return x;
}

/* False: answered. */
static bool admit(struct exchange *x)
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
static bool find_route(struct exchange *x)
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
static bool check_request(struct exchange *x, const struct http_head *head, bool end)
{
    struct view unknown = admin_query_unknown(x->rq.route, x->rq.query);

    if (unknown.len > 0)
        refuse(x, 400, VIEW_FMT " has no parameter \"" VIEW_FMT "\"", VIEW_ARG(x->rq.path),
               VIEW_ARG(unknown));
    else if (!end && (x->rq.route->flags & ADMIN_BODY) == 0)
        refuse(x, 400, VIEW_FMT " takes no body", VIEW_ARG(x->rq.path));
    else if (head->body == HTTP_BODY_LENGTH && head->content_length > ADMIN_MAX_BODY_BYTES)
        refuse(x, 413, "a body can have %zu bytes", ADMIN_MAX_BODY_BYTES);
    else
        return true;
    METRIC_INC(admin_refused);
    return false;
}

static void request(struct http_service *super, struct http_stream *s, const struct http_head *head,
                    bool end)
{
    struct admin_service *svc = container_of(super, struct admin_service, super);
    struct exchange *x = exchange_new(svc, s, head);

    METRIC_INC(admin_requests);
    if (x == NULL) {
        s->ops->abort(s, HTTP_ERROR_NOMEM);
        http_stream_release(s);
        return;
    }
    if (admit(x) && find_route(x) && check_request(x, head, end) && end)
        dispatch(x);
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
        err = make_head(&s->arena, &a, whole.len, head);
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

void admin_service_init(struct admin_service *svc, struct event_processor *ep, int et_task,
                        struct server *server)
{
    *svc = (struct admin_service){
        .super.ops = &service_ops,
        .server = server,
        .table = &admin_table,
        .ep = ep,
        .et_task = et_task,
        .owner = geteuid(),
        .peer_of = peer_of_socket,
        .list_offset = event_processor_allocate(ep, sizeof(struct list)),
    };
    for (int i = 0; i < ep->n_threads; i++)
        list_init(exchanges_of(svc, ep->threads[i]));
}

static void drop_exchange(struct exchange *x)
{
    if (x->answer.stream != NULL)
        x->answer.stream->end(x->answer.stream);
    exchange_free(x);
}

void admin_service_fini(struct admin_service *svc)
{
    struct list *n, *next;

    if (svc->ep == NULL)
        return;
    for (int i = 0; i < svc->ep->n_threads; i++)
        list_for_each_safe (n, next, exchanges_of(svc, svc->ep->threads[i]))
            drop_exchange(container_of(n, struct exchange, link));
    svc->ep = NULL;
}
