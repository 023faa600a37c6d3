/* JA4, as FoxIO describes it for TLS clients: what a client offers says which program it is.
 *
 *     t13d1516h2_8daaf6152771_e5627efa2ab1
 *     |||  |  |  |            `- SHA-256 of the sorted extensions, without server_name and ALPN,
 *     |||  |  |  |               "_", and the signature algorithms in their order; 12 digits
 *     |||  |  |  `- SHA-256 of the sorted cipher suites; 12 digits
 *     |||  |  `- first and last character of the first ALPN protocol
 *     |||  `- how many cipher suites, how many extensions
 *     ||`- server_name: d, none: i
 *     |`- highest version
 *     `- TCP
 *
 * Reserved numbers (GREASE) count nowhere. */
#include <sallyport/base/compiler.h>
#include <sallyport/tls/client_hello.h>

#include <openssl/err.h>
#include <openssl/evp.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NUMBERS_MAX   512 /* of each list; nobody honest has more than a few dozens */
#define HASH_DIGITS   12
#define NUMBER_DIGITS 4

struct numbers {
    uint16_t v[NUMBERS_MAX];
    unsigned n;
};

static void add(struct numbers *list, uint16_t number)
{
    if (!client_hello_is_grease(number) && list->n < NUMBERS_MAX)
        list->v[list->n++] = number;
}

static int compare(const void *a, const void *b)
{
    return *(const uint16_t *)a - *(const uint16_t *)b;
}

static void sort(struct numbers *list)
{
    qsort(list->v, list->n, sizeof(list->v[0]), compare);
}

/* "002f,0035" at the end of what is in `text`. */
static size_t write_list(char *text, size_t at, const struct numbers *list)
{
    static const char digits[] = "0123456789abcdef";

    for (unsigned i = 0; i < list->n; i++) {
        if (i > 0)
            text[at++] = ',';
        for (int shift = 12; shift >= 0; shift -= 4)
            text[at++] = digits[list->v[i] >> shift & 0xf];
    }
    return at;
}

/* The first digits of the hash; zeros of nothing. */
static void write_hash(char dst[HASH_DIGITS + 1], const char *text, size_t len)
{
    unsigned char hash[EVP_MAX_MD_SIZE] = {0};

    if (len > 0 && EVP_Digest(text, len, hash, NULL, EVP_sha256(), NULL) != 1) {
        ERR_clear_error();
        memset(hash, 0, sizeof(hash));
    }
    for (int i = 0; i < HASH_DIGITS / 2; i++)
        (void)snprintf(dst + (size_t)i * 2, 3, "%02x", hash[i]);
}

static const char *version_of(const struct client_hello *h)
{
    static const struct {
        uint16_t version;
        const char *text;
    } names[] = {{0x0304, "13"}, {0x0303, "12"}, {0x0302, "11"}, {0x0301, "10"}, {0x0300, "s3"}};
    struct view list = h->versions;
    uint16_t highest = 0, version;

    while (client_hello_number(&list, &version))
        if (!client_hello_is_grease(version) && version > highest)
            highest = version;
    if (highest == 0)
        highest = h->legacy_version;
    for (size_t i = 0; i < SP_COUNT_OF(names); i++)
        if (names[i].version == highest)
            return names[i].text;
    return "00";
}

static bool is_alphanumeric(uint8_t c)
{
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

/* Of a protocol that begins or ends with something else: the first and the last digit of its
 * bytes in hexadecimal. */
static void write_alpn(char dst[3], const struct client_hello *h)
{
    static const char digits[] = "0123456789abcdef";
    struct view list = h->alpn, protocol = {NULL, 0};
    uint8_t first, last;

    memcpy(dst, "00", 3);
    if (!client_hello_protocol(&list, &protocol) || protocol.len == 0)
        return;
    first = (uint8_t)protocol.p[0];
    last = (uint8_t)protocol.p[protocol.len - 1];
    if (is_alphanumeric(first) && is_alphanumeric(last)) {
        dst[0] = (char)first;
        dst[1] = (char)last;
    } else {
        dst[0] = digits[first >> 4];
        dst[1] = digits[last & 0xf];
    }
}

static void read_numbers(struct numbers *out, struct view list)
{
    uint16_t number;

    out->n = 0;
    while (client_hello_number(&list, &number))
        add(out, number);
}

/* Without those that say where the client wants to go. Returns how many there are with them. */
static unsigned read_extensions(struct numbers *out, struct view extensions)
{
    unsigned n = 0;
    struct view body;
    uint16_t type;

    out->n = 0;
    while (client_hello_extension(&extensions, &type, &body)) {
        n += !client_hello_is_grease(type);
        if (type != 0x0000 && type != 0x0010)
            add(out, type);
    }
    return n;
}

static unsigned two_digits(unsigned n)
{
    return n > 99 ? 99 : n;
}

void client_hello_ja4(const struct client_hello *hello, char dst[CLIENT_HELLO_JA4_BYTES])
{
    char text[2 * NUMBERS_MAX * (NUMBER_DIGITS + 1)];
    char alpn[3], cipher_hash[HASH_DIGITS + 1], extension_hash[HASH_DIGITS + 1];
    struct numbers ciphers, extensions, signatures;
    unsigned n_extensions = read_extensions(&extensions, hello->extensions);
    size_t len;

    read_numbers(&ciphers, hello->ciphers);
    read_numbers(&signatures, hello->signatures);
    sort(&ciphers);
    sort(&extensions);
    write_hash(cipher_hash, text, write_list(text, 0, &ciphers));
    len = write_list(text, 0, &extensions);
    if (len > 0 && signatures.n > 0) {
        text[len++] = '_';
        len = write_list(text, len, &signatures);
    }
    write_hash(extension_hash, text, len);
    write_alpn(alpn, hello);
    (void)snprintf(dst, CLIENT_HELLO_JA4_BYTES, "t%s%c%02u%02u%s_%s_%s", version_of(hello),
                   hello->has_sni ? 'd' : 'i', two_digits(ciphers.n), two_digits(n_extensions),
                   alpn, cipher_hash, extension_hash);
}
