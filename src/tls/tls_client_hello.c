#include "tls_client_hello.h"

#include "cert_store_internal.h"
#include "ocsp_slot.h"
#include "ssl_port_internal.h"
#include "tls_client_auth.h"
#include "tls_thread.h"

#include <sallyport/base/clock.h>
#include <sallyport/base/log.h>

#include <openssl/err.h>
#include <openssl/tls1.h>

#include <inttypes.h>
#include <string.h>

#define SNI_HOST_NAME 0

/* The two bytes at `at`, big-endian; the caller checked that they are there. */
static size_t u16_at(struct view v, size_t at)
{
    return (size_t)(unsigned char)v.p[at] << 8 | (unsigned char)v.p[at + 1];
}

/* ServerNameList of length 2, NameType of length 1, HostName of length 2. Only one name of a type
 * is allowed, and there is one type. */
struct view tls_sni_of(struct view extension)
{
    struct view none = {NULL, 0};
    size_t len;

    if (extension.len < 5 || u16_at(extension, 0) != extension.len - 2 ||
        extension.p[2] != SNI_HOST_NAME)
        return none;
    len = u16_at(extension, 3);
    return len == 0 || len > extension.len - 5 ? none : (struct view){extension.p + 5, len};
}

static struct view offered_sni(SSL *ssl)
{
    const unsigned char *p = NULL;
    size_t len = 0;

    if (SSL_client_hello_get0_ext(ssl, TLSEXT_TYPE_server_name, &p, &len) != 1)
        return (struct view){NULL, 0};
    return tls_sni_of((struct view){(const char *)p, len});
}

/* First of all, before version, suite or session are chosen: which bundle is this about? */
int tls_on_client_hello(SSL *ssl, int *alert, void *arg)
{
    struct tls_handshake *hs = ssl_net_vc_of_ssl(ssl)->hs;
    struct view sni = offered_sni(ssl);

    (void)arg;
    hs->text_len = (uint8_t)(sni.len < sizeof(hs->text) ? sni.len : sizeof(hs->text));
    if (hs->text_len > 0)
        memcpy(hs->text, sni.p, hs->text_len);
    hs->bundle = cert_store_find(hs->store, sni);
    if (hs->bundle == NULL) {
        hs->err = SP_TLS_SNI;
        *alert = SSL_AD_UNRECOGNIZED_NAME;
        return SSL_CLIENT_HELLO_ERROR;
    }
    if (!tls_client_auth_choose(hs, sni)) {
        *alert = SSL_AD_INTERNAL_ERROR;
        return SSL_CLIENT_HELLO_ERROR;
    }
    return SSL_CLIENT_HELLO_SUCCESS;
}

/* Only in a full handshake: a resumed one needs no certificate. */
int tls_on_certificate(SSL *ssl, void *arg)
{
    const struct tls_handshake *hs = ssl_net_vc_of_ssl(ssl)->hs;

    (void)arg;
    return hs->bundle != NULL && cert_bundle_attach(hs->bundle, ssl) && tls_client_auth_ask(hs) ? 1
                                                                                                : 0;
}

/* OpenSSL owns the bytes that it is given. */
static bool give_staple(SSL *ssl, const struct ocsp_staple *staple)
{
    unsigned char *copy = OPENSSL_memdup(staple->der, staple->len);

    if (copy == NULL || SSL_set_tlsext_status_ocsp_resp(ssl, copy, (long)staple->len) != 1) {
        OPENSSL_free(copy);
        ERR_clear_error();
        return false;
    }
    return true;
}

static void count_missing(const struct ocsp_slot *slot)
{
    METRIC_INC(tls_ocsp_unstapled);
    if (slot != NULL && slot->subject.must_staple)
        METRIC_INC(tls_ocsp_must_staple_missing);
}

/* The certificate is chosen, and the client would like to see that it is not revoked: whatever is
 * there is given at once, and nothing is said if nothing is. */
int tls_on_status_request(SSL *ssl, void *arg)
{
    const struct tls_handshake *hs = ssl_net_vc_of_ssl(ssl)->hs;
    struct ocsp_slot *slot =
        hs->bundle == NULL ? NULL : cert_bundle_ocsp_of(hs->bundle, SSL_get_certificate(ssl));
    struct ocsp_staple *staple = slot == NULL ? NULL : ocsp_slot_staple(slot, clock_wall_ms());
    bool given = staple != NULL && give_staple(ssl, staple);

    (void)arg;
    ocsp_staple_unref(staple);
    if (given)
        METRIC_INC(tls_ocsp_stapled);
    else
        count_missing(slot);
    return given ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_NOACK;
}

/* The name was used, so the answer says so (RFC 6066 3: "SHALL include an extension of type
 * server_name"). */
// NOLINTNEXTLINE(readability-non-const-parameter): OpenSSL's shape
int tls_on_server_name(SSL *ssl, int *alert, void *arg)
{
    (void)ssl;
    (void)alert;
    (void)arg;
    return SSL_TLSEXT_ERR_OK;
}

static struct view offered_protocol(struct view list, struct view protocol)
{
    size_t at = 0;

    while (at < list.len) {
        size_t len = (unsigned char)list.p[at];
        struct view entry = view_head(view_from(list, at + 1), len);

        if (view_eq(entry, protocol))
            return entry;
        at += 1 + len;
    }
    return (struct view){NULL, 0};
}

struct view tls_alpn_choose(unsigned bits, struct view offered)
{
    struct view chosen = {NULL, 0};

    if ((bits & ALPN_H2) != 0)
        chosen = offered_protocol(offered, VIEW("h2"));
    if (chosen.len == 0 && (bits & ALPN_HTTP11) != 0)
        chosen = offered_protocol(offered, VIEW("http/1.1"));
    return chosen;
}

/* No overlap: "the server SHALL send a fatal no_application_protocol alert" (RFC 7301 3.2). */
int tls_on_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_len,
                const unsigned char *in, unsigned int in_len, void *arg)
{
    struct view chosen = tls_alpn_choose(ssl_net_vc_of_ssl(ssl)->port->alpn,
                                         (struct view){(const char *)in, in_len});

    (void)arg;
    if (chosen.len == 0)
        return SSL_TLSEXT_ERR_ALERT_FATAL;
    *out = (const unsigned char *)chosen.p;
    *out_len = (unsigned char)chosen.len;
    return SSL_TLSEXT_ERR_OK;
}

static void on_alert(struct ssl_net_vconnection *vc, bool sent, const unsigned char *alert)
{
    if (vc->hs != NULL) {
        if (sent)
            vc->hs->alert_sent = alert[1];
        else
            vc->hs->alert_received = alert[1];
        return;
    }
    if (!sent || alert[1] != SSL_AD_NO_RENEGOTIATION)
        return;
    METRIC_INC(tls_renegotiations);
    if (++vc->renegotiations <= TLS_RENEGOTIATIONS_MAX)
        return;
    vc->broken = SP_TLS_RENEGOTIATION;
    LOG_LIMITED(TLS, INFO, "vc=%" PRIu64 " err=%s", vc->super.id, sp_err_label(vc->broken));
}

/* Each costs both sides a key derivation and the peer 30 bytes: a peer that sends nothing else is
 * shown the door. */
static void on_key_update(struct ssl_net_vconnection *vc)
{
    if (vc->key_updates_left > 0) {
        vc->key_updates_left--;
        return;
    }
    METRIC_INC(tls_key_update_floods);
    vc->broken = SP_TLS_PROTOCOL;
    LOG_LIMITED(TLS, INFO, "vc=%" PRIu64 " err=%s reason=\"too many key updates\"", vc->super.id,
                sp_err_label(vc->broken));
}

// NOLINTNEXTLINE(readability-function-size): OpenSSL's shape
void tls_on_message(int write, int version, int type, const void *data, size_t len, SSL *ssl,
                    void *arg)
{
    const unsigned char *p = data;

    (void)version;
    (void)arg;
    if (type == SSL3_RT_ALERT && len == 2)
        on_alert(ssl_net_vc_of_ssl(ssl), write != 0, p);
    else if (type == SSL3_RT_HANDSHAKE && write == 0 && len > 0 && p[0] == SSL3_MT_KEY_UPDATE)
        on_key_update(ssl_net_vc_of_ssl(ssl));
}
