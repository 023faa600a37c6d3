/* JSON pointers (RFC 6901) in a tree. */
#pragma once

#include <sallyport/base/view.h>

#include <jansson.h>

#include <stdbool.h>
#include <stdint.h>

/* Is it "" or a row of tokens that begin with "/", every "~" of them followed by 0 or 1? */
bool json_pointer_valid(struct view pointer);
/* Takes the first token, still escaped, off a pointer that is not empty. */
struct view json_pointer_take(struct view *pointer);
/* Takes the last one off. */
struct view json_pointer_take_last(struct view *pointer);
size_t json_pointer_tokens(struct view pointer);

/* The token as it is without escapes, in dst of at least token.len + 1 bytes. */
struct view json_pointer_decode(struct view token, char *dst);

/* An index as RFC 6901 4 has it: decimal without leading zeros. */
bool json_pointer_index(struct view token, size_t *out);

/* What a token leads to; NULL: nothing. */
json_t *json_pointer_child(const json_t *value, struct view token);
/* The same for a whole pointer; *left is what could not be followed, from the token on that leads
 * nowhere. left may be NULL. */
json_t *json_pointer_find(json_t *root, struct view pointer, struct view *left);
