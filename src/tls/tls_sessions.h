/* The sessions that one server gave us, to be resumed by later connections to it. Bounded, and
 * shared by all threads without any of them ever waiting: each thread has a slot (a few share one
 * where there are many threads), and who finds it in use does without. */
#pragma once

#include <openssl/ssl.h>

#include <stdatomic.h>

#define TLS_SESSION_SLOTS     16
#define TLS_SESSIONS_PER_SLOT 4
/* An older session is not resumed: what was verified then is verified anew. */
#define TLS_SESSION_MAX_AGE_S 3600

struct tls_session_slot {
    atomic_flag in_use;
    unsigned n;
    SSL_SESSION *v[TLS_SESSIONS_PER_SLOT]; /* owned; oldest first */
};

struct tls_sessions {
    struct tls_session_slot slots[TLS_SESSION_SLOTS];
};

void tls_sessions_init(struct tls_sessions *s);
void tls_sessions_fini(struct tls_sessions *s);
/* The newest session of the thread with this number that can still be resumed; the caller owns a
 * reference. NULL: none. */
SSL_SESSION *tls_sessions_take(struct tls_sessions *s, int thread);
/* Takes the reference over. The oldest gives way. */
void tls_sessions_put(struct tls_sessions *s, int thread, SSL_SESSION *session);
