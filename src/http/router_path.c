/* Paths in one form, so that different spellings of a path take the same route. */
#include "router_path.h"

#include <stdint.h>

static struct view without_query(struct view path)
{
    const char *mark = path.len == 0 ? NULL : memchr(path.p, '?', path.len);

    return mark == NULL ? path : view_head(path, (size_t)(mark - path.p));
}

/* Nothing to decode, to merge or to resolve? Almost all paths; some that only look odd ("/.well")
 * go the longer way. */
static bool is_plain(struct view path)
{
    for (size_t i = 0; i < path.len; i++) {
        if (path.p[i] == '%')
            return false;
        if (path.p[i] == '/' && i + 1 < path.len && (path.p[i + 1] == '/' || path.p[i + 1] == '.'))
            return false;
    }
    return true;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The byte at v.p[*at], decoded; *at moves behind it. An encoded slash is data, not a border
 * (RFC 3986 2.2), and stays as it is, like NUL and what is no valid escape. */
static char take_byte(struct view v, size_t *at)
{
    char c = v.p[(*at)++];

    if (c != '%' || v.len - *at < 2)
        return c;
    int high = hex_digit(v.p[*at]), low = hex_digit(v.p[*at + 1]);
    if (high < 0 || low < 0)
        return c;
    int byte = high * 16 + low;
    if (byte == '/' || byte == 0)
        return c;
    *at += 2;
    return (char)byte;
}

/* The output: whole segments, and a count of those that did not fit. */
struct segments {
    char *p;
    size_t len, cap;
    size_t left_out;
};

/* ".." (RFC 3986 5.2.4): takes the last segment back. */
static void drop_segment(struct segments *out)
{
    if (out->left_out > 0) {
        out->left_out--;
        return;
    }
    while (out->len > 0 && out->p[--out->len] != '/')
        continue;
}

/* Decodes the segment that begins at `at` (behind its slash) to the end of the output, as far as it
 * fits, and takes it back if it is none. */
static size_t add_segment(struct segments *out, struct view path, size_t at)
{
    size_t begin = out->len, n = 0;
    bool only_dots = true;

    if (out->len < out->cap)
        out->p[out->len++] = '/';
    for (; at < path.len && path.p[at] != '/'; n++) {
        char c = take_byte(path, &at);

        only_dots = only_dots && c == '.';
        if (out->len < out->cap)
            out->p[out->len++] = c;
    }
    bool whole = out->len - begin == n + 1 && out->left_out == 0;
    bool nothing = n == 0 || (only_dots && n <= 2);

    if (whole && !nothing)
        return at;
    out->len = begin;
    if (only_dots && n == 2)
        drop_segment(out);
    else if (!nothing)
        out->left_out++;
    return at;
}

struct view router_path_normalise(struct view path, char *room, size_t cap)
{
    struct segments out = {0};
    size_t at = 0;

    out.p = room;
    out.cap = cap;
    path = without_query(path);
    if (path.len == 0 || path.p[0] != '/')
        return (struct view){room, 0};
    if (is_plain(path))
        return view_head(path, path.len - (path.p[path.len - 1] == '/'));
    while (at < path.len)
        at = add_segment(&out, path, at + 1);
    return (struct view){room, out.len};
}
