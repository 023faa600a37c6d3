/* Session tickets as OpenSSL asks about them during a client's handshake, and what became of them
 * in numbers. */
#include "tls_server_tickets.h"

#include "ssl_port_internal.h"
#include "tls_client_auth.h"
#include "tls_thread.h"

#include <sallyport/base/clock.h>
#include <sallyport/base/metrics.h>

// NOLINTNEXTLINE(readability-non-const-parameter): OpenSSL's shape
int tls_on_ticket_key(SSL *ssl, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *cipher,
                      EVP_MAC_CTX *mac, int encrypt)
{
    struct ssl_net_vconnection *vc = ssl_net_vc_of_ssl(ssl);
    struct tls_ticket_job job = {.name = name,
                                 .iv = iv,
                                 .cipher = cipher,
                                 .mac = mac,
                                 .seal = encrypt != 0,
                                 .serves_once = SSL_version(ssl) >= TLS1_3_VERSION};
    int rc = tls_tickets_key(vc->port->tickets, &job);

    if (!job.seal)
        vc->hs->ticket = job.use;
    else if (rc > 0)
        METRIC_INC(tls_tickets_issued);
    return rc;
}

static void count_not_opened(enum ticket_use use)
{
    if (use == TICKET_UNKNOWN)
        METRIC_INC(tls_tickets_unknown);
    else if (use == TICKET_EXPIRED)
        METRIC_INC(tls_tickets_expired);
    else
        METRIC_INC(tls_tickets_damaged);
}

/* Its own life, whatever its key's. */
static bool session_has_expired(const SSL_SESSION *session)
{
    int64_t ends_s = SSL_SESSION_get_time(session) + SSL_SESSION_get_timeout(session);

    return clock_wall_ms() / 1000 > ends_s;
}

SSL_TICKET_RETURN tls_ticket_judge(const SSL_SESSION *session, enum ticket_use use,
                                   SSL_TICKET_STATUS status)
{
    if (status == SSL_TICKET_NO_DECRYPT)
        count_not_opened(use);
    if (status != SSL_TICKET_SUCCESS && status != SSL_TICKET_SUCCESS_RENEW)
        return SSL_TICKET_RETURN_IGNORE_RENEW;
    if (session_has_expired(session)) {
        METRIC_INC(tls_tickets_expired);
        return SSL_TICKET_RETURN_IGNORE_RENEW;
    }
    if (use == TICKET_CURRENT)
        METRIC_INC(tls_tickets_current);
    else
        METRIC_INC(tls_tickets_old);
    return status == SSL_TICKET_SUCCESS ? SSL_TICKET_RETURN_USE : SSL_TICKET_RETURN_USE_RENEW;
}

/* Of several tickets it is asked one by one. */
// NOLINTNEXTLINE(readability-non-const-parameter): OpenSSL's shape
SSL_TICKET_RETURN tls_on_ticket(SSL *ssl, SSL_SESSION *session, const unsigned char *name,
                                size_t name_len, SSL_TICKET_STATUS status, void *arg)
{
    struct tls_handshake *hs = ssl_net_vc_of_ssl(ssl)->hs;
    enum ticket_use use = hs->ticket;

    (void)name;
    (void)name_len;
    (void)arg;
    hs->ticket = TICKET_UNKNOWN; /* the next one may be too short to have a key's name */
    if (session != NULL && !tls_client_auth_resumes(hs, session)) {
        METRIC_INC(tls_certificate_tickets_refused);
        return SSL_TICKET_RETURN_IGNORE_RENEW;
    }
    return tls_ticket_judge(session, use, status);
}
