#include "conf_kinds.h"

#include <sallyport/base/log.h>

#include <string.h>

static bool is_alnum(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

/* Letters, digits and what else is listed; not empty. */
static bool consists_of(struct view v, const char *more)
{
    for (size_t i = 0; i < v.len; i++)
        if (!is_alnum(v.p[i]) && (v.p[i] == '\0' || strchr(more, v.p[i]) == NULL))
            return false;
    return v.len > 0;
}

/* Visible ASCII. */
static bool is_visible(struct view v)
{
    for (size_t i = 0; i < v.len; i++)
        if (v.p[i] <= 0x20 || v.p[i] >= 0x7f)
            return false;
    return true;
}

/* Takes what stands before the next `c`, and the `c`. */
static struct view take_until(struct view *v, char c)
{
    const char *at = v->len == 0 ? NULL : memchr(v->p, c, v->len);
    struct view head = view_head(*v, at == NULL ? v->len : (size_t)(at - v->p));

    *v = view_from(*v, head.len + 1);
    return head;
}

static bool is_name(struct view v)
{
    return v.len <= 253 && consists_of(v, "._-");
}

bool conf_is_host_name(struct view v)
{
    if (v.len == 0 || v.len > 253 || v.p[v.len - 1] == '.')
        return false;
    while (v.len > 0) {
        struct view label = take_until(&v, '.');

        if (label.len > 63 || !consists_of(label, "-_") || label.p[0] == '-' ||
            label.p[label.len - 1] == '-')
            return false;
    }
    return true;
}

static bool is_host_pattern(struct view v)
{
    return conf_is_host_name(view_starts_with(v, VIEW("*.")) ? view_from(v, 2) : v);
}

/* A path without query (RFC 3986 3.3). */
static bool is_url_path(struct view v)
{
    return v.len > 0 && v.p[0] == '/' && is_visible(v) && memchr(v.p, '?', v.len) == NULL &&
           memchr(v.p, '#', v.len) == NULL;
}

/* Braces only as "{path}" and "{host}". */
static bool has_known_braces(struct view v)
{
    for (size_t i = 0; i < v.len; i++) {
        struct view rest = view_from(v, i);

        if (v.p[i] == '}')
            return false;
        if (v.p[i] != '{')
            continue;
        if (!view_starts_with(rest, VIEW("{path}")) && !view_starts_with(rest, VIEW("{host}")))
            return false;
        i += sizeof("{path}") - 2;
    }
    return true;
}

/* Of this server: "//host" would be another one, and so would "/{path}". */
static bool is_local_path(struct view v)
{
    return v.len > 0 && v.p[0] == '/' && (v.len == 1 || (v.p[1] != '/' && v.p[1] != '{'));
}

static bool is_location(struct view v)
{
    struct view http = VIEW("http://"), https = VIEW("https://");
    bool absolute = (view_starts_with(v, http) && v.len > http.len) ||
                    (view_starts_with(v, https) && v.len > https.len);

    return (absolute || is_local_path(v)) && is_visible(v) && has_known_braces(v);
}

/* RFC 9110 5.6.2. */
static bool is_token(struct view v)
{
    return consists_of(v, "!#$%&'*+-.^_`|~");
}

/* RFC 9110 5.5: no control characters but tabs, no space around. */
static bool is_field_value(struct view v)
{
    for (size_t i = 0; i < v.len; i++)
        if (((unsigned char)v.p[i] < 0x20 && v.p[i] != '\t') || v.p[i] == 0x7f)
            return false;
    return v.len == 0 || (strchr(" \t", v.p[0]) == NULL && strchr(" \t", v.p[v.len - 1]) == NULL);
}

static bool is_level(struct view v)
{
    static const char *const labels[] = {
#define X(id, label) label,
        LOG_LEVELS(X)
#undef X
    };

    for (size_t i = 0; i < SP_COUNT_OF(labels); i++)
        if (view_eq(v, view_of(labels[i])))
            return true;
    return false;
}

static bool is_subject(struct view v)
{
    static const char *const labels[] = {
#define X(id, label, text) label,
        LOG_SUBJECTS(X)
#undef X
    };

    for (size_t i = 0; i < SP_COUNT_OF(labels); i++)
        if (view_eq(v, view_of(labels[i])))
            return true;
    return false;
}

/* What log_set_levels() understands, without setting it: a level first, or none; then exceptions.
 */
static bool is_log_levels(struct view v)
{
    struct view rest = v, first = take_until(&rest, ',');

    if (v.len == 0 || v.p[v.len - 1] == ',')
        return false;
    if (is_level(first))
        v = rest;
    while (v.len > 0) {
        struct view level = take_until(&v, ',');

        if (!is_subject(take_until(&level, '=')) || !is_level(level))
            return false;
    }
    return true;
}

static bool is_word(struct view v)
{
    return consists_of(v, "._-");
}

static bool is_owner(struct view v)
{
    bool has_group = v.len > 0 && memchr(v.p, ':', v.len) != NULL;
    struct view user = take_until(&v, ':');

    return (user.len > 0 || has_group) && (user.len == 0 || is_word(user)) &&
           (!has_group || is_word(v));
}

/* clang-format off */
const struct conf_kind conf_kind_name = {
    "a name of letters, digits, '.', '_' and '-'", is_name, false,
    "^[A-Za-z0-9._-]{1,253}$"};
const struct conf_kind conf_kind_port = {
    "a port as \"443\", \"127.0.0.1:443\", \"[::1]:443\" or \"unix:/path\"", NULL, false,
    "^([0-9]{1,5}|.+:[0-9]{1,5}|unix:.+)$"};
const struct conf_kind conf_kind_host_pattern = {
    "a host name such as \"shop.example.com\" or \"*.example.com\"", is_host_pattern, true,
    "^(\\*\\.)?[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?(\\.[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?)*$"};
const struct conf_kind conf_kind_url_path = {
    "a path that begins with \"/\", without query", is_url_path, false,
    "^/[!\"$->@-~]*$"};
const struct conf_kind conf_kind_location = {
    "a path or an http(s) URL, in which {host} and {path} are filled in", is_location, false,
    "^(https?://[!-~]+|/([!-.0-z|~][!-~]*)?)$"};
const struct conf_kind conf_kind_field_name = {
    "the name of a header field", is_token, false,
    "^[!#$%&'*+.^_`|~0-9A-Za-z-]+$"};
const struct conf_kind conf_kind_field_value = {
    "a header value without line breaks, control characters or space around it", is_field_value, false,
    "^([^\\x00-\\x20\\x7f]([^\\x00-\\x08\\x0a-\\x1f\\x7f]*[^\\x00-\\x20\\x7f])?)?$"};
const struct conf_kind conf_kind_log_levels = {
    "log levels such as \"info\" or \"warn,tls=debug\"", is_log_levels, false, NULL};
const struct conf_kind conf_kind_word = {
    "a name of letters, digits, '.', '_' and '-'", is_word, false,
    "^[A-Za-z0-9._-]+$"};
const struct conf_kind conf_kind_owner = {
    "an owner such as \"user\", \"user:group\" or \":group\"", is_owner, false,
    "^([A-Za-z0-9._-]+(:[A-Za-z0-9._-]+)?|:[A-Za-z0-9._-]+)$"};
/* clang-format on */
