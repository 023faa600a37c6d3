/* Intrusive doubly-linked ring. The head is a node too; an unlinked node points at itself, so
 * removing twice is harmless. Not thread-safe: a list belongs to one thread. */
#pragma once

#include <sallyport/base/compiler.h>

#include <stdbool.h>
#include <stddef.h>

struct list {
    struct list *next, *prev;
};

#define list_for_each(pos, head) for ((pos) = (head)->next; (pos) != (head); (pos) = (pos)->next)
/* The body may unlink and free `pos`, and nothing else of the list. */
#define list_for_each_safe(pos, tmp, head)                           \
    for ((pos) = (head)->next, (tmp) = (pos)->next; (pos) != (head); \
         (pos) = (tmp), (tmp) = (pos)->next)

static inline void list_init(struct list *n)
{
    n->next = n->prev = n;
}

/* For a head: no members. For a node: not on any list. */
static inline bool list_is_empty(const struct list *n)
{
    return n->next == n;
}

static inline bool list_is_linked(const struct list *n)
{
    return n->next != n;
}

static inline void list_insert_after(struct list *where, struct list *n)
{
    n->next = where->next;
    n->prev = where;
    where->next->prev = n;
    where->next = n;
}

static inline void list_push_front(struct list *head, struct list *n)
{
    list_insert_after(head, n);
}

static inline void list_push_back(struct list *head, struct list *n)
{
    list_insert_after(head->prev, n);
}

static inline void list_remove(struct list *n)
{
    n->prev->next = n->next;
    n->next->prev = n->prev;
    list_init(n);
}

/* NULL when empty. */
static inline struct list *list_first(const struct list *head)
{
    return list_is_empty(head) ? NULL : head->next;
}

static inline struct list *list_last(const struct list *head)
{
    return list_is_empty(head) ? NULL : head->prev;
}

static inline struct list *list_pop_front(struct list *head)
{
    struct list *n = list_first(head);

    if (n != NULL)
        list_remove(n);
    return n;
}

/* Moves every member of `from` to the end of `to`; `from` is empty afterwards. */
static inline void list_splice_back(struct list *to, struct list *from)
{
    if (list_is_empty(from))
        return;
    from->next->prev = to->prev;
    to->prev->next = from->next;
    from->prev->next = to;
    to->prev = from->prev;
    list_init(from);
}
