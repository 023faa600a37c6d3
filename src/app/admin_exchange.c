/* From a whole request to the end of its answer: lent to a task thread, sent in pieces, let go. */
#include "admin_exchange.h"

#include <sallyport/base/clock.h>
#include <sallyport/base/log.h>

#include <stdlib.h>
#include <time.h>

/* Of an answer, at a time: a long one must not hold the data thread. */
#define PIECE_BYTES ((size_t)64 * 1024)

/* ---- The end ---- */

void admin_exchange_free(struct admin_exchange *x)
{
    list_remove(&x->link);
    admin_text_close(&x->body);
    admin_text_close(&x->text);
    arena_fini(&x->arena);
    free(x);
}

static void lend(struct admin_exchange *x, enum admin_job job);

/* The stream is released and the exchange is here. */
static void finish(struct admin_exchange *x)
{
    void (*then)(struct server *) = x->answer.then;

    ethread_timer_cancel(x->thread, &x->timer);
    x->answer.then = NULL;
    if (then != NULL)
        then(x->service->server);
    if (x->answer.stream != NULL)
        lend(x, ADMIN_JOB_END);
    else
        admin_exchange_free(x);
}

static void release(struct admin_exchange *x)
{
    struct http_stream *s = x->stream;

    x->stream = NULL;
    http_stream_release(s);
}

void admin_exchange_abort(struct admin_exchange *x)
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

enum sp_err admin_answer_head(const struct admin_answer *a, size_t length, struct http_head *head)
{
    struct arena *arena = a->arena;
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

static enum sp_err send_piece(struct admin_exchange *x, struct view piece, bool end)
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
    lend(container_of(t, struct admin_exchange, timer), ADMIN_JOB_MORE);
}

/* Gives the stream as much as it may hold; goes on when it has drained. */
void admin_exchange_push(struct admin_exchange *x)
{
    struct http_stream *s = x->stream;

    while (x->left.len > 0 && s->ops->send_queued(s) <= s->queue_bound) {
        struct view piece = view_head(x->left, PIECE_BYTES);

        x->left = view_from(x->left, piece.len);
        if (send_piece(x, piece, x->left.len == 0 && !x->more_left) != SP_OK) {
            admin_exchange_abort(x);
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

static void log_request(const struct admin_exchange *x)
{
    const struct admin_request *rq = &x->rq;
    char path[200];

    /* Who changes something is written down; who looks, only where everything is. */
    enum log_level level = http_method_is_safe(rq->method) ? LOG_LEVEL_DEBUG : LOG_LEVEL_INFO;

    if (level < atomic_load_explicit(&log_threshold[LOG_SUBJECT_ADMIN], memory_order_relaxed))
        return;
    log_write(LOG_SUBJECT_ADMIN, level, "%s %s status=%u uid=%u pid=%ld",
              admin_method_name(rq->method), log_escape(path, sizeof(path), rq->path),
              x->answer.status, (unsigned)rq->peer.uid, (long)rq->peer.pid);
}

/* The whole answer, or a stream's beginning. */
void admin_exchange_answer(struct admin_exchange *x)
{
    struct http_stream *s = x->stream;
    bool bodiless = x->rq.method == HTTP_METHOD_HEAD;
    struct http_head head;

    log_request(x);
    if (admin_text_get(&x->text, &x->left) != SP_OK || x->answer.nomem ||
        admin_answer_head(&x->answer, x->left.len, &head) != SP_OK) {
        admin_exchange_abort(x);
        return;
    }
    x->more_left = x->answer.stream != NULL && !bodiless;
    bodiless = bodiless || (x->left.len == 0 && !x->more_left);
    if (http_stream_send_head(s, &head, bodiless) != SP_OK) {
        admin_exchange_abort(x);
        return;
    }
    if (!bodiless) {
        admin_exchange_push(x);
        return;
    }
    release(x);
    finish(x);
}

/* ---- On a task thread ---- */

void admin_exchange_end_stream(struct admin_exchange *x)
{
    struct admin_stream *stream = x->answer.stream;

    x->answer.stream = NULL;
    if (stream != NULL)
        stream->end(stream);
}

bool admin_is_stopping(void)
{
    struct ethread *t = this_ethread();

    return t != NULL && atomic_load_explicit(&t->stopping, memory_order_relaxed);
}

static void run_handler(struct admin_exchange *x)
{
    if (admin_is_stopping())
        admin_problem(&x->answer, 503, "the program is stopping");
    else
        x->rq.route->handler(&x->rq, &x->answer);
    /* Nothing of a stream that was not begun is left. */
    if (x->answer.status >= 400)
        admin_exchange_end_stream(x);
}

static void run_more(struct admin_exchange *x)
{
    struct admin_stream *stream = x->answer.stream;

    admin_text_reset(&x->text);
    x->more_left = !admin_is_stopping() && stream->more(stream, x->text.out);
}

static void come_back(struct inbox_item *item, struct ethread *t);

static void run_job(struct inbox_item *item, struct ethread *t)
{
    struct admin_exchange *x = container_of(item, struct admin_exchange, item);

    (void)t;
    switch (x->job) {
    case ADMIN_JOB_HANDLE: run_handler(x); break;
    case ADMIN_JOB_MORE: run_more(x); break;
    case ADMIN_JOB_END: admin_exchange_end_stream(x); break;
    }
    x->item.fn = come_back;
    ethread_post(x->thread, &x->item);
}

static void lend(struct admin_exchange *x, enum admin_job job)
{
    x->job = job;
    x->away = true;
    x->item.fn = run_job;
    ethread_post(event_processor_assign(x->service->ep, x->service->et_task), &x->item);
}

static void go_on(struct admin_exchange *x)
{
    /* A stream that ends without a last word still has its end to be sent. */
    if (admin_text_get(&x->text, &x->left) != SP_OK ||
        (!x->more_left && x->left.len == 0 && send_piece(x, (struct view){NULL, 0}, true) != SP_OK))
        admin_exchange_abort(x);
    else
        admin_exchange_push(x);
}

static void come_back(struct inbox_item *item, struct ethread *t)
{
    struct admin_exchange *x = container_of(item, struct admin_exchange, item);

    (void)t;
    x->away = false;
    if (x->stream == NULL)
        finish(x); /* the client has left */
    else if (x->job == ADMIN_JOB_HANDLE)
        admin_exchange_answer(x);
    else
        go_on(x);
}

void admin_exchange_dispatch(struct admin_exchange *x)
{
    struct view whole;

    if (admin_text_append(&x->body, (struct view){"", 1}) != SP_OK ||
        admin_text_get(&x->body, &whole) != SP_OK) {
        admin_exchange_abort(x);
        return;
    }
    x->rq.body = view_head(whole, whole.len - 1);
    lend(x, ADMIN_JOB_HANDLE);
}

void admin_exchange_leave(struct admin_exchange *x)
{
    release(x);
    if (!x->away)
        finish(x);
}

/* ---- Its beginning ---- */

struct admin_exchange *admin_exchange_new(struct admin_service *svc)
{
    struct admin_exchange *x = calloc(1, sizeof(*x));

    if (x == NULL)
        return NULL;
    x->service = svc;
    x->thread = this_ethread();
    x->rq.server = svc->server;
    timer_init(&x->timer, pause_due);
    arena_init(&x->arena);
    list_push_back(&svc->exchanges[x->thread->id], &x->link);
    if (admin_text_open(&x->text) != SP_OK) {
        admin_exchange_free(x);
        return NULL;
    }
    admin_answer_init(&x->answer, &x->arena, &x->text);
    return x;
}
