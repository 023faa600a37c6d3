/* One revision as a file, and the small file that says which one holds.
 *
 * A revision is JSON whose last member is the document, text and all as it was applied; what comes
 * before it is short, so that a list of revisions need not read the documents. */
#pragma once

#include "conf_buf.h"

#include <sallyport/config/revisions.h>

#include <stdbool.h>

/* The head of a revision is read as far as this. */
#define REVISION_HEAD_MAX ((size_t)16384)

void revision_write(struct conf_buf *b, const struct revision_info *info,
                    const struct config_document *document);
/* From the beginning of a revision's text. SP_INVALID: it is none. */
enum sp_err revision_read_info(struct view text, struct revision_info *info) SP_MUST_CHECK;
/* From the whole text; has to fit info->hash. */
enum sp_err revision_read_document(struct view text, const struct revision_info *info,
                                   struct config_document **out) SP_MUST_CHECK;

void revision_state_write(struct conf_buf *b, const struct revision_state *state);
enum sp_err revision_state_read(struct view text, struct revision_state *state) SP_MUST_CHECK;

/* A comment that JSON can hold and a terminal may show: cut, and what is no character is '?'. */
void revision_comment(struct view from, char dst[REVISION_COMMENT_MAX + 1]);
