/* JSON text to a tree of jansson's that lives in an arena. */
#pragma once

#include <sallyport/base/arena.h>

#include <jansson.h>

enum conf_json_status { CONF_JSON_OK, CONF_JSON_SYNTAX, CONF_JSON_NOMEM };

/* The tree is good as long as the arena, read-only, and never released by itself. *e is set on
 * CONF_JSON_SYNTAX. A key twice in an object is an error; so is nesting beyond jansson's 2048. */
enum conf_json_status conf_json_parse(struct view text, struct arena *arena, json_t **out,
                                      json_error_t *e) SP_MUST_CHECK;
