/* Request heads on their way to a backend. */
#include "field_named.h"
#include "forwarded_head.h"
#include "hop_fields.h"
#include "text_buf.h"

enum { OWN_FIELDS = 3 }; /* TE, Cookie, Early-Data */

/* ---- Max-Forwards, RFC 9110 7.6.2: only OPTIONS (TRACE never goes on) ---- */

static bool is_max_forwards(const struct http_head *request, const struct http_field *field)
{
    return request->method == HTTP_METHOD_OPTIONS && field->id == HTTP_FIELD_OTHER &&
           view_eq_nocase(field->name, VIEW("max-forwards"));
}

/* False: not a number, to be passed on as it is. */
static bool max_forwards_of(struct view value, uint32_t *out)
{
    uint32_t n = 0;

    for (size_t i = 0; i < value.len; i++) {
        if (value.p[i] < '0' || value.p[i] > '9')
            return false;
        n = n > 100000 ? n : n * 10 + (uint32_t)(value.p[i] - '0');
    }
    *out = n;
    return value.len > 0;
}

bool forwarded_request_ends_here(const struct http_head *request)
{
    const struct http_field *field = request->method == HTTP_METHOD_OPTIONS
                                         ? http_field_named(&request->fields, VIEW("max-forwards"))
                                         : NULL;
    uint32_t n = 1;

    return field != NULL && max_forwards_of(field->value, &n) && n == 0;
}

static enum sp_err add_max_forwards(struct http_fields *out, struct arena *arena,
                                    const struct http_field *field)
{
    struct text_buf t = text_buf_over(arena_alloc(arena, TEXT_U64_MAX), TEXT_U64_MAX);
    uint32_t n = 0;

    if (t.p == NULL)
        return SP_NOMEM;
    if (!max_forwards_of(field->value, &n) || n == 0)
        return http_fields_add_copy(out, arena, field);
    text_u64(&t, n - 1);
    return http_fields_add(out, arena, field->id, field->name, text_buf_view(&t));
}

/* ---- Cookie: HTTP/2 may send it in pieces, HTTP/1.1 wants one field (RFC 9113 8.2.3) ---- */

/* The first of several; NULL when there is nothing to join. */
static const struct http_field *cookies_to_join(const struct http_fields *fields)
{
    const struct http_field *first = http_fields_get(fields, HTTP_FIELD_COOKIE);

    return first != NULL && http_fields_next(fields, first) != NULL ? first : NULL;
}

static enum sp_err add_joined_cookie(struct http_fields *out, struct arena *arena,
                                     const struct http_fields *fields,
                                     const struct http_field *first)
{
    struct http_field joined = *first;
    struct text_buf t = {0};

    for (const struct http_field *f = first; f != NULL; f = http_fields_next(fields, f)) {
        t.cap += f->value.len + 2;
        joined.never_indexed = joined.never_indexed || f->never_indexed;
    }
    t.p = arena_alloc(arena, t.cap);
    if (t.p == NULL)
        return SP_NOMEM;
    for (const struct http_field *f = first; f != NULL; f = http_fields_next(fields, f)) {
        if (f != first)
            text_put(&t, VIEW("; "));
        text_put(&t, f->value);
    }
    joined.value = text_buf_view(&t);
    return http_fields_add_copy(out, arena, &joined);
}

/* ---- The head ---- */

/* Fields that are made anew, or told by the head itself. */
static bool is_replaced(const struct http_head *request, const struct http_field *field,
                        bool joins_cookies)
{
    switch ((int)field->id) {
    /* A reader of CGI variables takes it for the proxy that it shall use (httpoxy). */
    case HTTP_FIELD_OTHER:
        return view_eq_nocase(field->name, VIEW("proxy")) || forwarding_is_imitation(field->name);
    case HTTP_FIELD_HOST:
    case HTTP_FIELD_EARLY_DATA: return true;
    case HTTP_FIELD_COOKIE: return joins_cookies;
    /* RFC 9110 10.1.1: ignored from an HTTP/1.0 client, who would not understand the 100. */
    case HTTP_FIELD_EXPECT:
        return !request->expect_continue || request->version == HTTP_VERSION_1_0;
    default: return forwarding_owns(field->id);
    }
}

static enum sp_err copy_fields(const struct http_head *request, const struct hop_fields *hop,
                               bool joins_cookies, struct arena *arena, struct http_fields *out)
{
    for (uint32_t i = 0; i < request->fields.n; i++) {
        const struct http_field *field = &request->fields.v[i];
        enum sp_err err;

        if (hop_field_is_dropped(hop, field) || is_replaced(request, field, joins_cookies))
            continue;
        if (is_max_forwards(request, field))
            err = add_max_forwards(out, arena, field);
        else
            err = http_fields_add_copy(out, arena, field);
        if (err != SP_OK)
            return err;
    }
    return SP_OK;
}

/* RFC 8470 5.1: whoever is in front of us may have received the request early, and its word is
 * passed on, also when the handshake with it is over: in one field of the only value there is, as
 * "multiple or invalid instances MUST be treated as equivalent to" that. */
static bool is_early(const struct forwarding *f, const struct http_head *request)
{
    return f->early || http_fields_get(&request->fields, HTTP_FIELD_EARLY_DATA) != NULL;
}

static enum sp_err add_own(const struct forwarding *f, const struct http_head *request,
                           const struct http_field *cookies, struct arena *arena,
                           struct http_fields *out)
{
    if (is_early(f, request) &&
        http_fields_add(out, arena, HTTP_FIELD_EARLY_DATA, VIEW("Early-Data"), VIEW("1")) != SP_OK)
        return SP_NOMEM;
    if (hop_fields_ask_trailers(&request->fields) &&
        http_fields_add(out, arena, HTTP_FIELD_TE, VIEW("TE"), VIEW("trailers")) != SP_OK)
        return SP_NOMEM;
    return cookies == NULL ? SP_OK : add_joined_cookie(out, arena, &request->fields, cookies);
}

/* The array at its full size at once: growing it would leave the small ones in the arena. */
static enum sp_err reserve(struct http_fields *fields, struct arena *arena, uint32_t cap)
{
    *fields = (struct http_fields){.v = arena_alloc(arena, cap * sizeof(*fields->v)), .cap = cap};
    return fields->v == NULL ? SP_NOMEM : SP_OK;
}

enum http_error forwarded_request_make(const struct forwarding *f, const struct http_head *request,
                                       struct view request_id, struct arena *arena,
                                       struct http_head *out)
{
    const struct http_field *cookies = cookies_to_join(&request->fields);
    struct hop_fields hop;
    enum sp_err err;

    if (hop_fields_init(&hop, &request->fields) != SP_OK)
        return HTTP_ERROR_TOO_MANY_FIELDS;
    *out = *request;
    err = reserve(&out->fields, arena,
                  request->fields.n + forwarding_max_fields(&request->fields) + OWN_FIELDS);
    if (err == SP_OK)
        err = copy_fields(request, &hop, cookies != NULL, arena, &out->fields);
    if (err == SP_OK)
        err = add_own(f, request, cookies, arena, &out->fields);
    if (err == SP_OK)
        err = forwarding_add(f, request, request_id, arena, &out->fields);
    return err == SP_OK ? HTTP_ERROR_NONE : HTTP_ERROR_NOMEM;
}

void forwarded_request_set_server(struct http_head *out, const struct http_head *request,
                                  const struct backend_conf *backend,
                                  const struct server_conf *server)
{
    if (backend->pass_host && request->authority.len > 0)
        out->authority = request->authority;
    else if (server->host.len > 0)
        out->authority = server->name;
    else
        out->authority = VIEW("localhost"); /* a unix socket has no name that fits a URL */
}
