/* Where its text buffer cannot grow, the lexer of jansson 2.14 drops a byte and goes on: from there
 * on it aborts, writes past its memory, or hands out a value that the text does not have. So it is
 * never told that memory ran out: its allocator leaves the parser by a jump, and what had been
 * allocated goes with the arena. The parser holds nothing else that would need an end. */
#include "conf_json.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdlib.h>

struct parsing {
    struct arena *arena;
    jmp_buf out_of_memory;
};

/* The parser that runs on this thread. */
static _Thread_local struct parsing *parsing;

static void *json_malloc(size_t size)
{
    void *p;

    if (parsing == NULL)
        return malloc(size);
    p = arena_alloc(parsing->arena, size);
    if (p == NULL)
        longjmp(parsing->out_of_memory, 1);
    return p;
}

static void json_free(void *p)
{
    if (parsing == NULL)
        free(p);
}

static void set_up(void)
{
    json_set_alloc_funcs(json_malloc, json_free);
    json_object_seed(0); /* here, not in the middle of the first parse */
}

enum conf_json_status conf_json_parse(struct view text, struct arena *arena, json_t **out,
                                      json_error_t *e)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    struct parsing here = {.arena = arena};
    json_t *json;

    (void)pthread_once(&once, set_up);
    parsing = &here;
    if (setjmp(here.out_of_memory) != 0) {
        parsing = NULL;
        return CONF_JSON_NOMEM;
    }
    json = json_loadb(text.len == 0 ? "" : text.p, text.len, JSON_REJECT_DUPLICATES, e);
    parsing = NULL;
    if (json == NULL)
        return CONF_JSON_SYNTAX;
    *out = json;
    return CONF_JSON_OK;
}
