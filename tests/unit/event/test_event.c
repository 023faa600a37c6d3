/* Scheduled calls, driven by hand on the test's own thread: the inbox, then the timers, with a
 * clock that stands still until a test moves it. */
#include "event_internal.h"
#include "failing_alloc.h"
#include "unit_test.h"

#include <limits.h>
#include <stdlib.h>

#define START_MS 5000

static int64_t fake_ns;

static int64_t fake_mono_ns(void)
{
    return fake_ns;
}

static const struct clock_source fake_clock = {.mono_ns = fake_mono_ns, .wall_ms = fake_mono_ns};

/* A continuation that notes its calls and does one thing in each. */
struct user {
    struct continuation super;
    int n_calls, last_code;
    void *last_data;
    int verdict;
    void (*act)(struct user *u);
    struct event *event; /* what `act` works on */
};

static struct ethread thread;

static int user_handle(struct continuation *c, int event, void *data)
{
    struct user *u = container_of(c, struct user, super);

    u->n_calls++;
    u->last_code = event;
    u->last_data = data;
    if (u->act != NULL)
        u->act(u);
    return u->verdict;
}

static void user_init(struct user *u)
{
    *u = (struct user){.verdict = EVENT_CONT};
    continuation_init(&u->super, "user", user_handle);
}

/* What a turn does, without sleeping. */
static void turn(void)
{
    ethread_take_inbox(&thread);
    ethread_run_timers(&thread);
}

static void advance_ms(int64_t ms)
{
    fake_ns += ms * 1000000;
}

static int setup(void **state)
{
    (void)state;
    clock_set_for_test(&fake_clock);
    fake_ns = (int64_t)START_MS * 1000000;
    if (ethread_init(&thread, NULL, 0) != SP_OK)
        return -1;
    ethread_adopt(&thread);
    failing_alloc_arm(UINT_MAX); /* counts what lives from here on */
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    ethread_fini(&thread);
    ethread_adopt(NULL);
    clock_set_for_test(NULL);
    return failing_alloc_hit() || failing_alloc_live() != 0 ? -1 : 0;
}

static void an_immediate_event_is_called_once_with_its_cookie(void **state)
{
    struct user u;
    int cookie;

    (void)state;
    user_init(&u);
    assert_non_null(schedule_imm_local(&u.super, VC_EVENT_EVICT, &cookie));
    assert_int_equal(u.n_calls, 0);
    assert_int_equal(ethread_wait_ms(&thread), 0);
    turn();
    assert_int_equal(u.n_calls, 1);
    assert_int_equal(u.last_code, VC_EVENT_EVICT);
    assert_ptr_equal(u.last_data, &cookie);
    advance_ms(100000);
    turn();
    assert_int_equal(u.n_calls, 1);
    assert_int_equal(ethread_wait_ms(&thread), -1);
}

static void without_a_cookie_the_event_itself_is_passed(void **state)
{
    const struct event *e;
    struct user u;

    (void)state;
    user_init(&u);
    e = schedule_imm_local(&u.super, EVENT_IMMEDIATE, NULL);
    turn();
    assert_ptr_equal(u.last_data, e);
}

static void an_event_for_later_waits_its_time(void **state)
{
    struct user u;

    (void)state;
    user_init(&u);
    assert_non_null(schedule_in_local(&u.super, 250, EVENT_INTERVAL, NULL));
    turn();
    assert_in_range(ethread_wait_ms(&thread), 1, 250);
    advance_ms(249);
    turn();
    assert_int_equal(u.n_calls, 0);
    advance_ms(1);
    turn();
    assert_int_equal(u.n_calls, 1);
    assert_int_equal(u.last_code, EVENT_INTERVAL);
}

static void an_event_for_a_time_that_has_passed_is_called_in_this_turn(void **state)
{
    struct user u;

    (void)state;
    user_init(&u);
    assert_non_null(ethread_schedule(&thread, &u.super, 1, 0, EVENT_INTERVAL, NULL));
    assert_int_equal(ethread_wait_ms(&thread), 0);
    turn();
    assert_int_equal(u.n_calls, 1);
}

static void a_periodic_event_goes_on_until_its_user_is_done(void **state)
{
    struct user u;

    (void)state;
    user_init(&u);
    assert_non_null(schedule_every_local(&u.super, 10, EVENT_INTERVAL, NULL));
    for (int i = 1; i <= 5; i++) {
        advance_ms(10);
        turn();
        assert_int_equal(u.n_calls, i);
    }
    u.verdict = EVENT_DONE;
    advance_ms(10);
    turn();
    advance_ms(1000);
    turn();
    assert_int_equal(u.n_calls, 6);
    assert_int_equal(failing_alloc_live(), 0);
}

/* After a stall the event is called once, not once for every period missed. */
static void a_periodic_event_does_not_catch_up(void **state)
{
    struct user u;

    (void)state;
    user_init(&u);
    assert_non_null(schedule_every_local(&u.super, 10, EVENT_INTERVAL, NULL));
    advance_ms(1000);
    turn();
    turn();
    assert_int_equal(u.n_calls, 1);
    assert_in_range(ethread_wait_ms(&thread), 1, 10);
}

static void schedule_again(struct user *u)
{
    if (u->n_calls < 5)
        assert_non_null(schedule_imm_local(&u->super, EVENT_IMMEDIATE, NULL));
}

static void one_that_schedules_itself_at_once_does_not_hold_the_loop(void **state)
{
    struct user u;

    (void)state;
    user_init(&u);
    u.act = schedule_again;
    schedule_again(&u);
    for (int i = 1; i <= 5; i++) {
        turn();
        assert_int_equal(u.n_calls, i);
    }
    turn();
    assert_int_equal(u.n_calls, 5);
}

static void a_cancelled_event_is_not_called(void **state)
{
    struct event *imm, *in, *every;
    struct user u;

    (void)state;
    user_init(&u);
    imm = schedule_imm_local(&u.super, EVENT_IMMEDIATE, NULL);
    in = schedule_in_local(&u.super, 5, EVENT_INTERVAL, NULL);
    every = schedule_every_local(&u.super, 5, EVENT_INTERVAL, NULL);
    event_cancel(imm);
    event_cancel(in);
    event_cancel(every);
    assert_int_equal(ethread_wait_ms(&thread), 0); /* the immediate one still takes its turn */
    turn();
    assert_int_equal(failing_alloc_live(), 0);
    advance_ms(1000);
    turn();
    assert_int_equal(u.n_calls, 0);
}

static void cancel_other(struct user *u)
{
    if (u->event != NULL)
        event_cancel(u->event);
    u->event = NULL;
}

static void an_event_may_cancel_another_that_is_due_with_it(void **state)
{
    struct user first, second;

    (void)state;
    user_init(&first);
    user_init(&second);
    first.act = cancel_other;
    assert_non_null(schedule_imm_local(&first.super, EVENT_IMMEDIATE, NULL));
    first.event = schedule_imm_local(&second.super, EVENT_IMMEDIATE, NULL);
    turn();
    assert_non_null(schedule_in_local(&first.super, 7, EVENT_INTERVAL, NULL));
    first.event = schedule_in_local(&second.super, 7, EVENT_INTERVAL, NULL);
    advance_ms(7);
    turn();
    assert_int_equal(first.n_calls, 2);
    assert_int_equal(second.n_calls, 0);
}

static void an_event_may_cancel_itself_in_its_call(void **state)
{
    struct user once, often;

    (void)state;
    user_init(&once);
    user_init(&often);
    once.act = often.act = cancel_other;
    once.event = schedule_imm_local(&once.super, EVENT_IMMEDIATE, NULL);
    often.event = schedule_every_local(&often.super, 5, EVENT_INTERVAL, NULL);
    for (int i = 0; i < 3; i++) {
        advance_ms(5);
        turn();
    }
    assert_int_equal(once.n_calls, 1);
    assert_int_equal(often.n_calls, 1);
    assert_int_equal(failing_alloc_live(), 0);
}

static void cancel_and_free(struct user *u)
{
    event_cancel(u->event);
    free(u);
}

static int handle_and_free(struct continuation *c, int event, void *data)
{
    struct user *u = container_of(c, struct user, super);

    (void)event;
    (void)data;
    cancel_and_free(u);
    return EVENT_CONT;
}

static void a_continuation_may_cancel_and_free_itself_in_a_periodic_call(void **state)
{
    struct user *u = malloc(sizeof(*u));

    (void)state;
    user_init(u);
    u->super.handler = handle_and_free;
    u->event = schedule_every_local(&u->super, 5, EVENT_INTERVAL, NULL);
    advance_ms(5);
    turn();
    advance_ms(5);
    turn();
    assert_int_equal(failing_alloc_live(), 0);
}

/* From elsewhere: the test's thread is none of the event system for a moment. */
static struct event *schedule_from_elsewhere(struct user *u, int64_t at_ms)
{
    struct event *e;

    ethread_adopt(NULL);
    e = ethread_schedule(&thread, &u->super, at_ms, 0, EVENT_IMMEDIATE, NULL);
    ethread_adopt(&thread);
    return e;
}

static void an_event_from_another_thread_comes_through_the_inbox(void **state)
{
    struct user now, later;

    (void)state;
    user_init(&now);
    user_init(&later);
    assert_non_null(schedule_from_elsewhere(&now, 0));
    assert_non_null(schedule_from_elsewhere(&later, START_MS + 20));
    assert_int_equal(ethread_wait_ms(&thread), 0);
    turn();
    assert_int_equal(now.n_calls, 1);
    assert_int_equal(later.n_calls, 0);
    assert_in_range(ethread_wait_ms(&thread), 1, 20);
    advance_ms(20);
    turn();
    assert_int_equal(later.n_calls, 1);
}

static void an_event_cancelled_on_its_way_is_not_called_and_does_not_stay(void **state)
{
    struct user u;

    (void)state;
    user_init(&u);
    event_cancel(schedule_from_elsewhere(&u, 0));
    event_cancel(schedule_from_elsewhere(&u, START_MS + 3600000));
    turn();
    assert_int_equal(u.n_calls, 0);
    assert_int_equal(failing_alloc_live(), 0);
    assert_int_equal(ethread_wait_ms(&thread), -1);
}

static void note_that_the_mutex_is_held(struct user *u)
{
    assert_int_not_equal(pthread_mutex_trylock(u->super.mutex), 0);
}

static void a_busy_continuation_is_called_a_moment_later(void **state)
{
    pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
    struct user u;

    (void)state;
    user_init(&u);
    u.super.mutex = &mutex;
    u.act = note_that_the_mutex_is_held;
    assert_non_null(schedule_imm_local(&u.super, EVENT_IMMEDIATE, NULL));
    assert_int_equal(pthread_mutex_lock(&mutex), 0);
    for (int i = 0; i < 3; i++) {
        turn();
        assert_int_equal(u.n_calls, 0);
        assert_int_equal(ethread_wait_ms(&thread), 1);
        advance_ms(1);
    }
    assert_int_equal(pthread_mutex_unlock(&mutex), 0);
    turn();
    assert_int_equal(u.n_calls, 1);
    assert_int_equal(pthread_mutex_trylock(&mutex), 0); /* and was let go */
    assert_int_equal(pthread_mutex_unlock(&mutex), 0);
}

static void an_event_that_waits_for_a_mutex_can_be_cancelled(void **state)
{
    pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
    struct event *e;
    struct user u;

    (void)state;
    user_init(&u);
    u.super.mutex = &mutex;
    e = schedule_imm_local(&u.super, EVENT_IMMEDIATE, NULL);
    assert_int_equal(pthread_mutex_lock(&mutex), 0);
    turn();
    event_cancel(e);
    assert_int_equal(failing_alloc_live(), 0);
    assert_int_equal(pthread_mutex_unlock(&mutex), 0);
    advance_ms(10);
    turn();
    assert_int_equal(u.n_calls, 0);
}

/* As another thread does it: with the mutex held, and the continuation gone right after. */
static void the_holder_of_the_mutex_may_cancel_from_another_thread(void **state)
{
    pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
    struct user *u = malloc(sizeof(*u));
    struct event *imm, *in;

    (void)state;
    user_init(u);
    u->super.mutex = &mutex;
    imm = schedule_imm_local(&u->super, EVENT_IMMEDIATE, NULL);
    in = schedule_in_local(&u->super, 5, EVENT_INTERVAL, NULL);
    ethread_adopt(NULL);
    assert_int_equal(pthread_mutex_lock(&mutex), 0);
    event_cancel(imm);
    event_cancel(in);
    free(u);
    assert_int_equal(pthread_mutex_unlock(&mutex), 0);
    ethread_adopt(&thread);
    advance_ms(5);
    turn();
    assert_int_equal(failing_alloc_live(), 0);
}

static void without_memory_nothing_is_scheduled(void **state)
{
    struct user u;

    (void)state;
    user_init(&u);
    failing_alloc_arm(0);
    assert_null(schedule_imm_local(&u.super, EVENT_IMMEDIATE, NULL));
    assert_true(failing_alloc_hit());
    failing_alloc_arm(0);
    assert_null(schedule_in_local(&u.super, 5, EVENT_INTERVAL, NULL));
    assert_true(failing_alloc_hit());
    failing_alloc_arm(0);
    assert_null(schedule_from_elsewhere(&u, 0));
    assert_true(failing_alloc_hit());
    failing_alloc_arm(UINT_MAX);
    turn();
    assert_int_equal(u.n_calls, 0);
}

static void events_that_are_still_to_come_go_with_their_thread(void **state)
{
    pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
    struct user u, busy;

    (void)state;
    user_init(&u);
    user_init(&busy);
    busy.super.mutex = &mutex;
    assert_int_equal(pthread_mutex_lock(&mutex), 0);
    assert_non_null(schedule_imm_local(&busy.super, EVENT_IMMEDIATE, NULL));
    turn();
    assert_non_null(schedule_imm_local(&u.super, EVENT_IMMEDIATE, NULL));
    assert_non_null(schedule_in_local(&u.super, 0, EVENT_INTERVAL, NULL));
    assert_non_null(schedule_in_local(&u.super, 70000, EVENT_INTERVAL, NULL));
    assert_non_null(schedule_every_local(&u.super, INT64_C(1) << 40, EVENT_INTERVAL, NULL));
    assert_non_null(schedule_from_elsewhere(&u, 0));
    event_discard_all(&thread);
    assert_int_equal(failing_alloc_live(), 0);
    assert_int_equal(u.n_calls + busy.n_calls, 0);
    assert_int_equal(pthread_mutex_unlock(&mutex), 0);
}

static void a_timer_of_a_longer_lived_owner_is_unlinked_when_its_thread_ends(void **state)
{
    struct timer owned;

    (void)state;
    timer_init(&owned, NULL);
    ethread_timer_arm_in(&thread, &owned, 500);
    event_discard_all(&thread);
    assert_false(timer_is_armed(&owned));
}

#define EVENT_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        EVENT_TEST(an_immediate_event_is_called_once_with_its_cookie),
        EVENT_TEST(without_a_cookie_the_event_itself_is_passed),
        EVENT_TEST(an_event_for_later_waits_its_time),
        EVENT_TEST(an_event_for_a_time_that_has_passed_is_called_in_this_turn),
        EVENT_TEST(a_periodic_event_goes_on_until_its_user_is_done),
        EVENT_TEST(a_periodic_event_does_not_catch_up),
        EVENT_TEST(one_that_schedules_itself_at_once_does_not_hold_the_loop),
        EVENT_TEST(a_cancelled_event_is_not_called),
        EVENT_TEST(an_event_may_cancel_another_that_is_due_with_it),
        EVENT_TEST(an_event_may_cancel_itself_in_its_call),
        EVENT_TEST(a_continuation_may_cancel_and_free_itself_in_a_periodic_call),
        EVENT_TEST(an_event_from_another_thread_comes_through_the_inbox),
        EVENT_TEST(an_event_cancelled_on_its_way_is_not_called_and_does_not_stay),
        EVENT_TEST(a_busy_continuation_is_called_a_moment_later),
        EVENT_TEST(an_event_that_waits_for_a_mutex_can_be_cancelled),
        EVENT_TEST(the_holder_of_the_mutex_may_cancel_from_another_thread),
        EVENT_TEST(without_memory_nothing_is_scheduled),
        EVENT_TEST(events_that_are_still_to_come_go_with_their_thread),
        EVENT_TEST(a_timer_of_a_longer_lived_owner_is_unlinked_when_its_thread_ends),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
