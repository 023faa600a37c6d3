/* jansson with its memory in an arena: trees that end as a whole. */
#pragma once

#include <sallyport/base/arena.h>

#include <jansson.h>

enum conf_json_status {
    CONF_JSON_OK,
    CONF_JSON_SYNTAX,
    CONF_JSON_NOMEM,
    CONF_JSON_TOO_LARGE, /* of conf_json_run(): its limit was reached */
};

/* The tree is good as long as the arena, read-only, and never released by itself. *e is set on
 * CONF_JSON_SYNTAX. A key twice in an object is an error; so is nesting beyond jansson's 2048. */
enum conf_json_status conf_json_parse(struct view text, struct arena *arena, json_t **out,
                                      json_error_t *e) SP_MUST_CHECK;
/* The same for any JSON value: a number, a string by itself. */
enum conf_json_status conf_json_parse_value(struct view text, struct arena *arena, json_t **out,
                                            json_error_t *e) SP_MUST_CHECK;

/* Runs `work`, in which whatever jansson allocates lies in the arena: trees may be made and changed
 * there. Where memory runs out, or the arena would hold more than limit_bytes, `work` is left by a
 * jump: it must own nothing outside the arena. */
enum conf_json_status conf_json_run(struct arena *arena, size_t limit_bytes,
                                    void (*work)(void *arg), void *arg) SP_MUST_CHECK;
/* For code inside conf_json_run() that allocates from the arena itself: zeroed, never NULL. */
void *conf_json_alloc(size_t size);

/* Only inside conf_json_run(). A copy that shares nothing with `value`. */
json_t *conf_json_copy(const json_t *value);

/* jansson's iterators want a pointer to non-const and change nothing. */
static inline json_t *conf_json_iterable(const json_t *value)
{
    union {
        const json_t *in;
        json_t *out;
    } same = {.in = value};

    return same.out;
}

/* Numbers by their value, objects whatever the order of their keys (RFC 6902 4.6). */
bool conf_json_equal(const json_t *a, const json_t *b);
/* How many containers are inside one another: 0 for a scalar; counting ends at `most`. */
unsigned conf_json_depth(const json_t *value, unsigned most);
