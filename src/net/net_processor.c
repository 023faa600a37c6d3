/* The base processor: plain TCP, and opening listeners for whichever class. */
#include "net_internal.h"
#include "tcp_net_vconnection.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int tcp_accept_event_type(const struct net_processor *np)
{
    return np->core->et_net;
}

static void tcp_accept_destroy(struct net_accept *na)
{
    net_accept_fini(na);
    free(na);
}

static const struct net_accept_ops tcp_net_accept_ops = {.destroy = tcp_accept_destroy};

static struct net_accept *tcp_create_net_accept(struct net_processor *np,
                                                const struct net_accept_options *options)
{
    struct net_accept *na = malloc(sizeof(*na));

    if (na != NULL)
        net_accept_init(na, &tcp_net_accept_ops, np, options);
    return na;
}

static struct net_vconnection *tcp_allocate_vc(struct net_processor *np, struct net_accept *na,
                                               int fd)
{
    struct net_vconnection *vc = tcp_net_vc_new(np->core, fd);

    if (vc != NULL)
        vc->accept = na;
    return vc;
}

static struct net_vconnection *
tcp_allocate_client_vc(struct net_processor *np, const struct net_connect_options *options, int fd)
{
    (void)options;
    return tcp_net_vc_new(np->core, fd);
}

const struct net_processor_ops tcp_net_processor_ops = {
    .name = "tcp",
    .accept_event_type = tcp_accept_event_type,
    .create_net_accept = tcp_create_net_accept,
    .allocate_vc = tcp_allocate_vc,
    .allocate_client_vc = tcp_allocate_client_vc,
};

void net_processor_init(struct net_processor *np, const struct net_processor_ops *ops,
                        struct net_core *core)
{
    np->ops = ops;
    np->core = core;
}

struct net_accept *net_processor_listen(struct net_processor *np,
                                        const struct net_accept_options *options,
                                        const char **err_text)
{
    static _Thread_local char text[160];
    struct net_accept *na = np->ops->create_net_accept(np, options);
    const char *what = "out of memory";

    errno = ENOMEM;
    if (na != NULL && net_accept_open(na, &what) == SP_OK)
        return na;
    (void)snprintf(text, sizeof(text), "%s: %s", what, strerrordesc_np(errno));
    *err_text = text;
    if (na != NULL) {
        na->options.release_user = NULL; /* still the caller's */
        net_accept_stop(na);
        net_accept_unref(na);
    }
    return NULL;
}

struct net_accept *net_processor_main_accept(struct net_processor *np,
                                             const struct net_accept_options *options,
                                             const char **err_text)
{
    struct net_accept *na = net_processor_listen(np, options, err_text);

    if (na != NULL)
        net_accept_begin(na);
    return na;
}
