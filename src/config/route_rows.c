#include "conf_kinds.h"
#include "conf_reader.h"
#include "config_rows.h"

#define R struct route_conf

static const int64_t redirect_statuses[] = {301, 302, 303, 307, 308};

/* Fields that frame a message are the program's own affair (RFC 9110 7.6.1). */
static bool is_framing_field(struct view name)
{
    static const char *const names[] = {"Connection", "Content-Length",    "Keep-Alive", "TE",
                                        "Trailer",    "Transfer-Encoding", "Upgrade"};

    for (size_t i = 0; i < SP_COUNT_OF(names); i++)
        if (view_eq_nocase(name, view_of(names[i])))
            return true;
    return false;
}

static void header_finish(struct conf_reader *r, const struct conf_path *at, void *object)
{
    const struct header_conf *header = object;

    if (is_framing_field(header->name))
        conf_key_error(r, at, "this field is set by the program itself");
}

/* RFC 9110 6.4.1: these end with their head. */
static void respond_finish(struct conf_reader *r, const struct conf_path *at, void *object)
{
    const R *route = object;

    if ((route->status == 204 || route->status == 304) && route->text.len > 0)
        conf_error(r, &(struct conf_path){.up = at, .key = "text"}, "a %u response has no text",
                   (unsigned)route->status);
}

static void route_finish(struct conf_reader *r, const struct conf_path *at, void *object)
{
    R *route = object;

    (void)r;
    (void)at;
    if (route->location.p != NULL)
        route->action = ROUTE_REDIRECT;
    else if (route->status != 0)
        route->action = ROUTE_RESPOND;
    else
        route->action = ROUTE_BACKEND;
}

/* clang-format off */
static const struct conf_row header_rows[] = {
    {CONF_ROW_STRING(struct header_conf, "value", value, &conf_kind_field_value,
        "The value."),
        .required = true},
};

static const struct conf_table header_table = {
    .noun = "header field",
    CONF_ROWS(struct header_conf, header_rows),
    .form = CONF_FORM_FIRST,
    .finish = header_finish,
};

static const struct conf_row redirect_rows[] = {
    {CONF_ROW_INT(R, "status", status, 301, 308, 308, NULL,
        "308 and 307 keep the method, 301 and 302 may not."),
        .numbers = redirect_statuses, .n_numbers = SP_COUNT_OF(redirect_statuses)},
    {CONF_ROW_STRING(R, "location", location, &conf_kind_location,
        "Where to. {host} is the request's host, {path} its path and query."),
        .required = true},
};

static const struct conf_table redirect_table = {
    .noun = "redirect",
    CONF_ROWS(R, redirect_rows),
};

static const struct conf_row respond_rows[] = {
    {CONF_ROW_INT(R, "status", status, 200, 599, 200, NULL,
        "Status of the response.")},
    {CONF_ROW_MANY(R, "headers", CONF_MAP, headers, n_headers,
        "Header fields of the response: names and values."),
        .table = &header_table, .kind = &conf_kind_field_name,
        .name_offset = offsetof(struct header_conf, name)},
    {CONF_ROW_STRING(R, "text", text, NULL,
        "Body of the response.")},
};

static const struct conf_table respond_table = {
    .noun = "response",
    CONF_ROWS(R, respond_rows),
    .finish = respond_finish,
};

static const struct conf_row route_rows[] = {
    {CONF_ROW_STRING(R, "host", host, &conf_kind_host_pattern,
        "Host of the request; \"*.\" stands for one label."),
        .def_note = "any host"},
    {CONF_ROW_STRING(R, "path", path, &conf_kind_url_path,
        "What the path begins with, on the border of a segment: \"/a\" is \"/a\" and \"/a/b\", not "
        "\"/ab\"."),
        .def_note = "any path"},
    {CONF_ROW_REF(R, "backend", backend, "backends", &conf_backend_table,
        "Pass the request on to this backend."),
        .choice = true},
    {CONF_ROW_GROUP(R, "redirect", &redirect_table,
        "Answer with a redirect."),
        .choice = true},
    {CONF_ROW_GROUP(R, "respond", &respond_table,
        "Answer with a fixed response."),
        .choice = true},
};
/* clang-format on */

const struct conf_table conf_route_table = {
    .noun = "route",
    CONF_ROWS(R, route_rows),
    .finish = route_finish,
};
