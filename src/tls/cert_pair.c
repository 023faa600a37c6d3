/* A certificate file and its key file, read and looked at from all sides: what is wrong with them
 * is said here, in words, and not by a client. Runs on threads that may block. */
#include "cert_pair.h"

#include "cert_checks.h"
#include "cert_file.h"
#include "cert_key.h"
#include "cert_pem.h"

#include <sallyport/tls/ocsp.h>

#include <openssl/err.h>

#include <string.h>

/* What a pair is read from; one file may hold both. */
struct files {
    struct view chain, key; /* the same: one file */
    struct cert_pem certs;
    struct pem_block key_block;
};

/* ---- Reading ---- */

static bool read_one(struct view path, size_t max_bytes, unsigned want, struct cert_pem *pem,
                     struct cert_load *load)
{
    struct cert_file file;
    bool ok;

    if (!cert_file_read(&file, path, max_bytes, load))
        return false;
    ok = cert_pem_read(pem, &file, want, load);
    if (ok && (want & CERT_PEM_KEY) != 0)
        cert_check_permissions(&file, load);
    cert_file_fini(&file);
    return ok;
}

/* Both are read, so that what is wrong with either is said at once. */
static bool read_files(struct files *f, struct cert_load *load)
{
    struct cert_pem key = {0};
    bool combined = view_eq(f->chain, f->key);
    unsigned want = CERT_PEM_CERTS | (combined ? CERT_PEM_KEY : 0U);
    bool has_certs = read_one(f->chain, CERT_FILE_MAX_BYTES, want, &f->certs, load);
    bool has_key =
        combined ? has_certs : read_one(f->key, CERT_FILE_MAX_BYTES, CERT_PEM_KEY, &key, load);

    f->key_block = combined ? f->certs.key : key.key;
    f->certs.key = (struct pem_block){0};
    return has_certs && has_key;
}

static void files_fini(struct files *f)
{
    pem_block_fini(&f->key_block);
    cert_pem_fini(&f->certs);
}

/* The leaf, then whatever follows. Takes the certificates. */
static void take_certs(struct cert_pair *pair, struct cert_pem *pem)
{
    pair->leaf = sk_X509_shift(pem->certs);
    if (sk_X509_num(pem->certs) > 0) {
        pair->chain = pem->certs;
        pem->certs = NULL;
    }
}

bool cert_pair_load_certs(struct cert_pair *pair, struct view file, struct cert_load *load)
{
    struct cert_pem pem = {0};

    *pair = (struct cert_pair){0};
    if (!read_one(file, CERT_FILE_MAX_AUTHORITY_BYTES, CERT_PEM_CERTS | CERT_PEM_AUTHORITIES, &pem,
                  load))
        return false;
    take_certs(pair, &pem);
    cert_pem_fini(&pem);
    return true;
}

/* ---- Do they belong together? ---- */

/* The certificate of the file (0 is the first) whose key it is; -1: none. */
static int position_of_key(const struct cert_pair *pair)
{
    int n = pair->chain == NULL ? 0 : sk_X509_num(pair->chain);

    if (X509_check_private_key(pair->leaf, pair->key) == 1)
        return 0;
    for (int i = 0; i < n; i++)
        if (X509_check_private_key(sk_X509_value(pair->chain, i), pair->key) == 1)
            return i + 1;
    return -1;
}

static bool check_match(const struct cert_pair *pair, const struct files *f, struct cert_load *load)
{
    int at = position_of_key(pair);
    char order[CERT_ORDER_MAX];

    ERR_clear_error();
    if (at == 0)
        return true;
    if (at < 0) {
        cert_load_error(load, f->key, "does not belong to the certificate in " VIEW_FMT,
                        VIEW_ARG(f->chain));
    } else if (cert_chain_right_order(pair, at, order, sizeof(order))) {
        cert_load_error(load, f->chain,
                        "the key belongs to certificate %d of the file; the server's own "
                        "certificate must come first: the right order is %s",
                        at + 1, order);
    } else {
        cert_load_error(load, f->chain,
                        "the key belongs to certificate %d of the file; the server's own "
                        "certificate must come first",
                        at + 1);
    }
    return false;
}

/* Goes on after a problem, so that everything that is wrong is told at once. What is tried last
 * leaves the pair in the scratch context. */
static bool check_pair(const struct cert_pair *pair, const struct files *f, struct cert_load *load)
{
    bool ok;

    if (!check_match(pair, f, load) || !cert_check_key_kind(pair, f->chain, load))
        return false;
    ok = cert_check_chain(pair, f->chain, load);
    ok = cert_check_dates(pair, f->chain, load) && ok;
    ok = cert_check_names(pair, f->chain, load) && ok;
    cert_check_purpose(pair, f->chain, load);
    return cert_check_strength(pair, f->chain, load) && ok;
}

bool cert_pair_load(struct cert_pair *pair, const struct cert_conf *conf, struct cert_load *load)
{
    struct files f = {.chain = conf->chain, .key = conf->key.len > 0 ? conf->key : conf->chain};
    bool ok = read_files(&f, load);

    *pair = (struct cert_pair){0};
    if (ok) {
        pair->key = cert_key_read(&f.key_block, f.key, conf, load);
        take_certs(pair, &f.certs);
        ok = pair->key != NULL && check_pair(pair, &f, load);
    }
    files_fini(&f);
    if (!ok)
        cert_pair_fini(pair);
    return ok;
}

void cert_pair_fini(struct cert_pair *pair)
{
    X509_free(pair->leaf);
    EVP_PKEY_free(pair->key);
    sk_X509_pop_free(pair->chain, X509_free);
    ocsp_slot_unref(pair->ocsp);
    *pair = (struct cert_pair){0};
}
