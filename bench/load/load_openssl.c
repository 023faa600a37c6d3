/* Connections secured by OpenSSL: what a real client costs, and all that it can do. */
#include "load.h"

#include <openssl/err.h>

#include <string.h>

/* The macro casts const away. */
static void set_host_name(SSL *ssl, const char *name)
{
    char copy[256];

    (void)snprintf(copy, sizeof(copy), "%s", name);
    (void)SSL_set_tlsext_host_name(ssl, copy);
}

static bool openssl_open(struct load_conn *c, const struct load_options *o, SSL_SESSION *session)
{
    c->ssl = SSL_new(o->ctx);
    if (c->ssl == NULL || SSL_set_fd(c->ssl, c->fd) != 1) {
        SSL_free(c->ssl);
        return false;
    }
    set_host_name(c->ssl, o->sni);
    if (session != NULL)
        (void)SSL_set_session(c->ssl, session);
    SSL_set_connect_state(c->ssl);
    return true;
}

static enum load_result result_of(const struct load_conn *c, int rc)
{
    switch (SSL_get_error(c->ssl, rc)) {
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_WRITE: return LOAD_PENDING;
    default: ERR_clear_error(); return LOAD_FAILED;
    }
}

static enum load_result openssl_handshake(struct load_conn *c)
{
    int rc = SSL_do_handshake(c->ssl);

    if (rc != 1)
        return result_of(c, rc);
    c->resumed = SSL_session_reused(c->ssl) == 1;
    return LOAD_DONE;
}

static enum load_result openssl_write(struct load_conn *c, const char *data, size_t len)
{
    int rc = SSL_write(c->ssl, data, (int)len);

    return rc == (int)len ? LOAD_DONE : result_of(c, rc);
}

static enum load_result openssl_read(struct load_conn *c, char *dst, size_t cap, size_t *n)
{
    int rc = SSL_read(c->ssl, dst, (int)cap);

    if (rc <= 0)
        return result_of(c, rc);
    *n = (size_t)rc;
    return LOAD_DONE;
}

static void openssl_close(struct load_conn *c, bool clean)
{
    if (clean)
        (void)SSL_shutdown(c->ssl);
    SSL_free(c->ssl);
    ERR_clear_error();
}

const struct load_secure load_openssl = {
    .open = openssl_open,
    .handshake = openssl_handshake,
    .write = openssl_write,
    .read = openssl_read,
    .close = openssl_close,
};
