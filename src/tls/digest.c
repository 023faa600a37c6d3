/* Digests. */
#include <sallyport/tls/digest.h>

#include <openssl/err.h>
#include <openssl/evp.h>

enum sp_err tls_sha1(struct view data, uint8_t out[TLS_SHA1_BYTES])
{
    unsigned len = 0;

    if (EVP_Digest(data.p, data.len, out, &len, EVP_sha1(), NULL) == 1)
        return SP_OK;
    ERR_clear_error();
    return SP_TLS_INTERNAL;
}
