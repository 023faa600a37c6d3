/* The loop of one thread that has sockets: its poll set, its ready lists, its connections.
 *
 * One turn (net_handler_turn, the only place where the order is written):
 *   1. inbox: events, connections that other threads hand over
 *   2. epoll_wait: not at all if a list is non-empty, else until the next timer
 *   3. mark `triggered` and queue by what the connection is doing
 *   4. data lists: read, then write; then listeners
 *   5. handshakes, within the time budget
 *   6. due timers
 *   7. reap what was closed
 * Thread: its own. Lives in the ethread's storage. */
#pragma once

#include <sallyport/net/handshake_floor.h>
#include <sallyport/net/handshake_shed.h>
#include <sallyport/net/handshake_stats.h>
#include <sallyport/net/net_vconnection.h>

struct net_dns;

/* A stretch of time in which handshakes came faster than they could be served. */
struct handshake_overload {
    struct timer look; /* armed while it lasts: its end must not wait for the next handshake */
    int64_t began_ms;  /* monotonic; 0: there is none */
    int64_t calm_ms;   /* since when the queue has been short again; 0: it is not */
    uint64_t served, dropped_late, dropped_gone, shed; /* while it lasts */
};

struct net_handler {
    struct ethread *thread;
    struct net_core *core;
    struct poll_descriptor pd;
    struct event_io signal; /* the thread's eventfd */
    struct list read_ready, write_ready;
    struct list handshake_read_ready, handshake_write_ready;
    struct handshake_queue handshakes; /* wait for their turn */
    struct list accept_ready;          /* struct net_accept_slot.ready_link */
    struct list open;                  /* every connection of this thread */
    struct list keep_alive;            /* idle client connections, oldest first */
    struct list active;                /* client connections that serve a request, oldest first */
    struct list closed;                /* wait for the reaper */
    struct list leaving;               /* handshake over: go to a data thread with step 5's end */
    struct net_dns *dns;               /* owned; NULL until this thread first resolves a name */
    uint32_t n_open, n_keep_alive, n_active;
    uint32_t n_handshakes;        /* connections in VC_HANDSHAKE */
    struct handshake_floor floor; /* says how long handshakes may take in a turn */
    struct handshake_shed shed;   /* says when newcomers are refused */
    struct handshake_overload overload;
    struct handshake_now handshakes_now; /* any thread may read it */
    struct timer pace_timer;             /* armed while as many have begun as a second allows */
    bool paced;                          /* ...and nobody who waits has a turn until it fires */
    struct inbox_item relief;            /* "let idle connections go", from any thread */
    atomic_bool relief_asked;            /* ...is on its way */
    struct timer relief_timer;           /* ...and is done when what has arrived was read */
    atomic_bool handshakes_full;         /* any thread: no further connection for this one now */
    atomic_uint n_open_now;              /* any thread: n_open as of the last turn */
    atomic_bool awake;                   /* any thread: it does not wait for events */
    atomic_uint n_disposals;             /* any thread: SSL objects it is to free (src/tls) */
};

/* The handler of an ethread that has one (ET_NET, ET_SSL). */
struct net_handler *net_handler_of(struct net_core *core, struct ethread *t);

/* spawn_options of a net thread. */
void net_handler_turn(struct ethread *t);

/* Takes a connection into this thread's poll set and lists. On an error it was not taken. */
enum sp_err net_handler_add(struct net_handler *nh, struct net_vconnection *vc) SP_MUST_CHECK;
/* Out of the poll set and every list, before a move or a close. */
void net_handler_remove(struct net_handler *nh, struct net_vconnection *vc);
/* Queues a direction if there is something to do for it. */
void net_handler_ready(struct net_handler *nh, struct net_vconnection *vc, struct net_state *s);

/* Asks up to n of the oldest idle client connections to go (VC_EVENT_EVICT). Returns how many
 * went. */
uint32_t net_handler_evict_idle(struct net_handler *nh, uint32_t n);

/* Has it as many handshakes as it may? Any thread. */
static inline bool net_handler_is_full(const struct net_handler *nh)
{
    return atomic_load_explicit(&nh->handshakes_full, memory_order_relaxed);
}

/* The handler belongs to net_core; see net_core.h. */
enum sp_err net_handler_init(struct net_handler *nh, struct net_core *core, struct ethread *t)
    SP_MUST_CHECK;
void net_handler_fini(struct net_handler *nh);
