/* Outgoing connections: a non-blocking connect(2), proven by EPOLLOUT and SO_ERROR. connect_re
 * tells its user at once and lets what is written wait; connect_s tells only what is proven. */
#include "net_internal.h"

#include <sallyport/base/log.h>

#include <errno.h>
#include <inttypes.h>
#include <unistd.h>

static bool tell_open(struct net_vconnection *vc)
{
    if (vc->open_told)
        return true;
    vc->open_told = true;
    return net_vc_signal(vc, vc->cont, NET_EVENT_OPEN, vc) == VC_ALIVE;
}

void net_connect_usable(struct net_vconnection *vc)
{
    if (!tell_open(vc))
        return;
    net_handler_ready(vc->nh, vc, &vc->write); /* what was asked for before it stood */
    net_handler_ready(vc->nh, vc, &vc->read);
}

/* The socket is connected: a transport with a handshake goes on with that, another is usable. */
static void established(struct net_vconnection *vc)
{
    vc->phase = vc->after_connect;
    inactivity_cop_stamp(vc);
    if (vc->phase == VC_HANDSHAKE) {
        vc->nh->n_handshakes++;
        vc->handshake_wants_write = true; /* the client speaks first */
        net_handler_ready(vc->nh, vc, &vc->write);
        return;
    }
    net_vc_set_active_timeout(vc, 0);
    net_connect_usable(vc);
}

void net_connect_failed(struct net_vconnection *vc, enum sp_err err, int error_number)
{
    struct net_open_failure failure = {.vc = vc, .err = err, .error_number = error_number};
    /* A handshake's last word is an alert, which a reset would overtake. */
    enum vc_close how = vc->phase == VC_HANDSHAKE ? VC_CLOSE_CLEAN : VC_CLOSE_ABORT;

    METRIC_INC(net_connect_errors);
    vc->err = err;
    LOG_DEBUG(NET, "vc=%" PRIu64 " connect err=%s errno=%d", vc->id, sp_err_label(err),
              error_number);
    if (!vc->open_told)
        (void)continuation_call(vc->cont, NET_EVENT_OPEN_FAILED, &failure);
    else
        (void)continuation_call(net_vc_user(vc), VC_EVENT_ERROR, &vc->read.vio);
    net_vc_do_io_close(vc, how); /* harmless when the user did it */
}

static int pending_error(int fd)
{
    int error_number = 0;
    socklen_t len = sizeof(error_number);

    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error_number, &len) != 0)
        return errno;
    return error_number;
}

void net_connect_ready(struct net_vconnection *vc)
{
    if (!list_is_linked(&vc->write.ready_link))
        list_push_back(&vc->nh->write_ready, &vc->write.ready_link);
}

void net_connect_step(struct net_vconnection *vc)
{
    int error_number;

    if (vc->tell_early && !tell_open(vc))
        return;
    if (!vc->write.triggered)
        return;
    error_number = pending_error(vc->fd);
    if (error_number != 0)
        net_connect_failed(vc, sp_err_of_errno(error_number), error_number);
    else
        established(vc);
}

static struct net_vconnection *connect_start(struct net_processor *np,
                                             const struct net_connect_options *options,
                                             struct continuation *c, enum sp_err *err)
{
    struct ethread *t = this_ethread();
    struct net_core *core = np->core;
    struct net_vconnection *vc;
    const char *what;
    int fd;

    METRIC_INC(net_connects);
    *err = SP_SHUTTING_DOWN;
    if (atomic_load_explicit(&t->stopping, memory_order_relaxed))
        return NULL; /* or a user that tries again would keep the thread from its end */
    *err = net_throttle_connect(core->throttle);
    if (*err != SP_OK)
        return NULL;
    fd = net_socket_connect(options, &what);
    if (fd < 0) {
        *err = sp_err_of_errno(errno);
        LOG_LIMITED(NET, WARN, "connect %s errno=%d", what, errno);
        goto throttle_done;
    }
    *err = SP_NOMEM;
    vc = np->ops->allocate_client_vc(np, options, fd);
    if (vc == NULL)
        goto close_fd;
    ip_endpoint_of(&options->remote.sa, &vc->remote);
    vc->cont = c;
    vc->after_connect = vc->phase;
    vc->phase = VC_CONNECTING;
    vc->thread = t;
    vc->write.triggered = false;
    net_vc_set_active_timeout(vc, options->timeout_ms);
    if (net_handler_add(net_handler_of(core, t), vc) != SP_OK) {
        *err = SP_SYSCALL;
        net_vc_discard(vc); /* releases the throttle and the descriptor */
        return NULL;
    }
    *err = SP_OK;
    return vc;

close_fd:
    (void)close(fd);
throttle_done:
    METRIC_INC(net_connect_errors);
    net_throttle_connect_done(core->throttle);
    return NULL;
}

struct net_vconnection *net_processor_connect_s(struct net_processor *np,
                                                const struct net_connect_options *options,
                                                struct continuation *c, enum sp_err *err)
{
    return connect_start(np, options, c, err);
}

struct net_vconnection *net_processor_connect_re(struct net_processor *np,
                                                 const struct net_connect_options *options,
                                                 struct continuation *c, enum sp_err *err)
{
    struct net_vconnection *vc = connect_start(np, options, c, err);

    if (vc == NULL)
        return NULL;
    vc->tell_early = true;
    list_push_back(&vc->nh->write_ready, &vc->write.ready_link);
    return vc;
}
