/* Out of memory leaves cells empty: what is shown to a person is shown as far as it goes. */
#include "table.h"

#include "shown.h"

#include <sallyport/base/view.h>

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void add(struct table *t, struct view text)
{
    size_t column = t->n % t->n_columns;

    if (t->n == t->cap) {
        size_t cap = t->cap == 0 ? 64 : t->cap * 2;
        struct table_text *grown = realloc(t->cells, cap * sizeof(*grown));

        if (grown == NULL)
            return;
        t->cells = grown;
        t->cap = cap;
    }
    t->cells[t->n++] =
        (struct table_text){strndup(text.p == NULL ? "" : text.p, text.len), t->tint};
    if (t->width[column] < text.len)
        t->width[column] = text.len;
}

void table_init(struct table *t, const char *headings)
{
    struct view rest = view_of(headings);

    *t = (struct table){.n_columns = 1};
    for (const char *p = headings; *p != '\0'; p++)
        t->n_columns += *p == '|';
    SP_ASSERT(t->n_columns <= TABLE_COLUMNS);
    for (size_t i = 0; i < t->n_columns; i++) {
        const char *end = rest.len == 0 ? NULL : memchr(rest.p, '|', rest.len);
        struct view one = end == NULL ? rest : view_head(rest, (size_t)(end - rest.p));

        rest = view_from(rest, one.len + 1);
        t->right[i] = one.len > 0 && one.p[0] == '>';
        add(t, view_from(one, t->right[i]));
    }
}

void table_cell(struct table *t, const char *fmt, ...)
{
    char text[512];
    va_list args;

    va_start(args, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    add(t, view_of(show_plain(text)));
}

bool table_may_colour(FILE *out)
{
    const char *no_colour = getenv("NO_COLOR"); /* NOLINT(concurrency-mt-unsafe): one thread */
    const char *terminal = getenv("TERM");      /* NOLINT(concurrency-mt-unsafe) */

    return isatty(fileno(out)) == 1 && (no_colour == NULL || no_colour[0] == '\0') &&
           terminal != NULL && strcmp(terminal, "dumb") != 0;
}

/* ECMA-48 8.3.117, SGR. */
static const char *sequence_of(enum table_tint tint)
{
    static const char *const sequences[] = {
        [TABLE_PLAIN] = "", [TABLE_YELLOW] = "\033[33m", [TABLE_RED] = "\033[31m"};

    return sequences[tint];
}

static void print_cell(const struct table *t, size_t i, FILE *out)
{
    const char *text = t->cells[i].text == NULL ? "" : t->cells[i].text;
    bool tinted = t->coloured && t->cells[i].tint != TABLE_PLAIN;
    size_t column = i % t->n_columns;
    bool last = column + 1 == t->n_columns;
    int width = (int)t->width[column];

    (void)fputs(tinted ? sequence_of(t->cells[i].tint) : "", out);
    if (t->right[column])
        (void)fprintf(out, "%*s", width, text);
    else
        (void)fprintf(out, "%-*s", last ? 0 : width, text);
    (void)fputs(tinted ? "\033[0m" : "", out);
    (void)fputs(last ? "\n" : "  ", out);
}

void table_print(struct table *t, FILE *out)
{
    size_t whole = t->n - t->n % t->n_columns;

    for (size_t i = 0; i < whole && whole > t->n_columns; i++)
        print_cell(t, i, out);
    for (size_t i = 0; i < t->n; i++)
        free(t->cells[i].text);
    free(t->cells);
    *t = (struct table){0};
}
