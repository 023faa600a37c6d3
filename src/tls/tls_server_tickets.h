/* What OpenSSL asks about session tickets in a client's handshake. */
#pragma once

#include "ticket_keys_internal.h"

#include <openssl/ssl.h>

int tls_on_ticket_key(SSL *ssl, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *cipher,
                      EVP_MAC_CTX *mac, int encrypt);
/* The client showed a ticket; `status` says whether it could be opened. The place to refuse one
 * that was made under what holds no more. */
SSL_TICKET_RETURN tls_on_ticket(SSL *ssl, SSL_SESSION *session, const unsigned char *name,
                                size_t name_len, SSL_TICKET_STATUS status, void *arg);
/* What becomes of one ticket, whose key was that; it is counted. `session` is NULL unless it could
 * be opened. Peer-controlled input. */
SSL_TICKET_RETURN tls_ticket_judge(const SSL_SESSION *session, enum ticket_use use,
                                   SSL_TICKET_STATUS status);
