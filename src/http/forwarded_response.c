/* Response heads on their way to a client. */
#include "forwarded_head.h"
#include "hop_fields.h"
#include "http_date.h"

/* A length that the parser has checked (it keeps the field of a HEAD's or 304's answer). */
static uint64_t length_of(struct view digits)
{
    uint64_t n = 0;

    for (size_t i = 0; i < digits.len; i++)
        n = n * 10 + (uint64_t)(digits.p[i] - '0');
    return n;
}

/* RFC 9110 8.6: in answers to HEAD and in a 304 the length is news about a body that is not sent.
 */
static void announce_length(const struct http_head *response, const struct http_head *request,
                            struct http_head *out)
{
    const struct http_field *length = http_fields_get(&response->fields, HTTP_FIELD_CONTENT_LENGTH);
    bool describes =
        response->status == 304 || (request->method == HTTP_METHOD_HEAD &&
                                    response->status / 100 != 1 && response->status != 204);

    if (!describes || length == NULL)
        return;
    out->body = HTTP_BODY_LENGTH;
    out->content_length = length_of(length->value);
}

static void set_body(const struct http_head *response, const struct http_head *request,
                     struct http_head *out)
{
    out->body = response->body;
    out->content_length = response->content_length;
    if (response->body == HTTP_BODY_TO_CLOSE)
        out->body = HTTP_BODY_UNSIZED; /* how it ends for the client is its session's business */
    if (response->body == HTTP_BODY_NONE)
        announce_length(response, request, out);
}

static enum sp_err copy_fields(const struct http_head *response, const struct hop_fields *hop,
                               struct arena *arena, struct http_fields *out)
{
    for (uint32_t i = 0; i < response->fields.n; i++) {
        const struct http_field *field = &response->fields.v[i];

        if (hop_field_is_dropped(hop, field))
            continue;
        if (http_fields_add_copy(out, arena, field) != SP_OK)
            return SP_NOMEM;
    }
    return SP_OK;
}

/* RFC 9110 6.6.1: "A recipient with a clock that receives a response message without a Date header
 * field MUST ... append a corresponding Date header field". */
static enum sp_err add_date(struct arena *arena, struct http_head *out)
{
    struct view date;

    if (out->status / 100 == 1 || http_fields_has(&out->fields, HTTP_FIELD_DATE))
        return SP_OK;
    date = arena_copy(arena, http_date_now());
    if (date.p == NULL)
        return SP_NOMEM;
    return http_fields_add(&out->fields, arena, HTTP_FIELD_DATE, VIEW("Date"), date);
}

/* The protocol of a tunnel: what the backend says, else what was asked for. */
static struct view protocol_of(const struct http_head *response, const struct http_head *request)
{
    const struct http_field *upgrade = http_fields_get(&response->fields, HTTP_FIELD_UPGRADE);

    if (response->status != 101)
        return (struct view){NULL, 0};
    return upgrade != NULL && upgrade->value.len > 0 ? upgrade->value : request->protocol;
}

enum http_error forwarded_response_make(const struct http_head *response,
                                        const struct http_head *request, struct arena *arena,
                                        struct http_head *out)
{
    uint32_t cap = response->fields.n + 1; /* Date */
    struct hop_fields hop;

    if (hop_fields_init(&hop, &response->fields) != SP_OK)
        return HTTP_ERROR_UPSTREAM_BAD_RESPONSE;
    *out = (struct http_head){
        .version = response->version,
        .keep_alive = true,
        .status = response->status,
        .reason = response->reason,
        .protocol = protocol_of(response, request),
        .fields = {.v = arena_alloc(arena, cap * sizeof(struct http_field)), .cap = cap},
    };
    set_body(response, request, out);
    if (out->fields.v == NULL || copy_fields(response, &hop, arena, &out->fields) != SP_OK ||
        add_date(arena, out) != SP_OK)
        return HTTP_ERROR_NOMEM;
    return HTTP_ERROR_NONE;
}
