#include "cert_words.h"

#include <sallyport/base/log.h>

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509v3.h>

#include <stdio.h>
#include <string.h>

/* U+0080 to U+009F: OpenSSL lets them pass, and a terminal may obey them. */
static void hide_upper_controls(char *text)
{
    for (unsigned char *p = (unsigned char *)text; *p != '\0'; p++)
        if (p[0] == 0xc2 && p[1] >= 0x80 && p[1] < 0xa0)
            p[0] = p[1] = '?';
}

void cert_words_name(const X509_NAME *name, char *dst, size_t cap)
{
    BIO *bio = BIO_new(BIO_s_mem());
    int n = 0;

    if (bio != NULL &&
        X509_NAME_print_ex(bio, name, 0, XN_FLAG_RFC2253 & ~(unsigned long)ASN1_STRFLGS_ESC_MSB) >=
            0)
        n = BIO_read(bio, dst, (int)cap - 1);
    dst[n > 0 ? n : 0] = '\0';
    if (bio != NULL && BIO_pending(bio) > 0)
        memcpy(dst + cap - 4, "...", 4);
    hide_upper_controls(dst);
    BIO_free(bio);
    ERR_clear_error();
}

void cert_words_subject(const X509 *cert, char *dst, size_t cap)
{
    GENERAL_NAMES *names;
    int n;

    cert_words_name(X509_get_subject_name(cert), dst, cap);
    if (dst[0] != '\0')
        return;
    (void)snprintf(dst, cap, "without a name");
    names = X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);
    n = names == NULL ? 0 : sk_GENERAL_NAME_num(names);
    for (int i = 0; i < n; i++) {
        const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);

        if (name->type != GEN_DNS)
            continue;
        (void)log_escape(dst, cap,
                         (struct view){(const char *)ASN1_STRING_get0_data(name->d.dNSName),
                                       (size_t)ASN1_STRING_length(name->d.dNSName)});
        break;
    }
    GENERAL_NAMES_free(names);
    ERR_clear_error();
}

void cert_words_time(const ASN1_TIME *time, char *dst, size_t cap)
{
    struct tm tm = {0};

    if (ASN1_TIME_to_tm(time, &tm) != 1 || strftime(dst, cap, "%Y-%m-%d %H:%M:%S UTC", &tm) == 0)
        (void)snprintf(dst, cap, "an unreadable date");
}

void cert_words_key(EVP_PKEY *key, char *dst, size_t cap)
{
    char group[32] = "of a curve without a name";
    const char *type;

    switch (EVP_PKEY_get_base_id(key)) {
    case EVP_PKEY_RSA: (void)snprintf(dst, cap, "RSA %d", EVP_PKEY_get_bits(key)); return;
    case EVP_PKEY_ED25519: (void)snprintf(dst, cap, "Ed25519"); return;
    case EVP_PKEY_ED448: (void)snprintf(dst, cap, "Ed448"); return;
    case EVP_PKEY_EC: break;
    default:
        type = EVP_PKEY_get0_type_name(key);
        (void)snprintf(dst, cap, "%s", type == NULL ? "?" : type);
        return;
    }
    (void)EVP_PKEY_get_group_name(key, group, sizeof(group), NULL);
    if (strcmp(group, "prime256v1") == 0)
        (void)snprintf(group, sizeof(group), "P-256");
    else if (strcmp(group, "secp384r1") == 0)
        (void)snprintf(group, sizeof(group), "P-384");
    else if (strcmp(group, "secp521r1") == 0)
        (void)snprintf(group, sizeof(group), "P-521");
    (void)snprintf(dst, cap, "ECDSA %s", group);
    ERR_clear_error();
}
