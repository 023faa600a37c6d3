/* What the listeners of one TLS port share: the policy (versions, suites, ALPN), the certificates
 * of the moment, the ticket keys. net_accept_options.tls points to it; a listener holds a
 * reference, and a connection its listener.
 *
 * Certificates change by ssl_port_set_store(), and the keys that seal session tickets stay, so that
 * clients resume across the change; those of a file change by ssl_port_set_ticket_keys().
 * Thread: any. */
#pragma once

#include <sallyport/base/err.h>
#include <sallyport/base/view.h>
#include <sallyport/config/config.h>
#include <sallyport/tls/cert_store.h>
#include <sallyport/tls/ticket_keys.h>

struct ssl_port;

#define SSL_PORT_WHOLE 10000U /* all handshakes, of which a canary takes a share */

struct ssl_port_options {
    const struct tls_port_conf *conf; /* read during the call only */
    struct cert_store *store;         /* borrowed: the port takes a reference of its own */
    struct ticket_keys *ticket_keys;  /* the same */
    /* A whole HTTP/1.1 response for who speaks plain HTTP to the port; copied. Empty: such a
     * connection is closed without a word. */
    struct view plain_http_answer;
};

/* SP_NOMEM, or SP_TLS_INTERNAL when the library refuses the policy (logged). */
enum sp_err ssl_port_new(const struct ssl_port_options *options, struct ssl_port **out)
    SP_MUST_CHECK;
struct ssl_port *ssl_port_ref(struct ssl_port *port);
void ssl_port_unref(struct ssl_port *port); /* NULL is accepted */

/* Handshakes that begin after this use `store` (borrowed, as above), all of them: a canary ends.
 * Handshakes under way finish with what they began with; established connections use neither. May
 * wait for a moment: not on a net thread, and one caller at a time. */
void ssl_port_set_store(struct ssl_port *port, struct cert_store *store);
/* A canary: `share` of SSL_PORT_WHOLE handshakes that begin after this use `store` (borrowed, as
 * above), the others go on with the port's. NULL: no canary. As above. */
void ssl_port_set_canary(struct ssl_port *port, struct cert_store *store, uint32_t share);
/* To look at, each with a reference for the caller, never waiting: what serves, apart from a
 * canary; what a canary tries, with its share, NULL: there is none. */
struct cert_store *ssl_port_serving(struct ssl_port *port) SP_MUST_CHECK;
struct cert_store *ssl_port_trying(struct ssl_port *port, uint32_t *share) SP_MUST_CHECK;
/* Tickets are sealed and opened with these from now on (borrowed, as above). The same holds. */
void ssl_port_set_ticket_keys(struct ssl_port *port, struct ticket_keys *keys);
