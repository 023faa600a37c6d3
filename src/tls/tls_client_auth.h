/* Certificates of clients in a handshake: whom to ask, whom to believe, what stays.
 *
 *     ClientHello          choose: the rules of the name; sessions are bound to them
 *     a ticket opens       ...unless its certificate is out of date
 *     full handshake       ask, then verify: what backends are told is made here
 *     resumed              judge: made of the certificate that the ticket carried
 *     the end              nothing of the rules stays in the SSL
 *
 * Without rules (hs->trust NULL) each of these is one comparison. */
#pragma once

#include "tls_handshake.h"

#include <sallyport/base/view.h>

/* What a client sends of certificates in one handshake. */
#define TLS_CLIENT_CERTS_MAX_BYTES 65536

/* Sets hs->trust for hs->bundle, and the SSL's session id context, by which sessions are told
 * apart. False: out of memory. */
bool tls_client_auth_choose(struct tls_handshake *hs, struct view sni) SP_MUST_CHECK;
/* A full handshake begins to answer: asks for a certificate, where one is wanted. False: likewise.
 */
bool tls_client_auth_ask(const struct tls_handshake *hs) SP_MUST_CHECK;
/* SSL_CTX_set_cert_verify_callback */
int tls_on_client_certificate(X509_STORE_CTX *ctx, void *arg);
/* A ticket was opened: false when its certificate, or what it was verified by, is out of date. */
bool tls_client_auth_resumes(const struct tls_handshake *hs, const SSL_SESSION *session);
/* OpenSSL is content: SP_OK and hs->identity as it is to be, or why we are not. */
enum sp_err tls_client_auth_judge(struct tls_handshake *hs) SP_MUST_CHECK;
/* The handshake is over: the SSL lets go of what it was lent. */
void tls_client_auth_end(const struct tls_handshake *hs);
