/* Revocation lists: read, checked once for all handshakes, and how a handshake asks them. */
#include "cert_words.h"
#include "client_trust_internal.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

/* ---- Reading ---- */

/* The authority that has signed the list. NULL: none; *named: there is one of that name. */
static X509 *signer_of(const struct trust_reading *r, X509_CRL *list, bool *named)
{
    *named = false;
    for (int i = 0; i < sk_X509_num(r->authorities); i++) {
        X509 *ca = sk_X509_value(r->authorities, i);

        if (X509_NAME_cmp(X509_get_subject_name(ca), X509_CRL_get_issuer(list)) != 0)
            continue;
        *named = true;
        if (X509_CRL_verify(list, X509_get0_pubkey(ca)) == 1)
            return ca;
    }
    ERR_clear_error();
    return NULL;
}

static bool check_signer(struct trust_reading *r, X509_CRL *list, unsigned number,
                         const char *issuer)
{
    bool named;
    X509 *ca = signer_of(r, list, &named);

    if (ca == NULL && named) {
        cert_load_error(
            r->load, r->conf->crl_file,
            "list %u claims to be of \"%s\", whose key in \"ca_file\" has not signed it", number,
            issuer);
    } else if (ca == NULL) {
        cert_load_error(r->load, r->conf->crl_file,
                        "list %u is of \"%s\", which is not in \"ca_file\"", number, issuer);
    } else if ((X509_get_key_usage(ca) & KU_CRL_SIGN) == 0) {
        cert_load_error(r->load, r->conf->crl_file,
                        "list %u: \"%s\" may not sign lists (keyUsage without cRLSign)", number,
                        issuer);
    }
    return ca != NULL && (X509_get_key_usage(ca) & KU_CRL_SIGN) != 0;
}

/* A list that is out of date says nothing: whoever is asked for a certificate is refused then. */
static bool check_list_dates(struct trust_reading *r, const X509_CRL *list, unsigned number,
                             const char *issuer)
{
    static const char text[] =
        "list %u (of \"%s\") %s %s: all clients of that authority are refused";
    const ASN1_TIME *next = X509_CRL_get0_nextUpdate(list);
    bool has_expired = next != NULL && trust_is_past(next);
    const char *what;
    char at[40];

    if (!has_expired && X509_cmp_current_time(X509_CRL_get0_lastUpdate(list)) <= 0) {
        trust_expires(r, next);
        return true;
    }
    cert_words_time(has_expired ? next : X509_CRL_get0_lastUpdate(list), at, sizeof(at));
    what = has_expired ? "has expired; the next one was due at" : "is only valid from";
    if (r->load->refuse_expired)
        cert_load_error(r->load, r->conf->crl_file, text, number, issuer, what, at);
    else
        cert_load_warn(r->load, r->conf->crl_file, text, number, issuer, what, at);
    r->trust->good_until_s = 0;
    return !r->load->refuse_expired;
}

static bool has_extension(const X509_CRL *list, int nid)
{
    return X509_CRL_get_ext_by_NID(list, nid, -1) >= 0;
}

/* Sorted here, and not by the first handshake that looks something up in it. */
static bool keep_list(struct trust_reading *r, X509_CRL *list, unsigned number, const char *issuer)
{
    int n_before = sk_X509_OBJECT_num(X509_STORE_get0_objects(r->trust->store));
    X509_REVOKED *none;

    (void)X509_CRL_get0_by_serial(list, &none,
                                  X509_get0_serialNumber(sk_X509_value(r->authorities, 0)));
    if (X509_STORE_add_crl(r->trust->store, list) != 1)
        return trust_out_of_memory(r, r->conf->crl_file);
    if (sk_X509_OBJECT_num(X509_STORE_get0_objects(r->trust->store)) == n_before)
        cert_load_warn(r->load, r->conf->crl_file, "list %u (of \"%s\") is in the file twice",
                       number, issuer);
    if (has_extension(list, NID_issuing_distribution_point) ||
        !has_extension(list, NID_authority_key_identifier))
        r->lists_speak_for_all = false;
    return true;
}

static bool take_list(struct trust_reading *r, X509_CRL *list, unsigned number)
{
    char issuer[CERT_WORDS_MAX];

    cert_words_name(X509_CRL_get_issuer(list), issuer, sizeof(issuer));
    if (has_extension(list, NID_delta_crl)) {
        cert_load_error(r->load, r->conf->crl_file,
                        "list %u (of \"%s\") has only what changed since another one (a delta): "
                        "give the whole",
                        number, issuer);
        return false;
    }
    return check_signer(r, list, number, issuer) && check_list_dates(r, list, number, issuer) &&
           keep_list(r, list, number, issuer);
}

bool trust_take_lists(struct trust_reading *r, BIO *bio)
{
    unsigned n = 0;
    bool ok = true;
    X509_CRL *list;

    while ((list = PEM_read_bio_X509_CRL(bio, NULL, NULL, NULL)) != NULL) {
        ok = take_list(r, list, ++n) && ok;
        X509_CRL_free(list);
    }
    if (!trust_at_end()) {
        cert_load_error(r->load, r->conf->crl_file, "list %u cannot be read: %s", n + 1,
                        cert_load_why(r->load));
        ok = false;
    } else if (n == 0) {
        cert_load_error(r->load, r->conf->crl_file,
                        "holds no revocation list in PEM form (\"-----BEGIN X509 CRL\")");
        ok = false;
    }
    ERR_clear_error();
    return ok;
}

bool trust_is_revoked(const struct trust_reading *r, X509 *ca)
{
    const STACK_OF(X509_OBJECT) *objects = X509_STORE_get0_objects(r->trust->store);

    for (int i = 0; i < sk_X509_OBJECT_num(objects); i++) {
        X509_CRL *list = X509_OBJECT_get0_X509_CRL(sk_X509_OBJECT_value(objects, i));
        X509_REVOKED *entry;

        if (list != NULL &&
            X509_NAME_cmp(X509_CRL_get_issuer(list), X509_get_issuer_name(ca)) == 0 &&
            X509_CRL_get0_by_cert(list, &entry, ca) == 1)
            return true;
    }
    return false;
}

/* ---- What a handshake does with them ---- */

/* The end of a chain is trusted because it is in the file, whether or not somebody could revoke
 * it; everything below has to stand on a list. */
static int on_verify(int ok, X509_STORE_CTX *ctx)
{
    int last = sk_X509_num(X509_STORE_CTX_get0_chain(ctx)) - 1;

    if (ok == 1 || X509_STORE_CTX_get_error(ctx) != X509_V_ERR_UNABLE_TO_GET_CRL || last < 1 ||
        X509_STORE_CTX_get_error_depth(ctx) != last)
        return ok;
    X509_STORE_CTX_set_error(ctx, X509_V_OK);
    return 1;
}

/* In place of the library's, which verifies the list's signature in each handshake, over all of its
 * bytes. That was done when it was read; what time can change is looked at again. */
static int check_crl(X509_STORE_CTX *ctx, X509_CRL *list)
{
    const ASN1_TIME *next = X509_CRL_get0_nextUpdate(list);

    if (X509_cmp_current_time(X509_CRL_get0_lastUpdate(list)) > 0)
        X509_STORE_CTX_set_error(ctx, X509_V_ERR_CRL_NOT_YET_VALID);
    else if (next != NULL && trust_is_past(next))
        X509_STORE_CTX_set_error(ctx, X509_V_ERR_CRL_HAS_EXPIRED);
    else
        return 1;
    return X509_STORE_CTX_get_verify_cb(ctx)(0, ctx);
}

static bool has_same_name(const struct trust_reading *r, int i, int k)
{
    return X509_NAME_cmp(X509_get_subject_name(sk_X509_value(r->authorities, i)),
                         X509_get_subject_name(sk_X509_value(r->authorities, k))) == 0;
}

/* Of two keys with one name a list could be the other's. */
static bool has_namesakes(const struct trust_reading *r)
{
    for (int i = 0; i < sk_X509_num(r->authorities); i++) {
        for (int k = 0; k < i; k++)
            if (has_same_name(r, i, k))
                return true;
    }
    return false;
}

static bool has_list(const struct trust_reading *r, const X509 *ca)
{
    const STACK_OF(X509_OBJECT) *objects = X509_STORE_get0_objects(r->trust->store);

    for (int i = 0; i < sk_X509_OBJECT_num(objects); i++) {
        X509_CRL *list = X509_OBJECT_get0_X509_CRL(sk_X509_OBJECT_value(objects, i));

        if (list != NULL &&
            X509_NAME_cmp(X509_CRL_get_issuer(list), X509_get_subject_name(ca)) == 0)
            return true;
    }
    return false;
}

static void warn_of_missing_lists(struct trust_reading *r)
{
    char name[CERT_WORDS_MAX];

    for (int i = 0; i < sk_X509_num(r->authorities); i++) {
        const X509 *ca = sk_X509_value(r->authorities, i);

        if (has_list(r, ca))
            continue;
        cert_words_name(X509_get_subject_name(ca), name, sizeof(name));
        cert_load_warn(r->load, r->conf->crl_file,
                       "has no list of \"%s\": whoever has a certificate of that authority is "
                       "refused",
                       name);
    }
}

bool trust_set_rules(struct trust_reading *r)
{
    X509_STORE *store = r->trust->store;
    unsigned long flags = X509_V_FLAG_PARTIAL_CHAIN;

    if (r->conf->crl_file.len > 0) {
        flags |= X509_V_FLAG_CRL_CHECK | X509_V_FLAG_CRL_CHECK_ALL;
        X509_STORE_set_verify_cb(store, on_verify);
        if (r->lists_speak_for_all && !has_namesakes(r))
            X509_STORE_set_check_crl(store, check_crl);
        warn_of_missing_lists(r);
    }
    return (X509_STORE_set_flags(store, flags) == 1 &&
            X509_STORE_set_depth(store, (int)r->conf->depth) == 1) ||
           trust_out_of_memory(r, r->conf->ca_file);
}
