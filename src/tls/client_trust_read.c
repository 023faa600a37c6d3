/* Authorities and their revocation lists, read and looked at: what would refuse every client, or
 * let one in who should not be, is said here. */
#include "cert_file.h"
#include "cert_words.h"
#include "client_trust_internal.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <string.h>
#include <time.h>

/* ---- Words ---- */

bool trust_out_of_memory(struct trust_reading *r, struct view file)
{
    ERR_clear_error();
    cert_load_nomem(r->load, file);
    return false;
}

/* Did the last PEM call stop because nothing more is there? */
bool trust_at_end(void)
{
    unsigned long code = ERR_peek_last_error();

    return ERR_GET_LIB(code) == ERR_LIB_PEM && ERR_GET_REASON(code) == PEM_R_NO_START_LINE;
}

/* What kind it is in words, which is more than the library has of a file without a PEM line. */
static const char *form_of(struct view bytes)
{
    if (bytes.len == 0)
        return "is empty";
    if (bytes.p[0] == 0x30) /* SEQUENCE */
        return "is DER, not PEM; convert it with: openssl x509 (or openssl crl) -inform DER";
    return NULL;
}

bool trust_is_past(const ASN1_TIME *time)
{
    return X509_cmp_current_time(time) < 0;
}

void trust_expires(struct trust_reading *r, const ASN1_TIME *time)
{
    struct tm tm = {0};
    int64_t at_s;

    if (time == NULL || trust_is_past(time) || ASN1_TIME_to_tm(time, &tm) != 1)
        return;
    at_s = timegm(&tm);
    if (at_s < r->trust->good_until_s)
        r->trust->good_until_s = at_s;
}

/* ---- Authorities ---- */

static void look_at_dates(struct trust_reading *r, const X509 *ca, const char *name)
{
    char at[40];

    if (trust_is_past(X509_get0_notAfter(ca))) {
        cert_words_time(X509_get0_notAfter(ca), at, sizeof(at));
        cert_load_warn(r->load, r->conf->ca_file,
                       "the authority \"%s\" has expired: nobody whom it vouches for gets in since "
                       "%s",
                       name, at);
    } else if (X509_cmp_current_time(X509_get0_notBefore(ca)) > 0) {
        cert_words_time(X509_get0_notBefore(ca), at, sizeof(at));
        cert_load_warn(r->load, r->conf->ca_file,
                       "the authority \"%s\" is not valid yet: it will be from %s", name, at);
    }
    trust_expires(r, X509_get0_notAfter(ca));
}

static bool has_authority(const struct trust_reading *r, const X509 *ca)
{
    for (int i = 0; i < sk_X509_num(r->authorities); i++)
        if (X509_cmp(sk_X509_value(r->authorities, i), ca) == 0)
            return true;
    return false;
}

static bool keep_authority(struct trust_reading *r, X509 *ca)
{
    if (sk_X509_push(r->authorities, ca) == 0)
        return false;
    (void)X509_up_ref(ca);
    return true;
}

/* Borrows `ca`. */
static bool take_authority(struct trust_reading *r, X509 *ca, unsigned number)
{
    char name[CERT_WORDS_MAX];

    cert_words_name(X509_get_subject_name(ca), name, sizeof(name));
    if (X509_check_ca(ca) == 0) {
        cert_load_error(r->load, r->conf->ca_file,
                        "certificate %u (\"%s\") is no authority (basicConstraints, keyUsage): it "
                        "cannot vouch for clients",
                        number, name);
        return false;
    }
    if (has_authority(r, ca)) {
        cert_load_warn(r->load, r->conf->ca_file, "certificate %u (\"%s\") is in the file twice",
                       number, name);
        return true;
    }
    look_at_dates(r, ca, name);
    return keep_authority(r, ca) || trust_out_of_memory(r, r->conf->ca_file);
}

/* Goes on after one that is none, so that all are told. */
static bool take_authorities(struct trust_reading *r, BIO *bio)
{
    unsigned n = 0;
    bool ok = true;
    X509 *ca;

    while ((ca = PEM_read_bio_X509(bio, NULL, NULL, NULL)) != NULL) {
        ok = take_authority(r, ca, ++n) && ok;
        X509_free(ca);
    }
    if (!trust_at_end()) {
        cert_load_error(r->load, r->conf->ca_file, "certificate %u cannot be read: %s", n + 1,
                        cert_load_why(r->load));
        ok = false;
    } else if (n == 0) {
        cert_load_error(r->load, r->conf->ca_file,
                        "holds no certificate in PEM form (\"-----BEGIN CERTIFICATE\")");
        ok = false;
    }
    ERR_clear_error();
    return ok;
}

static bool admit(struct trust_reading *r, X509 *ca)
{
    X509_NAME *name = X509_NAME_dup(X509_get_subject_name(ca));

    if (name == NULL || sk_X509_NAME_push(r->trust->names, name) == 0) {
        X509_NAME_free(name);
        return false;
    }
    return X509_STORE_add_cert(r->trust->store, ca) == 1;
}

/* An authority of the file is believed by itself, whoever stands above it: so it is here that a
 * list of that one has its say. */
static bool admit_authorities(struct trust_reading *r)
{
    char name[CERT_WORDS_MAX];

    for (int i = 0; i < sk_X509_num(r->authorities); i++) {
        X509 *ca = sk_X509_value(r->authorities, i);

        if (!trust_is_revoked(r, ca)) {
            if (!admit(r, ca))
                return trust_out_of_memory(r, r->conf->ca_file);
            continue;
        }
        cert_words_name(X509_get_subject_name(ca), name, sizeof(name));
        cert_load_warn(r->load, r->conf->ca_file,
                       "the authority \"%s\" was revoked by the one above it: nobody whom it "
                       "vouches for gets in",
                       name);
    }
    return true;
}

/* ---- Files ---- */

typedef bool (*take_fn)(struct trust_reading *r, BIO *bio);

static bool digest_add(struct trust_reading *r, const void *p, size_t n)
{
    const uint64_t len = n;

    return EVP_DigestUpdate(r->digest, &len, sizeof(len)) == 1 &&
           EVP_DigestUpdate(r->digest, p, n) == 1;
}

static bool take_bytes(struct trust_reading *r, const struct cert_file *file, take_fn take)
{
    BIO *bio = BIO_new_mem_buf(file->bytes, (int)file->len);
    bool ok;

    if (bio == NULL || !digest_add(r, file->bytes, file->len)) {
        BIO_free(bio);
        return trust_out_of_memory(r, file->path);
    }
    ok = take(r, bio);
    BIO_free(bio);
    return ok;
}

static bool take_file(struct trust_reading *r, struct view path, size_t max_bytes,
                      struct file_stamp *stamp, take_fn take)
{
    struct cert_file file;
    const char *form;
    bool ok = false;

    if (!cert_file_read(&file, path, max_bytes, r->load))
        return false;
    *stamp = file.stamp;
    form = form_of(cert_file_view(&file));
    if (form != NULL)
        cert_load_error(r->load, path, "%s", form);
    else
        ok = take_bytes(r, &file, take);
    cert_file_fini(&file);
    return ok;
}

static bool begin(struct trust_reading *r)
{
    const uint64_t settings[] = {(uint64_t)r->conf->mode, r->conf->depth,
                                 r->conf->crl_file.len > 0};
    struct client_trust *trust = r->trust;

    trust->good_until_s = INT64_MAX;
    trust->store = X509_STORE_new();
    trust->names = sk_X509_NAME_new_null();
    r->authorities = sk_X509_new_null();
    r->digest = EVP_MD_CTX_new();
    return (trust->store != NULL && trust->names != NULL && r->authorities != NULL &&
            r->digest != NULL && EVP_DigestInit_ex(r->digest, EVP_sha256(), NULL) == 1 &&
            digest_add(r, settings, sizeof(settings))) ||
           trust_out_of_memory(r, r->conf->ca_file);
}

static bool take_files(struct trust_reading *r)
{
    const struct client_auth_conf *conf = r->conf;

    if (!take_file(r, conf->ca_file, CERT_FILE_MAX_AUTHORITY_BYTES, &r->trust->ca_stamp,
                   take_authorities))
        return false;
    if (conf->crl_file.len > 0 && !take_file(r, conf->crl_file, CLIENT_TRUST_CRL_MAX_BYTES,
                                             &r->trust->crl_stamp, trust_take_lists))
        return false;
    return EVP_DigestFinal_ex(r->digest, r->trust->digest, NULL) == 1 ||
           trust_out_of_memory(r, conf->ca_file);
}

bool client_trust_read(struct client_trust *trust, const struct client_auth_conf *conf,
                       struct cert_load *load)
{
    struct trust_reading r = {
        .trust = trust, .conf = conf, .load = load, .lists_speak_for_all = true};
    bool ok = begin(&r) && take_files(&r) && admit_authorities(&r) && trust_set_rules(&r);

    sk_X509_pop_free(r.authorities, X509_free);
    EVP_MD_CTX_free(r.digest);
    ERR_clear_error();
    return ok;
}
