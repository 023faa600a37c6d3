/* What a folder of revisions is on disk: its names, how it is made, and how a call says why it
 * failed. */
#pragma once

#include <sallyport/config/revisions.h>

#define REVISIONS_CURRENT "current"
#define REVISIONS_NEW     "new.tmp" /* one name is enough: who writes holds the lock */
#define REVISIONS_LOCK    "lock"
#define REVISION_NAME_MAX 32

void revision_name(uint64_t number, char name[REVISION_NAME_MAX]);
/* 0: not the name of a revision. */
uint64_t revision_number(const char *name);

/* It and what is above it; fine if it is there. */
enum sp_err revisions_make_folder(struct revisions *r) SP_MUST_CHECK;

/* Into r->why; `err` is returned. */
SP_PRINTF(3, 4)
enum sp_err revisions_fail(struct revisions *r, enum sp_err err, const char *fmt, ...);
enum sp_err revisions_fail_nomem(struct revisions *r);
/* With what errno says: "cannot WHAT FOLDER/NAME". */
enum sp_err revisions_fail_call(struct revisions *r, const char *what, const char *name);
