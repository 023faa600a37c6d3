/* Reads JSON into structs by the rows of a table, and gathers everything that is wrong.
 *
 * What is read lives in `arena`; what was found wrong in `problems`. Out of memory is remembered
 * (`nomem`), and whoever called conf_reader_read() asks for it at the end. */
#pragma once

#include "conf_table.h"

#include <sallyport/config/config.h>

#include <jansson.h>

struct conf_expansion;
struct conf_text;

/* A place in the file, from the value up: lives on the stack of whoever goes down. */
struct conf_path {
    const struct conf_path *up; /* NULL: directly in the object at the top */
    const char *key;            /* NULL: an element of a list */
    size_t index;
};

/* The members of a map, by name. */
struct conf_index {
    const struct conf_row *map;
    struct conf_index_entry *entries; /* sorted */
    size_t n;
};

enum { CONF_INDEXES = 4 };

struct conf_reader {
    struct config_problems *problems;
    struct arena *arena;
    struct arena scratch; /* until conf_reader_fini() */
    struct view folder;   /* relative paths start here */
    const struct conf_table *root_table;
    void *root;
    struct conf_index indexes[CONF_INDEXES]; /* of the maps that are referred to */
    json_t *tree;                            /* what is being read */
    struct conf_expansion *expansions;       /* strings with "${...}", by address (conf_expand.h) */
    size_t n_expansions;
    unsigned suggestions_left; /* looking for a near name among thousands takes its time */
    bool nomem;
};

void conf_reader_init(struct conf_reader *r, struct config_problems *problems, struct arena *arena,
                      struct view folder);
void conf_reader_fini(struct conf_reader *r);

/* Reads the object at the top of the file into `root` (zeroed). */
void conf_reader_read(struct conf_reader *r, const struct conf_table *table, json_t *json,
                      void *root);

/* Adds a problem. at NULL: the object at the top of the file. (conf_report.c) */
void conf_error(struct conf_reader *r, const struct conf_path *at, const char *fmt, ...)
    SP_PRINTF(3, 4);
/* At the key instead of the value. */
void conf_key_error(struct conf_reader *r, const struct conf_path *at, const char *fmt, ...)
    SP_PRINTF(3, 4);
void conf_warning(struct conf_reader *r, const struct conf_path *at, const char *fmt, ...)
    SP_PRINTF(3, 4);

/* From the arena, zeroed; NULL for n 0 or when out of memory, which is remembered. */
void *conf_new(struct conf_reader *r, size_t n, size_t size) SP_MUST_CHECK;
struct view conf_copy(struct conf_reader *r, struct view v);
/* The path as the program opens it. Empty when out of memory. */
struct view conf_resolve(struct conf_reader *r, struct view path);

/* One value of a row; `field` is where it goes. False: a problem was added. (conf_value.c) */
bool conf_read_value(struct conf_reader *r, const struct conf_row *row, const struct conf_path *at,
                     const json_t *json, void *object);
/* "a string" as it is written in the file, or a number, "an object"... */
void conf_put_found(struct conf_text *t, const json_t *found);
/* "expected ..., found ...". `element`: of one element of the list that the row is. */
void conf_unexpected(struct conf_reader *r, const struct conf_row *row, const struct conf_path *at,
                     const json_t *found);
void conf_unexpected_element(struct conf_reader *r, const struct conf_row *row,
                             const struct conf_path *at, const json_t *found);
/* Looks a name up in the map that the row refers to; NULL and a problem when it is not there.
 * (conf_refs.c) */
const void *conf_read_ref(struct conf_reader *r, const struct conf_row *row,
                          const struct conf_path *at, const json_t *json);

/* What a string means: "${...}" filled in. Not for messages: it may be a secret. (conf_expand.c) */
struct view conf_string(const struct conf_reader *r, const json_t *string);
/* Was a problem added for it already, because it could not be filled in? */
bool conf_string_failed(const struct conf_reader *r, const json_t *value);
/* What the file has at a place; NULL: nothing. For messages about what has been read. */
const json_t *conf_json_at(const struct conf_reader *r, const struct conf_path *at);

/* The string as it is written. */
static inline struct view conf_json_view(const json_t *string)
{
    return (struct view){json_string_value(string), json_string_length(string)};
}
