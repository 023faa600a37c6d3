/* Hop-by-hop fields. */
#include "hop_fields.h"

/* Options of Connection that name no other field, or one that is dropped anyway. */
static bool is_known_option(struct view option)
{
    static const struct view known[] = {VIEW_INIT("close"), VIEW_INIT("keep-alive"),
                                        VIEW_INIT("upgrade"), VIEW_INIT("te"),
                                        VIEW_INIT("http2-settings")};

    for (size_t i = 0; i < SP_COUNT_OF(known); i++)
        if (view_eq_nocase(option, known[i]))
            return true;
    return false;
}

enum sp_err hop_fields_init(struct hop_fields *hop, const struct http_fields *fields)
{
    const struct http_field *field = http_fields_get(fields, HTTP_FIELD_CONNECTION);

    hop->n = 0;
    for (; field != NULL; field = http_fields_next(fields, field)) {
        struct view rest = field->value, option;

        while (http_list_next(&rest, &option)) {
            if (is_known_option(option))
                continue;
            if (hop->n == HOP_FIELDS_MAX)
                return SP_LIMIT;
            hop->names[hop->n++] = option;
        }
    }
    return SP_OK;
}

bool hop_field_is_dropped(const struct hop_fields *hop, const struct http_field *field)
{
    if (hop_field_is_connection_level(field->id) || field->id == HTTP_FIELD_CONTENT_LENGTH ||
        field->id == HTTP_FIELD_TE)
        return true;
    for (uint32_t i = 0; i < hop->n; i++)
        if (view_eq_nocase(hop->names[i], field->name))
            return true;
    return false;
}
