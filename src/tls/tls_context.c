#include "tls_context.h"

#include "tls_client_auth.h"
#include "tls_client_hello.h"
#include "tls_client_role.h"
#include "tls_early.h"
#include "tls_server_tickets.h"

#include <sallyport/base/log.h>

#include <openssl/err.h>

#include <stdio.h>

/* Mozilla's server-side TLS, without finite-field DHE: the cheapest strong suite
 * first. A client that puts ChaCha20 first has no AES instructions and gets it (PRIORITIZE_CHACHA).
 */
#define SUITES_13 "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256"
#define SUITES_12                                                \
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:" \
    "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:" \
    "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305"

/* The hybrid group where the library has it. */
static const char *const group_lists[] = {"X25519MLKEM768:X25519:P-256:P-384",
                                          "X25519:P-256:P-384"};

#define OPTIONS                                                                          \
    (SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_CIPHER_SERVER_PREFERENCE | \
     SSL_OP_PRIORITIZE_CHACHA)
/* A record is encrypted at once or not at all, and from wherever its bytes lie then; OpenSSL's own
 * 17 KB buffers go back as soon as they are empty. */
#define MODES \
    (SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER)

static bool set_groups(SSL_CTX *ctx)
{
    for (size_t i = 0; i < SP_COUNT_OF(group_lists); i++) {
        char list[64]; /* the macro casts const away */

        (void)snprintf(list, sizeof(list), "%s", group_lists[i]);
        if (SSL_CTX_set1_groups_list(ctx, list) == 1) {
            ERR_clear_error(); /* of the lists that it did not know */
            return true;
        }
    }
    return false;
}

static bool set_policy(SSL_CTX *ctx, enum tls_preset preset)
{
    int lowest = preset == TLS_PRESET_MODERN ? TLS1_3_VERSION : TLS1_2_VERSION;

    (void)SSL_CTX_set_options(ctx, OPTIONS);
    (void)SSL_CTX_set_mode(ctx, MODES);
    return SSL_CTX_set_min_proto_version(ctx, lowest) == 1 &&
           SSL_CTX_set_ciphersuites(ctx, SUITES_13) == 1 &&
           SSL_CTX_set_cipher_list(ctx, SUITES_12) == 1 && set_groups(ctx);
}

/* OpenSSL's own protection against replays would make tickets that it remembers. */
static bool set_early_data(SSL_CTX *ctx, const struct early_data_conf *conf)
{
    if (!conf->enabled)
        return SSL_CTX_set_session_ticket_cb(ctx, NULL, tls_on_ticket, NULL) == 1;
    (void)SSL_CTX_set_options(ctx, SSL_OP_NO_ANTI_REPLAY);
    SSL_CTX_set_allow_early_data_cb(ctx, tls_on_early_data, NULL);
    return SSL_CTX_set_max_early_data(ctx, conf->max_bytes) == 1 &&
           SSL_CTX_set_recv_max_early_data(ctx, conf->max_bytes) == 1 &&
           SSL_CTX_set_session_ticket_cb(ctx, tls_on_ticket_made, tls_on_ticket, NULL) == 1;
}

/* Stateless: the server remembers nothing, so there is no cache to fill or to share. One ticket a
 * handshake instead of OpenSSL's two: each is sealed, sent and mostly thrown away. */
static bool set_resumption(SSL_CTX *ctx, const struct tls_port_conf *conf)
{
    (void)SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
    if (!conf->session_tickets) {
        (void)SSL_CTX_set_options(ctx, SSL_OP_NO_TICKET);
        return SSL_CTX_set_num_tickets(ctx, 0) == 1;
    }
    (void)SSL_CTX_set_timeout(ctx, (long)conf->ticket_lifetime_s);
    return SSL_CTX_set_num_tickets(ctx, 1) == 1 &&
           SSL_CTX_set_tlsext_ticket_key_evp_cb(ctx, tls_on_ticket_key) == 1 &&
           set_early_data(ctx, &conf->early_data);
}

static void set_callbacks(SSL_CTX *ctx)
{
    SSL_CTX_set_client_hello_cb(ctx, tls_on_client_hello, NULL);
    SSL_CTX_set_cert_cb(ctx, tls_on_certificate, NULL);
    SSL_CTX_set_cert_verify_callback(ctx, tls_on_client_certificate, NULL);
    (void)SSL_CTX_set_tlsext_servername_callback(ctx, tls_on_server_name);
    SSL_CTX_set_alpn_select_cb(ctx, tls_on_alpn, NULL);
    (void)SSL_CTX_set_tlsext_status_cb(ctx, tls_on_status_request);
    SSL_CTX_set_msg_callback(ctx, tls_on_message);
}

SSL_CTX *tls_client_context_new(enum tls_preset preset)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());

    if (ctx == NULL)
        return NULL;
    if (!set_policy(ctx, preset)) {
        SSL_CTX_free(ctx);
        return NULL;
    }
    (void)SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(ctx, tls_client_on_session);
    SSL_CTX_set_msg_callback(ctx, tls_on_message);
    return ctx;
}

SSL_CTX *tls_context_new(const struct tls_port_conf *conf)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());

    if (ctx == NULL)
        return NULL;
    if (!set_policy(ctx, conf->preset) || !set_resumption(ctx, conf)) {
        SSL_CTX_free(ctx);
        return NULL;
    }
    set_callbacks(ctx);
    return ctx;
}
