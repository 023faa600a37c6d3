/* A ClientHello as a client sent it (RFC 8446 4.1.2), taken apart for whoever shows it to people:
 * what was offered, and the fingerprint of who offered it. Pure, any thread; peer bytes, so
 * whatever does not add up is left empty. */
#pragma once

#include <sallyport/base/view.h>

#include <stdbool.h>
#include <stdint.h>

struct client_hello {
    uint16_t legacy_version;
    struct view ciphers;    /* lists of numbers: client_hello_number() */
    struct view versions;   /* supported_versions */
    struct view groups;     /* supported_groups */
    struct view signatures; /* signature_algorithms */
    struct view alpn;       /* ProtocolNameList: client_hello_protocol() */
    struct view extensions; /* all of them: client_hello_extension() */
    struct view sni;        /* host name; empty: none */
    bool has_sni;           /* the extension, whatever is in it */
};

/* `message`: the handshake message, its header of four bytes included; what is missing at its end
 * is missing in *out. False: it is no ClientHello. */
bool client_hello_parse(struct view message, struct client_hello *out);

/* Takes the next one from the front; false: none is left. */
bool client_hello_number(struct view *list, uint16_t *number);
bool client_hello_protocol(struct view *alpn, struct view *protocol);
bool client_hello_extension(struct view *extensions, uint16_t *type, struct view *body);
/* A number that stands for nothing (RFC 8701). */
static inline bool client_hello_is_grease(uint16_t number)
{
    return (number & 0x0f0f) == 0x0a0a && number >> 8 == (number & 0xff);
}

/* JA4 of FoxIO, over TCP: "t13d1516h2_8daaf6152771_e5627efa2ab1". */
#define CLIENT_HELLO_JA4_BYTES 37 /* with the NUL */
void client_hello_ja4(const struct client_hello *hello, char dst[CLIENT_HELLO_JA4_BYTES]);

/* As IANA and RFC 8446 name them; NULL: unknown. Static. */
const char *tls_version_name(uint16_t version);
const char *tls_group_name(uint16_t group);
const char *tls_signature_name(uint16_t scheme);
const char *tls_alert_name(int description);
