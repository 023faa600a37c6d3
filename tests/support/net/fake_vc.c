#include "fake_vc.h"

#include "unit_test.h"

#include <sallyport/base/iobuf.h>

#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct fake_vc {
    struct net_vconnection super;
    struct fake_peer *peer;
};

/* Of net_core.c: what a thread's end does. */
void net_handler_close_all(struct net_handler *nh);

static struct {
    struct event_processor *ep;
    struct net_core *core;
    struct ethread *thread;
    struct net_accept listener;
    int64_t now_ms;
} net;

/* ---- The transport ---- */

static struct fake_peer *peer_of(const struct net_vconnection *vc)
{
    const struct fake_vc *fake = (const void *)((const char *)vc - offsetof(struct fake_vc, super));

    return fake->peer;
}

/* Room for n bytes and a NUL. So much from the start that a test which makes allocations fail does
 * not see ours. */
static void make_room(char **bytes, size_t *cap, size_t n)
{
    size_t want = n + 1 < (size_t)256 * 1024 ? (size_t)256 * 1024 : 2 * n;

    if (n < *cap)
        return;
    *bytes = realloc(*bytes, want);
    assert_non_null(*bytes);
    *cap = want;
}

static size_t fill(struct fake_peer *peer, const struct iovec *iov, int n_iov, size_t n)
{
    size_t at = 0;

    for (int i = 0; i < n_iov && at < n; i++) {
        size_t len = iov[i].iov_len < n - at ? iov[i].iov_len : n - at;

        memcpy(iov[i].iov_base, peer->says + at, len);
        at += len;
    }
    peer->n_says -= at;
    memmove(peer->says, peer->says + at, peer->n_says);
    return at;
}

static struct io_result fake_recv(struct net_vconnection *vc, const struct iovec *iov, int n_iov)
{
    struct fake_peer *peer = peer_of(vc);
    size_t n = peer->n_says;

    peer->n_recv++;
    if (n == 0) {
        switch (peer->end) {
        case FAKE_OPEN: return IO_RESULT_WANT(IO_WANT_READ);
        case FAKE_EOF: return IO_RESULT_EOF;
        case FAKE_RESET: return IO_RESULT_ERROR(SP_PEER_RESET);
        }
    }
    if (peer->piece != 0 && n > peer->piece)
        n = peer->piece;
    n = fill(peer, iov, n_iov, n);
    return (struct io_result){
        .status = IO_OK, .n = n, .drained = peer->n_says == 0 && peer->end == FAKE_OPEN};
}

static struct io_result fake_send(struct net_vconnection *vc, const struct iovec *iov, int n_iov)
{
    struct fake_peer *peer = peer_of(vc);
    size_t n = 0;

    if (peer->write_error)
        return IO_RESULT_ERROR(SP_PEER_RESET);
    for (int i = 0; i < n_iov; i++)
        n += iov[i].iov_len;
    if (n > peer->takes)
        n = peer->takes;
    if (n == 0)
        return IO_RESULT_WANT(IO_WANT_WRITE);
    if (peer->takes != SIZE_MAX)
        peer->takes -= n;
    make_room(&peer->got, &peer->cap_got, peer->n_got + n);
    for (size_t left = n; left > 0; iov++) {
        size_t len = iov->iov_len < left ? iov->iov_len : left;

        memcpy(peer->got + peer->n_got, iov->iov_base, len);
        peer->n_got += len;
        left -= len;
    }
    peer->got[peer->n_got] = '\0';
    return (struct io_result){.status = IO_OK, .n = n};
}

static void fake_shutdown_write(struct net_vconnection *vc)
{
    peer_of(vc)->got_end = true;
}

static void fake_close(struct net_vconnection *vc, enum vc_close how)
{
    struct fake_peer *peer = peer_of(vc);

    peer->closed = true;
    peer->how = how;
    peer->vc = NULL;
}

static bool fake_tls_info(const struct net_vconnection *vc, struct tls_info *out)
{
    const char *alpn = peer_of(vc)->alpn;

    if (alpn == NULL)
        return false;
    *out = (struct tls_info){.version = "TLSv1.3", .alpn = view_of(alpn)};
    return true;
}

static void fake_destroy(struct net_vconnection *vc)
{
    net_vc_fini(vc);
    free(container_of(vc, struct fake_vc, super));
}

static const struct net_vc_ops fake_vc_ops = {
    .name = "fake",
    .advance = net_vc_default_advance,
    .recv = fake_recv,
    .send = fake_send,
    .flush = net_vc_default_flush,
    .pending = net_vc_default_pending,
    .shutdown_write = fake_shutdown_write,
    .close = fake_close,
    .detach = net_vc_default_detach,
    .tls_info = fake_tls_info,
    .identity = net_vc_default_identity,
    .serves = net_vc_default_serves,
    .destroy = fake_destroy,
};

/* ---- The net layer around it ---- */

static int64_t fake_mono_ns(void)
{
    return net.now_ms * 1000000;
}

static int64_t fake_wall_ms(void)
{
    return INT64_C(1700000000000) + net.now_ms;
}

static void listener_destroy(struct net_accept *na)
{
    (void)na;
}

void fake_net_open(void)
{
    static const struct clock_source clock = {.mono_ns = fake_mono_ns, .wall_ms = fake_wall_ms};
    static const struct net_accept_ops listener_ops = {listener_destroy};

    net.now_ms = 1000;
    clock_set_for_test(&clock);
    net.ep = event_processor_new();
    assert_non_null(net.ep);
    net.core = net_core_new(net.ep, &(struct net_core_options){
                                        .n_net_threads = 1,
                                        .default_inactivity_ms = 300000,
                                        .handshake_budget_ns = INT64_MAX,
                                    });
    assert_non_null(net.core);
    net.thread = net.ep->groups[net.core->et_net].threads[0];
    this_ethread_ = net.thread;
    memset(&net.listener, 0, sizeof(net.listener));
    net.listener.ops = &listener_ops;
    atomic_init(&net.listener.refs, 1);
}

void fake_net_close(void)
{
    net_handler_close_all(fake_net_handler());
    net_core_free(net.core);
    event_processor_free(net.ep);
    iobuf_thread_fini();
    this_ethread_ = NULL;
    clock_set_for_test(NULL);
}

struct net_handler *fake_net_handler(void)
{
    return net_handler_of(net.core, net.thread);
}

struct net_core *fake_net_core(void)
{
    return net.core;
}

int64_t fake_net_now_ms(void)
{
    return net.now_ms;
}

/* One turn that does not sleep: its clock is not the system's. */
static void turn_once(void)
{
    uint64_t one = 1;

    assert_int_equal(write(net.thread->event_fd, &one, sizeof(one)), sizeof(one));
    net.thread->turn(net.thread);
}

static bool is_busy(void)
{
    const struct net_handler *nh = fake_net_handler();

    return !list_is_empty(&nh->read_ready) || !list_is_empty(&nh->write_ready) ||
           !list_is_empty(&nh->closed) || ethread_wait_ms(net.thread) == 0;
}

void fake_net_turn(void)
{
    unsigned n = 0;

    do {
        turn_once();
        assert_true(++n < 100000); /* a loop that never comes to rest */
    } while (is_busy());
}

void fake_net_pass_ms(int64_t ms)
{
    net.now_ms += ms;
    fake_net_turn();
}

void fake_net_pass_slowly_ms(int64_t ms, int64_t step_ms)
{
    for (; ms > 0; ms -= step_ms)
        fake_net_pass_ms(ms < step_ms ? ms : step_ms);
}

/* ---- Connections ---- */

/* The descriptor is there to have a place in the poll set; it never becomes ready. */
static struct net_vconnection *fake_vc_new(struct fake_peer *peer, struct net_accept *listener)
{
    struct fake_vc *vc = calloc(1, sizeof(*vc));

    assert_non_null(vc);
    vc->peer = peer;
    net_vc_init(&vc->super, &fake_vc_ops, net.core, eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
    vc->super.accept = listener;
    vc->super.thread = net.thread;
    assert_int_equal(net_handler_add(fake_net_handler(), &vc->super), SP_OK);
    make_room(&peer->says, &peer->cap_says, 0);
    make_room(&peer->got, &peer->cap_got, 0);
    peer->got[0] = '\0';
    peer->vc = &vc->super;
    peer->takes = SIZE_MAX;
    return peer->vc;
}

struct net_vconnection *fake_vc_accept(struct fake_peer *peer, void *user)
{
    net.listener.options.user = user;
    return fake_vc_new(peer, net_accept_ref(&net.listener));
}

struct net_vconnection *fake_vc_connect(struct fake_peer *peer)
{
    assert_int_equal(net_throttle_connect(net.core->throttle), SP_OK);
    return fake_vc_new(peer, NULL);
}

static void poke(struct fake_peer *peer, uint32_t events)
{
    if (peer->vc != NULL)
        peer->vc->eio.ready(&peer->vc->eio, events);
}

void fake_peer_says_bytes(struct fake_peer *peer, const void *bytes, size_t n)
{
    make_room(&peer->says, &peer->cap_says, peer->n_says + n);
    memcpy(peer->says + peer->n_says, bytes, n);
    peer->n_says += n;
    poke(peer, EPOLLIN);
}

void fake_peer_says(struct fake_peer *peer, const char *text)
{
    fake_peer_says_bytes(peer, text, strlen(text));
}

void fake_peer_ends(struct fake_peer *peer, enum fake_end end)
{
    peer->end = end;
    poke(peer,
         end == FAKE_RESET ? EPOLLIN | EPOLLRDHUP | EPOLLERR | EPOLLHUP : EPOLLIN | EPOLLRDHUP);
}

void fake_peer_takes(struct fake_peer *peer, size_t n)
{
    peer->takes = n;
    poke(peer, EPOLLOUT);
}

void fake_peer_forget(struct fake_peer *peer)
{
    peer->n_got = 0;
    peer->got[0] = '\0';
}

void fake_peer_fini(struct fake_peer *peer)
{
    free(peer->says);
    free(peer->got);
    *peer = (struct fake_peer){0};
}
