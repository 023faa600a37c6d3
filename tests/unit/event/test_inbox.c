/* Four senders and one taker: nothing is lost, nothing comes twice, each sender's items come in
 * order, and the taker is woken exactly once for every batch. */
#include "unit_test.h"

#include <sallyport/base/compiler.h>
#include <sallyport/event/inbox.h>

#include <pthread.h>
#include <sched.h>
#include <stdlib.h>

#define N_SENDERS 4
#define N_ITEMS   50000

struct letter {
    struct inbox_item item;
    int sender;
    int number;
};

struct sender {
    pthread_t tid;
    struct inbox *inbox;
    struct letter *letters;
    int id;
    unsigned n_wakes;
};

static void never_called(struct inbox_item *item, struct ethread *thread)
{
    (void)item;
    (void)thread;
    abort();
}

static void *send_all(void *arg)
{
    struct sender *s = arg;

    for (int i = 0; i < N_ITEMS; i++) {
        s->letters[i].item.fn = never_called;
        s->letters[i].sender = s->id;
        s->letters[i].number = i;
        s->n_wakes += inbox_push(s->inbox, &s->letters[i].item);
    }
    return NULL;
}

static void senders_start(struct sender *senders, struct inbox *inbox)
{
    for (int i = 0; i < N_SENDERS; i++) {
        senders[i] = (struct sender){.inbox = inbox, .id = i};
        senders[i].letters = calloc(N_ITEMS, sizeof(struct letter));
        assert_non_null(senders[i].letters);
        assert_int_equal(pthread_create(&senders[i].tid, NULL, send_all, &senders[i]), 0);
    }
}

static unsigned senders_join(struct sender *senders)
{
    unsigned n_wakes = 0;

    for (int i = 0; i < N_SENDERS; i++) {
        assert_int_equal(pthread_join(senders[i].tid, NULL), 0);
        free(senders[i].letters);
        n_wakes += senders[i].n_wakes;
    }
    return n_wakes;
}

static void four_senders_lose_nothing_and_keep_their_order(void **state)
{
    struct sender senders[N_SENDERS];
    int next[N_SENDERS] = {0};
    unsigned n_batches = 0;
    struct inbox inbox;
    int left = N_SENDERS * N_ITEMS;

    (void)state;
    inbox_init(&inbox);
    senders_start(senders, &inbox);
    while (left > 0) {
        struct inbox_item *item = inbox_take_all(&inbox);

        if (item == NULL) {
            (void)sched_yield();
            continue;
        }
        n_batches++;
        for (; item != NULL; item = item->next, left--) {
            const struct letter *l = container_of(item, struct letter, item);

            assert_int_equal(l->number, next[l->sender]);
            next[l->sender]++;
        }
    }
    assert_true(inbox_is_empty(&inbox));
    assert_int_equal(senders_join(senders), n_batches);
}

static void taking_gives_the_oldest_first_and_empties(void **state)
{
    struct inbox_item items[3] = {{0}};
    const struct inbox_item *first;
    struct inbox inbox;

    (void)state;
    inbox_init(&inbox);
    assert_null(inbox_take_all(&inbox));
    assert_true(inbox_push(&inbox, &items[0]));
    assert_false(inbox_push(&inbox, &items[1]));
    assert_false(inbox_push(&inbox, &items[2]));
    first = inbox_take_all(&inbox);
    assert_ptr_equal(first, &items[0]);
    assert_ptr_equal(first->next, &items[1]);
    assert_ptr_equal(first->next->next, &items[2]);
    assert_null(first->next->next->next);
    assert_null(inbox_take_all(&inbox));
    assert_true(inbox_push(&inbox, &items[1])); /* an item may be sent again once it was taken */
    assert_ptr_equal(inbox_take_all(&inbox), &items[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(four_senders_lose_nothing_and_keep_their_order),
        cmocka_unit_test(taking_gives_the_oldest_first_and_empties),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
