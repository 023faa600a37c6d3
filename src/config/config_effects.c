/* What differs between two configurations for a running program: every field that a row stands for
 * is compared, so defaults and inherited values count as what they are. Which part of the program a
 * difference touches is a column of the row. */
#include "conf_buf.h"
#include "conf_text.h"
#include "config_plan.h"
#include "config_rows.h"

#include <stdlib.h>

/* The settings of one object that differ, by the part that they touch; [1]: at the next start. */
struct touched {
    struct conf_buf keys[CONFIG_PART_COUNT][2];
    bool nomem;
};

struct comparing {
    struct config_plan *plan;
    const struct config *from, *to;
};

/* Where a row stands in its object: "limits/max_body_bytes". */
struct key_path {
    const struct key_path *up;
    const char *name;
};

static void put_key_path(struct conf_buf *b, const struct key_path *at)
{
    if (at->up != NULL) {
        put_key_path(b, at->up);
        conf_buf_add(b, VIEW("/"));
    }
    conf_buf_add(b, view_of(at->name));
}

static enum conf_touches touches_of(const struct conf_row *row, enum conf_touches above)
{
    return row->touches == CONF_TOUCHES_AS_ABOVE ? above : row->touches;
}

static void touch(struct touched *t, const struct conf_row *row, enum conf_touches touches,
                  const struct key_path *at)
{
    struct conf_buf *keys;

    if (touches == CONF_TOUCHES_NOTHING)
        return;
    SP_ASSERT(touches != CONF_TOUCHES_AS_ABOVE);
    keys = &t->keys[conf_part_of(touches)][row->at_start || touches == CONF_TOUCHES_PROCESS];
    if (keys->len > 0)
        conf_buf_add(keys, VIEW(", "));
    put_key_path(keys, at);
    t->nomem = t->nomem || keys->nomem;
}

/* ---- Are two values the same? ---- */

static bool same_object(const struct conf_table *t, const void *a, const void *b);

static const char *elements_of(const struct conf_row *row, const void *object, uint32_t *n)
{
    const char *elements;

    memcpy(&elements, (const char *)object + row->offset, sizeof(elements));
    memcpy(n, (const char *)object + row->n_offset, sizeof(*n));
    return elements;
}

static bool same_elements(const struct conf_row *row, const void *a, const void *b)
{
    size_t size = row->table->size;
    uint32_t n, m;
    const char *x = elements_of(row, a, &n), *y = elements_of(row, b, &m);

    if (n != m)
        return false;
    for (uint32_t i = 0; i < n; i++) {
        struct view p, q;

        if (!same_object(row->table, x + i * size, y + i * size))
            return false;
        if (row->type != CONF_MAP)
            continue;
        memcpy(&p, x + i * size + row->name_offset, sizeof(p));
        memcpy(&q, y + i * size + row->name_offset, sizeof(q));
        if (!view_eq(p, q))
            return false;
    }
    return true;
}

static bool same_strings(const struct conf_row *row, const void *a, const void *b)
{
    uint32_t n, m;
    const struct view *x = (const void *)elements_of(row, a, &n);
    const struct view *y = (const void *)elements_of(row, b, &m);

    for (uint32_t i = 0; n == m && i < n; i++)
        if (!view_eq(x[i], y[i]))
            return false;
    return n == m;
}

static bool same_cidr(const struct cidr *a, const struct cidr *b)
{
    return a->prefix_bits == b->prefix_bits &&
           memcmp(a->address, b->address, sizeof(a->address)) == 0;
}

static bool same_cidrs(const struct conf_row *row, const void *a, const void *b)
{
    uint32_t n, m;
    const struct cidr *x = (const void *)elements_of(row, a, &n);
    const struct cidr *y = (const void *)elements_of(row, b, &m);

    for (uint32_t i = 0; n == m && i < n; i++)
        if (!same_cidr(&x[i], &y[i]))
            return false;
    return n == m;
}

/* The name of what a reference leads to. */
static struct view referred(const struct conf_row *row, const void *target)
{
    const struct conf_row *map = conf_table_find(&conf_config_table, view_of(row->refers_to));
    struct view name = {0};

    if (target != NULL)
        memcpy(&name, (const char *)target + map->name_offset, sizeof(name));
    return name;
}

static bool same_ref(const struct conf_row *row, const void *a, const void *b)
{
    const void *x, *y;

    memcpy(&x, (const char *)a + row->offset, sizeof(x));
    memcpy(&y, (const char *)b + row->offset, sizeof(y));
    return view_eq(referred(row, x), referred(row, y));
}

static bool same_refs(const struct conf_row *row, const void *a, const void *b)
{
    uint32_t n, m;
    const void *const *x = (const void *)elements_of(row, a, &n);
    const void *const *y = (const void *)elements_of(row, b, &m);

    for (uint32_t i = 0; n == m && i < n; i++)
        if (!view_eq(referred(row, x[i]), referred(row, y[i])))
            return false;
    return n == m;
}

static bool same_view(const struct conf_row *row, const void *a, const void *b)
{
    struct view x, y;

    memcpy(&x, (const char *)a + row->offset, sizeof(x));
    memcpy(&y, (const char *)b + row->offset, sizeof(y));
    return view_eq(x, y);
}

static bool same_value(const struct conf_row *row, const void *a, const void *b)
{
    switch (row->type) {
    case CONF_BOOL:
    case CONF_INT:
    case CONF_MODE:
    case CONF_ENUM:
    case CONF_FLAGS: return conf_field_get(a, row) == conf_field_get(b, row);
    case CONF_STRING:
    case CONF_PATH: return same_view(row, a, b);
    case CONF_STRINGS: return same_strings(row, a, b);
    case CONF_CIDRS: return same_cidrs(row, a, b);
    case CONF_REF: return same_ref(row, a, b);
    case CONF_REFS: return same_refs(row, a, b);
    case CONF_OBJECT:
        return same_object(row->table, (const char *)a + row->offset,
                           (const char *)b + row->offset);
    case CONF_LIST:
    case CONF_MAP: return same_elements(row, a, b);
    case CONF_TYPE_COUNT: break;
    }
    return true;
}

static bool same_object(const struct conf_table *t, const void *a, const void *b)
{
    for (size_t i = 0; i < t->n_rows; i++)
        if (!same_value(&t->rows[i], a, b))
            return false;
    return true;
}

/* ---- What of an object differs ---- */

static void compare_row(struct touched *t, const struct conf_row *row, enum conf_touches above,
                        const struct key_path *up, const void *a, const void *b);

static void compare_object(struct touched *t, const struct conf_table *table,
                           enum conf_touches above, const struct key_path *up, const void *a,
                           const void *b)
{
    for (size_t i = 0; i < table->n_rows; i++)
        compare_row(t, &table->rows[i], above, up, a, b);
}

static void compare_row(struct touched *t, const struct conf_row *row, enum conf_touches above,
                        const struct key_path *up, const void *a, const void *b)
{
    struct key_path at = {.up = up, .name = row->name};
    enum conf_touches touches = touches_of(row, above);

    if (row->type == CONF_OBJECT) {
        compare_object(t, row->table, touches, &at, (const char *)a + row->offset,
                       (const char *)b + row->offset);
    } else if (!same_value(row, a, b)) {
        touch(t, row, touches, &at);
    }
}

/* ---- Effects ---- */

static bool add_effect(struct comparing *c, struct config_effect *e, const struct conf_row *row,
                       const struct view *member)
{
    struct conf_buf pointer = {0};
    bool ok;

    conf_buf_put(&pointer, "/%s", row->name);
    if (member != NULL) {
        conf_buf_add(&pointer, VIEW("/"));
        for (size_t i = 0; i < member->len; i++) {
            struct view byte = {member->p + i, 1};

            conf_buf_add(&pointer, *byte.p == '~'   ? VIEW("~0")
                                   : *byte.p == '/' ? VIEW("~1")
                                                    : byte);
        }
    }
    e->pointer = conf_buf_view(&pointer);
    e->name = member != NULL ? *member : view_of(row->name);
    ok = !pointer.nomem && config_plan_add_effect(c->plan, e);
    conf_buf_fini(&pointer);
    return ok;
}

/* Ends `t`. */
static bool add_touched(struct comparing *c, struct touched *t, const struct conf_row *row,
                        const struct view *member)
{
    bool ok = !t->nomem;

    for (unsigned i = 0; i < 2 * CONFIG_PART_COUNT; i++) {
        struct conf_buf *keys = &t->keys[i / 2][i % 2];
        struct config_effect e = {.part = (enum config_part)(i / 2),
                                  .kind = CONFIG_CHANGED,
                                  .restart = i % 2 == 1,
                                  .keys = conf_buf_view(keys)};

        ok = ok && (keys->len == 0 || add_effect(c, &e, row, member));
        conf_buf_fini(keys);
    }
    return ok;
}

struct member {
    struct view name;
    const char *object;
};

static int compare_members(const void *a, const void *b)
{
    const struct member *x = a, *y = b;

    return view_compare(x->name, y->name);
}

/* The members of a map by name; NULL: none, or out of memory. */
static struct member *members_of(const struct conf_row *row, const void *root, uint32_t *n)
{
    const char *elements = elements_of(row, root, n);
    struct member *v = *n == 0 ? NULL : calloc(*n, sizeof(*v));

    for (uint32_t i = 0; v != NULL && i < *n; i++) {
        v[i].object = elements + i * row->table->size;
        memcpy(&v[i].name, v[i].object + row->name_offset, sizeof(v[i].name));
    }
    if (v != NULL)
        qsort(v, *n, sizeof(*v), compare_members);
    return v;
}

static bool add_member(struct comparing *c, const struct conf_row *row, const struct member *m,
                       enum config_change_kind kind)
{
    struct config_effect e = {.part = conf_part_of(row->opens), .kind = kind};

    return add_effect(c, &e, row, &m->name);
}

static bool compare_member(struct comparing *c, const struct conf_row *row, const struct member *a,
                           const struct member *b)
{
    struct touched t = {0};

    compare_object(&t, row->table, row->touches, NULL, a->object, b->object);
    return add_touched(c, &t, row, &b->name);
}

/* Both in the order of their names. */
static bool merge_members(struct comparing *c, const struct conf_row *row, const struct member *a,
                          const struct member *a_end, const struct member *b,
                          const struct member *b_end)
{
    bool ok = true;

    while (ok && (a < a_end || b < b_end)) {
        int order = a == a_end ? 1 : b == b_end ? -1 : compare_members(a, b);

        if (order == 0)
            ok = compare_member(c, row, a, b);
        else
            ok = add_member(c, row, order < 0 ? a : b, order < 0 ? CONFIG_REMOVED : CONFIG_ADDED);
        a += order <= 0;
        b += order >= 0;
    }
    return ok;
}

static bool compare_map(struct comparing *c, const struct conf_row *row)
{
    uint32_t n, m;
    struct member *a = members_of(row, c->from, &n), *b = members_of(row, c->to, &m);
    bool ok = (a != NULL || n == 0) && (b != NULL || m == 0);

    if (ok && n + m > 0)
        ok = merge_members(c, row, a, a + n, b, b + m);
    free(a);
    free(b);
    return ok;
}

static bool compare_top(struct comparing *c, const struct conf_row *row)
{
    enum conf_touches touches = touches_of(row, CONF_TOUCHES_PROCESS);
    struct touched t = {0};

    if (row->type == CONF_MAP)
        return compare_map(c, row);
    if (row->type == CONF_OBJECT) {
        compare_object(&t, row->table, touches, NULL, (const char *)c->from + row->offset,
                       (const char *)c->to + row->offset);
    } else {
        compare_row(&t, row, touches, NULL, c->from, c->to);
    }
    return add_touched(c, &t, row, NULL);
}

static int compare_effects(const void *a, const void *b)
{
    const struct config_effect *x = a, *y = b;

    if (x->part != y->part)
        return x->part < y->part ? -1 : 1;
    return view_compare(x->pointer, y->pointer);
}

bool config_plan_effects(struct config_plan *p, const struct config *from, const struct config *to)
{
    struct comparing c = {.plan = p, .from = from, .to = to};

    for (size_t i = 0; i < conf_config_table.n_rows; i++)
        if (!compare_top(&c, &conf_config_table.rows[i]))
            return false;
    if (p->n_effects > 0)
        qsort(p->effects, p->n_effects, sizeof(*p->effects), compare_effects);
    return true;
}
