/* An address to listen on or connect to: IPv4, IPv6 or unix; and sets of networks (CIDR). */
#pragma once

#include <sallyport/base/err.h>
#include <sallyport/base/view.h>

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/un.h>

/* IP only, 32 bytes: what every connection carries twice. */
union ip_endpoint {
    struct sockaddr sa; /* AF_UNSPEC: unknown, or a unix socket's peer */
    struct sockaddr_in in;
    struct sockaddr_in6 in6;
};

struct endpoint {
    union {
        struct sockaddr sa;
        struct sockaddr_in in;
        struct sockaddr_in6 in6;
        struct sockaddr_un un;
        struct sockaddr_storage storage;
    };
    socklen_t len; /* 0: none */
};

#define ENDPOINT_TEXT_MAX 128 /* "[v6]:port" or "unix:/path", NUL included */

/* "127.0.0.1:80", "[::1]:80", "unix:/path" (absolute). Port 0 is accepted: the kernel chooses. No
 * names, no DNS. SP_INVALID otherwise. */
enum sp_err endpoint_parse(struct view text, struct endpoint *out) SP_MUST_CHECK;
/* Always terminates; returns dst. cap >= ENDPOINT_TEXT_MAX. */
const char *endpoint_format(const struct endpoint *e, char *dst, size_t cap);
/* An IPv4-mapped IPv6 address as IPv4. */
const char *ip_endpoint_format(const union ip_endpoint *e, char *dst, size_t cap);
/* The address without port ("-" if not IP): an IPv4-mapped IPv6 address as IPv4. */
const char *ip_endpoint_format_address(const union ip_endpoint *e, char *dst, size_t cap);
uint16_t endpoint_port(const struct endpoint *e); /* 0 for unix */
uint16_t ip_endpoint_port(const union ip_endpoint *e);
/* Takes what fits: unix becomes AF_UNSPEC. */
void ip_endpoint_of(const struct sockaddr *sa, union ip_endpoint *out);

/* One network; IPv4 is kept as IPv4-mapped IPv6: "::/0" is everything, "0.0.0.0/0" all of IPv4. */
struct cidr {
    uint8_t address[16];
    uint8_t prefix_bits; /* 0..128 */
};
/* "10.0.0.0/8", "::1/128", or a bare address. SP_INVALID otherwise (host bits set included). */
enum sp_err cidr_parse(struct view text, struct cidr *out) SP_MUST_CHECK;
bool cidr_contains(const struct cidr *c, const union ip_endpoint *e);
bool cidr_any_contains(const struct cidr *list, size_t n, const union ip_endpoint *e);
