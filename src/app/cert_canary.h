/* New certificates for a share of the handshakes first: `certs reload --canary 5%`. While the time
 * runs, handshakes that got a new bundle are compared with those that got the one it is to replace.
 * When clients fail that did not fail before, everything goes back by itself; when the time is over
 * without that, the new ones serve everybody.
 *
 * A failed handshake is what a client does that does not like a certificate: it sends an alert, or
 * leaves. So all that fail after a bundle was chosen count. Of those that complete only full ones
 * do: who resumes is not shown the certificate, and would hide how few of the others like it.
 *
 * Part of the server, guarded by server.applying; one at a time. Another reload or another
 * configuration ends it: back first, and then whatever the other one does. */
#pragma once

#include <sallyport/base/err.h>
#include <sallyport/event/continuation.h>
#include <sallyport/tls/cert_set.h>

struct server;
struct server_port_certs;

struct cert_canary_options {
    uint32_t share; /* of SSL_PORT_WHOLE handshakes; 0: no canary */
    uint32_t for_ms;
};
#define CERT_CANARY_FOR_MS 60000 /* unless something else is asked for */

/* What came of the handshakes of one bundle that is tried, since it is. */
struct cert_canary_use {
    uint64_t handshakes, failed;         /* with the new one; handshakes: completed, full */
    uint64_t old_handshakes, old_failed; /* with the one it is to replace */
};

struct cert_canary {
    struct cert_set *set;            /* owned reference; NULL: none is under way */
    struct server_port_certs *ports; /* owned; prepared, in the order of server.ports */
    struct cert_bundle_use *before;  /* owned; of the bundles in the set that serves, by `set` */
    uint32_t n_ports;
    uint32_t share;
    int64_t until_mono_ms;
    struct cert_set *rejected; /* owned reference; the last that went back; NULL: none */
    struct continuation timer;
    bool timer_set; /* also of one that has ended meanwhile: the next one goes on with it */
};

void cert_canary_init(struct cert_canary *canary);
void cert_canary_fini(struct cert_canary *canary);

/* With server.applying, all of these. Takes over `ports`, one for each of server.ports; `set` is
 * borrowed. Not SP_OK: nothing was begun, and `ports` is still the caller's. */
enum sp_err cert_canary_begin(struct server *s, struct cert_set *set,
                              struct server_port_certs *ports,
                              const struct cert_canary_options *options) SP_MUST_CHECK;
/* The new ones serve everybody; or the old ones do again, and the file watch does not bring back
 * what was tried; or it ends without a verdict, as something else comes. Harmless without one.
 * `why` for the log. */
void cert_canary_complete(struct server *s, const char *why);
void cert_canary_back(struct server *s, const char *why);
void cert_canary_drop(struct server *s, const char *why);
/* Of the bundle at `i` of the set that is tried. */
struct cert_canary_use cert_canary_use_of(const struct server *s, uint32_t i);

/* ---- The verdict, pure ---- */

enum cert_verdict { CERT_VERDICT_WAIT, CERT_VERDICT_BACK };
/* Is the new one worse than chance explains? A handful of failures is nothing; from three on and
 * among ten, five in a hundred more than with the old one is. */
enum cert_verdict cert_canary_judge(const struct cert_canary_use *use);
