/* The intrusive ring. */
#include "unit_test.h"

#include <sallyport/base/list.h>

struct item {
    int value;
    struct list link;
};

/* The members' values as the digits of a number, first to last. */
static int digits(const struct list *head)
{
    struct list *pos;
    int n = 0;

    list_for_each (pos, head)
        n = n * 10 + container_of(pos, struct item, link)->value;
    return n;
}

static void fill(struct list *head, struct item *items, int n)
{
    list_init(head);
    for (int i = 0; i < n; i++) {
        items[i].value = i + 1;
        list_push_back(head, &items[i].link);
    }
}

static void members_keep_the_order_of_their_pushes(void **state)
{
    struct list head;
    struct item items[3];

    (void)state;
    fill(&head, items, 2);
    assert_int_equal(digits(&head), 12);
    items[2].value = 3;
    list_push_front(&head, &items[2].link);
    assert_int_equal(digits(&head), 312);
    assert_ptr_equal(list_first(&head), &items[2].link);
    assert_ptr_equal(list_last(&head), &items[1].link);
}

static void removing_twice_is_harmless(void **state)
{
    struct list head;
    struct item items[3];

    (void)state;
    fill(&head, items, 3);
    list_remove(&items[1].link);
    list_remove(&items[1].link);
    assert_false(list_is_linked(&items[1].link));
    assert_true(list_is_linked(&items[0].link));
    assert_int_equal(digits(&head), 13);
}

static void popping_empties_the_list_in_order(void **state)
{
    struct list head;
    struct item items[2];

    (void)state;
    fill(&head, items, 2);
    assert_ptr_equal(list_pop_front(&head), &items[0].link);
    assert_ptr_equal(list_pop_front(&head), &items[1].link);
    assert_null(list_pop_front(&head));
    assert_null(list_first(&head));
    assert_null(list_last(&head));
    assert_true(list_is_empty(&head));
}

static void the_safe_walk_may_unlink_what_it_stands_on(void **state)
{
    struct list head, *pos, *tmp;
    struct item items[4];

    (void)state;
    fill(&head, items, 4);
    list_for_each_safe (pos, tmp, &head) {
        if (container_of(pos, struct item, link)->value % 2 == 0)
            list_remove(pos);
    }
    assert_int_equal(digits(&head), 13);
}

static void a_splice_moves_all_and_leaves_an_empty_list(void **state)
{
    struct list a, b;
    struct item in_a[2], in_b[2];

    (void)state;
    fill(&a, in_a, 2);
    fill(&b, in_b, 2);
    list_splice_back(&a, &b);
    assert_int_equal(digits(&a), 1212);
    assert_true(list_is_empty(&b));
    list_splice_back(&a, &b);
    assert_int_equal(digits(&a), 1212);
    list_splice_back(&b, &a);
    assert_int_equal(digits(&b), 1212);
    assert_true(list_is_empty(&a));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(members_keep_the_order_of_their_pushes),
        cmocka_unit_test(removing_twice_is_harmless),
        cmocka_unit_test(popping_empties_the_list_in_order),
        cmocka_unit_test(the_safe_walk_may_unlink_what_it_stands_on),
        cmocka_unit_test(a_splice_moves_all_and_leaves_an_empty_list),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
