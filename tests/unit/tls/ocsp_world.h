/* An authority, a certificate of it, and whatever may be said of that: responses right and wrong,
 * made on the spot. */
#pragma once

#include "ocsp_subject.h"
#include "tls_certs.h"

#include <openssl/err.h>
#include <openssl/ocsp.h>

#define DAY_S 86400

struct ocsp_world {
    EVP_PKEY *ca_key, *leaf_key, *other_key, *responder_key;
    X509 *ca, *leaf, *other_ca, *responder, *false_responder;
    STACK_OF(X509) * chain; /* the authority */
    struct ocsp_subject subject;
    int64_t now_ms;
};

/* An extension for a certificate that is signed already. */
static inline void cert_extend(X509 *cert, int nid, const char *value, EVP_PKEY *signer)
{
    cert_add_extension(cert, nid, value);
    assert_true(X509_sign(cert, signer, EVP_sha256()) > 0);
}

static inline X509 *world_ca(EVP_PKEY *key)
{
    const struct cert_recipe recipe = {
        .common_name = "authority", .days_from = -10, .days_to = 100, .ca = true};

    return cert_new(&recipe, key);
}

static inline X509 *world_cert(const struct ocsp_world *w, const char *name, EVP_PKEY *key)
{
    const struct cert_recipe recipe = {.common_name = name,
                                       .days_from = -10,
                                       .days_to = 50,
                                       .issuer = w->ca,
                                       .issuer_key = w->ca_key};

    return cert_new(&recipe, key);
}

#define WORLD_URL "http://ocsp.example/status"

static inline int world_setup(void **state)
{
    struct ocsp_world *w = calloc(1, sizeof(*w));

    assert_non_null(w);
    w->ca_key = key_new(KEY_EC);
    w->leaf_key = key_new(KEY_EC);
    w->other_key = key_new(KEY_EC);
    w->responder_key = key_new(KEY_EC);
    w->ca = world_ca(w->ca_key);
    w->other_ca = world_ca(w->other_key); /* the same name, another key */
    w->leaf = world_cert(w, "leaf", w->leaf_key);
    cert_extend(w->leaf, NID_info_access, "OCSP;URI:https://no.example/,OCSP;URI:" WORLD_URL,
                w->ca_key);
    w->responder = world_cert(w, "responder", w->responder_key);
    cert_extend(w->responder, NID_ext_key_usage, "OCSPSigning", w->ca_key);
    w->false_responder = world_cert(w, "false responder", w->responder_key);
    w->chain = sk_X509_new_null();
    assert_true(sk_X509_push(w->chain, w->ca) > 0);
    assert_true(ocsp_subject_init(&w->subject, w->leaf, w->chain));
    w->now_ms = (int64_t)time(NULL) * 1000;
    *state = w;
    return 0;
}

static inline int world_teardown(void **state)
{
    struct ocsp_world *w = *state;

    ocsp_subject_fini(&w->subject);
    sk_X509_free(w->chain);
    X509_free(w->ca);
    X509_free(w->leaf);
    X509_free(w->other_ca);
    X509_free(w->responder);
    X509_free(w->false_responder);
    EVP_PKEY_free(w->ca_key);
    EVP_PKEY_free(w->leaf_key);
    EVP_PKEY_free(w->other_key);
    EVP_PKEY_free(w->responder_key);
    free(w);
    assert_int_equal(ERR_peek_error(), 0);
    return 0;
}

/* What a response says, and who says it; the defaults are a good one by the issuer, two days old
 * with eight to go. */
struct ocsp_recipe {
    X509 *about;             /* NULL: the leaf */
    X509 *by;                /* NULL: the authority */
    EVP_PKEY *by_key;        /* NULL: its key */
    const EVP_MD *id_digest; /* NULL: SHA-1 */
    int status;              /* V_OCSP_CERTSTATUS_GOOD is 0 */
    long this_s, next_s;     /* from now; both 0: the default */
    bool no_next;
    int response_status; /* 0: successful */
};

static inline void recipe_add(const struct ocsp_world *w, const struct ocsp_recipe *r,
                              OCSP_BASICRESP *basic)
{
    bool plain = r->this_s == 0 && r->next_s == 0;
    ASN1_TIME *this_update = X509_gmtime_adj(NULL, plain ? -2 * DAY_S : r->this_s);
    ASN1_TIME *next_update = X509_gmtime_adj(NULL, plain ? 8 * DAY_S : r->next_s);
    ASN1_TIME *revoked = X509_gmtime_adj(NULL, -3 * DAY_S);
    OCSP_CERTID *id = OCSP_cert_to_id(r->id_digest == NULL ? EVP_sha1() : r->id_digest,
                                      r->about == NULL ? w->leaf : r->about, w->ca);

    assert_non_null(OCSP_basic_add1_status(basic, id, r->status, 0, revoked, this_update,
                                           r->no_next ? NULL : next_update));
    OCSP_CERTID_free(id);
    ASN1_TIME_free(this_update);
    ASN1_TIME_free(next_update);
    ASN1_TIME_free(revoked);
}

static inline struct view response_der(OCSP_RESPONSE *response)
{
    unsigned char *der = NULL;
    int len = i2d_OCSP_RESPONSE(response, &der);
    char *copy = malloc((size_t)len);

    assert_true(len > 0);
    assert_non_null(copy);
    memcpy(copy, der, (size_t)len);
    OPENSSL_free(der);
    OCSP_RESPONSE_free(response);
    return (struct view){copy, (size_t)len};
}

/* Of malloc(3). Speaks of several certificates if there are several recipes; who signs says the
 * first. */
static inline struct view response_of(const struct ocsp_world *w, const struct ocsp_recipe *r,
                                      size_t n)
{
    OCSP_BASICRESP *basic = OCSP_BASICRESP_new();
    OCSP_RESPONSE *response;

    assert_non_null(basic);
    for (size_t i = 0; i < n; i++)
        recipe_add(w, &r[i], basic);
    assert_int_equal(OCSP_basic_sign(basic, r->by == NULL ? w->ca : r->by,
                                     r->by_key == NULL ? w->ca_key : r->by_key, EVP_sha256(), NULL,
                                     r->by == NULL ? OCSP_NOCERTS : 0),
                     1);
    response = OCSP_response_create(r->response_status, r->response_status == 0 ? basic : NULL);
    assert_non_null(response);
    OCSP_BASICRESP_free(basic);
    return response_der(response);
}

static inline struct view response_new(const struct ocsp_world *w, const struct ocsp_recipe *r)
{
    return response_of(w, r, 1);
}
