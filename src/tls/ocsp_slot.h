/* A certificate's place for a staple, as handshakes and whoever loads certificates see it. */
#pragma once

#include "ocsp_staple.h"
#include "tls_label.h"

#include <pthread.h>

struct ocsp_slot {
    atomic_uint refs;
    atomic_uint readers; /* threads that are between looking at `staple` and holding it */
    _Atomic(struct ocsp_staple *) staple; /* owned reference, good or revoked; NULL: none yet */
    pthread_mutex_t writing;              /* who puts another one there */
    struct ocsp_subject subject;
    struct tls_label *bundle; /* owned reference */
    struct tls_label *file;   /* owned reference; NULL: none */
    /* For people, each by itself. */
    _Atomic int64_t tried_ms, next_try_ms;
    atomic_uint failures;
    _Atomic unsigned char last; /* enum ocsp_outcome */
};

struct ocsp_slot_options {
    X509 *leaf;               /* the slot takes a reference */
    STACK_OF(X509) * chain;   /* what stands above it; NULL: nothing */
    struct tls_label *bundle; /* the slot takes a reference */
    struct view file;         /* copied; empty: none */
};
/* NULL: out of memory. The caller owns one reference. */
struct ocsp_slot *ocsp_slot_new(const struct ocsp_slot_options *options) SP_MUST_CHECK;

/* What a client is given now, with a reference for the caller: good and in date. NULL: nothing.
 * Never waits. */
struct ocsp_staple *ocsp_slot_staple(struct ocsp_slot *slot, int64_t now_ms) SP_MUST_CHECK;
