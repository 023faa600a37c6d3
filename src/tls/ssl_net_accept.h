/* A listener of a TLS port: the base's, and a reference to what the port's connections share. */
#pragma once

#include <sallyport/net/net_accept.h>
#include <sallyport/tls/ssl_port.h>

struct ssl_net_accept {
    struct net_accept super;
    struct ssl_port *port; /* owned reference */
};

/* net_processor_ops.create_net_accept */
struct net_accept *ssl_net_accept_new(struct net_processor *np,
                                      const struct net_accept_options *options);
struct ssl_net_accept *ssl_net_accept_of(struct net_accept *na);
