/* Which tickets were used for early data, so that each is taken for it once (RFC 8446 8.1). Every
 * ticket of a port has a serial number, and the register a bit for each of the last so many. An
 * older ticket is not known any more, one of another register never was: both are refused, which
 * costs the client a round trip and nothing else.
 *
 * Thread: any, at once; no lock. */
#pragma once

#include <sallyport/base/compiler.h>

#include <stddef.h>
#include <stdint.h>

struct ticket_register;

/* What a ticket carries, sealed. */
#define TICKET_STAMP_BYTES 16U
struct ticket_stamp {
    uint8_t bytes[TICKET_STAMP_BYTES];
};

enum ticket_take {
    TICKET_TAKEN,     /* for the first time */
    TICKET_USED,      /* once before: a replay, or a client that uses one twice */
    TICKET_FORGOTTEN, /* too many were given out since */
    TICKET_FOREIGN,   /* of another register, or no stamp at all */
};

/* It knows at least `n` tickets, a bit each and as much again. NULL: out of memory or of random
 * bytes. */
struct ticket_register *ticket_register_new(uint32_t n) SP_MUST_CHECK;
void ticket_register_free(struct ticket_register *r); /* NULL is accepted */

/* For a ticket that is given out. */
struct ticket_stamp ticket_register_issue(struct ticket_register *r);
/* For one that came back. Whoever sealed the ticket wrote these bytes, which need not be us. */
enum ticket_take ticket_register_take(struct ticket_register *r, const void *stamp, size_t len);
