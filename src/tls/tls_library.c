/* What the TLS library and the kernel can do, found out by asking them. */
#include <sallyport/tls/tls_library.h>

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/opensslconf.h>
#include <openssl/opensslv.h>

#include <stdio.h>
#include <string.h>

const char *tls_library_version(void)
{
    return OpenSSL_version(OPENSSL_VERSION);
}

static bool has_tls13(void)
{
#ifdef OPENSSL_NO_TLS1_3
    return false;
#else
    return true;
#endif
}

static bool has_ktls(void)
{
#ifdef OPENSSL_NO_KTLS
    return false;
#else
    return true;
#endif
}

/* RFC 8879; since OpenSSL 3.2. */
static bool has_certificate_compression(void)
{
#if OPENSSL_VERSION_NUMBER >= 0x30200000L && !defined(OPENSSL_NO_COMP_ALG)
    return true;
#else
    return false;
#endif
}

/* The hybrid group of draft-ietf-tls-ecdhe-mlkem; since OpenSSL 3.5. */
static bool has_ml_kem(void)
{
    EVP_KEYMGMT *group = EVP_KEYMGMT_fetch(NULL, "X25519MLKEM768", NULL);
    bool found = group != NULL;

    EVP_KEYMGMT_free(group);
    ERR_clear_error();
    return found;
}

/* The module may be there and not yet loaded; then it is not counted. */
static bool kernel_has_tls(void)
{
    char text[256] = "";
    FILE *in = fopen("/proc/sys/net/ipv4/tcp_available_ulp", "re");

    if (in == NULL)
        return false;
    size_t n = fread(text, 1, sizeof(text) - 1, in);
    (void)fclose(in);
    text[n] = '\0';
    return strstr(text, "tls") != NULL;
}

size_t tls_library_features(struct tls_feature out[TLS_FEATURES_MAX])
{
    const struct tls_feature found[] = {
        {"tls1.3", "TLS 1.3", has_tls13()},
        {"ml-kem", "post-quantum key exchange X25519MLKEM768", has_ml_kem()},
        {"certificate-compression", "compressed certificates (RFC 8879)",
         has_certificate_compression()},
        {"ktls-library", "kernel TLS compiled into the library", has_ktls()},
        {"ktls-kernel", "kernel TLS loaded in the kernel", kernel_has_tls()},
    };
    size_t n = sizeof(found) / sizeof(found[0]);

    memcpy(out, found, sizeof(found));
    return n;
}
