/* Certificate and key files as they are read and checked, and what is said of them. The first byte
 * says what the rest is: 'P', the file as it is; 'C', certificates in DER, each behind two bytes of
 * length; 'K', a key in DER. What is said must be fit for a terminal. */
#include "cert_checks.h"
#include "cert_key.h"
#include "cert_pem.h"
#include "tls_context.h"

#include <openssl/err.h>
#include <openssl/pem.h>

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static unsigned n_errors;

static void look_at(void *arg, const struct cert_problem *problem)
{
    const unsigned char *text = (const unsigned char *)problem->text.p;

    (void)arg;
    SP_ASSERT(problem->text.len > 0);
    for (size_t i = 0; i < problem->text.len; i++) {
        SP_ASSERT(text[i] >= 0x20 && text[i] != 0x7f);
        SP_ASSERT(text[i] != 0xc2 || i + 1 == problem->text.len || text[i + 1] >= 0xa0);
    }
    n_errors += !problem->warning;
}

static void write_block(BIO *bio, const char *label, const uint8_t *der, size_t len)
{
    SP_ASSERT(len == 0 || PEM_write_bio(bio, label, "", der, (long)len) > 0);
}

static void write_text(BIO *bio, const uint8_t *data, size_t size)
{
    if (size > 0 && data[0] == 'K') {
        write_block(bio, "ANY PRIVATE " /* of no use */ "KEY", data + 1, size - 1);
    } else if (size > 0 && data[0] == 'C') {
        for (size_t at = 1; at + 2 <= size;) {
            size_t len = (size_t)data[at] << 8 | data[at + 1];

            at += 2;
            len = len < size - at ? len : size - at;
            write_block(bio, PEM_STRING_X509, data + at, len);
            at += len;
        }
    } else if (size > 1) {
        (void)BIO_write(bio, data + 1, (int)size - 1);
    }
}

/* Exactly as long as the real one, so that what is read behind it is seen. */
static void make_file(struct cert_file *file, const uint8_t *data, size_t size)
{
    BIO *bio = BIO_new(BIO_s_mem());
    char *bytes;
    long len;

    SP_ASSERT(bio != NULL);
    write_text(bio, data, size);
    len = BIO_get_mem_data(bio, &bytes);
    *file = (struct cert_file){.path = VIEW("/x/site.pem"), .len = (size_t)len};
    file->bytes = malloc((size_t)len + 1);
    SP_ASSERT(file->bytes != NULL);
    if (len > 0)
        memcpy(file->bytes, bytes, (size_t)len);
    file->bytes[len] = '\0';
    BIO_free(bio);
}

static void check_certs(struct cert_pem *pem, struct cert_load *load)
{
    struct cert_pair pair = {.leaf = sk_X509_shift(pem->certs), .chain = pem->certs};
    struct view file = VIEW("/x/site.pem");
    char order[CERT_ORDER_MAX];

    for (int i = 0; i <= sk_X509_num(pair.chain); i++)
        (void)cert_chain_right_order(&pair, i, order, sizeof(order));
    (void)cert_check_chain(&pair, file, load);
    (void)cert_check_dates(&pair, file, load);
    (void)cert_check_names(&pair, file, load);
    cert_check_purpose(&pair, file, load);
    pair.key = X509_get_pubkey(pair.leaf);
    if (pair.key != NULL && cert_check_key_kind(&pair, file, load))
        (void)cert_check_strength(&pair, file, load);
    EVP_PKEY_free(pair.key);
    X509_free(pair.leaf);
}

static void read_as(const struct cert_file *file, unsigned want, struct cert_load *load)
{
    const struct cert_conf conf = {.chain = file->path};
    struct cert_pem pem;
    EVP_PKEY *key;
    unsigned before = n_errors;

    if (!cert_pem_read(&pem, file, want, load)) {
        SP_ASSERT(n_errors > before);
        SP_ASSERT(pem.certs == NULL && pem.key.der == NULL);
        return;
    }
    SP_ASSERT((want & CERT_PEM_CERTS) == 0 || sk_X509_num(pem.certs) > 0);
    SP_ASSERT((want & CERT_PEM_KEY) == 0 || pem.key.label != NULL);
    if ((want & CERT_PEM_KEY) != 0) {
        before = n_errors;
        key = cert_key_read(&pem.key, file->path, &conf, load);
        SP_ASSERT((key == NULL) == (n_errors > before));
        EVP_PKEY_free(key);
    }
    if (want == CERT_PEM_CERTS)
        check_certs(&pem, load);
    cert_pem_fini(&pem);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const unsigned wants[] = {CERT_PEM_CERTS, CERT_PEM_KEY, CERT_PEM_CERTS | CERT_PEM_KEY,
                                     CERT_PEM_CERTS | CERT_PEM_AUTHORITIES};
    static const struct tls_port_conf port = {.preset = TLS_PRESET_INTERMEDIATE};
    static const struct cert_reporter reporter = {.report = look_at};
    static SSL_CTX *scratch;
    static struct key_decoder keys;
    struct view names[] = {VIEW_INIT("shop.example"), VIEW_INIT("*.shop.example")};
    const struct bundle_conf bundle = {
        .names = names, .n_names = SP_COUNT_OF(names), .warn_before_days = 14};
    struct cert_load load = {.reporter = &reporter, .keys = &keys, .conf = &bundle};
    struct cert_file file;

    if (scratch == NULL) {
        SP_ASSERT(setenv("SSL_CERT_FILE", "/nonexistent", 1) == 0);
        scratch = tls_context_new(&port);
    }
    load.scratch = scratch;
    make_file(&file, data, size);
    for (size_t i = 0; i < SP_COUNT_OF(wants); i++)
        read_as(&file, wants[i], &load);
    cert_file_fini(&file);
    ERR_clear_error();
    return 0;
}
