/* One request on the control socket and its answer, shared by two files:
 *
 *     admin_service.c    takes requests in: who asks, for what, the body
 *     admin_exchange.c   from there on: lent to a task thread, answered, let go
 *
 * An exchange belongs to its data thread, which lends it to a task thread for one job at a time.
 * While it is away nothing but `stream` may be touched; the client may leave meanwhile, and then
 * the exchange ends when it is back. */
#pragma once

#include "admin_answer.h"
#include "admin_service.h"

enum admin_job { ADMIN_JOB_HANDLE, ADMIN_JOB_MORE, ADMIN_JOB_END };

struct admin_exchange {
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
    enum admin_job job;
    bool away;      /* on a task thread */
    bool more_left; /* a stream has not ended */
};

/* Ready for its request, with an open answer; on no stream yet. NULL: out of memory. */
struct admin_exchange *admin_exchange_new(struct admin_service *svc) SP_MUST_CHECK;
/* At once: of threads that have ended, or before it had a stream. */
void admin_exchange_free(struct admin_exchange *x);
/* A stream's own things go. */
void admin_exchange_end_stream(struct admin_exchange *x);

/* The request is whole: to a handler with it. */
void admin_exchange_dispatch(struct admin_exchange *x);
/* Sends the answer as it is. */
void admin_exchange_answer(struct admin_exchange *x);
/* The client takes more of it. */
void admin_exchange_push(struct admin_exchange *x);
/* The client has left. */
void admin_exchange_leave(struct admin_exchange *x);
/* Out of memory: cut. */
void admin_exchange_abort(struct admin_exchange *x);

/* The head of an answer whose body has `length` bytes. */
enum sp_err admin_answer_head(const struct admin_answer *a, size_t length, struct http_head *head)
    SP_MUST_CHECK;
