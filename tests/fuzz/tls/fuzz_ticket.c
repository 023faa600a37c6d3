/* A session ticket as a client of TLS 1.2 presents it: any bytes at all (first byte even), or any
 * bytes that somebody who has the key has sealed (odd), so that they reach what reads sessions. */
#include "tls_server_tickets.h"
#include "tls_tickets.h"

#include <openssl/core_names.h>
#include <openssl/err.h>

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define OVERHEAD 128 /* name, IV, padding, MAC */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct tls_tickets *tickets;
static SSL_CTX *server_ctx, *client_ctx;
static enum ticket_use last_use;

// NOLINTNEXTLINE(readability-non-const-parameter): OpenSSL's shape
static int on_key(SSL *ssl, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *cipher,
                  EVP_MAC_CTX *mac, int seal)
{
    struct tls_ticket_job job = {
        .name = name, .iv = iv, .cipher = cipher, .mac = mac, .seal = seal != 0};
    int rc = tls_tickets_key(tickets, &job);

    (void)ssl;
    last_use = job.use;
    return rc;
}

static SSL_TICKET_RETURN on_ticket(SSL *ssl, SSL_SESSION *session, const unsigned char *name,
                                   size_t name_len, SSL_TICKET_STATUS status, void *arg)
{
    enum ticket_use use = last_use;

    (void)ssl;
    (void)name;
    (void)name_len;
    (void)arg;
    last_use = TICKET_UNKNOWN;
    return tls_ticket_judge(session, use, status);
}

static void make_once(void)
{
    struct ticket_key_list list = {.n = 1};
    struct ticket_keys *keys;

    memset(list.keys[0].bytes, 'k', TICKET_KEY_BYTES); /* inputs find it */
    keys = ticket_keys_new_listed(&list);
    SP_ASSERT(keys != NULL);
    tickets = tls_tickets_new(keys);
    ticket_keys_unref(keys);
    server_ctx = SSL_CTX_new(TLS_server_method());
    client_ctx = SSL_CTX_new(TLS_client_method());
    SP_ASSERT(tickets != NULL && server_ctx != NULL && client_ctx != NULL);
    SP_ASSERT(SSL_CTX_set_tlsext_ticket_key_evp_cb(server_ctx, on_key) == 1);
    SP_ASSERT(SSL_CTX_set_session_ticket_cb(server_ctx, NULL, on_ticket, NULL) == 1);
    SP_ASSERT(SSL_CTX_set_max_proto_version(client_ctx, TLS1_2_VERSION) == 1);
}

/* name | IV | AES-256-CBC | HMAC-SHA-256 (RFC 5077 4). The length, or 0. */
static size_t seal(const uint8_t *plain, size_t len, uint8_t *out)
{
    EVP_MAC *hmac = EVP_MAC_fetch(NULL, "HMAC", NULL);
    EVP_MAC_CTX *mac = EVP_MAC_CTX_new(hmac);
    EVP_CIPHER_CTX *cipher = EVP_CIPHER_CTX_new();
    struct tls_ticket_job job = {
        .name = out, .iv = out + 16, .cipher = cipher, .mac = mac, .seal = true};
    size_t at = 32, tag_len = 0;
    int n = 0, rest = 0;

    SP_ASSERT(tls_tickets_key(tickets, &job) == 1);
    SP_ASSERT(EVP_EncryptUpdate(cipher, out + at, &n, plain, (int)len) == 1);
    SP_ASSERT(EVP_EncryptFinal_ex(cipher, out + at + n, &rest) == 1);
    at += (size_t)n + (size_t)rest;
    SP_ASSERT(EVP_MAC_init(mac, NULL, 0, NULL) == 1 && EVP_MAC_update(mac, out, at) == 1);
    SP_ASSERT(EVP_MAC_final(mac, out + at, &tag_len, 32) == 1);
    EVP_CIPHER_CTX_free(cipher);
    EVP_MAC_CTX_free(mac);
    EVP_MAC_free(hmac);
    return at + tag_len;
}

/* The server reads the hello and looks at the ticket; without a certificate it gets no further. */
static void present(uint8_t *ticket, size_t len)
{
    SSL *server = SSL_new(server_ctx), *client = SSL_new(client_ctx);
    BIO *to_server = BIO_new(BIO_s_mem()), *to_client = BIO_new(BIO_s_mem());

    SP_ASSERT(server != NULL && client != NULL && to_server != NULL && to_client != NULL);
    SP_ASSERT(BIO_up_ref(to_server) == 1 && BIO_up_ref(to_client) == 1);
    SSL_set_bio(client, to_client, to_server);
    SSL_set_bio(server, to_server, to_client);
    SP_ASSERT(SSL_set_session_ticket_ext(client, ticket, (int)len) == 1);
    SP_ASSERT(SSL_connect(client) != 1);
    SP_ASSERT(SSL_accept(server) != 1);
    SSL_free(server);
    SSL_free(client);
    ERR_clear_error();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t ticket[8192 + OVERHEAD];
    size_t len;

    if (server_ctx == NULL)
        make_once();
    if (size < 1 || size > 8192)
        return 0;
    len = size - 1;
    if ((data[0] & 1) != 0)
        len = seal(data + 1, len, ticket);
    else
        memcpy(ticket, data + 1, len);
    present(ticket, len);
    return 0;
}
