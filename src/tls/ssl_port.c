#include "cert_store_internal.h"
#include "ssl_port_internal.h"
#include "ticket_register.h"
#include "tls_context.h"
#include "tls_error.h"

#include <sallyport/base/log.h>

#include <sched.h>
#include <stdlib.h>
#include <string.h>

static enum sp_err port_fill(struct ssl_port *port, const struct ssl_port_options *options)
{
    struct tls_failure failure;

    port->ctx = tls_context_new(options->conf);
    if (port->ctx == NULL) {
        failure = tls_error_take();
        LOG_ERROR(TLS, "err=%s reason=\"%s\" the port's TLS settings were refused",
                  sp_err_label(failure.err), failure.reason == NULL ? "" : failure.reason);
        return failure.err == SP_NOMEM ? SP_NOMEM : SP_TLS_INTERNAL;
    }
    port->tickets = tls_tickets_new(options->ticket_keys);
    if (port->tickets == NULL)
        return SP_NOMEM;
    if (options->conf->early_data.enabled) {
        port->early = ticket_register_new(options->conf->early_data.max_tickets);
        if (port->early == NULL)
            return SP_NOMEM;
    }
    port->handshake_timeout_ms = options->conf->handshake_timeout_ms;
    port->alpn = options->conf->alpn;
    port->answer_len = options->plain_http_answer.len;
    if (port->answer_len > 0)
        memcpy(port->answer, options->plain_http_answer.p, port->answer_len);
    atomic_init(&port->store, cert_store_ref(options->store));
    atomic_init(&port->policy, cert_store_policy(options->store));
    return SP_OK;
}

enum sp_err ssl_port_new(const struct ssl_port_options *options, struct ssl_port **out)
{
    struct ssl_port *port = calloc(1, sizeof(*port) + options->plain_http_answer.len);
    enum sp_err err;

    if (port == NULL)
        return SP_NOMEM;
    atomic_init(&port->refs, 1);
    err = port_fill(port, options);
    if (err != SP_OK) {
        ssl_port_unref(port);
        return err;
    }
    *out = port;
    return SP_OK;
}

struct ssl_port *ssl_port_ref(struct ssl_port *port)
{
    atomic_fetch_add_explicit(&port->refs, 1, memory_order_relaxed);
    return port;
}

void ssl_port_unref(struct ssl_port *port)
{
    if (port == NULL || atomic_fetch_sub_explicit(&port->refs, 1, memory_order_acq_rel) != 1)
        return;
    cert_store_unref(atomic_load_explicit(&port->store, memory_order_relaxed));
    cert_store_unref(atomic_load_explicit(&port->canary, memory_order_relaxed));
    tls_tickets_free(port->tickets);
    ticket_register_free(port->early);
    SSL_CTX_free(port->ctx);
    free(port);
}

/* ---- The certificates of the moment ----
 *
 * The writer waits for readers, never the other way round: a reader announces itself, looks, takes
 * its reference and leaves. All of it sequentially consistent: a reader that the writer did not see
 * sees the new pointer. */

/* Is it this handshake's turn to try? Steps of the golden ratio: evenly spread, and no rhythm that
 * clients have (each second one resumes) falls in with it. */
static bool tries(struct ssl_port *port)
{
    uint64_t share = atomic_load(&port->canary_share);
    uint32_t n = atomic_fetch_add(&port->canary_turn, 1) * UINT32_C(2654435769);

    return n * (uint64_t)SSL_PORT_WHOLE >> 32 < share;
}

struct cert_store *ssl_port_store(struct ssl_port *port)
{
    struct cert_store *store;

    atomic_fetch_add(&port->readers, 1);
    store = atomic_load(&port->canary);
    if (store == NULL || !tries(port))
        store = atomic_load(&port->store);
    store = cert_store_ref(store);
    atomic_fetch_sub(&port->readers, 1);
    return store;
}

struct cert_store *ssl_port_serving(struct ssl_port *port)
{
    struct cert_store *store;

    atomic_fetch_add(&port->readers, 1);
    store = cert_store_ref(atomic_load(&port->store));
    atomic_fetch_sub(&port->readers, 1);
    return store;
}

struct cert_store *ssl_port_trying(struct ssl_port *port, uint32_t *share)
{
    struct cert_store *store;

    atomic_fetch_add(&port->readers, 1);
    store = atomic_load(&port->canary);
    if (store != NULL)
        store = cert_store_ref(store);
    *share = atomic_load(&port->canary_share);
    atomic_fetch_sub(&port->readers, 1);
    return store;
}

/* Not a canary's: that is of the same configuration. Looked up among the readers, without a
 * reference: a data thread that lets go of the last one would free thousands of certificates. */
static uint64_t policy_now(struct ssl_port *port, struct view host)
{
    uint64_t policy;

    atomic_fetch_add(&port->readers, 1);
    policy = cert_store_policy_of(atomic_load(&port->store), host);
    atomic_fetch_sub(&port->readers, 1);
    return policy;
}

bool ssl_port_serves(struct ssl_port *port, uint64_t policy, struct view host)
{
    uint64_t of_all = atomic_load_explicit(&port->policy, memory_order_acquire);

    return (of_all != CLIENT_POLICY_MANY ? of_all : policy_now(port, host)) == policy;
}

/* Nobody looks at what was there any more. */
static void let_go(struct ssl_port *port, struct cert_store *old)
{
    while (atomic_load(&port->readers) != 0)
        (void)sched_yield(); /* for as long as a reader needs to take a reference, or to look up a
                                name */
    cert_store_unref(old);
}

void ssl_port_set_canary(struct ssl_port *port, struct cert_store *store, uint32_t share)
{
    struct cert_store *old;

    atomic_store(&port->canary_share, share);
    old = atomic_exchange(&port->canary, store == NULL ? NULL : cert_store_ref(store));
    let_go(port, old);
}

void ssl_port_set_store(struct ssl_port *port, struct cert_store *store)
{
    struct cert_store *old = atomic_exchange(&port->store, cert_store_ref(store));

    atomic_store_explicit(&port->policy, cert_store_policy(store), memory_order_release);
    let_go(port, old);
    ssl_port_set_canary(port, NULL, 0);
}

void ssl_port_set_ticket_keys(struct ssl_port *port, struct ticket_keys *keys)
{
    tls_tickets_set_keys(port->tickets, keys);
}
