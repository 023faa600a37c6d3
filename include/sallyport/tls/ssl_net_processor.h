/* SSLNetProcessor: the net processor whose connections speak TLS. It overrides which threads accept
 * and run a connection first (ET_SSL), what a listener holds (its struct ssl_port) and which class
 * a connection has; everything else is the base's.
 *
 *     ssl_net_processor_start(&ssl, core, n_ssl_threads, nice);
 *     event_processor_start(ep);
 *     net_processor_main_accept(&ssl.super, &(struct net_accept_options){.tls = port, ...}, &text);
 *     ...
 *     event_processor_stop(ep);
 *     ssl_net_processor_fini(&ssl);
 *
 * Outgoing connections need net_connect_options.tls (tls/ssl_client.h). They shake hands on the
 * thread that opens them, on its handshake lists and within their budget, and wait for no turn. */
#pragma once

#include <sallyport/net/net_processor.h>
#include <sallyport/tls/ssl_port.h>

struct ssl_net_processor {
    struct net_processor super;
    int et_ssl;
    size_t thread_offset; /* of struct tls_thread * in an ethread's storage */
};

/* Before the threads start, after net_core_new(). n_ssl_threads > 0: as many threads for handshakes
 * alone, at a scheduling weight lowered by `nice`. 0: ET_SSL is served by the data loops. */
enum sp_err ssl_net_processor_start(struct ssl_net_processor *self, struct net_core *core,
                                    int n_ssl_threads, int nice) SP_MUST_CHECK;
/* After event_processor_stop(), before event_processor_free(): frees what the threads held. */
void ssl_net_processor_fini(struct ssl_net_processor *self);
