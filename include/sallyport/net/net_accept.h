/* A listener: makes connections of what arrives on one address.
 *
 * Life: net_processor_listen() opens its sockets; net_accept_begin() puts it where its mode says;
 * net_accept_stop() takes it from every thread; freed with its last connection (each holds a
 * reference). Another one with other options may go on with its sockets (successor_of), so that
 * nobody who connects meanwhile is refused: open that one, begin it, then stop this one.
 * NET_EVENT_ACCEPT is called on the data thread that owns the new connection, from several threads
 * at once: the continuation must not change itself. */
#pragma once

#include <sallyport/config/accept_options.h>
#include <sallyport/net/net_vconnection.h>

#include <stdatomic.h>

struct net_processor;
struct net_accept;
struct ssl_port;

struct net_accept_options {
    struct accept_options accept;
    struct endpoint endpoint;
    struct continuation *cont; /* borrowed; NET_EVENT_ACCEPT, NET_EVENT_ACCEPT_FAILED */
    void *user;                /* borrowed; the port, for whoever handles the connection */
    struct ssl_port *tls;      /* borrowed (tls/ssl_port.h); NULL on a plain port */
    struct view label;         /* port's name, for logs; borrowed */
    /* Called with `user` when the listener and all of its connections are gone; any thread. Not
     * when it could not be opened. NULL: nobody wants to know. */
    void (*release_user)(void *user);
    /* Read while it is opened: a listener that is open and not stopped, whose sockets this one goes
     * on with. NULL: it has sockets of its own. */
    const struct net_accept *successor_of;
};

struct net_accept_ops {
    /* The TLS listener frees its own part here. */
    void (*destroy)(struct net_accept *na);
};

/* One listening descriptor in one thread's poll set. */
struct net_accept_slot {
    struct net_accept *accept;
    struct ethread *thread;
    struct event_io eio;
    struct list ready_link; /* on the handler's accept_ready */
    struct inbox_item start, stop;
    struct timer resume;   /* accept is paused: errors, throttle, emergency */
    int64_t full_since_ms; /* ...because there are as many handshakes as may be; 0: it is not */
    int fd;                /* owned when it is the thread's own SO_REUSEPORT socket */
    bool owns_fd;
    bool can_refuse; /* as the listener can, until it failed */
};

struct net_accept {
    const struct net_accept_ops *ops;
    struct net_processor *np;
    struct net_accept_options options;
    int event_type;                /* whose threads run the new connections first */
    int fd;                        /* the shared listener; -1 with one socket a thread */
    struct endpoint bound;         /* with the port that the system chose */
    struct net_accept_slot *slots; /* owned */
    int n_slots;
    struct ethread **dedicated; /* owned array */
    struct continuation dedicated_cont;
    int n_dedicated;
    atomic_uint fd_users; /* who may still accept on `fd`; the last one closes it */
    atomic_uint refs;
    atomic_uint connections; /* open, made by this listener */
    bool own_sockets;        /* each slot has one */
    bool can_refuse;         /* those who wait, together (net_socket_refuse_waiting) */
    bool inherited;          /* the sockets are those of another listener as well */
    atomic_bool begun;       /* it accepts; the slots are in the threads' hands */
    atomic_bool stopping;
    atomic_bool broken; /* NET_EVENT_ACCEPT_FAILED was called, once */
};

struct net_accept *net_accept_ref(struct net_accept *na);
void net_accept_unref(struct net_accept *na);
/* Starts accepting, with the options of this listener where it has inherited its sockets. Once, any
 * thread; takes effect within a turn. */
void net_accept_begin(struct net_accept *na);
/* No further connection, and the address is free for others; connections that exist go on, and
 * those that the system had completed are still accepted, if it had begun. Any thread; takes effect
 * within a turn.
 * Required before the last net_accept_unref() of a listener that was opened. */
void net_accept_stop(struct net_accept *na);
/* Opens the sockets and whatever accepting in the mode of the options takes. On failure *what names
 * the call and errno is set. For net_processor_listen(). */
enum sp_err net_accept_open(struct net_accept *na, const char **what) SP_MUST_CHECK;
/* For subclasses. */
void net_accept_init(struct net_accept *na, const struct net_accept_ops *ops,
                     struct net_processor *np, const struct net_accept_options *options);
void net_accept_fini(struct net_accept *na);

/* How bad an accept(2) failure is. */
enum accept_severity {
    ACCEPT_ERROR_IGNORE,    /* nothing there, or the peer left: go on */
    ACCEPT_ERROR_TRANSIENT, /* this one is lost: counted, go on */
    ACCEPT_ERROR_WARN,      /* out of something: log, wait a moment */
    ACCEPT_ERROR_FATAL,     /* the listener is broken: close it, NET_EVENT_ACCEPT_FAILED */
};
enum accept_severity accept_severity_of(int error_number);
