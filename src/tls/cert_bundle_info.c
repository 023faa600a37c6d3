/* A bundle for people to look at. */
#include "cert_bundle.h"
#include "cert_words.h"

#include <openssl/bn.h>
#include <openssl/err.h>
#include <openssl/x509.h>

#include <stdio.h>
#include <string.h>
#include <time.h>

struct view cert_bundle_name(const struct cert_bundle *bundle)
{
    return tls_label_view(bundle->name);
}

uint32_t cert_bundle_n_names(const struct cert_bundle *bundle)
{
    return bundle->n_names;
}

struct view cert_bundle_host(const struct cert_bundle *bundle, uint32_t i)
{
    return bundle->names[i];
}

uint32_t cert_bundle_n_certs(const struct cert_bundle *bundle)
{
    return bundle->n_pairs;
}

static void put_hex(char *dst, size_t cap, const unsigned char *bytes, size_t n)
{
    dst[0] = '\0';
    for (size_t i = 0; i < n && 2 * i + 2 < cap; i++)
        (void)snprintf(dst + 2 * i, cap - 2 * i, "%02x", bytes[i]);
}

static void describe_serial(const X509 *cert, char *dst, size_t cap)
{
    const ASN1_INTEGER *serial = X509_get0_serialNumber(cert);

    put_hex(dst, cap, ASN1_STRING_get0_data(serial), (size_t)ASN1_STRING_length(serial));
}

static void describe_fingerprint(const X509 *cert, char *dst, size_t cap)
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned n = 0;

    if (X509_digest(cert, EVP_sha256(), digest, &n) != 1)
        n = 0;
    put_hex(dst, cap, digest, n);
}

static int64_t unix_time(const ASN1_TIME *time)
{
    struct tm tm = {0};

    return ASN1_TIME_to_tm(time, &tm) == 1 ? (int64_t)timegm(&tm) : 0;
}

void cert_bundle_describe(const struct cert_bundle *bundle, uint32_t i, struct cert_info *out)
{
    const struct cert_pair *pair = &bundle->pairs[i];

    cert_words_key(pair->key, out->key, sizeof(out->key));
    describe_serial(pair->leaf, out->serial, sizeof(out->serial));
    describe_fingerprint(pair->leaf, out->fingerprint, sizeof(out->fingerprint));
    cert_words_name(X509_get_subject_name(pair->leaf), out->subject, sizeof(out->subject));
    cert_words_name(X509_get_issuer_name(pair->leaf), out->issuer, sizeof(out->issuer));
    out->not_before_s = unix_time(X509_get0_notBefore(pair->leaf));
    out->not_after_s = unix_time(X509_get0_notAfter(pair->leaf));
    ERR_clear_error();
}

int64_t cert_bundle_not_after_s(const struct cert_bundle *bundle)
{
    int64_t first = INT64_MAX;

    for (uint32_t i = 0; i < bundle->n_pairs; i++) {
        int64_t at = unix_time(X509_get0_notAfter(bundle->pairs[i].leaf));

        first = at < first ? at : first;
    }
    return first;
}
