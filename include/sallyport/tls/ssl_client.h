/* TLS towards one server: whom to trust, which name it must prove, which protocols are offered, our
 * own certificate, and the sessions to resume. net_connect_options.tls points to it, with the
 * ssl_net_processor as the processor:
 *
 *     trust = ssl_trust_new(ca_file, &reporter, &err);            one for all who name the same
 * file client = ssl_client_new(&(struct ssl_client_options){.trust = trust, ...}, &reporter, &err);
 *     net_processor_connect_s(&ssl.super, &(struct net_connect_options){.tls = client, ...}, ...);
 *     tls_client_unref(client);
 *
 * NET_EVENT_OPEN comes when the handshake is over and the server was believed; net_vc_tls_info()
 * then tells the protocol that was chosen. One time limit (timeout_ms) covers connecting and the
 * handshake. NET_EVENT_OPEN_FAILED says what was wrong: SP_TLS_CERT_* about the certificate,
 * SP_TLS_ALPN where the protocol was refused, SP_TLS_TIMEOUT, SP_TLS_ALERT...; the details are a
 * line in the log, with the same vc id.
 *
 * A server may end its stream without close_notify: then the user is told VC_EVENT_ERROR with
 * SP_TLS_TRUNCATED, never VC_EVENT_EOS. What ends with the stream is not whole then
 * (RFC 8446 6.1).
 *
 * Immutable; any thread. Made where files may be read: at start or on ET_TASK. */
#pragma once

#include <sallyport/base/err.h>
#include <sallyport/base/view.h>
#include <sallyport/config/config.h>
#include <sallyport/net/tls_client.h>

#include <stdbool.h>

/* What is wrong with the options. The views are valid during the call only. */
struct ssl_client_problem {
    const char
        *key; /* which option: "ca_file", "server_name", "certificate", "key"; "": all of it */
    struct view file; /* empty: none */
    struct view text; /* for a person: what was found, what was expected */
    bool warning;     /* it can be used all the same */
};
struct ssl_client_reporter {
    void (*report)(void *arg, const struct ssl_client_problem *problem);
    void *arg;
};

/* The authorities that a server's certificate has to lead to. Shared: the system's alone take a
 * megabyte. */
struct ssl_trust;

/* `ca_file`: PEM, one certificate or many; empty: the system's store, read once as a whole. NULL
 * with *err: SP_INVALID after a problem was reported, or SP_NOMEM. The caller owns a reference. */
struct ssl_trust *ssl_trust_new(struct view ca_file, const struct ssl_client_reporter *reporter,
                                enum sp_err *err) SP_MUST_CHECK;
struct ssl_trust *ssl_trust_ref(struct ssl_trust *trust);
void ssl_trust_unref(struct ssl_trust *trust); /* NULL is accepted */

/* Read during the call only. */
struct ssl_client_options {
    /* Who may vouch for the server; borrowed: the client takes a reference of its own. NULL: the
     * certificate is not verified, and anybody on the way can pretend to be the server. */
    struct ssl_trust *trust;
    /* The name, or IP address without brackets, that the certificate has to be for; a name is also
     * sent as SNI (RFC 6066 3: an address is not). Empty only where nothing is verified. */
    struct view server_name;
    /* Our own certificate, for servers that ask for one; both or none. */
    struct view certificate, key;
    enum tls_preset preset;
    uint32_t alpn;      /* ALPN_* bits, h2 preferred; 0: nothing is offered */
    bool alpn_required; /* a server that chooses none of them is refused */
};

/* NULL with *err: SP_INVALID after a problem was reported, SP_NOMEM, or SP_TLS_INTERNAL when the
 * library refuses the policy (reported). The caller owns a reference: tls_client_unref(). */
struct tls_client *ssl_client_new(const struct ssl_client_options *options,
                                  const struct ssl_client_reporter *reporter, enum sp_err *err)
    SP_MUST_CHECK;
