/* A connection: the abstract class. The base owns control flow (VIOs, readiness, timeouts, events,
 * closing); a transport supplies verbs at the byte boundary (struct net_vc_ops).
 *
 * Life: made by a processor on the thread that accepted or connects; CONNECTING and HANDSHAKE until
 * its transport is usable; perhaps moved once to a data thread; OPEN: its user gets
 * NET_EVENT_ACCEPT or NET_EVENT_OPEN and calls do_io_read/do_io_write; do_io_close ends everything
 * outside memory at once; the reaper frees it at the end of the loop turn.
 *
 * Thread: its own, always. A callback may close the connection that it is called for: whoever calls
 * out checks `closed` on the next line. */
#pragma once

#include <sallyport/base/endpoint.h>
#include <sallyport/base/iobuf.h>
#include <sallyport/base/list.h>
#include <sallyport/event/continuation.h>
#include <sallyport/event/ethread.h>
#include <sallyport/net/client_identity.h>
#include <sallyport/net/event_io.h>
#include <sallyport/net/handshake_queue.h>
#include <sallyport/net/io_result.h>
#include <sallyport/net/tls_info.h>

#include <sys/uio.h>

struct net_vconnection;
struct net_handler;
struct net_accept;
struct net_core;

#define NET_VC_MAX_IOV 16

enum vc_close {
    VC_CLOSE_CLEAN, /* last words first (close_notify), then FIN */
    VC_CLOSE_ABORT, /* no last words, RST: the peer must not take what it got for whole */
};

/* What a transport supplies. Thread: the connection's. None of these closes it, calls its user or
 * touches epoll. Optional slots are never NULL: use the named defaults below. */
struct net_vc_ops {
    const char *name; /* "tcp", "tls": log field and metric label */
    /* One handshake step. IO_OK: usable. WANT_*: wait. IO_EOF, IO_ERROR: give up. Before the step
     * that costs cryptography, unless vc->turn_granted: IO_WANT_TURN, with vc->turn.kind set. */
    struct io_result (*advance)(struct net_vconnection *vc);
    /* Fills the pieces in order. IO_OK: n > 0. IO_EOF: the peer ended its stream in the way that
     * the transport calls clean. */
    struct io_result (*recv)(struct net_vconnection *vc, const struct iovec *iov, int n_iov);
    /* Takes bytes from the front; may keep encoded bytes back that the socket did not take.
     * IO_OK: n > 0 were taken. WANT_WRITE: nothing was taken. */
    struct io_result (*send)(struct net_vconnection *vc, const struct iovec *iov, int n_iov);
    /* Pushes what send or recv kept back. IO_OK: nothing is left. */
    struct io_result (*flush)(struct net_vconnection *vc);
    /* Can recv give something although the socket is not readable? */
    bool (*pending)(const struct net_vconnection *vc);
    /* No more will be sent: close_notify where there is one, then shutdown(SHUT_WR). Everything
     * was flushed before. */
    void (*shutdown_write)(struct net_vconnection *vc);
    /* The descriptor is closed next: last words if `how` is clean and the state allows, without
     * waiting. */
    void (*close)(struct net_vconnection *vc, enum vc_close how);
    /* The connection moves to another thread next: leave nothing in this thread's buffers.
     * SP_NOMEM: it is closed instead. */
    enum sp_err (*detach)(struct net_vconnection *vc);
    /* False: no TLS, *out untouched. */
    bool (*tls_info)(const struct net_vconnection *vc, struct tls_info *out);
    /* The client as its certificate proves it; borrowed. NULL: none is asked for here. */
    struct client_identity *(*identity)(const struct net_vconnection *vc);
    /* May requests for this host (without a port; empty: none was given) come on this connection?
     * False: its client was verified under other rules than hold for that name now. */
    bool (*serves)(const struct net_vconnection *vc, struct view host);
    /* Reaper only. Frees the object; its own part first, then net_vc_fini(). */
    void (*destroy)(struct net_vconnection *vc);
};

/* One direction's transfer, asked for with do_io_read or do_io_write. */
struct vio {
    struct continuation *cont; /* borrowed; told of progress. NULL: nobody, no transfer */
    struct iobuf *buf;         /* borrowed; read: appended to, write: consumed from */
    int64_t nbytes;            /* how many in all; INT64_MAX: until the end */
    int64_t ndone;
    size_t mark; /* read: pause while buf holds this many; write: WRITE_READY at or below this */
    struct net_vconnection *vc;
};

struct net_state {
    struct vio vio;
    struct list ready_link; /* on one of the handler's ready lists */
    bool enabled;           /* the user wants progress */
    bool triggered;         /* the socket is ready as far as we know */
};

/* Of a connection that is used before its handshake is over: what it received may be sent again by
 * anybody who recorded it, so whoever acts on it says so or waits. */
struct net_vc_early {
    struct list waiting; /* struct net_vc_proof */
    bool over;           /* the transport has found that the handshake is over */
};
/* Told once, from the loop, when it is; unlinked before. Not told when the connection ends. */
struct net_vc_proof {
    struct list link; /* initialised; whoever waits no longer removes it */
    void (*proven)(struct net_vc_proof *proof);
};

enum vc_phase { VC_CONNECTING, VC_HANDSHAKE, VC_OPEN };
/* Which of its handler's queues an open client connection stands on. */
enum vc_queue { VC_QUEUE_NONE, VC_QUEUE_ACTIVE, VC_QUEUE_KEEP_ALIVE };

struct net_vconnection {
    const struct net_vc_ops *ops;
    struct net_handler *nh;    /* borrowed; NULL while between two threads */
    struct ethread *thread;    /* borrowed */
    struct net_core *core;     /* borrowed */
    struct net_accept *accept; /* owned reference; NULL for outgoing connections */
    struct continuation *cont; /* told of OPEN, ACCEPT, timeouts; borrowed */
    struct event_io eio;
    struct net_state read, write;
    struct handshake_entry turn; /* in nh->handshakes while it waits for its turn */
    struct list open_link;       /* on nh->open */
    struct list queue_link;      /* on nh->keep_alive or nh->active; oldest first */
    struct list closed_link;     /* on nh->closed once closed */
    struct inbox_item move;      /* the way to another thread */
    struct net_vc_early *early;  /* owned; NULL: the handshake is over, or there is none */
    struct timer inactivity_timer;
    struct timer active_timer;
    int64_t inactivity_ms;      /* 0: none */
    int64_t active_deadline_ms; /* monotonic; 0: none */
    int64_t
        last_activity_ms; /* monotonic; progress only stamps this, the timer looks when it fires */
    int64_t opened_ms;
    uint64_t id;                  /* unique in the process: logs print this */
    uint64_t bytes_in, bytes_out; /* on the socket */
    union ip_endpoint local;      /* through net_vc_local() */
    union ip_endpoint remote;
    union ip_endpoint client; /* remote, or what a trusted PROXY header said */
    int fd;                   /* -1 once closed */
    enum vc_phase phase;
    enum vc_queue queue;
    enum sp_err err; /* why, with VC_EVENT_ERROR and NET_EVENT_OPEN_FAILED */
    bool closed;
    bool peer_ended;    /* RDHUP or HUP was seen: read on until the end */
    bool socket_failed; /* ERR was seen: told even while reading is paused */
    bool polls_out;     /* EPOLLOUT is asked for: only after the first write that had to wait */
    bool flush_wanted;  /* the transport keeps bytes back until the socket takes them */
    bool handshake_wants_write;
    bool turn_granted;           /* the handshake may spend */
    bool tell_early;             /* connect_re: NET_EVENT_OPEN before the connection stands */
    bool open_told;              /* NET_EVENT_OPEN was called */
    enum vc_phase after_connect; /* what comes after VC_CONNECTING */
    bool read_ended;             /* recv gave the end or an error */
    bool write_ended;            /* shut down */
    bool shutdown_when_flushed;  /* do_io_shutdown(WRITE) waits for the buffer */
    bool throttled;              /* counted in the throttle: released on close */
    bool handshake_limited;      /* counted in core->handshake_limits until it is open or closed */
    uint8_t read_size;           /* how large the next read is: grows with full reads */
};

/* Asks for bytes into `buf` until nbytes were read; events go to `cont`. `pause_bytes`: reading
 * stops while buf holds as many, until vio_reenable(). Replaces what was asked before; cont NULL
 * stops. The returned vio is the connection's own. */
struct vio *net_vc_do_io_read(struct net_vconnection *vc, struct continuation *cont, int64_t nbytes,
                              struct iobuf *buf, size_t pause_bytes);
/* Sends what is in `buf` now and later (after vio_reenable()). WRITE_READY is told when the buffer
 * has drained to `low_water` bytes or less after progress. */
struct vio *net_vc_do_io_write(struct net_vconnection *vc, struct continuation *cont,
                               int64_t nbytes, struct iobuf *buf, size_t low_water);
/* The buffer changed (read: room, write: data): go on in this turn. */
void vio_reenable(struct vio *vio);

enum vc_shutdown { VC_SHUTDOWN_READ, VC_SHUTDOWN_WRITE };
/* READ: no more read events. WRITE: after what is queued was sent, the stream is ended cleanly. */
void net_vc_do_io_shutdown(struct net_vconnection *vc, enum vc_shutdown how);
/* Ends the connection at once; queued data is dropped. Legal anywhere, also twice. */
void net_vc_do_io_close(struct net_vconnection *vc, enum vc_close how);

/* Restarts the count; 0 cancels. VC_EVENT_INACTIVITY_TIMEOUT goes to the read vio's user, else the
 * write vio's, else vc->cont; a user that does not close gets it again after as long. */
void net_vc_set_inactivity_timeout(struct net_vconnection *vc, int64_t timeout_ms);
/* From now; 0 cancels. Once. In VC_HANDSHAKE it ends the connection with SP_TLS_TIMEOUT. A
 * transport may set either in its constructor, before the connection stands in a poll set. */
void net_vc_set_active_timeout(struct net_vconnection *vc, int64_t timeout_ms);

/* KEEP_ALIVE: idle between requests, may be evicted under pressure, oldest first, by
 * VC_EVENT_EVICT. ACTIVE: serves a request. Client connections only. */
void net_vc_set_queue(struct net_vconnection *vc, enum vc_queue queue);

/* An idle connection must go: VC_EVENT_EVICT, and closed if its user does not do it. */
void net_vc_evict(struct net_vconnection *vc);

/* Our end: asked of the system when somebody first wants to know. */
const union ip_endpoint *net_vc_local(struct net_vconnection *vc);

static inline bool net_vc_tls_info(const struct net_vconnection *vc, struct tls_info *out)
{
    return vc->ops->tls_info(vc, out);
}
/* May what was received be a copy? Until the handshake is over. */
static inline bool net_vc_is_early(const struct net_vconnection *vc)
{
    return vc->early != NULL && !vc->early->over;
}
/* Only while it is early. */
static inline void net_vc_wait_proof(struct net_vconnection *vc, struct net_vc_proof *proof)
{
    list_push_back(&vc->early->waiting, &proof->link);
}
static inline struct client_identity *net_vc_identity(const struct net_vconnection *vc)
{
    return vc->ops->identity(vc);
}
static inline bool net_vc_serves(const struct net_vconnection *vc, struct view host)
{
    return vc->ops->serves(vc, host);
}

/* For processors and transports. */

/* Gives a fresh connection to its first thread, which adds it to its handler and goes on:
 * handshake, or NET_EVENT_ACCEPT. Any thread; the connection is void for the caller. */
void net_vc_start(struct net_vconnection *vc, struct ethread *t);
/* Ends one that is in no handler yet, or no longer. */
void net_vc_discard(struct net_vconnection *vc);

/* Everything but the descriptor's place in a poll set. `fd` belongs to the connection from here. */
void net_vc_init(struct net_vconnection *vc, const struct net_vc_ops *ops, struct net_core *core,
                 int fd);
/* The base's part of destroy. */
void net_vc_fini(struct net_vconnection *vc);
/* recv(2) and sendmsg(2) with this connection's accounting; used by every transport so that
 * counters and short-read logic exist once. */
struct io_result net_vc_socket_recv(struct net_vconnection *vc, void *dst, size_t cap);
struct io_result net_vc_socket_recvv(struct net_vconnection *vc, const struct iovec *iov,
                                     int n_iov);
struct io_result net_vc_socket_sendv(struct net_vconnection *vc, const struct iovec *iov,
                                     int n_iov);

struct io_result net_vc_default_advance(struct net_vconnection *vc);      /* IO_OK */
struct io_result net_vc_default_flush(struct net_vconnection *vc);        /* IO_OK */
bool net_vc_default_pending(const struct net_vconnection *vc);            /* false */
void net_vc_default_shutdown_write(struct net_vconnection *vc);           /* shutdown(SHUT_WR) */
void net_vc_default_close(struct net_vconnection *vc, enum vc_close how); /* nothing */
enum sp_err net_vc_default_detach(struct net_vconnection *vc);            /* SP_OK */
bool net_vc_default_tls_info(const struct net_vconnection *vc, struct tls_info *out); /* false */
struct client_identity *net_vc_default_identity(const struct net_vconnection *vc);    /* NULL */
bool net_vc_default_serves(const struct net_vconnection *vc, struct view host);       /* true */
