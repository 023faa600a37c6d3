/* Numbers and addresses as text. */
#include "text_buf.h"

void text_padded(struct text_buf *t, uint64_t n, unsigned width)
{
    char digits[TEXT_U64_MAX];
    size_t at = sizeof(digits);

    while (n > 0 || width > 0) {
        digits[--at] = (char)('0' + n % 10);
        n /= 10;
        width -= width > 0;
    }
    text_put(t, (struct view){digits + at, sizeof(digits) - at});
}

void text_u64(struct text_buf *t, uint64_t n)
{
    text_padded(t, n, 1);
}

void text_i64(struct text_buf *t, int64_t n)
{
    if (n < 0)
        text_char(t, '-');
    text_u64(t, n < 0 ? 0 - (uint64_t)n : (uint64_t)n);
}

void text_clock(struct text_buf *t, int hour, int minute, int second)
{
    text_padded(t, (uint64_t)hour, 2);
    text_char(t, ':');
    text_padded(t, (uint64_t)minute, 2);
    text_char(t, ':');
    text_padded(t, (uint64_t)second, 2);
}

bool text_address_is_ipv6(const union ip_endpoint *e)
{
    return e->sa.sa_family == AF_INET6 && !IN6_IS_ADDR_V4MAPPED(&e->in6.sin6_addr);
}

/* inet_ntop(3) goes through sprintf for this. */
static void put_ipv4(struct text_buf *t, const unsigned char *bytes)
{
    for (int i = 0; i < 4; i++) {
        if (i > 0)
            text_char(t, '.');
        text_u64(t, bytes[i]);
    }
}

void text_address(struct text_buf *t, const union ip_endpoint *e)
{
    char room[ENDPOINT_TEXT_MAX];

    if (e->sa.sa_family == AF_INET)
        put_ipv4(t, (const unsigned char *)&e->in.sin_addr);
    else if (e->sa.sa_family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(&e->in6.sin6_addr))
        put_ipv4(t, &e->in6.sin6_addr.s6_addr[12]);
    else
        text_str(t, ip_endpoint_format_address(e, room, sizeof(room)));
}
