/* When files that change are looked at. */
#include "unit_test.h"
#include "watch_pace.h"

static void nothing_is_due_before_something_changes(void **state)
{
    struct watch_pace p = {0};

    (void)state;
    assert_true(watch_pace_due_ms(&p) == WATCH_NEVER);
}

static void changes_are_waited_for_until_it_is_quiet(void **state)
{
    struct watch_pace p = {0};

    (void)state;
    watch_pace_changed(&p, 1000);
    assert_true(watch_pace_due_ms(&p) == 1000 + WATCH_QUIET_MS);
    watch_pace_changed(&p, 1100);
    assert_true(watch_pace_due_ms(&p) == 1100 + WATCH_QUIET_MS);
    assert_false(watch_pace_looked(&p, 1300, true));
    assert_true(watch_pace_due_ms(&p) == WATCH_NEVER);
}

static void changes_without_an_end_are_looked_at_all_the_same(void **state)
{
    struct watch_pace p = {0};

    (void)state;
    for (int64_t now = 1000; now < 1000 + WATCH_MAX_WAIT_MS; now += 100)
        watch_pace_changed(&p, now);
    assert_true(watch_pace_due_ms(&p) == 1000 + WATCH_MAX_WAIT_MS);
}

static void what_fails_is_tried_again_and_told_once(void **state)
{
    struct watch_pace p = {0};
    int64_t now;
    int tries = 0;

    (void)state;
    watch_pace_changed(&p, 0);
    now = watch_pace_due_ms(&p);
    while (!watch_pace_looked(&p, now, false)) {
        assert_true(watch_pace_due_ms(&p) > now);
        now = watch_pace_due_ms(&p);
        assert_true(++tries < 10);
    }
    assert_true(tries >= 3);
    assert_true(now == WATCH_PATIENCE_MS);
    assert_true(watch_pace_due_ms(&p) == WATCH_NEVER);
    watch_pace_changed(&p, now + 1000); /* and then it begins anew */
    assert_true(watch_pace_due_ms(&p) == now + 1000 + WATCH_QUIET_MS);
    assert_false(watch_pace_looked(&p, now + 1200, false));
}

static void a_change_gives_it_more_time(void **state)
{
    struct watch_pace p = {0};

    (void)state;
    watch_pace_changed(&p, 0);
    assert_false(watch_pace_looked(&p, 200, false));
    watch_pace_changed(&p, WATCH_PATIENCE_MS - 100);
    assert_false(watch_pace_looked(&p, WATCH_PATIENCE_MS + 100, false));
    assert_true(watch_pace_due_ms(&p) == WATCH_PATIENCE_MS + 100 + WATCH_RETRY_MS);
}

static void patience_ends(void **state)
{
    struct watch_pace p = {0};
    int64_t now = 0;
    bool told = false;

    (void)state;
    for (; !told && now < 10 * WATCH_GIVE_UP_MS; now += 500) {
        watch_pace_changed(&p, now);
        told = watch_pace_looked(&p, now, false);
    }
    assert_true(told);
    assert_true(now <= WATCH_GIVE_UP_MS + 500);
}

static void what_becomes_good_is_not_told(void **state)
{
    struct watch_pace p = {0};

    (void)state;
    watch_pace_changed(&p, 0);
    assert_false(watch_pace_looked(&p, 200, false));
    assert_false(watch_pace_looked(&p, 1200, true));
    assert_true(watch_pace_due_ms(&p) == WATCH_NEVER);
}

static void postponed_is_not_given_up(void **state)
{
    struct watch_pace p = {0};

    (void)state;
    watch_pace_changed(&p, 0);
    watch_pace_postpone(&p, 70000);
    assert_true(watch_pace_due_ms(&p) == 70000);
    watch_pace_postpone(&p, 71000);
    assert_true(watch_pace_due_ms(&p) == 71000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_due_before_something_changes),
        cmocka_unit_test(changes_are_waited_for_until_it_is_quiet),
        cmocka_unit_test(changes_without_an_end_are_looked_at_all_the_same),
        cmocka_unit_test(what_fails_is_tried_again_and_told_once),
        cmocka_unit_test(a_change_gives_it_more_time),
        cmocka_unit_test(patience_ends),
        cmocka_unit_test(what_becomes_good_is_not_told),
        cmocka_unit_test(postponed_is_not_given_up),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
