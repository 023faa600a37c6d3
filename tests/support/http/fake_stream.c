#include "fake_stream.h"

#include "unit_test.h"

#include <stdio.h>

static struct fake_stream *of(struct http_stream *s)
{
    struct fake_stream *f = container_of(s, struct fake_stream, stream);

    assert_false(f->released);
    return f;
}

static enum sp_err once(enum sp_err *err)
{
    enum sp_err now = *err;

    *err = SP_OK;
    return now;
}

/* ---- What the user calls ---- */

static struct view keep(struct fake_stream *f, struct view v)
{
    char *copy = f->text + f->n_text;

    assert_true(f->n_text + v.len < sizeof(f->text));
    if (v.len > 0)
        memcpy(copy, v.p, v.len);
    copy[v.len] = '\0';
    f->n_text += v.len + 1;
    return (struct view){copy, v.len};
}

static void keep_head(struct fake_stream *f, const struct http_head *head)
{
    assert_true(head->fields.n <= SP_COUNT_OF(f->fields));
    f->n_text = 0;
    f->head = *head;
    f->head.authority = keep(f, head->authority);
    f->head.path = keep(f, head->path);
    f->head.method_text = keep(f, head->method_text);
    f->head.protocol = keep(f, head->protocol);
    f->head.fields.v = f->fields;
    for (uint32_t i = 0; i < head->fields.n; i++)
        f->fields[i] = (struct http_field){.name = keep(f, head->fields.v[i].name),
                                           .value = keep(f, head->fields.v[i].value),
                                           .id = head->fields.v[i].id};
}

static void queue(struct fake_stream *f, size_t n)
{
    if (f->takes_nothing)
        f->queued += n;
    if (f->queued > f->stream.queue_bound)
        f->above = true;
}

static enum sp_err send_head(struct http_stream *s, const struct http_head *head, bool end)
{
    struct fake_stream *f = of(s);
    bool interim = head->status / 100 == 1 && head->status != 101;
    enum sp_err err = once(&f->head_err);

    assert_false(s->head_sent);
    assert_true(!f->failed || (f->server_side && s->answerable));
    assert_false(f->aborted);
    assert_int_equal(http_head_is_request(head), !f->server_side);
    if (err != SP_OK)
        return err;
    if (interim) {
        assert_in_range(f->n_interim, 0, SP_COUNT_OF(f->interim) - 1);
        f->interim[f->n_interim++] = head->status;
        return SP_OK;
    }
    keep_head(f, head);
    s->head_sent = true;
    s->send_ended = end;
    queue(f, 100);
    return SP_OK;
}

static enum sp_err send_body(struct http_stream *s, struct iobuf *data, bool end)
{
    struct fake_stream *f = of(s);
    enum sp_err err = once(&f->body_err);
    size_t n = data->len;

    assert_true(s->head_sent);
    assert_false(s->send_ended && f->head.body != HTTP_BODY_TUNNEL && f->head.protocol.len == 0);
    assert_false(f->aborted);
    if (err != SP_OK) {
        iobuf_clear(data);
        return err;
    }
    while (data->len > 0) {
        struct view piece = iobuf_first(data);

        if (f->n_body + piece.len < sizeof(f->body))
            memcpy(f->body + f->n_body, piece.p, piece.len);
        f->n_body += piece.len;
        iobuf_consume(data, piece.len);
    }
    f->body[f->n_body < sizeof(f->body) ? f->n_body : sizeof(f->body) - 1] = '\0';
    s->bytes_sent += n;
    s->send_ended = end;
    if (f->head.body == HTTP_BODY_LENGTH)
        assert_true(end ? s->bytes_sent == f->head.content_length
                        : s->bytes_sent <= f->head.content_length);
    queue(f, n);
    return SP_OK;
}

static enum sp_err send_trailers(struct http_stream *s, const struct http_fields *trailers)
{
    struct fake_stream *f = of(s);
    enum sp_err err = once(&f->body_err);
    size_t len = 0;

    assert_true(s->head_sent);
    assert_false(s->send_ended);
    if (err != SP_OK)
        return err;
    for (uint32_t i = 0; i < trailers->n; i++)
        len += (size_t)snprintf(f->trailers + len, sizeof(f->trailers) - len,
                                VIEW_FMT ": " VIEW_FMT ";", VIEW_ARG(trailers->v[i].name),
                                VIEW_ARG(trailers->v[i].value));
    s->send_ended = true;
    return SP_OK;
}

_Static_assert(offsetof(struct fake_stream, stream) == 0, "for the cast of send_queued()");

static size_t send_queued(const struct http_stream *s)
{
    const struct fake_stream *f = (const struct fake_stream *)(const void *)s;

    assert_false(f->released);
    return f->queued;
}

static void pause_events(struct http_stream *s)
{
    struct fake_stream *f = of(s);

    assert_false(f->failed);
    f->paused = true;
    f->n_pauses++;
}

static void resume_events(struct http_stream *s)
{
    struct fake_stream *f = of(s);

    assert_false(f->failed);
    f->paused = false;
    f->n_resumes++;
}

static void abort_stream(struct http_stream *s, enum http_error why)
{
    struct fake_stream *f = of(s);

    assert_false(f->failed);
    assert_false(f->aborted);
    f->aborted = true;
    f->abort_why = why;
}

static void release(struct http_stream *s)
{
    struct fake_stream *f = of(s);

    f->released = true;
    s->user = NULL;
    arena_fini(&s->arena); /* so that the sanitizer sees who still looks */
}

static const struct http_stream_ops fake_ops = {
    .protocol = "FAKE/1",
    .send_head = send_head,
    .send_body = send_body,
    .send_trailers = send_trailers,
    .send_queued = send_queued,
    .pause = pause_events,
    .resume = resume_events,
    .abort = abort_stream,
    .release = release,
};

/* ---- What the test calls ---- */

static bool no_tls(const struct net_vconnection *vc, struct tls_info *out)
{
    (void)vc;
    (void)out;
    return false;
}

static struct fake_stream *of_vc(const struct net_vconnection *vc)
{
    return container_of((struct net_vconnection *)(uintptr_t)vc, struct fake_stream, vc);
}

static struct client_identity *identity(const struct net_vconnection *vc)
{
    return of_vc(vc)->identity;
}

static bool serves(const struct net_vconnection *vc, struct view host)
{
    const char *only = of_vc(vc)->serves;

    return only == NULL || view_eq(host, view_of(only));
}

static const struct net_vc_ops no_ops = {
    .name = "fake", .tls_info = no_tls, .identity = identity, .serves = serves};

static void init(struct fake_stream *f)
{
    memset(f, 0, sizeof(*f));
    f->stream.ops = &fake_ops;
    f->stream.vc = &f->vc;
    f->stream.id = 1;
    f->stream.queue_bound = 1000;
    f->vc.ops = &no_ops;
    arena_init(&f->stream.arena);
}

void fake_stream_server(struct fake_stream *f, void *user_of_listener)
{
    struct endpoint e;

    init(f);
    f->server_side = true;
    f->vc.accept = &f->accept;
    f->accept.options.user = user_of_listener;
    assert_int_equal(endpoint_parse(VIEW("203.0.113.9:50000"), &e), SP_OK);
    ip_endpoint_of(&e.sa, &f->vc.client);
    f->vc.remote = f->vc.client;
    assert_int_equal(endpoint_parse(VIEW("192.0.2.1:443"), &e), SP_OK);
    ip_endpoint_of(&e.sa, &f->vc.local);
}

void fake_stream_client(struct fake_stream *f)
{
    init(f);
}

void fake_stream_fini(struct fake_stream *f)
{
    arena_fini(&f->stream.arena);
}

void fake_stream_says_head(struct fake_stream *f, const struct http_head *head, bool end)
{
    f->stream.recv_ended = end;
    f->stream.user->ops->head(f->stream.user, &f->stream, head, end);
}

void fake_stream_says_body(struct fake_stream *f, const char *text, bool end)
{
    struct iobuf data;
    size_t n = strlen(text);

    iobuf_init(&data);
    if (n > 0 && iobuf_append(&data, text, n) != SP_OK) {
        fake_stream_fails(f, HTTP_ERROR_NOMEM, f->server_side && !f->stream.head_sent);
        return;
    }
    f->stream.bytes_received += n;
    f->stream.recv_ended = end;
    f->stream.user->ops->body(f->stream.user, &f->stream, &data, end);
    assert_int_equal(data.len, 0);
    iobuf_clear(&data);
}

void fake_stream_says_bytes(struct fake_stream *f, size_t n)
{
    static char text[FAKE_STREAM_TEXT];

    assert_true(n < sizeof(text));
    memset(text, 'x', n);
    text[n] = '\0';
    fake_stream_says_body(f, text, false);
}

void fake_stream_says_trailer(struct fake_stream *f, const char *name, const char *value)
{
    struct http_fields trailers = {.v = &f->trailer, .n = 1, .cap = 1, .present = 1};

    f->trailer = (struct http_field){.name = view_of(name), .value = view_of(value)};
    f->stream.recv_ended = true;
    f->stream.user->ops->trailers(f->stream.user, &f->stream, &trailers);
}

void fake_stream_fails(struct fake_stream *f, enum http_error why, bool answerable)
{
    f->failed = true;
    f->stream.answerable = answerable;
    f->stream.user->ops->failed(f->stream.user, &f->stream, why);
}

void fake_stream_takes_all(struct fake_stream *f)
{
    f->queued = 0;
    if (!f->above)
        return;
    f->above = false;
    f->stream.user->ops->writable(f->stream.user, &f->stream);
}

const char *fake_stream_field(struct fake_stream *f, const char *name)
{
    for (uint32_t i = 0; i < f->head.fields.n; i++)
        if (view_eq_nocase(f->head.fields.v[i].name, view_of(name)))
            return f->head.fields.v[i].value.p; /* terminated by keep() */
    return "";
}
