#include "failing_alloc.h"
#include "ticket_register.h"
#include "unit_test.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

static struct ticket_register *new_register(uint32_t n)
{
    struct ticket_register *r = ticket_register_new(n);

    assert_non_null(r);
    return r;
}

static enum ticket_take take(struct ticket_register *r, struct ticket_stamp stamp)
{
    return ticket_register_take(r, stamp.bytes, sizeof(stamp.bytes));
}

static void a_ticket_is_taken_once(void **state)
{
    struct ticket_register *r = new_register(1000);
    struct ticket_stamp a = ticket_register_issue(r), b = ticket_register_issue(r);

    (void)state;
    assert_memory_not_equal(a.bytes, b.bytes, sizeof(a.bytes));
    assert_int_equal(take(r, b), TICKET_TAKEN);
    assert_int_equal(take(r, a), TICKET_TAKEN);
    assert_int_equal(take(r, a), TICKET_USED);
    assert_int_equal(take(r, b), TICKET_USED);
    ticket_register_free(r);
}

static void each_of_the_last_is_known(void **state)
{
    enum { N = 1000, MORE = 7000 };
    static struct ticket_stamp stamps[N];
    struct ticket_register *r = new_register(N);

    (void)state;
    for (int i = 0; i < MORE; i++) { /* several rounds, each ticket unused when it is passed */
        stamps[i % N] = ticket_register_issue(r);
        if (i >= N - 1) {
            assert_int_equal(take(r, stamps[(i + 1) % N]), TICKET_TAKEN);
            assert_int_equal(take(r, stamps[(i + 1) % N]), TICKET_USED);
        }
    }
    ticket_register_free(r);
}

/* Never "not used": what was forgotten may have been. */
static void an_old_ticket_is_forgotten_whether_used_or_not(void **state)
{
    struct ticket_register *r = new_register(64);
    struct ticket_stamp used = ticket_register_issue(r), unused = ticket_register_issue(r);

    (void)state;
    assert_int_equal(take(r, used), TICKET_TAKEN);
    for (int round = 0; round < 5; round++) {
        for (int i = 0; i < 128; i++)
            (void)ticket_register_issue(r);
        assert_int_equal(take(r, used), TICKET_FORGOTTEN);
        assert_int_equal(take(r, unused), TICKET_FORGOTTEN);
    }
    ticket_register_free(r);
}

static void what_others_have_sealed_is_foreign(void **state)
{
    struct ticket_register *r = new_register(64), *other = new_register(64);
    struct ticket_stamp stamp = ticket_register_issue(r), future = stamp;

    (void)state;
    assert_int_equal(take(other, stamp), TICKET_FOREIGN);
    future.bytes[8] ^= 64; /* a number that was not given out yet */
    assert_int_equal(take(r, future), TICKET_FOREIGN);
    memset(future.bytes + 8, 0xff, 8);
    assert_int_equal(take(r, future), TICKET_FOREIGN);
    assert_int_equal(ticket_register_take(r, stamp.bytes, 15), TICKET_FOREIGN);
    assert_int_equal(ticket_register_take(r, NULL, 0), TICKET_FOREIGN);
    assert_int_equal(take(r, stamp), TICKET_TAKEN);
    ticket_register_free(r);
    ticket_register_free(other);
}

static void out_of_memory_is_told(void **state)
{
    (void)state;
    failing_alloc_arm(0);
    assert_null(ticket_register_new(64));
    assert_true(failing_alloc_hit());
}

/* ---- Threads ---- */

enum { THREADS = 4, SHARED = 20000 };

struct race {
    struct ticket_register *r;
    struct ticket_stamp stamps[SHARED];
    atomic_uint taken;
};

static void *take_all(void *arg)
{
    struct race *race = arg;

    for (int i = 0; i < SHARED; i++)
        if (take(race->r, race->stamps[i]) == TICKET_TAKEN)
            atomic_fetch_add(&race->taken, 1);
    return NULL;
}

static void of_many_threads_one_takes_it(void **state)
{
    static struct race race;
    pthread_t threads[THREADS];

    (void)state;
    race.r = new_register(SHARED);
    for (int i = 0; i < SHARED; i++)
        race.stamps[i] = ticket_register_issue(race.r);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, take_all, &race), 0);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    assert_int_equal(atomic_load(&race.taken), SHARED);
    ticket_register_free(race.r);
}

/* Twice each while the others let the register go round. */
static void *issue_and_take(void *arg)
{
    struct race *race = arg;

    for (int i = 0; i < SHARED; i++) {
        struct ticket_stamp stamp = ticket_register_issue(race->r);
        enum ticket_take first = take(race->r, stamp), second = take(race->r, stamp);

        if (first == TICKET_TAKEN && second == TICKET_TAKEN)
            atomic_fetch_add(&race->taken, 1);
    }
    return NULL;
}

static void nothing_is_taken_twice_while_the_register_goes_round(void **state)
{
    static struct race race;
    pthread_t threads[THREADS];

    (void)state;
    race.r = new_register(1);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, issue_and_take, &race), 0);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    assert_int_equal(atomic_load(&race.taken), 0);
    ticket_register_free(race.r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_ticket_is_taken_once),
        cmocka_unit_test(each_of_the_last_is_known),
        cmocka_unit_test(an_old_ticket_is_forgotten_whether_used_or_not),
        cmocka_unit_test(what_others_have_sealed_is_foreign),
        cmocka_unit_test(out_of_memory_is_told),
        cmocka_unit_test(of_many_threads_one_takes_it),
        cmocka_unit_test(nothing_is_taken_twice_while_the_register_goes_round),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
