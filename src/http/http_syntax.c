/* Character classes and the small grammars over them. */
#include <sallyport/base/compiler.h>
#include <sallyport/http/http_syntax.h>

#include <arpa/inet.h>

enum {
    MAX_HOST_LEN = 255, /* RFC 1035 2.3.4 */
    MAX_PORT = 65535,
};

/* clang-format off */
enum {
    T = HTTP_CHAR_TOKEN,                    /* #, a fragment's start in a target */
    Q = HTTP_CHAR_QUERY,                    /* " < > ? \ */
    P = HTTP_CHAR_PATH | HTTP_CHAR_QUERY,   /* delimiters */
    W = P | HTTP_CHAR_TOKEN,                /* other tchar */
    A = W | HTTP_CHAR_HOST,                 /* letters, digits, - . _ ~ */
};
const uint8_t http_char_classes[256] = {
    /*           0  1  2  3  4  5  6  7  8  9  a  b  c  d  e  f */
    [0x20] =     0, W, Q, T, W, W, W, W, P, P, W, W, P, A, A, P,
    [0x30] =     A, A, A, A, A, A, A, A, A, A, P, P, Q, P, Q, Q,
    [0x40] =     P, A, A, A, A, A, A, A, A, A, A, A, A, A, A, A,
    [0x50] =     A, A, A, A, A, A, A, A, A, A, A, P, Q, P, W, A,
    [0x60] =     W, A, A, A, A, A, A, A, A, A, A, A, A, A, A, A,
    [0x70] =     A, A, A, A, A, A, A, A, A, A, A, P, W, P, A, 0,
};
/* clang-format on */

static bool is_control(char c)
{
    return (unsigned char)c < 0x20 || c == 0x7f;
}

/* Is there a byte below 0x20, or 0x7f? (x - n) & ~x has the high bit of a byte set when the byte is
 * below n; a borrow can only spoil the bytes above one that is, so the yes or no is exact. */
static bool word_has_control(uint64_t word)
{
    const uint64_t ones = UINT64_C(0x0101010101010101);
    uint64_t del = word ^ (ones * 0x7f);

    return ((((word - ones * 0x20) & ~word) | ((del - ones) & ~del)) & (ones * 0x80)) != 0;
}

size_t http_find_control(struct view v, size_t from)
{
    while (v.len - from >= sizeof(uint64_t)) {
        uint64_t word;

        memcpy(&word, v.p + from, sizeof(word));
        if (word_has_control(word))
            break;
        from += sizeof(word);
    }
    while (from < v.len && !is_control(v.p[from]))
        from++;
    return from;
}

bool http_is_field_value(struct view v)
{
    size_t at = http_find_control(v, 0);

    while (at < v.len && v.p[at] == '\t')
        at = http_find_control(v, at + 1);
    return at == v.len;
}

bool http_is_path(struct view v)
{
    size_t at;

    if (v.len == 0 || v.p[0] != '/')
        return false;
    at = http_span(v, 1, HTTP_CHAR_PATH);
    if (at < v.len && v.p[at] == '?')
        at = http_span(v, at, HTTP_CHAR_QUERY);
    return at == v.len;
}

/* The length of "[" IPv6address "]" at the start of v, 0 when it is not one. */
static size_t ip_literal_len(struct view v)
{
    const char *close = memchr(v.p, ']', v.len);
    char text[INET6_ADDRSTRLEN] = {0};
    struct in6_addr addr;
    size_t len;

    if (close == NULL)
        return 0;
    len = (size_t)(close - v.p) - 1;
    if (len >= sizeof(text))
        return 0;
    memcpy(text, v.p + 1, len);
    /* A NUL among the bytes would hide the rest from inet_pton(3). */
    return strlen(text) == len && inet_pton(AF_INET6, text, &addr) == 1 ? len + 2 : 0;
}

static bool is_port(struct view v)
{
    unsigned port = 0;

    if (v.len == 0 || v.len > 5)
        return false;
    for (size_t i = 0; i < v.len; i++) {
        if (v.p[i] < '0' || v.p[i] > '9')
            return false;
        port = port * 10 + (unsigned)(v.p[i] - '0');
    }
    return port <= MAX_PORT;
}

bool http_is_authority(struct view v)
{
    size_t host_len;

    if (v.len == 0)
        return false;
    host_len = v.p[0] == '[' ? ip_literal_len(v) : http_span(v, 0, HTTP_CHAR_HOST);
    if (host_len == 0 || host_len > MAX_HOST_LEN)
        return false;
    return host_len == v.len || (v.p[host_len] == ':' && is_port(view_from(v, host_len + 1)));
}

struct view http_host_of(struct view authority)
{
    const char *bracket, *colon;

    if (authority.len == 0)
        return authority;
    bracket = memchr(authority.p, ']', authority.len);
    colon = memchr(authority.p, ':', authority.len);
    if (bracket != NULL)
        return view_head(authority, (size_t)(bracket - authority.p) + 1);
    return colon == NULL ? authority : view_head(authority, (size_t)(colon - authority.p));
}
