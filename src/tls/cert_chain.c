/* Who issued whom. */
#include "cert_checks.h"
#include "cert_pem.h"
#include "cert_roots.h"
#include "cert_words.h"

#include <sallyport/base/log.h>

#include <openssl/err.h>
#include <openssl/x509v3.h>

#include <stdio.h>
#include <string.h>

static int n_of(const struct cert_pair *pair)
{
    return 1 + (pair->chain == NULL ? 0 : sk_X509_num(pair->chain));
}

static X509 *at(const struct cert_pair *pair, int i)
{
    return i == 0 ? pair->leaf : sk_X509_value(pair->chain, i - 1);
}

/* By names, by what `above` may be used for and by the ids of keys. A signature is verified only
 * where the ids are missing: it costs as much as all the rest, and says no more about who made it
 * unless somebody forged the ids. */
static bool has_issued(X509 *above, X509 *below)
{
    if (X509_check_issued(above, below) != X509_V_OK)
        return false;
    if (X509_get0_authority_key_id(below) != NULL && X509_get0_subject_key_id(above) != NULL)
        return true;
    return X509_verify(below, X509_get0_pubkey(above)) == 1;
}

static bool is_root(X509 *cert)
{
    return (X509_get_extension_flags(cert) & EXFLAG_SI) != 0 && has_issued(cert, cert);
}

/* ---- Another order ---- */

/* The certificate that issued number `below` and has no place yet; -1: none. */
static int issuer_of(const struct cert_pair *pair, int below, uint32_t placed)
{
    for (int i = 0; i < n_of(pair); i++)
        if ((placed >> i & 1U) == 0 && has_issued(at(pair, i), at(pair, below)))
            return i;
    return -1;
}

/* Appends ", 12". */
static size_t put_number(char *dst, size_t cap, size_t len, int number)
{
    char text[16];
    size_t n = (size_t)snprintf(text, sizeof(text), "%s%d", len == 0 ? "" : ", ", number);

    if (n >= cap - len)
        return len;
    memcpy(dst + len, text, n + 1);
    return len + n;
}

bool cert_chain_right_order(const struct cert_pair *pair, int first, char *dst, size_t cap)
{
    uint32_t placed = 0;
    size_t len = 0;
    int n = 0;

    _Static_assert(CERT_CHAIN_MAX <= 32, "a bit for each");
    for (int next = first; next >= 0; next = issuer_of(pair, next, placed)) {
        placed |= UINT32_C(1) << next;
        len = put_number(dst, cap, len, next + 1);
        n++;
    }
    ERR_clear_error();
    return n == n_of(pair);
}

/* ---- The order of the file ---- */

/* Also of one that is not right before it: an authority may have several certificates for the same
 * key (cross-signed), of which a client takes the one that it can use. */
static bool has_issued_one_before(const struct cert_pair *pair, int i)
{
    for (int below = i - 1; below >= 0; below--)
        if (X509_cmp(at(pair, i), at(pair, below)) != 0 && has_issued(at(pair, i), at(pair, below)))
            return true;
    return false;
}

static int same_before(const struct cert_pair *pair, int i)
{
    for (int k = 0; k < i; k++)
        if (X509_cmp(at(pair, i), at(pair, k)) == 0)
            return k;
    return -1;
}

static bool report_stranger(const struct cert_pair *pair, int i, struct view file,
                            struct cert_load *load)
{
    char name[CERT_WORDS_MAX], below[CERT_WORDS_MAX], issuer[CERT_WORDS_MAX], order[CERT_ORDER_MAX];
    int same = same_before(pair, i);

    cert_words_subject(at(pair, i), name, sizeof(name));
    cert_words_subject(at(pair, i - 1), below, sizeof(below));
    cert_words_name(X509_get_issuer_name(at(pair, i - 1)), issuer, sizeof(issuer));
    if (same >= 0) {
        cert_load_error(load, file, "certificate %d (%s) is certificate %d once more", i + 1, name,
                        same + 1);
    } else if (cert_chain_right_order(pair, 0, order, sizeof(order))) {
        cert_load_error(load, file,
                        "certificate %d (%s) did not issue certificate %d (%s): the right order of "
                        "the file's certificates is %s",
                        i + 1, name, i, below, order);
    } else {
        cert_load_error(load, file,
                        "certificate %d (%s) does not belong here: certificate %d (%s) was issued "
                        "by %s",
                        i + 1, name, i, below, issuer);
    }
    return false;
}

/* ---- Where it ends ---- */

/* Where the issuer's certificate can be had, as the certificate itself says (RFC 5280 4.2.2.1). */
static void issuer_address(const X509 *cert, char *dst, size_t cap)
{
    AUTHORITY_INFO_ACCESS *info = X509_get_ext_d2i(cert, NID_info_access, NULL, NULL);
    int n = info == NULL ? 0 : sk_ACCESS_DESCRIPTION_num(info);

    dst[0] = '\0';
    for (int i = 0; i < n && dst[0] == '\0'; i++) {
        const ACCESS_DESCRIPTION *entry = sk_ACCESS_DESCRIPTION_value(info, i);
        const ASN1_STRING *url = entry->location->d.uniformResourceIdentifier;

        if (OBJ_obj2nid(entry->method) == NID_ad_ca_issuers && entry->location->type == GEN_URI) {
            (void)log_escape(dst, cap,
                             (struct view){(const char *)ASN1_STRING_get0_data(url),
                                           (size_t)ASN1_STRING_length(url)});
        }
    }
    AUTHORITY_INFO_ACCESS_free(info);
}

static void report_incomplete(X509 *last, bool only, struct view file, struct cert_load *load)
{
    char name[CERT_WORDS_MAX], issuer[CERT_WORDS_MAX], url[128];

    cert_words_subject(last, name, sizeof(name));
    cert_words_name(X509_get_issuer_name(last), issuer, sizeof(issuer));
    issuer_address(last, url, sizeof(url));
    if (only && url[0] != '\0') {
        cert_load_warn(load, file,
                       "holds no intermediate certificate: many clients will not trust it without "
                       "that of its issuer, %s (from %s)",
                       issuer, url);
    } else if (only) {
        cert_load_warn(load, file,
                       "holds no intermediate certificate, and its issuer, %s, is no authority of "
                       "this system: clients that do not know it will not trust it",
                       issuer);
    } else {
        cert_load_warn(load, file,
                       "the chain is not complete: the issuer of its last certificate (%s), %s, is "
                       "no authority of this system",
                       name, issuer);
    }
}

/* A root at the end is not needed and does no harm. Without a list of authorities nothing is known
 * but that a certificate alone is most often a mistake. */
static void check_end(const struct cert_pair *pair, struct view file, struct cert_load *load)
{
    int n = n_of(pair);

    for (int i = n - 1; i >= 0; i--) {
        enum cert_roots_answer answer;

        if (is_root(at(pair, i)))
            return;
        answer = cert_roots_have_issued(at(pair, i));
        if (answer == CERT_ROOTS_YES || (answer == CERT_ROOTS_MISSING && n > 1))
            return;
    }
    report_incomplete(at(pair, n - 1), n == 1, file, load);
}

static void check_authorities(const struct cert_pair *pair, struct view file,
                              struct cert_load *load)
{
    char name[CERT_WORDS_MAX];

    for (int i = 1; i < n_of(pair); i++) {
        if (X509_check_ca(at(pair, i)) > 0)
            continue;
        cert_words_subject(at(pair, i), name, sizeof(name));
        cert_load_warn(load, file,
                       "certificate %d (%s) may not issue certificates (basicConstraints): clients "
                       "will not take it as an authority",
                       i + 1, name);
    }
}

bool cert_check_chain(const struct cert_pair *pair, struct view file, struct cert_load *load)
{
    bool ok = true;

    for (int i = 1; i < n_of(pair) && ok; i++) {
        ok = has_issued_one_before(pair, i) && same_before(pair, i) < 0
                 ? true
                 : report_stranger(pair, i, file, load);
    }
    if (ok) {
        check_authorities(pair, file, load);
        check_end(pair, file, load);
    }
    ERR_clear_error();
    return ok;
}
