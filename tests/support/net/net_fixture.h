/* The net layer over real loopback sockets, on the test's own thread: turns of the loop are run by
 * hand, the clock stands still until the test moves it, and the other ends are plain descriptors.
 *
 *     net_fixture_open(&f, NULL);
 *     net_user_init(&u);
 *     peer = net_fixture_connection(&f, &u);        u.vc is the accepted side
 *     net_user_read(&u, INT64_MAX, 65536);
 *     send(peer, "abc", 3, 0);
 *     NET_FIXTURE_UNTIL(&f, u.in.len == 3);
 *     net_fixture_close(&f);                        ends what is left, as a stopping thread does */
#pragma once

#include <sallyport/net/net_accept.h>
#include <sallyport/net/net_core.h>
#include <sallyport/net/net_processor.h>

struct net_fixture {
    struct event_processor *ep;
    struct net_core *core;
    struct net_processor np;    /* plain TCP */
    struct ethread *thread;     /* whose turns are run: the first of ET_NET */
    struct net_handler *nh;     /* its handler */
    struct net_accept listener; /* never opened: what accepted connections refer to */
    int n_fds;                  /* open descriptors before */
};

/* `options` NULL: one thread, no limits, an inactivity timeout of 300 s. */
void net_fixture_open(struct net_fixture *f, const struct net_core_options *options);
/* Fails the test when a connection is still counted or a descriptor still open. */
void net_fixture_close(struct net_fixture *f);
/* The test's thread is `t` from here on. */
void net_fixture_use(struct net_fixture *f, struct ethread *t);
/* One turn that does not sleep. */
void net_fixture_turn(struct net_fixture *f);
/* As many as it takes until nothing is left to do now. */
void net_fixture_settle(struct net_fixture *f);
/* Moves the clock, then settles. */
void net_fixture_pass_ms(struct net_fixture *f, int64_t ms);
/* The clock alone. */
void net_fixture_set_clock(int64_t now_ms);
int64_t net_fixture_now_ms(void);

/* Has the system's time gone on for so long since `since_ms` (net_fixture_real_ms()) that waiting
 * for a condition is hopeless? Then the test fails. */
int64_t net_fixture_real_ms(void);
void net_fixture_check_patience(int64_t since_ms, const char *condition);

/* Turns until the condition holds. */
#define NET_FIXTURE_UNTIL(f, condition)                            \
    do {                                                           \
        int64_t since_ms_ = net_fixture_real_ms();                 \
        while (!(condition)) {                                     \
            net_fixture_turn(f);                                   \
            if (!(condition))                                      \
                net_fixture_check_patience(since_ms_, #condition); \
        }                                                          \
    } while (0)

/* A user of connections: notes what it is told, and does one thing about it. */
#define NET_USER_EVENTS 64
struct net_user {
    struct continuation super;
    struct net_vconnection *vc; /* the last that it was given; NULL once it has closed it */
    int events[NET_USER_EVENTS];
    int n_events;
    struct iobuf in, out;
    int close_on; /* the event at which it closes; 0: none */
    enum vc_close how;
    /* Called for each event, after it was noted; may be NULL. */
    void (*act)(struct net_user *u, int event, void *data);
    enum sp_err failure; /* of NET_EVENT_OPEN_FAILED */
    int failure_errno;
};

void net_user_init(struct net_user *u);
void net_user_fini(struct net_user *u);
int net_user_count(const struct net_user *u, int event);
/* EVENT_NONE without any. */
int net_user_last(const struct net_user *u);
void net_user_forget(struct net_user *u);
/* do_io_read into u->in and do_io_write from u->out. */
struct vio *net_user_read(struct net_user *u, int64_t nbytes, size_t pause_bytes);
struct vio *net_user_write(struct net_user *u, int64_t nbytes, size_t low_water);
void net_user_say(struct net_user *u, const void *bytes, size_t n);
void net_user_close(struct net_user *u, enum vc_close how);

/* Sockets for the other side. They are closed by the test. */
int loopback_listen(int backlog, struct endpoint *bound);
/* Non-blocking, and connected when this returns. */
int loopback_connect(const struct endpoint *to);
/* Two ends of one TCP connection, both non-blocking. */
void loopback_pair(int ends[2]);
/* A connection that was accepted, its NET_EVENT_ACCEPT told to u; the peer's descriptor. */
int net_fixture_connection(struct net_fixture *f, struct net_user *u);
/* Reads exactly n bytes, or fewer if the stream ends before, turning the loop meanwhile. */
size_t net_fixture_receive(struct net_fixture *f, int fd, void *dst, size_t n);
/* True: the stream ended cleanly; false: by a reset. Reads what comes before and drops it. */
bool net_fixture_ends_clean(struct net_fixture *f, int fd);
