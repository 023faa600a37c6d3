/* A number for each client address of which there is something to remember now: how many
 * connections it has, when it may come again.
 *
 * A fixed table, so that no client can make it grow: where it is crowded, an address is not
 * remembered, which favours the client. Each place is one word, an address's keyed hash and its
 * number, changed by a compare-and-swap: a thread that is stopped in the middle of anything here
 * holds nobody up. Any thread. Of an IPv6 address the /64 counts: whoever has one address of it has
 * all. */
#pragma once

#include <sallyport/base/endpoint.h>
#include <sallyport/base/err.h>

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct address_slot {
    _Atomic uint64_t word; /* tag << value_bits | value */
};

struct address_table {
    uint64_t key[2];
    unsigned value_bits;
    struct address_slot *slots; /* owned */
};

/* What a number means to whoever keeps it. Pure: either may be called again where another thread
 * was faster. */
struct address_table_ops {
    /* There is nothing to remember any more: the place is free. True of 0. */
    bool (*is_over)(uint64_t value, const void *arg);
    /* The number as it shall be, of no more bits than the table has; 0 is an address that is not
     * there. False: the client has all that it may have, nothing changes. */
    bool (*change)(uint64_t *value, const void *arg);
};

#define ADDRESS_COUNT_BITS 24 /* of a table of counts */

/* A number has value_bits, the hash that tells addresses apart what is left of 64: with 24 for the
 * number, two of a million addresses are hardly ever taken for one. */
enum sp_err address_table_init(struct address_table *t, unsigned value_bits) SP_MUST_CHECK;
void address_table_fini(struct address_table *t); /* also of one that is all zeros */

/* Does the family have addresses to tell apart? */
bool address_table_knows(const union ip_endpoint *peer);
/* SP_OK: changed, or there was no place for it. SP_THROTTLED: change() refused. */
enum sp_err address_table_change(struct address_table *t, const union ip_endpoint *peer,
                                 const struct address_table_ops *ops, const void *arg)
    SP_MUST_CHECK;
/* For a table of counts: one more of what the address may have `max` of (0: any number), and one
 * less. SP_THROTTLED: it has them all. */
enum sp_err address_table_take(struct address_table *t, const union ip_endpoint *peer, uint32_t max)
    SP_MUST_CHECK;
void address_table_give_back(struct address_table *t, const union ip_endpoint *peer);

/* Changes the number of an address that is there, and none else. */
void address_table_change_known(struct address_table *t, const union ip_endpoint *peer,
                                const struct address_table_ops *ops, const void *arg);
