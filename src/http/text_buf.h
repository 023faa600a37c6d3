/* Text of bounded length, written by hand: what is made for every request (forwarding fields, log
 * lines) is put together here, without printf and without allocation. What does not fit is left out
 * and `cut` is set; nothing is written past the end. */
#pragma once

#include <sallyport/base/endpoint.h>
#include <sallyport/base/view.h>

#include <stdbool.h>
#include <stdint.h>

struct text_buf {
    char *p; /* borrowed room of cap bytes, not terminated */
    size_t len, cap;
    bool cut;
};

static inline struct text_buf text_buf_over(char *room, size_t cap)
{
    return (struct text_buf){.p = room, .cap = cap};
}

static inline struct view text_buf_view(const struct text_buf *t)
{
    return (struct view){t->p, t->len};
}

static inline void text_put(struct text_buf *t, struct view v)
{
    if (v.len > t->cap - t->len) {
        t->cut = true;
        return;
    }
    if (v.len > 0)
        memcpy(t->p + t->len, v.p, v.len);
    t->len += v.len;
}

static inline void text_char(struct text_buf *t, char c)
{
    if (t->len == t->cap)
        t->cut = true;
    else
        t->p[t->len++] = c;
}

static inline void text_str(struct text_buf *t, const char *s)
{
    text_put(t, view_of(s));
}

#define TEXT_U64_MAX 20 /* digits */
void text_u64(struct text_buf *t, uint64_t n);
/* At least `width` digits (1..20), filled with zeros. */
void text_padded(struct text_buf *t, uint64_t n, unsigned width);
void text_i64(struct text_buf *t, int64_t n);

/* "04:10:00" */
void text_clock(struct text_buf *t, int hour, int minute, int second);

#define TEXT_ADDRESS_MAX 46 /* INET6_ADDRSTRLEN */
/* Without port and brackets, IPv4-mapped IPv6 as IPv4; "-" if not IP. */
void text_address(struct text_buf *t, const union ip_endpoint *e);
/* Would text_address() write an IPv6 address? */
bool text_address_is_ipv6(const union ip_endpoint *e);
