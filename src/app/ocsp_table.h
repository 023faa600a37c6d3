/* Every certificate that may have a staple, and when its authority is asked about it: sorted by
 * fingerprint, so that bundles with the same certificate are asked about once. Made anew whenever
 * other certificates serve; what is known of a certificate that stays goes along. No locks, no
 * clocks, no sockets: whoever has the table (ocsp_updater.c) says what time it is. */
#pragma once

#include "ocsp_host.h"

#include <sallyport/base/compiler.h>
#include <sallyport/base/list.h>
#include <sallyport/config/config.h>
#include <sallyport/tls/cert_set.h>
#include <sallyport/tls/ocsp.h>

#include <stdbool.h>
#include <stdint.h>

#define OCSP_NEVER INT64_MAX

struct ocsp_entry {
    struct ocsp_slot *
        *slots; /* into ocsp_table.slots: of this certificate; the first is asked for */
    uint32_t n_slots;
    struct ocsp_host *host; /* NULL: a file, or nobody */
    bool askable;           /* somebody can be asked, or a file read */
    bool busy;
    bool must_staple;
    bool tried;
    uint32_t failures;     /* in a row */
    int64_t refresh_at_ms; /* wall clock */
    int64_t not_before_ms; /* monotonic */
    int64_t good_until_ms; /* wall clock, of the staple; 0: none */
};

struct ocsp_table {
    struct ocsp_entry *v; /* owned, n; sorted by key */
    uint32_t n;
    struct ocsp_slot **slots; /* owned references, n_slots */
    uint32_t n_slots;
    struct list *hosts; /* owned; of struct ocsp_host */
};

/* What time it is, and a number by chance. */
struct ocsp_now {
    int64_t wall_ms, mono_ms;
    uint32_t random;
};

bool ocsp_table_init(struct ocsp_table *t) SP_MUST_CHECK; /* false: out of memory */
void ocsp_table_fini(struct ocsp_table *t);

struct ocsp_follow {
    const struct ocsp_conf *conf;       /* read during the call only */
    const struct cert_set *const *sets; /* of several that serve, or are about to; NULL: none */
    uint32_t n_sets;
};
/* From here on these. Slots of a certificate that was there before have its staple at once. False:
 * out of memory, and the table is as it was. */
bool ocsp_table_follow(struct ocsp_table *t, const struct ocsp_follow *f,
                       const struct ocsp_now *now) SP_MUST_CHECK;

/* The entry of a slot's certificate; NULL: none. */
struct ocsp_entry *ocsp_table_find(const struct ocsp_table *t, const struct ocsp_slot *slot);
/* Is there one of this certificate? */
bool ocsp_table_has(const struct ocsp_table *t, const uint8_t *fingerprint);

/* The most urgent one that is due, and it is busy from here on; NULL: none. First those that must
 * have a staple and have none, then those that have none. */
struct ocsp_entry *ocsp_table_take(struct ocsp_table *t, const struct ocsp_now *now);
/* When the next one is due: after how many milliseconds; OCSP_NEVER: none will be. */
int64_t ocsp_table_wait_ms(const struct ocsp_table *t, const struct ocsp_now *now);
/* What came of an entry that was taken: by its first slot, to which a response has been offered
 * already, and by its host, as they were then. */
struct ocsp_settled {
    struct ocsp_slot *slot;
    struct ocsp_host *host;
    enum ocsp_outcome outcome;
};
/* The entry is no longer busy and has its next time; all slots of its certificate have what the
 * slot has. NULL: it is gone. */
struct ocsp_entry *ocsp_table_settle(struct ocsp_table *t, const struct ocsp_settled *what,
                                     const struct ocsp_now *now);
/* Until it is asked again. */
int64_t ocsp_entry_wait_ms(const struct ocsp_entry *e, const struct ocsp_now *now);

/* How many certificates there are of each sort. */
struct ocsp_totals {
    uint32_t all;  /* that may have a staple: their issuer is known, or they must have one */
    uint32_t good; /* have one */
    uint32_t revoked;
    uint32_t must_staple_missing; /* must have one, and have none */
};
struct ocsp_totals ocsp_table_totals(const struct ocsp_table *t, const struct ocsp_now *now);
