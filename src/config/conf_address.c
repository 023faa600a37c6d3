/* Addresses in the configuration. */
#include "conf_reader.h"
#include "config_rows.h"

bool conf_unix_endpoint(struct conf_reader *r, struct view text, struct endpoint *out)
{
    const struct view prefix = VIEW("unix:");
    struct view path = view_from(text, prefix.len), whole;

    if (path.len == 0)
        return false;
    path = conf_resolve(r, path);
    whole = arena_printf(&r->scratch, "unix:" VIEW_FMT, VIEW_ARG(path));
    if (path.p == NULL || whole.p == NULL) {
        r->nomem = true;
        return false;
    }
    return endpoint_parse(whole, out) == SP_OK;
}

bool conf_port_number(struct view text, uint16_t *out)
{
    uint32_t value = 0;

    if (text.len == 0 || text.len > 5 || (text.len > 1 && text.p[0] == '0'))
        return false;
    for (size_t i = 0; i < text.len; i++) {
        if (text.p[i] < '0' || text.p[i] > '9')
            return false;
        value = value * 10 + (uint32_t)(text.p[i] - '0');
    }
    if (value > UINT16_MAX)
        return false;
    *out = (uint16_t)value;
    return true;
}
