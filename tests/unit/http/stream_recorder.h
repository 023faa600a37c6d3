/* Users of streams that write down what they are told, and a service made of them: for the tests of
 * sessions and upstream connections. What a log looks like:
 *
 *     "POST:/x body trailers(a=b)"   "head(103) head(200) body end"   "GET:/ end
 * failed:client_closed"
 *
 * Body bytes are collected in `body`; several pieces in a row are one word in the log. */
#pragma once

#include "unit_test.h"

#include <sallyport/http/http_port.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct recorder;
typedef void (*recorder_hook)(struct recorder *r, const char *event);

struct recorder {
    struct http_stream_user super;
    struct http_stream *s; /* NULL: released */
    char log[4096];
    char body[8192]; /* the first bytes of what came */
    size_t n_body;
    struct http_head head;  /* the last one; its views live as long as the stream */
    recorder_hook on_event; /* after it was written down; NULL: nothing more */
    const char *act_on;     /* for hooks: at which event */
};

static inline void recorder_release(struct recorder *r)
{
    struct http_stream *s = r->s;

    r->s = NULL;
    http_stream_release(s);
}

static inline void recorder_put(struct recorder *r, struct view text)
{
    size_t n = strlen(r->log);

    assert_true(n + text.len < sizeof(r->log));
    memcpy(r->log + n, text.p, text.len);
    r->log[n + text.len] = '\0';
}

/* A new word of the log. */
static inline void recorder_note(struct recorder *r, const char *event)
{
    if (r->log[0] != '\0')
        recorder_put(r, VIEW(" "));
    recorder_put(r, view_of(event));
}

static inline void recorder_tell(struct recorder *r, const char *event)
{
    if (r->on_event != NULL)
        r->on_event(r, event);
}

static inline struct recorder *recorder_of(struct http_stream_user *u)
{
    return container_of(u, struct recorder, super);
}

static inline void recorder_head(struct http_stream_user *u, struct http_stream *s,
                                 const struct http_head *head, bool end)
{
    struct recorder *r = recorder_of(u);
    char text[32];

    assert_ptr_equal(s, r->s);
    r->head = *head;
    assert_true(snprintf(text, sizeof(text), "head(%u)", head->status) > 0);
    recorder_note(r, text);
    if (end)
        recorder_note(r, "end");
    recorder_tell(r, "head");
}

static inline void recorder_body(struct http_stream_user *u, struct http_stream *s,
                                 struct iobuf *data, bool end)
{
    struct recorder *r = recorder_of(u);
    size_t n = strlen(r->log);

    assert_ptr_equal(s, r->s);
    assert_true(data->len > 0 || end);
    if (data->len > 0 && (n < 5 || strcmp(r->log + n - 5, " body") != 0))
        recorder_note(r, "body");
    while (data->len > 0) {
        struct view v = iobuf_first(data);

        if (r->n_body + v.len < sizeof(r->body))
            memcpy(r->body + r->n_body, v.p, v.len);
        r->n_body += v.len;
        iobuf_consume(data, v.len);
    }
    if (end)
        recorder_note(r, "end");
    recorder_tell(r, end ? "end" : "body");
}

static inline void recorder_trailers(struct http_stream_user *u, struct http_stream *s,
                                     const struct http_fields *trailers)
{
    struct recorder *r = recorder_of(u);

    assert_ptr_equal(s, r->s);
    assert_true(trailers->n > 0);
    recorder_note(r, "trailers(");
    recorder_put(r, trailers->v[0].name);
    recorder_put(r, VIEW("="));
    recorder_put(r, trailers->v[0].value);
    recorder_put(r, VIEW(")"));
    recorder_tell(r, "trailers");
}

static inline void recorder_writable(struct http_stream_user *u, struct http_stream *s)
{
    struct recorder *r = recorder_of(u);

    assert_ptr_equal(s, r->s);
    recorder_note(r, "writable");
    recorder_tell(r, "writable");
}

static inline void recorder_failed(struct http_stream_user *u, struct http_stream *s,
                                   enum http_error why)
{
    struct recorder *r = recorder_of(u);

    assert_ptr_equal(s, r->s);
    recorder_note(r, "failed:");
    recorder_put(r, view_of(http_error_label(why)));
    recorder_put(r, view_of(s->answerable ? "+answerable" : ""));
    recorder_tell(r, "failed");
}

static const struct http_stream_user_ops recorder_ops = {
    .head = recorder_head,
    .body = recorder_body,
    .trailers = recorder_trailers,
    .writable = recorder_writable,
    .failed = recorder_failed,
};

/* ---- What a recorder can be made to do ---- */

static inline enum sp_err recorder_send_text(struct recorder *r, const char *text, bool end)
{
    struct iobuf data;
    enum sp_err err;

    iobuf_init(&data);
    assert_int_equal(iobuf_append(&data, text, strlen(text)), SP_OK);
    err = http_stream_send_body(r->s, &data, end);
    assert_int_equal(data.len, 0);
    return err;
}

static inline enum sp_err recorder_send_zeros(struct recorder *r, size_t n, bool end)
{
    static const char zeros[4096];
    struct iobuf data;
    enum sp_err err;

    iobuf_init(&data);
    for (size_t at = 0; at < n; at += sizeof(zeros))
        assert_int_equal(
            iobuf_append(&data, zeros, n - at < sizeof(zeros) ? n - at : sizeof(zeros)), SP_OK);
    err = http_stream_send_body(r->s, &data, end);
    assert_int_equal(data.len, 0);
    return err;
}

/* A response with a text of known length; then the stream is let go. */
static inline void recorder_answer(struct recorder *r, uint16_t status, const char *text)
{
    struct http_head head = {
        .status = status, .body = HTTP_BODY_LENGTH, .content_length = strlen(text)};

    assert_int_equal(http_stream_send_head(r->s, &head, false), SP_OK);
    assert_int_equal(recorder_send_text(r, text, true), SP_OK);
    recorder_release(r);
}

static inline void recorder_answer_ok(struct recorder *r, const char *event)
{
    (void)event;
    recorder_answer(r, 200, "ok");
}

/* ---- A service ---- */

struct recording_service {
    struct http_service super;
    struct recorder r[8]; /* one a request, in order */
    unsigned n;
    recorder_hook on_request;
    recorder_hook on_event; /* of the recorders */
    const char *act_on;
    enum http_error refused;
    unsigned n_refused;
    bool no_page; /* error_answer() fails */
};

static inline void recording_request(struct http_service *svc, struct http_stream *s,
                                     const struct http_head *head, bool end)
{
    struct recording_service *service = container_of(svc, struct recording_service, super);
    struct recorder *r = &service->r[service->n++ % SP_COUNT_OF(service->r)];

    *r = (struct recorder){.super.ops = &recorder_ops,
                           .s = s,
                           .head = *head,
                           .on_event = service->on_event,
                           .act_on = service->act_on};
    s->user = &r->super;
    recorder_put(r, head->method_text);
    recorder_put(r, VIEW(":"));
    recorder_put(r, head->path);
    if (end)
        recorder_note(r, "end");
    if (service->on_request != NULL)
        service->on_request(r, "request");
}

static inline enum sp_err recording_error_answer(struct http_service *svc, struct http_stream *s,
                                                 enum http_error why, struct http_head *head,
                                                 struct iobuf *body)
{
    struct recording_service *service = container_of(svc, struct recording_service, super);
    enum sp_err err;

    if (service->no_page)
        return SP_NOMEM;
    err = http_fields_add(&head->fields, &s->arena, HTTP_FIELD_CONTENT_TYPE, VIEW("content-type"),
                          VIEW("text/plain"));
    if (err != SP_OK)
        return err;
    return iobuf_append_view(body, view_of(http_error_label(why)));
}

static inline void recording_refused(struct http_service *svc, struct http_stream *s,
                                     enum http_error why)
{
    struct recording_service *service = container_of(svc, struct recording_service, super);

    (void)s;
    service->refused = why;
    service->n_refused++;
}

static const struct http_service_ops recording_service_ops = {
    .request = recording_request,
    .error_answer = recording_error_answer,
    .refused = recording_refused,
};
