/* The rows as a JSON Schema (2020-12): an object for each table, named by its noun. What a schema
 * cannot say (that a name is that of a backend, that no two ports are the same) is left to the
 * reader. */
#include "conf_json.h"
#include "config_rows.h"
#include "json_write.h"

#include <sallyport/config/schema.h>

#include <ctype.h>

#define EXPANSION "text-from-outside" /* "${...}" in a string: whatever it stands for */

struct schema {
    json_t *defs;
    json_t *root;
};

/* Everything here runs inside conf_json_run(): making values cannot fail. */

static json_t *with(json_t *object, const char *key, json_t *value)
{
    (void)json_object_set_new(object, key, value);
    return object;
}

static json_t *of_type(const char *type)
{
    return with(json_object(), "type", json_string(type));
}

static json_t *pattern(const char *regex)
{
    return with(json_object(), "pattern", json_string(regex));
}

static json_t *text_like(const char *regex)
{
    return with(of_type("string"), "pattern", json_string(regex));
}

static json_t *pair(json_t *a, json_t *b)
{
    json_t *list = json_array();

    (void)json_array_append_new(list, a);
    (void)json_array_append_new(list, b);
    return list;
}

static json_t *any_of(json_t *a, json_t *b)
{
    return with(json_object(), "anyOf", pair(a, b));
}

static json_t *ref_to(const char *name)
{
    return with(json_object(), "$ref", json_sprintf("#/$defs/%s", name));
}

/* Of keys that stand beside it: strict validators want them named again where they are required. */
static json_t *requiring(json_t *names)
{
    json_t *properties = json_object(), *name;
    size_t i;

    json_array_foreach(names, i, name)(void) with(properties, json_string_value(name), json_true());
    return with(with(json_object(), "properties", properties), "required", names);
}

/* ---- Values ---- */

static json_t *words_of(const struct conf_row *row)
{
    json_t *list = json_array();

    for (size_t i = 0; i < row->n_words; i++)
        if (row->words[i].refused == NULL)
            (void)json_array_append_new(list, json_string(row->words[i].text));
    return with(json_object(), "enum", list);
}

static json_t *or_expansion(json_t *schema)
{
    return any_of(schema, ref_to(EXPANSION));
}

static json_t *integer(const struct conf_row *row)
{
    json_t *s = of_type("integer");

    if (row->n_numbers > 0) {
        json_t *list = json_array();

        for (size_t i = 0; i < row->n_numbers; i++)
            (void)json_array_append_new(list, json_integer(row->numbers[i]));
        s = with(json_object(), "enum", list);
    } else {
        (void)with(s, "minimum", json_integer(row->min));
        if (row->max != INT64_MAX)
            (void)with(s, "maximum", json_integer(row->max));
    }
    return row->n_words > 0 ? any_of(s, words_of(row)) : s;
}

static json_t *text(const struct conf_kind *kind)
{
    json_t *s = of_type("string");

    if (kind == NULL || kind->pattern == NULL)
        return s;
    return with(s, "anyOf", pair(pattern(kind->pattern), ref_to(EXPANSION)));
}

static json_t *some_text(void)
{
    return with(of_type("string"), "minLength", json_integer(1));
}

static json_t *bounded(json_t *schema, const struct conf_row *row, const char *least,
                       const char *most)
{
    if (row->min > 0)
        (void)with(schema, least, json_integer(row->min));
    if (row->max > 0)
        (void)with(schema, most, json_integer(row->max));
    return schema;
}

static json_t *list_of(const struct conf_row *row, json_t *element)
{
    return bounded(with(of_type("array"), "items", element), row, "minItems", "maxItems");
}

static json_t *schema_of(struct schema *s, const struct conf_row *row);
static const char *define(struct schema *s, const struct conf_table *table);

/* Of a list or map, or an object that may be its first value. */
static json_t *element(struct schema *s, const struct conf_table *table)
{
    switch (table->form) {
    case CONF_FORM_OBJECT: break;
    case CONF_FORM_OBJECT_OR_FIRST:
        return any_of(schema_of(s, &table->rows[0]), ref_to(define(s, table)));
    case CONF_FORM_FIRST: return schema_of(s, &table->rows[0]);
    }
    return ref_to(define(s, table));
}

static json_t *map_of(struct schema *s, const struct conf_row *row)
{
    json_t *m = of_type("object");

    if (row->kind != NULL && row->kind->pattern != NULL)
        (void)with(m, "propertyNames",
                   any_of(pattern(row->kind->pattern), pattern("^" CONF_COMMENT)));
    (void)with(m, "patternProperties", with(json_object(), "^" CONF_COMMENT, json_true()));
    (void)with(m, "additionalProperties", element(s, row->table));
    return bounded(m, row, "minProperties", "maxProperties");
}

static json_t *value_of(struct schema *s, const struct conf_row *row)
{
    switch (row->type) {
    case CONF_BOOL: return of_type("boolean");
    case CONF_INT: return integer(row);
    case CONF_STRING: return text(row->kind);
    case CONF_PATH:
    case CONF_REF: return some_text();
    case CONF_MODE: return or_expansion(text_like("^0[0-7]{1,4}$"));
    case CONF_ENUM: return or_expansion(words_of(row));
    case CONF_FLAGS: return list_of(row, or_expansion(words_of(row)));
    case CONF_STRINGS: return list_of(row, text(row->kind));
    case CONF_CIDRS:
    case CONF_REFS: return list_of(row, some_text());
    case CONF_OBJECT: return element(s, row->table);
    case CONF_LIST: return list_of(row, element(s, row->table));
    case CONF_MAP: return map_of(s, row);
    case CONF_TYPE_COUNT: break;
    }
    return json_object();
}

/* ---- Rows ---- */

/* The default as JSON; NULL: none, or one that no value says. */
static json_t *default_of(const struct conf_row *row)
{
    char as_text[CONF_TEXT_MAX];
    json_error_t e;

    if (row->def_note != NULL || row->required)
        return NULL;
    (void)conf_row_default(row, as_text, sizeof(as_text));
    return as_text[0] == '\0' ? NULL : json_loads(as_text, JSON_DECODE_ANY, &e);
}

static json_t *schema_of(struct schema *s, const struct conf_row *row)
{
    json_t *v = value_of(s, row), *by_default = default_of(row);

    if (row->unit == NULL)
        (void)with(v, "description", json_string(row->help));
    else
        (void)with(v, "description", json_sprintf("%s In %s.", row->help, row->unit));
    if (by_default != NULL)
        (void)with(v, "default", by_default);
    return v;
}

/* ---- Tables ---- */

/* With the flag false those keys are errors, with it true some are required. */
static void add_only_with(json_t *object, const struct conf_table *table)
{
    json_t *without = json_object(), *required = json_array();
    const char *flag = NULL;
    bool by_default = false;

    for (size_t i = 0; i < table->n_rows; i++) {
        const struct conf_row *row = &table->rows[i];

        if (row->only_with == NULL)
            continue;
        flag = row->only_with;
        by_default = conf_table_find(table, view_of(flag))->def != 0;
        (void)with(without, row->name, json_false());
        if (row->required)
            (void)json_array_append_new(required, json_string(row->name));
    }
    if (flag == NULL)
        return;
    json_t *is_off =
        with(json_object(), "properties",
             with(json_object(), flag, with(json_object(), "const", json_boolean(!by_default))));
    json_t *needs_flag = json_array();
    (void)json_array_append_new(needs_flag, json_string(flag));
    json_t *off = with(json_object(), "properties", without);
    json_t *on = requiring(required);
    (void)with(object, "if", with(is_off, "required", needs_flag));
    (void)with(object, "then", by_default ? off : on);
    (void)with(object, "else", by_default ? on : off);
}

static void add_choice(json_t *object, const struct conf_table *table)
{
    json_t *choices = json_array();

    for (size_t i = 0; i < table->n_rows; i++) {
        json_t *name = json_array();

        if (!table->rows[i].choice)
            continue;
        (void)json_array_append_new(name, json_string(table->rows[i].name));
        (void)json_array_append_new(choices, requiring(name));
    }
    if (json_array_size(choices) > 0)
        (void)with(object, "oneOf", choices);
}

static void add_required(json_t *object, const struct conf_table *table)
{
    json_t *required = json_array();

    for (size_t i = 0; i < table->n_rows; i++)
        if (table->rows[i].required && table->rows[i].only_with == NULL)
            (void)json_array_append_new(required, json_string(table->rows[i].name));
    if (json_array_size(required) > 0)
        (void)with(object, "required", required);
}

static void fill_object(struct schema *s, json_t *object, const struct conf_table *table)
{
    json_t *properties = json_object();

    for (size_t i = 0; i < table->n_rows; i++)
        (void)with(properties, table->rows[i].name, schema_of(s, &table->rows[i]));
    (void)with(object, "type", json_string("object"));
    (void)with(object, "properties", properties);
    (void)with(object, "patternProperties", with(json_object(), "^" CONF_COMMENT, json_true()));
    (void)with(object, "additionalProperties", json_false());
    add_required(object, table);
    add_only_with(object, table);
    add_choice(object, table);
}

/* The noun without blanks. The table is defined under it, once. */
static const char *define(struct schema *s, const struct conf_table *table)
{
    size_t len = strlen(table->noun);
    char *name = conf_json_alloc(len + 1);
    json_t *object = json_object();

    for (size_t i = 0; i < len; i++)
        name[i] = isalnum((unsigned char)table->noun[i]) ? table->noun[i] : '-';
    if (json_object_get(s->defs, name) != NULL)
        return name;
    (void)with(s->defs, name, object);
    fill_object(s, object, table);
    return name;
}

static void make(void *arg)
{
    struct schema *s = arg;

    s->root = json_object();
    s->defs = json_object();
    (void)with(s->root, "$schema", json_string("https://json-schema.org/draft/2020-12/schema"));
    (void)with(s->root, "title", json_string("Configuration of sallyport"));
    (void)with(s->defs, EXPANSION, text_like("\\$\\{(ENV|FILE):[^}]+\\}"));
    fill_object(s, s->root, &conf_config_table);
    (void)with(json_object_get(s->root, "properties"), CONF_SCHEMA,
               with(of_type("string"), "description",
                    json_string("Where editors find this schema. The program does not look.")));
    (void)with(s->root, "$defs", s->defs);
}

bool config_print_schema(FILE *out)
{
    struct conf_buf b = {0};
    struct schema s = {0};
    struct arena arena;
    bool ok = false;

    arena_init(&arena);
    if (conf_json_run(&arena, SIZE_MAX, make, &s) == CONF_JSON_OK) {
        json_write(&b, s.root, 0, 0);
        conf_buf_put(&b, "\n");
        ok = !b.nomem && fwrite(b.p, 1, b.len, out) == b.len;
    }
    conf_buf_fini(&b);
    arena_fini(&arena);
    return ok;
}
