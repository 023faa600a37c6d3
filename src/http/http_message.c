/* The message model: methods, field ids, the field array, walking lists. */
#include <sallyport/http/http_message.h>
#include <sallyport/http/http_syntax.h>

enum { FIRST_FIELDS_CAP = 16 }; /* a browser's request has 10 to 15 fields */

static const struct method {
    struct view text;
    bool safe, idempotent;
} methods[] = {
#define X(id, name, is_safe, is_idempotent) \
    [HTTP_METHOD_##id] = {{name, sizeof(name) - 1}, is_safe, is_idempotent},
    HTTP_METHODS(X)
#undef X
};

enum http_method http_method_of(struct view text)
{
    /* RFC 9110 9.1: the method token is case-sensitive. */
    for (size_t i = 1; i < SP_COUNT_OF(methods); i++)
        if (view_eq(methods[i].text, text))
            return (enum http_method)i;
    return HTTP_METHOD_OTHER;
}

bool http_method_is_safe(enum http_method m)
{
    return methods[m].safe;
}

bool http_method_is_idempotent(enum http_method m)
{
    return methods[m].idempotent;
}

static const struct view field_names[HTTP_FIELD_COUNT] = {[HTTP_FIELD_OTHER] = {"", 0},
#define X(id, name) [HTTP_FIELD_##id] = {name, sizeof(name) - 1},
                                                          HTTP_FIELD_TABLE(X)
#undef X
};

/* ids_of_length[len][id] is 1 when the name of id has len bytes: few ids share a length, so few
 * names are compared. Expanded from the table, so that a new row needs nothing here. */
static const uint8_t ids_of_length[][HTTP_FIELD_COUNT] = {
#define X(id, name) [sizeof(name) - 1][HTTP_FIELD_##id] = 1,
    HTTP_FIELD_TABLE(X)
#undef X
};

enum http_field_id http_field_id_of(struct view name)
{
    const uint8_t *row, *hit;

    if (name.len == 0 || name.len >= SP_COUNT_OF(ids_of_length))
        return HTTP_FIELD_OTHER;
    row = ids_of_length[name.len];
    hit = row;
    while ((hit = memchr(hit, 1, (size_t)(row + HTTP_FIELD_COUNT - hit))) != NULL) {
        size_t id = (size_t)(hit - row);

        if ((name.p[0] | 0x20) == field_names[id].p[0] && view_eq_nocase(name, field_names[id]))
            return (enum http_field_id)id;
        hit++;
    }
    return HTTP_FIELD_OTHER;
}

static bool is_alphanumeric(char c)
{
    char lower = (char)(c | 0x20);

    return (c >= '0' && c <= '9') || (lower >= 'a' && lower <= 'z');
}

enum http_field_id http_field_id_imitated(struct view name)
{
    char dashed[SP_COUNT_OF(ids_of_length)];
    bool differs = false;

    if (name.len >= sizeof(dashed))
        return HTTP_FIELD_OTHER;
    for (size_t i = 0; i < name.len; i++) {
        bool keeps = is_alphanumeric(name.p[i]) || name.p[i] == '-';

        dashed[i] = (char)(keeps ? name.p[i] : '-');
        differs = differs || !keeps;
    }
    return differs ? http_field_id_of((struct view){dashed, name.len}) : HTTP_FIELD_OTHER;
}

const char *http_field_name(enum http_field_id id)
{
    return field_names[id].p;
}

static enum sp_err grow(struct http_fields *f, struct arena *a)
{
    uint32_t cap = f->cap == 0 ? FIRST_FIELDS_CAP : 2 * f->cap;
    struct http_field *v;

    if (cap < f->cap)
        return SP_NOMEM;
    v = arena_alloc(a, cap * sizeof(*v));
    if (v == NULL)
        return SP_NOMEM;
    if (f->n > 0)
        memcpy(v, f->v, f->n * sizeof(*v));
    f->v = v;
    f->cap = cap;
    return SP_OK;
}

enum sp_err http_fields_add_copy(struct http_fields *f, struct arena *a,
                                 const struct http_field *field)
{
    if (f->n == f->cap && grow(f, a) != SP_OK)
        return SP_NOMEM;
    f->v[f->n++] = *field;
    f->present |= UINT64_C(1) << field->id;
    return SP_OK;
}

enum sp_err http_fields_add(struct http_fields *f, struct arena *a, enum http_field_id id,
                            struct view name, struct view value)
{
    struct http_field field = {.name = name, .value = value, .id = id};

    return http_fields_add_copy(f, a, &field);
}

static const struct http_field *find_from(const struct http_fields *f, size_t at,
                                          enum http_field_id id)
{
    for (; at < f->n; at++)
        if (f->v[at].id == id)
            return &f->v[at];
    return NULL;
}

const struct http_field *http_fields_get(const struct http_fields *f, enum http_field_id id)
{
    return http_fields_has(f, id) ? find_from(f, 0, id) : NULL;
}

const struct http_field *http_fields_next(const struct http_fields *f,
                                          const struct http_field *after)
{
    return find_from(f, (size_t)(after - f->v) + 1, after->id);
}

/* From `at` on, the comma that ends the element, outside a quoted-string (RFC 9110 5.6.4). An open
 * quote runs to the end. */
static size_t element_end(struct view v, size_t at)
{
    bool quoted = false;

    for (; at < v.len; at++) {
        if (v.p[at] == '"')
            quoted = !quoted;
        else if (quoted && v.p[at] == '\\')
            at++;
        else if (!quoted && v.p[at] == ',')
            return at;
    }
    return v.len;
}

bool http_list_next(struct view *rest, struct view *element)
{
    /* RFC 9110 5.6.1.2: a recipient ignores a reasonable number of empty elements. */
    while (rest->len > 0) {
        size_t end = element_end(*rest, 0);
        struct view trimmed = http_trim(view_head(*rest, end));

        *rest = view_from(*rest, end + 1);
        if (trimmed.len > 0) {
            *element = trimmed;
            return true;
        }
    }
    return false;
}

bool http_fields_list_has(const struct http_fields *f, enum http_field_id id, struct view token)
{
    for (const struct http_field *field = http_fields_get(f, id); field != NULL;
         field = http_fields_next(f, field)) {
        struct view rest = field->value, element;

        while (http_list_next(&rest, &element))
            if (view_eq_nocase(element, token))
                return true;
    }
    return false;
}
