/* One HTTP/2 connection, whichever side of it we are: what http2_session.c (facing clients) and
 * http2_upstream.c (facing backends) share. It owns the net_vconnection.
 *
 *     vc -> in -> [budget] -> nghttp2 -> callbacks: note what happened, on the stream
 *                                          |
 *     users  <- deliver: after nghttp2 has returned, stream by stream
 *        `-> send_head, send_body... -> nghttp2 -> out -> vc
 *
 * nghttp2's callbacks never call a user, a service or an owner: they note on the stream what has
 * happened and put it on `ready`. http2_conn_run() feeds, delivers and pumps until nothing is left
 * to do. What users call in return only submits to nghttp2 and pumps, which is legal everywhere but
 * inside nghttp2; so nothing here is ever entered twice.
 *
 * `out` is bounded: the pump stops above out_mark and goes on when the transport has taken half of
 * it. What streams have to send waits in their own queues, so that a frame's turn is decided late.
 *
 *     OPEN -> ENDING -> CLOSED
 *
 * ENDING: GOAWAY is on its way, no stream lives on, input is thrown away until the peer has read
 * it (RFC 9113 5.4.1, as RFC 9112 9.6 has it for HTTP/1.1). CLOSED: vc is NULL; streams that users
 * still hold live on until their release, and the connection's memory until the last of them.
 *
 *     http2_conn.c        life: run, events, GOAWAY, the end
 *     http2_conn_recv.c   nghttp2's callbacks for what arrives
 *     http2_conn_send.c   the pump, DATA frames
 *
 * Thread: the connection's. Prefix: http2_conn_. */
#pragma once

#include "http2_budget.h"
#include "http2_fields.h"
#include "http2_library.h"

#include <sallyport/base/list.h>
#include <sallyport/config/config.h>
#include <sallyport/event/timer_wheel.h>
#include <sallyport/http/http_stream.h>

struct http2_conn;
struct http2_stream;

/* What a side supplies. "Noted": called inside nghttp2, may not call out, close or pump. The rest
 * comes from run(). */
struct http2_conn_ops {
    bool is_server;
    enum http_error gone;       /* what streams are told when the peer goes away */
    enum http_error bad_length; /* ...and when DATA is not what content-length said */

    /* Noted: a field block begins on a stream that is not known. Server: the new request's
     * http2_stream_new(), or NULL: it is refused. Client: never asked (no push). */
    struct http2_stream *(*begin)(struct http2_conn *c, int32_t id);
    /* Noted: a head's block is whole; read it with http2_fields_request() or _response() into
     * *out. Not NONE: the stream fails with it, and is reset where it is malformed. */
    enum http_error (*read_head)(struct http2_stream *s, bool end_stream, struct http_head *out);
    /* Noted: the stream was reset by either side, with `code`, before it was whole. What its user
     * is told as failed. */
    enum http_error (*reset)(struct http2_stream *s, uint32_t code);
    /* Noted: SETTINGS, a PING's ACK, GOAWAY or another frame of the connection arrived. */
    void (*frame)(struct http2_conn *c, const nghttp2_frame *frame);

    /* A head has arrived: tell whom it concerns. May do anything. */
    void (*head)(struct http2_stream *s, const struct http_head *head, bool end);
    /* The exchange failed. Tells the user, if there is one, and resets the stream unless it can
     * still be answered. */
    void (*fail)(struct http2_stream *s, enum http_error why);
    /* http_stream.send_head: checks, writes, submits. */
    enum sp_err (*send_head)(struct http2_stream *s, const struct http_head *head, bool end);
    /* The stream is over for the protocol and for its user; its memory goes after the call. */
    void (*stream_gone)(struct http2_stream *s);
    /* Everything was told that there was to tell: timers, queues, whether the connection is still
     * needed. c->vc may be NULL. */
    void (*rest)(struct http2_conn *c);
    /* Closed, and no stream is left: tell and free. The last call. */
    void (*closed)(struct http2_conn *c);
};

enum http2_conn_state { HTTP2_CONN_OPEN, HTTP2_CONN_ENDING, HTTP2_CONN_CLOSED };

struct http2_conn_options {
    const struct http2_conf *conf; /* borrowed; outlives the connection */
    struct http2_fields_limits limits;
    size_t buffer_bytes; /* held per direction before the source is paused: queue_bound */
    enum http2_budget_peer peer;
};

struct http2_conn {
    const struct http2_conn_ops *ops;
    struct net_vconnection *vc; /* NULL once closed */
    struct ethread *thread;     /* borrowed */
    nghttp2_session *session;   /* owned; NULL once closed */
    struct continuation cont;
    struct http2_memory memory;
    struct http2_conn_options options;
    struct http2_budget budget;
    struct iobuf in, out;
    struct http2_fields_reader reader; /* of the one field block that may be under way */
    struct http2_stream *block_of;     /* whose it is; NULL: of none that we know */
    int64_t block_began_ms;            /* monotonic; 0: none is under way */
    const char *fed;                   /* inside nghttp2: what `in` begins with */
    struct list streams;               /* whose memory lives */
    struct list ready;                 /* of these, the ones with something to tell */
    uint32_t n_open;                   /* of `streams`, those that are open in the protocol */
    uint64_t n_begun;                  /* streams so far */
    size_t queued_bytes;               /* to send, in the queues of all streams */
    size_t extra_window_bytes;         /* by which windows of streams were opened further */
    struct timer wake; /* armed with "now": run() comes, but not inside a user's call */
    struct timer end;  /* ENDING: how long the peer has to take our last words */
    int64_t end_ndone; /* what the transport had taken at the last look */
    size_t thrown_bytes;
    enum http_error trouble; /* came over the connection; its streams are not told yet */
    uint8_t state;
    bool running;       /* run() is on the stack */
    bool peer_ended;    /* its stream ended */
    bool settings_seen; /* the peer's first SETTINGS have arrived */
    bool notice_sent;   /* the first of two GOAWAYs was submitted */
    bool goaway_sent;   /* the final one was */
    bool said_all;      /* ENDING: our side is shut down once `out` is empty */
};

/* Takes an open connection over: reads and writes go here, our SETTINGS and window are queued. The
 * side's struct begins with the conn or contains it. SP_NOMEM: not taken, nothing to undo. */
enum sp_err http2_conn_init(struct http2_conn *c, const struct http2_conn_ops *ops,
                            struct net_vconnection *vc, const struct http2_conn_options *options)
    SP_MUST_CHECK;

/* Feeds, delivers and pumps until nothing is left to do; may free the connection. Not inside a
 * user's call. */
void http2_conn_run(struct http2_conn *c);
/* Makes run() happen soon; from anywhere. */
void http2_conn_wake(struct http2_conn *c);
/* What was submitted goes out: at once, or at the end of run(). From users' calls too. */
void http2_conn_pump(struct http2_conn *c);

/* "I take no new streams": the first of the two steps, with the last stream id open, and a PING
 * whose answer says that the peer has heard it (RFC 9113 6.8). Noted or not. */
void http2_conn_shutdown_notice(struct http2_conn *c);
/* The second step, with what was really taken; streams that run go on. `reason` goes along as debug
 * data. */
void http2_conn_goaway(struct http2_conn *c, uint32_t code, struct view reason);
/* Our side ends after what is queued; every stream fails with `why`. */
void http2_conn_end(struct http2_conn *c, enum http_error why);
/* At once; every stream fails with `why` as soon as run() comes by (it is woken). The memory goes
 * when the last stream is released. */
void http2_conn_close(struct http2_conn *c, enum vc_close how, enum http_error why);

/* Noted: nghttp2 or memory failed so that the connection cannot go on. */
void http2_conn_broke(struct http2_conn *c, enum http_error why);
int64_t http2_conn_now_ms(const struct http2_conn *c);
/* Is this what a connection's VIO calls when it speaks HTTP/2? */
bool http2_conn_is(const struct continuation *cont);

/* ---- http2_conn_recv.c ---- */
void http2_conn_callbacks(nghttp2_session_callbacks *callbacks); /* of the sending half too */
/* All of `in` goes to nghttp2, or as much as the budgets allow. */
void http2_conn_feed(struct http2_conn *c);
/* Noted: moves received bytes, which lie in `in`, to a stream's queue without copying them. */
enum sp_err http2_conn_take_fed(struct http2_conn *c, struct view data, struct iobuf *to)
    SP_MUST_CHECK;

/* ---- http2_conn_send.c ---- */
void http2_conn_send_callbacks(nghttp2_session_callbacks *callbacks);
/* What `out` may hold before streams have to wait. */
size_t http2_conn_out_mark(const struct http2_conn *c);
/* False: `out` is full. */
bool http2_conn_pump_now(struct http2_conn *c);

/* ---- http2_stream.c calls ---- */
/* The last stream is gone, or the connection is over: frees it when both are true. */
void http2_conn_free_if_done(struct http2_conn *c);
