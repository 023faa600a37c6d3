/* Opens connections, both ways. The base class makes plain TCP connections; SSLNetProcessor
 * (tls/ssl_net_processor.h) overrides which class a connection has and which threads run it first.
 *
 * Thread: main_accept from any thread that may block; connect_* on the ethread that will own the
 * connection. */
#pragma once

#include <sallyport/net/net_accept.h>
#include <sallyport/net/net_core.h>
#include <sallyport/net/tls_client.h>

struct net_processor;
struct net_connect_options;

struct net_processor_ops {
    const char *name;
    bool begins_with_handshake; /* its accepted connections: handshake_limits.h holds for them */
    /* Which threads accept and run a new connection first: ET_NET, or ET_SSL. */
    int (*accept_event_type)(const struct net_processor *np);
    /* A listener object, not yet open: net_accept_init() was called on it. */
    struct net_accept *(*create_net_accept)(struct net_processor *np,
                                            const struct net_accept_options *options);
    /* A connection over fd in the phase that comes first (VC_HANDSHAKE or VC_OPEN); the accept
     * reference is already taken by the caller and handed over with success. `fd` belongs to the
     * connection on success and stays the caller's on NULL (out of memory). No cryptography here.
     */
    struct net_vconnection *(*allocate_vc)(struct net_processor *np, struct net_accept *na, int fd);
    /* Likewise for an outgoing connection, in the phase that comes once it stands. */
    struct net_vconnection *(*allocate_client_vc)(struct net_processor *np,
                                                  const struct net_connect_options *options,
                                                  int fd);
};

struct net_processor {
    const struct net_processor_ops *ops;
    struct net_core *core;
};

void net_processor_init(struct net_processor *np, const struct net_processor_ops *ops,
                        struct net_core *core);
extern const struct net_processor_ops tcp_net_processor_ops;

/* Opens a listener, which accepts nobody yet: who connects waits in the kernel. The caller owns one
 * reference, and calls net_accept_stop() before it gives that back (net_accept_unref). Before or
 * after the threads started. On failure *err_text says what failed ("bind: Address already in
 * use"), for a person; static or thread-local. */
struct net_accept *net_processor_listen(struct net_processor *np,
                                        const struct net_accept_options *options,
                                        const char **err_text) SP_MUST_CHECK;
/* The same, and it accepts. */
struct net_accept *net_processor_main_accept(struct net_processor *np,
                                             const struct net_accept_options *options,
                                             const char **err_text) SP_MUST_CHECK;

struct net_connect_options {
    struct endpoint remote;
    struct endpoint source; /* len 0: the system chooses */
    int64_t timeout_ms;     /* until it is usable, its handshake included; 0: default inactivity */
    bool tcp_nodelay;
    uint32_t mark;
    struct tls_client *tls; /* borrowed: the connection takes a reference. Of a processor that
                               speaks TLS, for which it is required; nobody else looks at it */
};

struct net_open_failure {
    struct net_vconnection *vc; /* being closed; only to tell which */
    enum sp_err err;
    int error_number; /* errno, or 0 */
};

/* connect_re: NET_EVENT_OPEN as soon as the connection is under way; what is written before it
 * stands waits, a failure comes as VC_EVENT_ERROR.
 * connect_s: NET_EVENT_OPEN only when the connection is proven (SO_ERROR) and its handshake, if it
 * has one, is over; else NET_EVENT_OPEN_FAILED.
 * The connection is returned at once so that it can be closed while pending; its event comes in a
 * later turn or later in this one, never inside this call. NULL: nothing was started, *err says
 * why (SP_SHUTTING_DOWN: the thread is ending), and no event comes. */
struct net_vconnection *net_processor_connect_re(struct net_processor *np,
                                                 const struct net_connect_options *options,
                                                 struct continuation *c, enum sp_err *err)
    SP_MUST_CHECK;
struct net_vconnection *net_processor_connect_s(struct net_processor *np,
                                                const struct net_connect_options *options,
                                                struct continuation *c, enum sp_err *err)
    SP_MUST_CHECK;
