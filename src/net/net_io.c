/* The steps that move bytes between a VIO's buffer and a transport, and the three system calls
 * under every transport. Control flow is here once; a transport only encodes and decodes. */
#include "net_internal.h"

#include <sallyport/base/log.h>

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

/* A read grows from one small block to several large ones while reads come back full. */
static const size_t read_sizes[] = {IOBUF_SMALL_BYTES, IOBUF_LARGE_BYTES, 2 * IOBUF_LARGE_BYTES,
                                    4 * IOBUF_LARGE_BYTES};
#define READ_MAX_IOV     4
/* What one write step sends before other connections have their turn. */
#define WRITE_STEP_BYTES (8 * IOBUF_LARGE_BYTES)

static size_t min_size(size_t a, size_t b)
{
    return a < b ? a : b;
}

static bool would_block(int error_number)
{
    return error_number == EAGAIN || error_number == EINTR; /* EWOULDBLOCK is the same here */
}

/* A short read means that the socket is drained (epoll(7), Q9), unless the end is known to come:
 * that is only seen by reading once more. */
static struct io_result recv_result(struct net_vconnection *vc, ssize_t n, size_t cap)
{
    METRIC_INC(net_recv_calls);
    if (n > 0) {
        vc->bytes_in += (uint64_t)n;
        METRIC_ADD(net_bytes_in, n);
        return (struct io_result){
            .status = IO_OK, .n = (size_t)n, .drained = (size_t)n < cap && !vc->peer_ended};
    }
    if (n == 0)
        return IO_RESULT_EOF;
    if (would_block(errno))
        return IO_RESULT_WANT(IO_WANT_READ);
    return IO_RESULT_ERROR(sp_err_of_errno(errno));
}

struct io_result net_vc_socket_recv(struct net_vconnection *vc, void *dst, size_t cap)
{
    return recv_result(vc, recv(vc->fd, dst, cap, 0), cap);
}

struct io_result net_vc_socket_recvv(struct net_vconnection *vc, const struct iovec *iov, int n_iov)
{
    size_t cap = 0;

    for (int i = 0; i < n_iov; i++)
        cap += iov[i].iov_len;
    if (n_iov == 1)
        return net_vc_socket_recv(vc, iov[0].iov_base, iov[0].iov_len);
    return recv_result(vc, readv(vc->fd, iov, n_iov), cap);
}

struct io_result net_vc_socket_sendv(struct net_vconnection *vc, const struct iovec *iov, int n_iov)
{
    struct msghdr msg = {.msg_iovlen = (size_t)n_iov};
    ssize_t n;

    METRIC_INC(net_send_calls);
    if (n_iov == 1) {
        n = send(vc->fd, iov[0].iov_base, iov[0].iov_len, MSG_NOSIGNAL);
    } else {
        msg.msg_iov = (struct iovec *)(uintptr_t)iov; /* sendmsg(2) does not write to it */
        n = sendmsg(vc->fd, &msg, MSG_NOSIGNAL);
    }
    if (n >= 0) {
        vc->bytes_out += (uint64_t)n;
        METRIC_ADD(net_bytes_out, n);
        return (struct io_result){.status = IO_OK, .n = (size_t)n};
    }
    if (would_block(errno))
        return IO_RESULT_WANT(IO_WANT_WRITE);
    return IO_RESULT_ERROR(sp_err_of_errno(errno));
}

void net_vc_wait_writable(struct net_vconnection *vc)
{
    vc->write.triggered = false;
    if (vc->polls_out)
        return;
    if (event_io_modify(&vc->eio, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET) == SP_OK) {
        vc->polls_out = true;
        return;
    }
    /* Nobody would ever say that there is room. A handshake's step tries again, an open
     * connection's user is told by a read step that it has failed. */
    vc->socket_failed = vc->phase == VC_OPEN;
    net_handler_ready(vc->nh, vc, vc->phase == VC_OPEN ? &vc->read : &vc->write);
}

static void end_writing(struct net_vconnection *vc)
{
    vc->write_ended = true;
    vc->write.enabled = false;
    vc->flush_wanted = false;
    vc->shutdown_when_flushed = false;
}

static void read_failed(struct net_vconnection *vc, enum sp_err err)
{
    struct continuation *user = net_vc_user(vc); /* who only writes is told as well */

    vc->err = err;
    vc->read_ended = true;
    vc->read.enabled = false;
    vc->read.triggered = false;
    if (vc->socket_failed) /* both ways, and that is told once */
        end_writing(vc);
    vc->socket_failed = false;
    if (user == NULL || net_vc_signal(vc, user, VC_EVENT_ERROR, &vc->read.vio) == VC_ALIVE)
        LOG_TRACE(NET, "vc=%" PRIu64 " read err=%s", vc->id, sp_err_label(err));
}

static void read_eos(struct net_vconnection *vc)
{
    struct vio *vio = &vc->read.vio;

    vc->read_ended = true;
    vc->read.enabled = false;
    vc->read.triggered = false;
    if (net_vc_signal(vc, vio->cont, VC_EVENT_EOS, vio) == VC_ALIVE)
        LOG_TRACE(NET, "vc=%" PRIu64 " eos", vc->id);
}

static void write_failed(struct net_vconnection *vc, enum sp_err err)
{
    struct vio *vio = &vc->write.vio;
    struct continuation *user = vio->cont != NULL ? vio->cont : vc->read.vio.cont;

    vc->err = err;
    end_writing(vc);
    if (user == NULL || net_vc_signal(vc, user, VC_EVENT_ERROR, vio) == VC_ALIVE)
        LOG_TRACE(NET, "vc=%" PRIu64 " write err=%s", vc->id, sp_err_label(err));
}

static void adapt_read_size(struct net_vconnection *vc, size_t got, size_t asked)
{
    if (got == asked && vc->read_size + 1U < SP_COUNT_OF(read_sizes))
        vc->read_size++;
    else if (vc->read_size > 0 && got <= read_sizes[vc->read_size - 1] / 2)
        vc->read_size--;
}

/* Bytes the transport wants out on its own account (a TLS alert, a key update). */
static void flush_after_read(struct net_vconnection *vc)
{
    struct io_result r;

    if (vc->flush_wanted || vc->write_ended)
        return;
    r = vc->ops->flush(vc);
    if (r.status != IO_WANT_WRITE)
        return; /* an error is found by the next step */
    vc->flush_wanted = true;
    net_vc_wait_writable(vc);
}

static void read_progress(struct net_vconnection *vc, struct io_result r)
{
    struct vio *vio = &vc->read.vio;
    int event = VC_EVENT_READ_READY;

    vio->ndone += (int64_t)r.n;
    inactivity_cop_stamp(vc);
    if (r.drained)
        vc->read.triggered = false;
    if (vio->ndone >= vio->nbytes) {
        vc->read.enabled = false;
        event = VC_EVENT_READ_COMPLETE;
    }
    if (net_vc_signal(vc, vio->cont, event, vio) == VC_ALIVE)
        net_handler_ready(vc->nh, vc, &vc->read);
}

static size_t read_room(const struct net_vconnection *vc)
{
    const struct vio *vio = &vc->read.vio;
    size_t room = vio->buf->len < vio->mark ? vio->mark - vio->buf->len : 0;
    int64_t left = vio->nbytes - vio->ndone;

    if (left < (int64_t)room)
        room = (size_t)left;
    return min_size(room, read_sizes[vc->read_size]);
}

/* Whoever waited for the handshake hears that it is over. They may close the connection, whose
 * memory stays for the turn. */
static void tell_proof(struct net_vconnection *vc)
{
    struct net_vc_early *early = vc->early;
    struct list *n;

    vc->early = NULL;
    net_vc_set_active_timeout(vc, 0);
    while ((n = list_pop_front(&early->waiting)) != NULL) {
        struct net_vc_proof *proof = container_of(n, struct net_vc_proof, link);

        proof->proven(proof);
    }
    free(early);
}

static void read_step(struct net_vconnection *vc)
{
    struct vio *vio = &vc->read.vio;
    struct iovec iov[READ_MAX_IOV];
    struct io_result r;
    size_t room;
    int n_iov;

    if (vc->socket_failed && !vc->read.enabled) {
        read_failed(vc, SP_PEER_RESET);
        return;
    }
    if (!vc->read.enabled || !net_vc_can_read(vc))
        return;
    room = read_room(vc);
    if (room == 0) {
        if (vc->socket_failed)
            read_failed(vc, SP_PEER_RESET);
        return;
    }
    n_iov = iobuf_reserve(vio->buf, room, iov, READ_MAX_IOV);
    if (n_iov == 0) {
        read_failed(vc, SP_NOMEM);
        return;
    }
    r = vc->ops->recv(vc, iov, n_iov);
    iobuf_commit(vio->buf, r.n);
    flush_after_read(vc);
    switch (r.status) {
    case IO_OK:
        adapt_read_size(vc, r.n, room);
        read_progress(vc, r);
        break;
    case IO_WANT_READ:
        vc->read.triggered = false;
        if (vc->socket_failed) /* and reading does not say how */
            read_failed(vc, SP_SYSCALL);
        break;
    case IO_WANT_WRITE:
        vc->read.triggered = false;
        net_vc_wait_writable(vc);
        break;
    case IO_WANT_TURN: /* of handshakes only */
    case IO_EOF: read_eos(vc); break;
    case IO_ERROR: read_failed(vc, r.err); break;
    }
}

void net_vc_read_step(struct net_vconnection *vc)
{
    read_step(vc);
    if (vc->early != NULL && vc->early->over && !vc->closed)
        tell_proof(vc);
}

/* False: the connection waits or has failed. */
static bool write_flush(struct net_vconnection *vc)
{
    struct io_result r = vc->ops->flush(vc);

    if (r.status == IO_OK) {
        vc->flush_wanted = false;
        return true;
    }
    if (r.status == IO_ERROR) {
        write_failed(vc, r.err);
        return false;
    }
    vc->flush_wanted = true;
    net_vc_wait_writable(vc);
    return false;
}

/* What this step may still send: the buffer can hold more than was asked to be written. */
static size_t write_room(const struct vio *vio, size_t sent)
{
    int64_t left = vio->nbytes - vio->ndone;
    size_t room = WRITE_STEP_BYTES - sent;

    return left < (int64_t)room ? (size_t)left : room;
}

/* Gives the transport what the buffer holds. False: the connection has failed. */
static bool write_buffer(struct net_vconnection *vc, size_t *sent)
{
    struct vio *vio = &vc->write.vio;
    struct iovec iov[NET_VC_MAX_IOV];

    while (vc->write.triggered && *sent < WRITE_STEP_BYTES) {
        int n_iov = iobuf_peek(vio->buf, iov, NET_VC_MAX_IOV, write_room(vio, *sent));
        struct io_result r;

        if (n_iov == 0)
            break;
        r = vc->ops->send(vc, iov, n_iov);
        if (r.status == IO_ERROR || r.status == IO_EOF) {
            write_failed(vc, r.status == IO_EOF ? SP_PEER_CLOSED : r.err);
            return false;
        }
        if (r.status != IO_OK) {
            net_vc_wait_writable(vc);
            break;
        }
        iobuf_consume(vio->buf, r.n);
        vio->ndone += (int64_t)r.n;
        *sent += r.n;
        inactivity_cop_stamp(vc);
    }
    return true;
}

static void write_tell(struct net_vconnection *vc, size_t sent)
{
    struct vio *vio = &vc->write.vio;
    int event = VC_EVENT_WRITE_READY;

    if (sent == 0 && vio->ndone < vio->nbytes)
        return;
    if (vio->ndone >= vio->nbytes) {
        vc->write.enabled = false;
        event = VC_EVENT_WRITE_COMPLETE;
    } else if (vio->buf->len > vio->mark) {
        return;
    }
    if (net_vc_signal(vc, vio->cont, event, vio) == VC_ALIVE)
        net_handler_ready(vc->nh, vc, &vc->write);
}

static void write_end(struct net_vconnection *vc)
{
    vc->shutdown_when_flushed = false;
    vc->write_ended = true;
    vc->write.enabled = false;
    vc->ops->shutdown_write(vc);
}

void net_vc_write_step(struct net_vconnection *vc)
{
    struct vio *vio = &vc->write.vio;
    bool has_buffer = vc->write.enabled && vio->buf != NULL;
    bool had_flush = vc->flush_wanted;
    size_t sent = 0;

    if (!vc->write.triggered)
        return;
    if (vc->flush_wanted && !write_flush(vc))
        return;
    if (has_buffer && !write_buffer(vc, &sent))
        return;
    if (sent > 0 && !write_flush(vc))
        return; /* told when it is flushed: only then the bytes are gone */
    if (vc->shutdown_when_flushed && (!has_buffer || vio->buf->len == 0))
        write_end(vc);
    if (has_buffer && (sent > 0 || had_flush))
        write_tell(vc, sent > 0 ? sent : 1);
    if (!vc->closed)
        net_handler_ready(vc->nh, vc, &vc->write);
}
