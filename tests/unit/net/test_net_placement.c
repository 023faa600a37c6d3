#include "net_placement.h"
#include "unit_test.h"

static void the_thread_of_the_same_number_has_it(void **state)
{
    const uint32_t open[] = {100, 100, 100};

    (void)state;
    for (int mate = 0; mate < 3; mate++)
        assert_int_equal(net_placement_choose(open, 3, mate), mate);
}

static void a_few_more_do_not_matter(void **state)
{
    const uint32_t idle[] = {16, 0}, busy[] = {1266, 1000};

    (void)state;
    assert_int_equal(net_placement_choose(idle, 2, 0), 0);
    assert_int_equal(net_placement_choose(busy, 2, 0), 0);
}

static void the_one_with_the_fewest_has_it_when_its_own_has_many_more(void **state)
{
    const uint32_t idle[] = {17, 3, 0}, busy[] = {1267, 1100, 1000};

    (void)state;
    assert_int_equal(net_placement_choose(idle, 3, 0), 2);
    assert_int_equal(net_placement_choose(busy, 3, 0), 2);
    assert_int_equal(net_placement_choose(busy, 3, 1), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_thread_of_the_same_number_has_it),
        cmocka_unit_test(a_few_more_do_not_matter),
        cmocka_unit_test(the_one_with_the_fewest_has_it_when_its_own_has_many_more),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
