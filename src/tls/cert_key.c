#include "cert_key.h"

#include <sallyport/base/log.h>

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/pkcs12.h>
#include <openssl/x509.h>

#include <string.h>

/* Enough for a line; PEM_def_callback() takes no longer one either. */
#define MAX_PASSPHRASE_FILE_BYTES ((size_t)64 * 1024)
#define MAX_PASSPHRASE_BYTES      (PEM_BUFSIZE - 1)

/* What is read, and with what. */
struct reading {
    struct pem_block *block;
    struct view file;
    struct view passphrase_file;
    struct cert_load *load;
};

/* ---- The decoder ---- */

void key_decoder_fini(struct key_decoder *decoder)
{
    OSSL_DECODER_CTX_free(decoder->ctx);
    EVP_PKEY_free(decoder->key);
    *decoder = (struct key_decoder){0};
}

static EVP_PKEY *decode(struct key_decoder *decoder, const unsigned char *der, size_t len)
{
    EVP_PKEY *key;

    if (decoder->ctx == NULL)
        decoder->ctx = OSSL_DECODER_CTX_new_for_pkey(&decoder->key, "DER", NULL, NULL,
                                                     EVP_PKEY_KEYPAIR, NULL, NULL);
    if (decoder->ctx == NULL || OSSL_DECODER_from_data(decoder->ctx, &der, &len) != 1) {
        EVP_PKEY_free(decoder->key);
        decoder->key = NULL;
        return NULL;
    }
    key = decoder->key;
    decoder->key = NULL;
    return key;
}

static EVP_PKEY *decode_block(const struct reading *r)
{
    EVP_PKEY *key = decode(r->load->keys, r->block->der, (size_t)r->block->len);
    char label[64];

    if (key != NULL)
        ERR_clear_error(); /* of the forms that it was not */
    else {
        cert_load_error(r->load, r->file, "the key (\"-----BEGIN %s\") cannot be read: %s",
                        log_escape(label, sizeof(label), view_of(r->block->label)),
                        cert_load_why(r->load));
    }
    return key;
}

/* ---- Encrypted ones ---- */

static struct view first_line(struct view text)
{
    const char *end = text.len == 0 ? NULL : memchr(text.p, '\n', text.len);
    struct view line = view_head(text, end == NULL ? text.len : (size_t)(end - text.p));

    if (line.len > 0 && line.p[line.len - 1] == '\r')
        line.len--;
    return line;
}

/* Into *file, which the view points into; empty after a problem was reported. */
static struct view read_passphrase(const struct reading *r, struct cert_file *file)
{
    struct view none = {NULL, 0}, line;

    if (r->passphrase_file.len == 0) {
        cert_load_error(r->load, r->file,
                        r->load->conf == NULL
                            ? "the key is encrypted; it must be stored without a passphrase"
                            : "the key is encrypted: \"passphrase_file\" has to name the file "
                              "with its passphrase, or it must be stored without one");
        return none;
    }
    if (!cert_file_read(file, r->passphrase_file, MAX_PASSPHRASE_FILE_BYTES, r->load))
        return none;
    line = first_line(cert_file_view(file));
    if (line.len > 0 && line.len <= MAX_PASSPHRASE_BYTES)
        return line;
    cert_load_error(r->load, r->passphrase_file,
                    line.len == 0 ? "the first line is empty; it has to be the passphrase"
                                  : "the first line is too long for a passphrase");
    return none;
}

/* Never asks a terminal. */
static int give_passphrase(char *dst, int cap, int writing, void *arg)
{
    const struct view *passphrase = arg;

    (void)writing;
    if (cap < 0 || passphrase->len > (size_t)cap)
        return -1;
    memcpy(dst, passphrase->p, passphrase->len);
    return (int)passphrase->len;
}

/* What is wrong about the encryption and not about the passphrase: what OpenSSL has no code for, or
 * only in its legacy provider. */
static bool is_unknown_encryption(unsigned long code)
{
    static const struct {
        int library, reason;
    } unknown[] = {
        {ERR_LIB_EVP, EVP_R_UNKNOWN_PBE_ALGORITHM},
        {ERR_LIB_EVP, EVP_R_UNSUPPORTED_CIPHER},
        {ERR_LIB_EVP, EVP_R_UNSUPPORTED_PRF},
        {ERR_LIB_EVP, EVP_R_UNSUPPORTED_KEY_DERIVATION_FUNCTION},
        {ERR_LIB_PEM, PEM_R_UNSUPPORTED_ENCRYPTION},
        {ERR_LIB_PEM, PEM_R_UNSUPPORTED_CIPHER},
    };

    if (ERR_GET_REASON(code) == ERR_R_UNSUPPORTED)
        return true;
    for (size_t i = 0; i < SP_COUNT_OF(unknown); i++)
        if (ERR_GET_LIB(code) == unknown[i].library && ERR_GET_REASON(code) == unknown[i].reason)
            return true;
    return false;
}

/* Nothing tells a wrong passphrase from damaged bytes. */
static void report_decryption(const struct reading *r)
{
    bool unknown = false, nomem = false;
    unsigned long code;

    while ((code = ERR_get_error()) != 0) {
        unknown = unknown || is_unknown_encryption(code);
        nomem = nomem || ERR_GET_REASON(code) == ERR_R_MALLOC_FAILURE;
    }
    if (nomem)
        cert_load_nomem(r->load, r->file);
    else if (unknown) {
        cert_load_error(r->load, r->file,
                        "the key is encrypted in a way that this OpenSSL does not have; encrypt it "
                        "anew with: openssl pkey -aes256 -in " VIEW_FMT " -out key.pem",
                        VIEW_ARG(r->file));
    } else {
        cert_load_error(r->load, r->file,
                        "the key cannot be decrypted: the first line of " VIEW_FMT
                        " is not its passphrase",
                        VIEW_ARG(r->passphrase_file));
    }
}

static EVP_PKEY *decrypt_pkcs8(const struct reading *r, struct view passphrase)
{
    const unsigned char *der = r->block->der;
    X509_SIG *sealed = d2i_X509_SIG(NULL, &der, r->block->len);
    PKCS8_PRIV_KEY_INFO *opened;
    EVP_PKEY *key;

    if (sealed == NULL) {
        cert_load_error(r->load, r->file, "the encrypted key cannot be read: %s",
                        cert_load_why(r->load));
        return NULL;
    }
    opened = PKCS8_decrypt(sealed, passphrase.p, (int)passphrase.len);
    key = opened == NULL ? NULL : EVP_PKCS82PKEY(opened);
    if (key == NULL)
        report_decryption(r);
    ERR_clear_error();
    PKCS8_PRIV_KEY_INFO_free(opened);
    X509_SIG_free(sealed);
    return key;
}

/* RFC 1421 as OpenSSL has always done it: the block says how ("DEK-Info"). */
static EVP_PKEY *decrypt_traditional(const struct reading *r, struct view passphrase)
{
    EVP_CIPHER_INFO cipher;
    EVP_PKEY *key = NULL;

    if (PEM_get_EVP_CIPHER_INFO(r->block->header, &cipher) == 1 &&
        PEM_do_header(&cipher, r->block->der, &r->block->len, give_passphrase, &passphrase) == 1)
        key = decode(r->load->keys, r->block->der, (size_t)r->block->len);
    if (key == NULL)
        report_decryption(r);
    ERR_clear_error();
    return key;
}

static EVP_PKEY *decrypt(const struct reading *r, bool pkcs8)
{
    struct cert_file file = {0};
    struct view passphrase = read_passphrase(r, &file);
    EVP_PKEY *key = NULL;

    if (passphrase.len > 0)
        key = pkcs8 ? decrypt_pkcs8(r, passphrase) : decrypt_traditional(r, passphrase);
    cert_file_fini(&file);
    return key;
}

EVP_PKEY *cert_key_read(struct pem_block *block, struct view file, const struct cert_conf *conf,
                        struct cert_load *load)
{
    const struct reading r = {
        .block = block, .file = file, .passphrase_file = conf->passphrase_file, .load = load};

    if (strcmp(block->label, PEM_STRING_PKCS8) == 0)
        return decrypt(&r, true);
    if (strstr(block->header, "ENCRYPTED") != NULL)
        return decrypt(&r, false);
    return decode_block(&r);
}
