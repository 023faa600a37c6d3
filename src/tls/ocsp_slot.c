#include "ocsp_slot.h"

#include <sallyport/base/clock.h>

#include <sched.h>
#include <stdlib.h>

#define TEXT_OF(id, label, text)  [STAPLE_##id] = (text),
#define LABEL_OF(id, label, text) [STAPLE_##id] = (label),

const char *ocsp_outcome_label(enum ocsp_outcome outcome)
{
    static const char *const labels[] = {OCSP_OUTCOMES(LABEL_OF)};

    return labels[outcome];
}

const char *ocsp_outcome_text(enum ocsp_outcome outcome)
{
    static const char *const texts[] = {OCSP_OUTCOMES(TEXT_OF)};

    return texts[outcome];
}

/* ---- Life ---- */

static bool fill(struct ocsp_slot *slot, const struct ocsp_slot_options *options)
{
    slot->bundle = tls_label_ref(options->bundle);
    slot->file = options->file.len == 0 ? NULL : tls_label_new(options->file);
    return ocsp_subject_init(&slot->subject, options->leaf, options->chain) &&
           (options->file.len == 0 || slot->file != NULL);
}

struct ocsp_slot *ocsp_slot_new(const struct ocsp_slot_options *options)
{
    struct ocsp_slot *slot = calloc(1, sizeof(*slot));

    if (slot == NULL)
        return NULL;
    atomic_init(&slot->refs, 1);
    (void)pthread_mutex_init(&slot->writing, NULL);
    if (fill(slot, options))
        return slot;
    ocsp_slot_unref(slot);
    return NULL;
}

struct ocsp_slot *ocsp_slot_ref(struct ocsp_slot *slot)
{
    atomic_fetch_add_explicit(&slot->refs, 1, memory_order_relaxed);
    return slot;
}

void ocsp_slot_unref(struct ocsp_slot *slot)
{
    if (slot == NULL || atomic_fetch_sub_explicit(&slot->refs, 1, memory_order_acq_rel) != 1)
        return;
    ocsp_staple_unref(atomic_load_explicit(&slot->staple, memory_order_relaxed));
    ocsp_subject_fini(&slot->subject);
    tls_label_unref(slot->bundle);
    tls_label_unref(slot->file);
    (void)pthread_mutex_destroy(&slot->writing);
    free(slot);
}

/* ---- The staple ---- */

/* The writer waits for readers, never the other way round: as in ssl_port_store(). */
static struct ocsp_staple *take(struct ocsp_slot *slot)
{
    struct ocsp_staple *staple;

    atomic_fetch_add(&slot->readers, 1);
    staple = atomic_load(&slot->staple);
    if (staple != NULL)
        (void)ocsp_staple_ref(staple);
    atomic_fetch_sub(&slot->readers, 1);
    return staple;
}

struct ocsp_staple *ocsp_slot_staple(struct ocsp_slot *slot, int64_t now_ms)
{
    struct ocsp_staple *staple;

    if (atomic_load_explicit(&slot->staple, memory_order_relaxed) == NULL)
        return NULL; /* most certificates have none */
    staple = take(slot);
    if (!staple->revoked && staple->next_update_ms > now_ms)
        return staple;
    ocsp_staple_unref(staple);
    return NULL;
}

/* An old "good" does not undo a "revoked", and one of the same second neither. */
static bool is_news(const struct ocsp_staple *now, const struct ocsp_staple *next)
{
    if (now == NULL || next->this_update_ms != now->this_update_ms)
        return now == NULL || next->this_update_ms > now->this_update_ms;
    if (next->revoked != now->revoked)
        return next->revoked;
    return next->next_update_ms > now->next_update_ms;
}

/* Takes the reference. */
static void put(struct ocsp_slot *slot, struct ocsp_staple *staple)
{
    struct ocsp_staple *old;

    (void)pthread_mutex_lock(&slot->writing);
    old = atomic_load(&slot->staple);
    if (!is_news(old, staple)) {
        old = staple;
    } else {
        atomic_store(&slot->staple, staple);
        while (atomic_load(&slot->readers) != 0)
            (void)sched_yield(); /* for as long as a reader needs for three instructions */
    }
    (void)pthread_mutex_unlock(&slot->writing);
    ocsp_staple_unref(old);
}

enum ocsp_outcome ocsp_slot_offer(struct ocsp_slot *slot, struct view der, int64_t now_ms)
{
    struct ocsp_staple *staple = NULL;
    enum ocsp_outcome outcome = ocsp_staple_read(&slot->subject, der, now_ms, &staple);

    if (staple != NULL)
        put(slot, staple);
    return outcome;
}

void ocsp_slot_copy(struct ocsp_slot *slot, struct ocsp_slot *from)
{
    struct ocsp_staple *staple;

    if (slot == from)
        return;
    staple = take(from);
    if (staple != NULL)
        put(slot, staple);
    if (atomic_load(&from->tried_ms) <= atomic_load(&slot->tried_ms))
        return;
    atomic_store_explicit(&slot->tried_ms, atomic_load(&from->tried_ms), memory_order_relaxed);
    atomic_store_explicit(&slot->next_try_ms, atomic_load(&from->next_try_ms),
                          memory_order_relaxed);
    atomic_store_explicit(&slot->failures, atomic_load(&from->failures), memory_order_relaxed);
    atomic_store_explicit(&slot->last, atomic_load(&from->last), memory_order_relaxed);
}

/* ---- What is known of it ---- */

void ocsp_slot_tried(struct ocsp_slot *slot, enum ocsp_outcome outcome, int64_t now_ms)
{
    bool failed = outcome != STAPLE_GOOD && outcome != STAPLE_REVOKED;
    unsigned failures = atomic_load_explicit(&slot->failures, memory_order_relaxed);

    atomic_store_explicit(&slot->failures, failed ? failures + 1 : 0, memory_order_relaxed);
    atomic_store_explicit(&slot->tried_ms, now_ms, memory_order_relaxed);
    atomic_store_explicit(&slot->last, (unsigned char)outcome, memory_order_relaxed);
}

void ocsp_slot_will_try(struct ocsp_slot *slot, int64_t at_ms)
{
    atomic_store_explicit(&slot->next_try_ms, at_ms, memory_order_relaxed);
}

struct ocsp_state ocsp_slot_state(struct ocsp_slot *slot)
{
    struct ocsp_staple *staple = take(slot);
    struct ocsp_state state = {
        .must_staple = slot->subject.must_staple,
        .tried_ms = atomic_load_explicit(&slot->tried_ms, memory_order_relaxed),
        .next_try_ms = atomic_load_explicit(&slot->next_try_ms, memory_order_relaxed),
        .failures = atomic_load_explicit(&slot->failures, memory_order_relaxed),
        .last = atomic_load_explicit(&slot->last, memory_order_relaxed),
    };

    if (staple != NULL) {
        state.revoked = staple->revoked;
        state.good = !staple->revoked && staple->next_update_ms > clock_wall_ms();
        state.this_update_ms = staple->this_update_ms;
        state.next_update_ms = staple->next_update_ms;
    }
    ocsp_staple_unref(staple);
    return state;
}

const uint8_t *ocsp_slot_fingerprint(const struct ocsp_slot *slot)
{
    return slot->subject.fingerprint;
}

bool ocsp_slot_must_staple(const struct ocsp_slot *slot)
{
    return slot->subject.must_staple;
}

bool ocsp_slot_has_issuer(const struct ocsp_slot *slot)
{
    return slot->subject.issuer != NULL;
}

struct view ocsp_slot_url(const struct ocsp_slot *slot)
{
    return slot->subject.url == NULL ? (struct view){NULL, 0} : view_of(slot->subject.url);
}

struct view ocsp_slot_file(const struct ocsp_slot *slot)
{
    return tls_label_view(slot->file);
}

struct view ocsp_slot_bundle(const struct ocsp_slot *slot)
{
    return tls_label_view(slot->bundle);
}

struct view ocsp_slot_request(const struct ocsp_slot *slot)
{
    return ocsp_subject_request(&slot->subject);
}
