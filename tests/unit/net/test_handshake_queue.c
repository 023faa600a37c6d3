#include "unit_test.h"

#include <sallyport/net/handshake_queue.h>

static const struct handshake_queue_options options = {
    .max_waiting = 4, .max_open = 100, .target_wait_us = 1000, .max_wait_us = 10000};

struct waiting {
    struct handshake_queue q;
    struct handshake_entry e[8];
};

/* Entry i arrived at 100 * i us; all full handshakes. */
static void fill(struct waiting *w, int n)
{
    handshake_queue_init(&w->q, &options);
    for (int i = 0; i < n; i++) {
        handshake_entry_init(&w->e[i], 100 * i);
        handshake_queue_push(&w->q, &w->e[i], HANDSHAKE_FULL);
    }
}

static void in_time_the_oldest_is_served_first(void **state)
{
    struct waiting w;

    (void)state;
    fill(&w, 3);
    for (int i = 0; i < 3; i++)
        assert_ptr_equal(handshake_queue_pop(&w.q, 500), &w.e[i]);
    assert_false(w.q.overloaded);
    assert_null(handshake_queue_pop(&w.q, 500));
}

static void past_the_target_the_newest_is_served_first(void **state)
{
    struct waiting w;

    (void)state;
    fill(&w, 3);
    assert_ptr_equal(handshake_queue_pop(&w.q, 1001), &w.e[2]);
    assert_true(w.q.overloaded);
    assert_ptr_equal(handshake_queue_pop(&w.q, 1001), &w.e[1]);
    /* What is left has waited long as well: still the newest. */
    assert_ptr_equal(handshake_queue_pop(&w.q, 1001), &w.e[0]);
}

static void it_is_fair_again_when_the_wait_is_short(void **state)
{
    struct waiting w;

    (void)state;
    fill(&w, 3);
    (void)handshake_queue_pop(&w.q, 1001); /* newest first: e[2] */
    handshake_queue_remove(&w.q, &w.e[0]);
    handshake_entry_init(&w.e[3], 300);
    handshake_queue_push(&w.q, &w.e[3], HANDSHAKE_FULL);
    assert_ptr_equal(handshake_queue_pop(&w.q, 1050), &w.e[1]); /* has waited 950 */
    assert_false(w.q.overloaded);
}

static void resumptions_go_first_in_either_order(void **state)
{
    struct waiting w;

    (void)state;
    for (int64_t now_us = 500; now_us <= 1500; now_us += 1000) {
        fill(&w, 2);
        handshake_entry_init(&w.e[2], 50);
        handshake_queue_push(&w.q, &w.e[2], HANDSHAKE_RESUMED);
        assert_ptr_equal(handshake_queue_pop(&w.q, now_us), &w.e[2]);
    }
}

static void only_who_waited_too_long_is_stale(void **state)
{
    struct waiting w;

    (void)state;
    fill(&w, 3);
    assert_null(handshake_queue_pop_stale(&w.q, 10000));
    assert_ptr_equal(handshake_queue_pop_stale(&w.q, 10150), &w.e[0]);
    assert_ptr_equal(handshake_queue_pop_stale(&w.q, 10150), &w.e[1]);
    assert_null(handshake_queue_pop_stale(&w.q, 10150));
    assert_int_equal(w.q.n, 1);
}

static void order_of_arrival_holds_however_they_are_pushed(void **state)
{
    struct waiting w;

    (void)state;
    handshake_queue_init(&w.q, &options);
    for (int i = 2; i >= 0; i--) {
        handshake_entry_init(&w.e[i], 100 * i);
        handshake_queue_push(&w.q, &w.e[i], HANDSHAKE_FULL);
    }
    assert_int_equal(handshake_queue_wait_us(&w.q, 500), 500);
    for (int i = 0; i < 3; i++)
        assert_ptr_equal(handshake_queue_pop(&w.q, 500), &w.e[i]);
}

static void full_until_half_of_it_is_gone(void **state)
{
    struct waiting w;

    (void)state;
    fill(&w, 4);
    assert_true(w.q.full);
    (void)handshake_queue_pop(&w.q, 500);
    assert_true(w.q.full);
    (void)handshake_queue_pop(&w.q, 500);
    assert_false(w.q.full);
}

static void an_entry_may_leave_at_any_time(void **state)
{
    struct waiting w;

    (void)state;
    fill(&w, 3);
    handshake_queue_remove(&w.q, &w.e[1]);
    handshake_queue_remove(&w.q, &w.e[1]);
    assert_int_equal(w.q.n, 2);
    assert_ptr_equal(handshake_queue_pop(&w.q, 500), &w.e[0]);
    assert_ptr_equal(handshake_queue_pop(&w.q, 500), &w.e[2]);
    assert_int_equal(handshake_queue_wait_us(&w.q, 500), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(in_time_the_oldest_is_served_first),
        cmocka_unit_test(past_the_target_the_newest_is_served_first),
        cmocka_unit_test(it_is_fair_again_when_the_wait_is_short),
        cmocka_unit_test(resumptions_go_first_in_either_order),
        cmocka_unit_test(only_who_waited_too_long_is_stale),
        cmocka_unit_test(order_of_arrival_holds_however_they_are_pushed),
        cmocka_unit_test(full_until_half_of_it_is_gone),
        cmocka_unit_test(an_entry_may_leave_at_any_time),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
