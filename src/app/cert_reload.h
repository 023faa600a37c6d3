/* Certificates and ticket keys of a server that runs, changed alone: the files are read, all of it
 * is checked, and then every port swaps its pointers. Whatever is wrong leaves everything as it
 * was.
 *
 * Another configuration brings its certificates along by itself (server_apply.h); the two never
 * run at once. Thread: one that may block, as for server_apply. */
#pragma once

#include "cert_canary.h"

#include <sallyport/base/compiler.h>
#include <sallyport/tls/cert_problem.h>
#include <sallyport/tls/cert_set.h>

struct server;

struct cert_reload_options {
    /* Names of the bundles whose files are looked at; n_bundles 0: all. What is no bundle's name
     * is a problem. Files of ticket keys are read with all. */
    const struct view *bundles;
    uint32_t n_bundles;
    bool partial; /* the good ones are swapped although others are not */
    bool dry_run; /* everything but the swap */
    struct cert_canary_options canary;
    /* Nobody asked for it, the files changed: it waits for a canary that is under way to end
     * (CERT_RELOAD_BUSY), and leaves alone what a canary went back from. */
    bool by_watch;
};

enum cert_reload_status {
    CERT_RELOAD_DONE,    /* also when there was nothing to change */
    CERT_RELOAD_PARTLY,  /* some were refused, the others changed (partial) */
    CERT_RELOAD_REFUSED, /* problems says why; nothing has changed */
    CERT_RELOAD_BUSY,    /* later: only by_watch */
    CERT_RELOAD_FAILED,  /* no memory, or the server ends; nothing has changed */
};

/* Init before, fini after, whatever came of it. */
struct cert_reload_outcome {
    enum cert_reload_status status;
    enum sp_err err;                 /* of CERT_RELOAD_FAILED */
    struct cert_problems problems;   /* warnings too */
    struct cert_set *before, *after; /* owned references; `after` says what changed in it, and is
                                        what would be after a dry run; NULL: refused */
    bool keys_refused;               /* partial: the keys of some port's tickets are as they were */
    bool swapped;                    /* false: refused, a dry run, or a canary */
    bool tried;                      /* a canary has begun with what changed */
};
void cert_reload_outcome_init(struct cert_reload_outcome *o);
void cert_reload_outcome_fini(struct cert_reload_outcome *o);

void cert_reload(struct server *s, const struct cert_reload_options *options,
                 struct cert_reload_outcome *outcome);
