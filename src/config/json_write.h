/* JSON as text that people like to read and that tools like to compare: two spaces, the order of
 * the keys kept, what is short and plain on one line. */
#pragma once

#include "conf_buf.h"

#include <jansson.h>

/* Without a line break at the end. `indent` is that of the line that the value begins on, and
 * `column` what stands on it already. */
void json_write(struct conf_buf *b, const json_t *value, size_t indent, size_t column);
/* All on one line. */
void json_write_line(struct conf_buf *b, const json_t *value);
void json_write_string(struct conf_buf *b, struct view v);
