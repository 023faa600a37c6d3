/* What differs between two documents, for people: values added, changed, removed. */
#include "conf_json.h"
#include "config_plan.h"
#include "document_internal.h"
#include "json_write.h"

#include <stdlib.h>

/* Lists whose elements are compared each with each to find those that stayed: at most so many
 * pairs, beyond that only what is in front and behind. */
#define PAIRS_MAX ((size_t)256 * 1024)

struct differ {
    struct config_plan *plan;
    struct conf_buf pointer; /* of what is being compared */
};

/* Ways into a list or object: the pointer grows by a token. */
static size_t enter(struct differ *d, const char *key)
{
    size_t len = d->pointer.len;

    conf_buf_add(&d->pointer, VIEW("/"));
    for (; *key != '\0'; key++) {
        if (*key == '~' || *key == '/')
            conf_buf_add(&d->pointer, *key == '~' ? VIEW("~0") : VIEW("~1"));
        else
            conf_buf_add(&d->pointer, (struct view){key, 1});
    }
    return len;
}

static size_t enter_index(struct differ *d, size_t index)
{
    size_t len = d->pointer.len;

    conf_buf_put(&d->pointer, "/%zu", index);
    return len;
}

static bool add(struct differ *d, const json_t *before, const json_t *after)
{
    enum config_change_kind kind = before == NULL  ? CONFIG_ADDED
                                   : after == NULL ? CONFIG_REMOVED
                                                   : CONFIG_CHANGED;
    struct conf_buf from = {0}, to = {0};
    bool ok;

    if (before != NULL)
        json_write_line(&from, before);
    if (after != NULL)
        json_write_line(&to, after);
    ok = !from.nomem && !to.nomem && !d->pointer.nomem &&
         config_plan_add_change(d->plan,
                                &(struct config_change){.kind = kind,
                                                        .pointer = conf_buf_view(&d->pointer),
                                                        .before = conf_buf_view(&from),
                                                        .after = conf_buf_view(&to)});
    conf_buf_fini(&from);
    conf_buf_fini(&to);
    return ok;
}

static bool compare(struct differ *d, const json_t *from, const json_t *to);

static bool compare_objects(struct differ *d, const json_t *from, const json_t *to)
{
    const char *key;
    json_t *child;

    json_object_foreach(conf_json_iterable(to), key, child)
    {
        size_t len = enter(d, key);

        if (!compare(d, json_object_get(from, key), child))
            return false;
        conf_buf_cut(&d->pointer, len);
    }
    json_object_foreach(conf_json_iterable(from), key, child)
    {
        size_t len;

        if (json_object_get(to, key) != NULL)
            continue;
        len = enter(d, key);
        if (!add(d, child, NULL))
            return false;
        conf_buf_cut(&d->pointer, len);
    }
    return true;
}

/* ---- Lists: what stayed keeps its place, and what is between is paired in order ---- */

struct stretch {
    size_t begin, end;
};

static bool compare_element(struct differ *d, const json_t *from, const json_t *to, size_t index)
{
    size_t len = enter_index(d, index);
    bool ok = compare(d, from, to);

    conf_buf_cut(&d->pointer, len);
    return ok;
}

static bool compare_stretches(struct differ *d, const json_t *from, struct stretch f,
                              const json_t *to, struct stretch t)
{
    for (; f.begin < f.end || t.begin < t.end; f.begin++, t.begin++) {
        const json_t *before = f.begin < f.end ? json_array_get(from, f.begin) : NULL;
        const json_t *after = t.begin < t.end ? json_array_get(to, t.begin) : NULL;

        if (!compare_element(d, before, after, after == NULL ? f.begin : t.begin))
            return false;
    }
    return true;
}

/* The longest common subsequence: longest[i][j] is that of what is behind i and j. */
static bool compare_by_likeness(struct differ *d, const json_t *from, struct stretch f,
                                const json_t *to, struct stretch t)
{
    size_t n = f.end - f.begin, m = t.end - t.begin, width = m + 1;
    struct stretch df = {f.begin, f.begin}, dt = {t.begin, t.begin};
    uint32_t *longest = calloc((n + 1) * width, sizeof(*longest));
    bool ok = longest != NULL;

    for (size_t i = n; ok && i-- > 0;) {
        for (size_t j = m; j-- > 0;) {
            uint32_t *here = &longest[i * width + j];
            uint32_t below = here[width], right = here[1];

            if (conf_json_equal(json_array_get(from, f.begin + i), json_array_get(to, t.begin + j)))
                *here = here[width + 1] + 1;
            else
                *here = below > right ? below : right;
        }
    }
    for (size_t i = 0, j = 0; ok && i < n && j < m;) {
        const uint32_t *here = &longest[i * width + j];

        if (conf_json_equal(json_array_get(from, f.begin + i), json_array_get(to, t.begin + j))) {
            df.end = f.begin + i;
            dt.end = t.begin + j;
            ok = compare_stretches(d, from, df, to, dt);
            df.begin = f.begin + ++i;
            dt.begin = t.begin + ++j;
        } else if (here[width] >= here[1]) {
            i++;
        } else {
            j++;
        }
    }
    df.end = f.end;
    dt.end = t.end;
    free(longest);
    return ok && compare_stretches(d, from, df, to, dt);
}

static bool same_at(const json_t *from, size_t i, const json_t *to, size_t j)
{
    return conf_json_equal(json_array_get(from, i), json_array_get(to, j));
}

static bool compare_arrays(struct differ *d, const json_t *from, const json_t *to)
{
    struct stretch f = {0, json_array_size(from)}, t = {0, json_array_size(to)};

    while (f.begin < f.end && t.begin < t.end && same_at(from, f.begin, to, t.begin)) {
        f.begin++;
        t.begin++;
    }
    while (f.begin < f.end && t.begin < t.end && same_at(from, f.end - 1, to, t.end - 1)) {
        f.end--;
        t.end--;
    }
    if (f.begin == f.end || t.begin == t.end || f.end - f.begin > PAIRS_MAX / (t.end - t.begin))
        return compare_stretches(d, from, f, to, t);
    return compare_by_likeness(d, from, f, to, t);
}

/* A list of words or numbers reads better as a whole. */
static bool has_parts(const json_t *array)
{
    const json_t *child;
    size_t i;

    json_array_foreach(array, i, child)
    {
        if (json_is_object(child) || json_is_array(child))
            return true;
    }
    return false;
}

static bool compare(struct differ *d, const json_t *from, const json_t *to)
{
    if (from == NULL || to == NULL)
        return add(d, from, to);
    if (json_is_object(from) && json_is_object(to))
        return compare_objects(d, from, to);
    if (conf_json_equal(from, to))
        return true;
    if (json_is_array(from) && json_is_array(to) && (has_parts(from) || has_parts(to)))
        return compare_arrays(d, from, to);
    return add(d, from, to);
}

bool config_plan_changes(struct config_plan *p, const struct config_document *from,
                         const struct config_document *to)
{
    struct differ d = {.plan = p};
    bool ok = compare(&d, config_document_tree(from), config_document_tree(to));

    conf_buf_fini(&d.pointer);
    return ok;
}
