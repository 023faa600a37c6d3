/* Foreign bytes as part of a JSON or HTML document. Valid UTF-8 passes; a byte that is none is
 * shown as the Latin-1 character with its number, so the document stays valid whatever arrived.
 * Errors of the stream stay in the stream. */
#pragma once

#include <sallyport/base/view.h>

#include <stdio.h>

/* A string with its quotes. */
void text_json(FILE *out, struct view v);
/* Text between tags or inside a quoted attribute. */
void text_html(FILE *out, struct view v);

/* Bytes of the UTF-8 character that `v` begins with (RFC 3629 4); 0: none, or cut short. */
size_t text_utf8_length(struct view v);
