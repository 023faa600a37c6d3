/* Nothing of a response is believed before its signature is, and what clients would refuse is
 * refused here. */
#include "ocsp_staple.h"

#include <openssl/err.h>

#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Clocks differ: a response may be so much younger than now. */
#define SKEW_MS              ((int64_t)300 * 1000)
/* Without nextUpdate "newer revocation information is available all the time" (RFC 6960 2.4), and a
 * response ages at once. Clients take it for a day at most. */
#define LIFE_WITHOUT_NEXT_MS ((int64_t)24 * 3600 * 1000)

/* ---- Dates ---- */

/* False: not there, or not readable. */
static bool time_of(const ASN1_GENERALIZEDTIME *time, int64_t *ms)
{
    struct tm tm = {0};

    if (time == NULL || ASN1_TIME_to_tm(time, &tm) != 1)
        return false;
    *ms = (int64_t)timegm(&tm) * 1000;
    return true;
}

static bool take_dates(const ASN1_GENERALIZEDTIME *this_update,
                       const ASN1_GENERALIZEDTIME *next_update, int64_t now_ms,
                       struct ocsp_staple *out)
{
    if (!time_of(this_update, &out->this_update_ms))
        return false;
    out->next_update_ms = out->this_update_ms + LIFE_WITHOUT_NEXT_MS;
    if (next_update != NULL && !time_of(next_update, &out->next_update_ms))
        return false;
    return out->this_update_ms <= now_ms + SKEW_MS && out->next_update_ms > now_ms &&
           out->next_update_ms > out->this_update_ms;
}

/* ---- Who signed ---- */

/* The issuer is the one that is trusted, whoever stands above it: clients see to the rest, and the
 * root is not in the file. */
static X509_STORE *store_new(const struct ocsp_subject *s, int64_t now_ms)
{
    X509_STORE *store = X509_STORE_new();

    if (store == NULL)
        return NULL;
    if (X509_STORE_add_cert(store, s->issuer) == 1 &&
        X509_STORE_set_flags(store, X509_V_FLAG_PARTIAL_CHAIN) == 1) {
        X509_VERIFY_PARAM_set_time(X509_STORE_get0_param(store), (time_t)(now_ms / 1000));
        return store;
    }
    X509_STORE_free(store);
    return NULL;
}

/* By the issuer itself, or by a responder's certificate that the issuer made for the purpose (RFC
 * 6960 4.2.2.2): OCSP_basic_verify(3) looks at exactly these two, unless something else is trusted
 * explicitly, which OCSP_NOEXPLICIT keeps out. */
static bool is_signed(const struct ocsp_subject *s, OCSP_BASICRESP *basic, int64_t now_ms)
{
    X509_STORE *store = store_new(s, now_ms);
    STACK_OF(X509) *issuers = sk_X509_new_null();
    bool ok = store != NULL && issuers != NULL && sk_X509_push(issuers, s->issuer) > 0 &&
              OCSP_basic_verify(basic, issuers, store, OCSP_NOEXPLICIT) == 1;

    sk_X509_free(issuers);
    X509_STORE_free(store);
    return ok;
}

/* ---- The whole ---- */

/* NULL: the response has nothing to say of the subject. */
static OCSP_SINGLERESP *single_of(const struct ocsp_subject *s, OCSP_BASICRESP *basic)
{
    int n = OCSP_resp_count(basic);

    for (int i = 0; i < n; i++) {
        OCSP_SINGLERESP *single = OCSP_resp_get0(basic, i);

        if (ocsp_subject_is(s, OCSP_SINGLERESP_get0_id(single)))
            return single;
    }
    return NULL;
}

static enum ocsp_outcome judge(const struct ocsp_subject *s, OCSP_BASICRESP *basic, int64_t now_ms,
                               struct ocsp_staple *out)
{
    OCSP_SINGLERESP *single = single_of(s, basic);
    ASN1_GENERALIZEDTIME *this_update = NULL, *next_update = NULL;
    int status;

    if (single == NULL)
        return STAPLE_OTHER;
    if (!is_signed(s, basic, now_ms))
        return STAPLE_SIGNATURE;
    status = OCSP_single_get0_status(single, NULL, NULL, &this_update, &next_update);
    if (!take_dates(this_update, next_update, now_ms, out))
        return STAPLE_DATES;
    out->revoked = status == V_OCSP_CERTSTATUS_REVOKED;
    if (out->revoked)
        return STAPLE_REVOKED;
    return status == V_OCSP_CERTSTATUS_GOOD ? STAPLE_GOOD : STAPLE_UNKNOWN;
}

static enum ocsp_outcome judge_response(const struct ocsp_subject *s, OCSP_RESPONSE *response,
                                        int64_t now_ms, struct ocsp_staple *out)
{
    OCSP_BASICRESP *basic;
    enum ocsp_outcome outcome;

    if (OCSP_response_status(response) != OCSP_RESPONSE_STATUS_SUCCESSFUL)
        return STAPLE_REFUSED;
    basic = OCSP_response_get1_basic(response);
    if (basic == NULL)
        return STAPLE_MALFORMED;
    outcome = judge(s, basic, now_ms, out);
    OCSP_BASICRESP_free(basic);
    return outcome;
}

static enum ocsp_outcome parse(const struct ocsp_subject *s, int64_t now_ms,
                               struct ocsp_staple *out)
{
    const unsigned char *p = out->der;
    OCSP_RESPONSE *response = d2i_OCSP_RESPONSE(NULL, &p, (long)out->len);
    enum ocsp_outcome outcome = STAPLE_MALFORMED;

    if (response != NULL && p == out->der + out->len)
        outcome = judge_response(s, response, now_ms, out);
    OCSP_RESPONSE_free(response);
    ERR_clear_error();
    return outcome;
}

enum ocsp_outcome ocsp_staple_read(const struct ocsp_subject *subject, struct view der,
                                   int64_t now_ms, struct ocsp_staple **out)
{
    struct ocsp_staple *staple;
    enum ocsp_outcome outcome;

    if (subject->issuer == NULL)
        return STAPLE_NO_RESPONDER;
    if (der.len == 0)
        return STAPLE_MALFORMED;
    staple = malloc(sizeof(*staple) + der.len);
    if (staple == NULL)
        return STAPLE_NOMEM;
    *staple = (struct ocsp_staple){.len = der.len};
    atomic_init(&staple->refs, 1);
    memcpy(staple->der, der.p, der.len);
    outcome = parse(subject, now_ms, staple);
    if (outcome == STAPLE_GOOD || outcome == STAPLE_REVOKED)
        *out = staple;
    else
        ocsp_staple_unref(staple);
    return outcome;
}

struct ocsp_staple *ocsp_staple_ref(struct ocsp_staple *staple)
{
    atomic_fetch_add_explicit(&staple->refs, 1, memory_order_relaxed);
    return staple;
}

void ocsp_staple_unref(struct ocsp_staple *staple)
{
    if (staple != NULL && atomic_fetch_sub_explicit(&staple->refs, 1, memory_order_acq_rel) == 1)
        free(staple);
}
