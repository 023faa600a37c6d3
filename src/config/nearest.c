#include <sallyport/config/nearest.h>

#include <stdbool.h>
#include <stdint.h>

#define NAME_MAX_BYTES 64
#define BEGINNING_MIN  4 /* so much of a name says which one is meant: the unit was left out */

static char lower(char c)
{
    if (c >= 'A' && c <= 'Z')
        return (char)(c - 'A' + 'a');
    return c;
}

static size_t min3(size_t a, size_t b, size_t c)
{
    size_t ab = a < b ? a : b;

    return ab < c ? ab : c;
}

/* Insertions, deletions, replacements and swaps of neighbours that turn a into b, upper and lower
 * case being the same; more than `max` comes back as max + 1. Long names are always too far.
 *
 * Optimal string alignment: row i of the matrix needs the two before it. */
static size_t edit_distance(struct view a, struct view b, size_t max)
{
    uint8_t rows[3][NAME_MAX_BYTES + 1];
    uint8_t *before = rows[0], *last = rows[1], *now = rows[2];

    if (a.len > NAME_MAX_BYTES || b.len > NAME_MAX_BYTES)
        return max + 1;
    if ((a.len > b.len ? a.len - b.len : b.len - a.len) > max)
        return max + 1;
    for (size_t j = 0; j <= b.len; j++)
        last[j] = (uint8_t)j;
    for (size_t i = 1; i <= a.len; i++) {
        uint8_t *spare = before;

        now[0] = (uint8_t)i;
        for (size_t j = 1; j <= b.len; j++) {
            char x = lower(a.p[i - 1]), y = lower(b.p[j - 1]);
            size_t d = min3(last[j] + 1U, now[j - 1] + 1U, last[j - 1] + (x != y ? 1U : 0U));

            if (i > 1 && j > 1 && x == lower(b.p[j - 2]) && y == lower(a.p[i - 2]))
                d = min3(d, d, before[j - 2] + 1U);
            now[j] = (uint8_t)d;
        }
        before = last;
        last = now;
        now = spare;
    }
    return last[b.len] <= max ? last[b.len] : max + 1;
}

/* One slip in three letters is still the same word. */
void nearest_init(struct nearest *n, struct view meant)
{
    size_t most = meant.len < 6 ? 1 : meant.len / 3;

    *n = (struct nearest){.meant = meant, .distance = most + 1};
}

void nearest_offer(struct nearest *n, struct view known)
{
    size_t d;

    if (n->distance == 0)
        return;
    if (n->meant.len >= BEGINNING_MIN && view_starts_with(known, n->meant) && n->distance > 1) {
        n->distance = 1;
        n->best = known;
        return;
    }
    d = edit_distance(n->meant, known, n->distance - 1);
    if (d >= n->distance || d >= known.len)
        return;
    n->distance = d;
    n->best = known;
}
