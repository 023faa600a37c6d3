#include "cert_pem.h"

#include "cert_form.h"

#include <sallyport/base/log.h>

#include <openssl/err.h>
#include <openssl/pem.h>

#include <string.h>

/* ---- Blocks ---- */

void pem_block_fini(struct pem_block *block)
{
    OPENSSL_free(block->label);
    OPENSSL_free(block->header);
    OPENSSL_clear_free(block->der, block->len > 0 ? (size_t)block->len : 0);
    *block = (struct pem_block){0};
}

enum next { NEXT_BLOCK, NEXT_END, NEXT_BROKEN };

/* "Secure" without a secure heap is: wiped before it is freed. */
static enum next next_block(BIO *bio, struct pem_block *block)
{
    unsigned long code;

    *block = (struct pem_block){0};
    if (PEM_read_bio_ex(bio, &block->label, &block->header, &block->der, &block->len,
                        PEM_FLAG_EAY_COMPATIBLE | PEM_FLAG_SECURE) == 1)
        return NEXT_BLOCK;
    code = ERR_peek_last_error();
    if (ERR_GET_LIB(code) != ERR_LIB_PEM || ERR_GET_REASON(code) != PEM_R_NO_START_LINE)
        return NEXT_BROKEN;
    ERR_clear_error();
    return NEXT_END;
}

static bool is_labelled(const struct pem_block *block, const char *label)
{
    return strcmp(block->label, label) == 0;
}

static bool is_cert(const struct pem_block *block)
{
    return is_labelled(block, PEM_STRING_X509) || is_labelled(block, PEM_STRING_X509_OLD) ||
           is_labelled(block, PEM_STRING_X509_TRUSTED);
}

static bool is_key(const struct pem_block *block)
{
    size_t len = strlen(block->label), end = strlen("PRIVATE KEY");

    return len >= end && strcmp(block->label + len - end, "PRIVATE KEY") == 0 &&
           !is_labelled(block, "OPENSSH PRIVATE KEY");
}

/* ---- Reading ---- */

struct reading {
    struct cert_pem *pem;
    const struct cert_file *file;
    struct view text;
    struct cert_load *load;
    unsigned want;
    unsigned n_certs, n_keys;
    char other[64]; /* the label of the first block that was passed over */
};

static bool fail_nomem(struct reading *r)
{
    cert_load_nomem(r->load, r->file->path);
    return false;
}

static X509 *decode_cert(const struct pem_block *block)
{
    const unsigned char *der = block->der;

    if (is_labelled(block, PEM_STRING_X509_TRUSTED)) /* settings for a store stand behind it */
        return d2i_X509_AUX(NULL, &der, block->len);
    return d2i_X509(NULL, &der, block->len);
}

static bool take_cert(struct reading *r, const struct pem_block *block)
{
    X509 *cert;

    r->n_certs++;
    if (r->n_certs > CERT_CHAIN_MAX && (r->want & CERT_PEM_AUTHORITIES) == 0) {
        cert_load_error(r->load, r->file->path,
                        "holds more than %d certificates: a list of authorities is no chain",
                        CERT_CHAIN_MAX);
        return false;
    }
    cert = decode_cert(block);
    if (cert == NULL) {
        cert_load_error(r->load, r->file->path, "certificate %u cannot be read: %s", r->n_certs,
                        cert_load_why(r->load));
        return false;
    }
    if (r->pem->certs == NULL)
        r->pem->certs = sk_X509_new_null();
    if (r->pem->certs != NULL && sk_X509_push(r->pem->certs, cert) > 0)
        return true;
    X509_free(cert);
    return fail_nomem(r);
}

static bool take_block(struct reading *r, struct pem_block *block)
{
    if (is_cert(block) && (r->want & CERT_PEM_CERTS) != 0)
        return take_cert(r, block);
    if (is_key(block) && (r->want & CERT_PEM_KEY) != 0) {
        if (r->n_keys++ == 0) {
            r->pem->key = *block;
            *block = (struct pem_block){0};
        }
        return true;
    }
    if (r->other[0] == '\0')
        (void)log_escape(r->other, sizeof(r->other), view_of(block->label));
    return true;
}

/* Is there a block that begins and does not end? */
static bool is_cut_off(struct view text)
{
    static const char begin[] = "-----BEGIN ", end[] = "-----END ";
    const char *at = text.p, *stop = text.p + text.len;

    while ((at = memmem(at, (size_t)(stop - at), begin, strlen(begin))) != NULL) {
        at = memmem(at, (size_t)(stop - at), end, strlen(end));
        if (at == NULL)
            return true;
    }
    return false;
}

static bool report_broken(struct reading *r)
{
    const char *why = cert_load_why(r->load);
    unsigned n = r->n_certs + 1;

    if (is_cut_off(r->text))
        why = "its end is missing: the file is cut off, or not completely written yet";
    if ((r->want & CERT_PEM_CERTS) != 0)
        cert_load_error(r->load, r->file->path, "certificate %u cannot be read: %s", n, why);
    else
        cert_load_error(r->load, r->file->path, "the key cannot be read: %s", why);
    return false;
}

static bool read_blocks(struct reading *r, BIO *bio)
{
    struct pem_block block;
    enum next next;
    bool ok = true;

    while (ok && (next = next_block(bio, &block)) != NEXT_END) {
        ok = next == NEXT_BLOCK ? take_block(r, &block) : report_broken(r);
        pem_block_fini(&block);
    }
    return ok;
}

/* ---- What is missing ---- */

static const struct {
    const char *label, *means;
} others[] = {
    {"CERTIFICATE REQUEST", "a request, which an authority makes a certificate of"},
    {"NEW CERTIFICATE REQUEST", "a request, which an authority makes a certificate of"},
    {"PUBLIC KEY", "a public key"},
    {"OPENSSH PRIVATE KEY", "a key in OpenSSH's own form; convert a copy of it with: "
                            "ssh-keygen -p -m PKCS8 -f COPY"},
    {"PKCS7", "PKCS#7; convert it with: openssl pkcs7 -print_certs -in FILE -out chain.pem"},
    {"CERTIFICATE", "a certificate: were chain and key exchanged?"},
    {"PRIVATE KEY", "a private key: were chain and key exchanged?"},
    {"EC PRIVATE KEY", "a private key: were chain and key exchanged?"},
    {"RSA PRIVATE KEY", "a private key: were chain and key exchanged?"},
    {"ENCRYPTED PRIVATE KEY", "a private key: were chain and key exchanged?"},
};

static bool report_missing(struct reading *r, const char *what)
{
    const char *means = "something else";

    for (size_t i = 0; i < SP_COUNT_OF(others); i++)
        if (strcmp(others[i].label, r->other) == 0)
            means = others[i].means;
    if (r->other[0] == '\0')
        cert_load_error(r->load, r->file->path, "holds no %s in PEM form", what);
    else
        cert_load_error(r->load, r->file->path, "holds no %s but \"-----BEGIN %s\": %s", what,
                        r->other, means);
    return false;
}

static bool has_all(struct reading *r)
{
    bool combined = (r->want & CERT_PEM_CERTS) != 0 && (r->want & CERT_PEM_KEY) != 0;

    if ((r->want & CERT_PEM_CERTS) != 0 && r->n_certs == 0)
        return report_missing(r, "certificate");
    if ((r->want & CERT_PEM_KEY) != 0 && r->n_keys == 0 && combined) {
        cert_load_error(r->load, r->file->path,
                        "holds no private key; where it is in another file, \"key\" names that");
    } else if ((r->want & CERT_PEM_KEY) != 0 && r->n_keys == 0) {
        return report_missing(r, "private key");
    } else if (r->n_keys > 1) {
        cert_load_warn(r->load, r->file->path, "holds %u private keys; the first one is used",
                       r->n_keys);
    }
    return (r->want & CERT_PEM_KEY) == 0 || r->n_keys > 0;
}

bool cert_pem_read(struct cert_pem *pem, const struct cert_file *file, unsigned want,
                   struct cert_load *load)
{
    struct reading r = {.pem = pem, .file = file, .load = load, .want = want};
    BIO *bio;
    bool ok;

    *pem = (struct cert_pem){0};
    r.text = cert_form_text(file, load);
    if (r.text.len == 0)
        return false;
    bio = BIO_new_mem_buf(r.text.p, (int)r.text.len);
    if (bio == NULL)
        return fail_nomem(&r);
    ok = read_blocks(&r, bio) && has_all(&r);
    BIO_free(bio);
    if (!ok)
        cert_pem_fini(pem);
    return ok;
}

void cert_pem_fini(struct cert_pem *pem)
{
    sk_X509_pop_free(pem->certs, X509_free);
    pem_block_fini(&pem->key);
    *pem = (struct cert_pem){0};
}
