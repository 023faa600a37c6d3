/* A response of an OCSP responder that was verified, in the form in which clients are given it.
 * Immutable and reference-counted. */
#pragma once

#include "ocsp_subject.h"

#include <sallyport/base/compiler.h>

#include <stdatomic.h>

struct ocsp_staple {
    atomic_uint refs;
    bool revoked;
    int64_t this_update_ms, next_update_ms; /* since the epoch */
    size_t len;
    unsigned char der[];
};

/* Parses and verifies a response as of `now_ms`. STAPLE_GOOD and STAPLE_REVOKED: *out is a
 * reference of the caller's. Anything else: *out is untouched. Peer-controlled input. */
enum ocsp_outcome ocsp_staple_read(const struct ocsp_subject *subject, struct view der,
                                   int64_t now_ms, struct ocsp_staple **out) SP_MUST_CHECK;
struct ocsp_staple *ocsp_staple_ref(struct ocsp_staple *staple);
void ocsp_staple_unref(struct ocsp_staple *staple); /* NULL is accepted */
