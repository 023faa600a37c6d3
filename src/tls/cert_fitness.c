/* What a certificate can be used for: by the kind and strength of its key, by what it says. */
#include "cert_checks.h"
#include "cert_words.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <limits.h>
#include <stdio.h>
#include <string.h>

/* ---- Kind: those that clients can verify and the groups of the presets cover ---- */

static bool is_supported_curve(const EVP_PKEY *key)
{
    char group[32] = "";

    return EVP_PKEY_get_group_name(key, group, sizeof(group), NULL) == 1 &&
           (strcmp(group, "prime256v1") == 0 || strcmp(group, "secp384r1") == 0);
}

static bool is_supported(const EVP_PKEY *key)
{
    switch (EVP_PKEY_get_base_id(key)) {
    case EVP_PKEY_RSA:
    case EVP_PKEY_RSA_PSS:
    case EVP_PKEY_ED25519: return true;
    case EVP_PKEY_EC: return is_supported_curve(key);
    default: return false;
    }
}

bool cert_check_key_kind(const struct cert_pair *pair, struct view file, struct cert_load *load)
{
    char kind[64];

    if (is_supported(pair->key))
        return true;
    ERR_clear_error();
    cert_words_key(pair->key, kind, sizeof(kind));
    cert_load_error(load, file,
                    "is for a key that is %s; ECDSA P-256 and P-384, RSA and Ed25519 are "
                    "supported",
                    kind);
    return false;
}

/* ---- Strength: OpenSSL's security level (SSL_CTX_set_security_level(3)) ---- */

/* The certificate (1 is the first) with the weakest key, or with the weakest digest in its
 * signature. */
static int weakest(const struct cert_pair *pair, bool digest)
{
    int n = 1 + (pair->chain == NULL ? 0 : sk_X509_num(pair->chain)), found = 1, least = INT_MAX;

    for (int i = 0; i < n; i++) {
        X509 *cert = i == 0 ? pair->leaf : sk_X509_value(pair->chain, i - 1);
        const EVP_PKEY *key = X509_get0_pubkey(cert);
        int bits = key == NULL ? 0 : EVP_PKEY_get_security_bits(key);

        if (digest && (X509_get_extension_flags(cert) & EXFLAG_SS) != 0)
            continue; /* nobody looks at what a root says of itself */
        if (digest && X509_get_signature_info(cert, NULL, NULL, &bits, NULL) != 1)
            continue;
        if (bits < least) {
            least = bits;
            found = i + 1;
        }
    }
    return found;
}

static void report_weak_key(const struct cert_pair *pair, int n, struct view file,
                            struct cert_load *load)
{
    X509 *cert = n == 1 ? pair->leaf : sk_X509_value(pair->chain, n - 2);
    EVP_PKEY *key = X509_get0_pubkey(cert);
    char kind[64] = "?";

    if (key != NULL)
        cert_words_key(key, kind, sizeof(kind));
    cert_load_error(load, file,
                    "certificate %d has a key that is too weak (%s): clients refuse it, and so "
                    "does OpenSSL at its security level of %d",
                    n, kind, SSL_CTX_get_security_level(load->scratch));
}

static void report_weak_digest(const struct cert_pair *pair, int n, struct view file,
                               struct cert_load *load)
{
    X509 *cert = n == 1 ? pair->leaf : sk_X509_value(pair->chain, n - 2);

    cert_load_error(load, file,
                    "certificate %d has a signature that is too weak (%s): clients refuse it, and "
                    "so does OpenSSL at its security level of %d",
                    n, OBJ_nid2ln(X509_get_signature_nid(cert)),
                    SSL_CTX_get_security_level(load->scratch));
}

bool cert_check_strength(const struct cert_pair *pair, struct view file, struct cert_load *load)
{
    int reason;

    if (SSL_CTX_use_cert_and_key(load->scratch, pair->leaf, pair->key, pair->chain, 1) == 1)
        return true;
    reason = ERR_GET_REASON(ERR_peek_last_error());
    switch (reason) {
    case SSL_R_EE_KEY_TOO_SMALL: report_weak_key(pair, 1, file, load); break;
    case SSL_R_CA_KEY_TOO_SMALL: report_weak_key(pair, weakest(pair, false), file, load); break;
    case SSL_R_CA_MD_TOO_WEAK: report_weak_digest(pair, weakest(pair, true), file, load); break;
    default: cert_load_error(load, file, "cannot be used: %s", cert_load_why(load)); break;
    }
    ERR_clear_error();
    return false;
}

/* ---- Purpose ---- */

/* RFC 5280 4.2.1.12. A bundle is shown to clients, what has none to servers. */
void cert_check_purpose(const struct cert_pair *pair, struct view file, struct cert_load *load)
{
    bool to_clients = load->conf != NULL;
    uint32_t flags = X509_get_extension_flags(pair->leaf);
    uint32_t usage = X509_get_extended_key_usage(pair->leaf); /* all bits: it says nothing */

    if ((flags & EXFLAG_CA) != 0) {
        cert_load_warn(load, file,
                       "is the certificate of an authority (CA:TRUE); some clients refuse it as "
                       "that of a %s",
                       to_clients ? "server" : "client");
    }
    if ((usage & ((to_clients ? XKU_SSL_SERVER : XKU_SSL_CLIENT) | XKU_ANYEKU)) == 0) {
        cert_load_warn(load, file,
                       "is not made for a TLS %s: %s is not in its extended key usage, and the "
                       "other side will refuse it",
                       to_clients ? "server" : "client", to_clients ? "serverAuth" : "clientAuth");
    }
    ERR_clear_error();
}
