/* Changes of a tree: one value, a JSON Patch (RFC 6902), a JSON Merge Patch (RFC 7396).
 *
 * Runs inside conf_json_run() on a tree of its own: after a failure the tree is half changed, and
 * whoever asked throws it away. */
#pragma once

#include <sallyport/config/document.h>

#include <jansson.h>

/* Containers inside one another that a change may end up with. */
#define JSON_EDIT_DEPTH_MAX 200U

/* The tree after the change, whose root may be another one. NULL: *problem says why. `value` may
 * become part of the tree. */
json_t *json_edit(json_t *root, enum config_edit how, struct view pointer, json_t *value,
                  struct config_edit_problem *problem);
/* Says that the pointer leads nowhere from the root, and the nearest name that would have. */
void json_edit_say_missing(json_t *root, struct view pointer, struct config_edit_problem *problem);
