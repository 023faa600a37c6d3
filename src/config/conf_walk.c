/* What an object says, row by row. */
#include "conf_walk.h"

#include "config_rows.h"

#include <sallyport/config/bundle.h>

/* ---- Fields ---- */

static struct view view_at(const void *object, size_t offset)
{
    struct view v;

    memcpy(&v, (const char *)object + offset, sizeof(v));
    return v;
}

static const char *elements_of(const struct conf_row *row, const void *object, uint32_t *n)
{
    const char *elements;

    memcpy(&elements, (const char *)object + row->offset, sizeof(elements));
    memcpy(n, (const char *)object + row->n_offset, sizeof(*n));
    return elements;
}

/* ---- Hash: FNV-1a ---- */

static uint64_t hash_bytes(uint64_t hash, const void *p, size_t n)
{
    const unsigned char *bytes = p;

    for (size_t i = 0; i < n; i++)
        hash = (hash ^ bytes[i]) * UINT64_C(0x100000001b3);
    return hash;
}

static uint64_t hash_number(uint64_t hash, uint64_t n)
{
    return hash_bytes(hash, &n, sizeof(n));
}

/* With its length: "a", "bc" and "ab", "c" are not the same. */
static uint64_t hash_view(uint64_t hash, struct view v)
{
    return hash_bytes(hash_number(hash, v.len), v.p, v.len);
}

static uint64_t hash_strings(uint64_t hash, const struct conf_row *row, const void *object)
{
    uint32_t n;
    const struct view *strings = (const void *)elements_of(row, object, &n);

    hash = hash_number(hash, n);
    for (uint32_t i = 0; i < n; i++)
        hash = hash_view(hash, strings[i]);
    return hash;
}

static uint64_t hash_elements(uint64_t hash, const struct conf_row *row, const void *object)
{
    uint32_t n;
    const char *elements = elements_of(row, object, &n);

    hash = hash_number(hash, n);
    for (uint32_t i = 0; i < n; i++) {
        const char *element = elements + i * row->table->size;

        if (row->type == CONF_MAP)
            hash = hash_view(hash, view_at(element, row->name_offset));
        hash = conf_object_hash(hash, row->table, element);
    }
    return hash;
}

/* No bundle has networks or references; whoever is the first to need their hash writes it. */
static uint64_t hash_value(uint64_t hash, const struct conf_row *row, const void *object)
{
    switch (row->type) {
    case CONF_BOOL:
    case CONF_INT:
    case CONF_MODE:
    case CONF_ENUM:
    case CONF_FLAGS: return hash_number(hash, (uint64_t)conf_field_get(object, row));
    case CONF_STRING:
    case CONF_PATH: return hash_view(hash, view_at(object, row->offset));
    case CONF_STRINGS: return hash_strings(hash, row, object);
    case CONF_OBJECT: return conf_object_hash(hash, row->table, (const char *)object + row->offset);
    case CONF_LIST:
    case CONF_MAP: return hash_elements(hash, row, object);
    case CONF_CIDRS:
    case CONF_REF:
    case CONF_REFS:
    case CONF_TYPE_COUNT: break;
    }
    SP_ASSERT(false); /* a row that has no hash */
    return hash;
}

uint64_t conf_object_hash(uint64_t hash, const struct conf_table *t, const void *object)
{
    for (size_t i = 0; i < t->n_rows; i++)
        hash = hash_value(hash, &t->rows[i], object);
    return hash;
}

/* ---- Files ---- */

void conf_object_files(const struct conf_table *t, const void *object, config_file_fn file,
                       void *arg)
{
    for (size_t i = 0; i < t->n_rows; i++) {
        const struct conf_row *row = &t->rows[i];
        uint32_t n;

        if (row->type == CONF_PATH && view_at(object, row->offset).len > 0) {
            file(arg, view_at(object, row->offset));
        } else if (row->type == CONF_OBJECT) {
            conf_object_files(row->table, (const char *)object + row->offset, file, arg);
        } else if (row->type == CONF_LIST || row->type == CONF_MAP) {
            const char *elements = elements_of(row, object, &n);

            for (uint32_t k = 0; k < n; k++)
                conf_object_files(row->table, elements + k * row->table->size, file, arg);
        }
    }
}

/* ---- Bundles and ports ---- */

uint64_t config_bundle_hash(const struct bundle_conf *bundle)
{
    uint64_t hash = hash_view(UINT64_C(0xcbf29ce484222325), bundle->name);

    return conf_object_hash(hash, &conf_bundle_table, bundle);
}

uint64_t config_client_auth_hash(const struct client_auth_conf *auth)
{
    return conf_object_hash(UINT64_C(0xcbf29ce484222325), &conf_client_auth_table, auth);
}

void config_bundle_files(const struct bundle_conf *bundle, config_file_fn file, void *arg)
{
    conf_object_files(&conf_bundle_table, bundle, file, arg);
}

void config_port_files(const struct port_conf *port, config_file_fn file, void *arg)
{
    conf_object_files(&conf_port_table, port, file, arg);
}
