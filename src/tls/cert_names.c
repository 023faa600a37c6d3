#include "cert_names.h"

#include <stdlib.h>
#include <string.h>

/* Letters, digits and hyphens, and the underscore that is in use all the same. */
static bool is_label_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
}

/* Labels of at least one character with single dots between them. */
static bool is_host(struct view name)
{
    bool in_label = false;

    for (size_t i = 0; i < name.len; i++) {
        if (name.p[i] == '.' ? !in_label : !is_label_char(name.p[i]))
            return false;
        in_label = name.p[i] != '.';
    }
    return in_label;
}

struct view cert_name_normal(struct view name, char *dst)
{
    struct view none = {NULL, 0}, normal;
    bool wildcard;

    if (name.len > 0 && name.p[name.len - 1] == '.')
        name.len--;
    if (name.len == 0 || name.len > CERT_NAME_MAX)
        return none;
    for (size_t i = 0; i < name.len; i++)
        dst[i] = (char)(name.p[i] >= 'A' && name.p[i] <= 'Z' ? name.p[i] | 0x20 : name.p[i]);
    normal = (struct view){dst, name.len};
    wildcard = view_starts_with(normal, VIEW("*."));
    return is_host(wildcard ? view_from(normal, 2) : normal) ? normal : none;
}

bool cert_names_reserve(struct cert_names *names, uint32_t n)
{
    names->v = calloc((size_t)n + 1, sizeof(*names->v));
    names->cap = n;
    return names->v != NULL;
}

void cert_names_add(struct cert_names *names, struct view normal, uint32_t bundle)
{
    SP_ASSERT(names->n < names->cap);
    names->v[names->n++] = (struct cert_name){normal, bundle};
}

static int compare(const void *a, const void *b)
{
    const struct cert_name *x = a, *y = b;
    int order = view_compare(x->name, y->name);

    return order != 0 ? order : (x->bundle > y->bundle) - (x->bundle < y->bundle);
}

void cert_names_finish(struct cert_names *names)
{
    if (names->n > 0)
        qsort(names->v, names->n, sizeof(*names->v), compare);
}

const struct cert_name *cert_names_exact(const struct cert_names *names, struct view name,
                                         uint32_t *n)
{
    uint32_t low = 0, high = names->n;

    while (low < high) {
        uint32_t middle = low + (high - low) / 2;

        if (view_compare(names->v[middle].name, name) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    *n = 0;
    while (low + *n < names->n && view_eq(names->v[low + *n].name, name))
        ++*n;
    return &names->v[low];
}

const struct cert_name *cert_names_wildcard(const struct cert_names *names, struct view name,
                                            uint32_t *n)
{
    char wildcard[CERT_NAME_MAX + 1];
    const char *dot = name.len == 0 ? NULL : memchr(name.p, '.', name.len);
    size_t rest;

    *n = 0;
    if (dot == NULL)
        return NULL;
    rest = name.len - (size_t)(dot - name.p);
    wildcard[0] = '*';
    memcpy(wildcard + 1, dot, rest);
    return cert_names_exact(names, (struct view){wildcard, rest + 1}, n);
}

void cert_names_fini(struct cert_names *names)
{
    free(names->v);
    *names = (struct cert_names){0};
}
