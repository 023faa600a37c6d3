/* Ticket keys as those use them who seal and open. */
#pragma once

#include "ticket_key_file.h"
#include "ticket_ring.h"

#include <sallyport/base/view.h>
#include <sallyport/tls/ticket_keys.h>

/* Key numbers count periods of the wall clock, the same on every machine whatever its settings. */
#define TICKET_PERIOD_MS ((int64_t)12 * 3600 * 1000)

/* What became of a ticket's key. */
enum ticket_use {
    TICKET_UNKNOWN, /* no such key */
    TICKET_EXPIRED, /* there was one; no valid ticket needs it any more */
    TICKET_OLD,     /* it seals no more, or not yet: clocks differ */
    TICKET_CURRENT,
};

/* Made without a file. NULL: out of memory or of random bytes; `secret` has at least
 * TICKET_SECRET_MIN bytes. */
struct ticket_keys *ticket_keys_new_own(uint32_t lifetime_s) SP_MUST_CHECK;
struct ticket_keys *ticket_keys_new_derived(struct view secret, struct view label,
                                            uint32_t lifetime_s) SP_MUST_CHECK;
struct ticket_keys *ticket_keys_new_listed(const struct ticket_key_list *list) SP_MUST_CHECK;

/* Any thread; no lock. The caller wipes *key. False: there is none for this moment. */
bool ticket_keys_seal(struct ticket_keys *k, union ticket_key *key) SP_MUST_CHECK;
/* *key is good with TICKET_OLD and TICKET_CURRENT. */
enum ticket_use ticket_keys_open(struct ticket_keys *k, const uint8_t name[TICKET_NAME_BYTES],
                                 union ticket_key *key);
