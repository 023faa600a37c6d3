/* Fields that are looked at too seldom to have an id of their own. */
#pragma once

#include <sallyport/http/http_message.h>

/* The first field with this name, or NULL. */
static inline const struct http_field *http_field_named(const struct http_fields *fields,
                                                        struct view name)
{
    for (uint32_t i = 0; i < fields->n; i++)
        if (view_eq_nocase(fields->v[i].name, name))
            return &fields->v[i];
    return NULL;
}
