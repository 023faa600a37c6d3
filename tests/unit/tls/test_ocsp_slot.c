#include "failing_alloc.h"
#include "ocsp_slot.h"
#include "ocsp_world.h"

#include <sallyport/base/clock.h>

#include <pthread.h>

struct slot_bed {
    struct ocsp_world *w;
    struct ocsp_slot *slot;
};

static struct ocsp_slot *slot_new(const struct ocsp_world *w)
{
    struct tls_label *name = tls_label_new(VIEW("shop"));
    struct ocsp_slot *slot = ocsp_slot_new(
        &(struct ocsp_slot_options){.leaf = w->leaf, .chain = w->chain, .bundle = name});

    tls_label_unref(name);
    assert_non_null(slot);
    return slot;
}

static int setup(void **state)
{
    struct slot_bed *bed = malloc(sizeof(*bed));

    assert_int_equal(world_setup((void **)&bed->w), 0);
    bed->slot = slot_new(bed->w);
    *state = bed;
    return 0;
}

static int teardown(void **state)
{
    struct slot_bed *bed = *state;
    int rc;

    ocsp_slot_unref(bed->slot);
    rc = world_teardown((void **)&bed->w);
    free(bed);
    return rc;
}

#define BED struct slot_bed *bed = *state

static enum ocsp_outcome offer(const struct slot_bed *bed, const struct ocsp_recipe *recipe)
{
    struct view der = response_new(bed->w, recipe);
    enum ocsp_outcome outcome = ocsp_slot_offer(bed->slot, der, bed->w->now_ms);

    free((void *)(uintptr_t)der.p);
    return outcome;
}

static bool staples(struct ocsp_slot *slot, int64_t now_ms)
{
    struct ocsp_staple *staple = ocsp_slot_staple(slot, now_ms);
    bool has = staple != NULL;

    ocsp_staple_unref(staple);
    return has;
}

static void a_slot_has_nothing_at_first(void **state)
{
    BED;
    struct ocsp_state now = ocsp_slot_state(bed->slot);

    assert_false(staples(bed->slot, bed->w->now_ms));
    assert_false(now.good || now.revoked || now.must_staple);
    assert_int_equal(now.last, STAPLE_NEVER);
    assert_int_equal(now.next_update_ms, 0);
}

static void a_good_response_is_stapled_until_it_is_out_of_date(void **state)
{
    BED;

    assert_int_equal(offer(bed, &(struct ocsp_recipe){0}), STAPLE_GOOD);
    assert_true(staples(bed->slot, bed->w->now_ms));
    assert_true(staples(bed->slot, bed->w->now_ms + (8 * DAY_S - 60) * 1000LL));
    assert_false(staples(bed->slot, bed->w->now_ms + (8 * DAY_S + 60) * 1000LL));
    assert_true(ocsp_slot_state(bed->slot).good);
}

static void a_wrong_response_leaves_the_right_one(void **state)
{
    BED;

    assert_int_equal(offer(bed, &(struct ocsp_recipe){0}), STAPLE_GOOD);
    assert_int_equal(offer(bed, &(struct ocsp_recipe){.about = bed->w->responder}), STAPLE_OTHER);
    assert_int_equal(
        offer(bed, &(struct ocsp_recipe){.by = bed->w->other_ca, .by_key = bed->w->other_key}),
        STAPLE_SIGNATURE);
    assert_int_equal(offer(bed, &(struct ocsp_recipe){.status = V_OCSP_CERTSTATUS_UNKNOWN}),
                     STAPLE_UNKNOWN);
    assert_true(staples(bed->slot, bed->w->now_ms));
}

static void revoked_takes_the_staple_away(void **state)
{
    BED;
    struct ocsp_state now;

    assert_int_equal(offer(bed, &(struct ocsp_recipe){0}), STAPLE_GOOD);
    assert_int_equal(offer(bed, &(struct ocsp_recipe){.status = V_OCSP_CERTSTATUS_REVOKED,
                                                      .this_s = -60,
                                                      .next_s = DAY_S}),
                     STAPLE_REVOKED);
    assert_false(staples(bed->slot, bed->w->now_ms));
    now = ocsp_slot_state(bed->slot);
    assert_true(now.revoked);
    assert_false(now.good);
    /* an older one does not bring it back, a newer one does (certificateHold, RFC 5280 5.3.1) */
    assert_int_equal(offer(bed, &(struct ocsp_recipe){0}), STAPLE_GOOD);
    assert_false(staples(bed->slot, bed->w->now_ms));
    assert_int_equal(offer(bed, &(struct ocsp_recipe){.this_s = -10, .next_s = DAY_S}),
                     STAPLE_GOOD);
    assert_true(staples(bed->slot, bed->w->now_ms));
}

static void revoked_wins_within_a_second(void **state)
{
    BED;

    assert_int_equal(offer(bed, &(struct ocsp_recipe){.this_s = -60, .next_s = DAY_S}),
                     STAPLE_GOOD);
    assert_int_equal(offer(bed, &(struct ocsp_recipe){.status = V_OCSP_CERTSTATUS_REVOKED,
                                                      .this_s = -60,
                                                      .next_s = DAY_S}),
                     STAPLE_REVOKED);
    assert_false(staples(bed->slot, bed->w->now_ms));
}

static void another_slot_of_the_certificate_takes_over(void **state)
{
    BED;
    struct ocsp_slot *other = slot_new(bed->w);

    assert_int_equal(offer(bed, &(struct ocsp_recipe){0}), STAPLE_GOOD);
    ocsp_slot_tried(bed->slot, STAPLE_GOOD, bed->w->now_ms);
    ocsp_slot_copy(other, bed->slot);
    assert_true(staples(other, bed->w->now_ms));
    assert_int_equal(ocsp_slot_state(other).tried_ms, bed->w->now_ms);
    ocsp_slot_unref(other);
    assert_true(staples(bed->slot, bed->w->now_ms));
}

static void failures_in_a_row_are_counted(void **state)
{
    BED;

    ocsp_slot_tried(bed->slot, STAPLE_TIMEOUT, 1);
    ocsp_slot_tried(bed->slot, STAPLE_CONNECT, 2);
    assert_int_equal(ocsp_slot_state(bed->slot).failures, 2);
    assert_int_equal(ocsp_slot_state(bed->slot).last, STAPLE_CONNECT);
    ocsp_slot_tried(bed->slot, STAPLE_GOOD, 3);
    assert_int_equal(ocsp_slot_state(bed->slot).failures, 0);
    assert_int_equal(ocsp_slot_state(bed->slot).tried_ms, 3);
}

static void every_outcome_has_words(void **state)
{
    (void)state;
    for (int i = 0; i < STAPLE_OUTCOME_COUNT; i++) {
        assert_true(strlen(ocsp_outcome_label((enum ocsp_outcome)i)) > 0);
        assert_true(strlen(ocsp_outcome_text((enum ocsp_outcome)i)) > 0);
    }
}

#define N_READERS 3
#define N_SWAPS   300

struct race {
    struct ocsp_slot *slot;
    int64_t now_ms;
    atomic_bool over;
    atomic_uint seen;
};

static void *read_all_the_time(void *arg)
{
    struct race *race = arg;
    unsigned seen = 0;

    while (!atomic_load(&race->over)) {
        struct ocsp_staple *staple = ocsp_slot_staple(race->slot, race->now_ms);

        seen += staple != NULL && staple->len > 0 && staple->der[0] == 0x30;
        ocsp_staple_unref(staple);
    }
    atomic_fetch_add(&race->seen, seen);
    return NULL;
}

/* For ThreadSanitizer above all. */
static void readers_never_see_half_a_swap(void **state)
{
    BED;
    struct race race = {.slot = bed->slot, .now_ms = bed->w->now_ms};
    pthread_t readers[N_READERS];

    for (int i = 0; i < N_READERS; i++)
        assert_int_equal(pthread_create(&readers[i], NULL, read_all_the_time, &race), 0);
    for (long i = 0; i < N_SWAPS; i++)
        assert_int_equal(
            offer(bed, &(struct ocsp_recipe){.this_s = -2 * N_SWAPS + i, .next_s = DAY_S}),
            STAPLE_GOOD);
    atomic_store(&race.over, true);
    for (int i = 0; i < N_READERS; i++)
        assert_int_equal(pthread_join(readers[i], NULL), 0);
    assert_true(atomic_load(&race.seen) > 0);
}

static void failed_allocations_are_survived(void **state)
{
    BED;
    struct tls_label *name = tls_label_new(VIEW("shop"));
    const struct ocsp_slot_options options = {
        .leaf = bed->w->leaf, .chain = bed->w->chain, .bundle = name, .file = VIEW("/x/y.der")};

    for (unsigned n = 0; n < 100; n++) {
        struct ocsp_slot *slot;
        bool hit;

        failing_alloc_arm(n);
        slot = ocsp_slot_new(&options);
        hit = failing_alloc_hit();
        assert_int_equal(slot == NULL, hit);
        ocsp_slot_unref(slot);
        assert_int_equal(failing_alloc_live(), 0);
        if (!hit)
            break;
    }
    tls_label_unref(name);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_slot_has_nothing_at_first),
        TEST(a_good_response_is_stapled_until_it_is_out_of_date),
        TEST(a_wrong_response_leaves_the_right_one),
        TEST(revoked_takes_the_staple_away),
        TEST(revoked_wins_within_a_second),
        TEST(another_slot_of_the_certificate_takes_over),
        TEST(failures_in_a_row_are_counted),
        cmocka_unit_test(every_outcome_has_words),
        TEST(readers_never_see_half_a_swap),
        TEST(failed_allocations_are_survived),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
