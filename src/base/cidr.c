/* Sets of networks. IPv4 is kept and compared as IPv4-mapped IPv6 (RFC 4291 2.5.5.2), so that one
 * comparison serves both, and an IPv4 client is found whether its listener is IPv4 or dual. */
#include "endpoint_internal.h"

#include <sallyport/base/endpoint.h>

#define IPV4_PREFIX_BITS 96 /* ::ffff:0:0/96 */

static void map_ipv4(uint8_t out[16], const struct in_addr *in)
{
    memset(out, 0, 10);
    out[10] = out[11] = 0xff;
    memcpy(out + 12, in, 4);
}

/* The mask of byte `i` of a prefix of `bits`. */
static uint8_t mask_at(unsigned bits, unsigned i)
{
    if (bits <= 8 * i)
        return 0;
    if (bits >= 8 * i + 8)
        return 0xff;
    return (uint8_t)(0xff00u >> (bits - 8 * i));
}

static bool has_host_bits(const struct cidr *c)
{
    for (unsigned i = 0; i < sizeof(c->address); i++)
        if ((c->address[i] & (uint8_t)~mask_at(c->prefix_bits, i)) != 0)
            return true;
    return false;
}

/* The address, and the bits of the prefix that its family brings (and that "/n" counts from). */
static bool parse_address(struct view text, uint8_t address[16], unsigned *family_bits)
{
    struct in_addr in;

    if (address_parse(text, AF_INET, &in)) {
        map_ipv4(address, &in);
        *family_bits = IPV4_PREFIX_BITS;
        return true;
    }
    *family_bits = 0;
    return address_parse(text, AF_INET6, address);
}

enum sp_err cidr_parse(struct view text, struct cidr *out)
{
    const char *slash = text.len == 0 ? NULL : memchr(text.p, '/', text.len);
    size_t address_len = slash == NULL ? text.len : (size_t)(slash - text.p);
    struct cidr c;
    unsigned family_bits;
    uint32_t bits;

    if (!parse_address(view_head(text, address_len), c.address, &family_bits))
        return SP_INVALID;
    bits = 128 - family_bits;
    if (slash != NULL && !decimal_parse(view_from(text, address_len + 1), bits, &bits))
        return SP_INVALID;
    c.prefix_bits = (uint8_t)(family_bits + bits);
    if (has_host_bits(&c))
        return SP_INVALID;
    *out = c;
    return SP_OK;
}

static bool matches(const struct cidr *c, const uint8_t address[16])
{
    for (unsigned i = 0; i < 16 && 8 * i < c->prefix_bits; i++)
        if (((c->address[i] ^ address[i]) & mask_at(c->prefix_bits, i)) != 0)
            return false;
    return true;
}

/* False: not an IP address, so in no network. */
static bool address_of(const union ip_endpoint *e, uint8_t address[16])
{
    if (e->sa.sa_family == AF_INET) {
        map_ipv4(address, &e->in.sin_addr);
        return true;
    }
    if (e->sa.sa_family != AF_INET6)
        return false;
    memcpy(address, &e->in6.sin6_addr, 16);
    return true;
}

bool cidr_contains(const struct cidr *c, const union ip_endpoint *e)
{
    return cidr_any_contains(c, 1, e);
}

bool cidr_any_contains(const struct cidr *list, size_t n, const union ip_endpoint *e)
{
    uint8_t address[16];

    if (!address_of(e, address))
        return false;
    for (size_t i = 0; i < n; i++)
        if (matches(&list[i], address))
            return true;
    return false;
}
