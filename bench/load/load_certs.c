/* Many certificates, fast: one P-256 key, and for each host a self-signed certificate with the key
 * in one PEM file, which every server reads. Host I is hostI.test, its file hostI.pem. */
#include "load.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>

#define DAYS_100_S (100L * 86400)

static bool add_name(X509 *cert, const char *host)
{
    char san[80];
    X509_EXTENSION *extension;
    bool added;

    (void)snprintf(san, sizeof(san), "DNS:%s", host);
    extension = X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, san);
    added = extension != NULL && X509_add_ext(cert, extension, -1) == 1;
    X509_EXTENSION_free(extension);
    return added;
}

/* The serial number is random: it tells the next generation of files from this one. */
static bool fill(X509 *cert, const char *host, EVP_PKEY *key)
{
    X509_NAME *name = X509_get_subject_name(cert);
    uint64_t serial = 0;

    return RAND_bytes((unsigned char *)&serial, 7) == 1 && X509_set_version(cert, 2) == 1 &&
           ASN1_INTEGER_set_uint64(X509_get_serialNumber(cert), serial) == 1 &&
           X509_gmtime_adj(X509_getm_notBefore(cert), -3600) != NULL &&
           X509_gmtime_adj(X509_getm_notAfter(cert), DAYS_100_S) != NULL &&
           X509_set_pubkey(cert, key) == 1 &&
           X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)host, -1, -1,
                                      0) == 1 &&
           X509_set_issuer_name(cert, name) == 1 && add_name(cert, host) &&
           X509_sign(cert, key, EVP_sha256()) != 0;
}

static bool write_pem(const char *path, X509 *cert, EVP_PKEY *key)
{
    FILE *file = fopen(path, "we");
    bool written;

    if (file == NULL)
        return false;
    written = PEM_write_X509(file, cert) == 1 &&
              PEM_write_PrivateKey(file, key, NULL, NULL, 0, NULL, NULL) == 1;
    return fclose(file) == 0 && written;
}

static bool make_one(const char *dir, unsigned i, EVP_PKEY *key)
{
    char host[64], path[4096];
    X509 *cert = X509_new();
    bool made;

    (void)snprintf(host, sizeof(host), "host%u.test", i);
    (void)snprintf(path, sizeof(path), "%s/host%u.pem", dir, i);
    made = cert != NULL && fill(cert, host, key) && write_pem(path, cert, key);
    X509_free(cert);
    return made;
}

int load_certs(const struct load_options *o)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    unsigned i = 0;

    while (key != NULL && o->dir != NULL && i < o->count && make_one(o->dir, o->first + i, key))
        i++;
    EVP_PKEY_free(key);
    if (i == o->count)
        return 0;
    (void)fprintf(stderr, "only %u of %u certificates were made\n", i, o->count);
    return 1;
}
