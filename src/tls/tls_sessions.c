#include "tls_sessions.h"

#include <sallyport/base/clock.h>

#include <openssl/x509.h>

#include <stdbool.h>
#include <string.h>

void tls_sessions_init(struct tls_sessions *s)
{
    memset(s, 0, sizeof(*s));
    for (int i = 0; i < TLS_SESSION_SLOTS; i++)
        atomic_flag_clear(&s->slots[i].in_use);
}

void tls_sessions_fini(struct tls_sessions *s)
{
    for (int i = 0; i < TLS_SESSION_SLOTS; i++)
        for (unsigned k = 0; k < s->slots[i].n; k++)
            SSL_SESSION_free(s->slots[i].v[k]);
}

/* NULL: somebody else is at it. */
static struct tls_session_slot *slot_enter(struct tls_sessions *s, int thread)
{
    struct tls_session_slot *slot = &s->slots[(unsigned)thread % TLS_SESSION_SLOTS];

    return atomic_flag_test_and_set_explicit(&slot->in_use, memory_order_acquire) ? NULL : slot;
}

static void slot_leave(struct tls_session_slot *slot)
{
    atomic_flag_clear_explicit(&slot->in_use, memory_order_release);
}

/* A ticket of TLS 1.3 is for one connection: used twice, it would tell an observer that both are
 * ours (RFC 8446 C.4). A session of TLS 1.2 is the same one each time. */
static SSL_SESSION *pop(struct tls_session_slot *slot)
{
    SSL_SESSION *session = slot->v[slot->n - 1];

    if (SSL_SESSION_get_protocol_version(session) < TLS1_3_VERSION)
        return SSL_SESSION_up_ref(session) == 1 ? session : NULL;
    slot->n--;
    return session;
}

static void forget_newest(struct tls_session_slot *slot)
{
    SSL_SESSION_free(slot->v[--slot->n]);
}

/* Resuming shows no certificate, so what the session was made with has to be good still. */
static bool is_good(const SSL_SESSION *session)
{
    int64_t now_s = clock_wall_ms() / 1000;
    int64_t age_s = now_s - SSL_SESSION_get_time(session);
    X509 *cert = SSL_SESSION_get0_peer((SSL_SESSION *)(uintptr_t)session);
    time_t now = (time_t)now_s;

    return SSL_SESSION_is_resumable(session) == 1 && age_s >= 0 && age_s < TLS_SESSION_MAX_AGE_S &&
           cert != NULL && X509_cmp_time(X509_get0_notAfter(cert), &now) > 0;
}

SSL_SESSION *tls_sessions_take(struct tls_sessions *s, int thread)
{
    struct tls_session_slot *slot = slot_enter(s, thread);
    SSL_SESSION *session = NULL;

    if (slot == NULL)
        return NULL;
    while (slot->n > 0 && !is_good(slot->v[slot->n - 1]))
        forget_newest(slot);
    if (slot->n > 0)
        session = pop(slot);
    slot_leave(slot);
    return session;
}

void tls_sessions_put(struct tls_sessions *s, int thread, SSL_SESSION *session)
{
    struct tls_session_slot *slot = slot_enter(s, thread);

    if (slot == NULL) {
        SSL_SESSION_free(session);
        return;
    }
    if (slot->n == TLS_SESSIONS_PER_SLOT) {
        SSL_SESSION_free(slot->v[0]);
        slot->n--;
        memmove(&slot->v[0], &slot->v[1], slot->n * sizeof(slot->v[0]));
    }
    slot->v[slot->n++] = session;
    slot_leave(slot);
}
