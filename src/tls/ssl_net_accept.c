#include "ssl_net_accept.h"

#include <stdlib.h>

static void ssl_net_accept_destroy(struct net_accept *na);
static const struct net_accept_ops ssl_net_accept_ops = {.destroy = ssl_net_accept_destroy};

struct ssl_net_accept *ssl_net_accept_of(struct net_accept *na)
{
    SP_ASSERT(na->ops == &ssl_net_accept_ops);
    return container_of(na, struct ssl_net_accept, super);
}

struct net_accept *ssl_net_accept_new(struct net_processor *np,
                                      const struct net_accept_options *options)
{
    struct ssl_net_accept *self = malloc(sizeof(*self));

    if (self == NULL)
        return NULL;
    self->port = ssl_port_ref(options->tls);
    net_accept_init(&self->super, &ssl_net_accept_ops, np, options);
    return &self->super;
}

static void ssl_net_accept_destroy(struct net_accept *na)
{
    struct ssl_net_accept *self = ssl_net_accept_of(na);

    ssl_port_unref(self->port);
    net_accept_fini(na);
    free(self);
}
