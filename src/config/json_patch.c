#include "json_patch.h"

#include "conf_json.h"
#include "conf_text.h"
#include "json_pointer.h"

#include <sallyport/config/nearest.h>

#include <stdarg.h>
#include <stdio.h>

/* Of a pointer, this much is shown. */
#define POINTER_SHOWN_MAX ((size_t)120)

struct edit {
    json_t *root;
    unsigned depth; /* of the root in the whole tree */
    struct config_edit_problem *problem;
};

/* Where a value is or will be. */
struct spot {
    json_t *parent; /* NULL: the root itself */
    struct view token;
    size_t index;  /* in a list */
    json_t *value; /* NULL: none yet */
};

/* ---- Saying what is wrong ---- */

SP_PRINTF(3, 4)
static bool fail(struct edit *e, enum config_edit_status status, const char *fmt, ...)
{
    va_list args;

    e->problem->status = status;
    va_start(args, fmt);
    (void)vsnprintf(e->problem->text, sizeof(e->problem->text), fmt, args);
    va_end(args);
    return false;
}

static void put_nearest_key(struct conf_text *t, const json_t *object, struct view name)
{
    struct nearest near;
    const char *key;
    json_t *child;

    nearest_init(&near, name);
    json_object_foreach(conf_json_iterable(object), key, child) nearest_offer(&near, view_of(key));
    if (near.best.p == NULL)
        return;
    conf_text_put(t, "; did you mean ");
    conf_text_quote(t, near.best, CONF_FOUND_MAX);
    conf_text_put(t, "?");
}

static void put_missing(struct conf_text *t, const json_t *value, struct view token)
{
    char name[CONF_FOUND_MAX + 4];
    struct view shown = json_pointer_decode(utf8_head(token, CONF_FOUND_MAX), name);

    if (json_is_array(value)) {
        conf_text_put(t, "the list has %zu elements, and no ", json_array_size(value));
        conf_text_quote(t, shown, CONF_FOUND_MAX);
    } else if (json_is_object(value)) {
        conf_text_put(t, "no key ");
        conf_text_quote(t, shown, CONF_FOUND_MAX);
        put_nearest_key(t, value, shown);
    } else {
        conf_text_put(t, "there is no object and no list");
    }
}

void json_edit_say_missing(json_t *root, struct view pointer, struct config_edit_problem *problem)
{
    struct conf_text t;
    struct view left, found;
    const json_t *value;

    (void)json_pointer_find(root, pointer, &left);
    found = view_head(pointer, pointer.len - left.len);
    value = json_pointer_find(root, found, NULL);
    problem->status = CONFIG_EDIT_NOT_FOUND;
    conf_text_init(&t, problem->text, sizeof(problem->text));
    conf_text_put(&t, "nothing is at ");
    conf_text_quote(&t, pointer, POINTER_SHOWN_MAX);
    conf_text_put(&t, ": ");
    if (found.len > 0) {
        conf_text_put(&t, "in ");
        conf_text_quote(&t, found, POINTER_SHOWN_MAX);
        conf_text_put(&t, " ");
    }
    put_missing(&t, value, json_pointer_take(&left));
}

static bool say_missing(struct edit *e, struct view pointer)
{
    json_edit_say_missing(e->root, pointer, e->problem);
    return false;
}

/* ---- Places ---- */

static bool check_pointer(struct edit *e, struct view pointer)
{
    if (json_pointer_valid(pointer))
        return true;
    return fail(e, CONFIG_EDIT_MALFORMED, "not a JSON pointer (RFC 6901): \"%.*s\"",
                (int)utf8_head(pointer, CONF_FOUND_MAX).len, pointer.p);
}

/* The parent has to be there, the value itself need not. */
static bool locate(struct edit *e, struct view pointer, struct spot *spot)
{
    struct view above = pointer;

    if (!check_pointer(e, pointer))
        return false;
    if (pointer.len == 0) {
        *spot = (struct spot){.value = e->root};
        return true;
    }
    *spot = (struct spot){.token = json_pointer_take_last(&above)};
    spot->parent = json_pointer_find(e->root, above, NULL);
    if (spot->parent == NULL)
        return say_missing(e, pointer);
    spot->value = json_pointer_child(spot->parent, spot->token);
    if (json_is_object(spot->parent))
        return true;
    if (!json_is_array(spot->parent))
        return say_missing(e, pointer);
    if (view_eq(spot->token, VIEW("-")))
        spot->index = json_array_size(spot->parent);
    else if (!json_pointer_index(spot->token, &spot->index) ||
             spot->index > json_array_size(spot->parent))
        return say_missing(e, pointer);
    return true;
}

/* The value has to be there. */
static bool locate_value(struct edit *e, struct view pointer, struct spot *spot)
{
    if (!locate(e, pointer, spot))
        return false;
    return spot->value != NULL || say_missing(e, pointer);
}

static const char *key_of(const struct spot *spot)
{
    char *key = conf_json_alloc(spot->token.len + 1);

    (void)json_pointer_decode(spot->token, key);
    return key;
}

/* Keeps trees within a depth that everybody who walks them recursively can stand. */
static bool fits(struct edit *e, struct view pointer, const json_t *value)
{
    size_t above = e->depth + json_pointer_tokens(pointer);

    if (above + conf_json_depth(value, JSON_EDIT_DEPTH_MAX + 1) <= JSON_EDIT_DEPTH_MAX)
        return true;
    return fail(e, CONFIG_EDIT_TOO_LARGE, "nested more than %u deep", JSON_EDIT_DEPTH_MAX);
}

/* ---- The operations of RFC 6902 4. What jansson returns is not looked at: memory that runs out is
 * a jump, and places have been checked. Values keep a reference too many, which costs nothing: the
 * arena ends them all. ---- */

/* What the value becomes: the document, a member, or an element in the way of `into`. */
static void put(struct edit *e, const struct spot *spot, json_t *value,
                int (*into)(json_t *array, size_t index, json_t *value))
{
    if (spot->parent == NULL)
        e->root = value;
    else if (json_is_object(spot->parent))
        (void)json_object_set_nocheck(spot->parent, key_of(spot), value);
    else
        (void)into(spot->parent, spot->index, value);
}

/* 4.1: a member is replaced, an element moves those behind it. */
static bool add(struct edit *e, struct view pointer, json_t *value)
{
    struct spot spot;

    if (!locate(e, pointer, &spot) || !fits(e, pointer, value))
        return false;
    put(e, &spot, value, json_array_insert);
    return true;
}

/* 4.3 */
static bool replace(struct edit *e, struct view pointer, json_t *value)
{
    struct spot spot;

    if (!locate_value(e, pointer, &spot) || !fits(e, pointer, value))
        return false;
    put(e, &spot, value, json_array_set);
    return true;
}

/* 4.2 */
static bool take_away(struct edit *e, struct view pointer)
{
    struct spot spot;

    if (!locate_value(e, pointer, &spot))
        return false;
    if (spot.parent == NULL)
        return fail(e, CONFIG_EDIT_MALFORMED, "the whole cannot be removed");
    (void)json_incref(spot.value);
    if (json_is_object(spot.parent))
        (void)json_object_del(spot.parent, key_of(&spot));
    else
        (void)json_array_remove(spot.parent, spot.index);
    return true;
}

/* 4.4: not into itself. */
static bool move(struct edit *e, struct view from, struct view to)
{
    struct spot spot;

    if (!locate_value(e, from, &spot))
        return false;
    if (view_eq(from, to))
        return true;
    if (view_starts_with(to, from) && (from.len == 0 || to.p[from.len] == '/'))
        return fail(e, CONFIG_EDIT_MALFORMED, "a value cannot be moved into itself");
    return take_away(e, from) && add(e, to, spot.value);
}

/* 4.5 */
static bool copy(struct edit *e, struct view from, struct view to)
{
    struct spot spot;

    return locate_value(e, from, &spot) && add(e, to, conf_json_copy(spot.value));
}

/* 4.6 */
static bool test(struct edit *e, struct view pointer, const json_t *value)
{
    struct spot spot;

    if (!locate_value(e, pointer, &spot))
        return false;
    if (conf_json_equal(spot.value, value))
        return true;
    return fail(e, CONFIG_EDIT_TEST, "the value at \"%.*s\" is another one",
                (int)utf8_head(pointer, POINTER_SHOWN_MAX).len, pointer.p);
}

/* ---- A JSON Patch ---- */

#define OPERATIONS_MAX 10000

struct operation {
    struct view path, from;
    json_t *value;
};

static bool run_add(struct edit *e, const struct operation *op)
{
    return add(e, op->path, op->value);
}

static bool run_remove(struct edit *e, const struct operation *op)
{
    return take_away(e, op->path);
}

static bool run_replace(struct edit *e, const struct operation *op)
{
    return replace(e, op->path, op->value);
}

static bool run_move(struct edit *e, const struct operation *op)
{
    return move(e, op->from, op->path);
}

static bool run_copy(struct edit *e, const struct operation *op)
{
    return copy(e, op->from, op->path);
}

static bool run_test(struct edit *e, const struct operation *op)
{
    return test(e, op->path, op->value);
}

static const struct {
    const char *name;
    bool needs_value, needs_from;
    bool (*run)(struct edit *e, const struct operation *op);
} operations[] = {
    {"add", true, false, run_add},   {"remove", false, false, run_remove},
    {"copy", false, true, run_copy}, {"replace", true, false, run_replace},
    {"move", false, true, run_move}, {"test", true, false, run_test},
};

static bool take_pointer(struct edit *e, const json_t *op, const char *key, struct view *out)
{
    const json_t *v = json_object_get(op, key);

    if (!json_is_string(v))
        return fail(e, CONFIG_EDIT_MALFORMED, "\"%s\" has to be there, and a string", key);
    *out = (struct view){json_string_value(v), json_string_length(v)};
    return check_pointer(e, *out);
}

static bool run_operation(struct edit *e, const json_t *json)
{
    const json_t *name = json_object_get(json, "op");
    struct operation op = {.value = json_object_get(json, "value")};

    for (size_t i = 0; json_is_string(name) && i < SP_COUNT_OF(operations); i++) {
        if (!view_eq(view_of(operations[i].name), view_of(json_string_value(name))))
            continue;
        if (!take_pointer(e, json, "path", &op.path) ||
            (operations[i].needs_from && !take_pointer(e, json, "from", &op.from)))
            return false;
        if (operations[i].needs_value && op.value == NULL)
            return fail(e, CONFIG_EDIT_MALFORMED, "\"value\" has to be there");
        return operations[i].run(e, &op);
    }
    return fail(e, CONFIG_EDIT_MALFORMED,
                "\"op\" has to be one of add, remove, replace, move, copy and test");
}

static void say_operation(struct edit *e, size_t i, const json_t *json)
{
    const json_t *name = json_object_get(json, "op");
    char why[sizeof(e->problem->text)];
    struct conf_text t;

    memcpy(why, e->problem->text, sizeof(why));
    conf_text_init(&t, e->problem->text, sizeof(e->problem->text));
    conf_text_put(&t, "operation %zu", i);
    if (json_is_string(name)) {
        conf_text_put(&t, " (");
        conf_text_quote(&t, view_of(json_string_value(name)), 16);
        conf_text_put(&t, ")");
    }
    conf_text_put(&t, ": %s", why);
}

static bool run_patch(struct edit *e, const json_t *patch)
{
    json_t *op;
    size_t i;

    if (!json_is_array(patch))
        return fail(e, CONFIG_EDIT_MALFORMED, "a JSON Patch is a list of operations (RFC 6902)");
    if (json_array_size(patch) > OPERATIONS_MAX)
        return fail(e, CONFIG_EDIT_TOO_LARGE, "more than %d operations", OPERATIONS_MAX);
    json_array_foreach(patch, i, op)
    {
        if (run_operation(e, op))
            continue;
        say_operation(e, i, op);
        return false;
    }
    return true;
}

/* ---- A JSON Merge Patch: the pseudo code of RFC 7396 2 ---- */

static json_t *merge(json_t *target, json_t *patch)
{
    const char *key;
    json_t *child;

    if (!json_is_object(patch))
        return patch;
    if (!json_is_object(target))
        target = json_object();
    json_object_foreach(patch, key, child)
    {
        json_t *old = json_incref(json_object_get(target, key));

        if (json_is_null(child))
            (void)json_object_del(target, key);
        else
            (void)json_object_set_nocheck(target, key, merge(old, child));
    }
    return target;
}

/* ---- What others call ---- */

/* On top of `add`: an element of a list that is there is replaced. */
static bool set(struct edit *e, struct view pointer, json_t *value)
{
    struct spot spot;

    if (!locate(e, pointer, &spot))
        return false;
    return spot.value != NULL ? replace(e, pointer, value) : add(e, pointer, value);
}

/* A patch of what is at a pointer, as of a tree of its own. */
static bool patch_below(struct edit *e, enum config_edit how, struct view pointer, json_t *value)
{
    struct spot spot;

    if (!locate_value(e, pointer, &spot))
        return false;
    struct edit below = {.root = spot.value,
                         .depth = e->depth + (unsigned)json_pointer_tokens(pointer),
                         .problem = e->problem};
    if (how == CONFIG_EDIT_MERGE)
        below.root = merge(spot.value, value);
    else if (!run_patch(&below, value))
        return false;
    return below.root == spot.value || replace(e, pointer, below.root);
}

json_t *json_edit(json_t *root, enum config_edit how, struct view pointer, json_t *value,
                  struct config_edit_problem *problem)
{
    struct edit e = {.root = root, .problem = problem};
    bool ok = false;

    *problem = (struct config_edit_problem){0};
    switch (how) {
    case CONFIG_EDIT_SET: ok = set(&e, pointer, value); break;
    case CONFIG_EDIT_REMOVE: ok = take_away(&e, pointer); break;
    case CONFIG_EDIT_PATCH:
    case CONFIG_EDIT_MERGE: ok = patch_below(&e, how, pointer, value); break;
    }
    if (ok)
        ok = fits(&e, (struct view){NULL, 0}, e.root);
    return ok ? e.root : NULL;
}
