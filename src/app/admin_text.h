/* Text that grows in memory, written through a FILE, whose errors it keeps. One thread at a time.
 */
#pragma once

#include <sallyport/base/compiler.h>
#include <sallyport/base/err.h>
#include <sallyport/base/view.h>

#include <stdbool.h>
#include <stdio.h>

struct admin_text {
    FILE *out; /* owned; NULL until opened */
    char *p;   /* owned */
    size_t len, cap;
    bool failed; /* out of memory: something is missing */
};

enum sp_err admin_text_open(struct admin_text *t) SP_MUST_CHECK;
/* Frees everything; harmless on one that was not opened. */
void admin_text_close(struct admin_text *t);
/* Forgets what was written, and a failure. */
void admin_text_reset(struct admin_text *t);
/* Everything that was written so far. SP_NOMEM: something is missing. */
enum sp_err admin_text_get(struct admin_text *t, struct view *text) SP_MUST_CHECK;
/* Without the FILE. SP_NOMEM: nothing was added. */
enum sp_err admin_text_append(struct admin_text *t, struct view more) SP_MUST_CHECK;
