#include "ocsp_table.h"

#include "ocsp_plan.h"

#include <stdlib.h>
#include <string.h>

/* Somebody who learned that a certificate is revoked looks again every hour: it may have been put
 * on hold, or be a mistake. */
#define REVOKED_AGAIN_MS ((int64_t)3600 * 1000)

/* ---- Order: by certificate, then by where its response comes from ---- */

static int compare_slots(const struct ocsp_slot *a, const struct ocsp_slot *b)
{
    int order = memcmp(ocsp_slot_fingerprint(a), ocsp_slot_fingerprint(b), OCSP_FINGERPRINT_BYTES);

    return order != 0 ? order : view_compare(ocsp_slot_file(a), ocsp_slot_file(b));
}

static int by_key_and_address(const void *a, const void *b)
{
    const struct ocsp_slot *const *x = a, *const *y = b;
    int order = compare_slots(*x, *y);

    return order != 0 ? order : (*x > *y) - (*x < *y);
}

static int slot_to_entry(const void *slot, const void *entry)
{
    const struct ocsp_entry *e = entry;

    return compare_slots(slot, e->slots[0]);
}

struct ocsp_entry *ocsp_table_find(const struct ocsp_table *t, const struct ocsp_slot *slot)
{
    return t->n == 0 ? NULL : bsearch(slot, t->v, t->n, sizeof(*t->v), slot_to_entry);
}

static int fingerprint_to_entry(const void *fingerprint, const void *entry)
{
    const struct ocsp_entry *e = entry;

    return memcmp(fingerprint, ocsp_slot_fingerprint(e->slots[0]), OCSP_FINGERPRINT_BYTES);
}

static struct ocsp_entry *find_certificate(const struct ocsp_table *t, const uint8_t *fingerprint)
{
    return t->n == 0 ? NULL : bsearch(fingerprint, t->v, t->n, sizeof(*t->v), fingerprint_to_entry);
}

bool ocsp_table_has(const struct ocsp_table *t, const uint8_t *fingerprint)
{
    return find_certificate(t, fingerprint) != NULL;
}

/* ---- Following ---- */

static uint32_t count_slots(const struct ocsp_follow *f)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < f->n_sets; i++)
        for (uint32_t b = 0; f->sets[i] != NULL && b < cert_set_n(f->sets[i]); b++)
            n += cert_bundle_n_certs(cert_set_at(f->sets[i], b));
    return n;
}

static void gather_bundle(struct ocsp_table *t, const struct cert_bundle *bundle)
{
    for (uint32_t i = 0; i < cert_bundle_n_certs(bundle); i++) {
        struct ocsp_slot *slot = cert_bundle_ocsp(bundle, i);

        if (slot != NULL)
            t->slots[t->n_slots++] = slot;
    }
}

/* A bundle that was taken over is in several sets: each slot once. */
static void gather(struct ocsp_table *t, const struct ocsp_follow *f)
{
    uint32_t kept = 0;

    for (uint32_t i = 0; i < f->n_sets; i++)
        for (uint32_t b = 0; f->sets[i] != NULL && b < cert_set_n(f->sets[i]); b++)
            gather_bundle(t, cert_set_at(f->sets[i], b));
    if (t->n_slots > 0)
        qsort(t->slots, t->n_slots, sizeof(struct ocsp_slot *), by_key_and_address);
    for (uint32_t i = 0; i < t->n_slots; i++)
        if (kept == 0 || t->slots[kept - 1] != t->slots[i])
            t->slots[kept++] = t->slots[i];
    t->n_slots = kept;
}

static struct view url_of(const struct ocsp_slot *slot, const struct ocsp_conf *conf)
{
    return conf->responder.len > 0 ? conf->responder : ocsp_slot_url(slot);
}

/* False: out of memory. */
static bool find_source(struct ocsp_entry *e, const struct ocsp_conf *conf, struct list *hosts)
{
    const struct ocsp_slot *slot = e->slots[0];
    struct view url = url_of(slot, conf);

    e->host = NULL;
    e->askable = ocsp_slot_has_issuer(slot) && ocsp_slot_file(slot).len > 0;
    if (e->askable || !conf->fetch || !ocsp_slot_has_issuer(slot) || url.len == 0)
        return true;
    e->askable = true;
    e->host = ocsp_host_of(hosts, url);
    return e->host != NULL;
}

/* What is there already counts: a cache, a file, another slot of the certificate. */
static void look_at_staple(struct ocsp_entry *e, const struct ocsp_now *now)
{
    struct ocsp_state state = ocsp_slot_state(e->slots[0]);

    e->good_until_ms = state.good ? state.next_update_ms : 0;
    e->refresh_at_ms = e->askable ? 0 : OCSP_NEVER;
    if (e->askable && state.good) {
        e->refresh_at_ms = ocsp_plan_refresh(state.this_update_ms, state.next_update_ms,
                                             now->wall_ms, now->random);
    }
}

/* For people. */
static void announce_next_try(const struct ocsp_entry *e, const struct ocsp_now *now)
{
    int64_t wait_ms = ocsp_entry_wait_ms(e, now);

    for (uint32_t i = 0; i < e->n_slots; i++)
        ocsp_slot_will_try(e->slots[i], wait_ms == OCSP_NEVER ? 0 : now->wall_ms + wait_ms);
}

/* The slots of one certificate have the newest that one of them, or of the old ones, has. */
static void share_staple(struct ocsp_entry *e, struct ocsp_slot *known)
{
    if (known != NULL)
        ocsp_slot_copy(e->slots[0], known);
    for (uint32_t i = 1; i < e->n_slots; i++)
        ocsp_slot_copy(e->slots[0], e->slots[i]);
    for (uint32_t i = 1; i < e->n_slots; i++)
        ocsp_slot_copy(e->slots[i], e->slots[0]);
}

static bool fill_entry(struct ocsp_entry *e, const struct ocsp_table *old, struct list *hosts,
                       const struct ocsp_follow *f, const struct ocsp_now *now)
{
    const struct ocsp_entry *before = ocsp_table_find(old, e->slots[0]);
    const struct ocsp_entry *same = find_certificate(old, ocsp_slot_fingerprint(e->slots[0]));
    bool was_askable = before != NULL && before->askable;

    if (!find_source(e, f->conf, hosts))
        return false;
    e->must_staple = ocsp_slot_must_staple(e->slots[0]);
    share_staple(e, same == NULL ? NULL : same->slots[0]);
    look_at_staple(e, now);
    if (before == NULL)
        return true;
    e->busy = before->busy; /* settled by its slot, whatever table holds that then */
    e->tried = before->tried;
    e->failures = before->failures;
    e->not_before_ms = before->not_before_ms;
    if (was_askable && e->askable && before->refresh_at_ms < e->refresh_at_ms)
        e->refresh_at_ms = before->refresh_at_ms;
    return true;
}

/* Entries for the slots, which are sorted. */
static bool group(struct ocsp_table *t, const struct ocsp_table *old, const struct ocsp_follow *f,
                  const struct ocsp_now *now)
{
    for (uint32_t i = 0; i < t->n_slots;) {
        struct ocsp_entry *e = &t->v[t->n];
        uint32_t end = i + 1;

        while (end < t->n_slots && compare_slots(t->slots[i], t->slots[end]) == 0)
            end++;
        *e = (struct ocsp_entry){.slots = &t->slots[i], .n_slots = end - i};
        if (!fill_entry(e, old, t->hosts, f, now))
            return false;
        announce_next_try(e, now);
        t->n++;
        i = end;
    }
    return true;
}

bool ocsp_table_follow(struct ocsp_table *t, const struct ocsp_follow *f,
                       const struct ocsp_now *now)
{
    struct ocsp_table next = {.hosts = t->hosts};
    uint32_t cap = count_slots(f);

    next.slots = calloc((size_t)cap + 1, sizeof(struct ocsp_slot *));
    next.v = calloc((size_t)cap + 1, sizeof(*next.v));
    if (next.slots != NULL && next.v != NULL)
        gather(&next, f);
    if (next.slots == NULL || next.v == NULL || !group(&next, t, f, now)) {
        free(next.slots);
        free(next.v);
        return false;
    }
    for (uint32_t i = 0; i < next.n_slots; i++)
        (void)ocsp_slot_ref(next.slots[i]);
    for (uint32_t i = 0; i < t->n_slots; i++)
        ocsp_slot_unref(t->slots[i]);
    free(t->slots);
    free(t->v);
    *t = next;
    for (uint32_t i = 0; i < t->n; i++)
        if (t->v[i].host != NULL)
            t->v[i].host->used = true;
    ocsp_hosts_sweep(t->hosts);
    return true;
}

bool ocsp_table_init(struct ocsp_table *t)
{
    *t = (struct ocsp_table){.hosts = malloc(sizeof(struct list))};
    if (t->hosts == NULL)
        return false;
    list_init(t->hosts);
    return true;
}

void ocsp_table_fini(struct ocsp_table *t)
{
    for (uint32_t i = 0; i < t->n_slots; i++)
        ocsp_slot_unref(t->slots[i]);
    ocsp_hosts_free(t->hosts);
    free(t->slots);
    free(t->v);
    *t = (struct ocsp_table){0};
}

/* ---- Whose turn it is ---- */

static bool has_staple(const struct ocsp_entry *e, const struct ocsp_now *now)
{
    return e->good_until_ms > now->wall_ms;
}

/* Lower is more urgent. */
static int rank_of(const struct ocsp_entry *e, const struct ocsp_now *now)
{
    if (has_staple(e, now))
        return 2;
    return e->must_staple ? 0 : 1;
}

/* Of a responder that does not answer, until it may be tried again; then by one at a time. Who has
 * never been tried and must have a staple does not wait for that. */
static int64_t host_wait_ms(const struct ocsp_entry *e, const struct ocsp_now *now)
{
    if (e->host == NULL || e->host->failures == 0 || (e->must_staple && !e->tried))
        return 0;
    return e->host->busy > 0 ? OCSP_NEVER : e->host->not_before_ms - now->mono_ms;
}

int64_t ocsp_entry_wait_ms(const struct ocsp_entry *e, const struct ocsp_now *now)
{
    int64_t wait_ms = host_wait_ms(e, now);

    if (e->busy || e->refresh_at_ms == OCSP_NEVER)
        return OCSP_NEVER;
    if (wait_ms < e->refresh_at_ms - now->wall_ms)
        wait_ms = e->refresh_at_ms - now->wall_ms;
    if (wait_ms < e->not_before_ms - now->mono_ms)
        wait_ms = e->not_before_ms - now->mono_ms;
    return wait_ms < 0 ? 0 : wait_ms;
}

static bool is_more_urgent(const struct ocsp_entry *a, const struct ocsp_entry *b,
                           const struct ocsp_now *now)
{
    int rank = rank_of(a, now) - rank_of(b, now);

    if (rank != 0)
        return rank < 0;
    if (a->not_before_ms != b->not_before_ms)
        return a->not_before_ms < b->not_before_ms;
    return a->refresh_at_ms < b->refresh_at_ms;
}

struct ocsp_entry *ocsp_table_take(struct ocsp_table *t, const struct ocsp_now *now)
{
    struct ocsp_entry *best = NULL;

    for (uint32_t i = 0; i < t->n; i++) {
        struct ocsp_entry *e = &t->v[i];

        if (ocsp_entry_wait_ms(e, now) == 0 && (best == NULL || is_more_urgent(e, best, now)))
            best = e;
    }
    if (best == NULL)
        return NULL;
    best->busy = true;
    if (best->host != NULL)
        best->host->busy++;
    return best;
}

int64_t ocsp_table_wait_ms(const struct ocsp_table *t, const struct ocsp_now *now)
{
    int64_t least_ms = OCSP_NEVER;

    for (uint32_t i = 0; i < t->n; i++) {
        int64_t wait_ms = ocsp_entry_wait_ms(&t->v[i], now);

        if (wait_ms < least_ms)
            least_ms = wait_ms;
    }
    return least_ms;
}

/* ---- What came of it ---- */

/* One that answers again: nobody waits any longer because it did not. */
static void settle_host(struct ocsp_table *t, struct ocsp_host *host, enum ocsp_outcome outcome,
                        const struct ocsp_now *now)
{
    if (!ocsp_host_settle(host, outcome, now->mono_ms, now->random))
        return;
    for (uint32_t i = 0; i < t->n; i++)
        if (t->v[i].host == host)
            t->v[i].not_before_ms = 0;
}

static void settle_good(struct ocsp_entry *e, enum ocsp_outcome outcome, const struct ocsp_now *now)
{
    e->failures = 0;
    e->not_before_ms = 0;
    look_at_staple(e, now);
    if (outcome == STAPLE_REVOKED || e->good_until_ms == 0)
        e->refresh_at_ms = now->wall_ms + REVOKED_AGAIN_MS;
}

struct ocsp_entry *ocsp_table_settle(struct ocsp_table *t, const struct ocsp_settled *what,
                                     const struct ocsp_now *now)
{
    struct ocsp_entry *e = ocsp_table_find(t, what->slot);

    ocsp_slot_tried(what->slot, what->outcome, now->wall_ms);
    if (what->host != NULL)
        settle_host(t, what->host, what->outcome, now);
    if (e == NULL)
        return NULL;
    e->busy = false;
    e->tried = true;
    share_staple(e, what->slot);
    if (what->outcome == STAPLE_GOOD || what->outcome == STAPLE_REVOKED) {
        settle_good(e, what->outcome, now);
    } else {
        e->failures++;
        e->not_before_ms = now->mono_ms + ocsp_plan_retry_ms(e->failures, now->random);
    }
    announce_next_try(e, now);
    return e;
}

struct ocsp_totals ocsp_table_totals(const struct ocsp_table *t, const struct ocsp_now *now)
{
    struct ocsp_totals totals = {.all = t->n};

    for (uint32_t i = 0; i < t->n; i++) {
        const struct ocsp_entry *e = &t->v[i];
        bool good = has_staple(e, now);

        totals.good += good;
        totals.revoked += ocsp_slot_state(e->slots[0]).revoked;
        totals.must_staple_missing += e->must_staple && !good;
    }
    return totals;
}
