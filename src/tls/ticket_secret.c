#include "ticket_secret.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>

#include <string.h>

/* Another way to derive needs another text here. */
#define SALT "sallyport session tickets 1"

static OSSL_PARAM bytes_param(const char *name, const void *p, size_t len)
{
    return OSSL_PARAM_construct_octet_string(name, (void *)(uintptr_t)p, len);
}

/* One half of HKDF: `key` with `extra`, which is the salt of the first half (2.2) or the info of
 * the second (2.3). */
static bool derive(EVP_KDF *hkdf, int mode, struct view key, struct view extra, uint8_t *out,
                   size_t len)
{
    static char digest[] = "SHA256";
    bool extracts = mode == EVP_KDF_HKDF_MODE_EXTRACT_ONLY;
    const OSSL_PARAM params[] = {
        OSSL_PARAM_construct_int(OSSL_KDF_PARAM_MODE, &mode),
        OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, digest, 0),
        bytes_param(OSSL_KDF_PARAM_KEY, key.p, key.len),
        bytes_param(extracts ? OSSL_KDF_PARAM_SALT : OSSL_KDF_PARAM_INFO, extra.p, extra.len),
        OSSL_PARAM_construct_end(),
    };
    EVP_KDF_CTX *ctx = EVP_KDF_CTX_new(hkdf);
    bool ok = ctx != NULL && EVP_KDF_derive(ctx, out, len, params) == 1;

    EVP_KDF_CTX_free(ctx);
    if (!ok)
        ERR_clear_error();
    return ok;
}

bool ticket_secret_init(struct ticket_secret *s, struct view secret, struct view label)
{
    memset(s, 0, sizeof(*s));
    s->hkdf = EVP_KDF_fetch(NULL, OSSL_KDF_NAME_HKDF, NULL);
    if (s->hkdf != NULL &&
        derive(s->hkdf, EVP_KDF_HKDF_MODE_EXTRACT_ONLY, secret, VIEW(SALT), s->prk,
               sizeof(s->prk)) &&
        EVP_Digest(label.p, label.len, s->scope, NULL, EVP_sha256(), NULL) == 1)
        return true;
    ERR_clear_error();
    ticket_secret_fini(s);
    return false;
}

void ticket_secret_fini(struct ticket_secret *s)
{
    EVP_KDF_free(s->hkdf);
    OPENSSL_cleanse(s, sizeof(*s));
}

bool ticket_secret_key(const struct ticket_secret *s, int64_t number, union ticket_key *key)
{
    uint8_t info[sizeof(s->scope) + 8];
    bool ok;

    memcpy(info, s->scope, sizeof(s->scope));
    for (unsigned i = 0; i < 8; i++)
        info[sizeof(s->scope) + i] = (uint8_t)((uint64_t)number >> (56 - 8 * i));
    ok = derive(s->hkdf, EVP_KDF_HKDF_MODE_EXPAND_ONLY,
                (struct view){(const char *)s->prk, sizeof(s->prk)},
                (struct view){(const char *)info, sizeof(info)}, key->bytes, sizeof(key->bytes));
    key->stamp = number;
    if (!ok)
        OPENSSL_cleanse(key, sizeof(*key));
    return ok;
}
