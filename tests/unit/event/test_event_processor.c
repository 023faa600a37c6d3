/* Threads: made, grouped, started, talked to, stopped. Real ones; whoever waits here waits for a
 * thread to do something, never for time to pass. */
#include "event_internal.h"
#include "failing_alloc.h"
#include "unit_test.h"

#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define FAR_MS ((int64_t)3600 * 1000)

/* What happened on the threads. */
static atomic_int n_calls, n_on_start, n_on_stop, n_wrong_thread;
static _Atomic(struct ethread *) last_thread;

static int count_call(struct continuation *c, int event, void *data)
{
    (void)c;
    (void)event;
    (void)data;
    last_thread = this_ethread();
    n_calls++;
    return EVENT_CONT;
}

static struct continuation counter = {.handler = count_call, .tag = "counter"};

static int setup(void **state)
{
    (void)state;
    n_calls = n_on_start = n_on_stop = n_wrong_thread = 0;
    last_thread = NULL;
    return 0;
}

static void wait_for(atomic_int *value, int at_least)
{
    while (*value < at_least)
        (void)sched_yield();
}

static void spawn(struct event_processor *ep, int type, int n)
{
    assert_int_equal(event_processor_spawn(ep, type, &(struct spawn_options){.n = n}), SP_OK);
}

static void types_are_numbered_and_storage_is_aligned(void **state)
{
    struct event_processor *ep = event_processor_new();
    size_t first, second, third;

    (void)state;
    assert_int_equal(event_processor_register(ep, "ET_A"), ET_CALL + 1);
    assert_int_equal(event_processor_register(ep, "ET_B"), ET_CALL + 2);
    first = event_processor_allocate(ep, 1);
    second = event_processor_allocate(ep, sizeof(max_align_t) + 1);
    third = event_processor_allocate(ep, 8);
    assert_int_equal(first % _Alignof(max_align_t), 0);
    assert_int_equal(second % _Alignof(max_align_t), 0);
    assert_int_equal(third % _Alignof(max_align_t), 0);
    assert_true(second >= first + 1);
    assert_true(third >= second + sizeof(max_align_t) + 1);
    event_processor_free(ep);
}

static void threads_are_named_and_know_their_types(void **state)
{
    struct event_processor *ep = event_processor_new();
    int a = event_processor_register(ep, "ET_A");
    int b = event_processor_register(ep, "ET_B");

    (void)state;
    spawn(ep, a, 2);
    spawn(ep, b, 1);
    assert_int_equal(event_processor_alias(ep, ET_CALL, a), SP_OK);
    assert_int_equal(event_processor_alias(ep, b, a), SP_OK);
    assert_int_equal(ep->n_threads, 3);
    assert_string_equal(ep->groups[a].threads[0]->name, "[ET_A 0]");
    assert_string_equal(ep->groups[a].threads[1]->name, "[ET_A 1]");
    assert_string_equal(ep->groups[b].threads[0]->name, "[ET_B 0]");
    assert_int_equal(ep->groups[b].n, 3);
    assert_ptr_equal(ep->groups[b].threads[2], ep->groups[a].threads[1]);
    assert_ptr_equal(ep->groups[ET_CALL].threads[0], ep->groups[a].threads[0]);
    assert_int_equal(ep->groups[a].threads[0]->types, 1U << a | 1U << b | 1U << ET_CALL);
    assert_int_equal(ep->groups[b].threads[0]->types, 1U << b);
    event_processor_free(ep);
}

static void assigning_goes_round(void **state)
{
    struct event_processor *ep = event_processor_new();
    int a = event_processor_register(ep, "ET_A");
    int seen[3] = {0};

    (void)state;
    spawn(ep, a, 3);
    for (int i = 0; i < 30; i++)
        seen[event_processor_assign(ep, a)->id]++;
    for (int i = 0; i < 3; i++)
        assert_int_equal(seen[i], 10);
    event_processor_free(ep);
}

static void an_event_runs_on_a_thread_of_its_type(void **state)
{
    struct event_processor *ep = event_processor_new();
    int a = event_processor_register(ep, "ET_A");
    int b = event_processor_register(ep, "ET_B");

    (void)state;
    spawn(ep, a, 2);
    spawn(ep, b, 1);
    assert_int_equal(event_processor_start(ep), SP_OK);
    assert_non_null(schedule_imm(ep, &counter, b, EVENT_IMMEDIATE, NULL));
    wait_for(&n_calls, 1);
    assert_ptr_equal(last_thread, ep->groups[b].threads[0]);
    for (int i = 0; i < 50; i++)
        assert_non_null(schedule_imm(ep, &counter, a, EVENT_IMMEDIATE, NULL));
    assert_non_null(schedule_in(ep, &counter, 1, a, EVENT_INTERVAL, NULL));
    assert_non_null(schedule_at(ep, &counter, 1, a, EVENT_INTERVAL, NULL));
    wait_for(&n_calls, 53);
    assert_non_null(schedule_every(ep, &counter, 1, a, EVENT_INTERVAL, NULL));
    wait_for(&n_calls, 60);
    event_processor_stop(ep);
    event_processor_free(ep);
}

/* What a thread is like: nobody's signals, a lower weight, a name, counters of its own. */
static void look_at_thread(struct ethread *t)
{
    char name[16] = "";
    sigset_t mask;

    (void)pthread_sigmask(SIG_SETMASK, NULL, &mask);
    (void)pthread_getname_np(pthread_self(), name, sizeof(name));
    n_wrong_thread += this_ethread() != t;
    n_wrong_thread += sigismember(&mask, SIGTERM) != 1;
    n_wrong_thread += getpriority(PRIO_PROCESS, (id_t)gettid()) != 7;
    n_wrong_thread += strcmp(name, t->name) != 0;
    n_wrong_thread += t->metrics != metrics_mine || metrics_mine == NULL;
    n_on_start++;
}

static void look_at_the_end(struct ethread *t)
{
    n_wrong_thread += this_ethread() != t;
    n_on_stop++;
}

static void a_thread_starts_with_name_weight_and_blocked_signals(void **state)
{
    const struct spawn_options options = {
        .n = 3, .nice = 7, .on_start = look_at_thread, .on_stop = look_at_the_end};
    struct event_processor *ep = event_processor_new();
    int a = event_processor_register(ep, "ET_A");

    (void)state;
    assert_int_equal(event_processor_spawn(ep, a, &options), SP_OK);
    assert_int_equal(event_processor_start(ep), SP_OK);
    event_processor_stop(ep);
    assert_int_equal(n_on_start, 3);
    assert_int_equal(n_on_stop, 3);
    assert_int_equal(n_wrong_thread, 0);
    assert_int_equal(getpriority(PRIO_PROCESS, 0), 0);
    event_processor_free(ep);
}

static void stopping_with_events_pending_leaves_nothing(void **state)
{
    struct event_processor *ep = event_processor_new();
    int a = event_processor_register(ep, "ET_A");

    (void)state;
    spawn(ep, a, 3);
    assert_non_null(schedule_imm(ep, &counter, a, EVENT_IMMEDIATE, NULL)); /* before the start */
    assert_int_equal(event_processor_start(ep), SP_OK);
    for (int i = 0; i < 3000; i++) {
        assert_non_null(schedule_imm(ep, &counter, a, EVENT_IMMEDIATE, NULL));
        assert_non_null(
            schedule_in(ep, &counter, i % 7 == 0 ? FAR_MS : i % 5, a, EVENT_INTERVAL, NULL));
        assert_non_null(schedule_every(ep, &counter, FAR_MS + i, a, EVENT_INTERVAL, NULL));
    }
    event_processor_stop(ep);
    event_processor_free(ep); /* the leak sanitizer looks */
}

/* Threads that send each other items in every turn, up to their last. */
struct ball {
    struct inbox_item item;
    struct ethread *from;
};

static struct event_processor *players;
static atomic_int n_thrown, n_caught;

static void ball_caught(struct inbox_item *item, struct ethread *t)
{
    n_wrong_thread += this_ethread() != t;
    n_caught++;
    free(container_of(item, struct ball, item));
}

static void throwing_turn(struct ethread *t)
{
    for (int i = 0; i < players->n_threads; i++) {
        struct ball *b = malloc(sizeof(*b));

        *b = (struct ball){.item.fn = ball_caught, .from = t};
        n_thrown++;
        ethread_post(players->threads[i], &b->item);
    }
    ethread_take_inbox(t);
}

static void what_threads_send_each_other_in_their_last_turns_arrives(void **state)
{
    int a;

    (void)state;
    for (int round = 0; round < 20; round++) {
        const struct spawn_options options = {.n = 3, .turn = throwing_turn};

        n_thrown = n_caught = 0;
        players = event_processor_new();
        a = event_processor_register(players, "ET_A");
        assert_int_equal(event_processor_spawn(players, a, &options), SP_OK);
        assert_int_equal(event_processor_start(players), SP_OK);
        wait_for(&n_caught, 20);
        event_processor_stop(players);
        assert_int_equal(n_thrown, n_caught);
        event_processor_free(players);
    }
    assert_int_equal(n_wrong_thread, 0);
}

static void *assign_often(void *arg)
{
    struct event_processor *ep = arg;

    for (int i = 0; i < 3000; i++)
        if (schedule_imm(ep, &counter, ET_CALL + 1, EVENT_IMMEDIATE, NULL) == NULL)
            abort();
    return NULL;
}

static void any_thread_may_schedule(void **state)
{
    struct event_processor *ep = event_processor_new();
    int a = event_processor_register(ep, "ET_A");
    pthread_t tids[4];

    (void)state;
    spawn(ep, a, 2);
    assert_int_equal(event_processor_start(ep), SP_OK);
    for (size_t i = 0; i < SP_COUNT_OF(tids); i++)
        assert_int_equal(pthread_create(&tids[i], NULL, assign_often, ep), 0);
    for (size_t i = 0; i < SP_COUNT_OF(tids); i++)
        assert_int_equal(pthread_join(tids[i], NULL), 0);
    wait_for(&n_calls, 12000);
    event_processor_stop(ep);
    assert_int_equal(n_calls, 12000);
    event_processor_free(ep);
}

/* A continuation that several threads call: its count is guarded by nothing but its mutex. */
struct shared {
    struct continuation super;
    int n;
};

static int count_shared(struct continuation *c, int event, void *data)
{
    (void)event;
    (void)data;
    container_of(c, struct shared, super)->n++;
    n_calls++;
    return EVENT_CONT;
}

static void a_mutex_keeps_the_calls_of_two_threads_apart(void **state)
{
    pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
    struct shared shared = {.super = {.handler = count_shared, .mutex = &mutex, .tag = "shared"}};
    struct event_processor *ep = event_processor_new();
    int a = event_processor_register(ep, "ET_A");

    (void)state;
    spawn(ep, a, 2);
    assert_int_equal(event_processor_start(ep), SP_OK);
    for (int i = 0; i < 500; i++)
        assert_non_null(schedule_imm(ep, &shared.super, a, EVENT_IMMEDIATE, NULL));
    wait_for(&n_calls, 500);
    event_processor_stop(ep);
    assert_int_equal(shared.n, 500);
    event_processor_free(ep);
}

static atomic_int n_dedicated_running, n_dedicated_ended;

static int wait_for_the_end(struct continuation *c, int event, void *data)
{
    struct ethread *t = data;
    struct pollfd pfd = {.fd = t->event_fd, .events = POLLIN};

    (void)c;
    n_wrong_thread += event != EVENT_IMMEDIATE || t != this_ethread();
    n_dedicated_running++;
    while (!t->stopping)
        (void)poll(&pfd, 1, -1);
    n_dedicated_ended++;
    return EVENT_DONE;
}

static struct continuation waiter = {.handler = wait_for_the_end, .tag = "waiter"};

static int dedicated_setup(void **state)
{
    n_dedicated_running = n_dedicated_ended = 0;
    return setup(state);
}

static struct ethread *spawn_waiter(struct event_processor *ep)
{
    struct ethread *t = NULL;

    assert_int_equal(event_processor_spawn_dedicated(ep, &waiter, "[WAITER]", &t), SP_OK);
    assert_non_null(t);
    return t;
}

static void dedicated_threads_come_at_any_time_and_end_with_the_others(void **state)
{
    struct event_processor *ep = event_processor_new();

    (void)state;
    spawn(ep, event_processor_register(ep, "ET_A"), 1);
    (void)spawn_waiter(ep);
    assert_int_equal(event_processor_start(ep), SP_OK);
    (void)spawn_waiter(ep);
    wait_for(&n_dedicated_running, 2);
    event_processor_stop(ep);
    assert_int_equal(n_dedicated_ended, 2);
    assert_int_equal(n_wrong_thread, 0);
    event_processor_free(ep);
}

/* The program gives up before its threads start, after a listener had got its own. */
static void dedicated_threads_end_although_the_others_never_started(void **state)
{
    struct event_processor *ep = event_processor_new();

    (void)state;
    spawn(ep, event_processor_register(ep, "ET_A"), 1);
    (void)spawn_waiter(ep);
    event_processor_stop(ep);
    assert_int_equal(n_dedicated_ended, 1);
    event_processor_stop(ep); /* twice is harmless */
    event_processor_free(ep);
}

/* A listener that was opened posts to the threads, and so does its end. */
static void note_on_stop(struct ethread *t)
{
    n_on_stop += this_ethread() == t;
}

static void take_note(struct inbox_item *item, struct ethread *t)
{
    (void)item;
    n_calls += this_ethread() == t;
}

static void what_was_posted_to_threads_that_never_ran_is_let_go(void **state)
{
    struct event_processor *ep = event_processor_new();
    struct inbox_item item = {.fn = take_note};
    int type = event_processor_register(ep, "ET_A");

    (void)state;
    assert_int_equal(
        event_processor_spawn(ep, type, &(struct spawn_options){.n = 2, .on_stop = note_on_stop}),
        SP_OK);
    ethread_post(ep->threads[1], &item);
    event_processor_stop(ep);
    assert_int_equal(n_calls, 1);
    assert_int_equal(n_on_stop, 2);
    assert_null(this_ethread());
    event_processor_stop(ep); /* twice is harmless */
    assert_int_equal(n_on_stop, 2);
    event_processor_free(ep);
}

static void after_the_stop_no_dedicated_thread_is_started(void **state)
{
    struct event_processor *ep = event_processor_new();
    struct ethread *t = NULL;

    (void)state;
    spawn(ep, event_processor_register(ep, "ET_A"), 1);
    assert_int_equal(event_processor_start(ep), SP_OK);
    event_processor_stop(ep);
    assert_int_equal(event_processor_spawn_dedicated(ep, &waiter, "[W]", &t), SP_SHUTTING_DOWN);
    assert_null(t);
    event_processor_free(ep);
}

/* Listeners come and go with the configuration; their threads must not pile up. */
static void released_dedicated_threads_do_not_pile_up(void **state)
{
    struct event_processor *ep = event_processor_new();

    (void)state;
    for (int i = 1; i <= 20 || ep->n_dedicated > 2; i++) {
        struct ethread *t = spawn_waiter(ep);

        event_processor_release_dedicated(ep, t);
        wait_for(&n_dedicated_ended, i);
    }
    event_processor_stop(ep);
    event_processor_free(ep);
}

static enum sp_err build_and_free(void)
{
    struct event_processor *ep = event_processor_new();
    enum sp_err err = SP_NOMEM;
    int a, b;

    if (ep == NULL)
        return err;
    a = event_processor_register(ep, "ET_A");
    b = event_processor_register(ep, "ET_B");
    err = event_processor_spawn(ep, a, &(struct spawn_options){.n = 2});
    if (err == SP_OK)
        err = event_processor_spawn(ep, b, &(struct spawn_options){.n = 1});
    if (err == SP_OK)
        err = event_processor_alias(ep, ET_CALL, a);
    event_processor_free(ep);
    return err;
}

static void building_survives_each_failed_allocation(void **state)
{
    (void)state;
    for (unsigned nth = 0;; nth++) {
        enum sp_err err;

        failing_alloc_arm(nth);
        err = build_and_free();
        assert_int_equal(failing_alloc_live(), 0);
        if (!failing_alloc_hit()) {
            assert_int_equal(err, SP_OK);
            return;
        }
        assert_int_equal(err, SP_NOMEM);
    }
}

static void a_dedicated_thread_survives_each_failed_allocation_of_its_start(void **state)
{
    (void)state;
    for (unsigned nth = 0;; nth++) {
        struct event_processor *ep = event_processor_new();
        struct ethread *t = NULL;
        enum sp_err err;
        bool hit;

        failing_alloc_arm(nth);
        err = event_processor_spawn_dedicated(ep, &waiter, "[WAITER]", &t);
        hit = failing_alloc_hit();
        event_processor_stop(ep);
        event_processor_free(ep);
        if (err == SP_OK) {
            assert_false(hit && t == NULL);
            return;
        }
        assert_int_equal(err, SP_NOMEM);
        assert_null(t);
    }
}

#define PROCESSOR_TEST(name) cmocka_unit_test_setup(name, setup)
#define DEDICATED_TEST(name) cmocka_unit_test_setup(name, dedicated_setup)

int main(void)
{
    const struct CMUnitTest tests[] = {
        PROCESSOR_TEST(types_are_numbered_and_storage_is_aligned),
        PROCESSOR_TEST(threads_are_named_and_know_their_types),
        PROCESSOR_TEST(assigning_goes_round),
        PROCESSOR_TEST(an_event_runs_on_a_thread_of_its_type),
        PROCESSOR_TEST(a_thread_starts_with_name_weight_and_blocked_signals),
        PROCESSOR_TEST(stopping_with_events_pending_leaves_nothing),
        PROCESSOR_TEST(what_threads_send_each_other_in_their_last_turns_arrives),
        PROCESSOR_TEST(any_thread_may_schedule),
        PROCESSOR_TEST(a_mutex_keeps_the_calls_of_two_threads_apart),
        DEDICATED_TEST(dedicated_threads_come_at_any_time_and_end_with_the_others),
        DEDICATED_TEST(dedicated_threads_end_although_the_others_never_started),
        DEDICATED_TEST(what_was_posted_to_threads_that_never_ran_is_let_go),
        DEDICATED_TEST(after_the_stop_no_dedicated_thread_is_started),
        DEDICATED_TEST(released_dedicated_threads_do_not_pile_up),
        PROCESSOR_TEST(building_survives_each_failed_allocation),
        DEDICATED_TEST(a_dedicated_thread_survives_each_failed_allocation_of_its_start),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
