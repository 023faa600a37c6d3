/* The order in which handshakes are served. Entries stand in two lists by kind, each in the order
 * of arrival, so the oldest and the newest are both at hand. */
#include <sallyport/net/handshake_queue.h>

void handshake_queue_init(struct handshake_queue *q, const struct handshake_queue_options *options)
{
    q->options = *options;
    for (int kind = 0; kind < HANDSHAKE_KINDS; kind++)
        list_init(&q->waiting[kind]);
    q->n = 0;
    q->overloaded = false;
    q->full = false;
}

/* Connections come to the point of waiting nearly in the order of their arrival: the place is found
 * from the end in a step or two. */
static struct list *place_for(struct list *waiting, int64_t arrived_us)
{
    struct list *at = waiting->prev;

    while (at != waiting && container_of(at, struct handshake_entry, link)->arrived_us > arrived_us)
        at = at->prev;
    return at;
}

void handshake_queue_push(struct handshake_queue *q, struct handshake_entry *e,
                          enum handshake_kind kind)
{
    e->kind = kind;
    list_insert_after(place_for(&q->waiting[kind], e->arrived_us), &e->link);
    q->n++;
    if (q->n >= q->options.max_waiting)
        q->full = true;
}

void handshake_queue_remove(struct handshake_queue *q, struct handshake_entry *e)
{
    if (!list_is_linked(&e->link))
        return;
    list_remove(&e->link);
    q->n--;
    if (q->n <= q->options.max_waiting / 2)
        q->full = false;
}

static struct handshake_entry *oldest(const struct handshake_queue *q)
{
    struct handshake_entry *first = NULL;

    for (int kind = 0; kind < HANDSHAKE_KINDS; kind++) {
        struct list *n = list_first(&q->waiting[kind]);
        struct handshake_entry *e;

        if (n == NULL)
            continue;
        e = container_of(n, struct handshake_entry, link);
        if (first == NULL || e->arrived_us < first->arrived_us)
            first = e;
    }
    return first;
}

int64_t handshake_queue_oldest_us(const struct handshake_queue *q)
{
    const struct handshake_entry *e = oldest(q);

    return e == NULL ? 0 : e->arrived_us;
}

int64_t handshake_queue_wait_us(const struct handshake_queue *q, int64_t now_us)
{
    const struct handshake_entry *e = oldest(q);

    return e == NULL ? 0 : now_us - e->arrived_us;
}

struct handshake_entry *handshake_queue_pop_stale(struct handshake_queue *q, int64_t now_us)
{
    struct handshake_entry *e = oldest(q);

    if (e == NULL || now_us - e->arrived_us <= q->options.max_wait_us)
        return NULL;
    handshake_queue_remove(q, e);
    return e;
}

struct handshake_entry *handshake_queue_pop(struct handshake_queue *q, int64_t now_us)
{
    q->overloaded = handshake_queue_wait_us(q, now_us) > q->options.target_wait_us;
    for (int kind = 0; kind < HANDSHAKE_KINDS; kind++) {
        struct list *waiting = &q->waiting[kind];
        struct list *n = q->overloaded ? list_last(waiting) : list_first(waiting);
        struct handshake_entry *e;

        if (n == NULL)
            continue;
        e = container_of(n, struct handshake_entry, link);
        handshake_queue_remove(q, e);
        return e;
    }
    return NULL;
}
