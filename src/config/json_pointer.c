#include "json_pointer.h"

#include "conf_json.h"

#include <string.h>

bool json_pointer_valid(struct view pointer)
{
    if (pointer.len > 0 && pointer.p[0] != '/')
        return false;
    for (size_t i = 0; i < pointer.len; i++) {
        if (pointer.p[i] == '\0')
            return false; /* no key has one */
        if (pointer.p[i] != '~')
            continue;
        if (i + 1 == pointer.len || (pointer.p[i + 1] != '0' && pointer.p[i + 1] != '1'))
            return false;
    }
    return true;
}

struct view json_pointer_take(struct view *pointer)
{
    struct view rest = view_from(*pointer, 1);
    const char *slash = rest.len == 0 ? NULL : memchr(rest.p, '/', rest.len);
    size_t len = slash == NULL ? rest.len : (size_t)(slash - rest.p);

    *pointer = view_from(rest, len);
    return view_head(rest, len);
}

struct view json_pointer_take_last(struct view *pointer)
{
    size_t at = pointer->len;
    struct view token;

    while (at > 0 && pointer->p[at - 1] != '/')
        at--;
    token = (struct view){pointer->p + at, pointer->len - at};
    *pointer = view_head(*pointer, at == 0 ? 0 : at - 1);
    return token;
}

size_t json_pointer_tokens(struct view pointer)
{
    size_t n = 0;

    for (size_t i = 0; i < pointer.len; i++)
        n += pointer.p[i] == '/';
    return n;
}

/* RFC 6901 4. */
struct view json_pointer_decode(struct view token, char *dst)
{
    size_t len = 0;

    for (size_t i = 0; i < token.len; i++) {
        char c = token.p[i];

        if (c == '~' && i + 1 < token.len)
            c = token.p[++i] == '1' ? '/' : '~';
        dst[len++] = c;
    }
    dst[len] = '\0';
    return (struct view){dst, len};
}

bool json_pointer_index(struct view token, size_t *out)
{
    size_t value = 0;

    if (token.len == 0 || token.len > 9 || (token.len > 1 && token.p[0] == '0'))
        return false;
    for (size_t i = 0; i < token.len; i++) {
        if (token.p[i] < '0' || token.p[i] > '9')
            return false;
        value = value * 10 + (size_t)(token.p[i] - '0');
    }
    *out = value;
    return true;
}

/* Is the key what the token stands for? */
static bool is_key(const char *key, struct view token)
{
    for (size_t i = 0; i < token.len; i++) {
        char c = token.p[i];

        if (c == '~' && i + 1 < token.len)
            c = token.p[++i] == '1' ? '/' : '~';
        if (*key++ != c)
            return false;
    }
    return *key == '\0';
}

/* A look-up by hash wants a key of its own with a NUL: short ones have room here, and long ones are
 * so rare that going through all is fine. */
static json_t *member(const json_t *object, struct view token)
{
    char key[256], *p = key;
    void *i;

    if (token.len < sizeof(key)) {
        (void)json_pointer_decode(token, p);
        return json_object_get(object, key);
    }
    for (i = json_object_iter(conf_json_iterable(object)); i != NULL;
         i = json_object_iter_next(conf_json_iterable(object), i))
        if (is_key(json_object_iter_key(i), token))
            return json_object_iter_value(i);
    return NULL;
}

json_t *json_pointer_child(const json_t *value, struct view token)
{
    size_t index;

    if (json_is_object(value))
        return member(value, token);
    if (json_is_array(value) && json_pointer_index(token, &index))
        return json_array_get(value, index);
    return NULL;
}

json_t *json_pointer_find(json_t *root, struct view pointer, struct view *left)
{
    json_t *value = root;

    while (pointer.len > 0) {
        struct view rest = pointer;
        json_t *child = json_pointer_child(value, json_pointer_take(&rest));

        if (child == NULL)
            break;
        value = child;
        pointer = rest;
    }
    if (left != NULL)
        *left = pointer;
    return pointer.len > 0 ? NULL : value;
}
