/* Certificates as field values. Byte sequences of structured fields are base64 between colons
 * (RFC 8941 3.3.5), lists are separated by a comma (3.1). */
#include "client_identity.h"

#include "name_text.h"

#include <sallyport/base/log.h>
#include <sallyport/base/metrics.h>

#include <openssl/err.h>
#include <openssl/evp.h>

#include <string.h>

#define SHA256_BYTES       32U
/* Of a subject that is only kept for the access log. */
#define LOGGED_SUBJECT_MAX 512U

/* What goes into an identity: sizes first, then the bytes. */
struct parts {
    X509 *leaf;
    const STACK_OF(X509) * chain; /* NULL: left out */
    char *subject;                /* borrowed from `name` */
    BIO *name;
    size_t subject_len, cert_len, chain_len; /* of the values; 0: none */
};

/* ---- Sizes ---- */

static size_t byte_sequence_len(X509 *cert)
{
    int len = i2d_X509(cert, NULL);

    return len <= 0 ? 0 : ((size_t)len + 2) / 3 * 4 + 2;
}

/* Without the first, which is the leaf. */
static size_t chain_value_len(const STACK_OF(X509) * chain)
{
    size_t len = 0;

    for (int i = 1; chain != NULL && i < sk_X509_num(chain); i++)
        len += byte_sequence_len(sk_X509_value(chain, i)) + (i > 1 ? 2 : 0);
    return len;
}

static bool measure(struct parts *p, const struct client_trust *trust)
{
    bool tells_subject = (trust->forward & CLIENT_AUTH_SUBJECT) != 0;

    p->name = name_text_new(X509_get_subject_name(p->leaf));
    if (p->name == NULL)
        return false;
    p->subject_len = (size_t)BIO_get_mem_data(p->name, &p->subject);
    if (!tells_subject && p->subject_len > LOGGED_SUBJECT_MAX)
        p->subject_len = LOGGED_SUBJECT_MAX;
    if ((trust->forward & CLIENT_AUTH_CERT) != 0)
        p->cert_len = byte_sequence_len(p->leaf);
    if ((trust->forward & CLIENT_AUTH_CHAIN) != 0)
        p->chain_len = chain_value_len(p->chain);
    return true;
}

static void leave_out_chain(struct parts *p, const struct client_trust *trust)
{
    METRIC_INC(tls_certificate_chains_omitted);
    LOG_LIMITED(TLS, WARN,
                "Client-Cert-Chain left out: %zu bytes, with the certificate more than "
                "max_forward_bytes=%u",
                p->chain_len, trust->max_forward_bytes);
    p->chain_len = 0;
}

static enum sp_err fit(struct parts *p, const struct client_trust *trust)
{
    size_t told = p->cert_len;

    told += (trust->forward & CLIENT_AUTH_SUBJECT) != 0 ? p->subject_len : 0;
    if (told > trust->max_forward_bytes)
        return SP_LIMIT;
    if (p->chain_len > trust->max_forward_bytes - told)
        leave_out_chain(p, trust);
    return SP_OK;
}

/* ---- Bytes ---- */

static char *put_byte_sequence(char *dst, X509 *cert)
{
    unsigned char *der = NULL;
    int len = i2d_X509(cert, &der);

    if (len <= 0)
        return NULL;
    *dst++ = ':';
    dst += EVP_EncodeBlock((unsigned char *)dst, der, len);
    *dst++ = ':';
    OPENSSL_free(der);
    return dst;
}

static char *put_chain(char *dst, const STACK_OF(X509) * chain)
{
    for (int i = 1; dst != NULL && i < sk_X509_num(chain); i++) {
        if (i > 1) {
            *dst++ = ',';
            *dst++ = ' ';
        }
        dst = put_byte_sequence(dst, sk_X509_value(chain, i));
    }
    return dst;
}

static char *put_fingerprint(char *dst, const X509 *cert)
{
    static const char hex[] = "0123456789abcdef";
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned n = 0;

    if (X509_digest(cert, EVP_sha256(), digest, &n) != 1)
        return NULL;
    for (unsigned i = 0; i < n; i++) {
        *dst++ = hex[digest[i] >> 4];
        *dst++ = hex[digest[i] & 15];
    }
    return dst;
}

/* False: out of memory. */
static bool write_all(struct client_identity *identity, const struct parts *p)
{
    char *at = identity->text, *end = put_fingerprint(at, p->leaf);

    if (end == NULL)
        return false;
    identity->fingerprint = (struct view){at, (size_t)(end - at)};
    identity->subject = (struct view){end, p->subject_len};
    if (p->subject_len > 0)
        memcpy(end, p->subject, p->subject_len);
    at = end + p->subject_len;
    end = p->cert_len > 0 ? put_byte_sequence(at, p->leaf) : at;
    if (end == NULL)
        return false;
    identity->cert = (struct view){at, (size_t)(end - at)};
    at = end;
    end = p->chain_len > 0 ? put_chain(at, p->chain) : at;
    identity->chain = (struct view){at, end == NULL ? 0 : (size_t)(end - at)};
    return end != NULL;
}

static struct client_identity *identity_alloc(const struct client_trust *trust, size_t text_len)
{
    struct client_identity *identity = malloc(sizeof(*identity) + text_len);

    if (identity != NULL)
        *identity = (struct client_identity){.refs = 1, .forward = trust->forward};
    return identity;
}

static struct client_identity *write_identity(const struct client_trust *trust,
                                              const struct parts *p)
{
    size_t len = (size_t)2 * SHA256_BYTES + p->subject_len + p->cert_len + p->chain_len;
    struct client_identity *identity = identity_alloc(trust, len + 1); /* a NUL behind base64 */

    if (identity == NULL || write_all(identity, p))
        return identity;
    client_identity_unref(identity);
    return NULL;
}

struct client_identity *client_identity_new(const struct client_trust *trust, X509 *leaf,
                                            const STACK_OF(X509) * chain, enum sp_err *err)
{
    struct parts p = {.leaf = leaf, .chain = chain};
    struct client_identity *identity = NULL;

    *err = SP_OK;
    if (leaf == NULL)
        identity = identity_alloc(trust, 0);
    else if (measure(&p, trust) && (*err = fit(&p, trust)) == SP_OK)
        identity = write_identity(trust, &p);
    BIO_free(p.name);
    ERR_clear_error();
    if (identity == NULL && *err == SP_OK)
        *err = SP_NOMEM;
    return identity;
}
