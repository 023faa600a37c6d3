/* Every route, and what is said about them all. A new noun is a line here. */
#include "admin_routes.h"

#include "admin_request.h"

static const struct admin_routes root_routes;

static const struct admin_routes *const groups[] = {
    &root_routes,        &admin_config_routes,     &admin_status_routes, &admin_connections_routes,
    &admin_certs_routes, &admin_handshakes_routes, &admin_canary_routes, &admin_metrics_routes,
    &admin_stop_routes,
};
const struct admin_table admin_table = {groups, SP_COUNT_OF(groups)};

const char *admin_method_name(enum http_method method)
{
    static const char *const names[] = {[HTTP_METHOD_OTHER] = "-",
#define X(id, text, safe, idempotent) [HTTP_METHOD_##id] = (text),
                                        HTTP_METHODS(X)
#undef X
    };

    return names[method];
}

/* RFC 9110 10.2.1. HEAD goes with GET. */
static void allow_method(char *allow, size_t cap, enum http_method method)
{
    size_t at = strlen(allow);

    (void)snprintf(allow + at, cap - at, "%s%s%s", at == 0 ? "" : ", ", admin_method_name(method),
                   method == HTTP_METHOD_GET ? ", HEAD" : "");
}

enum admin_found admin_table_find(const struct admin_table *table, enum http_method method,
                                  struct view path, const struct admin_route **route, char *allow,
                                  size_t allow_cap)
{
    enum http_method wanted = method == HTTP_METHOD_HEAD ? HTTP_METHOD_GET : method;

    allow[0] = '\0';
    for (size_t g = 0; g < table->n_groups; g++) {
        for (size_t i = 0; i < table->groups[g]->n_rows; i++) {
            const struct admin_route *row = &table->groups[g]->rows[i];

            if (!admin_pattern_matches(row->pattern, path))
                continue;
            if (row->method == wanted) {
                *route = row;
                return ADMIN_FOUND;
            }
            allow_method(allow, allow_cap, row->method);
        }
    }
    return allow[0] == '\0' ? ADMIN_NOT_FOUND : ADMIN_WRONG_METHOD;
}

/* ---- What there is ---- */

static void write_route(struct json_writer *j, const struct admin_route *row)
{
    json_object(j, NULL);
    json_string(j, "method", admin_method_name(row->method));
    json_string(j, "path", row->pattern);
    json_string(j, "help", row->help);
    if (row->n_query > 0) {
        json_object(j, "query");
        for (size_t i = 0; i < row->n_query; i++)
            json_string(j, row->query[i].name, row->query[i].help);
        json_end(j);
    }
    json_end(j);
}

static void get_routes(const struct admin_request *rq, struct admin_answer *a)
{
    (void)rq;
    json_object(&a->json, NULL);
    json_array(&a->json, "routes");
    for (size_t g = 0; g < admin_table.n_groups; g++)
        for (size_t i = 0; i < admin_table.groups[g]->n_rows; i++)
            write_route(&a->json, &admin_table.groups[g]->rows[i]);
    json_end(&a->json);
    json_end(&a->json);
}

static const struct admin_route root_rows[] = {
    {HTTP_METHOD_GET, "/", get_routes, .help = "What there is to ask for."},
};
static const struct admin_routes root_routes = {"Overview", ADMIN_ROWS(root_rows)};

/* The rows of every noun, in the order of the table. */
static void print_each(FILE *out, void (*title)(FILE *, const char *),
                       void (*row)(FILE *, const struct admin_route *))
{
    for (size_t g = 0; g < admin_table.n_groups; g++) {
        title(out, admin_table.groups[g]->title);
        for (size_t i = 0; i < admin_table.groups[g]->n_rows; i++)
            row(out, &admin_table.groups[g]->rows[i]);
    }
}

static void title_text(FILE *out, const char *title)
{
    (void)fprintf(out, "%s\n", title);
}

static void row_text(FILE *out, const struct admin_route *row)
{
    (void)fprintf(out, "  %s %s\n      %s\n", admin_method_name(row->method), row->pattern,
                  row->help);
    for (size_t i = 0; i < row->n_query; i++)
        (void)fprintf(out, "      ?%s: %s\n", row->query[i].name, row->query[i].help);
}

void admin_print_reference(FILE *out)
{
    print_each(out, title_text, row_text);
}

static void title_markdown(FILE *out, const char *title)
{
    (void)fprintf(out, "| **%s** | |\n", title);
}

static void row_markdown(FILE *out, const struct admin_route *row)
{
    (void)fprintf(out, "| `%s %s` | %s", admin_method_name(row->method), row->pattern, row->help);
    for (size_t i = 0; i < row->n_query; i++)
        (void)fprintf(out, "<br>`?%s`: %s", row->query[i].name, row->query[i].help);
    (void)fputs(" |\n", out);
}

void admin_print_markdown(FILE *out)
{
    (void)fputs("| request | |\n|---|---|\n", out);
    print_each(out, title_markdown, row_markdown);
}
