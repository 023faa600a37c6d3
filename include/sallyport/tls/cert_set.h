/* All bundles of one configuration, each read once whatever number of ports serve it. Immutable and
 * reference-counted.
 *
 * A set is made out of an older one: a bundle whose settings and files are what they were is taken
 * over as it is, so that of 10,000 bundles with one changed only that one is read and built. What
 * has to be read is read on all cores.
 *
 *     next = cert_set_load(&(struct cert_set_options){
 *         .bundles = config->bundles, .n_bundles = config->n_bundles,
 *         .old = now, .look = CERT_LOOK_FILES, .reporter = &reporter}, &err);
 *     store = cert_store_new(...next...);        for each port (cert_store.h)
 *     ssl_port_set_store(port, store);           the next handshake uses it */
#pragma once

#include <sallyport/base/err.h>
#include <sallyport/config/config.h>
#include <sallyport/tls/cert_bundle.h>
#include <sallyport/tls/cert_problem.h>

struct cert_set;
struct client_trust;

/* What became of a bundle in a set that was made out of another. */
enum cert_outcome {
    CERT_KEPT,    /* the very same object */
    CERT_ADDED,   /* the older set had none of this name */
    CERT_CHANGED, /* read anew */
    CERT_FAILED,  /* read anew and refused: the older one goes on; only in a partial load */
};

/* When a bundle of the older set is taken over. */
enum cert_look {
    CERT_LOOK_SETTINGS, /* its settings are the same: no file is looked at */
    CERT_LOOK_FILES,    /* its files are the same too: device, inode, size, times */
};

struct cert_set_options {
    const struct bundle_conf *bundles; /* read during the call only; names differ */
    uint32_t n_bundles;
    const struct port_conf *ports; /* whose rules for certificates of clients are read too */
    uint32_t n_ports;
    const struct cert_set *old; /* NULL: there is none, everything is read */
    enum cert_look look;
    /* With CERT_LOOK_FILES: only the files of these are looked at. n_only 0: of all. */
    const struct view *only;
    uint32_t n_only;
    /* NULL, or: a bundle whose files are those that this one was made of is taken over from `old`
     * all the same. */
    const struct cert_set *shunned;
    bool partial; /* what cannot be used does not keep the rest from changing */
    /* An expired certificate is refused unless its bundle allows it. Not at a start: a name with a
     * warning in its browsers is better than no name at all. */
    bool refuse_expired;
    /* OCSP responses that were kept are read from its cache; NULL: from nowhere. */
    const struct ocsp_conf *ocsp;
    const struct cert_reporter *reporter; /* called on the caller's thread, in the bundles' order */
    /* NULL, or told from time to time how many of those that have to be read have been. On any
     * thread, one at a time. */
    void (*progress)(void *arg, uint32_t done, uint32_t total);
    void *progress_arg;
};

/* Reads files: at start or on a thread that may block. NULL with *err: SP_INVALID after at least
 * one problem that is no warning was reported (all of them are, not only the first), or
 * SP_NOMEM. The caller owns one reference. */
struct cert_set *cert_set_load(const struct cert_set_options *options, enum sp_err *err)
    SP_MUST_CHECK;
struct cert_set *cert_set_ref(struct cert_set *set);
void cert_set_unref(struct cert_set *set); /* NULL is accepted */

/* In the order of the configuration; borrowed. */
uint32_t cert_set_n(const struct cert_set *set);
struct cert_bundle *cert_set_at(const struct cert_set *set, uint32_t i);
enum cert_outcome cert_set_outcome(const struct cert_set *set, uint32_t i);
/* NULL: there is none of that name. */
struct cert_bundle *cert_set_find(const struct cert_set *set, struct view name);
/* What a port asks of clients: borrowed. NULL: nothing. */
struct client_trust *cert_set_client_trust(const struct cert_set *set,
                                           const struct client_auth_conf *conf);
/* Unix time from which the first of its revocation lists or authorities is out of date: then
 * clients are refused. INT64_MAX: never, or nothing is asked of them. */
int64_t cert_set_client_auth_until_s(const struct cert_set *set,
                                     const struct client_auth_conf *conf);
/* How many of such rules of ports the older set does not have. */
uint32_t cert_set_n_changed_rules(const struct cert_set *set, const struct cert_set *old);
/* In a partial load: ports whose older rules go on, because the files of the new are bad. */
uint32_t cert_set_n_refused_ports(const struct cert_set *set);
/* Is anything else than in the set that it was made out of? Bundles that are gone count. */
bool cert_set_differs(const struct cert_set *set, const struct cert_set *old);
