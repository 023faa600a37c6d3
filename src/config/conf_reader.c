#include "conf_reader.h"

#include "conf_expand.h"
#include "conf_text.h"

#include <sallyport/config/nearest.h>

#include <stdio.h>

#define SUGGESTIONS 100

static void read_object(struct conf_reader *r, const struct conf_table *table,
                        const struct conf_path *at, json_t *json, void *object);

void conf_reader_init(struct conf_reader *r, struct config_problems *problems, struct arena *arena,
                      struct view folder)
{
    *r = (struct conf_reader){
        .problems = problems, .arena = arena, .folder = folder, .suggestions_left = SUGGESTIONS};
    arena_init(&r->scratch);
}

void conf_reader_fini(struct conf_reader *r)
{
    arena_fini(&r->scratch);
}

/* ---- Memory ---- */

void *conf_new(struct conf_reader *r, size_t n, size_t size)
{
    void *p;

    if (n == 0)
        return NULL;
    p = n > SIZE_MAX / size ? NULL : arena_alloc(r->arena, n * size);
    if (p == NULL)
        r->nomem = true;
    return p;
}

struct view conf_copy(struct conf_reader *r, struct view v)
{
    struct view copy = arena_copy(r->arena, v);

    if (copy.p == NULL)
        r->nomem = true;
    return copy;
}

struct view conf_resolve(struct conf_reader *r, struct view path)
{
    struct view whole;

    if (r->folder.len == 0 || (path.len > 0 && path.p[0] == '/'))
        return conf_copy(r, path);
    whole = arena_printf(r->arena, VIEW_FMT "/" VIEW_FMT, VIEW_ARG(r->folder), VIEW_ARG(path));
    if (whole.p == NULL)
        r->nomem = true;
    return whole;
}

/* ---- Objects, lists, maps ---- */

static size_t n_members(json_t *map)
{
    size_t n = 0;

    for (void *i = json_object_iter(map); i != NULL; i = json_object_iter_next(map, i))
        n += !conf_key_is_comment(json_object_iter_key(i));
    return n;
}

/* An object in the form that the table allows; it has its defaults already. */
static void read_form(struct conf_reader *r, const struct conf_table *table,
                      const struct conf_path *at, json_t *json, void *object)
{
    if (table->form == CONF_FORM_OBJECT ||
        (table->form == CONF_FORM_OBJECT_OR_FIRST && json_is_object(json))) {
        read_object(r, table, at, json, object);
        return;
    }
    if (conf_read_value(r, &table->rows[0], at, json, object) && table->finish != NULL)
        table->finish(r, at, object);
}

/* One of a list or map. */
static void read_element(struct conf_reader *r, const struct conf_table *table,
                         const struct conf_path *at, json_t *json, void *object)
{
    conf_defaults(table, object, r->root_table, r->root);
    read_form(r, table, at, json, object);
}

/* Room for n elements, noted in the field of the row; NULL for none. */
static char *make_elements(struct conf_reader *r, const struct conf_row *row, size_t n,
                           void *object)
{
    char *elements = conf_new(r, n, row->table->size);
    uint32_t count = elements == NULL ? 0 : (uint32_t)n;

    memcpy((char *)object + row->offset, &elements, sizeof(elements));
    memcpy((char *)object + row->n_offset, &count, sizeof(count));
    return elements;
}

static void read_list(struct conf_reader *r, const struct conf_row *row, const struct conf_path *at,
                      json_t *json, void *object)
{
    struct conf_path element = {.up = at};
    char *elements;
    json_t *v;

    if (!json_is_array(json) || !conf_count_fits(row, json_array_size(json))) {
        conf_unexpected(r, row, at, json);
        return;
    }
    elements = make_elements(r, row, json_array_size(json), object);
    if (elements == NULL)
        return;
    json_array_foreach(json, element.index, v)
        read_element(r, row->table, &element, v, elements + element.index * row->table->size);
}

static void read_name(struct conf_reader *r, const struct conf_row *row, const struct conf_path *at,
                      void *element)
{
    struct view name = view_of(at->key);

    if (row->kind != NULL && row->kind->ok != NULL && !row->kind->ok(name))
        conf_key_error(r, at, "the key has to be %s", row->kind->expects);
    name = conf_copy(r, name);
    memcpy((char *)element + row->name_offset, &name, sizeof(name));
}

static void read_map(struct conf_reader *r, const struct conf_row *row, const struct conf_path *at,
                     json_t *json, void *object)
{
    struct conf_path member = {.up = at};
    char *element;
    json_t *v;

    if (!json_is_object(json) || !conf_count_fits(row, n_members(json))) {
        conf_unexpected(r, row, at, json);
        return;
    }
    element = make_elements(r, row, n_members(json), object);
    if (element == NULL)
        return;
    json_object_foreach(json, member.key, v)
    {
        if (conf_key_is_comment(member.key))
            continue;
        read_name(r, row, &member, element);
        read_element(r, row->table, &member, v, element);
        element += row->table->size;
    }
}

static void read_row(struct conf_reader *r, const struct conf_row *row, const struct conf_path *at,
                     json_t *json, void *object)
{
    if (row->type == CONF_OBJECT) {
        if (row->choice || row->optional)
            conf_defaults(row->table, (char *)object + row->offset, r->root_table, r->root);
        read_form(r, row->table, at, json, (char *)object + row->offset);
    } else if (row->type == CONF_LIST) {
        read_list(r, row, at, json, object);
    } else if (row->type == CONF_MAP) {
        read_map(r, row, at, json, object);
    } else {
        (void)conf_read_value(r, row, at, json, object);
    }
}

/* ---- The keys of an object ---- */

static void say_unknown_key(struct conf_reader *r, const struct conf_table *table,
                            const struct conf_path *at)
{
    struct nearest near;
    char text[CONF_TEXT_MAX];
    struct conf_text t;

    nearest_init(&near, view_of(at->key));
    for (size_t i = 0; i < table->n_rows; i++)
        nearest_offer(&near, view_of(table->rows[i].name));
    conf_text_init(&t, text, sizeof(text));
    conf_text_put(&t, "unknown key ");
    conf_text_quote(&t, view_of(at->key), CONF_FOUND_MAX);
    if (near.best.p != NULL)
        conf_text_put(&t, "; did you mean \"" VIEW_FMT "\"?", VIEW_ARG(near.best));
    conf_key_error(r, at, "%s", text);
}

static void check_unknown_keys(struct conf_reader *r, const struct conf_table *table,
                               const struct conf_path *at, json_t *json)
{
    struct conf_path member = {.up = at};
    json_t *v;

    json_object_foreach(json, member.key, v)
    {
        if (!conf_key_is_comment(member.key) && conf_table_find(table, view_of(member.key)) == NULL)
            say_unknown_key(r, table, &member);
    }
}

static bool is_true(const struct conf_table *table, const char *flag, const void *object)
{
    return conf_field_get(object, conf_table_find(table, view_of(flag))) != 0;
}

static void check_only_with(struct conf_reader *r, const struct conf_table *table,
                            const struct conf_path *at, json_t *json, const void *object)
{
    for (size_t i = 0; i < table->n_rows; i++) {
        const struct conf_row *row = &table->rows[i];

        if (row->only_with == NULL || json_object_get(json, row->name) == NULL)
            continue;
        if (is_true(table, row->only_with, object))
            continue;
        conf_key_error(r, &(struct conf_path){.up = at, .key = row->name},
                       "\"%s\" is only for a %s with \"%s\": true", row->name, table->noun,
                       row->only_with);
    }
}

static void check_choice(struct conf_reader *r, const struct conf_table *table,
                         const struct conf_path *at, json_t *json)
{
    const char *chosen = NULL;
    char text[CONF_TEXT_MAX];
    struct conf_text t;

    conf_text_init(&t, text, sizeof(text));
    for (size_t i = 0; i < table->n_rows; i++) {
        const struct conf_row *row = &table->rows[i];

        if (!row->choice)
            continue;
        conf_text_put(&t, "%s\"%s\"", t.len == 0 ? "" : ", ", row->name);
        if (json_object_get(json, row->name) == NULL)
            continue;
        if (chosen != NULL) {
            conf_key_error(r, &(struct conf_path){.up = at, .key = row->name},
                           "a %s cannot have both \"%s\" and \"%s\"", table->noun, chosen,
                           row->name);
        }
        chosen = row->name;
    }
    if (t.len > 0 && chosen == NULL)
        conf_error(r, at, "a %s needs one of %s", table->noun, text);
}

static void check_missing(struct conf_reader *r, const struct conf_table *table,
                          const struct conf_path *at, json_t *json, const void *object)
{
    char expected[CONF_TEXT_MAX], instead[CONF_TEXT_MAX] = "";

    for (size_t i = 0; i < table->n_rows; i++) {
        const struct conf_row *row = &table->rows[i];

        if (!row->required || json_object_get(json, row->name) != NULL)
            continue;
        if (row->only_with != NULL) {
            if (!is_true(table, row->only_with, object))
                continue;
            (void)snprintf(instead, sizeof(instead), " (or \"%s\": false)", row->only_with);
        }
        conf_error(r, at, "\"%s\" is missing: expected %s%s", row->name,
                   conf_row_expects(row, expected, sizeof(expected)), instead);
    }
}

/* `object` has its defaults already. */
static void read_object(struct conf_reader *r, const struct conf_table *table,
                        const struct conf_path *at, json_t *json, void *object)
{
    if (!json_is_object(json)) {
        const struct conf_row row = {.type = CONF_OBJECT, .table = table};

        conf_unexpected(r, &row, at, json);
        return;
    }
    for (size_t i = 0; i < table->n_rows; i++) {
        const struct conf_row *row = &table->rows[i];
        json_t *v = json_object_get(json, row->name);

        if (v != NULL)
            read_row(r, row, &(struct conf_path){.up = at, .key = row->name}, v, object);
    }
    check_missing(r, table, at, json, object);
    check_unknown_keys(r, table, at, json);
    check_only_with(r, table, at, json, object);
    check_choice(r, table, at, json);
    if (table->finish != NULL)
        table->finish(r, at, object);
}

void conf_reader_read(struct conf_reader *r, const struct conf_table *table, json_t *json,
                      void *root)
{
    r->root_table = table;
    r->root = root;
    r->tree = json;
    conf_expand(r, json);
    conf_defaults(table, root, table, root);
    read_object(r, table, NULL, json, root);
}
