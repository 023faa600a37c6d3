/* The value of one key: a number, a word, a string, a list of them. */
#include "conf_reader.h"
#include "conf_text.h"

#include <sallyport/base/endpoint.h>

#include <stdio.h>

/* One reader per type. False: not what the row expects, to be said by the caller. */
typedef bool (*value_fn)(struct conf_reader *r, const struct conf_row *row,
                         const struct conf_path *at, const json_t *json, void *object);

/* A number as people write it: the spelling in the file is gone. */
static void put_real(struct conf_text *t, double value)
{
    char text[40];

    (void)snprintf(text, sizeof(text), "%.15g", value);
    conf_text_put(t, strpbrk(text, ".e") == NULL ? "%s.0" : "%s", text);
}

void conf_put_found(struct conf_text *t, const json_t *found)
{
    switch (json_typeof(found)) {
    case JSON_OBJECT:
        conf_text_put(t, json_object_size(found) == 0 ? "an empty object" : "an object");
        break;
    case JSON_ARRAY:
        conf_text_put(t, json_array_size(found) == 0 ? "an empty list" : "a list");
        break;
    case JSON_STRING: conf_text_quote(t, conf_json_view(found), CONF_FOUND_MAX); break;
    case JSON_INTEGER: conf_text_put(t, "%" JSON_INTEGER_FORMAT, json_integer_value(found)); break;
    case JSON_REAL: put_real(t, json_real_value(found)); break;
    case JSON_TRUE: conf_text_put(t, "true"); break;
    case JSON_FALSE: conf_text_put(t, "false"); break;
    case JSON_NULL: conf_text_put(t, "null"); break;
    }
}

static void say_unexpected(struct conf_reader *r, const struct conf_path *at, const char *expected,
                           const json_t *found)
{
    char text[CONF_TEXT_MAX];
    struct conf_text t;

    if (conf_string_failed(r, found))
        return;
    conf_text_init(&t, text, sizeof(text));
    conf_put_found(&t, found);
    conf_error(r, at, "expected %s, found %s", expected, text);
}

void conf_unexpected(struct conf_reader *r, const struct conf_row *row, const struct conf_path *at,
                     const json_t *found)
{
    char expected[CONF_TEXT_MAX];

    say_unexpected(r, at, conf_row_expects(row, expected, sizeof(expected)), found);
}

void conf_unexpected_element(struct conf_reader *r, const struct conf_row *row,
                             const struct conf_path *at, const json_t *found)
{
    char expected[CONF_TEXT_MAX];

    say_unexpected(r, at, conf_row_expects_element(row, expected, sizeof(expected)), found);
}

static const struct conf_word *find_word(const struct conf_reader *r, const struct conf_row *row,
                                         const json_t *json)
{
    if (!json_is_string(json))
        return NULL;
    for (size_t i = 0; i < row->n_words; i++)
        if (view_eq(view_of(row->words[i].text), conf_string(r, json)))
            return &row->words[i];
    return NULL;
}

static void field_store(void *object, const struct conf_row *row, const void *value, size_t size)
{
    SP_ASSERT(size == row->size);
    memcpy((char *)object + row->offset, value, size);
}

static void count_store(void *object, const struct conf_row *row, size_t n)
{
    uint32_t count = (uint32_t)n;

    memcpy((char *)object + row->n_offset, &count, sizeof(count));
}

static bool read_bool(struct conf_reader *r, const struct conf_row *row, const struct conf_path *at,
                      const json_t *json, void *object)
{
    (void)r;
    (void)at;
    if (!json_is_boolean(json))
        return false;
    conf_field_set(object, row, json_is_true(json));
    return true;
}

static bool is_allowed(const struct conf_row *row, int64_t value)
{
    for (size_t i = 0; i < row->n_numbers; i++)
        if (row->numbers[i] == value)
            return true;
    return row->n_numbers == 0 && value >= row->min && value <= row->max;
}

static bool read_int(struct conf_reader *r, const struct conf_row *row, const struct conf_path *at,
                     const json_t *json, void *object)
{
    const struct conf_word *word = find_word(r, row, json);

    (void)r;
    (void)at;
    if (word != NULL) {
        conf_field_set(object, row, word->value);
        return true;
    }
    if (!json_is_integer(json) || !is_allowed(row, json_integer_value(json)))
        return false;
    conf_field_set(object, row, json_integer_value(json));
    return true;
}

static struct view copy_lower(struct conf_reader *r, struct view v)
{
    char *copy = conf_new(r, v.len + 1, 1);

    if (copy == NULL)
        return (struct view){NULL, 0};
    for (size_t i = 0; i < v.len; i++) {
        copy[i] = v.p[i];
        if (copy[i] >= 'A' && copy[i] <= 'Z')
            copy[i] = (char)(copy[i] - 'A' + 'a');
    }
    return (struct view){copy, v.len};
}

static bool fits(const struct conf_reader *r, const struct conf_kind *kind, const json_t *json)
{
    return json_is_string(json) &&
           (kind == NULL || kind->ok == NULL || kind->ok(conf_string(r, json)));
}

static struct view take_string(struct conf_reader *r, const struct conf_kind *kind,
                               const json_t *json)
{
    if (kind != NULL && kind->lower)
        return copy_lower(r, conf_string(r, json));
    return conf_copy(r, conf_string(r, json));
}

static bool read_string(struct conf_reader *r, const struct conf_row *row,
                        const struct conf_path *at, const json_t *json, void *object)
{
    struct view v;

    (void)at;
    if (!fits(r, row->kind, json))
        return false;
    v = take_string(r, row->kind, json);
    field_store(object, row, &v, sizeof(v));
    return true;
}

static bool read_path(struct conf_reader *r, const struct conf_row *row, const struct conf_path *at,
                      const json_t *json, void *object)
{
    struct view v;

    (void)at;
    if (!json_is_string(json) || conf_string(r, json).len == 0)
        return false;
    v = find_word(r, row, json) != NULL ? conf_copy(r, conf_string(r, json))
                                        : conf_resolve(r, conf_string(r, json));
    field_store(object, row, &v, sizeof(v));
    return true;
}

/* Octal digits behind a leading 0: a number in JSON would be decimal, and 660 is not 0660. */
static bool read_mode(struct conf_reader *r, const struct conf_row *row, const struct conf_path *at,
                      const json_t *json, void *object)
{
    struct view text = conf_string(r, json);
    int64_t mode = 0;

    (void)r;
    (void)at;
    if (!json_is_string(json) || text.len < 2 || text.len > 5 || text.p[0] != '0')
        return false;
    for (size_t i = 0; i < text.len; i++) {
        if (text.p[i] < '0' || text.p[i] > '7')
            return false;
        mode = mode * 8 + (text.p[i] - '0');
    }
    if (mode > row->max)
        return false;
    conf_field_set(object, row, mode);
    return true;
}

static bool read_enum(struct conf_reader *r, const struct conf_row *row, const struct conf_path *at,
                      const json_t *json, void *object)
{
    const struct conf_word *word = find_word(r, row, json);

    if (word == NULL)
        return false;
    if (word->refused != NULL)
        conf_error(r, at, "%s", word->refused);
    conf_field_set(object, row, word->value);
    return true;
}

static bool is_list(const struct conf_row *row, const json_t *json)
{
    return json_is_array(json) && conf_count_fits(row, json_array_size(json));
}

static bool read_flags(struct conf_reader *r, const struct conf_row *row,
                       const struct conf_path *at, const json_t *json, void *object)
{
    struct conf_path element = {.up = at};
    int64_t bits = 0;
    json_t *v;

    if (!is_list(row, json))
        return false;
    json_array_foreach(json, element.index, v)
    {
        const struct conf_word *word = find_word(r, row, v);

        if (word == NULL)
            conf_unexpected_element(r, row, &element, v);
        else if (word->refused != NULL)
            conf_error(r, &element, "%s", word->refused);
        else
            bits |= word->value;
    }
    conf_field_set(object, row, bits);
    return true;
}

static bool read_strings(struct conf_reader *r, const struct conf_row *row,
                         const struct conf_path *at, const json_t *json, void *object)
{
    struct conf_path element = {.up = at};
    struct view *list;
    json_t *v;

    if (!is_list(row, json))
        return false;
    list = conf_new(r, json_array_size(json), sizeof(*list));
    if (list == NULL)
        return true;
    field_store(object, row, &list, sizeof(void *));
    count_store(object, row, json_array_size(json));
    json_array_foreach(json, element.index, v)
    {
        if (fits(r, row->kind, v))
            list[element.index] = take_string(r, row->kind, v);
        else
            conf_unexpected_element(r, row, &element, v);
    }
    return true;
}

static bool read_cidrs(struct conf_reader *r, const struct conf_row *row,
                       const struct conf_path *at, const json_t *json, void *object)
{
    struct conf_path element = {.up = at};
    struct cidr *list;
    json_t *v;

    if (!is_list(row, json))
        return false;
    list = conf_new(r, json_array_size(json), sizeof(*list));
    if (list == NULL)
        return true;
    field_store(object, row, &list, sizeof(void *));
    count_store(object, row, json_array_size(json));
    json_array_foreach(json, element.index, v)
    {
        if (!json_is_string(v) || cidr_parse(conf_string(r, v), &list[element.index]) != SP_OK)
            conf_unexpected_element(r, row, &element, v);
    }
    return true;
}

static bool read_ref(struct conf_reader *r, const struct conf_row *row, const struct conf_path *at,
                     const json_t *json, void *object)
{
    const void *found;

    if (!json_is_string(json))
        return false;
    found = conf_read_ref(r, row, at, json);
    field_store(object, row, &found, sizeof(found));
    return true;
}

static bool read_refs(struct conf_reader *r, const struct conf_row *row, const struct conf_path *at,
                      const json_t *json, void *object)
{
    struct conf_path element = {.up = at};
    const void **list;
    json_t *v;

    if (!is_list(row, json))
        return false;
    list = conf_new(r, json_array_size(json), sizeof(*list));
    if (list == NULL)
        return true;
    field_store(object, row, &list, sizeof(void *));
    count_store(object, row, json_array_size(json));
    json_array_foreach(json, element.index, v)
    {
        if (json_is_string(v))
            list[element.index] = conf_read_ref(r, row, &element, v);
        else
            conf_unexpected_element(r, row, &element, v);
    }
    return true;
}

static const value_fn readers[CONF_TYPE_COUNT] = {
    [CONF_BOOL] = read_bool,       [CONF_INT] = read_int,     [CONF_STRING] = read_string,
    [CONF_PATH] = read_path,       [CONF_MODE] = read_mode,   [CONF_ENUM] = read_enum,
    [CONF_FLAGS] = read_flags,     [CONF_CIDRS] = read_cidrs, [CONF_REF] = read_ref,
    [CONF_STRINGS] = read_strings, [CONF_REFS] = read_refs,
};

bool conf_read_value(struct conf_reader *r, const struct conf_row *row, const struct conf_path *at,
                     const json_t *json, void *object)
{
    SP_ASSERT(readers[row->type] != NULL);
    if (readers[row->type](r, row, at, json, object))
        return true;
    conf_unexpected(r, row, at, json);
    return false;
}
