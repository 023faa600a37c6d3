/* The wheel against a model: a plain array in which the earliest timer is looked for. The hand is
 * moved by steps and by leaps; callbacks arm and cancel at will. */
#include "unit_test.h"

#include <sallyport/base/compiler.h>
#include <sallyport/event/timer_wheel.h>

#include <stdlib.h>

#define N_TIMERS 400
#define NEVER    INT64_MAX
/* The farthest that a timer can lie ahead without being clamped. */
#define SPAN_MS  ((INT64_C(1) << 32) - 1)

struct model_timer {
    struct timer timer;
    int64_t due_ms;     /* when it shall be called; NEVER: not armed */
    unsigned first_run; /* armed for a time that had come: the next run calls it, not this one */
};

static struct timer_wheel wheel;
static struct model_timer timers[N_TIMERS];
static uint64_t seed;
static unsigned n_called, n_runs;
static bool callbacks_meddle;

/* xorshift64: the same sequence on every run. */
static uint64_t random_bits(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed;
}

static int64_t random_below(int64_t n)
{
    return (int64_t)(random_bits() % (uint64_t)n);
}

/* Every scale of the wheel equally often: within a slot, a level, several levels, past the top. */
static int64_t random_span(void)
{
    static const int64_t scales[] = {4, 300, 70000, 20000000, INT64_C(6000000000)};

    return random_below(scales[random_below((int64_t)SP_COUNT_OF(scales))]);
}

static struct model_timer *random_timer(void)
{
    return &timers[random_below(N_TIMERS)];
}

/* Of those that the run may call. */
static struct model_timer *earliest_for(unsigned run)
{
    struct model_timer *first = NULL;

    for (size_t i = 0; i < N_TIMERS; i++)
        if (timers[i].due_ms != NEVER && timers[i].first_run <= run &&
            (first == NULL || timers[i].due_ms < first->due_ms))
            first = &timers[i];
    return first;
}

static struct model_timer *earliest(void)
{
    return earliest_for(n_runs + 1);
}

static void arm(struct model_timer *m, int64_t deadline_ms)
{
    timer_arm(&wheel, &m->timer, deadline_ms);
    m->due_ms = deadline_ms > wheel.now_ms ? deadline_ms : wheel.now_ms;
    m->first_run = deadline_ms > wheel.now_ms ? 0 : n_runs + 1;
    assert_true(timer_is_armed(&m->timer));
}

static void cancel(struct model_timer *m)
{
    timer_cancel(&wheel, &m->timer);
    m->due_ms = NEVER;
    assert_false(timer_is_armed(&m->timer));
}

static void called(struct timer *t)
{
    struct model_timer *m = container_of(t, struct model_timer, timer);

    assert_false(timer_is_armed(t));
    assert_true(m->due_ms != NEVER);
    if (m->first_run == 0)
        assert_int_equal(m->due_ms, wheel.now_ms);
    assert_int_equal(m->due_ms, earliest_for(n_runs)->due_ms);
    m->due_ms = NEVER;
    n_called++;
    if (!callbacks_meddle)
        return;
    if (random_below(3) == 0)
        arm(m, wheel.now_ms + random_span() - 2);
    if (random_below(4) == 0)
        cancel(random_timer());
    if (random_below(4) == 0)
        arm(random_timer(), wheel.now_ms + random_span());
}

static void start(int64_t now_ms, bool meddle)
{
    seed = UINT64_C(0x9E3779B97F4A7C15);
    n_called = n_runs = 0;
    callbacks_meddle = meddle;
    timer_wheel_init(&wheel, now_ms);
    for (size_t i = 0; i < N_TIMERS; i++) {
        timer_init(&timers[i].timer, called);
        timers[i].due_ms = NEVER;
    }
}

static void run_to(int64_t now_ms)
{
    unsigned before = n_called;
    const struct model_timer *first;
    unsigned n;

    n_runs++;
    n = timer_wheel_run(&wheel, now_ms);
    first = earliest_for(n_runs);
    assert_int_equal(n, n_called - before);
    assert_int_equal(wheel.now_ms, now_ms);
    assert_true(first == NULL || first->due_ms > now_ms);
}

/* A loop that sleeps as long as it is told must not come too late. */
static void check_wait(int64_t now_ms)
{
    int wait_ms = timer_wheel_wait_ms(&wheel, now_ms);
    const struct model_timer *first = earliest();

    if (first == NULL) {
        assert_int_equal(wait_ms, -1);
        return;
    }
    assert_true(wait_ms >= 0);
    assert_true(wait_ms == 0 || now_ms + wait_ms <= first->due_ms);
}

static void random_operations(int64_t start_ms, bool meddle)
{
    int64_t now_ms = start_ms;

    start(start_ms, meddle);
    for (int i = 0; i < 60000; i++) {
        switch (random_below(5)) {
        case 0:
        case 1: arm(random_timer(), now_ms + random_span() - 2); break;
        case 2: cancel(random_timer()); break;
        default:
            now_ms += random_span() / (1 + random_below(50));
            check_wait(now_ms);
            run_to(now_ms);
            break;
        }
        check_wait(now_ms);
    }
    assert_true(n_called > 10000);
}

static void random_operations_do_what_a_sorted_list_does(void **state)
{
    (void)state;
    random_operations(0, false);
    random_operations(INT64_C(987654321987), false);
}

static void callbacks_may_arm_and_cancel_any_timer(void **state)
{
    (void)state;
    random_operations(12345, true);
}

/* Deadlines just before, on and after each border at which timers move down a level, seen from just
 * before, on and after a border. */
static void timers_at_the_borders_of_the_levels_are_called_on_time(void **state)
{
    (void)state;
    for (unsigned from_level = 0; from_level <= 4; from_level++) {
        for (unsigned to_level = 1; to_level <= 4; to_level++) {
            int64_t from = (INT64_C(3) << (from_level * TIMER_WHEEL_BITS));
            int64_t to = (INT64_C(1) << (to_level * TIMER_WHEEL_BITS));

            for (int64_t offset = -2; offset <= 2; offset++) {
                start(from + offset, false);
                for (int64_t i = 0; i < 10; i++)
                    arm(&timers[i], (from / to + 1 + i % 2) * to + i / 2 - 2);
                for (const struct model_timer *m = earliest(); m != NULL; m = earliest()) {
                    int64_t due_ms = m->due_ms;

                    run_to(due_ms - 1);
                    run_to(due_ms);
                }
                assert_int_equal(n_called, 10);
            }
        }
    }
}

static void one_leap_over_every_border_calls_everything_in_order(void **state)
{
    (void)state;
    start(250, false);
    for (size_t i = 0; i < N_TIMERS; i++)
        arm(&timers[i], 250 + random_span());
    run_to(INT64_C(1) << 40);
    assert_int_equal(n_called, N_TIMERS);
    assert_int_equal(timer_wheel_wait_ms(&wheel, INT64_C(1) << 40), -1);
}

static void a_deadline_past_the_top_is_called_on_time_and_not_before(void **state)
{
    static const int64_t far_ms[] = {SPAN_MS - 1, SPAN_MS,         SPAN_MS + 1,
                                     SPAN_MS * 2, SPAN_MS * 3 + 7, INT64_C(1) << 50};

    (void)state;
    start(77, false);
    for (size_t i = 0; i < SP_COUNT_OF(far_ms); i++) {
        int64_t deadline_ms = wheel.now_ms + far_ms[i];

        arm(&timers[i], deadline_ms);
        run_to(deadline_ms - 1);
        assert_int_equal(n_called, i);
        run_to(deadline_ms);
        assert_int_equal(n_called, i + 1);
    }
    arm(&timers[0], INT64_MAX - 1);
    run_to(wheel.now_ms + (INT64_C(1) << 34));
    assert_true(timer_is_armed(&timers[0].timer));
}

/* What a loop does: sleep as long as told, run, again. It arrives at the deadline exactly, and the
 * sleeps that were too short are few: at most a stop a level, and one a round of the top. */
static void sleeping_as_told_arrives_in_a_few_steps(void **state)
{
    (void)state;
    start(1, false);
    for (int i = 0; i < 2000; i++) {
        int64_t deadline_ms = wheel.now_ms + 1 + random_span();
        int steps = 0;

        arm(&timers[0], deadline_ms);
        for (; timers[0].due_ms != NEVER; steps++)
            run_to(wheel.now_ms + timer_wheel_wait_ms(&wheel, wheel.now_ms));
        assert_int_equal(wheel.now_ms, deadline_ms);
        assert_true(steps <= 10);
    }
}

static void called_in_order(struct timer *t)
{
    assert_ptr_equal(t, &timers[n_called].timer);
    called(t);
}

static void the_same_moment_is_called_in_the_order_of_arming(void **state)
{
    (void)state;
    start(0, false);
    for (int i = 0; i < 10; i++)
        arm(&timers[i], 70000);
    run_to(69999);
    for (int i = 0; i < 10; i++)
        timers[i].timer.fn = called_in_order;
    run_to(70000);
    assert_int_equal(n_called, 10);
}

static void arming_again_moves_a_timer(void **state)
{
    (void)state;
    start(0, false);
    arm(&timers[0], 100);
    arm(&timers[0], 5);
    assert_int_equal(wheel.n_armed, 1);
    run_to(5);
    assert_int_equal(n_called, 1);
    run_to(200);
    assert_int_equal(n_called, 1);
    assert_int_equal(wheel.n_armed, 0);
}

static void cancelling_what_is_not_armed_is_harmless(void **state)
{
    (void)state;
    start(0, false);
    cancel(&timers[0]);
    arm(&timers[0], 5);
    cancel(&timers[0]);
    cancel(&timers[0]);
    assert_int_equal(wheel.n_armed, 0);
    assert_int_equal(timer_wheel_wait_ms(&wheel, 0), -1);
    run_to(10);
    assert_int_equal(n_called, 0);
}

struct owner {
    struct timer timer;
    struct owner **others; /* two that are due with this one */
};

static void free_all_of_this_moment(struct timer *t)
{
    struct owner *mine = container_of(t, struct owner, timer);
    struct owner **others = mine->others;

    for (int i = 0; i < 3; i++) {
        timer_cancel(&wheel, &others[i]->timer);
        free(others[i]);
    }
    n_called++;
}

static void a_callback_may_free_owners_that_are_due_with_it(void **state)
{
    struct owner *owners[3];

    (void)state;
    start(0, false);
    for (int i = 0; i < 3; i++) {
        owners[i] = malloc(sizeof(*owners[i]));
        owners[i]->others = owners;
        timer_init(&owners[i]->timer, free_all_of_this_moment);
        timer_arm(&wheel, &owners[i]->timer, 300);
    }
    assert_int_equal(timer_wheel_run(&wheel, 1000), 1);
    assert_int_equal(wheel.n_armed, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_operations_do_what_a_sorted_list_does),
        cmocka_unit_test(callbacks_may_arm_and_cancel_any_timer),
        cmocka_unit_test(timers_at_the_borders_of_the_levels_are_called_on_time),
        cmocka_unit_test(one_leap_over_every_border_calls_everything_in_order),
        cmocka_unit_test(a_deadline_past_the_top_is_called_on_time_and_not_before),
        cmocka_unit_test(sleeping_as_told_arrives_in_a_few_steps),
        cmocka_unit_test(the_same_moment_is_called_in_the_order_of_arming),
        cmocka_unit_test(arming_again_moves_a_timer),
        cmocka_unit_test(cancelling_what_is_not_armed_is_harmless),
        cmocka_unit_test(a_callback_may_free_owners_that_are_due_with_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
