/* What OpenSSL asks of a client during a handshake. */
#pragma once

#include <openssl/ssl.h>

/* Of each certificate of the server's chain, and of the name: `ok` is what OpenSSL thinks. */
int tls_client_on_verify(int ok, X509_STORE_CTX *store);
/* The server gave us a session to resume: ours to keep. */
int tls_client_on_session(SSL *ssl, SSL_SESSION *session);
