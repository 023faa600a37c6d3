/* A bundle for people to look at. */
#include "cert_bundle.h"

#include <openssl/bio.h>
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

static void describe_key(EVP_PKEY *key, char *dst, size_t cap)
{
    char group[32] = "";

    switch (EVP_PKEY_get_base_id(key)) {
    case EVP_PKEY_RSA: (void)snprintf(dst, cap, "RSA %d", EVP_PKEY_get_bits(key)); return;
    case EVP_PKEY_ED25519: (void)snprintf(dst, cap, "Ed25519"); return;
    case EVP_PKEY_ED448: (void)snprintf(dst, cap, "Ed448"); return;
    case EVP_PKEY_EC: break;
    default: (void)snprintf(dst, cap, "%s", EVP_PKEY_get0_type_name(key)); return;
    }
    (void)EVP_PKEY_get_group_name(key, group, sizeof(group), NULL);
    if (strcmp(group, "prime256v1") == 0)
        (void)snprintf(group, sizeof(group), "P-256");
    else if (strcmp(group, "secp384r1") == 0)
        (void)snprintf(group, sizeof(group), "P-384");
    else if (strcmp(group, "secp521r1") == 0)
        (void)snprintf(group, sizeof(group), "P-521");
    (void)snprintf(dst, cap, "ECDSA %s", group);
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

/* RFC 2253 in UTF-8, control characters escaped. */
static void describe_name(const X509_NAME *name, char *dst, size_t cap)
{
    BIO *bio = BIO_new(BIO_s_mem());
    int n = 0;

    if (bio != NULL &&
        X509_NAME_print_ex(bio, name, 0, XN_FLAG_RFC2253 & ~(unsigned long)ASN1_STRFLGS_ESC_MSB) >=
            0)
        n = BIO_read(bio, dst, (int)cap - 1);
    dst[n > 0 ? n : 0] = '\0';
    BIO_free(bio);
}

static int64_t unix_time(const ASN1_TIME *time)
{
    struct tm tm = {0};

    return ASN1_TIME_to_tm(time, &tm) == 1 ? (int64_t)timegm(&tm) : 0;
}

void cert_bundle_describe(const struct cert_bundle *bundle, uint32_t i, struct cert_info *out)
{
    const struct cert_pair *pair = &bundle->pairs[i];

    describe_key(pair->key, out->key, sizeof(out->key));
    describe_serial(pair->leaf, out->serial, sizeof(out->serial));
    describe_fingerprint(pair->leaf, out->fingerprint, sizeof(out->fingerprint));
    describe_name(X509_get_subject_name(pair->leaf), out->subject, sizeof(out->subject));
    describe_name(X509_get_issuer_name(pair->leaf), out->issuer, sizeof(out->issuer));
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
