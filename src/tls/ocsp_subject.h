/* Whom a response has to be about, and who may give it: a certificate, its issuer, and what the
 * certificate says of OCSP. Constant once made. */
#pragma once

#include <sallyport/base/view.h>
#include <sallyport/tls/ocsp.h>

#include <openssl/ocsp.h>
#include <openssl/x509.h>

struct ocsp_subject {
    X509 *leaf;   /* owned reference */
    X509 *issuer; /* owned reference; NULL: not in the chain */
    char *url;    /* owned; NULL: the certificate names no responder over http */
    bool must_staple;
    uint8_t fingerprint[OCSP_FINGERPRINT_BYTES];
};

/* `chain` is what stands above the leaf; NULL: nothing. False: out of memory, and `s` is to be
 * ended all the same. */
bool ocsp_subject_init(struct ocsp_subject *s, X509 *leaf, STACK_OF(X509) * chain) SP_MUST_CHECK;
void ocsp_subject_fini(struct ocsp_subject *s);

/* Is this the identification of the subject, by whatever digest the responder chose? */
bool ocsp_subject_is(const struct ocsp_subject *s, const OCSP_CERTID *id);

/* The DER form of a request for it, of malloc(3); a NULL view: out of memory. */
struct view ocsp_subject_request(const struct ocsp_subject *s) SP_MUST_CHECK;
