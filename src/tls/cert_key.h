/* A private key out of its PEM block: PKCS#8, SEC1 or PKCS#1, decrypted where it has to be. */
#pragma once

#include "cert_pem.h"

#include <sallyport/config/config.h>

#include <openssl/decoder.h>

/* OpenSSL's decoder, made once for many keys: to make it costs fifteen times what a key does. Not
 * moved once it was used; one thread at a time. */
struct key_decoder {
    OSSL_DECODER_CTX *ctx; /* owned; NULL: not made yet */
    EVP_PKEY *key;         /* where it leaves what it made */
};
void key_decoder_fini(struct key_decoder *decoder);

/* The caller owns it. NULL after a problem was reported: of the key's file, or of the passphrase's.
 * `file` is what the block stands in. */
EVP_PKEY *cert_key_read(struct pem_block *block, struct view file, const struct cert_conf *conf,
                        struct cert_load *load) SP_MUST_CHECK;
