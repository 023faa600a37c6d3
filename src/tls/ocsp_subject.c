#include "ocsp_subject.h"

#include <openssl/err.h>
#include <openssl/x509v3.h>

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define HTTP "http://"

/* TLS features that a certificate asks for are extensions by their number (RFC 7633 4.2.3). */
#define FEATURE_STATUS_REQUEST 5

/* In a file that is out of order, too. By name and key identifier: a false one costs its staple, as
 * no response fits. */
static X509 *issuer_in(STACK_OF(X509) * chain, X509 *leaf)
{
    int n = chain == NULL ? 0 : sk_X509_num(chain);

    for (int i = 0; i < n; i++)
        if (X509_check_issued(sk_X509_value(chain, i), leaf) == X509_V_OK)
            return sk_X509_value(chain, i);
    return NULL;
}

static bool asks_for_staple(X509 *leaf)
{
    TLS_FEATURE *features = X509_get_ext_d2i(leaf, NID_tlsfeature, NULL, NULL);
    bool found = false;

    for (int i = 0; features != NULL && i < sk_ASN1_INTEGER_num(features); i++) {
        int64_t feature = 0;

        if (ASN1_INTEGER_get_int64(&feature, sk_ASN1_INTEGER_value(features, i)) == 1)
            found = found || feature == FEATURE_STATUS_REQUEST;
    }
    TLS_FEATURE_free(features);
    return found;
}

/* Over https it would need another certificate's status first (RFC 5280 8); what is no printable
 * ASCII is no URL, and would end up in a request's head. */
static bool is_usable(const char *url)
{
    if (strncasecmp(url, HTTP, strlen(HTTP)) != 0)
        return false;
    for (const char *p = url; *p != '\0'; p++)
        if (*p <= ' ' || *p > '~')
            return false;
    return true;
}

/* The first one in the order of the certificate. False: out of memory. */
static bool take_url(struct ocsp_subject *s)
{
    STACK_OF(OPENSSL_STRING) *urls = X509_get1_ocsp(s->leaf);
    const char *found = NULL;

    for (int i = 0; urls != NULL && found == NULL && i < sk_OPENSSL_STRING_num(urls); i++) {
        const char *url = sk_OPENSSL_STRING_value(urls, i);

        found = is_usable(url) ? url : NULL;
    }
    s->url = found == NULL ? NULL : strdup(found);
    X509_email_free(urls);
    return found == NULL || s->url != NULL;
}

bool ocsp_subject_init(struct ocsp_subject *s, X509 *leaf, STACK_OF(X509) * chain)
{
    X509 *issuer = issuer_in(chain, leaf);
    unsigned len = 0;
    bool ok;

    *s = (struct ocsp_subject){0};
    (void)X509_up_ref(leaf);
    s->leaf = leaf;
    if (issuer != NULL)
        (void)X509_up_ref(issuer);
    s->issuer = issuer;
    s->must_staple = asks_for_staple(leaf);
    ok = take_url(s) && X509_digest(leaf, EVP_sha256(), s->fingerprint, &len) == 1;
    ERR_clear_error();
    return ok;
}

void ocsp_subject_fini(struct ocsp_subject *s)
{
    X509_free(s->leaf);
    X509_free(s->issuer);
    free(s->url);
    *s = (struct ocsp_subject){0};
}

/* The digest is the responder's choice among those that are in use (RFC 6960 4.1.1, RFC 9654). */
static const EVP_MD *digest_of(const OCSP_CERTID *id)
{
    ASN1_OBJECT *algorithm = NULL;

    /* It only looks, but takes no const. */
    if (OCSP_id_get0_info(NULL, &algorithm, NULL, NULL, (OCSP_CERTID *)(uintptr_t)id) != 1)
        return NULL;
    switch (OBJ_obj2nid(algorithm)) {
    case NID_sha1: return EVP_sha1();
    case NID_sha256: return EVP_sha256();
    case NID_sha384: return EVP_sha384();
    case NID_sha512: return EVP_sha512();
    default: return NULL;
    }
}

bool ocsp_subject_is(const struct ocsp_subject *s, const OCSP_CERTID *id)
{
    const EVP_MD *digest = digest_of(id);
    OCSP_CERTID *own = digest == NULL ? NULL : OCSP_cert_to_id(digest, s->leaf, s->issuer);
    bool is = own != NULL && OCSP_id_cmp(own, id) == 0;

    OCSP_CERTID_free(own);
    return is;
}

/* Without a nonce: a response that was made for everybody is what can be stapled, and what a
 * responder has ready. SHA-1 identifies, it protects nothing (RFC 5019 2.1.1, and what responders
 * know). */
static OCSP_REQUEST *request_new(const struct ocsp_subject *s)
{
    OCSP_REQUEST *request = OCSP_REQUEST_new();
    OCSP_CERTID *id = request == NULL ? NULL : OCSP_cert_to_id(EVP_sha1(), s->leaf, s->issuer);

    if (id != NULL && OCSP_request_add0_id(request, id) != NULL)
        return request;
    OCSP_CERTID_free(id);
    OCSP_REQUEST_free(request);
    return NULL;
}

struct view ocsp_subject_request(const struct ocsp_subject *s)
{
    OCSP_REQUEST *request = request_new(s);
    int len = request == NULL ? 0 : i2d_OCSP_REQUEST(request, NULL);
    unsigned char *der = len <= 0 ? NULL : malloc((size_t)len), *end = der;

    if (der != NULL)
        len = i2d_OCSP_REQUEST(request, &end);
    OCSP_REQUEST_free(request);
    ERR_clear_error();
    return (struct view){(const char *)der, der == NULL ? 0 : (size_t)len};
}
