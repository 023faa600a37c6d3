/* What this program itself looks at of a client's first bytes: TLS or HTTP, what it will cost, the
 * requested name, and what is kept of one that fails. The input is used as all of them. */
#include "cert_names.h"
#include "handshake_log_internal.h"
#include "tls_client_hello.h"
#include "tls_first_bytes.h"
#include "tls_hello_kind.h"

#include <sallyport/base/compiler.h>
#include <sallyport/tls/client_hello.h>

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* An answer, once given, stays whatever follows; and enough bytes give one. */
static void first_bytes(struct view bytes)
{
    enum tls_first_bytes last = TLS_FIRST_MORE;

    for (size_t len = 0; len <= bytes.len && len <= TLS_FIRST_BYTES_MAX; len++) {
        enum tls_first_bytes now = tls_first_bytes(view_head(bytes, len));

        SP_ASSERT(last == TLS_FIRST_MORE || now == last);
        SP_ASSERT(len < TLS_FIRST_BYTES_MAX || now != TLS_FIRST_MORE);
        last = now;
    }
}

/* A hello that is whole stays whole, and of its kind, whatever follows its first record. */
static void hello_kind(struct view bytes)
{
    enum tls_hello_kind last = TLS_HELLO_MORE;

    for (size_t len = 0; len <= bytes.len; len += len < 64 ? 1 : 61) {
        enum tls_hello_kind now = tls_hello_kind(view_head(bytes, len));

        SP_ASSERT(last == TLS_HELLO_MORE || now == last);
        last = now;
    }
}

/* The name lies inside the extension; what is normal stays as it is when made normal again. */
static void requested_name(struct view extension)
{
    char first[CERT_NAME_MAX], second[CERT_NAME_MAX];
    struct view sni = tls_sni_of(extension), normal, again;

    SP_ASSERT(sni.len == 0 ||
              (sni.p >= extension.p && sni.p + sni.len <= extension.p + extension.len));
    normal = cert_name_normal(sni.len > 0 ? sni : extension, first);
    SP_ASSERT(normal.len <= CERT_NAME_MAX);
    again = cert_name_normal(normal, second);
    SP_ASSERT(view_eq(normal, again));
}

/* What is shown to people: the whole list of what was offered lies inside the message, and its
 * fingerprint has its length. */
static void offers(struct view bytes)
{
    struct kept_hello *kept = kept_hello_new(bytes);
    struct view message = {kept == NULL ? NULL : (const char *)kept->bytes,
                           kept == NULL ? 0 : kept->len};
    struct view body, protocol;
    struct client_hello h;
    char ja4[CLIENT_HELLO_JA4_BYTES];
    uint16_t number;

    (void)client_hello_parse(message, &h);
    client_hello_ja4(&h, ja4);
    SP_ASSERT(strlen(ja4) == CLIENT_HELLO_JA4_BYTES - 1);
    while (client_hello_extension(&h.extensions, &number, &body))
        SP_ASSERT(body.len == 0 ||
                  (body.p >= message.p && body.p + body.len <= message.p + message.len));
    while (client_hello_protocol(&h.alpn, &protocol))
        SP_ASSERT(protocol.len == 0 || protocol.p + protocol.len <= message.p + message.len);
    free(kept);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct view bytes = {(const char *)data, size};

    offers(bytes);

    first_bytes(bytes);
    hello_kind(bytes);
    requested_name(bytes);
    return 0;
}
