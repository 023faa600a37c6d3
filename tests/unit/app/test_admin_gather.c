/* Asking every thread with connections, and those that do not answer in time. */
#include "admin_gather.h"
#include "failing_alloc.h"
#include "unit_test.h"

#include <stdlib.h>

#define N_THREADS 3

static struct {
    struct event_processor *ep;
    struct net_core *core;
} fx;

static const struct net_core_options core_options = {
    .n_net_threads = N_THREADS,
    .default_inactivity_ms = 1000,
    .handshake_budget_ns = 1000,
    .throttle = {.max_connections = 10},
};

static int setup(void **state)
{
    (void)state;
    fx.ep = event_processor_new();
    assert_non_null(fx.ep);
    fx.core = net_core_new(fx.ep, &core_options);
    assert_non_null(fx.core);
    assert_int_equal(event_processor_start(fx.ep), SP_OK);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    event_processor_stop(fx.ep);
    net_core_free(fx.core);
    event_processor_free(fx.ep);
    return 0;
}

struct part {
    int asked;
    char *own;
};

static void answer(struct net_handler *nh, const void *question, void *part)
{
    struct part *p = part;

    assert_ptr_equal(nh->thread, this_ethread());
    p->asked = *(const int *)question;
    p->own = malloc(1);
}

static void part_fini(void *part)
{
    free(((struct part *)part)->own);
}

static void every_thread_answers_once(void **state)
{
    int question = 7;
    struct admin_gather *g =
        admin_gather_new(fx.core, sizeof(struct part), &question, sizeof(question), part_fini);

    (void)state;
    assert_non_null(g);
    assert_true(admin_gather_run(g, answer, 60000));
    assert_int_equal(admin_gather_count(g), N_THREADS);
    for (int i = 0; i < N_THREADS; i++) {
        const struct part *p = admin_gather_part(g, i);

        assert_non_null(p);
        assert_int_equal(p->asked, 7);
        assert_ptr_equal(admin_gather_thread(g, i), fx.ep->threads[i]);
    }
    admin_gather_unref(g);
}

/* ---- A thread that is busy ---- */

static atomic_bool released;

static void wait_for_release(struct net_handler *nh, const void *question, void *part)
{
    if (nh->thread->id == 1)
        while (!atomic_load(&released))
            ;
    answer(nh, question, part);
}

static void one_that_is_late_is_left_out_and_answers_into_its_own_memory(void **state)
{
    int question = 1;
    struct admin_gather *g =
        admin_gather_new(fx.core, sizeof(struct part), &question, sizeof(question), part_fini);

    (void)state;
    assert_non_null(g);
    atomic_store(&released, false);
    assert_false(admin_gather_run(g, wait_for_release, 100));
    assert_null(admin_gather_part(g, 1));
    admin_gather_unref(g);
    atomic_store(&released, true); /* ASan and the leak check see the rest */
}

/* Each thread has begun and has taken what it needs: from here on only this one allocates. */
static void wait_for_all(void)
{
    int question = 1;
    struct admin_gather *g =
        admin_gather_new(fx.core, sizeof(struct part), &question, sizeof(question), part_fini);

    assert_non_null(g);
    assert_true(admin_gather_run(g, answer, 60000));
    admin_gather_unref(g);
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    wait_for_all();
    for (unsigned nth = 0;; nth++) {
        failing_alloc_arm(nth);
        struct admin_gather *g = admin_gather_new(fx.core, sizeof(struct part), "", 1, part_fini);
        bool hit = failing_alloc_hit();

        assert_true((g == NULL) == hit);
        admin_gather_unref(g);
        if (!hit)
            return;
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(every_thread_answers_once),
        TEST(one_that_is_late_is_left_out_and_answers_into_its_own_memory),
        TEST(every_allocation_may_fail),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
