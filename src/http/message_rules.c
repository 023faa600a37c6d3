/* The rules that do not depend on how a message travelled. */
#include "message_rules.h"

#include <sallyport/http/http_syntax.h>

/* Longer than any registered method (the longest has 17 letters). */
enum { MAX_METHOD_LEN = 32 };

enum http_error message_take_method(struct http_head *head, struct view text)
{
    if (!http_is_token(text))
        return HTTP_ERROR_BAD_METHOD;
    head->method_text = text;
    head->method = http_method_of(text);
    return text.len > MAX_METHOD_LEN ? HTTP_ERROR_METHOD_UNSUPPORTED : HTTP_ERROR_NONE;
}

/* May Host be missing? */
static bool is_host_optional(const struct http_head *head)
{
    return head->version == HTTP_VERSION_1_0 ||
           (head->version == HTTP_VERSION_2 && head->authority.len > 0);
}

/* An empty Host is refused: an http or https URI always has a host (RFC 9110 4.2). Beside another
 * authority it must say the same: RFC 9112 3.2.2 would ignore it (and RFC 9113 8.3.1 lets a server
 * choose), but the backend might not. */
enum http_error message_take_host(struct http_head *head)
{
    const struct http_field *host = http_fields_get(&head->fields, HTTP_FIELD_HOST);

    if (host == NULL)
        return is_host_optional(head) ? HTTP_ERROR_NONE : HTTP_ERROR_BAD_HOST;
    if (http_fields_next(&head->fields, host) != NULL || !http_is_authority(host->value))
        return HTTP_ERROR_BAD_HOST;
    if (head->authority.len > 0 && !view_eq_nocase(head->authority, host->value))
        return HTTP_ERROR_BAD_HOST;
    head->authority = host->value;
    return HTTP_ERROR_NONE;
}

/* Content-Length = 1*DIGIT. A list or a second field is refused even where all values agree
 * (RFC 9110 8.6 would allow it), signs and blanks too. */
enum http_error message_content_length(const struct http_fields *fields, uint64_t *out)
{
    const struct http_field *field = http_fields_get(fields, HTTP_FIELD_CONTENT_LENGTH);
    uint64_t n = 0;

    if (http_fields_next(fields, field) != NULL || field->value.len == 0)
        return HTTP_ERROR_BAD_CONTENT_LENGTH;
    for (size_t i = 0; i < field->value.len; i++) {
        uint64_t digit = (unsigned char)field->value.p[i] - (uint64_t)'0';

        if (digit > 9 || n > ((uint64_t)INT64_MAX - digit) / 10)
            return HTTP_ERROR_BAD_CONTENT_LENGTH;
        n = n * 10 + digit;
    }
    *out = n;
    return HTTP_ERROR_NONE;
}

bool message_has_content(const struct http_head *head)
{
    return head->body == HTTP_BODY_UNSIZED ||
           (head->body == HTTP_BODY_LENGTH && head->content_length > 0);
}

/* RFC 9110 10.1.1. Without content there is nothing to hold back, so nothing to continue with. */
enum http_error message_take_expect(struct http_head *head)
{
    const struct http_field *field = http_fields_get(&head->fields, HTTP_FIELD_EXPECT);

    for (; field != NULL; field = http_fields_next(&head->fields, field)) {
        struct view rest = field->value, expectation;

        while (http_list_next(&rest, &expectation)) {
            if (!view_eq_nocase(expectation, VIEW("100-continue")))
                return HTTP_ERROR_EXPECTATION;
            head->expect_continue = message_has_content(head);
        }
    }
    return HTTP_ERROR_NONE;
}

/* ---- Tunnels ---- */

static struct view name_of_protocol(struct view protocol)
{
    return view_head(protocol, http_span(protocol, 0, HTTP_CHAR_TOKEN));
}

bool message_is_protocol(struct view protocol)
{
    struct view name = name_of_protocol(protocol);

    if (name.len == protocol.len)
        return name.len > 0;
    return name.len > 0 && protocol.p[name.len] == '/' &&
           http_is_token(view_from(protocol, name.len + 1));
}

/* RFC 9113 dropped the upgrade to h2c. */
bool message_protocol_carries_http(struct view protocol)
{
    static const struct view names[] = {VIEW_INIT("h2c"), VIEW_INIT("h2"), VIEW_INIT("http"),
                                        VIEW_INIT("tls")};
    struct view name = name_of_protocol(protocol);

    for (size_t i = 0; i < SP_COUNT_OF(names); i++)
        if (view_eq_nocase(name, names[i]))
            return true;
    return false;
}

/* ---- Trailers: a trailer arrives when routing, access checks and framing are long done, so a
 * field that would have had a say in them comes too late to be believed: a backend that merges
 * trailers into the head would take it for checked. ---- */

#define BIT(id) (UINT64_C(1) << HTTP_FIELD_##id)

/* RFC 9110 6.5.1: framing, routing, authentication, request modifiers, content format; and what
 * this proxy itself says to backends. */
static const uint64_t forbidden_ids =
    BIT(AUTHORIZATION) | BIT(CACHE_CONTROL) | BIT(CLIENT_CERT) | BIT(CLIENT_CERT_CHAIN) |
    BIT(CONNECTION) | BIT(CONTENT_LENGTH) | BIT(CONTENT_TYPE) | BIT(COOKIE) | BIT(EARLY_DATA) |
    BIT(EXPECT) | BIT(FORWARDED) | BIT(HOST) | BIT(HTTP2_SETTINGS) | BIT(KEEP_ALIVE) |
    BIT(LOCATION) | BIT(PROXY_AUTHENTICATE) | BIT(PROXY_AUTHORIZATION) | BIT(PROXY_CONNECTION) |
    BIT(SET_COOKIE) | BIT(TE) | BIT(TRAILER) | BIT(TRANSFER_ENCODING) | BIT(UPGRADE) | BIT(VIA) |
    BIT(X_CLIENT_CERT_FINGERPRINT) | BIT(X_CLIENT_CERT_SUBJECT) | BIT(X_CLIENT_CERT_VERIFIED) |
    BIT(X_FORWARDED_FOR) | BIT(X_FORWARDED_HOST) | BIT(X_FORWARDED_PORT) | BIT(X_FORWARDED_PROTO) |
    BIT(X_REQUEST_ID);

/* The same, of fields that this program has no id for. */
static const struct view forbidden_names[] = {
    VIEW_INIT("content-encoding"), VIEW_INIT("content-range"),
    VIEW_INIT("max-forwards"),     VIEW_INIT("range"),
    VIEW_INIT("www-authenticate"),
};

static bool is_forbidden(const struct http_field *field)
{
    enum http_field_id id =
        field->id != HTTP_FIELD_OTHER ? field->id : http_field_id_imitated(field->name);

    if (id != HTTP_FIELD_OTHER)
        return (forbidden_ids >> id & 1) != 0;
    for (size_t i = 0; i < SP_COUNT_OF(forbidden_names); i++)
        if (view_eq_nocase(field->name, forbidden_names[i]))
            return true;
    return false;
}

/* Keeps the allowed ones, in order. */
bool message_drop_forbidden_trailers(struct http_fields *fields)
{
    uint32_t n_all = fields->n;

    fields->n = 0;
    fields->present = 0;
    for (uint32_t i = 0; i < n_all; i++) {
        struct http_field field = fields->v[i];

        if (is_forbidden(&field))
            continue;
        fields->v[fields->n++] = field;
        fields->present |= UINT64_C(1) << field.id;
    }
    return fields->n == n_all;
}
