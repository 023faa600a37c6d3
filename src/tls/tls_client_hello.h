/* What OpenSSL asks this program during a handshake, in the order in which it asks: the name, the
 * certificate, its status, the protocol (and about tickets: tls_server_tickets.h); and what it
 * shows of every message. */
#pragma once

#include <sallyport/base/view.h>

#include <openssl/ssl.h>

int tls_on_client_hello(SSL *ssl, int *alert, void *arg);
int tls_on_certificate(SSL *ssl, void *arg);
int tls_on_server_name(SSL *ssl, int *alert, void *arg);
int tls_on_status_request(SSL *ssl, void *arg);
int tls_on_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_len,
                const unsigned char *in, unsigned int in_len, void *arg);
void tls_on_message(int write, int version, int type, const void *data, size_t len, SSL *ssl,
                    void *arg);

/* The first of the port's protocols (ALPN_* bits) that a ProtocolNameList (RFC 7301 3.1) offers;
 * empty: none. Peer-controlled input. */
struct view tls_alpn_choose(unsigned bits, struct view offered);

/* The host name of a server_name extension's body (RFC 6066 3); empty if there is none or the body
 * is malformed. Peer-controlled input. */
struct view tls_sni_of(struct view extension);
