/* OCSP stapling (RFC 6066 8, RFC 6960): what a certificate's authority says of it right now, kept
 * ready for handshakes.
 *
 * Each certificate that is served has an `ocsp_slot`: whom to ask, what to ask, and the answer of
 * the moment, the staple. A staple was verified before it got there: it speaks of this certificate,
 * is signed by the certificate's issuer or by whom that authorized, and is in date. Handshakes take
 * it without ever waiting; whoever fetches has as long as it takes.
 *
 * Slots are reference-counted and outlive the bundle that they came with. Thread: any, but what
 * reads files or sockets only threads that may block. */
#pragma once

#include <sallyport/base/compiler.h>
#include <sallyport/base/view.h>

#include <stdbool.h>
#include <stdint.h>

struct ocsp_slot;

/* What came of asking. X(id, label, text for a person) */
#define OCSP_OUTCOMES(X)                                                                     \
    X(NEVER, "never", "nobody was asked yet")                                                \
    X(GOOD, "good", "the certificate is good")                                               \
    X(REVOKED, "revoked", "the authority has revoked the certificate")                       \
    X(UNKNOWN, "unknown", "the responder does not know the certificate")                     \
    X(NO_RESPONDER, "no_responder", "nobody can be asked: no issuer in the file, or no URL") \
    X(DNS, "dns", "the responder's name did not resolve")                                    \
    X(CONNECT, "connect", "no connection to the responder")                                  \
    X(TIMEOUT, "timeout", "the responder took too long")                                     \
    X(HTTP, "http", "the responder did not answer as OCSP over HTTP does")                   \
    X(TOO_LARGE, "too_large", "the response is larger than may be")                          \
    X(REFUSED, "refused", "the responder refused to answer")                                 \
    X(MALFORMED, "malformed", "it is no OCSP response")                                      \
    X(OTHER, "other", "the response is about other certificates")                            \
    X(SIGNATURE, "signature", "the response is not signed by who may speak for the issuer")  \
    X(DATES, "dates", "the response is out of date, or not valid yet")                       \
    X(FILE, "file", "the file cannot be read")                                               \
    X(NOMEM, "nomem", "out of memory")                                                       \
    X(STOPPED, "stopped", "the program is stopping")

enum ocsp_outcome {
#define X(id, label, text) STAPLE_##id,
    OCSP_OUTCOMES(X)
#undef X
        STAPLE_OUTCOME_COUNT
};
const char *ocsp_outcome_label(enum ocsp_outcome outcome);
const char *ocsp_outcome_text(enum ocsp_outcome outcome);

#define OCSP_FINGERPRINT_BYTES 32 /* SHA-256 of the certificate */
#define OCSP_FINGERPRINT_TEXT  (2 * OCSP_FINGERPRINT_BYTES + 1)

/* A certificate's staple, for people. Times are milliseconds since the epoch; 0: there is none. */
struct ocsp_state {
    bool must_staple; /* the certificate says so (RFC 7633) */
    bool good;        /* there is a staple, and clients are given it now */
    bool revoked;     /* as the last response had it: clients are given none */
    int64_t this_update_ms, next_update_ms; /* of the staple, or of the response with "revoked" */
    int64_t tried_ms, next_try_ms;          /* when it was asked for last, and when it will be */
    uint32_t failures;                      /* in a row */
    enum ocsp_outcome last;                 /* of what was tried last */
};

struct ocsp_slot *ocsp_slot_ref(struct ocsp_slot *slot);
void ocsp_slot_unref(struct ocsp_slot *slot); /* NULL is accepted */
struct ocsp_state ocsp_slot_state(struct ocsp_slot *slot);

/* Constant while the slot lives. */
const uint8_t *ocsp_slot_fingerprint(const struct ocsp_slot *slot); /* OCSP_FINGERPRINT_BYTES */
bool ocsp_slot_must_staple(const struct ocsp_slot *slot);
/* Is the issuer known, without which nothing can be asked or verified? */
bool ocsp_slot_has_issuer(const struct ocsp_slot *slot);
/* The first http:// URL of the certificate (RFC 5280 4.2.2.1); empty: none. */
struct view ocsp_slot_url(const struct ocsp_slot *slot);
/* File that the response is read from instead of being fetched; empty: none. */
struct view ocsp_slot_file(const struct ocsp_slot *slot);
/* Of the bundle that it was loaded with; for messages. */
struct view ocsp_slot_bundle(const struct ocsp_slot *slot);

/* The DER form of an OCSPRequest for the certificate, of malloc(3); a NULL view: out of memory. */
struct view ocsp_slot_request(const struct ocsp_slot *slot) SP_MUST_CHECK;

/* A response, verified as of `now_ms`. STAPLE_GOOD: it is the slot's staple from here on, unless
 * what is there is newer. STAPLE_REVOKED: the slot has no staple from here on, for as long as no
 * newer response says otherwise. Anything else: the slot is as it was. */
enum ocsp_outcome ocsp_slot_offer(struct ocsp_slot *slot, struct view der, int64_t now_ms);
/* Takes over what another slot of the same certificate has and knows, where that is newer. */
void ocsp_slot_copy(struct ocsp_slot *slot, struct ocsp_slot *from);
/* What became of a try, for ocsp_slot_state(). */
void ocsp_slot_tried(struct ocsp_slot *slot, enum ocsp_outcome outcome, int64_t now_ms);
void ocsp_slot_will_try(struct ocsp_slot *slot, int64_t at_ms);
