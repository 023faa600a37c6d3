/* The configurations that were applied, in a folder: each with its number, when and by whom, and
 * which of them is the current one. Blocking file I/O: never on a net thread.
 *
 * The folder holds a file per revision and one file `current`. A file is written under another
 * name, synced, renamed, and the folder synced; `current` is renamed last. So a process killed or a
 * machine that loses power at any instant leaves the old current revision or the new one, whole.
 * Writers of several processes exclude each other by a lock on the folder, for the time of a write.
 *
 * A revision may be pending: applied on condition that it is confirmed before a time. The condition
 * is on disk with `current`; who starts and finds one goes back (revisions_settle()).
 *
 * Numbers only grow. Going back is a new revision with the old document. */
#pragma once

#include <sallyport/base/compiler.h>
#include <sallyport/base/err.h>
#include <sallyport/base/view.h>
#include <sallyport/config/document.h>

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define REVISION_COMMENT_MAX 500 /* bytes of a comment that are kept */

/* Who and why. */
struct revision_author {
    uid_t uid;
    pid_t pid;
    struct view comment; /* may be empty */
};

struct revision_info {
    uint64_t number; /* counted from 1 */
    uint64_t base;   /* the revision that was current before; 0: none */
    int64_t time_ms; /* since 1970 */
    uint32_t uid;
    int32_t pid;
    uint64_t hash;      /* config_document_hash() of the document */
    uint64_t file_hash; /* of the configuration file at that time; 0: unknown */
    char comment[REVISION_COMMENT_MAX + 1];
};

/* Which one holds, and on which condition. */
struct revision_state {
    uint64_t current;      /* 0: none yet */
    uint64_t back_to;      /* 0: confirmed. Otherwise the revision to go back to... */
    int64_t confirm_by_ms; /* ...unless confirmed by then, in ms since 1970 */
};

struct revisions {
    char *folder; /* owned */
    uint32_t keep;
    char why[256]; /* of the last call that failed, for a person */
};

/* Nothing is opened or written yet; the folder is made when the first revision is, or given away.
 */
bool revisions_init(struct revisions *r, const char *folder, uint32_t keep) SP_MUST_CHECK;
void revisions_fini(struct revisions *r);

/* Calls that fail leave the folder as it was and say why in r->why:
 *   SP_SYSCALL    a file could not be read or written (a full disk among other things)
 *   SP_INVALID    a file there is damaged
 *   SP_NOT_FOUND  no such revision
 *   SP_LIMIT      another one became current in between, or another process is writing
 *   SP_NOMEM */

enum sp_err revisions_state(struct revisions *r, struct revision_state *out) SP_MUST_CHECK;

/* Makes the folder, if it is missing, and gives it to another user together with its files, so that
 * a process that becomes that user can go on. Only what is the caller's own so far is given away,
 * and nothing of a folder that holds anything but revisions: SP_INVALID. */
enum sp_err revisions_give(struct revisions *r, uid_t uid, gid_t gid) SP_MUST_CHECK;

struct revision_new {
    const struct config_document *document;
    struct revision_author author;
    uint64_t file_hash;
    uint64_t expected;     /* the revision that is current; anything else is SP_LIMIT */
    uint64_t back_to;      /* 0: for good. Otherwise pending, with... */
    int64_t confirm_by_ms; /* ...that deadline */
};
/* Writes the next revision and makes it the current one. *number is its number. */
enum sp_err revisions_add(struct revisions *r, const struct revision_new *new, uint64_t *number)
    SP_MUST_CHECK;
/* The current revision, which has to be `number`, holds for good. */
enum sp_err revisions_confirm(struct revisions *r, uint64_t number) SP_MUST_CHECK;

/* Reads one. `document` may be NULL; otherwise it is the caller's to unref. */
enum sp_err revisions_read(struct revisions *r, uint64_t number, struct revision_info *info,
                           struct config_document **document) SP_MUST_CHECK;
/* The kept ones, newest first, in an array of the caller's to free(). Damaged ones are left out. */
enum sp_err revisions_list(struct revisions *r, struct revision_info **out, size_t *n)
    SP_MUST_CHECK;

/* At a start: who finds a pending revision goes back, by a revision of its own. *state is what
 * holds afterwards; *went_back whether that happened. */
enum sp_err revisions_settle(struct revisions *r, struct revision_state *state, bool *went_back)
    SP_MUST_CHECK;
