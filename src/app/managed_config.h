/* The configuration of a server that runs, as something that is changed: planned, applied, kept as
 * a revision, confirmed or undone.
 *
 * A change is made of the configuration that holds, under one lock, so that two writers cannot lose
 * each other's work. Applied means: prepared (src/app/server_apply.h), written to disk as a
 * revision, and only then swapped. Whatever fails before that leaves everything as it was. */
#pragma once

#include <sallyport/base/compiler.h>
#include <sallyport/config/diff.h>
#include <sallyport/config/document.h>
#include <sallyport/config/revisions.h>
#include <sallyport/event/continuation.h>

#include <stdbool.h>
#include <stdint.h>

struct server;
struct managed_outcome;

/* Part of the server; guarded by server.applying. */
struct managed_config {
    struct revisions revisions;
    struct revision_state state; /* of what runs; current 0: what the file said, never recorded */
    struct continuation timer;   /* a confirmation that did not come */
    uint64_t file_hash;          /* of the file, when the program read it at its start */
};

/* Before the server starts: which configuration it starts with. What waits for a confirmation is
 * undone. Then what was applied last, unless the file was changed since: then the file, as a new
 * revision. May replace s->config. False: told why the server cannot start. */
bool managed_config_open(struct server *s);
void managed_config_close(struct server *s);
/* Before the process becomes another user: what it keeps revisions in becomes theirs. That it
 * cannot be is told in the log; changes will say so again. */
void managed_config_give(struct server *s, uid_t uid, gid_t gid);

enum managed_status {
    MANAGED_OK,
    MANAGED_STALE,   /* another one holds than the one expected */
    MANAGED_PENDING, /* one waits for its confirmation, or none does */
    MANAGED_EDIT,    /* the document could not be made: outcome.edit */
    MANAGED_REFUSED, /* it is no good configuration: outcome.problems */
    MANAGED_FAILED,  /* it could not be recorded or memory ran out: outcome.why */
};

struct managed_change {
    /* Makes the document out of the one that holds. NULL: outcome.status and its reason are set. */
    struct config_document *(*make)(void *arg, const struct config_document *now,
                                    struct managed_outcome *outcome);
    void *arg;
    struct view expected; /* tags of If-Match, one of which has to be the present one; empty: any */
    struct revision_author author;
    uint64_t confirm_ms; /* 0: for good */
    bool dry_run;        /* everything but the swap */
    bool reread_files;
    bool unrecorded;     /* no revision of it, unless there are some already */
    bool undoes_pending; /* fine although one waits for its confirmation */
};

/* A `make` for an old revision; arg is a struct managed_revision. */
struct managed_revision {
    struct revisions *revisions;
    uint64_t number;
};
struct config_document *managed_config_revision(void *arg, const struct config_document *now,
                                                struct managed_outcome *outcome);

/* Init before, fini after, whatever came of it. */
struct managed_outcome {
    enum managed_status status;
    char why[320];
    struct config_edit_problem edit;
    struct config_problems problems; /* warnings too */
    struct config_plan plan;
    uint64_t revision; /* that holds afterwards; 0: one that was never recorded */
    bool applied;      /* false: a dry run, or there was nothing to change */
    int64_t confirm_by_ms;
    uint32_t connections; /* on ports that go: they end as in a drain */
};
void managed_outcome_init(struct managed_outcome *o);
void managed_outcome_fini(struct managed_outcome *o);

/* ET_TASK or the main thread, as all below. */
void managed_config_change(struct server *s, const struct managed_change *change,
                           struct managed_outcome *outcome);
/* Of the revision that holds. */
void managed_config_confirm(struct server *s, struct managed_outcome *outcome);

/* "12-0123456789abcdef", for ETag: the revision and what it says. */
#define MANAGED_TAG_MAX 48
void managed_config_tag(struct server *s, const struct config_document *d,
                        char tag[MANAGED_TAG_MAX]);
struct revision_state managed_config_state(struct server *s);
