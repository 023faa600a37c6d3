/* The keys that seal the session tickets of a port (RFC 5077, RFC 8446 4.6.1). There are three
 * kinds: random ones of the process's own, in memory only, which replace themselves; those derived
 * from one secret and the time, which a fleet of machines has alike; and those of a key file, which
 * somebody else replaces.
 *
 * Reference-counted. A reload makes new ones and ssl_port_set_ticket_keys() swaps a pointer. */
#pragma once

#include <sallyport/base/err.h>
#include <sallyport/config/config.h>
#include <sallyport/tls/cert_problem.h>

#include <stdbool.h>

struct ticket_keys;

/* Are those of the port in a file, which a reload reads again? */
static inline bool ticket_keys_have_file(const struct tls_port_conf *conf)
{
    return conf->ticket_secret_file.len > 0 || conf->ticket_key_file.len > 0;
}

/* Reads the file that the port names, if it names one: at start or on ET_TASK. NULL: each problem
 * was told, as of that port. The caller owns one reference. */
struct ticket_keys *ticket_keys_load(const struct tls_port_conf *conf, struct view port,
                                     const struct cert_reporter *reporter) SP_MUST_CHECK;
struct ticket_keys *ticket_keys_ref(struct ticket_keys *k);
void ticket_keys_unref(struct ticket_keys *k); /* NULL is accepted */

/* "derived seals=5a2fa9bf": their kind, and the first bytes of the name of the key that seals.
 * Names are public, tickets show them: machines that agree show the same one. Returns dst. */
#define TICKET_KEYS_TEXT_MAX 40
const char *ticket_keys_text(struct ticket_keys *k, char dst[TICKET_KEYS_TEXT_MAX]);
