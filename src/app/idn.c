#include "idn.h"

#include <stdint.h>
#include <string.h>

#define LABEL_MAX 63 /* RFC 1035 2.3.4; code points are never more than that */

bool idn_is_international(struct view name)
{
    for (size_t i = 0; i < name.len; i++)
        if ((unsigned char)name.p[i] >= 0x80)
            return true;
    return false;
}

/* ---- UTF-8, RFC 3629 ---- */

/* The next code point; false: malformed. */
static bool take_code_point(struct view *rest, uint32_t *out)
{
    static const uint32_t least[] = {0, 0x80, 0x800, 0x10000};
    unsigned char first = (unsigned char)rest->p[0];
    size_t more = first < 0x80 ? 0 : first < 0xe0 ? 1 : first < 0xf0 ? 2 : 3;
    uint32_t c = more == 0 ? first : first & (0x3fU >> more);

    if ((first >= 0x80 && first < 0xc2) || first > 0xf4 || rest->len <= more)
        return false;
    for (size_t i = 1; i <= more; i++) {
        unsigned char byte = (unsigned char)rest->p[i];

        if ((byte & 0xc0) != 0x80)
            return false;
        c = c << 6 | (byte & 0x3f);
    }
    *rest = view_from(*rest, more + 1);
    *out = c;
    return c >= least[more] && c <= 0x10ffff && (c < 0xd800 || c > 0xdfff);
}

/* ---- Punycode, RFC 3492 ---- */

enum { BASE = 36, T_MIN = 1, T_MAX = 26, SKEW = 38, DAMP = 700, BIAS = 72, FIRST = 0x80 };

struct output {
    char *p;
    size_t n, cap; /* a NUL still fits behind cap */
    bool cut;
};

static void put(struct output *out, char c)
{
    if (out->n < out->cap)
        out->p[out->n++] = c;
    else
        out->cut = true;
}

/* 6.1 */
static uint32_t adapt(uint32_t delta, uint32_t n_points, bool first)
{
    uint32_t k = 0;

    delta = first ? delta / DAMP : delta / 2;
    delta += delta / n_points;
    for (; delta > (BASE - T_MIN) * T_MAX / 2; k += BASE)
        delta /= BASE - T_MIN;
    return k + (BASE - T_MIN + 1) * delta / (delta + SKEW);
}

static void put_digit(struct output *out, uint32_t digit)
{
    put(out, (char)(digit < 26 ? 'a' + digit : '0' + (digit - 26)));
}

/* A number of variable length, 3.3. */
static void put_number(struct output *out, uint32_t q, uint32_t bias)
{
    for (uint32_t k = BASE;; k += BASE) {
        uint32_t t = k <= bias ? T_MIN : k >= bias + T_MAX ? T_MAX : k - bias;

        if (q < t)
            break;
        put_digit(out, t + (q - t) % (BASE - t));
        q = (q - t) / (BASE - t);
    }
    put_digit(out, q);
}

static uint32_t least_from(const uint32_t *points, uint32_t n, uint32_t from)
{
    uint32_t least = UINT32_MAX;

    for (uint32_t i = 0; i < n; i++)
        if (points[i] >= from && points[i] < least)
            least = points[i];
    return least;
}

/* 6.3. Sixty-three code points below 0x110000: nothing overflows 32 bits but in the number of a
 * label that is too long by far. */
static void put_points(struct output *out, const uint32_t *points, uint32_t n)
{
    uint32_t delta = 0, bias = BIAS, next = FIRST, done = 0, basic;

    for (uint32_t i = 0; i < n; i++)
        if (points[i] < FIRST) {
            put(out, (char)points[i]);
            done++;
        }
    basic = done;
    if (basic > 0)
        put(out, '-');
    while (done < n) {
        uint32_t at = least_from(points, n, next);

        delta += (at - next) * (done + 1);
        next = at;
        for (uint32_t i = 0; i < n; i++) {
            delta += points[i] < next;
            if (points[i] != next)
                continue;
            put_number(out, delta, bias);
            bias = adapt(delta, done + 1, done == basic);
            delta = 0;
            done++;
        }
        delta++;
        next++;
    }
}

static bool put_label(struct output *out, struct view label)
{
    uint32_t points[LABEL_MAX], n = 0;

    if (!idn_is_international(label)) {
        for (size_t i = 0; i < label.len; i++)
            put(out, label.p[i]);
        return true;
    }
    while (label.len > 0)
        if (n == LABEL_MAX || !take_code_point(&label, &points[n++]))
            return false;
    for (const char *p = "xn--"; *p != '\0'; p++)
        put(out, *p);
    put_points(out, points, n);
    return true;
}

bool idn_to_ascii(struct view name, char *dst, size_t cap)
{
    struct output out = {.p = dst, .cap = cap - 1};

    while (name.len > 0) {
        const char *dot = memchr(name.p, '.', name.len);
        struct view label = dot == NULL ? name : view_head(name, (size_t)(dot - name.p));

        if (!put_label(&out, label))
            return false;
        if (dot != NULL)
            put(&out, '.');
        name = view_from(name, label.len + 1);
    }
    dst[out.n] = '\0';
    return !out.cut;
}
