/* How connections to a server are secured, for layers that hold it and hand it on without knowing
 * TLS: what it says inside is its maker's (tls/ssl_client.h). Immutable, reference-counted; any
 * thread. */
#pragma once

#include <stdatomic.h>

struct tls_client {
    atomic_uint refs;
    void (*destroy)(struct tls_client *client); /* the last reference has gone */
};

static inline struct tls_client *tls_client_ref(struct tls_client *client) /* NULL is accepted */
{
    if (client != NULL)
        atomic_fetch_add_explicit(&client->refs, 1, memory_order_relaxed);
    return client;
}

static inline void tls_client_unref(struct tls_client *client) /* NULL is accepted */
{
    if (client != NULL && atomic_fetch_sub_explicit(&client->refs, 1, memory_order_acq_rel) == 1)
        client->destroy(client);
}
