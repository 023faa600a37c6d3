/* Hierarchical timing wheel (Varghese and Lauck): a timer lies on the lowest level whose span still
 * reaches its deadline, and moves down a level each time that level's hand comes to its slot.
 *
 * Invariant: what lies in a slot has a deadline > now_ms (what is armed for a time that has come
 * stands on a list of its own); a slot's bit is set while the slot has members, and may stay set a
 * while after the last one was cancelled (a wake-up too early, never one too late). */
#include <sallyport/event/timer_wheel.h>

#include <string.h>

#define SLOT_MASK ((int64_t)TIMER_WHEEL_SLOTS - 1)
/* The farthest a timer can lie ahead. */
#define SPAN_MS   (((int64_t)1 << (TIMER_WHEEL_LEVELS * TIMER_WHEEL_BITS)) - 1)

static unsigned slot_at(int64_t ms, unsigned level)
{
    return (unsigned)(ms >> (level * TIMER_WHEEL_BITS) & SLOT_MASK);
}

void timer_wheel_init(struct timer_wheel *w, int64_t now_ms)
{
    w->now_ms = now_ms;
    w->n_armed = 0;
    memset(w->occupied, 0, sizeof(w->occupied));
    list_init(&w->overdue);
    for (unsigned level = 0; level < TIMER_WHEEL_LEVELS; level++)
        for (unsigned slot = 0; slot < TIMER_WHEEL_SLOTS; slot++)
            list_init(&w->slots[level][slot]);
}

/* Puts it where its deadline, now_ms at the earliest, belongs as seen from now_ms. */
static void place(struct timer_wheel *w, struct timer *t)
{
    int64_t deadline = t->deadline_ms;
    unsigned level = 0, slot;

    if (deadline - w->now_ms > SPAN_MS)
        deadline = w->now_ms + SPAN_MS;
    while (level < TIMER_WHEEL_LEVELS - 1 && (deadline >> ((level + 1) * TIMER_WHEEL_BITS)) !=
                                                 (w->now_ms >> ((level + 1) * TIMER_WHEEL_BITS)))
        level++;
    slot = slot_at(deadline, level);
    list_push_back(&w->slots[level][slot], &t->link);
    w->occupied[level][slot / 64] |= UINT64_C(1) << (slot % 64);
}

void timer_arm(struct timer_wheel *w, struct timer *t, int64_t deadline_ms)
{
    timer_cancel(w, t);
    t->deadline_ms = deadline_ms;
    if (deadline_ms <= w->now_ms)
        list_push_back(&w->overdue, &t->link);
    else
        place(w, t);
    w->n_armed++;
}

void timer_cancel(struct timer_wheel *w, struct timer *t)
{
    if (!timer_is_armed(t))
        return;
    list_remove(&t->link);
    w->n_armed--;
}

/* Empties a slot into `out` and clears its mark. */
static void take_slot(struct timer_wheel *w, unsigned level, unsigned slot, struct list *out)
{
    list_splice_back(out, &w->slots[level][slot]);
    w->occupied[level][slot / 64] &= ~(UINT64_C(1) << (slot % 64));
}

/* The hand of `level` has come to a new slot: its timers move down, nearer to their time. */
static void cascade(struct timer_wheel *w, unsigned level)
{
    struct list moving, *n;
    unsigned slot = slot_at(w->now_ms, level);

    if (slot == 0 && level + 1 < TIMER_WHEEL_LEVELS)
        cascade(w, level + 1);
    list_init(&moving);
    take_slot(w, level, slot, &moving);
    while ((n = list_pop_front(&moving)) != NULL)
        place(w, container_of(n, struct timer, link));
}

/* The first marked slot after `after` on a level, TIMER_WHEEL_SLOTS if none before the wrap. */
static unsigned next_marked(const struct timer_wheel *w, unsigned level, unsigned after)
{
    for (unsigned slot = after + 1; slot < TIMER_WHEEL_SLOTS;) {
        uint64_t word = w->occupied[level][slot / 64] >> (slot % 64);

        if (word != 0)
            return slot + (unsigned)__builtin_ctzll(word);
        slot = (slot / 64 + 1) * 64;
    }
    return TIMER_WHEEL_SLOTS;
}

/* When the hand next has something to do: a slot of level 0, or the turn of a higher hand. */
static int64_t next_stop_ms(const struct timer_wheel *w)
{
    for (unsigned level = 0; level < TIMER_WHEEL_LEVELS; level++) {
        unsigned shift = level * TIMER_WHEEL_BITS;
        unsigned slot = next_marked(w, level, slot_at(w->now_ms, level));

        if (slot < TIMER_WHEEL_SLOTS) {
            int64_t base = w->now_ms >> (shift + TIMER_WHEEL_BITS) << (shift + TIMER_WHEEL_BITS);
            return base + ((int64_t)slot << shift);
        }
    }
    /* Only the top level's slots behind its hand are left: its next round. */
    return ((w->now_ms >> (TIMER_WHEEL_LEVELS * TIMER_WHEEL_BITS)) + 1)
           << (TIMER_WHEEL_LEVELS * TIMER_WHEEL_BITS);
}

static unsigned call_all(struct timer_wheel *w, struct list *due)
{
    struct list *n;
    unsigned called = 0;

    while ((n = list_pop_front(due)) != NULL) {
        struct timer *t = container_of(n, struct timer, link);

        w->n_armed--;
        called++;
        t->fn(t); /* may arm, cancel and free anything, members of `due` too */
    }
    return called;
}

unsigned timer_wheel_run(struct timer_wheel *w, int64_t now_ms)
{
    struct list due;
    unsigned called;

    list_init(&due);
    list_splice_back(&due, &w->overdue);
    called = call_all(w, &due);
    while (w->n_armed > 0) {
        int64_t stop_ms = next_stop_ms(w);

        if (stop_ms > now_ms)
            break;
        w->now_ms = stop_ms;
        if (slot_at(stop_ms, 0) == 0)
            cascade(w, 1);
        take_slot(w, 0, slot_at(stop_ms, 0), &due);
        called += call_all(w, &due);
    }
    /* Nothing lies between here and now_ms but the borders of higher slots, which place() looks at
     * relative to now_ms: crossing one unmarked is safe, a marked one was stopped at above. */
    if (now_ms > w->now_ms)
        w->now_ms = now_ms;
    return called;
}

int timer_wheel_wait_ms(const struct timer_wheel *w, int64_t now_ms)
{
    int64_t wait;

    if (w->n_armed == 0)
        return -1;
    if (!list_is_empty(&w->overdue))
        return 0;
    wait = next_stop_ms(w) - now_ms;
    if (wait < 0)
        return 0;
    return wait > INT32_MAX ? INT32_MAX : (int)wait;
}
