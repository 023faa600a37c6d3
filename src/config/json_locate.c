#include "json_locate.h"

#include "conf_text.h"

#include <stdio.h>
#include <stdlib.h>

/* The places asked for that lie in or below the value at the cursor: they are neighbours in the
 * sorted array, and share the first `len` bytes of their pointers. */
struct wanted {
    struct json_place *first, *end;
    size_t len;
};

struct walk {
    const char *p, *end;
    const char *start;
    const char *counted; /* line and column are those of this byte */
    uint32_t line, column;
};

static void walk_value(struct walk *w, struct wanted wanted);

static unsigned rank(char c)
{
    return c == '/' ? 0 : (unsigned char)c + 1U;
}

int json_pointer_compare(struct view a, struct view b)
{
    size_t n = a.len < b.len ? a.len : b.len;

    for (size_t i = 0; i < n; i++)
        if (a.p[i] != b.p[i])
            return rank(a.p[i]) < rank(b.p[i]) ? -1 : 1;
    return (a.len > b.len) - (a.len < b.len);
}

static int place_compare(const void *a, const void *b)
{
    const struct json_place *x = a, *y = b;

    return json_pointer_compare(x->pointer, y->pointer);
}

/* Takes the value of four hex digits; the text is valid. */
static unsigned take_hex4(struct json_key_reader *r)
{
    unsigned value = 0;

    for (int i = 0; i < 4 && r->p < r->end; i++) {
        char c = *r->p++;

        value = value * 16 + (unsigned)(c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10);
    }
    return value & 0xffff;
}

static void push(struct json_key_reader *r, unsigned byte)
{
    r->pending[r->n_pending++] = (char)byte;
}

/* UTF-8, last byte first. */
static void push_code_point(struct json_key_reader *r, unsigned c)
{
    unsigned lead = 0x80;

    if (c < 0x80) {
        push(r, c);
        return;
    }
    for (unsigned room = 0x3f; c > room; room >>= 1) {
        push(r, 0x80 | (c & 0x3f));
        c >>= 6;
        lead = lead >> 1 | 0x80;
    }
    push(r, (lead | c) & 0xff);
}

/* Behind a backslash. */
static void take_escape(struct json_key_reader *r)
{
    static const char from[] = "bfnrt", to[] = "\b\f\n\r\t";
    char c = *r->p++;
    const char *at = strchr(from, c);

    if (c != 'u') {
        push(r, (unsigned char)(at != NULL ? to[at - from] : c));
        return;
    }
    unsigned code = take_hex4(r);
    if (code >= 0xd800 && code < 0xdc00 && r->end - r->p >= 6) {
        r->p += 2;
        code = 0x10000 + ((code & 0x3ff) << 10) + (take_hex4(r) & 0x3ff);
    }
    push_code_point(r, code);
}

int json_key_next(struct json_key_reader *r)
{
    char c;

    if (r->n_pending == 0) {
        if (r->p >= r->end || *r->p == '"')
            return -1;
        c = *r->p++;
        if (c == '\\' && r->p < r->end)
            take_escape(r);
        else
            push(r, (unsigned char)c);
        c = r->pending[0];
        if (r->n_pending == 1 && (c == '~' || c == '/')) { /* RFC 6901 3 */
            r->pending[0] = c == '~' ? '0' : '1';
            push(r, '~');
        }
    }
    return (unsigned char)r->pending[--r->n_pending];
}

/* Orders a member's key against the token of a pointer that begins at `from`. */
static int key_compare(struct json_key_reader key, struct view pointer, size_t from)
{
    for (size_t i = from;; i++) {
        bool token_ends = i >= pointer.len || pointer.p[i] == '/';
        int c = json_key_next(&key);

        if (c < 0 || token_ends)
            return (c >= 0) - !token_ends;
        if (c != (unsigned char)pointer.p[i])
            return c < (unsigned char)pointer.p[i] ? -1 : 1;
    }
}

/* Narrows to the places in or below the member with this key. */
static struct wanted narrow(struct wanted wanted, struct json_key_reader key)
{
    struct wanted below = {wanted.first, wanted.first, wanted.len + 1};
    struct json_place *first = wanted.first, *end = wanted.end;

    while (first < end) {
        struct json_place *middle = first + (end - first) / 2;

        if (key_compare(key, middle->pointer, wanted.len + 1) > 0)
            first = middle + 1;
        else
            end = middle;
    }
    below.first = below.end = first;
    while (below.end < wanted.end && key_compare(key, below.end->pointer, wanted.len + 1) == 0)
        below.end++;
    if (below.first < below.end)
        while (below.len < below.first->pointer.len && below.first->pointer.p[below.len] != '/')
            below.len++;
    return below;
}

static void skip_space(struct walk *w)
{
    while (w->p < w->end && strchr(" \t\r\n,:", *w->p) != NULL && *w->p != '\0')
        w->p++;
}

/* Past a bracket, a quote or an escaped character. */
static void step(struct walk *w)
{
    w->p += w->p < w->end;
}

static void skip_string(struct walk *w)
{
    for (step(w); w->p < w->end && *w->p != '"'; step(w))
        if (*w->p == '\\')
            step(w);
    step(w);
}

/* Any value, without recursion. */
static void skip_value(struct walk *w)
{
    size_t depth = 0;

    do {
        skip_space(w);
        if (w->p >= w->end)
            return;
        if (*w->p == '"') {
            skip_string(w);
            continue;
        }
        depth += *w->p == '{' || *w->p == '[';
        depth -= (*w->p == '}' || *w->p == ']') && depth > 0;
        for (w->p++; depth == 0 && w->p < w->end && strchr(" \t\r\n,:]}", *w->p) == NULL;)
            w->p++;
    } while (depth > 0);
}

static void note(struct walk *w, const char *at, struct json_place *place)
{
    for (; w->counted < at; w->counted++) {
        if (*w->counted == '\n') {
            w->line++;
            w->column = 1;
        } else {
            w->column += utf8_begins(*w->counted);
        }
    }
    place->line = w->line;
    place->column = w->column;
    place->offset = (size_t)(at - w->start);
}

static void walk_object(struct walk *w, struct wanted wanted)
{
    step(w);
    for (skip_space(w); w->p < w->end && *w->p != '}'; skip_space(w)) {
        const char *key = w->p;
        struct wanted below = narrow(wanted, (struct json_key_reader){.p = key + 1, .end = w->end});

        for (struct json_place *i = below.first; i < below.end; i++)
            if (i->at_key && i->pointer.len == below.len)
                note(w, key, i);
        skip_string(w);
        skip_space(w);
        walk_value(w, below);
    }
    step(w);
}

static void walk_array(struct walk *w, struct wanted wanted)
{
    step(w);
    skip_space(w);
    for (size_t i = 0; w->p < w->end && *w->p != ']'; i++) {
        char index[24];
        int n = snprintf(index, sizeof(index), "%zu\"", i);

        walk_value(w, narrow(wanted, (struct json_key_reader){.p = index, .end = index + n}));
        skip_space(w);
    }
    step(w);
}

/* At the first byte of a value. Recursion ends where the pointers do. */
static void walk_value(struct walk *w, struct wanted wanted)
{
    bool deeper;

    for (; wanted.first < wanted.end && wanted.first->pointer.len == wanted.len; wanted.first++)
        if (!wanted.first->at_key || wanted.len == 0)
            note(w, w->p, wanted.first);
    deeper = wanted.first < wanted.end && w->p < w->end;
    if (deeper && *w->p == '{')
        walk_object(w, wanted);
    else if (deeper && *w->p == '[')
        walk_array(w, wanted);
    else
        skip_value(w);
}

void json_locate(struct view text, struct json_place *places, size_t n)
{
    struct walk w = {.p = text.p,
                     .end = text.p + text.len,
                     .start = text.p,
                     .counted = text.p,
                     .line = 1,
                     .column = 1};

    if (n == 0)
        return;
    qsort(places, n, sizeof(*places), place_compare);
    skip_space(&w);
    if (w.p < w.end)
        walk_value(&w, (struct wanted){places, places + n, 0});
}
