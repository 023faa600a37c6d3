/* Redirects and fixed answers. */
#include "redirect.h"

#include "answer.h"
#include "hop_fields.h"
#include "text_buf.h"

#include <sallyport/http/http_syntax.h>

enum { HTTPS_PORT = 443 };

/* "*" (OPTIONS of the server as a whole) has no place in a URL; it becomes the root. The parser has
 * checked the path of HTTP/1.1 in the same way: this is the second lock. */
static enum http_error location_parts(const struct http_head *request, struct view *host,
                                      struct view *path)
{
    if (request->authority.len > 0 && !http_is_authority(request->authority))
        return HTTP_ERROR_BAD_HOST;
    *host = http_host_of(request->authority);
    *path = view_eq(request->path, VIEW("*")) ? VIEW("/") : request->path;
    return http_is_path(*path) ? HTTP_ERROR_NONE : HTTP_ERROR_BAD_TARGET;
}

static enum http_error make_redirect(uint16_t status, struct view location, struct arena *arena,
                                     struct http_head *head)
{
    if (answer_begin(head, arena, status) != SP_OK ||
        answer_field(head, arena, HTTP_FIELD_LOCATION, location) != SP_OK)
        return HTTP_ERROR_NOMEM;
    return HTTP_ERROR_NONE;
}

enum http_error redirect_to_port(uint16_t port, const struct http_head *request,
                                 struct arena *arena, struct http_head *head)
{
    struct view host = {NULL, 0}, path = {NULL, 0};
    enum http_error error = location_parts(request, &host, &path);
    struct text_buf t = {0};

    if (error != HTTP_ERROR_NONE)
        return error;
    if (host.len == 0)
        return HTTP_ERROR_BAD_HOST;
    t.cap = sizeof("https://:65535") + host.len + path.len;
    t.p = arena_alloc(arena, t.cap);
    if (t.p == NULL)
        return HTTP_ERROR_NOMEM;
    text_put(&t, VIEW("https://"));
    text_put(&t, host);
    if (port != HTTPS_PORT) {
        text_char(&t, ':');
        text_u64(&t, port);
    }
    text_put(&t, path);
    return make_redirect(308, text_buf_view(&t), arena, head);
}

/* Writes the template with its holes filled; with t->p NULL only counts (in t->len). */
static void fill(struct text_buf *t, struct view template, struct view host, struct view path)
{
    while (template.len > 0) {
        struct view piece = view_head(template, 1);
        size_t taken = 1;

        if (view_starts_with(template, VIEW("{host}"))) {
            piece = host;
            taken = 6;
        } else if (view_starts_with(template, VIEW("{path}"))) {
            piece = path;
            taken = 6;
        }
        if (t->p == NULL)
            t->len += piece.len;
        else
            text_put(t, piece);
        template = view_from(template, taken);
    }
}

static bool contains(struct view text, struct view part)
{
    return text.len >= part.len && memmem(text.p, text.len, part.p, part.len) != NULL;
}

/* A location that begins with the request's path ("{path}") must not become "//elsewhere", which
 * names another host (RFC 3986 4.2). */
static struct view keep_on_host(struct view location, struct view template)
{
    if (view_starts_with(template, VIEW("//")))
        return location;
    while (view_starts_with(location, VIEW("//")))
        location = view_from(location, 1);
    return location;
}

enum http_error redirect_route(const struct route_conf *route, const struct http_head *request,
                               struct arena *arena, struct http_head *head)
{
    struct view host = {NULL, 0}, path = {NULL, 0};
    enum http_error error = location_parts(request, &host, &path);
    struct text_buf counted = {0}, t;

    if (error != HTTP_ERROR_NONE)
        return error;
    if (host.len == 0 && contains(route->location, VIEW("{host}")))
        return HTTP_ERROR_BAD_HOST;
    fill(&counted, route->location, host, path);
    t = (struct text_buf){.p = arena_alloc(arena, counted.len + 1), .cap = counted.len};
    if (t.p == NULL)
        return HTTP_ERROR_NOMEM;
    fill(&t, route->location, host, path);
    return make_redirect(route->status, keep_on_host(text_buf_view(&t), route->location), arena,
                         head);
}

static enum sp_err add_configured(const struct route_conf *route, struct arena *arena,
                                  struct http_head *head)
{
    for (uint32_t i = 0; i < route->n_headers; i++) {
        const struct header_conf *conf = &route->headers[i];
        enum http_field_id id = http_field_id_of(conf->name);

        if (hop_field_is_connection_level(id) || id == HTTP_FIELD_CONTENT_LENGTH ||
            id == HTTP_FIELD_DATE)
            continue;
        if (http_fields_add(&head->fields, arena, id, conf->name, conf->value) != SP_OK)
            return SP_NOMEM;
    }
    return SP_OK;
}

enum http_error respond_route(const struct route_conf *route, struct arena *arena,
                              struct http_head *head, struct iobuf *body)
{
    struct view type = VIEW("text/plain; charset=utf-8");

    if (answer_begin(head, arena, route->status) != SP_OK ||
        add_configured(route, arena, head) != SP_OK)
        return HTTP_ERROR_NOMEM;
    if (route->text.len == 0 || http_fields_has(&head->fields, HTTP_FIELD_CONTENT_TYPE))
        type = (struct view){NULL, 0};
    return answer_body(head, arena, body, type, route->text) == SP_OK ? HTTP_ERROR_NONE
                                                                      : HTTP_ERROR_NOMEM;
}
