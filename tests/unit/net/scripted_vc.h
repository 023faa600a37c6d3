/* A transport that does what its script says, over real sockets: for the tests of the handler and
 * of handshakes. One program includes this once: epoll_ctl(2) is defined here. */
#pragma once

#include "net_fixture.h"
#include "unit_test.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define PAUSE_BYTES 65536
#define MAX_STEPS   8

static struct net_fixture f;
static struct net_user user;
static int peer;

/* epoll_ctl(2): so many of the next changes fail. */
static int epoll_mods_fail;

int epoll_ctl(int epoll_fd, int op, int fd, struct epoll_event *event)
{
    if (op == EPOLL_CTL_MOD && epoll_mods_fail > 0) {
        epoll_mods_fail--;
        errno = ENOMEM;
        return -1;
    }
    return (int)syscall(SYS_epoll_ctl, epoll_fd, op, fd, event);
}

/* What happened, a letter each. */
static char trace[64];

static inline void note(char what)
{
    size_t len = strlen(trace);

    if (len + 1 < sizeof(trace))
        trace[len] = what;
}

/* ---- A transport that does what it is told ---- */

struct fake_script {
    enum io_status advance[MAX_STEPS]; /* of each step; the last one goes on */
    int n_advance, n_steps;
    int64_t step_costs_ms; /* the clock goes on by so much in each */
    int recv_wants_write;  /* so many receives want to write first */
    bool pending;          /* has something although the socket is not readable */
    size_t keeps_back;     /* bytes of each send that only flush lets go */
    size_t kept;
    bool flush_waits; /* it cannot now */
    enum sp_err detach;
    int n_detached, n_destroyed;
    bool ended;
    enum vc_close how;
};

struct fake_vc {
    struct net_vconnection super;
    struct fake_script *script;
};

/* Those of the connections that are made next. */
static struct fake_script script;

static inline struct fake_script *script_of(const struct net_vconnection *vc)
{
    return container_of((struct net_vconnection *)(uintptr_t)vc, struct fake_vc, super)->script;
}

static inline struct io_result fake_advance(struct net_vconnection *vc)
{
    struct fake_script *s = script_of(vc);
    int at = s->n_steps < s->n_advance ? s->n_steps : s->n_advance - 1;
    char byte;

    note('h');
    s->n_steps++;
    net_fixture_set_clock(net_fixture_now_ms() + s->step_costs_ms);
    if (s->advance[at] == IO_WANT_TURN && vc->turn_granted)
        return (struct io_result){.status = IO_OK};
    if (s->advance[at] == IO_WANT_READ)
        while (recv(vc->fd, &byte, 1, MSG_DONTWAIT) > 0) /* what it waits for is gone */
            ;
    return (struct io_result){.status = s->advance[at],
                              .err = s->advance[at] == IO_ERROR ? SP_TLS_PROTOCOL : SP_OK};
}

static inline struct io_result fake_recv(struct net_vconnection *vc, const struct iovec *iov,
                                         int n_iov)
{
    struct fake_script *s = script_of(vc);

    if (s->recv_wants_write > 0) {
        s->recv_wants_write--;
        return IO_RESULT_WANT(IO_WANT_WRITE);
    }
    if (s->pending) {
        s->pending = false;
        memcpy(iov[0].iov_base, "pent up", 7);
        return (struct io_result){.status = IO_OK, .n = 7};
    }
    return net_vc_socket_recvv(vc, iov, n_iov);
}

static inline struct io_result fake_send(struct net_vconnection *vc, const struct iovec *iov,
                                         int n_iov)
{
    struct fake_script *s = script_of(vc);
    struct io_result r = net_vc_socket_sendv(vc, iov, n_iov);

    if (r.status == IO_OK)
        s->kept = s->keeps_back;
    return r;
}

static inline struct io_result fake_flush(struct net_vconnection *vc)
{
    struct fake_script *s = script_of(vc);

    if (s->kept > 0 && s->flush_waits)
        return IO_RESULT_WANT(IO_WANT_WRITE);
    s->kept = 0;
    return (struct io_result){.status = IO_OK};
}

static inline bool fake_pending(const struct net_vconnection *vc)
{
    return script_of(vc)->pending;
}

static inline void fake_shutdown_write(struct net_vconnection *vc)
{
    assert_int_equal(script_of(vc)->kept, 0);
    net_vc_default_shutdown_write(vc);
}

static inline void fake_close(struct net_vconnection *vc, enum vc_close how)
{
    script_of(vc)->ended = true;
    script_of(vc)->how = how;
}

static enum sp_err fake_detach(struct net_vconnection *vc)
{
    script_of(vc)->n_detached++;
    return script_of(vc)->detach;
}

static inline void fake_destroy(struct net_vconnection *vc)
{
    note('d');
    script_of(vc)->n_destroyed++;
    net_vc_fini(vc);
    free(container_of(vc, struct fake_vc, super));
}

static const struct net_vc_ops fake_vc_ops = {
    .name = "fake",
    .advance = fake_advance,
    .recv = fake_recv,
    .send = fake_send,
    .flush = fake_flush,
    .pending = fake_pending,
    .shutdown_write = fake_shutdown_write,
    .close = fake_close,
    .detach = fake_detach,
    .tls_info = net_vc_default_tls_info,
    .identity = net_vc_default_identity,
    .serves = net_vc_default_serves,
    .destroy = fake_destroy,
};

static int event_type; /* where the connections of the fake processor start */

static inline int fake_accept_event_type(const struct net_processor *np)
{
    (void)np;
    return event_type;
}

static inline struct net_vconnection *fake_allocate_vc(struct net_processor *np,
                                                       struct net_accept *na, int fd)
{
    struct fake_vc *vc = calloc(1, sizeof(*vc));

    if (vc == NULL)
        return NULL;
    net_vc_init(&vc->super, &fake_vc_ops, np->core, fd);
    vc->script = &script;
    vc->super.phase = VC_HANDSHAKE;
    vc->super.accept = na;
    return &vc->super;
}

static inline struct net_vconnection *
fake_allocate_client_vc(struct net_processor *np, const struct net_connect_options *options, int fd)
{
    (void)options;
    return fake_allocate_vc(np, NULL, fd);
}

static inline struct net_accept *fake_create_net_accept(struct net_processor *np,
                                                        const struct net_accept_options *options)
{
    return tcp_net_processor_ops.create_net_accept(np, options);
}

static const struct net_processor_ops fake_processor_ops = {
    .name = "fake",
    .begins_with_handshake = true,
    .accept_event_type = fake_accept_event_type,
    .create_net_accept = fake_create_net_accept,
    .allocate_vc = fake_allocate_vc,
    .allocate_client_vc = fake_allocate_client_vc,
};

static struct net_processor fake_np;

static inline void script_is(enum io_status first, enum io_status second)
{
    script = (struct fake_script){.advance = {first, second}, .n_advance = 2};
}

/* ---- Fixture ---- */

static inline void open_with(const struct net_core_options *options)
{
    net_fixture_open(&f, options);
    net_processor_init(&fake_np, &fake_processor_ops, f.core);
    event_type = f.core->et_net;
    net_user_init(&user);
    memset(trace, 0, sizeof(trace));
    script = (struct fake_script){.n_advance = 1};
    peer = -1;
}

static inline int setup(void **state)
{
    (void)state;
    open_with(NULL);
    return 0;
}

static inline int teardown(void **state)
{
    (void)state;
    net_user_fini(&user);
    if (peer >= 0)
        (void)close(peer);
    net_fixture_close(&f);
    return iobuf_usage().small_blocks + iobuf_usage().large_blocks == 0 ? 0 : -1;
}

/* A connection that the fake processor accepted, on the thread that is in use. */
static inline struct net_vconnection *accept_fake(struct net_user *u, int *peer_fd)
{
    struct net_vconnection *vc;
    int ends[2];

    loopback_pair(ends);
    *peer_fd = ends[0];
    f.listener.options.cont = &u->super;
    vc = fake_np.ops->allocate_vc(&fake_np, net_accept_ref(&f.listener), ends[1]);
    assert_non_null(vc);
    net_vc_start(vc, f.thread);
    return vc;
}

static inline void peer_says(int fd, const char *text)
{
    assert_int_equal(send(fd, text, strlen(text), 0), strlen(text));
}

/* As much as the two sockets take. */
static inline size_t stuff(int fd)
{
    static const char bytes[65536];
    size_t total = 0;

    for (;;) {
        ssize_t n = send(fd, bytes, sizeof(bytes), MSG_DONTWAIT | MSG_NOSIGNAL);

        if (n < 0)
            return total;
        total += (size_t)n;
    }
}

static inline void unstuff(int fd, size_t n)
{
    static char bytes[65536];

    while (n > 0) {
        ssize_t got = recv(fd, bytes, sizeof(bytes), 0);

        if (got > 0)
            n -= (size_t)got;
        else
            (void)sched_yield();
    }
}
