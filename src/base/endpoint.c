/* Addresses to and from text. Parsing is strict: a configuration that can be read in two ways is
 * an error, and nothing here ever asks a resolver. */
#include "endpoint_internal.h"

#include <sallyport/base/endpoint.h>

#include <arpa/inet.h>
#include <stdio.h>

/* Every text of endpoint_format() fits. */
_Static_assert(ENDPOINT_TEXT_MAX > sizeof("unix:") + sizeof(((struct sockaddr_un *)0)->sun_path),
               "a unix path with its prefix");
_Static_assert(ENDPOINT_TEXT_MAX > INET6_ADDRSTRLEN + sizeof("[]:65535"), "an IPv6 address");

bool decimal_parse(struct view text, uint32_t max, uint32_t *out)
{
    uint32_t value = 0;

    if (text.len == 0 || text.len > 9 || (text.len > 1 && text.p[0] == '0'))
        return false;
    for (size_t i = 0; i < text.len; i++) {
        if (text.p[i] < '0' || text.p[i] > '9')
            return false;
        value = value * 10 + (uint32_t)(text.p[i] - '0');
    }
    if (value > max)
        return false;
    *out = value;
    return true;
}

bool address_parse(struct view text, int family, void *out)
{
    char buf[INET6_ADDRSTRLEN];

    if (text.len == 0 || text.len >= sizeof(buf) || memchr(text.p, '\0', text.len) != NULL)
        return false;
    memcpy(buf, text.p, text.len);
    buf[text.len] = '\0';
    return inet_pton(family, buf, out) == 1;
}

/* Finds the last `c`; text.len if there is none. */
static size_t find_last(struct view text, char c)
{
    const char *at = text.len == 0 ? NULL : memrchr(text.p, c, text.len);

    return at == NULL ? text.len : (size_t)(at - text.p);
}

static enum sp_err parse_unix(struct view path, struct endpoint *out)
{
    struct endpoint e = {.un.sun_family = AF_UNIX};

    if (path.len == 0 || path.p[0] != '/' || path.len >= sizeof(e.un.sun_path) ||
        memchr(path.p, '\0', path.len) != NULL)
        return SP_INVALID;
    memcpy(e.un.sun_path, path.p, path.len);
    e.len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + path.len + 1);
    *out = e;
    return SP_OK;
}

/* "127.0.0.1" or "[::1]". */
static enum sp_err parse_ip(struct view host, uint16_t port, struct endpoint *out)
{
    struct endpoint e = {0};

    if (host.len >= 2 && host.p[0] == '[' && host.p[host.len - 1] == ']') {
        e.in6.sin6_family = AF_INET6;
        e.in6.sin6_port = htons(port);
        e.len = sizeof(e.in6);
        if (!address_parse(view_head(view_from(host, 1), host.len - 2), AF_INET6, &e.in6.sin6_addr))
            return SP_INVALID;
    } else {
        e.in.sin_family = AF_INET;
        e.in.sin_port = htons(port);
        e.len = sizeof(e.in);
        if (!address_parse(host, AF_INET, &e.in.sin_addr))
            return SP_INVALID;
    }
    *out = e;
    return SP_OK;
}

enum sp_err endpoint_parse(struct view text, struct endpoint *out)
{
    const struct view unix_prefix = VIEW("unix:");
    size_t colon = find_last(text, ':');
    uint32_t port;

    if (view_starts_with(text, unix_prefix))
        return parse_unix(view_from(text, unix_prefix.len), out);
    if (!decimal_parse(view_from(text, colon + 1), UINT16_MAX, &port))
        return SP_INVALID;
    return parse_ip(view_head(text, colon), (uint16_t)port, out);
}

static const char *format_none(char *dst, size_t cap)
{
    (void)snprintf(dst, cap, "-");
    return dst;
}

static const char *format_in(const struct sockaddr_in *in, char *dst, size_t cap)
{
    char address[INET_ADDRSTRLEN];

    (void)inet_ntop(AF_INET, &in->sin_addr, address, sizeof(address));
    (void)snprintf(dst, cap, "%s:%u", address, (unsigned)ntohs(in->sin_port));
    return dst;
}

static const char *format_in6(const struct sockaddr_in6 *in6, char *dst, size_t cap)
{
    char address[INET6_ADDRSTRLEN];

    (void)inet_ntop(AF_INET6, &in6->sin6_addr, address, sizeof(address));
    (void)snprintf(dst, cap, "[%s]:%u", address, (unsigned)ntohs(in6->sin6_port));
    return dst;
}

/* The kernel need not terminate the path, and an unnamed socket has none. */
static const char *format_un(const struct endpoint *e, char *dst, size_t cap)
{
    const size_t before_path = offsetof(struct sockaddr_un, sun_path);
    size_t room = e->len > before_path ? e->len - before_path : 0;

    if (room > sizeof(e->un.sun_path))
        room = sizeof(e->un.sun_path);
    (void)snprintf(dst, cap, "unix:%.*s", (int)strnlen(e->un.sun_path, room), e->un.sun_path);
    return dst;
}

const char *endpoint_format(const struct endpoint *e, char *dst, size_t cap)
{
    if (e->len == 0)
        return format_none(dst, cap);
    switch (e->sa.sa_family) {
    case AF_INET: return format_in(&e->in, dst, cap);
    case AF_INET6: return format_in6(&e->in6, dst, cap);
    case AF_UNIX: return format_un(e, dst, cap);
    default: return format_none(dst, cap);
    }
}

static bool is_mapped(const union ip_endpoint *e)
{
    return e->sa.sa_family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(&e->in6.sin6_addr);
}

const char *ip_endpoint_format(const union ip_endpoint *e, char *dst, size_t cap)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = e->in6.sin6_port};

    if (is_mapped(e)) {
        memcpy(&in.sin_addr, &e->in6.sin6_addr.s6_addr[12], sizeof(in.sin_addr));
        return format_in(&in, dst, cap);
    }
    switch (e->sa.sa_family) {
    case AF_INET: return format_in(&e->in, dst, cap);
    case AF_INET6: return format_in6(&e->in6, dst, cap);
    default: return format_none(dst, cap);
    }
}

const char *ip_endpoint_format_address(const union ip_endpoint *e, char *dst, size_t cap)
{
    const char *text = NULL;

    if (e->sa.sa_family == AF_INET)
        text = inet_ntop(AF_INET, &e->in.sin_addr, dst, (socklen_t)cap);
    else if (is_mapped(e))
        text = inet_ntop(AF_INET, &e->in6.sin6_addr.s6_addr[12], dst, (socklen_t)cap);
    else if (e->sa.sa_family == AF_INET6)
        text = inet_ntop(AF_INET6, &e->in6.sin6_addr, dst, (socklen_t)cap);
    return text != NULL ? text : format_none(dst, cap);
}

static uint16_t sockaddr_port(int family, const struct sockaddr_in *in,
                              const struct sockaddr_in6 *in6)
{
    if (family == AF_INET)
        return ntohs(in->sin_port);
    return family == AF_INET6 ? ntohs(in6->sin6_port) : 0;
}

uint16_t endpoint_port(const struct endpoint *e)
{
    return e->len == 0 ? 0 : sockaddr_port(e->sa.sa_family, &e->in, &e->in6);
}

uint16_t ip_endpoint_port(const union ip_endpoint *e)
{
    return sockaddr_port(e->sa.sa_family, &e->in, &e->in6);
}

void ip_endpoint_of(const struct sockaddr *sa, union ip_endpoint *out)
{
    /* Callers compare whole ones: no byte may be left as it was. */
    memset(out, 0, sizeof(*out));
    if (sa->sa_family == AF_INET)
        memcpy(&out->in, sa, sizeof(out->in));
    else if (sa->sa_family == AF_INET6)
        memcpy(&out->in6, sa, sizeof(out->in6));
    else
        out->sa.sa_family = AF_UNSPEC;
}
