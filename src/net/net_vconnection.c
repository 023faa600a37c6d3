/* The base class of connections: VIOs, shutdown, two-phase close, and a new one's way to its first
 * thread. The steps that move bytes are in net_io.c. */
#include "net_internal.h"

#include <sallyport/base/log.h>

#include <inttypes.h>
#include <string.h>
#include <unistd.h>

static void state_init(struct net_state *s, struct net_vconnection *vc)
{
    s->vio.vc = vc;
    list_init(&s->ready_link);
}

static void arrive(struct inbox_item *item, struct ethread *t);

void net_vc_init(struct net_vconnection *vc, const struct net_vc_ops *ops, struct net_core *core,
                 int fd)
{
    memset(vc, 0, sizeof(*vc));
    vc->ops = ops;
    vc->core = core;
    vc->fd = fd;
    vc->eio.fd = -1;
    vc->id = atomic_fetch_add_explicit(&core->next_vc_id, 1, memory_order_relaxed);
    vc->opened_ms = clock_mono_ms();
    vc->last_activity_ms = vc->opened_ms;
    vc->inactivity_ms = atomic_load_explicit(&core->default_inactivity_ms, memory_order_relaxed);
    vc->move.fn = arrive;
    vc->write.triggered = true; /* a fresh socket takes bytes; the first refusal says otherwise */
    vc->phase = VC_OPEN;
    state_init(&vc->read, vc);
    state_init(&vc->write, vc);
    list_init(&vc->open_link);
    list_init(&vc->queue_link);
    list_init(&vc->closed_link);
    handshake_entry_init(&vc->turn, clock_mono_ns() / 1000);
    inactivity_cop_init(vc);
    METRIC_INC(net_opened);
}

void net_vc_fini(struct net_vconnection *vc)
{
    SP_ASSERT(vc->fd == -1);
    free(vc->early);
    if (vc->accept != NULL) {
        atomic_fetch_sub_explicit(&vc->accept->connections, 1, memory_order_relaxed);
        net_accept_unref(vc->accept);
    }
    METRIC_INC(net_closed);
}

/* On its thread: into the poll set, and on with it. */
static void join(struct net_vconnection *vc, struct ethread *t)
{
    struct net_handler *nh = net_handler_of(vc->core, t);

    vc->thread = t;
    if (net_handler_add(nh, vc) != SP_OK) {
        LOG_LIMITED(NET, WARN, "vc=%" PRIu64 " epoll_ctl failed", vc->id);
        vc->err = SP_SYSCALL;
        net_vc_discard(vc);
        return;
    }
    if (vc->phase == VC_OPEN)
        net_vc_deliver(vc);
}

static void arrive(struct inbox_item *item, struct ethread *t)
{
    join(container_of(item, struct net_vconnection, move), t);
}

void net_vc_start(struct net_vconnection *vc, struct ethread *t)
{
    if (t == this_ethread())
        join(vc, t);
    else
        ethread_post(t, &vc->move);
}

/* What a close means outside memory. */
static void let_go(struct net_vconnection *vc, enum vc_close how)
{
    vc->ops->close(vc, how);
    if (how == VC_CLOSE_ABORT)
        net_socket_reset_on_close(vc->fd);
    (void)close(vc->fd);
    vc->fd = -1;
    net_vc_handshake_over(vc);
    if (vc->throttled)
        net_throttle_release(vc->core->throttle, &vc->remote);
    else if (vc->accept == NULL)
        net_throttle_connect_done(vc->core->throttle);
}

void net_vc_discard(struct net_vconnection *vc)
{
    vc->closed = true;
    let_go(vc, VC_CLOSE_ABORT);
    vc->ops->destroy(vc);
}

void net_vc_do_io_close(struct net_vconnection *vc, enum vc_close how)
{
    struct net_handler *nh = vc->nh;

    if (vc->closed)
        return;
    SP_ASSERT(nh != NULL && nh->thread == this_ethread());
    vc->closed = true;
    event_io_closing(&vc->eio);
    net_handler_remove(nh, vc);
    let_go(vc, how);
    list_push_back(&nh->closed, &vc->closed_link);
}

struct vio *net_vc_do_io_read(struct net_vconnection *vc, struct continuation *cont, int64_t nbytes,
                              struct iobuf *buf, size_t pause_bytes)
{
    struct vio *vio = &vc->read.vio;

    vio->cont = cont;
    vio->buf = buf;
    vio->nbytes = nbytes;
    vio->ndone = 0;
    vio->mark = pause_bytes;
    vc->read.enabled = cont != NULL && nbytes > 0 && !vc->read_ended;
    net_handler_ready(vc->nh, vc, &vc->read);
    return vio;
}

struct vio *net_vc_do_io_write(struct net_vconnection *vc, struct continuation *cont,
                               int64_t nbytes, struct iobuf *buf, size_t low_water)
{
    struct vio *vio = &vc->write.vio;

    vio->cont = cont;
    vio->buf = buf;
    vio->nbytes = nbytes;
    vio->ndone = 0;
    vio->mark = low_water;
    vc->write.enabled = cont != NULL && nbytes > 0 && !vc->write_ended;
    net_handler_ready(vc->nh, vc, &vc->write);
    return vio;
}

void vio_reenable(struct vio *vio)
{
    struct net_vconnection *vc = vio->vc;
    struct net_state *s = container_of(vio, struct net_state, vio);

    if (vc->closed || vio->cont == NULL || vio->ndone >= vio->nbytes)
        return;
    s->enabled = s == &vc->read ? !vc->read_ended : !vc->write_ended;
    net_handler_ready(vc->nh, vc, s);
}

void net_vc_do_io_shutdown(struct net_vconnection *vc, enum vc_shutdown how)
{
    if (vc->closed)
        return;
    switch (how) {
    case VC_SHUTDOWN_READ:
        vc->read.enabled = false;
        vc->read.vio.cont = NULL;
        break;
    case VC_SHUTDOWN_WRITE:
        if (vc->write_ended)
            break;
        vc->shutdown_when_flushed = true;
        net_handler_ready(vc->nh, vc, &vc->write);
        break;
    }
}

const union ip_endpoint *net_vc_local(struct net_vconnection *vc)
{
    struct endpoint e = {.len = sizeof(e.storage)};

    if (vc->local.sa.sa_family == AF_UNSPEC && getsockname(vc->fd, &e.sa, &e.len) == 0)
        ip_endpoint_of(&e.sa, &vc->local);
    return &vc->local;
}

struct io_result net_vc_default_advance(struct net_vconnection *vc)
{
    (void)vc;
    return (struct io_result){.status = IO_OK};
}

struct io_result net_vc_default_flush(struct net_vconnection *vc)
{
    (void)vc;
    return (struct io_result){.status = IO_OK};
}

bool net_vc_default_pending(const struct net_vconnection *vc)
{
    (void)vc;
    return false;
}

void net_vc_default_shutdown_write(struct net_vconnection *vc)
{
    (void)shutdown(vc->fd, SHUT_WR);
}

void net_vc_default_close(struct net_vconnection *vc, enum vc_close how)
{
    (void)vc;
    (void)how;
}

enum sp_err net_vc_default_detach(struct net_vconnection *vc)
{
    (void)vc;
    return SP_OK;
}

bool net_vc_default_tls_info(const struct net_vconnection *vc, struct tls_info *out)
{
    (void)vc;
    (void)out;
    return false;
}

struct client_identity *net_vc_default_identity(const struct net_vconnection *vc)
{
    (void)vc;
    return NULL;
}

bool net_vc_default_serves(const struct net_vconnection *vc, struct view host)
{
    (void)vc;
    (void)host;
    return true;
}
