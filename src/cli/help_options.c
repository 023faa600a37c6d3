#include "help_options.h"

static struct view take_line(struct view *rest)
{
    const char *end = memchr(rest->p, '\n', rest->len);
    struct view line = end == NULL ? *rest : view_head(*rest, (size_t)(end - rest->p));

    *rest = view_from(*rest, line.len + 1);
    return line;
}

static struct view trim(struct view v)
{
    while (v.len > 0 && v.p[0] == ' ')
        v = view_from(v, 1);
    while (v.len > 0 && v.p[v.len - 1] == ' ')
        v.len--;
    return v;
}

/* Up to a blank or a comma. */
static struct view take_word(struct view *rest)
{
    struct view word = trim(*rest);
    size_t n = 0;

    while (n < word.len && word.p[n] != ' ' && word.p[n] != ',')
        n++;
    *rest = view_from(word, n + (n < word.len && word.p[n] == ','));
    return view_head(word, n);
}

/* Text and help are at least two blanks apart. */
static size_t gap_of(struct view line)
{
    size_t i = 0;

    while (i + 1 < line.len && !(line.p[i] == ' ' && line.p[i + 1] == ' '))
        i++;
    return i + 1 < line.len ? i : line.len;
}

static void take_apart(struct help_option *o)
{
    struct view rest = o->text;

    while (rest.len > 0) {
        struct view word = take_word(&rest);

        if (view_starts_with(word, VIEW("--")))
            o->long_name = word;
        else if (view_starts_with(word, VIEW("-")))
            o->short_name = word;
        else if (o->long_name.len + o->short_name.len > 0)
            o->value = word;
        if (word.len == 0)
            return;
    }
}

bool help_next(struct view *rest, struct help_option *out, bool *option)
{
    if (rest->len == 0)
        return false;
    struct view line = take_line(rest), text = trim(line);

    *out = (struct help_option){0};
    /* Options and arguments stand two or six blanks in, what goes on further. */
    *option = line.len > 2 && view_starts_with(line, VIEW("  ")) &&
              (line.p[2] != ' ' || view_starts_with(line, VIEW("      --")));
    if (!*option) {
        out->help = text;
        return true;
    }
    size_t gap = gap_of(text);
    out->text = view_head(text, gap);
    out->help = trim(view_from(text, gap));
    take_apart(out);
    return true;
}
