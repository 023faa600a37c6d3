/* The arena: aligned, zeroed, and nothing left behind, also when memory runs out. */
#include "failing_alloc.h"
#include "unit_test.h"

#include <sallyport/base/arena.h>

#include <stdalign.h>

static void objects_are_zeroed_aligned_and_apart(void **state)
{
    struct arena a;
    unsigned char *objects[200];

    (void)state;
    arena_init(&a);
    for (size_t i = 0; i < SP_COUNT_OF(objects); i++) {
        objects[i] = arena_alloc(&a, i + 1);
        assert_non_null(objects[i]);
        assert_int_equal((uintptr_t)objects[i] % alignof(max_align_t), 0);
        for (size_t k = 0; k <= i; k++)
            assert_int_equal(objects[i][k], 0);
        memset(objects[i], (int)i, i + 1);
    }
    for (size_t i = 0; i < SP_COUNT_OF(objects); i++)
        for (size_t k = 0; k <= i; k++)
            assert_int_equal(objects[i][k], (unsigned char)i);
    assert_int_equal(a.used_bytes, 200 * 201 / 2);
    arena_fini(&a);
}

static void a_copy_has_a_nul_that_its_length_does_not_count(void **state)
{
    struct arena a;
    struct view copy, empty;

    (void)state;
    arena_init(&a);
    copy = arena_copy(&a, view_head(view_of("Host: example.org"), 4));
    assert_true(view_eq(copy, VIEW("Host")));
    assert_int_equal(copy.p[4], '\0');
    empty = arena_copy(&a, (struct view){NULL, 0});
    assert_int_equal(empty.len, 0);
    assert_non_null(empty.p);
    assert_int_equal(empty.p[0], '\0');
    assert_int_equal(a.used_bytes, 6);
    arena_fini(&a);
}

static void printf_gives_the_whole_text_however_long(void **state)
{
    struct arena a;
    struct view text;

    (void)state;
    arena_init(&a);
    text = arena_printf(&a, "%s:%d", "port", 443);
    assert_true(view_eq(text, VIEW("port:443")));
    assert_int_equal(text.p[text.len], '\0');
    text = arena_printf(&a, "%0*d", 10000, 7);
    assert_int_equal(text.len, 10000);
    assert_int_equal(text.p[9999], '7');
    text = arena_printf(&a, "%s", "");
    assert_int_equal(text.len, 0);
    assert_non_null(text.p);
    arena_fini(&a);
}

static void a_big_object_leaves_the_room_for_small_ones_in_use(void **state)
{
    struct arena a;
    char *big;

    (void)state;
#ifdef SALLYPORT_SANITIZED
    skip(); /* each object has its own chunk there */
#endif
    arena_init(&a);
    failing_alloc_arm(1000);
    assert_non_null(arena_alloc(&a, 10));
    big = arena_alloc(&a, 100000);
    assert_non_null(big);
    memset(big, 1, 100000);
    assert_non_null(arena_alloc(&a, 10));
    assert_false(failing_alloc_hit());
    assert_int_equal(failing_alloc_live(), 2);
    arena_fini(&a);
    assert_int_equal(failing_alloc_live(), 0);
}

static void an_impossible_size_is_out_of_memory(void **state)
{
    volatile size_t huge = SIZE_MAX;
    struct arena a;

    (void)state;
    arena_init(&a);
    assert_null(arena_alloc(&a, huge));
    assert_int_equal(a.used_bytes, 0);
    arena_fini(&a);
}

static void a_finished_arena_can_be_used_again(void **state)
{
    struct arena a;

    (void)state;
    arena_init(&a);
    assert_non_null(arena_alloc(&a, 1));
    arena_fini(&a);
    assert_int_equal(a.used_bytes, 0);
    assert_non_null(arena_alloc(&a, 1));
    arena_fini(&a);
    arena_fini(&a);
}

/* Something of each kind, and enough for several chunks. */
static bool fill(struct arena *a)
{
    for (int i = 0; i < 10; i++) {
        if (arena_alloc(a, 900) == NULL)
            return false;
        if (arena_copy(a, VIEW("a field")).p == NULL)
            return false;
        if (arena_printf(a, "%0*d", 2000, i).p == NULL)
            return false;
    }
    return true;
}

static void the_arena_survives_each_failed_allocation(void **state)
{
    (void)state;
    for (unsigned nth = 0;; nth++) {
        struct arena a;

        arena_init(&a);
        failing_alloc_arm(nth);
        bool filled = fill(&a);
        bool hit = failing_alloc_hit();

        assert_int_equal(filled, !hit);
        if (hit) /* what went before can still be used, and more can be taken */
            assert_true(fill(&a));
        arena_fini(&a);
        assert_int_equal(failing_alloc_live(), 0);
        if (!hit)
            return;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(objects_are_zeroed_aligned_and_apart),
        cmocka_unit_test(a_copy_has_a_nul_that_its_length_does_not_count),
        cmocka_unit_test(printf_gives_the_whole_text_however_long),
        cmocka_unit_test(a_big_object_leaves_the_room_for_small_ones_in_use),
        cmocka_unit_test(an_impossible_size_is_out_of_memory),
        cmocka_unit_test(a_finished_arena_can_be_used_again),
        cmocka_unit_test(the_arena_survives_each_failed_allocation),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
