/* Where its text buffer cannot grow, the lexer of jansson 2.14 drops a byte and goes on: from there
 * on it aborts, writes past its memory, or hands out a value that the text does not have. So it is
 * never told that memory ran out: its allocator leaves the work by a jump, and what had been
 * allocated goes with the arena. Nothing else would need an end. */
#include "conf_json.h"

#include <math.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>

struct running {
    struct arena *arena;
    size_t limit_bytes;
    enum conf_json_status why; /* of the jump */
    jmp_buf out;
};

/* What runs on this thread. */
static _Thread_local struct running *running;

void *conf_json_alloc(size_t size)
{
    void *p = NULL;

    SP_ASSERT(running != NULL);
    if (size > running->limit_bytes || running->arena->used_bytes > running->limit_bytes - size)
        running->why = CONF_JSON_TOO_LARGE;
    else
        p = arena_alloc(running->arena, size);
    if (p == NULL)
        longjmp(running->out, 1);
    return p;
}

static void *json_malloc(size_t size)
{
    return running == NULL ? malloc(size) : conf_json_alloc(size);
}

static void json_free(void *p)
{
    if (running == NULL)
        free(p);
}

static void set_up(void)
{
    json_set_alloc_funcs(json_malloc, json_free);
    json_object_seed(0); /* here, not in the middle of the first parse */
}

enum conf_json_status conf_json_run(struct arena *arena, size_t limit_bytes,
                                    void (*work)(void *arg), void *arg)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    struct running here = {.arena = arena, .limit_bytes = limit_bytes, .why = CONF_JSON_NOMEM};

    (void)pthread_once(&once, set_up);
    SP_ASSERT(running == NULL);
    running = &here;
    if (setjmp(here.out) != 0) {
        running = NULL;
        return here.why;
    }
    work(arg);
    running = NULL;
    return CONF_JSON_OK;
}

/* ---- Text to a tree ---- */

struct parse {
    struct view text;
    size_t flags;
    json_t *json;
    json_error_t *e;
};

static void parse(void *arg)
{
    struct parse *p = arg;

    p->json = json_loadb(p->text.len == 0 ? "" : p->text.p, p->text.len,
                         JSON_REJECT_DUPLICATES | p->flags, p->e);
}

static enum conf_json_status run_parse(struct parse *p, struct arena *arena, json_t **out)
{
    enum conf_json_status status = conf_json_run(arena, SIZE_MAX, parse, p);

    if (status != CONF_JSON_OK)
        return status;
    if (p->json == NULL)
        return CONF_JSON_SYNTAX;
    *out = p->json;
    return CONF_JSON_OK;
}

enum conf_json_status conf_json_parse(struct view text, struct arena *arena, json_t **out,
                                      json_error_t *e)
{
    return run_parse(&(struct parse){.text = text, .e = e}, arena, out);
}

enum conf_json_status conf_json_parse_value(struct view text, struct arena *arena, json_t **out,
                                            json_error_t *e)
{
    return run_parse(&(struct parse){.text = text, .flags = JSON_DECODE_ANY, .e = e}, arena, out);
}

/* ---- Trees ---- */

/* Copies that cannot fail: memory that runs out is the jump's affair, and jansson's other reasons
 * (text that is no UTF-8, a tree inside itself) are no trees. */
json_t *conf_json_copy(const json_t *value)
{
    json_t *copy, *child;
    const char *key;
    size_t i;

    switch (json_typeof(value)) {
    case JSON_OBJECT:
        copy = json_object();
        json_object_foreach(conf_json_iterable(value), key, child)(void)
            json_object_set_new_nocheck(copy, key, conf_json_copy(child));
        return copy;
    case JSON_ARRAY:
        copy = json_array();
        json_array_foreach(value, i, child)(void)
            json_array_append_new(copy, conf_json_copy(child));
        return copy;
    case JSON_STRING:
        return json_stringn_nocheck(json_string_value(value), json_string_length(value));
    case JSON_INTEGER: return json_integer(json_integer_value(value));
    case JSON_REAL: return json_real(json_real_value(value));
    case JSON_TRUE:
    case JSON_FALSE:
    case JSON_NULL: break;
    }
    return conf_json_iterable(value); /* there is one of each */
}

static bool equal_objects(const json_t *a, const json_t *b)
{
    const char *key;
    json_t *child;

    if (json_object_size(a) != json_object_size(b))
        return false;
    json_object_foreach(conf_json_iterable(a), key, child)
    {
        const json_t *other = json_object_get(b, key);

        if (other == NULL || !conf_json_equal(child, other))
            return false;
    }
    return true;
}

static bool equal_arrays(const json_t *a, const json_t *b)
{
    json_t *child;
    size_t i;

    if (json_array_size(a) != json_array_size(b))
        return false;
    json_array_foreach(a, i, child)
    {
        if (!conf_json_equal(child, json_array_get(b, i)))
            return false;
    }
    return true;
}

#define TWO_63 9223372036854775808.0

/* An integer of 64 bits and a real: the same value, not the same after rounding. */
static bool equal_numbers(const json_t *a, const json_t *b)
{
    const json_t *integer = json_is_integer(a) ? a : b, *real = json_is_integer(a) ? b : a;
    double value;

    if (json_is_integer(a) && json_is_integer(b))
        return json_integer_value(a) == json_integer_value(b);
    if (json_is_real(a) && json_is_real(b))
        return !isless(json_real_value(a), json_real_value(b)) &&
               !isgreater(json_real_value(a), json_real_value(b));
    value = json_real_value(real);
    if (!(value >= -TWO_63 && value < TWO_63))
        return false;
    return (json_int_t)value == json_integer_value(integer) &&
           !islessgreater((double)(json_int_t)value, value);
}

bool conf_json_equal(const json_t *a, const json_t *b)
{
    if (json_is_number(a) && json_is_number(b))
        return equal_numbers(a, b);
    if (json_typeof(a) != json_typeof(b))
        return false;
    if (json_is_object(a))
        return equal_objects(a, b);
    if (json_is_array(a))
        return equal_arrays(a, b);
    if (json_is_string(a))
        return view_eq((struct view){json_string_value(a), json_string_length(a)},
                       (struct view){json_string_value(b), json_string_length(b)});
    return true;
}

unsigned conf_json_depth(const json_t *value, unsigned most)
{
    unsigned deepest = 0;
    const char *key;
    json_t *child;
    size_t i;

    if (most == 0 || (!json_is_object(value) && !json_is_array(value)))
        return 0;
    json_array_foreach(value, i, child)
    {
        unsigned d = conf_json_depth(child, most - 1);

        deepest = d > deepest ? d : deepest;
    }
    json_object_foreach(conf_json_iterable(value), key, child)
    {
        unsigned d = conf_json_depth(child, most - 1);

        deepest = d > deepest ? d : deepest;
    }
    return deepest + 1;
}
