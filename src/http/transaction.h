/* One request's life: route it, answer it or find a server, pass both bodies on, log how it ended.
 *
 * A transaction stands between two streams and knows neither's protocol. It is made in
 * http_service.request and frees itself when it has released both; nobody holds a pointer to it but
 * the streams and the wish. States and what leads from one to the next:
 * docs/internals/transaction.md.
 *
 *     transaction.c           states, routing, own answers, the end
 *     transaction_early.c     what waits for the client's handshake
 *     transaction_upstream.c  asking for a server, trying again, what the backend answers
 *     transaction_body.c      bodies both ways, back-pressure, tunnels
 *
 * Thread: the client connection's, where its backend connections are too. */
#pragma once

#include "access_log.h"
#include "forwarding.h"
#include "router.h"
#include "upstream_source.h"

#include <sallyport/http/http_port.h>

/* What the transactions of one thread share, as long as one configuration holds: those that are
 * under way when another one comes end as they began. Thread: that one. */
struct transaction_env {
    const struct config *config;
    const struct router *router;
    struct upstream_set *set;
    struct upstream_source *upstreams; /* of this thread */
    struct access_log *access_log;
    uint32_t n_users;                            /* transactions, and whoever begins them */
    void (*unused)(struct transaction_env *env); /* n_users is 0; NULL: nobody wants to know */
};
static inline void transaction_env_drop(struct transaction_env *env)
{
    if (--env->n_users == 0 && env->unused != NULL)
        env->unused(env);
}

#define TRANSACTION_BIT(name) (1U << TRANSACTION_##name)
/* clang-format off */
/* X(name, may go to) */
#define TRANSACTION_STATES(X)                                                                      \
    /* being routed, or answered without a backend */                                              \
    X(ROUTING,    TRANSACTION_BIT(PROVING) | TRANSACTION_BIT(CONNECTING) | TRANSACTION_BIT(DONE))  \
    /* early data that must not be acted on twice: until the client's handshake is over */          \
    X(PROVING,    TRANSACTION_BIT(CONNECTING) | TRANSACTION_BIT(DONE))                             \
    /* the wish is with the pool, once more after a failure; the client is paused */               \
    X(CONNECTING, TRANSACTION_BIT(CONNECTING) | TRANSACTION_BIT(WAITING) |                         \
                  TRANSACTION_BIT(DONE))                                                           \
    /* the request is on its way, no final response yet */                                         \
    X(WAITING,    TRANSACTION_BIT(CONNECTING) | TRANSACTION_BIT(RESPONDING) |                      \
                  TRANSACTION_BIT(TUNNEL) | TRANSACTION_BIT(PROVING) | TRANSACTION_BIT(DONE))      \
    /* the head of the response was passed on */                                                   \
    X(RESPONDING, TRANSACTION_BIT(DONE))                                                           \
    /* 101: bytes both ways until both sides have ended */                                         \
    X(TUNNEL,     TRANSACTION_BIT(DONE))                                                           \
    /* on its way out */                                                                           \
    X(DONE,       0)
/* clang-format on */
enum transaction_state {
#define X(name, next) TRANSACTION_##name,
    TRANSACTION_STATES(X)
#undef X
};

struct transaction {
    struct http_stream_user client_user;
    struct http_stream_user upstream_user;
    struct upstream_wish wish;
    struct net_vc_proof proof;          /* PROVING: linked */
    const struct backend_conf *backend; /* that the route leads to */
    struct transaction_env *env;        /* counted in its n_users */
    const struct http_port *port;       /* borrowed; of the client's connection */
    struct http_stream *client;         /* release() owed */
    struct http_stream *upstream;       /* release() owed; NULL: none */
    const struct http_head *request;    /* the client stream's, until its release */
    struct http_head out;        /* what the backends are sent; in the client stream's arena */
    struct iobuf held;           /* what the client sent too early to be passed on; owned */
    struct http_fields trailers; /* likewise, of the request */
    struct view request_id;
    struct forwarding forwarding; /* its identity: owned reference */
    const char *tls_version;      /* NULL: none */
    int64_t wall_ms;              /* start */
    int64_t started_ns;           /* monotonic */
    int64_t asked_ns;             /* 0: no server was asked for */
    int64_t answered_ns;          /* the last server's end, good or bad; 0: not yet */
    uint64_t body_bytes;          /* of the request so far */
    uint16_t status;              /* of the final response that the client was sent; 0: none yet */
    uint16_t tries_left;
    uint8_t state;
    bool no_body;         /* the request ended with its head */
    bool is_upgrade;      /* asks for a tunnel: nothing is sent behind the head before the 101 */
    bool client_ended;    /* the client sent everything */
    bool upstream_ended;  /* TUNNEL: the backend sent everything */
    bool has_trailers;    /* of the request, held */
    bool client_failed;   /* only release() is allowed, and an answer if answerable */
    bool client_broken;   /* part of a head may be queued: no answer can follow */
    bool upstream_failed; /* only release() is allowed */
    bool client_paused, upstream_paused;
    bool body_forwarded; /* some of the request's body, so it cannot be sent again */
    bool sent_early;     /* we said Early-Data: 1, because the client did not */
    bool response_begun; /* any byte of a response was seen, an interim one too */
};

/* http_service.request. `s` is answered, now or later, and released. */
void transaction_start(struct transaction_env *env, struct http_stream *s,
                       const struct http_head *request, bool end);

/* ---- transaction.c, for its two other files ---- */
void transaction_enter(struct transaction *t, enum transaction_state next);
/* The end: cuts what is not whole, releases both streams, logs, frees. */
void transaction_finish(struct transaction *t, enum http_error error);
/* Answers with the page of `why` where the client can still get one, else cuts it off. Frees. */
void transaction_fail(struct transaction *t, enum http_error why);
/* The backend's stream is of no more use. Harmless without one. */
void transaction_drop_upstream(struct transaction *t, enum http_error why);

/* ---- transaction_early.c: requests that come before their client's handshake is over ---- */
/* To the backend now, or when it is over. The request's head may be made anew. */
void transaction_forward(struct transaction *t);
/* 425 to what we called early ourselves: asked again when the handshake is over. */
bool transaction_was_too_early(const struct transaction *t, uint16_t status);
void transaction_ask_again_proven(struct transaction *t);

/* ---- transaction_upstream.c ---- */
extern const struct http_stream_user_ops transaction_upstream_ops;
void transaction_connect(struct transaction *t);

/* ---- transaction_body.c ---- */
extern const struct http_stream_user_ops transaction_client_ops;
void transaction_upstream_body(struct http_stream_user *u, struct http_stream *s,
                               struct iobuf *data, bool end);
void transaction_upstream_trailers(struct http_stream_user *u, struct http_stream *s,
                                   const struct http_fields *trailers);
void transaction_upstream_writable(struct http_stream_user *u, struct http_stream *s);
void transaction_pause_client(struct transaction *t);
/* Stops or starts a side by how much the other one has queued. */
void transaction_balance(struct transaction *t);
/* Sends the backend what was held, and the end if it has come. */
enum sp_err transaction_send_held(struct transaction *t) SP_MUST_CHECK;
