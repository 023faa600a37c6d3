/* Walks over lengths, and never past them. */
#include "tls_client_hello.h"

#include <sallyport/tls/client_hello.h>

#define HANDSHAKE_CLIENT_HELLO 1
#define HANDSHAKE_HEADER_BYTES 4
#define RANDOM_BYTES           32

enum {
    EXTENSION_SERVER_NAME = 0,
    EXTENSION_SUPPORTED_GROUPS = 10,
    EXTENSION_SIGNATURE_ALGORITHMS = 13,
    EXTENSION_ALPN = 16,
    EXTENSION_SUPPORTED_VERSIONS = 43,
};

/* Takes n bytes from the front, or as many as there are. */
static struct view take(struct view *rest, size_t n)
{
    struct view taken = view_head(*rest, n);

    *rest = view_from(*rest, taken.len);
    return taken;
}

static uint16_t take_u8(struct view *rest)
{
    struct view v = take(rest, 1);

    return v.p == NULL || v.len < 1 ? 0 : (uint8_t)v.p[0];
}

static uint16_t take_u16(struct view *rest)
{
    struct view v = take(rest, 2);

    if (v.p == NULL || v.len < 2)
        return 0;
    return (uint16_t)((uint8_t)v.p[0] << 8 | (uint8_t)v.p[1]);
}

static struct view take_vector8(struct view *rest)
{
    return take(rest, take_u8(rest));
}

static struct view take_vector16(struct view *rest)
{
    return take(rest, take_u16(rest));
}

bool client_hello_number(struct view *list, uint16_t *number)
{
    if (list->len < 2)
        return false;
    *number = take_u16(list);
    return true;
}

bool client_hello_protocol(struct view *alpn, struct view *protocol)
{
    if (alpn->len < 1)
        return false;
    *protocol = take_vector8(alpn);
    return true;
}

bool client_hello_extension(struct view *extensions, uint16_t *type, struct view *body)
{
    if (extensions->len < 4)
        return false;
    *type = take_u16(extensions);
    *body = take_vector16(extensions);
    return true;
}

static void note_extension(struct client_hello *h, uint16_t type, struct view body)
{
    switch (type) {
    case EXTENSION_SERVER_NAME:
        h->has_sni = true;
        h->sni = tls_sni_of(body);
        break;
    case EXTENSION_SUPPORTED_GROUPS: h->groups = take_vector16(&body); break;
    case EXTENSION_SIGNATURE_ALGORITHMS: h->signatures = take_vector16(&body); break;
    case EXTENSION_ALPN: h->alpn = take_vector16(&body); break;
    case EXTENSION_SUPPORTED_VERSIONS: h->versions = take_vector8(&body); break;
    default: break;
    }
}

bool client_hello_parse(struct view message, struct client_hello *out)
{
    struct view rest = message, all, body;
    uint16_t type;

    *out = (struct client_hello){0};
    if (message.len < HANDSHAKE_HEADER_BYTES || message.p[0] != HANDSHAKE_CLIENT_HELLO)
        return false;
    (void)take(&rest, HANDSHAKE_HEADER_BYTES);
    out->legacy_version = take_u16(&rest);
    (void)take(&rest, RANDOM_BYTES);
    (void)take_vector8(&rest); /* legacy_session_id */
    out->ciphers = take_vector16(&rest);
    (void)take_vector8(&rest); /* legacy_compression_methods */
    out->extensions = take_vector16(&rest);
    all = out->extensions;
    while (client_hello_extension(&all, &type, &body))
        note_extension(out, type, body);
    return true;
}
