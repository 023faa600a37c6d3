/* Names that stand for members of a map at the top of the file. The map has been read by then:
 * its row comes before those that refer to it. */
#include "conf_reader.h"
#include "conf_text.h"

#include <sallyport/config/nearest.h>

#include <stdlib.h>

struct conf_index_entry {
    struct view name;
    const void *member;
};

static int compare_entries(const void *a, const void *b)
{
    const struct conf_index_entry *x = a, *y = b;

    return view_compare(x->name, y->name);
}

static void index_fill(struct conf_reader *r, struct conf_index *index)
{
    const struct conf_row *map = index->map;
    const char *members;
    uint32_t n;

    memcpy(&members, (const char *)r->root + map->offset, sizeof(members));
    memcpy(&n, (const char *)r->root + map->n_offset, sizeof(n));
    if (n == 0)
        return;
    index->entries = arena_alloc(&r->scratch, n * sizeof(*index->entries));
    if (index->entries == NULL) {
        r->nomem = true;
        return;
    }
    index->n = n;
    for (size_t i = 0; i < n; i++) {
        const char *member = members + i * map->table->size;

        memcpy(&index->entries[i].name, member + map->name_offset, sizeof(struct view));
        index->entries[i].member = member;
    }
    qsort(index->entries, n, sizeof(*index->entries), compare_entries);
}

static const struct conf_index *index_of(struct conf_reader *r, const char *name)
{
    const struct conf_row *map = conf_table_find(r->root_table, view_of(name));
    size_t i = 0;

    SP_ASSERT(map != NULL && map->type == CONF_MAP);
    while (r->indexes[i].map != NULL && r->indexes[i].map != map) {
        i++;
        SP_ASSERT(i < CONF_INDEXES); /* more maps are referred to */
    }
    if (r->indexes[i].map == NULL) {
        r->indexes[i].map = map;
        index_fill(r, &r->indexes[i]);
    }
    return &r->indexes[i];
}

static struct view nearest_name(struct conf_reader *r, const struct conf_index *index,
                                struct view name)
{
    struct nearest near;

    nearest_init(&near, name);
    if (r->suggestions_left > 0) {
        r->suggestions_left--;
        for (size_t i = 0; i < index->n; i++)
            nearest_offer(&near, index->entries[i].name);
    }
    return near.best;
}

static void say_unknown(struct conf_reader *r, const struct conf_row *row,
                        const struct conf_path *at, const struct conf_index *index,
                        const json_t *json)
{
    struct view name = conf_json_view(json), near = nearest_name(r, index, name);
    char text[CONF_TEXT_MAX];
    struct conf_text t;

    conf_text_init(&t, text, sizeof(text));
    conf_text_put(&t, "no %s is called ", row->table->noun);
    conf_text_quote(&t, name, CONF_FOUND_MAX);
    if (near.p != NULL) {
        conf_text_put(&t, "; did you mean ");
        conf_text_quote(&t, near, CONF_FOUND_MAX);
        conf_text_put(&t, "?");
    }
    conf_error(r, at, "%s", text);
}

const void *conf_read_ref(struct conf_reader *r, const struct conf_row *row,
                          const struct conf_path *at, const json_t *json)
{
    const struct conf_index *index = index_of(r, row->refers_to);
    struct conf_index_entry key = {.name = conf_string(r, json)};
    const struct conf_index_entry *found;

    found = index->n == 0 ? NULL
                          : bsearch(&key, index->entries, index->n, sizeof(key), compare_entries);
    if (found != NULL)
        return found->member;
    if (!conf_string_failed(r, json))
        say_unknown(r, row, at, index, json);
    return NULL;
}
