/* A name server of a few lines for the tests of the resolver: UDP and, behind an answer that says
 * it was cut, TCP. It runs when the test calls it (RFC 1035 4.1). */
#pragma once

#include "unit_test.h"

#include <sallyport/base/endpoint.h>

#include <arpa/inet.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

enum dns_rcode { DNS_OK = 0, DNS_SERVFAIL = 2, DNS_NXDOMAIN = 3 };
enum { DNS_TYPE_A = 1, DNS_TYPE_AAAA = 28 };

/* What it knows of a name; who is not listed does not exist. */
struct dns_zone_row {
    const char *name;
    const char *a[3], *aaaa[2];
    enum dns_rcode rcode;
    bool silent;    /* no answer at all */
    bool truncated; /* over UDP */
    bool garbage;   /* noise first, and the answer of another question */
};

struct dns_server {
    const struct dns_zone_row *zone;
    size_t n_zone;
    int udp, tcp, conn; /* conn -1: none */
    char address[ENDPOINT_TEXT_MAX];
    int n_questions, n_over_tcp;
};

static inline void dns_server_open(struct dns_server *s, const struct dns_zone_row *zone, size_t n)
{
    struct endpoint e;

    *s = (struct dns_server){.zone = zone, .n_zone = n, .conn = -1};
    assert_int_equal(endpoint_parse(VIEW("127.0.0.1:0"), &e), SP_OK);
    s->udp = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    s->tcp = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(s->tcp, &e.sa, e.len), 0);
    assert_int_equal(listen(s->tcp, 4), 0);
    assert_int_equal(getsockname(s->tcp, &e.sa, &e.len), 0);
    assert_int_equal(bind(s->udp, &e.sa, e.len), 0);
    (void)endpoint_format(&e, s->address, sizeof(s->address));
}

static inline void dns_server_close(struct dns_server *s)
{
    (void)close(s->udp);
    (void)close(s->tcp);
    if (s->conn >= 0)
        (void)close(s->conn);
}

/* The name of the question, with dots; where its end is. */
static inline size_t dns_read_name(const uint8_t *q, size_t len, char *name, size_t cap)
{
    size_t at = 12, out = 0;

    while (at < len && q[at] != 0) {
        size_t label = q[at++];

        assert_true(label < 64 && at + label < len && out + label + 2 < cap);
        if (out > 0)
            name[out++] = '.';
        memcpy(name + out, q + at, label);
        out += label;
        at += label;
    }
    name[out] = '\0';
    return at + 1;
}

static inline size_t dns_add_address(uint8_t *p, int type, const char *text)
{
    static const uint8_t head[] = {0xc0, 12, 0, 0, 0, 1, 0, 0, 0, 60, 0, 0};
    size_t len = type == DNS_TYPE_A ? 4 : 16;

    memcpy(p, head, sizeof(head));
    p[3] = (uint8_t)type;
    p[11] = (uint8_t)len;
    assert_int_equal(inet_pton(type == DNS_TYPE_A ? AF_INET : AF_INET6, text, p + sizeof(head)), 1);
    return sizeof(head) + len;
}

static inline const struct dns_zone_row *dns_find(const struct dns_server *s, const char *name)
{
    for (size_t i = 0; i < s->n_zone; i++)
        if (strcasecmp(s->zone[i].name, name) == 0)
            return &s->zone[i];
    return NULL;
}

/* Makes the answer of the question in place; its length, 0: none. */
static inline size_t dns_answer(struct dns_server *s, uint8_t *p, size_t len, bool over_udp)
{
    char name[256];
    size_t at = dns_read_name(p, len, name, sizeof(name));
    int type = p[at] << 8 | p[at + 1];
    const struct dns_zone_row *row = dns_find(s, name);
    const char *const *list =
        type == DNS_TYPE_A ? (row == NULL ? NULL : row->a) : (row == NULL ? NULL : row->aaaa);
    size_t max = type == DNS_TYPE_A ? 3 : 2;
    enum dns_rcode rcode = row == NULL ? DNS_NXDOMAIN : row->rcode;

    s->n_questions++;
    s->n_over_tcp += !over_udp;
    if (row != NULL && row->silent)
        return 0;
    at += 4;
    memset(p + 6, 0, 6); /* no answers yet; what stood behind the question is left out */
    p[2] = (uint8_t)(0x84 | (row != NULL && row->truncated && over_udp ? 2 : 0));
    p[3] = (uint8_t)(0x80 | rcode);
    if ((p[2] & 2) != 0 || rcode != DNS_OK || list == NULL)
        return at;
    for (size_t i = 0; i < max && list[i] != NULL; i++) {
        at += dns_add_address(p + at, type, list[i]);
        p[7]++;
    }
    return at;
}

static inline void dns_send_noise(const struct dns_server *s, const struct sockaddr_in *to,
                                  const uint8_t *answer, size_t len)
{
    uint8_t other[512];

    (void)sendto(s->udp, "noise", 5, 0, (const struct sockaddr *)to, sizeof(*to));
    (void)sendto(s->udp, answer, 11, 0, (const struct sockaddr *)to, sizeof(*to)); /* cut */
    memcpy(other, answer, len);
    other[0] ^= 0x5a; /* somebody guesses */
    (void)sendto(s->udp, other, len, 0, (const struct sockaddr *)to, sizeof(*to));
}

static inline void dns_serve_tcp(struct dns_server *s)
{
    uint8_t p[2 + 512];
    size_t len;
    ssize_t n;

    if (s->conn < 0)
        s->conn = accept4(s->tcp, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    n = s->conn < 0 ? -1 : recv(s->conn, p, sizeof(p), MSG_PEEK);
    if (n < 2 || n < 2 + (p[0] << 8 | p[1]))
        return;
    len = (size_t)(p[0] << 8 | p[1]);
    (void)recv(s->conn, p, 2 + len, 0);
    len = dns_answer(s, p + 2, len, false);
    p[0] = (uint8_t)(len >> 8);
    p[1] = (uint8_t)len;
    assert_int_equal(send(s->conn, p, 2 + len, 0), 2 + len);
}

/* Answers what has arrived. */
static inline void dns_serve(struct dns_server *s)
{
    struct sockaddr_in from;
    socklen_t from_len = sizeof(from);
    uint8_t p[512];
    ssize_t n;

    while ((n = recvfrom(s->udp, p, sizeof(p), 0, (struct sockaddr *)&from, &from_len)) > 16) {
        char name[256];
        const struct dns_zone_row *row;
        size_t len;

        (void)dns_read_name(p, (size_t)n, name, sizeof(name));
        row = dns_find(s, name);
        len = dns_answer(s, p, (size_t)n, true);
        if (len > 0 && row != NULL && row->garbage)
            dns_send_noise(s, &from, p, len);
        if (len > 0)
            (void)sendto(s->udp, p, len, 0, (struct sockaddr *)&from, from_len);
    }
    dns_serve_tcp(s);
}
