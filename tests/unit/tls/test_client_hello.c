/* What a ClientHello says, and the fingerprint of who says it. The expected fingerprints were
 * computed from the description of JA4, by hand and sha256sum. */
#include "unit_test.h"

#include <sallyport/base/compiler.h>
#include <sallyport/tls/client_hello.h>

#include <string.h>

/* A message under construction. */
struct builder {
    uint8_t bytes[4096];
    size_t len;
    size_t extensions_at; /* of their length; 0: none yet */
};

static void put_u8(struct builder *b, unsigned v)
{
    b->bytes[b->len++] = (uint8_t)v;
}

static void put_u16(struct builder *b, unsigned v)
{
    put_u8(b, v >> 8);
    put_u8(b, v & 0xff);
}

static void set_u16(struct builder *b, size_t at, size_t v)
{
    b->bytes[at] = (uint8_t)(v >> 8);
    b->bytes[at + 1] = (uint8_t)v;
}

static void put_list(struct builder *b, const uint16_t *v, size_t n)
{
    for (size_t i = 0; i < n; i++)
        put_u16(b, v[i]);
}

static void begin(struct builder *b, unsigned version, const uint16_t *ciphers, size_t n)
{
    memset(b, 0, sizeof(*b));
    put_u8(b, 1);
    b->len = 4;
    put_u16(b, version);
    b->len += 32;
    put_u8(b, 0);
    put_u16(b, (unsigned)n * 2);
    put_list(b, ciphers, n);
    put_u16(b, 0x0100); /* compression methods: null */
    b->extensions_at = b->len;
    put_u16(b, 0);
}

static void put_extension(struct builder *b, unsigned type, const void *body, size_t len)
{
    put_u16(b, type);
    put_u16(b, (unsigned)len);
    if (len > 0)
        memcpy(b->bytes + b->len, body, len);
    b->len += len;
    set_u16(b, b->extensions_at, b->len - b->extensions_at - 2);
}

/* A list of numbers with its length in front, of one byte or two. */
static void put_numbers(struct builder *b, unsigned type, size_t len_bytes, const uint16_t *v,
                        size_t n)
{
    struct builder body = {0};

    if (len_bytes == 1)
        put_u8(&body, (unsigned)n * 2);
    else
        put_u16(&body, (unsigned)n * 2);
    put_list(&body, v, n);
    put_extension(b, type, body.bytes, body.len);
}

static struct view end(struct builder *b)
{
    set_u16(b, 2, b->len - 4);
    return (struct view){(const char *)b->bytes, b->len};
}

#define NUMBERS(...) \
    ((const uint16_t[]){__VA_ARGS__}), SP_COUNT_OF(((const uint16_t[]){__VA_ARGS__}))

#define SNI  "\0\x0f\0\0\x0cshop.example"
#define ALPN "\0\x0c\x02h2\x08http/1.1"

/* As a browser has it, its order included, with reserved numbers everywhere. */
static struct view browser(struct builder *b)
{
    begin(b, 0x0303,
          NUMBERS(0x8a8a, 0x1301, 0x1302, 0x1303, 0xc02b, 0xc02f, 0xc02c, 0xc030, 0xcca9, 0xcca8,
                  0xc013, 0xc014, 0x009c, 0x009d, 0x002f, 0x0035));
    put_extension(b, 0x3a3a, "", 0);
    put_extension(b, 0x001b, "\x02\0\x02", 3);
    put_extension(b, 0x0000, SNI, sizeof(SNI) - 1);
    put_extension(b, 0x0033, "\0\0", 2);
    put_extension(b, 0x0010, ALPN, sizeof(ALPN) - 1);
    put_extension(b, 0x4469, "\0\x03\x02h2", 5);
    put_extension(b, 0x0017, "", 0);
    put_extension(b, 0x002d, "\x01\x01", 2);
    put_numbers(b, 0x000d, 2,
                NUMBERS(0x0403, 0x0804, 0x0401, 0x0503, 0x0805, 0x0501, 0x0806, 0x0601));
    put_extension(b, 0x0005, "\x01\0\0\0\0", 5);
    put_extension(b, 0x0023, "", 0);
    put_extension(b, 0x0012, "", 0);
    put_numbers(b, 0x002b, 1, NUMBERS(0xdada, 0x0304, 0x0303));
    put_extension(b, 0xff01, "\0", 1);
    put_extension(b, 0x000b, "\x01\0", 2);
    put_numbers(b, 0x000a, 2, NUMBERS(0x1a1a, 0x11ec, 0x001d, 0x0017, 0x0018));
    put_extension(b, 0x0015, "\0\0\0", 3);
    return end(b);
}

static void everything_that_is_offered_is_found(void **state)
{
    struct builder b;
    struct client_hello h;
    struct view protocol;
    uint16_t number;

    (void)state;
    assert_true(client_hello_parse(browser(&b), &h));
    assert_int_equal(h.legacy_version, 0x0303);
    assert_true(h.has_sni && view_eq(h.sni, VIEW("shop.example")));
    assert_true(client_hello_number(&h.ciphers, &number) && client_hello_is_grease(number));
    assert_true(client_hello_number(&h.ciphers, &number) && number == 0x1301);
    assert_true(client_hello_number(&h.versions, &number) && number == 0xdada);
    assert_true(client_hello_number(&h.versions, &number) && number == 0x0304);
    assert_true(client_hello_number(&h.groups, &number) && number == 0x1a1a);
    assert_true(client_hello_number(&h.groups, &number) && number == 0x11ec);
    assert_true(client_hello_number(&h.signatures, &number) && number == 0x0403);
    assert_true(client_hello_protocol(&h.alpn, &protocol) && view_eq(protocol, VIEW("h2")));
    assert_true(client_hello_protocol(&h.alpn, &protocol) && view_eq(protocol, VIEW("http/1.1")));
    assert_false(client_hello_protocol(&h.alpn, &protocol));
}

static void has_fingerprint(struct view message, const char *expected)
{
    struct client_hello h;
    char ja4[CLIENT_HELLO_JA4_BYTES];

    assert_true(client_hello_parse(message, &h));
    client_hello_ja4(&h, ja4);
    assert_string_equal(ja4, expected);
}

static void a_browser_has_the_fingerprint_of_the_description(void **state)
{
    struct builder b;

    (void)state;
    has_fingerprint(browser(&b), "t13d1516h2_8daaf6152771_e5627efa2ab1");
}

static void the_version_is_that_of_the_hello_without_the_extension(void **state)
{
    struct builder b;

    (void)state;
    begin(&b, 0x0303, NUMBERS(0xc02f));
    has_fingerprint(view_head(end(&b), b.len - 2), "t12i010000_f06271c2b022_000000000000");
    begin(&b, 0x0301, NUMBERS(0xc02f));
    has_fingerprint(end(&b), "t10i010000_f06271c2b022_000000000000");
    begin(&b, 0x7f00, NUMBERS(0x1a1a));
    has_fingerprint(end(&b), "t00i000000_000000000000_000000000000");
}

static void without_signature_algorithms_there_is_no_underscore(void **state)
{
    struct builder b;

    (void)state;
    begin(&b, 0x0303, NUMBERS(0xc02f));
    put_extension(&b, 0x0017, "", 0);
    put_extension(&b, 0x000b, "\x01\0", 2);
    has_fingerprint(end(&b), "t12i010200_f06271c2b022_0e0668bc1566");
}

static void odd_protocols_are_shown_by_their_bytes(void **state)
{
    static const struct {
        const char *body;
        size_t len;
        const char *shown;
    } cases[] = {
        {"\0\x04\x03h2c", 6, "hc"},
        {"\0\x02\x01h", 4, "hh"},
        {"\0\x02\x01\xab", 4, "ab"},
        {"\0\x03\x02\xab\xcd", 5, "ad"},
        {"\0\x03\x02\x30\xab", 5, "3b"},
        {"\0\x03\x02\x30\x31", 5, "01"},
        {"\0\x05\x04\x30\xab\xcd\x31", 7, "01"},
        {"\0\0", 2, "00"},
        {"\0\x01\0", 3, "00"},
    };
    char expected[] = "t12i0101??_f06271c2b022_000000000000";

    (void)state;
    for (size_t i = 0; i < SP_COUNT_OF(cases); i++) {
        struct builder b;

        begin(&b, 0x0303, NUMBERS(0xc02f));
        put_extension(&b, 0x0010, cases[i].body, cases[i].len);
        memcpy(expected + 8, cases[i].shown, 2);
        has_fingerprint(end(&b), expected);
    }
}

static void more_than_99_are_99(void **state)
{
    struct builder b;
    uint16_t ciphers[200];
    struct client_hello h;
    char ja4[CLIENT_HELLO_JA4_BYTES];

    (void)state;
    for (unsigned i = 0; i < 200; i++)
        ciphers[i] = (uint16_t)(0xc000 + i);
    begin(&b, 0x0303, ciphers, 200);
    for (unsigned i = 0; i < 150; i++)
        put_extension(&b, 0x5000 + i, "", 0);
    assert_true(client_hello_parse(end(&b), &h));
    client_hello_ja4(&h, ja4);
    assert_memory_equal(ja4, "t12i999900_", 11);
}

static void a_hello_that_is_cut_anywhere_is_read_as_far_as_it_goes(void **state)
{
    struct builder b;
    struct view whole = browser(&b);

    (void)state;
    for (size_t len = 0; len <= whole.len; len++) {
        struct client_hello h;
        char ja4[CLIENT_HELLO_JA4_BYTES];

        assert_int_equal(client_hello_parse(view_head(whole, len), &h), len >= 4);
        client_hello_ja4(&h, ja4);
        assert_int_equal(strlen(ja4), CLIENT_HELLO_JA4_BYTES - 1);
    }
}

static void what_is_no_hello_is_said_to_be_none(void **state)
{
    struct client_hello h;

    (void)state;
    assert_false(client_hello_parse(VIEW("\x02\0\0\0\x03\x03"), &h));
    assert_false(client_hello_parse((struct view){NULL, 0}, &h));
}

static void numbers_have_names(void **state)
{
    (void)state;
    assert_string_equal(tls_version_name(0x0304), "TLSv1.3");
    assert_string_equal(tls_group_name(0x11ec), "X25519MLKEM768");
    assert_string_equal(tls_signature_name(0x0804), "rsa_pss_rsae_sha256");
    assert_string_equal(tls_alert_name(120), "no_application_protocol");
    assert_null(tls_group_name(0x1a1a));
    assert_null(tls_alert_name(-1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(everything_that_is_offered_is_found),
        cmocka_unit_test(a_browser_has_the_fingerprint_of_the_description),
        cmocka_unit_test(the_version_is_that_of_the_hello_without_the_extension),
        cmocka_unit_test(without_signature_algorithms_there_is_no_underscore),
        cmocka_unit_test(odd_protocols_are_shown_by_their_bytes),
        cmocka_unit_test(more_than_99_are_99),
        cmocka_unit_test(a_hello_that_is_cut_anywhere_is_read_as_far_as_it_goes),
        cmocka_unit_test(what_is_no_hello_is_said_to_be_none),
        cmocka_unit_test(numbers_have_names),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
