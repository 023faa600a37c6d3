/* A dictionary of RFC 8941 with two members that matter: u, an integer, and i, a boolean. */
#include "http2_priority.h"

#define URGENCY_DEFAULT 3

/* "u=3", "i", "i=?0": one member, without its parameters. */
static void read_member(struct view member, struct http2_priority *out)
{
    size_t end = 0;

    while (end < member.len && member.p[end] != ';')
        end++;
    member.len = end;
    while (member.len > 0 && member.p[member.len - 1] == ' ')
        member.len--;
    if (member.len == 3 && view_starts_with(member, VIEW("u=")) && member.p[2] >= '0' &&
        member.p[2] <= '7')
        out->urgency = (uint8_t)(member.p[2] - '0');
    else if (view_eq(member, VIEW("i")) || view_eq(member, VIEW("i=?1")))
        out->incremental = true;
    else if (view_eq(member, VIEW("i=?0")))
        out->incremental = false;
}

bool http2_priority_of(const struct http_fields *fields, struct http2_priority *out)
{
    const struct http_field *f = http_fields_get(fields, HTTP_FIELD_PRIORITY);
    struct http2_priority read = {.urgency = URGENCY_DEFAULT};
    struct view rest, member;

    if (f == NULL)
        return false;
    for (; f != NULL; f = http_fields_next(fields, f)) {
        rest = f->value;
        while (http_list_next(&rest, &member))
            read_member(member, &read);
    }
    *out = read;
    return true;
}
