/* Certificates for a test, made on the spot: keys are in a folder of their own that goes with the
 * test. */
#pragma once

#include "unit_test.h"

#include <sallyport/base/view.h>
#include <sallyport/config/config.h>

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct test_folder {
    char path[64];
};

static inline void folder_make(struct test_folder *f)
{
    (void)snprintf(f->path, sizeof(f->path), "/tmp/sallyport-tls-XXXXXX");
    assert_non_null(mkdtemp(f->path));
}

static inline void folder_remove(const struct test_folder *f)
{
    DIR *dir = opendir(f->path);
    struct dirent *entry;

    assert_non_null(dir);
    // cppcheck-suppress readdirCalled
    while ((entry = readdir(dir)) != NULL) { // NOLINT(concurrency-mt-unsafe)
        if (entry->d_name[0] != '.')
            assert_int_equal(unlinkat(dirfd(dir), entry->d_name, 0), 0);
    }
    (void)closedir(dir);
    assert_int_equal(rmdir(f->path), 0);
}

/* A path in the folder; never freed by the caller, of a small ring. */
static inline struct view folder_file(const struct test_folder *f, const char *name)
{
    static char ring[64][160];
    static unsigned at;
    char *path = ring[at++ % 64];

    (void)snprintf(path, sizeof(ring[0]), "%s/%s", f->path, name);
    return view_of(path);
}

enum key_kind { KEY_EC, KEY_RSA, KEY_P384, KEY_P521, KEY_ED25519, KEY_RSA_1024 };

/* RSA keys take long to make: one for the whole program. */
static inline EVP_PKEY *key_new(enum key_kind kind)
{
    static EVP_PKEY *rsa;

    switch (kind) {
    case KEY_EC: return EVP_EC_gen("P-256");
    case KEY_P384: return EVP_EC_gen("P-384");
    case KEY_P521: return EVP_EC_gen("P-521");
    case KEY_ED25519: return EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
    case KEY_RSA_1024: return EVP_RSA_gen(1024);
    case KEY_RSA: break;
    }
    if (rsa == NULL)
        rsa = EVP_RSA_gen(2048);
    assert_non_null(rsa);
    (void)EVP_PKEY_up_ref(rsa);
    return rsa;
}

struct cert_recipe {
    const char *common_name;
    const char *alt_names;  /* "DNS:a.example,DNS:b.example"; NULL: none */
    int days_from, days_to; /* relative to now */
    X509 *issuer;           /* NULL: self-signed */
    EVP_PKEY *issuer_key;
    bool ca;
    bool key_ids;               /* of its own key and of its issuer's */
    const char *extended_usage; /* "serverAuth"; NULL: nothing is said */
    const char *info_access;    /* "caIssuers;URI:http://ca.example/ca.crt"; NULL: likewise */
    const EVP_MD *digest;       /* NULL: SHA-256, or what the key asks for */
};

static inline void cert_add_extension_of(X509 *cert, X509 *issuer, int nid, const char *value)
{
    X509V3_CTX ctx;
    X509_EXTENSION *ext;

    X509V3_set_ctx(&ctx, issuer, cert, NULL, NULL, 0);
    ext = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
    assert_non_null(ext);
    assert_int_equal(X509_add_ext(cert, ext, -1), 1);
    X509_EXTENSION_free(ext);
}

static inline void cert_add_extension(X509 *cert, int nid, const char *value)
{
    cert_add_extension_of(cert, cert, nid, value);
}

static inline void cert_add_extensions(X509 *cert, const struct cert_recipe *recipe)
{
    X509 *issuer = recipe->issuer == NULL ? cert : recipe->issuer;

    if (recipe->alt_names != NULL)
        cert_add_extension(cert, NID_subject_alt_name, recipe->alt_names);
    if (recipe->ca)
        cert_add_extension(cert, NID_basic_constraints, "critical,CA:TRUE");
    if (recipe->extended_usage != NULL)
        cert_add_extension(cert, NID_ext_key_usage, recipe->extended_usage);
    if (recipe->info_access != NULL)
        cert_add_extension(cert, NID_info_access, recipe->info_access);
    if (!recipe->key_ids)
        return;
    cert_add_extension(cert, NID_subject_key_identifier, "hash");
    cert_add_extension_of(cert, issuer, NID_authority_key_identifier, "keyid:always");
}

static inline void cert_sign(X509 *cert, EVP_PKEY *key, const EVP_MD *digest)
{
    if (digest == NULL && EVP_PKEY_get_base_id(key) != EVP_PKEY_ED25519)
        digest = EVP_sha256();
    assert_true(X509_sign(cert, key, digest) > 0);
}

static inline X509 *cert_new(const struct cert_recipe *recipe, EVP_PKEY *key)
{
    static long serial = 1;
    X509 *cert = X509_new();
    X509_NAME *name;

    assert_non_null(cert);
    name = X509_get_subject_name(cert);
    (void)X509_set_version(cert, X509_VERSION_3);
    (void)ASN1_INTEGER_set(X509_get_serialNumber(cert), serial++);
    (void)X509_gmtime_adj(X509_getm_notBefore(cert), recipe->days_from * 86400L);
    (void)X509_gmtime_adj(X509_getm_notAfter(cert), recipe->days_to * 86400L);
    (void)X509_set_pubkey(cert, key);
    (void)X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
                                     (const unsigned char *)recipe->common_name, -1, -1, 0);
    (void)X509_set_issuer_name(
        cert, recipe->issuer == NULL ? name : X509_get_subject_name(recipe->issuer));
    cert_add_extensions(cert, recipe);
    cert_sign(cert, recipe->issuer == NULL ? key : recipe->issuer_key, recipe->digest);
    return cert;
}

static inline void pem_write_cert(struct view path, X509 *cert, const char *mode)
{
    FILE *f = fopen(path.p, mode);

    assert_non_null(f);
    assert_int_equal(PEM_write_X509(f, cert), 1);
    assert_int_equal(fclose(f), 0);
}

/* As whoever keeps a key has it: for its owner alone. */
static inline void pem_write_key(struct view path, EVP_PKEY *key)
{
    int fd = open(path.p, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    FILE *f = fd < 0 ? NULL : fdopen(fd, "w");

    assert_non_null(f);
    assert_int_equal(PEM_write_PrivateKey(f, key, NULL, NULL, 0, NULL, NULL), 1);
    assert_int_equal(fclose(f), 0);
}

static inline void text_write(struct view path, const char *text)
{
    FILE *f = fopen(path.p, "w");

    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
}

/* NAME.pem and NAME.key, self-signed, valid now. */
static inline struct cert_conf cert_files_make(const struct test_folder *f, const char *name,
                                               enum key_kind kind, const char *alt_names)
{
    const struct cert_recipe recipe = {
        .common_name = name, .alt_names = alt_names, .days_from = -1, .days_to = 30};
    EVP_PKEY *key = key_new(kind);
    X509 *cert = cert_new(&recipe, key);
    char file[80];
    struct cert_conf conf = {0};

    (void)snprintf(file, sizeof(file), "%s.pem", name);
    conf.chain = folder_file(f, file);
    (void)snprintf(file, sizeof(file), "%s.key", name);
    conf.key = folder_file(f, file);
    pem_write_cert(conf.chain, cert, "w");
    pem_write_key(conf.key, key);
    X509_free(cert);
    EVP_PKEY_free(key);
    return conf;
}
