/* A certificate file and its key file, read and looked at from all sides: what is wrong with them
 * is said here, in words, and not by a client. Runs on threads that may block. */
#include "cert_pair.h"

#include "tls_error.h"

#include <sallyport/tls/ocsp.h>

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

/* What OpenSSL says about the call that has just failed. */
static const char *why(struct cert_load *load)
{
    unsigned long code = ERR_peek_error();
    const char *reason = ERR_reason_error_string(code);

    if (ERR_GET_REASON(code) == ERR_R_MALLOC_FAILURE)
        load->nomem = true;
    ERR_clear_error();
    return reason == NULL ? "no reason given" : reason;
}

static BIO *open_file(struct cert_load *load, struct view file)
{
    char path[PATH_MAX];
    BIO *bio;

    if (file.len == 0 || file.len >= sizeof(path)) {
        cert_load_error(load, file, "the path is empty or too long");
        return NULL;
    }
    memcpy(path, file.p, file.len);
    path[file.len] = '\0';
    errno = 0;
    bio = BIO_new_file(path, "re");
    if (bio == NULL) {
        int error_number = errno;

        (void)why(load);
        cert_load_error(load, file, "cannot be opened: %s",
                        error_number == 0 ? "out of memory" : strerrordesc_np(error_number));
    }
    return bio;
}

/* Did the last PEM call stop because nothing more is there? */
static bool at_end(void)
{
    unsigned long code = ERR_peek_last_error();

    return ERR_GET_LIB(code) == ERR_LIB_PEM && ERR_GET_REASON(code) == PEM_R_NO_START_LINE;
}

static bool chain_push(struct cert_pair *pair, X509 *cert)
{
    if (pair->chain == NULL)
        pair->chain = sk_X509_new_null();
    return pair->chain != NULL && sk_X509_push(pair->chain, cert) > 0;
}

/* The leaf, then whatever follows. */
static bool read_certs(struct cert_pair *pair, BIO *bio, struct view file, struct cert_load *load)
{
    unsigned n = 0;
    X509 *cert;

    while ((cert = PEM_read_bio_X509(bio, NULL, NULL, NULL)) != NULL) {
        n++;
        if (pair->leaf == NULL) {
            pair->leaf = cert;
        } else if (!chain_push(pair, cert)) {
            X509_free(cert);
            cert_load_nomem(load, file);
            return false;
        }
    }
    if (!at_end()) {
        cert_load_error(load, file, "certificate %u cannot be read: %s", n + 1, why(load));
        return false;
    }
    ERR_clear_error();
    if (n == 0)
        cert_load_error(load, file,
                        "holds no certificate in PEM form (\"-----BEGIN CERTIFICATE\")");
    return n > 0;
}

/* Never asks a terminal. */
// NOLINTNEXTLINE(readability-non-const-parameter): pem_password_cb
static int refuse_password(char *buf, int size, int writing, void *asked)
{
    (void)buf;
    (void)size;
    (void)writing;
    *(bool *)asked = true;
    return -1;
}

static bool read_key(struct cert_pair *pair, BIO *bio, struct view file, struct cert_load *load)
{
    bool encrypted = false;

    pair->key = PEM_read_bio_PrivateKey(bio, NULL, refuse_password, &encrypted);
    if (pair->key != NULL)
        return true;
    if (encrypted)
        cert_load_error(load, file, "the key is encrypted; it must be stored without a password");
    else if (at_end() || ERR_GET_REASON(ERR_peek_last_error()) == ERR_R_UNSUPPORTED)
        cert_load_error(load, file, "holds no private key in PEM form that could be read");
    else
        cert_load_error(load, file, "the key cannot be read: %s", why(load));
    ERR_clear_error();
    return false;
}

typedef bool (*read_fn)(struct cert_pair *pair, BIO *bio, struct view file, struct cert_load *load);

static bool read_file(struct cert_pair *pair, struct view file, struct cert_load *load,
                      read_fn read)
{
    BIO *bio = open_file(load, file);
    bool ok;

    if (bio == NULL)
        return false;
    ok = read(pair, bio, file, load);
    BIO_free(bio);
    return ok;
}

/* The certificate of the file (1 is the first) whose key it is; 0: none. */
static int position_of_key(const struct cert_pair *pair)
{
    int n = pair->chain == NULL ? 0 : sk_X509_num(pair->chain);

    if (X509_check_private_key(pair->leaf, pair->key) == 1)
        return 1;
    for (int i = 0; i < n; i++)
        if (X509_check_private_key(sk_X509_value(pair->chain, i), pair->key) == 1)
            return i + 2;
    return 0;
}

static bool check_match(const struct cert_pair *pair, const struct cert_conf *conf,
                        struct cert_load *load)
{
    int at = position_of_key(pair);

    ERR_clear_error();
    if (at == 1)
        return true;
    if (at == 0) {
        cert_load_error(load, conf->key, "does not belong to the certificate in " VIEW_FMT,
                        VIEW_ARG(conf->chain));
    } else {
        cert_load_error(load, conf->chain,
                        "the key belongs to certificate %d of the file; the server's own "
                        "certificate must come first",
                        at);
    }
    return false;
}

/* What OpenSSL would refuse in each handshake (a key that is too short for its security level). */
static bool check_usable(const struct cert_pair *pair, const struct cert_conf *conf,
                         struct cert_load *load)
{
    if (SSL_CTX_use_cert_and_key(load->scratch, pair->leaf, pair->key, pair->chain, 1) == 1)
        return true;
    cert_load_error(load, conf->chain, "cannot be used: %s", why(load));
    return false;
}

static void format_time(const ASN1_TIME *time, char *dst, size_t cap)
{
    struct tm tm = {0};

    if (ASN1_TIME_to_tm(time, &tm) != 1 || strftime(dst, cap, "%Y-%m-%d %H:%M:%S UTC", &tm) == 0)
        (void)snprintf(dst, cap, "an unreadable date");
}

static void check_dates(const struct cert_pair *pair, struct view file, struct cert_load *load)
{
    char text[40];

    if (X509_cmp_current_time(X509_get0_notAfter(pair->leaf)) < 0) {
        format_time(X509_get0_notAfter(pair->leaf), text, sizeof(text));
        cert_load_warn(load, file, "the certificate has expired: it was valid until %s", text);
    }
    if (X509_cmp_current_time(X509_get0_notBefore(pair->leaf)) > 0) {
        format_time(X509_get0_notBefore(pair->leaf), text, sizeof(text));
        cert_load_warn(load, file, "the certificate is not valid yet: it will be from %s", text);
    }
}

/* "each following certificate SHOULD directly certify the one immediately preceding it"
 * (RFC 8446 4.4.2). */
static void check_order(const struct cert_pair *pair, struct view file, struct cert_load *load)
{
    int n = pair->chain == NULL ? 0 : sk_X509_num(pair->chain);
    X509 *below = pair->leaf;

    for (int i = 0; i < n; i++) {
        X509 *above = sk_X509_value(pair->chain, i);

        if (X509_check_issued(above, below) != X509_V_OK)
            cert_load_warn(load, file, "certificate %d of the file did not issue certificate %d",
                           i + 2, i + 1);
        below = above;
    }
    if (n == 0 && X509_check_issued(pair->leaf, pair->leaf) != X509_V_OK)
        cert_load_warn(load, file,
                       "holds no intermediate certificate: many clients will not trust it");
    ERR_clear_error();
}

bool cert_pair_load_certs(struct cert_pair *pair, struct view file, struct cert_load *load)
{
    *pair = (struct cert_pair){0};
    if (read_file(pair, file, load, read_certs))
        return true;
    cert_pair_fini(pair);
    return false;
}

bool cert_pair_load(struct cert_pair *pair, const struct cert_conf *conf, struct cert_load *load)
{
    bool has_certs, has_key;

    *pair = (struct cert_pair){0};
    has_certs = read_file(pair, conf->chain, load, read_certs);
    has_key = read_file(pair, conf->key, load, read_key); /* both are said at once */
    if (!has_certs || !has_key || !check_match(pair, conf, load) ||
        !check_usable(pair, conf, load)) {
        cert_pair_fini(pair);
        return false;
    }
    check_dates(pair, conf->chain, load);
    check_order(pair, conf->chain, load);
    return true;
}

void cert_pair_fini(struct cert_pair *pair)
{
    X509_free(pair->leaf);
    EVP_PKEY_free(pair->key);
    sk_X509_pop_free(pair->chain, X509_free);
    ocsp_slot_unref(pair->ocsp);
    *pair = (struct cert_pair){0};
}
