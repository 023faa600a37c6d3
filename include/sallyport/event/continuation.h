/* Something that can be called back: a handler and what it needs, embedded in its owner.
 *
 * A continuation belongs to one thread, the only one that calls it; `mutex` stays NULL. One that
 * several threads must call (a listener's management, the event processor's own hooks) carries a
 * mutex: the event system takes it with try-lock and calls again a moment later when it is busy,
 * so no loop ever waits for a lock. */
#pragma once

#include <pthread.h>
#include <stddef.h>

struct continuation;
struct net_vconnection;

/* Event codes. The blocks leave room so that a code tells where it comes from. */
enum event_code {
    EVENT_NONE = 0,
    EVENT_IMMEDIATE = 1,
    EVENT_INTERVAL = 2,

    VC_EVENT_READ_READY = 100,   /* data: the vio; bytes were added to its buffer */
    VC_EVENT_READ_COMPLETE,      /* data: the vio; nbytes were read */
    VC_EVENT_WRITE_READY,        /* data: the vio; its buffer has drained to its low-water mark */
    VC_EVENT_WRITE_COMPLETE,     /* data: the vio; nbytes were written */
    VC_EVENT_EOS,                /* data: the read vio; the peer ended its stream cleanly */
    VC_EVENT_ERROR,              /* data: the vio; vc->err says what */
    VC_EVENT_INACTIVITY_TIMEOUT, /* data: the vc */
    VC_EVENT_ACTIVE_TIMEOUT,     /* data: the vc */
    VC_EVENT_EVICT,              /* data: the vc; an idle connection must go, close it */

    NET_EVENT_OPEN = 200,    /* data: the new vc, connected */
    NET_EVENT_OPEN_FAILED,   /* data: struct net_open_failure * */
    NET_EVENT_ACCEPT,        /* data: the new vc, ready for data */
    NET_EVENT_ACCEPT_FAILED, /* data: struct net_accept *; the listener is closed */
    DNS_EVENT_DONE = 300,    /* data: struct net_dns_result * */
};

/* Return values of a handler are for the event system only: a periodic event goes on after
 * EVENT_CONT and ends after EVENT_DONE. Everything else ignores them. */
enum { EVENT_DONE = 0, EVENT_CONT = 1 };

typedef int (*continuation_handler)(struct continuation *c, int event, void *data);

struct continuation {
    continuation_handler handler;
    pthread_mutex_t *mutex; /* borrowed; NULL: one owner thread */
    const char *tag;        /* what it is, for logs and stack traces; static */
};

static inline void continuation_init(struct continuation *c, const char *tag,
                                     continuation_handler handler)
{
    c->handler = handler;
    c->mutex = NULL;
    c->tag = tag;
}

/* Straight call, on the owner thread. */
static inline int continuation_call(struct continuation *c, int event, void *data)
{
    return c->handler(c, event, data);
}
