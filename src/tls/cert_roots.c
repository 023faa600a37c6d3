#include "cert_roots.h"

#include "cert_file.h"
#include "cert_pem.h"

#include <openssl/err.h>
#include <openssl/x509v3.h>

#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

/* Where distributions keep all authorities in one file. */
static const char *const known_files[] = {
    "/etc/ssl/certs/ca-certificates.crt",                /* Debian, Arch */
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem", /* Fedora */
    "/etc/ssl/ca-bundle.pem",                            /* SUSE */
    "/etc/ssl/cert.pem",                                 /* Alpine */
};

static bool is_readable(const char *path)
{
    return path != NULL && access(path, R_OK) == 0;
}

/* SSL_CERT_FILE, as other programs understand it, then the library's place, then the known ones. */
struct view cert_roots_file(void)
{
    const char *named = secure_getenv(X509_get_default_cert_file_env());

    if (named != NULL)
        return view_of(named);
    if (is_readable(X509_get_default_cert_file()))
        return view_of(X509_get_default_cert_file());
    for (size_t i = 0; i < SP_COUNT_OF(known_files); i++)
        if (is_readable(known_files[i]))
            return view_of(known_files[i]);
    return (struct view){NULL, 0};
}

/* A whole certificate would be eight times as large. */
struct root {
    X509_NAME *name;
    ASN1_OCTET_STRING *key_id; /* NULL: it says none */
};

/* Under the mutex. A reader holds it for one look through a few hundred names. */
static struct {
    pthread_mutex_t mutex;
    struct root *v;
    int n;
    struct file_stamp stamp;
    bool loaded;
} roots = {.mutex = PTHREAD_MUTEX_INITIALIZER};

static void drop_all(void)
{
    for (int i = 0; i < roots.n; i++) {
        X509_NAME_free(roots.v[i].name);
        ASN1_OCTET_STRING_free(roots.v[i].key_id);
    }
    free(roots.v);
    roots.v = NULL;
    roots.n = 0;
}

static bool add(X509 *cert)
{
    const ASN1_OCTET_STRING *key_id = X509_get0_subject_key_id(cert);
    struct root *root = &roots.v[roots.n];

    *root = (struct root){.name = X509_NAME_dup(X509_get_subject_name(cert))};
    if (root->name == NULL)
        return false;
    roots.n++;
    root->key_id = key_id == NULL ? NULL : ASN1_OCTET_STRING_dup(key_id);
    return root->key_id != NULL || key_id == NULL;
}

/* Whoever needs to know what is wrong with the list asks for it by name (ca_file). */
static void say_nothing(void *arg, const struct cert_problem *problem)
{
    (void)arg;
    (void)problem;
}

/* Without memory there are none, until the next time. */
static bool fill(const struct cert_pem *pem)
{
    int n = sk_X509_num(pem->certs);

    roots.v = calloc((size_t)n, sizeof(*roots.v));
    for (int i = 0; roots.v != NULL && i < n; i++) {
        if (!add(sk_X509_value(pem->certs, i))) {
            drop_all();
            return false;
        }
    }
    return roots.v != NULL;
}

static void load_all(struct view path)
{
    const struct cert_reporter reporter = {.report = say_nothing};
    struct cert_load load = {.reporter = &reporter};
    struct cert_file file;
    struct cert_pem pem = {0};

    drop_all();
    roots.loaded = false;
    if (!cert_file_read(&file, path, CERT_FILE_MAX_AUTHORITY_BYTES, &load))
        return;
    roots.stamp = file.stamp;
    if (cert_pem_read(&pem, &file, CERT_PEM_CERTS | CERT_PEM_AUTHORITIES, &load))
        roots.loaded = fill(&pem);
    cert_pem_fini(&pem);
    cert_file_fini(&file);
}

static void load_if_changed(void)
{
    struct view path = cert_roots_file();
    struct file_stamp now = {0};

    if (path.len > 0)
        file_stamp_take(path, &now);
    if (!roots.loaded || !file_stamp_eq(&now, &roots.stamp))
        load_all(path);
}

static bool is_issuer(const struct root *root, const X509_NAME *issuer,
                      const ASN1_OCTET_STRING *key_id)
{
    if (X509_NAME_cmp(root->name, issuer) != 0)
        return false;
    return key_id == NULL || root->key_id == NULL ||
           ASN1_OCTET_STRING_cmp(root->key_id, key_id) == 0;
}

enum cert_roots_answer cert_roots_have_issued(X509 *cert)
{
    const X509_NAME *issuer = X509_get_issuer_name(cert);
    const ASN1_OCTET_STRING *key_id = X509_get0_authority_key_id(cert);
    enum cert_roots_answer answer;

    (void)pthread_mutex_lock(&roots.mutex);
    load_if_changed();
    answer = roots.n == 0 ? CERT_ROOTS_MISSING : CERT_ROOTS_NO;
    for (int i = 0; i < roots.n && answer != CERT_ROOTS_YES; i++)
        if (is_issuer(&roots.v[i], issuer, key_id))
            answer = CERT_ROOTS_YES;
    (void)pthread_mutex_unlock(&roots.mutex);
    ERR_clear_error();
    return answer;
}
