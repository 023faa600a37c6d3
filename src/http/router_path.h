/* The form in which paths are compared; see router.h. */
#pragma once

#include <sallyport/base/view.h>

/* Without query, decoded, without empty, "." and ".." segments, without trailing slash: "" for the
 * root and for "*", else "/a/b". Segments that do not fit into cap bytes are left out together with
 * what follows them, so a prefix shorter than cap is compared rightly. The result points into
 * `path` (when it is in that form already) or `room`. */
struct view router_path_normalise(struct view path, char *room, size_t cap);
