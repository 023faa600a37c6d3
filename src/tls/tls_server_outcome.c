/* What became of a client's handshake: numbers for all of them; for those that failed also a line
 * of the log, and a place among the last thousand. */
#include "handshake_log_internal.h"
#include "tls_server_role.h"
#include "tls_thread.h"

#include <sallyport/base/log.h>

#include <openssl/obj_mac.h>

#include <inttypes.h>
#include <stddef.h>
#include <string.h>

/* ---- Done ---- */

static void count_version(int version)
{
    if (version == TLS1_3_VERSION)
        METRIC_INC(tls_version_1_3);
    else
        METRIC_INC(tls_version_1_2);
}

static void count_cipher(const SSL_CIPHER *cipher)
{
    switch (SSL_CIPHER_get_cipher_nid(cipher)) {
    case NID_aes_128_gcm: METRIC_INC(tls_cipher_aes_128_gcm); break;
    case NID_aes_256_gcm: METRIC_INC(tls_cipher_aes_256_gcm); break;
    default: METRIC_INC(tls_cipher_chacha20_poly1305); break;
    }
}

/* The library gives its own numbers, and those of the registry for what it got from a provider
 * (SSL_get_negotiated_group(3)). A resumed handshake of TLS 1.2 agrees on no key anew. */
static void count_group(int group)
{
    switch (group) {
    case NID_X25519: METRIC_INC(tls_group_x25519); break;
    case NID_X9_62_prime256v1: METRIC_INC(tls_group_p256); break;
    case NID_secp384r1: METRIC_INC(tls_group_p384); break;
    case TLSEXT_nid_unknown | 0x11ec: METRIC_INC(tls_group_x25519mlkem768); break;
    default: METRIC_INC(tls_group_other); break;
    }
}

void tls_server_count(const struct ssl_net_vconnection *vc)
{
    if (vc->resumed) {
        METRIC_INC(tls_handshakes_resumed);
        METRIC_ADD(tls_handshake_resumed_us, vc->handshake_us);
    } else {
        METRIC_INC(tls_handshakes_full);
        METRIC_ADD(tls_handshake_full_us, vc->handshake_us);
    }
    METRIC_OBSERVE(tls_handshake_crypto_us, vc->handshake_us);
    METRIC_OBSERVE(tls_handshake_ms, (clock_mono_ns() / 1000 - vc->super.turn.arrived_us) / 1000);
    count_version(SSL_version(vc->ssl));
    count_cipher(SSL_get_current_cipher(vc->ssl));
    if (!vc->resumed || SSL_version(vc->ssl) == TLS1_3_VERSION)
        count_group((int)SSL_get_negotiated_group(vc->ssl));
}

/* ---- Failed ---- */

static void count_reason(enum sp_err err)
{
    METRIC_INC(tls_handshakes_failed);
    switch ((int)err) {
    case SP_TLS_TIMEOUT: METRIC_INC(tls_handshake_timeouts); break;
    case SP_TLS_PLAIN_HTTP: METRIC_INC(tls_plain_http); break;
    case SP_TLS_NOT_TLS: METRIC_INC(tls_failed_not_tls); break;
    case SP_TLS_VERSION: METRIC_INC(tls_failed_version); break;
    case SP_TLS_CIPHER: METRIC_INC(tls_failed_cipher); break;
    case SP_TLS_SNI: METRIC_INC(tls_failed_sni); break;
    case SP_TLS_ALPN: METRIC_INC(tls_failed_alpn); break;
    case SP_TLS_CLIENT_CERT_MISSING: METRIC_INC(tls_failed_certificate_missing); break;
    case SP_TLS_CLIENT_CERT_UNKNOWN_CA: METRIC_INC(tls_failed_certificate_unknown_ca); break;
    case SP_TLS_CLIENT_CERT_EXPIRED: METRIC_INC(tls_failed_certificate_expired); break;
    case SP_TLS_CLIENT_CERT_REVOKED: METRIC_INC(tls_failed_certificate_revoked); break;
    case SP_TLS_CLIENT_CERT_REFUSED: METRIC_INC(tls_failed_certificate_refused); break;
    case SP_TLS_ALERT: METRIC_INC(tls_failed_alert); break;
    case SP_TLS_PROTOCOL: METRIC_INC(tls_failed_protocol); break;
    case SP_TLS_GONE:
    case SP_PEER_RESET: METRIC_INC(tls_failed_gone); break;
    default: METRIC_INC(tls_failed_other); break;
    }
}

static void log_failure(const struct ssl_net_vconnection *vc, enum sp_err err)
{
    const struct tls_handshake *hs = vc->hs;
    struct view sni = hs == NULL ? (struct view){NULL, 0} : (struct view){hs->text, hs->text_len};
    const char *reason = hs == NULL || hs->reason == NULL ? sp_err_text(err) : hs->reason;
    const char *subject = hs == NULL ? NULL : hs->certificate;
    char peer[ENDPOINT_TEXT_MAX], name[128], certificate[300];

    LOG_LIMITED(TLS, INFO,
                "vc=%" PRIu64 " peer=%s sni=\"%s\" err=%s alert_sent=%d alert_received=%d "
                "reason=\"%s\"%s%s%s",
                vc->super.id, ip_endpoint_format(&vc->super.remote, peer, sizeof(peer)),
                log_escape(name, sizeof(name), sni), sp_err_label(err),
                hs == NULL ? -1 : hs->alert_sent, hs == NULL ? -1 : hs->alert_received, reason,
                subject == NULL ? "" : " certificate=\"",
                log_escape(certificate, sizeof(certificate), view_of(subject)),
                subject == NULL ? "" : "\"");
}

/* Of a handshake whose turn had not come the hello is where it was received. */
static struct kept_hello *take_hello(const struct ssl_net_vconnection *vc)
{
    struct kept_hello *hello = vc->hs == NULL ? NULL : vc->hs->hello;

    if (hello != NULL)
        vc->hs->hello = NULL;
    else if (vc->hs != NULL && vc->hs->state == TLS_HS_TURN)
        hello = kept_hello_new(
            (struct view){(const char *)vc->in.data + vc->in.pos, tls_spill_left(&vc->in)});
    return hello;
}

static void note_port(struct handshake_failure *f, const struct ssl_net_vconnection *vc)
{
    struct view label = view_head(vc->super.accept->options.label, sizeof(f->port) - 1);

    if (label.len > 0)
        memcpy(f->port, label.p, label.len);
    f->port[label.len] = '\0';
}

static void note_certificate(struct handshake_failure *f, const struct tls_handshake *hs)
{
    struct view subject = view_of(hs == NULL ? NULL : hs->certificate);

    subject = view_head(subject, sizeof(f->certificate) - 1);
    if (subject.len > 0)
        memcpy(f->certificate, subject.p, subject.len);
    f->certificate[subject.len] = '\0';
}

static void keep_failure(const struct ssl_net_vconnection *vc, enum sp_err err)
{
    const struct tls_handshake *hs = vc->hs;
    int64_t since_us = clock_mono_ns() / 1000 - vc->super.turn.arrived_us;
    struct handshake_failure f; /* the hello's room is not touched */

    memset(&f, 0, offsetof(struct handshake_failure, hello_len));
    f.wall_ms = clock_wall_ms();
    f.vc_id = vc->super.id;
    f.peer = vc->super.remote;
    f.err = err;
    f.reason = hs == NULL ? NULL : hs->reason;
    f.alert_sent = hs == NULL ? -1 : hs->alert_sent;
    f.alert_received = hs == NULL ? -1 : hs->alert_received;
    f.wait_us = vc->ssl != NULL ? vc->wait_us : (uint32_t)since_us;
    f.crypto_us = hs == NULL || vc->ssl == NULL ? 0 : (uint32_t)(hs->spent_ns / 1000);
    note_port(&f, vc);
    note_certificate(&f, hs);
    handshake_log_add(&f, take_hello(vc));
}

/* Who connects and leaves without a byte is a health check or a scanner: counted, and no more. */
void tls_server_failed(const struct ssl_net_vconnection *vc, enum sp_err err)
{
    bool silent = vc->hs == NULL || !vc->hs->got_bytes;

    if (err == SP_OK)
        err = SP_TLS_GONE;
    count_reason(err);
    if (vc->hs != NULL && vc->hs->bundle != NULL)
        cert_bundle_count(vc->hs->bundle, CERT_HANDSHAKE_FAILED);
    if (silent && err == SP_TLS_GONE) {
        LOG_DEBUG(TLS, "vc=%" PRIu64 " err=tls_gone no byte was received", vc->super.id);
        return;
    }
    log_failure(vc, err);
    keep_failure(vc, err);
}
