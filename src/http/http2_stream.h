/* One exchange on an HTTP/2 connection: http_stream's operations for both sides, its two queues and
 * its receive window.
 *
 * Receiving: what DATA frames bring waits in `in` until the user takes it, and only then the
 * windows of stream and connection are opened again. A paused stream fills its window and no more.
 * A window starts at http2.stream_window_bytes; each time a stream has gone through all of it
 * without being paused it doubles, up to http2.max_stream_window_bytes, as long as all such growth
 * of a connection stays below half of http2.receive_bytes, the connection's own window. So fast
 * uploads reach full speed on a long path, and what streams that stand still can hold is bounded.
 *
 * Sending: send_body() queues in `out`; nghttp2 asks for a frame's worth when the stream's turn
 * comes and windows and the connection's queue have room.
 *
 * Life: made by http2_stream_new() (server: a request's block begins; client: request()). Its
 * memory lives until the user has released it and the protocol has closed it (is_open false).
 *
 *     http2_stream.c        life, and what its user calls
 *     http2_stream_recv.c   what arrives, the window, and telling the user
 *
 * Thread: the connection's. Prefix: http2_stream_. */
#pragma once

#include "http2_conn.h"

/* A head that has arrived and was not told yet; in the stream's arena. */
struct http2_message {
    struct http2_message *next;
    struct http_head head;
    bool end; /* nothing follows */
};

struct http2_stream {
    struct http_stream super;                /* super.id is 0 until nghttp2 knows the stream */
    struct http2_conn *conn;                 /* borrowed; lives as long as its streams */
    struct list link;                        /* on conn->streams */
    struct list ready_link;                  /* on conn->ready */
    struct http2_message *messages;          /* heads to tell, oldest first */
    const struct http_head *request;         /* the head that began the exchange; borrowed */
    void *side;                              /* what its side keeps of it, in the arena */
    struct http_fields trailers;             /* received, to tell */
    struct http2_fields_block send_trailers; /* given by the user, to go behind `out` */
    struct iobuf in, out;
    uint64_t recv_left, send_left; /* of the announced length; UINT64_MAX: none was announced */
    uint32_t extra_window_bytes;   /* by which its window has grown */
    uint64_t window_used;          /* bytes taken since then */
    int64_t received_ms;           /* monotonic: the last byte of a body or head */
    int64_t sent_ms;         /* monotonic: the last progress of `out`, or when it began to wait */
    uint64_t counted_bytes;  /* server: received at the last look at the rate... */
    int64_t counted_ms;      /* ...which was then; 0: none yet */
    enum http_error trouble; /* came over the stream; not yet told */
    bool is_open;            /* nghttp2 knows it */
    bool head_told;          /* the final head */
    bool head_read;          /* the final head has arrived; a further block is trailers */
    bool wire_ended;         /* END_STREAM has arrived */
    bool wire_sent;          /* END_STREAM has left */
    bool has_trailers;       /* `trailers` are to be told */
    bool has_send_trailers;
    bool holds_tunnel; /* body bytes wait until there is a tunnel */
    bool deferred;     /* nghttp2 had asked and there was nothing to send */
    bool paused;       /* by the user */
    bool above;        /* send queue went over its bound */
    bool drained;      /* ...and fell to half of it: the user is to be told */
    bool failed;       /* the user was told so */
    bool aborted;      /* by us: reset, nothing more is told or sent */
    bool rate_graced;  /* server: the first window of the rate is over */
    bool continued;    /* 100 (Continue) was sent */
    bool released;     /* nobody will call again */
    bool tunnel;       /* bytes both ways */
};

static inline struct http2_stream *http2_stream_of(struct http_stream *s)
{
    return container_of(s, struct http2_stream, super);
}

/* The ops of both sides. */
extern const struct http_stream_ops http2_stream_ops;

/* On conn->streams, with an arena. `id` 0: nghttp2 does not know it yet; say so with
 * http2_stream_opened() after nghttp2_submit_request(). NULL: out of memory. */
struct http2_stream *http2_stream_new(struct http2_conn *c, int32_t id) SP_MUST_CHECK;
void http2_stream_opened(struct http2_stream *s, int32_t id);
/* What is queued to send goes. */
void http2_stream_drop_queued(struct http2_stream *s);
/* What was received and is not told goes; the windows open again. */
void http2_stream_drop_received(struct http2_stream *s);
/* Over for both: unlinks and frees. Harmless while it is not. From run() and users' calls. */
void http2_stream_free_if_done(struct http2_stream *s);

/* Something is to be told: puts it on `ready`. Noted or not; the caller sees to a run(). */
void http2_stream_ready(struct http2_stream *s);
/* Tells what there is, in order, as far as the user goes along. */
void http2_stream_deliver(struct http2_stream *s);
/* Noted or not: the exchange failed. Told by ops->fail when its turn comes. First one stays. */
void http2_stream_fail(struct http2_stream *s, enum http_error why);
/* RST_STREAM; nothing more leaves or is told. */
void http2_stream_reset(struct http2_stream *s, uint32_t code);
/* RFC 9113 8.1.1: a stream error of type PROTOCOL_ERROR, and `why` for the user. Noted or not. */
void http2_stream_malformed(struct http2_stream *s, enum http_error why);

/* How much may be queued before the user has to wait: super.queue_bound, as things are now. */
size_t http2_stream_bound(const struct http2_stream *s);
/* The data source for nghttp2_submit_response() and _request(). */
nghttp2_data_provider http2_stream_data(struct http2_stream *s);
/* Both directions open again as bytes (see http_stream.h, "Tunnels"). */
void http2_stream_open_tunnel(struct http2_stream *s);

/* ---- http2_conn_recv.c calls; noted ---- */
/* A piece of DATA. False: nobody will take it. */
bool http2_stream_data_arrived(struct http2_stream *s, struct view data) SP_MUST_CHECK;
void http2_stream_head_arrived(struct http2_stream *s, bool end_stream);
void http2_stream_trailers_arrived(struct http2_stream *s);
void http2_stream_ended(struct http2_stream *s); /* END_STREAM behind DATA */
void http2_stream_sent(struct http2_stream *s);  /* END_STREAM has left */
void http2_stream_closed(struct http2_stream *s, uint32_t code);
/* Also one that nghttp2 has not opened yet, or no longer knows. NULL: none. */
struct http2_stream *http2_stream_by_id(struct http2_conn *c, int32_t id);
