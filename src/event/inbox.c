/* A Treiber stack that is taken whole and turned round: pushing is one compare-and-swap, taking is
 * one exchange, and as nobody ever pops a single item there is no ABA problem. */
#include <sallyport/event/inbox.h>

bool inbox_push(struct inbox *in, struct inbox_item *item)
{
    struct inbox_item *head = atomic_load_explicit(&in->head, memory_order_relaxed);

    do {
        item->next = head;
    } while (!atomic_compare_exchange_weak_explicit(&in->head, &head, item, memory_order_release,
                                                    memory_order_relaxed));
    return head == NULL;
}

struct inbox_item *inbox_take_all(struct inbox *in)
{
    struct inbox_item *newest, *oldest = NULL;

    if (inbox_is_empty(in))
        return NULL;
    newest = atomic_exchange_explicit(&in->head, NULL, memory_order_acquire);
    while (newest != NULL) {
        struct inbox_item *next = newest->next;

        newest->next = oldest;
        oldest = newest;
        newest = next;
    }
    return oldest;
}
