#include "config_plan.h"

#include "conf_text.h"
#include "json_write.h"

#define VALUE_SHOWN_MAX 160

void config_plan_init(struct config_plan *p)
{
    *p = (struct config_plan){0};
    arena_init(&p->arena);
}

void config_plan_fini(struct config_plan *p)
{
    arena_fini(&p->arena);
    config_plan_init(p);
}

const char *config_part_label(enum config_part part)
{
    static const char *const labels[] = {
#define X(id, label, text) label,
        CONFIG_PARTS(X)
#undef X
    };

    return labels[part];
}

/* ---- Filling ---- */

/* Room for one element more; NULL: out of memory. */
static void *grow(struct arena *a, void *v, uint32_t n, uint32_t *cap, size_t size)
{
    uint32_t more = *cap == 0 ? 16 : 2 * *cap;
    void *bigger;

    if (n < *cap)
        return v;
    bigger = more < *cap ? NULL : arena_alloc(a, more * size);
    if (bigger == NULL)
        return NULL;
    if (n > 0)
        memcpy(bigger, v, n * size);
    *cap = more;
    return bigger;
}

static bool copy_view(struct config_plan *p, struct view *v)
{
    *v = arena_copy(&p->arena, *v);
    return v->p != NULL;
}

bool config_plan_add_change(struct config_plan *p, const struct config_change *change)
{
    struct config_change copy = *change;
    struct config_change *v =
        grow(&p->arena, p->changes, p->n_changes, &p->cap_changes, sizeof(*p->changes));

    if (v == NULL)
        return false;
    p->changes = v;
    if (!copy_view(p, &copy.pointer) || !copy_view(p, &copy.before) || !copy_view(p, &copy.after))
        return false;
    p->changes[p->n_changes++] = copy;
    return true;
}

bool config_plan_add_effect(struct config_plan *p, const struct config_effect *effect)
{
    struct config_effect copy = *effect;
    struct config_effect *v =
        grow(&p->arena, p->effects, p->n_effects, &p->cap_effects, sizeof(*p->effects));

    if (v == NULL)
        return false;
    p->effects = v;
    if (!copy_view(p, &copy.pointer) || !copy_view(p, &copy.name) || !copy_view(p, &copy.keys))
        return false;
    p->effects[p->n_effects++] = copy;
    return true;
}

/* ---- For a person ---- */

static void print_value(struct view json, FILE *out)
{
    struct view shown = utf8_head(json, VALUE_SHOWN_MAX);

    (void)fprintf(out, VIEW_FMT "%s", VIEW_ARG(shown), shown.len < json.len ? "..." : "");
}

static void print_change(const struct config_change *c, FILE *out)
{
    static const char signs[] = {
        [CONFIG_ADDED] = '+', [CONFIG_CHANGED] = '~', [CONFIG_REMOVED] = '-'};

    (void)fprintf(out, "%c " VIEW_FMT ": ", signs[c->kind], VIEW_ARG(c->pointer));
    if (c->kind != CONFIG_ADDED)
        print_value(c->before, out);
    if (c->kind == CONFIG_CHANGED)
        (void)fputs(" -> ", out);
    if (c->kind != CONFIG_REMOVED)
        print_value(c->after, out);
    (void)fputc('\n', out);
}

static const char *verb_of(const struct config_effect *e)
{
    static const char *const listener[] = {[CONFIG_ADDED] = "opened",
                                           [CONFIG_CHANGED] = "replaced",
                                           [CONFIG_REMOVED] = "closed, its connections drained"};
    static const char *const others[] = {
        [CONFIG_ADDED] = "added", [CONFIG_CHANGED] = "changed", [CONFIG_REMOVED] = "removed"};

    return e->part == CONFIG_PART_LISTENERS ? listener[e->kind] : others[e->kind];
}

static void print_effect(const struct config_effect *e, FILE *out)
{
    const char *label = config_part_label(e->part);

    (void)fprintf(out, "  %s", label);
    if (!view_eq(e->name, view_of(label)))
        (void)fprintf(out, " " VIEW_FMT, VIEW_ARG(e->name));
    (void)fprintf(out, ": %s", verb_of(e));
    if (e->keys.len > 0 && !view_eq(e->keys, e->name))
        (void)fprintf(out, " (" VIEW_FMT ")", VIEW_ARG(e->keys));
    (void)fputc('\n', out);
}

/* Under a heading, if there are any. */
static void print_effects(const struct config_plan *p, bool restart, const char *heading, FILE *out)
{
    bool first = true;

    for (uint32_t i = 0; i < p->n_effects; i++) {
        if (p->effects[i].restart != restart)
            continue;
        if (first)
            (void)fprintf(out, "%s\n", heading);
        first = false;
        print_effect(&p->effects[i], out);
    }
}

void config_plan_print(const struct config_plan *p, FILE *out)
{
    for (uint32_t i = 0; i < p->n_changes; i++)
        print_change(&p->changes[i], out);
    print_effects(p, false, "touches:", out);
    print_effects(p, true, "takes effect at the next start:", out);
    if (p->n_changes == 0 && p->n_effects == 0)
        (void)fputs("no difference\n", out);
    else if (p->n_effects == 0)
        (void)fputs("touches nothing that runs\n", out);
}

/* ---- For programs ---- */

static const char *const kind_labels[] = {
    [CONFIG_ADDED] = "added", [CONFIG_CHANGED] = "changed", [CONFIG_REMOVED] = "removed"};

static void put_text(struct conf_buf *b, const char *name, struct view v)
{
    conf_buf_put(b, ", \"%s\": ", name);
    json_write_string(b, v);
}

static void put_change(struct conf_buf *b, const struct config_change *c)
{
    conf_buf_put(b, "{\"kind\": \"%s\"", kind_labels[c->kind]);
    put_text(b, "pointer", c->pointer);
    if (c->kind != CONFIG_ADDED) {
        conf_buf_put(b, ", \"before\": ");
        conf_buf_add(b, c->before);
    }
    if (c->kind != CONFIG_REMOVED) {
        conf_buf_put(b, ", \"after\": ");
        conf_buf_add(b, c->after);
    }
    conf_buf_put(b, "}");
}

static void put_effect(struct conf_buf *b, const struct config_effect *e)
{
    conf_buf_put(b, "{\"part\": \"%s\", \"kind\": \"%s\"", config_part_label(e->part),
                 kind_labels[e->kind]);
    put_text(b, "pointer", e->pointer);
    put_text(b, "name", e->name);
    put_text(b, "keys", e->keys);
    conf_buf_put(b, ", \"restart\": %s}", e->restart ? "true" : "false");
}

static bool print_buf(const struct conf_buf *b, FILE *out)
{
    return !b->nomem && fwrite(b->p, 1, b->len, out) == b->len;
}

bool config_plan_print_json(const struct config_plan *p, FILE *out)
{
    struct conf_buf b = {0};

    conf_buf_put(&b, "{\"changes\": [");
    for (uint32_t i = 0; i < p->n_changes; i++) {
        conf_buf_put(&b, i == 0 ? "" : ", ");
        put_change(&b, &p->changes[i]);
    }
    conf_buf_put(&b, "], \"effects\": [");
    for (uint32_t i = 0; i < p->n_effects; i++) {
        conf_buf_put(&b, i == 0 ? "" : ", ");
        put_effect(&b, &p->effects[i]);
    }
    conf_buf_put(&b, "]}");
    bool ok = print_buf(&b, out);
    conf_buf_fini(&b);
    return ok;
}
