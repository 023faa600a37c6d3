/* The plain transport: bytes as they are. */
#include "tcp_net_vconnection.h"

#include "net_internal.h"

#include <stdlib.h>

static void tcp_destroy(struct net_vconnection *vc)
{
    net_vc_fini(vc);
    free(vc);
}

static const struct net_vc_ops tcp_net_vc_ops = {
    .name = "tcp",
    .advance = net_vc_default_advance,
    .recv = net_vc_socket_recvv,
    .send = net_vc_socket_sendv,
    .flush = net_vc_default_flush,
    .pending = net_vc_default_pending,
    .shutdown_write = net_vc_default_shutdown_write,
    .close = net_vc_default_close,
    .detach = net_vc_default_detach,
    .tls_info = net_vc_default_tls_info,
    .identity = net_vc_default_identity,
    .serves = net_vc_default_serves,
    .destroy = tcp_destroy,
};

struct net_vconnection *tcp_net_vc_new(struct net_core *core, int fd)
{
    struct net_vconnection *vc = malloc(sizeof(*vc));

    if (vc != NULL)
        net_vc_init(vc, &tcp_net_vc_ops, core, fd);
    return vc;
}
