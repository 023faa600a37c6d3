/* What is watched. */
#include "failing_alloc.h"
#include "unit_test.h"
#include "watch_places.h"

#include <stdio.h>

static void places_are_found_by_watch_and_name(void **state)
{
    struct watch_places w;

    (void)state;
    watch_places_init(&w);
    assert_null(watch_places_find(&w, 1, "a"));
    assert_null(watch_places_folder(&w, "/a"));
    for (int i = 0; i < 5000; i++) {
        char name[32];

        (void)snprintf(name, sizeof(name), "name-%d", i / 2);
        assert_non_null(watch_places_add(&w, i % 2, name, (uint32_t)i));
    }
    assert_int_equal(w.n_places, 5000);
    assert_int_equal(watch_places_find(&w, 1, "name-1000")->bundle, 2001);
    assert_int_equal(watch_places_find(&w, 0, "name-1000")->bundle, 2000);
    assert_null(watch_places_find(&w, 2, "name-1000"));
    assert_null(watch_places_find(&w, 1, "name-2500"));
    watch_places_fini(&w);
}

static void a_place_of_two_bundles_is_of_all(void **state)
{
    struct watch_places w;

    (void)state;
    watch_places_init(&w);
    assert_int_equal(watch_places_add(&w, 1, "ca.pem", 3)->bundle, 3);
    assert_int_equal(watch_places_add(&w, 1, "ca.pem", 3)->bundle, 3);
    assert_true(watch_places_add(&w, 1, "ca.pem", 4)->bundle == WATCH_ALL);
    assert_true(watch_places_add(&w, 1, "ca.pem", 3)->bundle == WATCH_ALL);
    assert_int_equal(w.n_places, 1);
    watch_places_fini(&w);
}

static void note_left(void *arg, int wd)
{
    int *sum = arg;

    *sum += wd;
}

static void watches_that_nobody_needs_are_told(void **state)
{
    struct watch_places old, now;
    int sum = 0;

    (void)state;
    watch_places_init(&old);
    watch_places_init(&now);
    assert_non_null(watch_places_add_folder(&old, "/a", 1));
    assert_non_null(watch_places_add_folder(&old, "/b", 2));
    assert_non_null(watch_places_add_folder(&old, "/gone", -1));
    assert_non_null(watch_places_add_folder(&now, "/b", 2));
    assert_non_null(watch_places_add_folder(&now, "/d", 4));
    watch_places_left(&old, &now, note_left, &sum);
    assert_int_equal(sum, 1);
    assert_int_equal(watch_places_folder(&now, "/d")->wd, 4);
    watch_places_fini(&old);
    watch_places_fini(&now);
}

static void missing_memory_is_told(void **state)
{
    (void)state;
    for (unsigned nth = 0;; nth++) {
        struct watch_places w;
        bool ok = true;

        failing_alloc_arm(nth);
        watch_places_init(&w);
        for (int i = 0; i < 200 && ok; i++) {
            char name[32];

            (void)snprintf(name, sizeof(name), "/folder-%d", i);
            ok = watch_places_add_folder(&w, name, i) != NULL &&
                 watch_places_add(&w, i, "key", 1) != NULL;
        }
        bool hit = failing_alloc_hit();
        assert_int_equal(ok, !hit);
        watch_places_fini(&w);
        assert_int_equal(failing_alloc_live(), 0);
        if (!hit)
            return;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(places_are_found_by_watch_and_name),
        cmocka_unit_test(a_place_of_two_bundles_is_of_all),
        cmocka_unit_test(watches_that_nobody_needs_are_told),
        cmocka_unit_test(missing_memory_is_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
