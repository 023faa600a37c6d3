/* What a full TLS 1.3 handshake costs a server inside OpenSSL, without sockets: the floor under
 * every figure of a proxy, and what the ways around parts of it bring.
 *
 *     sallyport-handshake-cost [--key p256|rsa] [--seconds S] [--own-context] [--clear] [--tickets
 * N]
 *
 * Prints microseconds of CPU for each handshake, the client's not counted. Allocators are compared
 * with LD_PRELOAD. */
#include "../load/tls13_client.h"

#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct options {
    const char *key;
    double seconds;
    int own_context; /* an OSSL_LIB_CTX of its own instead of the process's default */
    int clear;       /* one SSL for all, reset by SSL_clear(3) */
    int tickets;
};

static int64_t cpu_ns(void)
{
    struct timespec ts;

    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
    return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

static X509 *self_signed(EVP_PKEY *key)
{
    X509 *cert = X509_new();
    X509_NAME *name = X509_NAME_new();

    (void)X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)"localhost",
                                     -1, -1, 0);
    (void)X509_set_version(cert, X509_VERSION_3);
    (void)ASN1_INTEGER_set(X509_get_serialNumber(cert), 1);
    (void)X509_gmtime_adj(X509_getm_notBefore(cert), -3600);
    (void)X509_gmtime_adj(X509_getm_notAfter(cert), 86400);
    (void)X509_set_subject_name(cert, name);
    (void)X509_set_issuer_name(cert, name);
    (void)X509_set_pubkey(cert, key);
    (void)X509_sign(cert, key, EVP_sha256());
    X509_NAME_free(name);
    return cert;
}

static SSL_CTX *make_context(const struct options *o)
{
    OSSL_LIB_CTX *lib = o->own_context ? OSSL_LIB_CTX_new() : NULL;
    SSL_CTX *ctx = SSL_CTX_new_ex(lib, NULL, TLS_server_method());
    EVP_PKEY *key = strcmp(o->key, "rsa") == 0 ? EVP_PKEY_Q_keygen(lib, NULL, "RSA", (size_t)2048)
                                               : EVP_PKEY_Q_keygen(lib, NULL, "EC", "P-256");
    X509 *cert = self_signed(key);

    if (ctx == NULL || SSL_CTX_use_certificate(ctx, cert) != 1 ||
        SSL_CTX_use_PrivateKey(ctx, key) != 1)
        return NULL;
    (void)SSL_CTX_set_num_tickets(ctx, (size_t)o->tickets);
    (void)SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
    (void)SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION);
    X509_free(cert);
    EVP_PKEY_free(key);
    return ctx;
}

/* The server's flight to the client; the length of the client's Finished. */
static size_t answer(struct tls13_client *client, BIO *from, uint8_t *finished)
{
    static uint8_t flight[TLS13_IN_MAX];
    int n = BIO_read(from, flight, sizeof(flight));
    size_t at = 0, used = 0, len;
    uint8_t *data;

    while (n > 0 && at < (size_t)n) {
        switch (tls13_client_take(client, flight + at, (size_t)n - at, &used, &data, &len)) {
        case TLS13_SECURED: return tls13_client_finish(client, finished);
        case TLS13_NOTHING: at += used; break;
        case TLS13_MORE:
        case TLS13_DATA:
        case TLS13_FAILED: return 0;
        }
    }
    return 0;
}

/* The server's CPU time; -1: it failed. */
static int64_t handshake(SSL_CTX *ctx, SSL **kept)
{
    struct tls13_client client;
    uint8_t finished[64];
    size_t len;
    const uint8_t *hello = tls13_client_hello(&len);
    int64_t began_ns = cpu_ns(), spent_ns;
    SSL *ssl = *kept != NULL ? *kept : SSL_new(ctx);
    BIO *in = BIO_new(BIO_s_mem()), *out = BIO_new(BIO_s_mem());
    int done;

    SSL_set_bio(ssl, in, out);
    SSL_set_accept_state(ssl);
    (void)BIO_write(in, hello, (int)len);
    (void)SSL_do_handshake(ssl);
    spent_ns = cpu_ns() - began_ns;
    tls13_client_init(&client);
    len = answer(&client, out, finished);
    (void)BIO_write(in, finished, (int)len);
    began_ns = cpu_ns();
    done = SSL_do_handshake(ssl);
    if (*kept == NULL)
        SSL_free(ssl);
    else
        (void)SSL_clear(ssl);
    spent_ns += cpu_ns() - began_ns;
    return done == 1 ? spent_ns : -1;
}

/* The exit status. */
static int run(const struct options *o)
{
    SSL_CTX *ctx = make_context(o);
    SSL *kept = o->clear && ctx != NULL ? SSL_new(ctx) : NULL;
    int64_t spent_ns = 0, until_ns = cpu_ns() + (int64_t)(o->seconds * 1e9);
    unsigned long n = 0;

    if (ctx == NULL)
        return 1;
    for (int i = 0; i < 200; i++)
        (void)handshake(ctx, &kept);
    for (; cpu_ns() < until_ns; n++) {
        int64_t ns = handshake(ctx, &kept);

        if (ns < 0) {
            (void)fputs("a handshake failed\n", stderr);
            return 1;
        }
        spent_ns += ns;
    }
    (void)printf("%.1f us a handshake, %lu handshakes\n", (double)spent_ns / 1e3 / (double)n, n);
    SSL_free(kept);
    SSL_CTX_free(ctx);
    return 0;
}

int main(int argc, char **argv)
{
    struct options o = {.key = "p256", .seconds = 2, .tickets = 1};
    const struct option longs[] = {
        {"key", required_argument, NULL, 'k'},           {"seconds", required_argument, NULL, 's'},
        {"own-context", no_argument, &o.own_context, 1}, {"clear", no_argument, &o.clear, 1},
        {"tickets", required_argument, NULL, 't'},       {NULL, 0, NULL, 0}};
    int c;

    // NOLINTNEXTLINE(concurrency-mt-unsafe): one thread
    while ((c = getopt_long(argc, argv, "", longs, NULL)) != -1) {
        switch (c) {
        case 0: break;
        case 'k': o.key = optarg; break;
        case 's': o.seconds = strtod(optarg, NULL); break;
        case 't': o.tickets = (int)strtol(optarg, NULL, 10); break;
        default: return 2;
        }
    }
    return tls13_client_prepare("localhost") ? run(&o) : 1;
}
