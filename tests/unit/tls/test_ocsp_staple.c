#include "failing_alloc.h"
#include "ocsp_staple.h"
#include "ocsp_world.h"

#define WORLD struct ocsp_world *w = *state

static enum ocsp_outcome read_at(const struct ocsp_world *w, struct view der, int64_t now_ms)
{
    struct ocsp_staple *staple = NULL;
    enum ocsp_outcome outcome = ocsp_staple_read(&w->subject, der, now_ms, &staple);

    assert_int_equal(staple != NULL, outcome == STAPLE_GOOD || outcome == STAPLE_REVOKED);
    ocsp_staple_unref(staple);
    assert_int_equal(ERR_peek_error(), 0);
    return outcome;
}

static void assert_outcome(const struct ocsp_world *w, const struct ocsp_recipe *recipe,
                           enum ocsp_outcome expected)
{
    struct view der = response_new(w, recipe);
    enum ocsp_outcome outcome = read_at(w, der, w->now_ms);

    free((void *)(uintptr_t)der.p);
    if (outcome != expected)
        fail_msg("%s instead of %s", ocsp_outcome_label(outcome), ocsp_outcome_label(expected));
}

static void a_good_response_is_taken_as_it_is(void **state)
{
    WORLD;
    struct view der = response_new(w, &(struct ocsp_recipe){0});
    struct ocsp_staple *staple = NULL;

    assert_int_equal(ocsp_staple_read(&w->subject, der, w->now_ms, &staple), STAPLE_GOOD);
    assert_false(staple->revoked);
    assert_int_equal(staple->len, der.len);
    assert_memory_equal(staple->der, der.p, der.len);
    assert_in_range(w->now_ms - staple->this_update_ms, 2 * DAY_S * 1000 - 5000,
                    2 * DAY_S * 1000 + 5000);
    assert_in_range(staple->next_update_ms - w->now_ms, 8 * DAY_S * 1000LL - 5000,
                    8 * DAY_S * 1000LL + 5000);
    ocsp_staple_unref(staple);
    free((void *)(uintptr_t)der.p);
}

static void the_certificate_may_be_identified_by_another_digest(void **state)
{
    WORLD;

    assert_outcome(w, &(struct ocsp_recipe){.id_digest = EVP_sha256()}, STAPLE_GOOD);
    assert_outcome(w, &(struct ocsp_recipe){.id_digest = EVP_sha512()}, STAPLE_GOOD);
    assert_outcome(w, &(struct ocsp_recipe){.id_digest = EVP_md5()}, STAPLE_OTHER);
}

static void a_delegated_responder_signs_for_its_issuer(void **state)
{
    WORLD;

    assert_outcome(w, &(struct ocsp_recipe){.by = w->responder, .by_key = w->responder_key},
                   STAPLE_GOOD);
}

static void a_certificate_that_is_no_responders_does_not(void **state)
{
    WORLD;

    assert_outcome(w, &(struct ocsp_recipe){.by = w->false_responder, .by_key = w->responder_key},
                   STAPLE_SIGNATURE);
    assert_outcome(w, &(struct ocsp_recipe){.by = w->leaf, .by_key = w->leaf_key},
                   STAPLE_SIGNATURE);
}

static void another_authority_of_the_same_name_does_not(void **state)
{
    WORLD;

    assert_outcome(w, &(struct ocsp_recipe){.by = w->other_ca, .by_key = w->other_key},
                   STAPLE_SIGNATURE);
}

static void a_responder_whose_certificate_has_expired_does_not(void **state)
{
    WORLD;
    const struct cert_recipe expired = {.common_name = "responder",
                                        .days_from = -10,
                                        .days_to = -1,
                                        .issuer = w->ca,
                                        .issuer_key = w->ca_key};
    X509 *responder = cert_new(&expired, w->responder_key);

    cert_extend(responder, NID_ext_key_usage, "OCSPSigning", w->ca_key);
    assert_outcome(w, &(struct ocsp_recipe){.by = responder, .by_key = w->responder_key},
                   STAPLE_SIGNATURE);
    X509_free(responder);
}

static void a_response_about_another_certificate_is_refused(void **state)
{
    WORLD;

    assert_outcome(w, &(struct ocsp_recipe){.about = w->responder}, STAPLE_OTHER);
}

static void a_response_about_several_certificates_is_searched(void **state)
{
    WORLD;
    const struct ocsp_recipe about[] = {
        {.about = w->responder, .status = V_OCSP_CERTSTATUS_REVOKED}, {.about = w->leaf}};
    struct view der = response_of(w, about, 2);

    assert_int_equal(read_at(w, der, w->now_ms), STAPLE_GOOD);
    free((void *)(uintptr_t)der.p);
}

static void revoked_and_unknown_are_told_apart(void **state)
{
    WORLD;

    assert_outcome(w, &(struct ocsp_recipe){.status = V_OCSP_CERTSTATUS_REVOKED}, STAPLE_REVOKED);
    assert_outcome(w, &(struct ocsp_recipe){.status = V_OCSP_CERTSTATUS_UNKNOWN}, STAPLE_UNKNOWN);
}

static void dates_are_held_against_the_clock(void **state)
{
    WORLD;

    assert_outcome(w, &(struct ocsp_recipe){.this_s = -2 * DAY_S, .next_s = -60}, STAPLE_DATES);
    assert_outcome(w, &(struct ocsp_recipe){.this_s = 3600, .next_s = 7200}, STAPLE_DATES);
    assert_outcome(w, &(struct ocsp_recipe){.this_s = 60, .next_s = 7200}, STAPLE_GOOD);
    assert_outcome(w, &(struct ocsp_recipe){.this_s = 120, .next_s = 60}, STAPLE_DATES);
}

static void without_a_next_update_it_is_good_for_a_day(void **state)
{
    WORLD;
    struct view der =
        response_new(w, &(struct ocsp_recipe){.this_s = -60, .next_s = 1, .no_next = true});

    assert_int_equal(read_at(w, der, w->now_ms), STAPLE_GOOD);
    assert_int_equal(read_at(w, der, w->now_ms + (DAY_S - 120) * 1000LL), STAPLE_GOOD);
    assert_int_equal(read_at(w, der, w->now_ms + DAY_S * 1000LL), STAPLE_DATES);
    free((void *)(uintptr_t)der.p);
}

static void a_responder_that_refuses_is_told_apart(void **state)
{
    WORLD;

    assert_outcome(w, &(struct ocsp_recipe){.response_status = OCSP_RESPONSE_STATUS_TRYLATER},
                   STAPLE_REFUSED);
    assert_outcome(w, &(struct ocsp_recipe){.response_status = OCSP_RESPONSE_STATUS_UNAUTHORIZED},
                   STAPLE_REFUSED);
}

static void every_cut_and_every_changed_byte_is_refused(void **state)
{
    WORLD;
    struct view der = response_new(w, &(struct ocsp_recipe){0});
    char *bytes = (char *)(uintptr_t)der.p;

    for (size_t len = 0; len < der.len; len++)
        assert_int_equal(read_at(w, view_head(der, len), w->now_ms), STAPLE_MALFORMED);
    for (size_t i = 0; i < der.len; i++) {
        bytes[i] ^= 1;
        assert_int_not_equal(read_at(w, der, w->now_ms), STAPLE_GOOD);
        bytes[i] ^= 1;
    }
    assert_int_equal(read_at(w, der, w->now_ms), STAPLE_GOOD);
    free(bytes);
}

static void what_follows_a_response_makes_it_none(void **state)
{
    WORLD;
    struct view der = response_new(w, &(struct ocsp_recipe){0});
    char *longer = realloc((void *)(uintptr_t)der.p, der.len + 1);

    longer[der.len] = 0;
    assert_int_equal(read_at(w, (struct view){longer, der.len + 1}, w->now_ms), STAPLE_MALFORMED);
    free(longer);
}

static void without_the_issuer_nothing_can_be_verified(void **state)
{
    WORLD;
    struct view der = response_new(w, &(struct ocsp_recipe){0});
    struct ocsp_subject alone;
    struct ocsp_staple *staple = NULL;

    assert_true(ocsp_subject_init(&alone, w->leaf, NULL));
    assert_int_equal(ocsp_staple_read(&alone, der, w->now_ms, &staple), STAPLE_NO_RESPONDER);
    ocsp_subject_fini(&alone);
    free((void *)(uintptr_t)der.p);
}

static void a_failed_allocation_is_told(void **state)
{
    WORLD;
    struct view der = response_new(w, &(struct ocsp_recipe){0});
    struct ocsp_staple *staple = NULL;

    failing_alloc_arm(0);
    assert_int_equal(ocsp_staple_read(&w->subject, der, w->now_ms, &staple), STAPLE_NOMEM);
    assert_true(failing_alloc_hit());
    assert_null(staple);
    free((void *)(uintptr_t)der.p);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, world_setup, world_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_good_response_is_taken_as_it_is),
        TEST(the_certificate_may_be_identified_by_another_digest),
        TEST(a_delegated_responder_signs_for_its_issuer),
        TEST(a_certificate_that_is_no_responders_does_not),
        TEST(another_authority_of_the_same_name_does_not),
        TEST(a_responder_whose_certificate_has_expired_does_not),
        TEST(a_response_about_another_certificate_is_refused),
        TEST(a_response_about_several_certificates_is_searched),
        TEST(revoked_and_unknown_are_told_apart),
        TEST(dates_are_held_against_the_clock),
        TEST(without_a_next_update_it_is_good_for_a_day),
        TEST(a_responder_that_refuses_is_told_apart),
        TEST(every_cut_and_every_changed_byte_is_refused),
        TEST(what_follows_a_response_makes_it_none),
        TEST(without_the_issuer_nothing_can_be_verified),
        TEST(a_failed_allocation_is_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
