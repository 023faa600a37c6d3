/* Adding problems: pointers from paths, texts from formats. */
#include "conf_problems.h"
#include "conf_reader.h"

#include <stdarg.h>
#include <stdio.h>

#define PROBLEM_TEXT_MAX 1024

/* A token of a pointer, RFC 6901 3; dst NULL: only the length. */
static size_t put_token(const struct conf_path *at, char *dst)
{
    char index[24];
    const char *from = at->key;
    size_t n = 0;

    if (from == NULL) {
        (void)snprintf(index, sizeof(index), "%zu", at->index);
        from = index;
    }
    for (; *from != '\0'; from++) {
        struct view bytes = {from, 1};

        if (*from == '~')
            bytes = VIEW("~0");
        else if (*from == '/')
            bytes = VIEW("~1");
        if (dst != NULL)
            memcpy(dst + n, bytes.p, bytes.len);
        n += bytes.len;
    }
    return n;
}

static size_t put_pointer(const struct conf_path *at, char *dst)
{
    size_t n;

    if (at == NULL)
        return 0;
    n = put_pointer(at->up, dst);
    if (dst != NULL)
        dst[n] = '/';
    n++;
    return n + put_token(at, dst == NULL ? NULL : dst + n);
}

static bool pointer_of(struct conf_reader *r, const struct conf_path *at, struct view *pointer)
{
    size_t len = put_pointer(at, NULL);
    char *p = arena_alloc(&r->scratch, len + 1);

    if (p == NULL)
        return false;
    (void)put_pointer(at, p);
    *pointer = (struct view){p, len};
    return true;
}

__attribute__((format(printf, 4, 0))) static void add_problem(struct conf_reader *r,
                                                              const struct conf_path *at,
                                                              struct config_problem *problem,
                                                              const char *fmt, va_list args)
{
    char text[PROBLEM_TEXT_MAX];

    (void)vsnprintf(text, sizeof(text), fmt, args);
    problem->text = view_of(text);
    if (!pointer_of(r, at, &problem->pointer) || !conf_problems_add(r->problems, problem))
        r->nomem = true;
}

void conf_error(struct conf_reader *r, const struct conf_path *at, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    add_problem(r, at, &(struct config_problem){0}, fmt, args);
    va_end(args);
}

void conf_key_error(struct conf_reader *r, const struct conf_path *at, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    add_problem(r, at, &(struct config_problem){.at_key = true}, fmt, args);
    va_end(args);
}

void conf_warning(struct conf_reader *r, const struct conf_path *at, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    add_problem(r, at, &(struct config_problem){.warning = true}, fmt, args);
    va_end(args);
}

const json_t *conf_json_at(const struct conf_reader *r, const struct conf_path *at)
{
    const json_t *above;

    if (at == NULL)
        return r->tree;
    above = conf_json_at(r, at->up);
    return at->key != NULL ? json_object_get(above, at->key) : json_array_get(above, at->index);
}
