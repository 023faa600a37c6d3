#include "conf_table.h"

const struct conf_row *conf_table_find(const struct conf_table *t, struct view name)
{
    for (size_t i = 0; i < t->n_rows; i++)
        if (view_eq(view_of(t->rows[i].name), name))
            return &t->rows[i];
    return NULL;
}

bool conf_key_is_comment(const char *key)
{
    return strncmp(key, CONF_COMMENT, strlen(CONF_COMMENT)) == 0 || strcmp(key, CONF_SCHEMA) == 0;
}

bool conf_count_fits(const struct conf_row *row, size_t n)
{
    return n <= UINT32_MAX && (int64_t)n >= row->min && (row->max == 0 || (int64_t)n <= row->max);
}

void conf_field_set(void *object, const struct conf_row *row, int64_t value)
{
    void *field = (char *)object + row->offset;

    switch (row->size) {
    case 1: memcpy(field, &(bool){value != 0}, 1); break;
    case 2: memcpy(field, &(uint16_t){(uint16_t)value}, 2); break;
    case 4: memcpy(field, &(uint32_t){(uint32_t)value}, 4); break;
    default: SP_ASSERT(row->size == 8); memcpy(field, &value, 8);
    }
}

int64_t conf_field_get(const void *object, const struct conf_row *row)
{
    const void *field = (const char *)object + row->offset;
    uint16_t u16;
    uint32_t u32;
    int64_t i64;

    switch (row->size) {
    case 1: return *(const bool *)field;
    case 2: memcpy(&u16, field, 2); return u16;
    case 4: memcpy(&u32, field, 4); return row->min < 0 ? (int32_t)u32 : (int64_t)u32;
    default: memcpy(&i64, field, 8); return i64;
    }
}

static void object_defaults(const struct conf_row *row, void *object,
                            const struct conf_table *root_table, const void *root)
{
    const struct conf_row *from = NULL;

    if (row->inherits != NULL && root_table != NULL)
        from = conf_table_find(root_table, view_of(row->inherits));
    if (from == NULL) {
        conf_defaults(row->table, (char *)object + row->offset, root_table, root);
        return;
    }
    SP_ASSERT(from->table == row->table);
    memcpy((char *)object + row->offset, (const char *)root + from->offset, row->table->size);
}

void conf_defaults(const struct conf_table *t, void *object, const struct conf_table *root_table,
                   const void *root)
{
    for (size_t i = 0; i < t->n_rows; i++) {
        const struct conf_row *row = &t->rows[i];

        switch (row->type) {
        case CONF_BOOL:
        case CONF_INT:
        case CONF_MODE:
        case CONF_ENUM:
        case CONF_FLAGS: conf_field_set(object, row, row->def); break;
        case CONF_STRING:
        case CONF_PATH: {
            struct view v = view_of(row->def_text);

            memcpy((char *)object + row->offset, &v, sizeof(v));
            break;
        }
        case CONF_OBJECT:
            /* The rows of a choice may share fields: only the chosen one fills them. */
            if (!row->choice && !row->optional)
                object_defaults(row, object, root_table, root);
            break;
        case CONF_STRINGS:
        case CONF_CIDRS:
        case CONF_REF:
        case CONF_REFS:
        case CONF_LIST:
        case CONF_MAP:
        case CONF_TYPE_COUNT: break; /* empty: objects start zeroed */
        }
    }
}
