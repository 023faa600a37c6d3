#include "ssl_net_accept.h"
#include "tls_thread.h"

#include <sallyport/tls/ssl_net_processor.h>

static int ssl_accept_event_type(const struct net_processor *np)
{
    _Static_assert(offsetof(struct ssl_net_processor, super) == 0, "the base comes first");
    return ((const struct ssl_net_processor *)(const void *)np)->et_ssl;
}

static struct net_vconnection *ssl_allocate_vc(struct net_processor *np, struct net_accept *na,
                                               int fd)
{
    return ssl_net_vc_new(container_of(np, struct ssl_net_processor, super), na, fd);
}

static struct net_vconnection *
ssl_allocate_client_vc(struct net_processor *np, const struct net_connect_options *options, int fd)
{
    return ssl_net_vc_new_client(container_of(np, struct ssl_net_processor, super), options->tls,
                                 fd);
}

static const struct net_processor_ops ssl_net_processor_ops = {
    .name = "tls",
    .begins_with_handshake = true,
    .accept_event_type = ssl_accept_event_type,
    .create_net_accept = ssl_net_accept_new,
    .allocate_vc = ssl_allocate_vc,
    .allocate_client_vc = ssl_allocate_client_vc,
};

enum sp_err ssl_net_processor_start(struct ssl_net_processor *self, struct net_core *core,
                                    int n_ssl_threads, int nice)
{
    enum sp_err err = tls_bio_method_init();

    if (err != SP_OK)
        return err;
    net_processor_init(&self->super, &ssl_net_processor_ops, core);
    self->et_ssl = event_processor_register(core->ep, "ET_SSL");
    self->thread_offset = event_processor_allocate(core->ep, sizeof(struct tls_thread *));
    if (n_ssl_threads == 0)
        return event_processor_alias(core->ep, self->et_ssl, core->et_net);
    return net_core_spawn(core, self->et_ssl, n_ssl_threads, nice);
}

void ssl_net_processor_fini(struct ssl_net_processor *self)
{
    struct event_processor *ep = self->super.core->ep;

    for (int i = 0; i < ep->n_threads; i++) {
        struct tls_thread **slot = ethread_storage(ep->threads[i], self->thread_offset);

        tls_thread_free(*slot);
        *slot = NULL;
    }
}
