#include "conf_problems.h"

#include "conf_text.h"
#include "json_locate.h"

#include <stdlib.h>
#include <unistd.h>

/* Of the source line: this much before the place and behind it. */
#define QUOTE_BEFORE 60
#define QUOTE_BEHIND 40

void config_problems_init(struct config_problems *p)
{
    *p = (struct config_problems){0};
    arena_init(&p->arena);
}

void config_problems_fini(struct config_problems *p)
{
    arena_fini(&p->arena);
    config_problems_init(p);
}

void conf_problems_set_nomem(struct config_problems *p)
{
    p->last_resort = (struct config_problem){.text = VIEW("out of memory")};
    p->v = &p->last_resort;
    p->n = p->cap = p->n_errors = 1;
}

void config_problems_add(struct config_problems *p, struct view pointer, struct view text,
                         bool warning)
{
    if (!conf_problems_add(
            p, &(struct config_problem){.pointer = pointer, .text = text, .warning = warning}))
        conf_problems_set_nomem(p);
}

static bool grow(struct config_problems *p)
{
    uint32_t cap = p->cap == 0 ? 8 : 2 * p->cap;
    struct config_problem *v;

    if (cap < p->cap)
        return false;
    v = arena_alloc(&p->arena, cap * sizeof(*v));
    if (v == NULL)
        return false;
    if (p->n > 0)
        memcpy(v, p->v, p->n * sizeof(*v));
    p->v = v;
    p->cap = cap;
    return true;
}

/* What is printed may reach a terminal: no control character of the file does. C1 ones are two
 * bytes in UTF-8. */
static void make_printable(char *s, size_t len, bool keep_tabs)
{
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)s[i];

        if (c == '\t' && keep_tabs)
            continue;
        if (c < 0x20 || c == 0x7f)
            s[i] = '?';
        if (c == 0xc2 && i + 1 < len && (unsigned char)s[i + 1] < 0xa0)
            s[i] = s[i + 1] = '?';
    }
}

static bool copy_printable(struct config_problems *p, struct view from, bool keep_tabs,
                           struct view *to)
{
    char *copy = arena_alloc(&p->arena, from.len + 1);

    if (copy == NULL)
        return false;
    if (from.len > 0)
        memcpy(copy, from.p, from.len);
    make_printable(copy, from.len, keep_tabs);
    *to = (struct view){copy, from.len};
    return true;
}

bool conf_problems_add(struct config_problems *p, const struct config_problem *problem)
{
    struct config_problem copy = *problem;

    if (p->n == p->cap && !grow(p))
        return false;
    copy.pointer = arena_copy(&p->arena, problem->pointer);
    if (copy.pointer.p == NULL || !copy_printable(p, problem->text, false, &copy.text))
        return false;
    p->v[p->n++] = copy;
    p->n_errors += !copy.warning;
    return true;
}

bool conf_problem_quote(struct config_problems *p, struct config_problem *problem, struct view text,
                        size_t offset)
{
    size_t begin = offset, end = offset;

    while (begin > 0 && offset - begin < QUOTE_BEFORE && text.p[begin - 1] != '\n')
        begin--;
    while (begin < offset && !utf8_begins(text.p[begin]))
        begin++;
    while (end < text.len && end - offset < QUOTE_BEHIND && text.p[end] != '\n' &&
           text.p[end] != '\r')
        end++;
    while (end < text.len && end > offset && !utf8_begins(text.p[end]))
        end--;
    problem->caret = (uint32_t)(offset - begin);
    return copy_printable(p, (struct view){text.p + begin, end - begin}, true, &problem->quote);
}

static int compare_places(const void *a, const void *b)
{
    const struct config_problem *x = a, *y = b;
    int order;

    if (x->line != y->line)
        return x->line < y->line ? -1 : 1;
    if (x->column != y->column)
        return x->column < y->column ? -1 : 1;
    order = json_pointer_compare(x->pointer, y->pointer);
    return order != 0 ? order : view_compare(x->text, y->text);
}

static void sort(struct config_problems *p)
{
    uint32_t kept = 0;

    if (p->n == 0)
        return;
    qsort(p->v, p->n, sizeof(*p->v), compare_places);
    p->n_errors = 0;
    for (uint32_t i = 0; i < p->n; i++) {
        if (i > 0 && compare_places(&p->v[kept - 1], &p->v[i]) == 0)
            continue;
        p->v[kept++] = p->v[i];
        p->n_errors += !p->v[i].warning;
    }
    p->n = kept;
}

bool conf_problems_locate(struct config_problems *p, struct view text)
{
    struct json_place *places;

    if (p->n == 0)
        return true;
    places = calloc(p->n, sizeof(*places));
    if (places == NULL)
        return false;
    for (uint32_t i = 0; i < p->n; i++)
        places[i] =
            (struct json_place){.pointer = p->v[i].pointer, .at_key = p->v[i].at_key, .id = i};
    json_locate(text, places, p->n);
    for (uint32_t i = 0; i < p->n; i++) {
        struct config_problem *problem = &p->v[places[i].id];

        problem->line = places[i].line;
        problem->column = places[i].column;
        if (places[i].line > 0 && !conf_problem_quote(p, problem, text, places[i].offset)) {
            free(places);
            return false;
        }
    }
    free(places);
    sort(p);
    return true;
}

void conf_problem_print_quote(const struct config_problem *problem, FILE *out)
{
    char gutter[24];
    int width;

    if (problem->quote.len == 0)
        return;
    width = snprintf(gutter, sizeof(gutter), "%6u", (unsigned)problem->line);
    (void)fprintf(out, "%s | " VIEW_FMT "\n%*s | ", gutter, VIEW_ARG(problem->quote), width, "");
    for (uint32_t i = 0; i < problem->caret && i < problem->quote.len; i++)
        if (utf8_begins(problem->quote.p[i]))
            (void)fputc(problem->quote.p[i] == '\t' ? '\t' : ' ', out);
    (void)fputs("^\n", out);
}

static void print_pointer(struct view pointer, FILE *out)
{
    for (size_t i = 0; i < pointer.len; i++)
        (void)fputc((unsigned char)pointer.p[i] < 0x20 ? '?' : pointer.p[i], out);
    if (pointer.len > 0)
        (void)fputs(": ", out);
}

void config_problems_print(const struct config_problems *p, FILE *out)
{
    bool quotes = isatty(fileno(out)) == 1;

    for (uint32_t i = 0; i < p->n; i++) {
        const struct config_problem *problem = &p->v[i];

        (void)fprintf(out, VIEW_FMT ":", VIEW_ARG(p->file));
        if (problem->line > 0)
            (void)fprintf(out, "%u:%u:", (unsigned)problem->line, (unsigned)problem->column);
        (void)fputc(' ', out);
        print_pointer(problem->pointer, out);
        (void)fprintf(out, "%s" VIEW_FMT "\n", problem->warning ? "warning: " : "",
                      VIEW_ARG(problem->text));
        if (quotes)
            conf_problem_print_quote(problem, out);
    }
}
