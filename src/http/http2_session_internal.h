/* One client connection that speaks HTTP/2, shared by the files http2_session*.c only.
 *
 *     http2_session.c         what the server's side of http2_conn is: requests, answers, the end
 *     http2_session_watch.c   what the client owes us, and for how long
 *
 * See docs/internals/http2.md. */
#pragma once

#include "http2_stream.h"

#include <sallyport/http/http_port.h>

struct http2_session {
    struct http2_conn conn;
    const struct http_port *port; /* borrowed */
    struct timer watch;           /* looks every so often at all that has a time limit */
    int64_t began_ms;             /* monotonic, all of these: the connection */
    int64_t idle_ms;              /* since when there is no stream; 0: there is one */
    int64_t notice_ms;            /* the first GOAWAY; 0: none yet */
    int64_t took_ms;              /* the client took bytes, or had none to take */
    int64_t taken_bytes;          /* ...by then */
};

static inline struct http2_session *http2_session_of(struct http2_conn *c)
{
    return container_of(c, struct http2_session, conn);
}
static inline const struct http_limits_conf *http2_session_limits(const struct http2_session *s)
{
    return &s->port->conf->limits;
}

/* ---- http2_session.c ---- */
/* No new streams from here on: the first of two steps. */
void http2_session_drain_begin(struct http2_session *s);
/* The second: what is under way goes on, then the connection ends. */
void http2_session_drain_end(struct http2_session *s);

/* ---- http2_session_watch.c ---- */
void http2_session_watch_init(struct http2_session *s);
/* Everything was told: is the connection idle, and when is the next look? */
void http2_session_watch_rest(struct http2_session *s);
void http2_session_watch_cancel(struct http2_session *s);

/* ---- session_accept.c calls ---- */
/* Lets the connection run out if it is this protocol's. False: it is another's. */
bool http2_session_drain(struct net_vconnection *vc);
